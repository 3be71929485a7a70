"""Exact distances between images of different classes.

Whole grey levels make squared distances whole numbers. They are taken in blocks, in float64, where
sums of whole numbers below 2^53 are exact. Memory beyond the images themselves: some 200 MB for
images of 3,072 values, however many there are.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

_ROWS, _COLUMNS = 1_000, 4_000


def rival_blocks(
    images: Tensor,
    labels: Tensor,
    others: Tensor,
    other_labels: Tensor,
    device: str = "cpu",
    *,
    once: bool = False,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield all squared ℓ2 distances from `images` to `others` of another class, in blocks.

    `images` [A, ...] and `others` [B, ...] hold whole numbers, such as uint8 grey levels, of one
    shape. Each item is (i [rows], j [columns], squared [rows, columns]): indices on the CPU and
    float64 distances on `device`, all exact. With `once`, only others of a larger label are met,
    so that among the same images every pair comes once.
    Raises ValueError for tensors of floats, or of different shapes.
    """
    if images.is_floating_point() or others.is_floating_point():
        raise ValueError(f"images are {images.dtype} and {others.dtype}: give whole grey levels")
    if images.shape[1:] != others.shape[1:]:
        raise ValueError(
            f"images have shapes {tuple(images.shape[1:])} and {tuple(others.shape[1:])}: "
            "give images of one shape"
        )
    for label in range(int(labels.max()) + 1):
        own = (labels == label).nonzero()[:, 0]
        met = other_labels > label if once else other_labels != label
        rivals = met.nonzero()[:, 0]
        for first in range(0, len(rivals), _COLUMNS):
            j = rivals[first : first + _COLUMNS]
            right = others[j].flatten(1).to(device, torch.float64)
            right_norms = right.square().sum(1)
            for start in range(0, len(own), _ROWS):
                i = own[start : start + _ROWS]
                left = images[i].flatten(1).to(device, torch.float64)
                block = torch.addmm(right_norms, left, right.T, alpha=-2)
                block += left.square().sum(1, keepdim=True)
                yield i, j, block


def nearest_other(
    images: Tensor,
    labels: Tensor,
    others: Tensor,
    other_labels: Tensor,
    device: str = "cpu",
) -> Tensor:
    """Return the squared distance of each image to the nearest of `others` with another label.

    The result is float64 [A] on the CPU, in squared grey levels, exact; infinite for an image that
    meets no other label. Raises ValueError as `rival_blocks` does.
    """
    nearest = torch.full((len(images),), torch.inf, dtype=torch.float64)
    for i, _, block in rival_blocks(images, labels, others, other_labels, device):
        nearest[i] = torch.minimum(nearest[i], block.amin(1).cpu())
    return nearest


def closest_rivals(images: Tensor, labels: Tensor, device: str = "cpu") -> tuple[int, int, int]:
    """Return the closest two images with different labels: (squared distance, i, j), exact.

    Most pairs are ruled out by their sums over 4 × 4 pixels: by Cauchy's inequality sixteen times
    the squared distance is at least that of these sums. `images` are whole numbers [N, C, H, W]
    with H and W divisible by 4; of several closest pairs the one with the smallest i, j is given.
    Raises ValueError as `rival_blocks` does, or if all labels are equal.
    """
    if (labels == labels[0]).all():
        raise ValueError(f"labels are all {labels[0].item()}: give images of at least two classes")
    few = slice(0, 500)
    limit = float(nearest_other(images[few], labels[few], images, labels, device).min())
    count, channels, height, width = images.shape
    cells = images.reshape(count, channels, height // 4, 4, width // 4, 4)
    sums = cells.sum(dim=(3, 5), dtype=torch.int32)
    found: list[tuple[int, int, int]] = []
    for i, j, block in rival_blocks(sums, labels, sums, labels, device, once=True):
        near = (block <= 16 * limit).nonzero().cpu()
        for first in range(0, len(near), 10_000):
            row, column = near[first : first + 10_000].T
            one, two = torch.minimum(i[row], j[column]), torch.maximum(i[row], j[column])
            apart = (images[one].to(torch.int32) - images[two]).square().sum((1, 2, 3))
            triples = zip(apart.tolist(), one.tolist(), two.tolist(), strict=True)
            found = [min([*found, *triples])]
            limit = min(limit, found[0][0])
    return found[0]


def close_pairs(
    images: Tensor, labels: Tensor, limit: int, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return the pairs i < j of images with different labels and squared distance below `limit`.

    The pairs are int64 [M, 2], their squared distances float64 [M], ordered by distance, then by
    i and j. Raises ValueError as `rival_blocks` does.
    """
    pairs, lengths = [torch.zeros((0, 2), dtype=torch.int64)], [torch.zeros(0).double()]
    for i, j, block in rival_blocks(images, labels, images, labels, device, once=True):
        row, column = (block < limit).nonzero(as_tuple=True)
        lengths.append(block[row, column].cpu())
        ends = torch.stack([i[row.cpu()], j[column.cpu()]], 1)
        pairs.append(ends.sort(1).values)
    found, length = torch.cat(pairs), torch.cat(lengths)
    order = torch.argsort(found[:, 0] * len(images) + found[:, 1])
    order = order[torch.argsort(length[order], stable=True)]
    return found[order], length[order]


def rival_masses(
    images: Tensor, labels: Tensor, sigmas: tuple[float, ...], levels: int, device: str = "cpu"
) -> Tensor:
    """Return Σ_j Φ(-D_ij / 2σ) over the images j with another label than i, float64 [N, sigmas].

    It bounds the probability that a noisy copy of image i is nearer to some image of another label
    than to i. `sigmas` are in units of the white level, of which there are `levels`.
    Raises ValueError as `rival_blocks` does.
    """
    masses = torch.zeros(len(images), len(sigmas), dtype=torch.float64)
    for i, j, block in rival_blocks(images, labels, images, labels, device, once=True):
        apart = block.sqrt_()
        for index, sigma in enumerate(sigmas):
            mass = torch.special.ndtr(apart / (-2 * sigma * levels))
            masses[i, index] += mass.sum(1).cpu()
            masses[j, index] += mass.sum(0).cpu()
    return masses

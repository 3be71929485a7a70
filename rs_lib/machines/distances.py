"""Exact distances between images: whole grey levels make squared distances whole numbers."""

from collections.abc import Iterator

import torch
from torch import Tensor

_ROWS, _COLUMNS = 1_000, 5_000


def squared_blocks(
    first: Tensor, second: Tensor, device: str = "cpu", *, upper: bool = False
) -> Iterator[tuple[int, int, Tensor]]:
    """Yield all squared ℓ2 distances in grey levels, a block at a time: (row, column, block).

    `first` [A, ...] and `second` [B, ...] hold whole numbers, such as uint8 images, of one shape.
    A block is float64, of at most 1,000 × 5,000 entries, and begins at that row and column. What
    is summed are whole numbers below 2^53, so every entry is exact. Memory: some 300 MB for images
    of 3,072 values, however many there are. With `upper`, blocks below the diagonal are left out.
    Raises ValueError for tensors of floats, or of different shapes.
    """
    if first.is_floating_point() or second.is_floating_point():
        raise ValueError(f"images are {first.dtype} and {second.dtype}: give whole grey levels")
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"images have shapes {tuple(first.shape[1:])} and {tuple(second.shape[1:])}: "
            "give images of one shape"
        )
    flat, other = first.flatten(1), second.flatten(1)
    for column in range(0, len(other), _COLUMNS):
        right = other[column : column + _COLUMNS].to(device, torch.float64)
        right_norms = right.square().sum(1)
        rows = min(len(flat), column + _COLUMNS) if upper else len(flat)
        for row in range(0, rows, _ROWS):
            left = flat[row : row + _ROWS].to(device, torch.float64)
            block = torch.addmm(right_norms, left, right.T, alpha=-2)
            block += left.square().sum(1, keepdim=True)
            yield row, column, block


def nearest_other(
    images: Tensor,
    labels: Tensor,
    others: Tensor,
    other_labels: Tensor,
    device: str = "cpu",
) -> Tensor:
    """Return the squared distance of each image to the nearest of `others` with another label.

    The result is float64 [A] on the CPU, in squared grey levels, exact; infinite for an image that
    meets no other label. Raises ValueError as `squared_blocks` does.
    """
    nearest = torch.full((len(images),), torch.inf, dtype=torch.float64, device=device)
    mine, theirs = labels.to(device), other_labels.to(device)
    for row, column, block in squared_blocks(images, others, device):
        height, width = block.shape
        same = mine[row : row + height, None] == theirs[column : column + width]
        part = nearest[row : row + height]
        torch.minimum(part, block.masked_fill_(same, torch.inf).amin(1), out=part)
    return nearest.cpu()


def closest_rivals(images: Tensor, labels: Tensor, device: str = "cpu") -> tuple[int, int, int]:
    """Return the closest two images with different labels: (squared distance, i, j), exact.

    Of the millions of pairs most are ruled out by their sums over 4 × 4 pixels: by Cauchy's
    inequality sixteen times the squared distance is at least that of these sums. `images` are
    whole numbers [N, C, H, W] with H and W divisible by 4, N >= 2.
    Raises ValueError as `squared_blocks` does, or if all labels are equal.
    """
    if (labels == labels[0]).all():
        raise ValueError(f"labels are all {labels[0].item()}: give images of at least two classes")
    few = slice(0, 500)
    limit = float(nearest_other(images[few], labels[few], images, labels, device).min())
    count, channels, height, width = images.shape
    cells = images.reshape(count, channels, height // 4, 4, width // 4, 4)
    sums = cells.sum(dim=(3, 5), dtype=torch.int32)
    marks = labels.to(device)
    found: list[tuple[int, int, int]] = []
    for row, column, block in squared_blocks(sums, sums, device, upper=True):
        differ = marks[row : row + len(block), None] != marks[column : column + block.shape[1]]
        i, j = torch.nonzero((block <= 16 * limit) & differ, as_tuple=True)
        i, j = (i + row).cpu(), (j + column).cpu()
        i, j = i[i < j], j[i < j]
        for first in range(0, len(i), 10_000):
            one, two = i[first : first + 10_000], j[first : first + 10_000]
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
    i and j. Raises ValueError as `squared_blocks` does.
    """
    marks = labels.to(device)
    pairs, lengths = [], []
    for row, column, block in squared_blocks(images, images, device, upper=True):
        height, width = block.shape
        differ = marks[row : row + height, None] != marks[column : column + width]
        i, j = torch.nonzero(differ & (block < limit), as_tuple=True)
        above = i + row < j + column
        i, j = i[above], j[above]
        lengths.append(block[i, j].cpu())
        pairs.append(torch.stack([i + row, j + column], 1).cpu())
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
    Raises ValueError as `squared_blocks` does.
    """
    marks = labels.to(device)
    masses = torch.zeros(len(images), len(sigmas), dtype=torch.float64, device=device)
    for row, column, block in squared_blocks(images, images, device):
        height, width = block.shape
        differ = marks[row : row + height, None] != marks[column : column + width]
        apart = block.sqrt_()
        for index, sigma in enumerate(sigmas):
            mass = torch.special.ndtr(apart / (-2 * sigma * levels))
            masses[row : row + height, index] += (mass * differ).sum(1)
    return masses.cpu()

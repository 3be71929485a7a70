"""Derandomised smoothing with square blocks: votes of all blocks of an image, counted exactly.

The base classifier sees one block of `block` x `block` pixels at a time, from each corner (i, j),
wrapping around both borders. A patch of a rows and b columns inside the image meets
min(H, a + s - 1) min(W, b + s - 1) blocks, wherever it lies; only these can change their votes.
Source: Levine & Feizi (2020), "(De)Randomized Smoothing for Certifiable Defense against Patch
Attacks", theorem 1 for block smoothing; the condition at each position is that of `patch`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import IntArray
from rs_lib.certificates.patch import METHODS, BoolArray, leads, zeros_and_ones

Leads = npt.NDArray[np.int32]


def affected(image: tuple[int, int], block: int, patch: tuple[int, int]) -> int:
    """Number of blocks that a patch meets, equal for all patches inside the image; exact.

    `image` and `patch` are (rows, columns). Raises ValueError unless 1 <= block <= both sides of
    the image, and likewise for the patch.

    In the book: cor-dp-blocks, prop-ra-blocks.
    """
    image, block, patch = _sizes(image, block, patch)
    rows, columns = (min(side, p + block - 1) for side, p in zip(image, patch, strict=True))
    return rows * columns


def certified(
    votes: npt.ArrayLike, patch: tuple[int, int], block: int, method: str = "positions"
) -> BoolArray:
    """Whether no patch of `patch` = (rows, columns) changes the answer; bool [images].

    `votes`: 0 or 1, [images, rows, columns, classes], the votes of the block from each corner on.
    The methods are those of `patch.certified`, and so is their tightness. The memory is eight times
    that of the votes as int32.

    Raises ValueError for votes of another shape or kind, sizes that do not fit into the image, or
    an unknown method.
    """
    array = _checked(votes)
    shape, block, patch = _sizes(array.shape[1:3], block, patch)
    arguments.one_of("method", method, METHODS)
    flat, owed = leads(array.reshape(len(array), shape[0] * shape[1], array.shape[3]))
    lead = flat.reshape(*shape, *owed.shape).astype(np.int32)
    reach = affected(shape, block, patch)
    total = lead.sum(axis=(0, 1), dtype=np.int64) - owed
    if method == "counts":
        lost = np.full((1, 1, 1, 1), reach, dtype=np.int32)
    else:
        lost = _window_sums(_window_sums(lead, 0, block, patch[0]), 1, block, patch[1])
    # The patch takes the lead of the blocks that it meets and turns each of them.
    safe: BoolArray = (total - lost.max(axis=(0, 1)) >= reach).all(axis=0)
    return safe


def largest_patch(votes: npt.ArrayLike, block: int, method: str = "positions") -> IntArray:
    """Largest side of a square patch that cannot change the answer; int64 [images].

    0 where one pixel can. `votes` and errors as for `certified`.
    """
    array = _checked(votes)
    _sizes(array.shape[1:3], block, (1, 1))
    largest = np.zeros(len(array), dtype=np.int64)
    for side in range(1, min(array.shape[1:3]) + 1):
        safe = certified(array, (side, side), block, method)
        if not safe.any():
            break
        largest[safe] = side
    return largest


def _window_sums(lead: Leads, axis: int, block: int, patch: int) -> Leads:
    """Sum along `axis` over the blocks that meet each place of the patch: as many as places."""
    size, reach = lead.shape[axis], patch + block - 1
    if reach >= size:
        whole: Leads = lead.sum(axis=axis, keepdims=True, dtype=np.int32)
        return whole
    around = np.take(lead, range(size - block + 1, size), axis=axis)
    before = np.zeros_like(np.take(lead, [0], axis=axis))
    sums = np.concatenate((before, around, lead), axis=axis).cumsum(axis=axis, dtype=np.int32)
    places = np.arange(size - patch + 1)
    found: Leads = np.take(sums, places + reach, axis=axis) - np.take(sums, places, axis=axis)
    return found


def _checked(votes: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    array = arguments.reals("votes", votes)
    if array.ndim != 4 or min(array.shape[1:3]) < 1 or array.shape[3] < 2:
        raise ValueError(
            f"votes has shape {array.shape}: give [images, rows, columns, classes], at least one "
            "block and two classes"
        )
    return zeros_and_ones(array)


Sides = tuple[int, int]


def _sizes(image: Sequence[int], block: int, patch: Sequence[int]) -> tuple[Sides, int, Sides]:
    """Return image, block and patch as Python's integers, or raise ValueError."""
    sides, covered = _sides("image", image), _sides("patch", patch)
    side = arguments.integer("block", block, least=1)
    if side > min(sides):
        raise ValueError(f"block is {side}: give at most the shorter side of the image, {sides}")
    if covered[0] > sides[0] or covered[1] > sides[1]:
        raise ValueError(f"patch is {covered}: give at most the sides of the image, {sides}")
    return sides, side, covered


def _sides(name: str, value: Sequence[int]) -> Sides:
    numbers = arguments.integers(name, value, least=1)
    if numbers.shape != (2,):
        raise ValueError(f"{name} is {arguments.shown(value)}: give (rows, columns)")
    rows, columns = numbers.tolist()
    return rows, columns

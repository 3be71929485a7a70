"""Derandomised smoothing against patches: votes of all bands of an image, counted exactly.

The base classifier sees one band of `band` adjacent columns at a time, from each start
q = 0 ... W - 1, wrapping around the border, and votes for classes; the smoothed classifier answers
with the class of most votes, the smallest index among equals. A patch changes m adjacent columns
p ... p + m - 1 inside the image. Only bands that meet it can change their votes: the starts
A(p) = {p - s + 1, ..., p + m - 1} mod W, min(W, m + s - 1) of them. Rows are columns of the
transposed image, and the height of a patch does not matter to columns.
Source: Levine & Feizi (2020), "(De)Randomized Smoothing for Certifiable Defense against Patch
Attacks", theorem 1 (`counts`); the condition at each position is that of BagCert (Metzen & Yatsura
2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import IntArray

METHODS = ("counts", "positions")
_MOST_ENTRIES = 2**18
"""Entries of a chunk of votes, which bounds the memory and stays in the cache."""

_NO_RIVAL = -(2**40)

BoolArray = npt.NDArray[np.bool_]
Leads = npt.NDArray[np.signedinteger[Any]]

MOST_COLUMNS = 2**20
"""Widest image that `affected` looks at."""


def affected(width: int, band: int, patch: int, stride: int = 1, wrap: bool = True) -> int:
    """Largest number of bands that a patch of `patch` columns inside the image meets; exact.

    Bands of `band` columns start at 0, `stride`, 2 `stride`, ... below `width` and wrap around, or
    with `wrap=False` as far as they fit. With `stride` 1 and wrapping it is
    min(width, patch + band - 1); a stride that does not divide the width leaves a shorter gap at
    the border, where a patch can meet more bands than ceil((patch + band - 1) / stride).

    Raises ValueError unless 1 <= band, patch, stride <= width <= `MOST_COLUMNS`.

    In the book: thm-dp-bands, prop-dp-strides.
    """
    width = arguments.integer("width", width, least=1, most=MOST_COLUMNS)
    band, patch, stride = (
        _within(name, value, width)
        for name, value in (("band", band), ("patch", patch), ("stride", stride))
    )
    starts = np.zeros(width, dtype=np.int64)
    starts[: width if wrap else width - band + 1 : stride] = 1
    if wrap and patch + band > width:
        return int(starts.sum())
    # Starts p - band + 1 ... p + patch - 1 of each patch p, around the border or cut off there.
    around = starts if wrap else np.zeros_like(starts)
    before = np.concatenate(([0], np.cumsum(np.concatenate((around, starts, around)))))
    first = width + np.arange(width - patch + 1) - band + 1
    return int((before[first + band + patch - 1] - before[first]).max())


def certified(votes: npt.ArrayLike, patch: int, band: int, method: str = "positions") -> BoolArray:
    """Whether no patch of `patch` columns changes the answer; bool [images].

    `votes`: 0 or 1, [images, positions, classes], the votes of the band of `band` columns from
    each column on. "counts" demands a margin of twice the number of bands that a patch meets;
    "positions" looks where the votes are, certifies whatever "counts" does, and is tight: where
    it does not certify, some base classifier with these votes is fooled.

    Raises ValueError for votes of another shape or kind, a band or patch outside 1 ... positions,
    or an unknown method.

    In the book: thm-dp-counts, thm-dp-positions.
    """
    array = _checked(votes)
    columns = _within("patch", patch, array.shape[1])
    safe: BoolArray = largest_patch(array, band, method) >= columns
    return safe


def largest_patch(votes: npt.ArrayLike, band: int, method: str = "positions") -> IntArray:
    """Largest number of columns of a patch that cannot change the answer; int64 [images].

    0 where one column can. A patch that is certified has all smaller ones certified. `votes` and
    errors as for `certified`.

    In the book: prop-dp-largest.
    """
    array = _checked(votes)
    columns = arguments.integer("band", band, least=1)
    if columns > array.shape[1]:
        raise ValueError(
            f"band is {columns}: give at most the number of positions, {array.shape[1]}"
        )
    arguments.one_of("method", method, METHODS)
    search = _by_counts if method == "counts" else _by_positions
    images = max(1, _MOST_ENTRIES // max(1, array[0].size)) if len(array) else 1
    parts = [search(array[i : i + images], columns) for i in range(0, len(array), images)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def answers(votes: npt.ArrayLike) -> IntArray:
    """Class of most votes, the smallest index among equals; int64 [images].

    Raises ValueError for votes of another shape or kind.
    """
    array: IntArray = _checked(votes).sum(axis=1, dtype=np.int64).argmax(axis=1)
    return array


def _by_counts(votes: npt.NDArray[np.uint8], band: int) -> IntArray:
    lead, owed = leads(votes)
    margin = (lead.sum(axis=0, dtype=np.int64) - owed).min(axis=0)
    largest: IntArray = np.maximum(margin // 2 - band + 1, 0)
    return largest


def _by_positions(votes: npt.NDArray[np.uint8], band: int) -> IntArray:
    lead, owed = leads(votes)
    width = len(lead)
    total = lead.sum(axis=0, dtype=np.int64)
    ring = np.concatenate((lead[width - band + 1 :], lead))
    # lost[p]: the lead of the bands that meet the patch p ... p + patch - 1.
    lost = np.zeros_like(lead)
    for step in range(band - 1):
        lost += ring[step : step + width]
    largest = np.zeros(len(votes), dtype=np.int64)
    for patch in range(1, width - band + 1):
        lost = lost[: width - patch + 1]
        lost += lead[patch - 1 :]
        # The patch takes the lead of these bands and turns each of them against the answer.
        safe = (total - lost.max(axis=0) - owed >= patch + band - 1).all(axis=0)
        if not safe.any():
            break
        largest[safe] = patch
    return largest


def leads(votes: npt.NDArray[np.uint8]) -> tuple[Leads, IntArray]:
    """Votes for the answer minus votes for each class, and what ties ask for in addition.

    `votes`: [images, positions, classes]. Returns integers [positions, classes, images] and int64
    [classes, images]: 1 where the class has a smaller index than the answer, 0 where a larger
    one, and for the answer itself so little that it is never a rival.
    """
    # Images last: all that follows runs along contiguous memory. Sums over positions must fit.
    narrow = votes.shape[1] <= np.iinfo(np.int16).max
    own: Leads = np.ascontiguousarray(votes.transpose(1, 2, 0)).astype(
        np.int16 if narrow else np.int32
    )
    chosen, images = own.sum(axis=0, dtype=np.int64).argmax(axis=0), np.arange(len(votes))
    owed = (np.arange(own.shape[1])[:, None] < chosen).astype(np.int64)
    owed[chosen, images] = _NO_RIVAL
    lead: Leads = own[:, chosen, images][:, None] - own
    return lead, owed


def _within(name: str, value: int, width: int) -> int:
    number = arguments.integer(name, value, least=1)
    if number > width:
        raise ValueError(f"{name} is {number}: give at most the width of the image, {width}")
    return number


def _checked(votes: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    array = arguments.reals("votes", votes)
    if array.ndim != 3 or array.shape[1] < 1 or array.shape[2] < 2:
        raise ValueError(
            f"votes has shape {array.shape}: give [images, positions, classes], at least one "
            "position and two classes"
        )
    return zeros_and_ones(array)


def zeros_and_ones(votes: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return `votes` as uint8, or raise ValueError if one is neither 0 nor 1."""
    if votes.dtype != np.bool_ and not ((votes == 0) | (votes == 1)).all():
        raise ValueError("votes holds other values than 0 and 1: give thresholded votes")
    return votes.astype(np.uint8)

"""With which counts a sequential run can end: what a stored row must agree with.

The row of a log holds the last count of an image, not those at the looks before. Nested boundaries
make two one-sided tests of it: a run ends with the first c radii certified if and only if row c - 1
of the table accepted before it gave up, and row c gave up, or was given up with a smaller one,
before it accepted. So the counts that can stand at each look are unions of intervals, which grow by
the samples between two looks and are cut by the boundaries: an exact recursion.
"""

import functools
from dataclasses import dataclass

from rs_lib.statistics import SequentialTable

Intervals = list[tuple[int, int]]
"""Counts low ... high, both included, sorted and apart."""

_BEYOND = 2**62


@dataclass(frozen=True)
class Endings:
    """Counts with which a run can end that certifies a given number of radii.

    `decided[look]`: where every radius is certified or given up at that look, and not before;
    `undecided`: where some are open after the last look.
    """

    decided: list[Intervals]
    undecided: Intervals


@functools.lru_cache(maxsize=4096)
def endings(table: SequentialTable, certified: int) -> Endings:
    """Return the endings of `table` with its first `certified` radii certified."""
    rows, looks = table.accept.shape
    # Whether row c - 1 has accepted and row c has given up; there may be no such row.
    states: dict[tuple[bool, bool], Intervals] = {(certified == 0, certified == rows): [(0, 0)]}
    decided: list[Intervals] = []
    before = 0
    for look in range(looks):
        step, before = int(table.looks[look]) - before, int(table.looks[look])
        following: dict[tuple[bool, bool], Intervals] = {}
        for (accepted, barred), counts in states.items():
            grown = [(low, high + step) for low, high in counts]
            for now_accepted, part in _lower(table, certified - 1, look, accepted, grown):
                for now_barred, rest in _upper(table, certified, look, barred, part):
                    following.setdefault((now_accepted, now_barred), []).extend(rest)
        decided.append(_merged(following.pop((True, True), [])))
        states = {state: _merged(counts) for state, counts in following.items()}
    return Endings(decided, states.get((True, False), []))


def _lower(
    table: SequentialTable, row: int, look: int, accepted: bool, counts: Intervals
) -> list[tuple[bool, Intervals]]:
    """Split the counts by whether row c - 1 accepts; where it gives up, the run ends elsewhere."""
    if accepted:
        return [(True, counts)]
    accept, reject = int(table.accept[row, look]), int(table.reject[row, look])
    return [(True, _cut(counts, accept, _BEYOND)), (False, _cut(counts, reject + 1, accept - 1))]


def _upper(
    table: SequentialTable, row: int, look: int, barred: bool, counts: Intervals
) -> list[tuple[bool, Intervals]]:
    """Split the counts by whether row c gives up; where it accepts, the run ends elsewhere."""
    if barred:
        return [(True, counts)]
    accept, reject = int(table.accept[row, look]), int(table.reject[row, look])
    return [(True, _cut(counts, 0, reject)), (False, _cut(counts, reject + 1, accept - 1))]


def _cut(counts: Intervals, low: int, high: int) -> Intervals:
    cut = [(max(low, start), min(high, end)) for start, end in counts]
    return [(start, end) for start, end in cut if start <= end]


def _merged(counts: Intervals) -> Intervals:
    merged: Intervals = []
    for start, end in sorted(counts):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged

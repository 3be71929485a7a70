"""CPU time of ways to do one thing, whose turns alternate."""

import time
from collections.abc import Callable, Sequence


def alternate(
    ways: Sequence[Callable[[], object]], repeats: int, calls: int = 1
) -> list[list[float]]:
    """Return CPU seconds of `calls` calls, shape (ways, repeats), after one turn to warm up.

    CPU time, not wall time, and turns in alternation: so a busy machine changes ratios little.
    """
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, kept in zip(ways, times, strict=True):
            start = time.process_time()
            for _ in range(calls):
                way()
            if turn:
                kept.append(time.process_time() - start)
    return times

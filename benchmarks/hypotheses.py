"""How long it takes to smooth all hypotheses on a cycle, beside a textbook way in NumPy."""

from typing import Any

import numpy as np

from benchmarks import clock
from rs_lib import hypotheses


def textbook(n: int) -> list[int]:
    """Return the image sizes for all radii: one row of n labels a hypothesis, sums of rolls."""
    labels = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.int8)
    places = 1 << np.arange(n)
    sizes = []
    for k in range((n + 1) // 2):
        votes = sum(np.roll(labels, step, axis=1) for step in range(-k, k + 1))
        sizes.append(len(np.unique((votes > k) @ places)))
    return sizes


def ours(n: int) -> list[int]:
    return [hypotheses.image_size(n, k) for k in range((n + 1) // 2)]


def measure(points: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Return CPU seconds of all radii on cycles of so many points."""
    rows = []
    for n in points:
        if ours(n) != textbook(n):
            raise AssertionError(f"the image sizes on {n} points differ")
        times = clock.alternate([lambda n=n: ours(n), lambda n=n: textbook(n)], repeats)
        seconds, textbook_seconds = (float(np.median(kept)) for kept in times)
        rows.append(
            {
                "points": n,
                "hypotheses": 1 << n,
                "radii": (n + 1) // 2,
                "seconds": seconds,
                "textbook_seconds": textbook_seconds,
                "ratio": textbook_seconds / seconds,
            }
        )
    return rows

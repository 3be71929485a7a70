"""A health test of the random words that certificates are made of, image by image.

The engine counts, by bit position, the set bits of the words that its samples use: of the first
samples of an image all, of the others every 16th. Before it decides anything about an image it
looks at the counts by `rs_lib.statistics.health`. What is refused is a matter of seed, image and
number of samples alone: ranks, chunks, parts and resumption change nothing, and no look is paid
twice. With the test a certifier hands over images whose words have passed it, and no others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, level, single
from rs_lib.noise.watch import POSITIONS, Watch
from rs_lib.statistics import health

FALSE_ALARM = 2.0**-20
"""Probability that a run with sound words is stopped: about one in a million."""

FIRST_PIXELS, LEAST_FIRST, EVERY = 2**14, 16, 16
"""Samples are watched until they have this many pixels, and this many at least; then every 16th."""

_SHOWN = 5


class UnhealthyNoiseError(RuntimeError):
    """The random words of an image are not random: no certificate may rest on them."""


@dataclass(frozen=True)
class Health:
    """The test of a run of `images` images, stopped with probability `error` by sound words.

    Each image spends an equal part of `error`. Raises ValueError for other numbers.
    """

    images: int
    error: float = FALSE_ALARM

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that are none."""
        object.__setattr__(self, "images", integer("images", self.images, least=1))
        object.__setattr__(self, "error", single("error", level("error", self.error)))

    def watcher(self, ids: IntArray, pixels: int, device: torch.device) -> "Watcher":
        """Return the counts of images of `pixels` numbers each, named by `ids`, int64 [N]."""
        return Watcher(ids, pixels, self.error / self.images, device)


def looked_at(
    health: Health | None, images: Tensor, ids: IntArray, device: torch.device
) -> "tuple[Watcher | None, Callable[[IntArray], None]]":
    """Return what counts the words of `images`, and what looks at those of some rows.

    Without a test, or without images: None, and nothing to look at.
    """
    if health is None or not len(images):
        return None, lambda rows: None
    watcher = health.watcher(ids, images[0].numel(), device)
    return watcher, watcher.look


class Watcher:
    """Counts of set bits of N images, on the device where noise is made."""

    def __init__(self, ids: IntArray, pixels: int, error: float, device: torch.device) -> None:
        """Begin with nothing counted."""
        self._ids = ids
        self._error = error
        self._first = max(LEAST_FIRST, FIRST_PIXELS // pixels)
        self._ones = torch.zeros((len(ids), POSITIONS), dtype=torch.int64, device=device)
        self._words = np.zeros(len(ids), dtype=np.int64)
        self._looks = np.zeros(len(ids), dtype=np.int64)

    def watch(self, rows: IntArray, samples: IntArray, used: int) -> Watch:
        """Return where the words of `samples` of the images at `rows` count, but for the padding.

        Only the first `used` are counted: the rest repeats one of them.
        """
        chosen = (samples < self._first) | (samples % EVERY == 0)
        chosen[used:] = False
        return Watch(np.where(chosen, rows, -1), self._ones, self._words)

    def look(self, rows: IntArray) -> None:
        """Look at the images at `rows`; raise UnhealthyNoiseError that names those refused."""
        self._looks[rows] += 1
        ones = self._ones.cpu().numpy()
        refused = {}
        for row in rows.tolist():
            words, look = int(self._words[row]), int(self._looks[row])
            bad = health.refused(ones[row], words, look, self._error)
            if bad:
                refused[row] = bad
        if refused:
            raise UnhealthyNoiseError(self._told(refused, ones))

    def _told(self, refused: dict[int, list[int]], ones: IntArray) -> str:
        ids = [str(self._ids[row]) for row in refused]
        named = ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if ids[_SHOWN:] else "")
        row, positions = next(iter(refused.items()))
        worst = max(positions, key=lambda bit: abs(2 * ones[row, bit] - self._words[row]))
        images = "images" if len(ids) > 1 else "image"
        return (
            f"random words of {images} {named} are not random (bit {worst} of image "
            f"{self._ids[row]} is set in {ones[row, worst]:,} of {self._words[row]:,}): nothing of "
            "these images is kept; find out what makes the words before you trust other rows"
        )

"""The progress of a certification: images, samples, samples per second, time left."""

import sys
import time
from types import TracebackType

from rs_lib import bars

_UNITS = ("", "k", "M", "G", "T")
_SHAPE = "{desc} |{bar}| {elapsed} gone, {remaining} left"


EVERY = 30.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """A bar on stderr that advances while images are worked on; where that is no terminal, a line
    every half minute.

    `images` in all, `done` of them before this run; `per_image`: the samples of an image
    where they are fixed, else None. Of `world` processes only one draws; until a part is done
    it takes the others to be as fast as itself.
    """

    def __init__(
        self, name: str, images: int, done: int, *, per_image: int | None, world: int, shown: bool
    ) -> None:
        """Draw the bar."""
        self._name = name
        self._images = images
        self._per_image = per_image
        self._world = world
        self._done, self._samples = done, 0
        self._new_decided, self._new_samples = 0, 0
        self._start = self._told = time.monotonic()
        self._first = float(done)
        self._lines = shown and not sys.stderr.isatty()
        self._bar = bars.bar(
            total=images,
            initial=done,
            desc=name,
            bar_format=_SHAPE,
            smoothing=0,
            disable=None if shown else True,
        )
        self._draw()

    def __enter__(self) -> "Progress":
        """Return this bar."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def report(self, samples: int, decided: int) -> None:
        """Count work of this process since the last call."""
        self._new_samples += samples * self._world
        self._new_decided += decided * self._world
        self._draw()

    def part_done(self, samples: int, images: int) -> None:
        """Replace what was reported since the last part by what all processes did."""
        self._samples += samples
        self._done += images
        self._new_samples = self._new_decided = 0
        self._draw()

    def _draw(self) -> None:
        samples = self._samples + self._new_samples
        decided = min(self._done + self._new_decided, self._images)
        advance = float(decided)
        if self._per_image is not None:
            # Images end some together, but the samples say how far they are.
            advance = min(self._first + samples / self._per_image, float(self._images))
        now = time.monotonic()
        rate = samples / max(now - self._start, 1e-9)
        told = (
            f"{self._name} {decided}/{self._images} images, {_short(samples)} samples, "
            f"{_short(rate)}/s"
        )
        self._bar.set_description_str(told, refresh=False)
        self._bar.update(max(advance - self._bar.n, 0))
        if self._lines and now - self._told >= EVERY:
            self._told = now
            left = self._left(now, advance)
            print(f"{told}, {left} left", file=sys.stderr, flush=True)

    def _left(self, now: float, advance: float) -> str:
        """Return the time that is left at the speed of this run so far, in words."""
        made = advance - self._first
        if made <= 0:
            return "unknown time"
        seconds = round((now - self._start) / made * (self._images - advance))
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _short(count: float) -> str:
    thousands = 0
    while count >= 999.5 and thousands < len(_UNITS) - 1:
        count, thousands = count / 1000, thousands + 1
    return f"{count:.3g}{_UNITS[thousands]}" if thousands else f"{count:.0f}"

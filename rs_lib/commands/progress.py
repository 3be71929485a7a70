"""The progress bar of a certification: images, samples, samples per second, time left."""

import time
from types import TracebackType

from rs_lib import bars

_UNITS = ("", "k", "M", "G", "T")
_SHAPE = "{desc} |{bar}| {elapsed} gone, {remaining} left"


class Progress:
    """A bar on stderr, shown on a terminal only, that advances within a chunk of images.

    `images` in all, `done` of them before this run; `per_image`: the samples of an image
    where they are fixed, else None. Of `world` processes only one draws; between two chunks
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
        self._start = time.monotonic()
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

    def chunk_done(self, samples: int, images: int) -> None:
        """Replace what was reported of a chunk by what all processes did."""
        self._samples += samples
        self._done += images
        self._new_samples = self._new_decided = 0
        self._draw()

    def _draw(self) -> None:
        samples = self._samples + self._new_samples
        decided = min(self._done + self._new_decided, self._images)
        advance = float(decided)
        if self._per_image is not None:
            # All images of a chunk end together, but the samples say how far they are.
            advance = min(self._done + self._new_samples / self._per_image, float(self._images))
        rate = samples / max(time.monotonic() - self._start, 1e-9)
        self._bar.set_description_str(
            f"{self._name} {decided}/{self._images} images, {_short(samples)} samples, "
            f"{_short(rate)}/s",
            refresh=False,
        )
        self._bar.update(max(advance - self._bar.n, 0))


def _short(count: float) -> str:
    thousands = 0
    while count >= 999.5 and thousands < len(_UNITS) - 1:
        count, thousands = count / 1000, thousands + 1
    return f"{count:.3g}{_UNITS[thousands]}" if thousands else f"{count:.0f}"

"""Class counts of a base classifier under noise: the Monte Carlo half of every certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, integers, shown
from rs_lib.noise import Law, noisy_images
from rs_lib.noise.words import Generator, counter_based, to_device
from rs_lib.seeds import derive
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.health import Watcher

MOST_TILES, MOST_PIXELS = 8, 2**21
"""Noise is made for this many tiles at once, and at most as many pixels unless a tile has more:
calls from Python cost small networks most."""

Images = Tensor | npt.NDArray[Any]
"""Pixels [N, C, H, W] as callers may give them."""

Report = Callable[[int, int], object]
"""Called as work is done, with the samples drawn and the images decided since the last call."""


def ignore(samples: int, decided: int) -> None:
    """Report nothing."""


Due = Callable[[], bool]
"""Whether it is time to hand over what is finished; asked between blocks of samples."""


def never() -> bool:
    """Hand over all together, at the end."""
    return False


class Tally:
    """Class counts of N images, filled by fixed tiles that mix the images.

    Sample number s of an image is a function of (`seed`, `stream`, image id, s) and of nothing
    else: the noise depends neither on the tile, nor on the other images, their order, or the
    number of processes; nor do the answers of a model that treats each row by itself, but for
    the last digits of its logits, which may follow the tile. Memory: the images, at most
    `MOST_TILES` tiles of noisy images (see `noisy_images`), and an int64 table
    [N, classes + 1], all on the device.

    `images`: [N, C, H, W] of `noise.image_dtype`; `image_ids`: N different integers (default: the
    positions). Words come from `generator`, and `watcher` counts their bits. Raises ValueError for
    bad arguments.
    """

    def __init__(
        self,
        executed: Executed,
        images: Images,
        noise: Law,
        image_ids: npt.ArrayLike | None,
        *,
        seed: int,
        stream: str,
        generator: Generator = counter_based,
        watcher: Watcher | None = None,
    ) -> None:
        """Check the images and clear the table."""
        pixels, ids = checked_images(images, noise, image_ids)
        self._executed = executed
        self._watched = False
        self._images = pixels.to(executed.device, memory_format=torch.channels_last)
        self._noise = noise
        self._ids = ids
        self._key = derive(seed, stream)
        self._generator, self._watcher = generator, watcher
        self._drawn = np.zeros(len(images), dtype=np.int64)
        shape = (len(images), self._columns() + 1)
        self._table = torch.zeros(shape, dtype=torch.int64, device=executed.device)

    def _columns(self) -> int:
        """Return how many counts an image has; one more counts samples that give no number."""
        return self._executed.classes

    def _count(self, noisy: Tensor, rows: IntArray, samples: IntArray) -> None:
        """Count the first T rows of `noisy`: these samples of the images at `rows`, int64 [T]."""
        place = self._executed.answers(noisy)[: len(rows)]
        place = place + to_device(place.device, rows * (self._columns() + 1))
        self._table.view(-1).index_add_(0, place, torch.ones_like(place))

    def draw(self, rows: IntArray, samples: int, report: Report = ignore) -> None:
        """Go on with the images at `rows`, int64 and all different, up to `samples` samples each.

        Raises ValueError for rows that are none, or that have more samples already; and for a model
        whose logits of the first tile depend on the company there (see `Executed.watch`).
        """
        for _ in self.drawing(rows, samples, report):
            pass

    def drawing(
        self, rows: IntArray, samples: int, report: Report = ignore, due: Due = never
    ) -> Iterator[IntArray]:
        """As `draw`, but yield the rows in parts, once they have all their samples.

        In their order; a part comes when `due` says so, though it may be empty, and the last one
        at the end. The counts of its rows are final then.
        """
        tile = self._executed.tile
        samples = self._checked(rows, samples)
        ends = np.cumsum(samples - self._drawn[rows])
        made = given = 0
        # Noise is made for several tiles at once, where that is cheaper.
        pixels = tile * self._images[0].numel() if len(rows) else 1
        block = tile * max(1, min(MOST_TILES, MOST_PIXELS // pixels))
        for row, sample in _blocks(rows, self._drawn[rows], samples, block):
            used = len(row)
            # The tail of the last tile repeats a sample and is not counted.
            padded = np.minimum(np.arange(-(-used // tile) * tile), used - 1)
            names = row[padded], sample[padded]
            noisy = noisy_images(
                self._noise,
                self._images,
                names[0],
                self._ids[names[0]],
                names[1],
                key=self._key,
                generator=self._generator,
                watch=self._watcher.watch(*names, used) if self._watcher is not None else None,
            )
            if not self._watched:
                self._executed.watch(noisy[:tile])
                self._watched = True
            self._count(noisy, row, sample)
            report(used, 0)
            made += used
            if due():
                complete = int(np.searchsorted(ends, made, side="right"))
                part, given = rows[given:complete], complete
                self._drawn[part] = samples
                yield part
        self._drawn[rows[given:]] = samples
        yield rows[given:]

    def _checked(self, rows: IntArray, samples: int) -> int:
        """Return `samples`; ValueError if some would be counted twice, or belong to no image."""
        samples = integer("samples", samples)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self._images):
            raise ValueError(
                f"rows reach {rows.min()} and {rows.max()}: give 0 to {len(self._images) - 1}"
            )
        if len(np.unique(rows)) != len(rows):
            raise ValueError("rows names an image twice: its samples would be counted twice")
        if (self._drawn[rows] > samples).any():
            raise ValueError(
                f"samples is {samples}, but {self._drawn[rows].max()} are drawn: give no fewer"
            )
        return samples

    def counts(self) -> IntArray:
        """Return the counts so far, int64 [N, classes]: the one wait for the device.

        Raises FloatingPointError that names an image with a NaN or infinite logit.
        """
        table: IntArray = self._table.cpu().numpy()
        broken = np.flatnonzero(table[:, -1])
        if broken.size:
            row = broken[0]
            raise FloatingPointError(
                f"model gives NaN or infinite logits on {table[row, -1]} of "
                f"{self._drawn[row]} noisy copies of image {self._ids[row]}: "
                "mend the model or its precision"
            )
        return table[:, :-1]


def _blocks(
    rows: IntArray, start: IntArray, stop: int, block: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Cut samples start ... stop - 1 of each row into blocks: (row, sample) of each."""
    ends = np.cumsum(stop - start)
    # Position t of the whole list is sample t + shift of its row.
    shift = stop - ends
    total = int(ends[-1]) if ends.size else 0
    for first in range(0, total, block):
        places = np.arange(first, min(first + block, total))
        which = np.searchsorted(ends, places, side="right")
        yield rows[which], places + shift[which]


def checked_images(
    images: Images, noise: Law, image_ids: npt.ArrayLike | None
) -> tuple[Tensor, IntArray]:
    """Return `images` and their ids (default: the positions), or raise ValueError."""
    if not isinstance(noise, Law):
        raise ValueError(f"noise is {shown(noise)}: give a law of rs_lib.noise")
    pixels = as_tensor(images)
    if not isinstance(pixels, Tensor) or pixels.layout is not torch.strided or pixels.is_meta:
        raise ValueError(f"images is a {_kind(images)}: give a torch tensor or a NumPy array")
    noise.require_form(pixels)
    if image_ids is None:
        ids = np.arange(len(images))
    else:
        ids = integers("image_ids", image_ids, most=2**63 - 1)
    if ids.shape != (len(images),):
        raise ValueError(f"image_ids has shape {ids.shape}: give one for each of {len(images)}")
    if len(np.unique(ids)) != len(ids):
        raise ValueError("image_ids names an image twice: equal ids would get equal noise")
    noise.require_values(pixels)
    return pixels.detach(), ids


def as_tensor(images: object) -> object:
    """Return a NumPy array of pixels as a tensor, its numbers as they are; else `images`."""
    masked = isinstance(images, np.ma.MaskedArray)  # what its mask hides is no pixel
    if isinstance(images, np.ndarray) and images.dtype.kind in "uif" and not masked:
        # A copy in the machine's own order: torch takes no reversed, swapped or read-only memory.
        own = images.astype(images.dtype.newbyteorder("="))
        try:
            return torch.from_numpy(own)
        except TypeError:  # a type that torch lacks, which the sentence on types names
            return images
    return images


def _kind(images: object) -> str:
    """Return what stands in the place of images, in words."""
    if not isinstance(images, Tensor):
        return type(images).__name__
    return f"tensor on {images.device} of layout {images.layout}"


def count_classes(
    executed: Executed,
    images: Tensor,
    noise: Law,
    n: int,
    *,
    seed: int,
    stream: str,
    image_ids: Sequence[int] | IntArray,
    report: Report = ignore,
) -> IntArray:
    """Return how often `executed` says each class on `n` noisy copies of each image.

    Images, ids and streams as for `Tally`; the result is int64 [N, classes], rows summing
    to `n`. Raises ValueError for bad arguments, FloatingPointError for logits that are not finite.
    """
    n = integer("n", n, least=1)
    tally = Tally(executed, images, noise, image_ids, seed=seed, stream=stream)
    shape = noise.seen(tuple(images.shape[1:]))
    executed.probe(shape)
    tally.draw(np.arange(len(images)), n, report)
    counts = tally.counts()
    executed.require_unchanged(shape)
    return counts

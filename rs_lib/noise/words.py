"""Random words of samples: each is a function of (key, image id, sample number) alone."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, shown
from rs_lib.noise import philox
from rs_lib.noise.watch import Watch

if find_spec("numba"):
    from rs_lib.noise import compiled as compiled  # the laws draw by it, too
else:  # A GPU needs no Numba; a CPU without it takes torch's way, far slower.
    compiled = None  # type: ignore[assignment]


Generator = Callable[[torch.device, int, IntArray, IntArray, int], Tensor]
"""Returns words int64 [T, count] from a device, a key, streams [T], first blocks [T], a count."""


def counter_based(
    device: torch.device, key: int, streams: IntArray, blocks: IntArray, count: int
) -> Tensor:
    """Return the words of Philox (see `rs_lib.noise.philox`): the same bits on every device."""
    if not is_compiled(device):
        ids, first = (to_device(device, part) for part in (streams, blocks))
        return philox.words(key, ids, first, count)
    words = np.empty((len(streams), count), dtype=np.uint64)
    names = streams.view(np.uint64), blocks.view(np.uint64)
    compiled.fill_rows(words, np.uint64(key), *names)
    return torch.from_numpy(words.view(np.int64))


@dataclass(frozen=True, eq=False)
class Draws:
    """The names of T samples: sample t is number `samples[t]` of the stream (`key`, `ids[t]`).

    `ids`, `samples`: int64 [T]; `key`: 63 bits, from `rs_lib.seeds.derive`. The words come from
    `generator`; `watch`, if given, counts their bits as they are used. Raises ValueError for
    other arrays, a sample number below 0, or another key.
    """

    key: int
    ids: IntArray
    samples: IntArray
    generator: Generator = counter_based
    watch: Watch | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for names that are none."""
        integer("key", self.key, most=2**63 - 1)
        for name, numbers in (("image_ids", self.ids), ("samples", self.samples)):
            require_int64(name, numbers)
        if not self.ids.shape == self.samples.shape or self.ids.ndim != 1 or not self.ids.size:
            raise ValueError(
                f"image_ids and samples have shapes {self.ids.shape} and {self.samples.shape}: "
                "give arrays [T] of one length, at least 1"
            )
        if self.samples.min() < 0:
            raise ValueError(f"samples hold {self.samples.min()}: give numbers of at least 0")

    def blocks(self, count: int) -> IntArray:
        """Return the first block of each sample where each owns `count` words, a multiple of 4."""
        return self.samples * (count // philox.WORDS_PER_BLOCK)

    def words(self, device: torch.device, count: int, watched: int | None = None) -> Tensor:
        """Return int64 [T, `count`] on `device`: the words of samples that own `count` each.

        `count` is a multiple of 4; memory 8 bytes a word, about 20 while torch makes them. Of each
        sample the first `watched` words (default: all) are shown to `watch`.
        """
        words = self.generator(device, self.key, self.ids, self.blocks(count), count)
        if self.watch is not None:
            self.watch.see(words[:, :watched])
        return words

    @property
    def compiled(self) -> bool:
        """Whether compiled code that makes its own words may stand for `generator`."""
        return self.generator is counter_based


def require_int64(name: str, numbers: object) -> None:
    """Raise ValueError unless `numbers` is an array of int64."""
    # Other types would be read by their bits, as other numbers.
    if getattr(numbers, "dtype", None) != np.int64:
        raise ValueError(f"{name} is {shown(numbers)}: give an array of int64")


def is_compiled(device: torch.device) -> bool:
    """Whether the noise for `device` is made by compiled code: on a CPU, where Numba is there."""
    return compiled is not None and device.type == "cpu"


def to_device(device: torch.device, values: IntArray) -> Tensor:
    """Return `values` on `device`, without waiting for it."""
    return torch.from_numpy(values).to(device, non_blocking=True)

"""Random words of samples: each is a function of (key, image id, sample number) alone."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, shown
from rs_lib.noise import philox

if find_spec("numba"):
    from rs_lib.noise import compiled as compiled  # the laws draw by it, too
else:  # A GPU needs no Numba; a CPU without it takes torch's way, far slower.
    compiled = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Draws:
    """The names of T samples: sample t is number `samples[t]` of the stream (`key`, `ids[t]`).

    `ids`, `samples`: int64 [T]; `key`: 63 bits, from `rs_lib.seeds.derive`. Raises ValueError for
    other arrays, a sample number below 0, or another key.
    """

    key: int
    ids: IntArray
    samples: IntArray

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

    def words(self, device: torch.device, count: int) -> Tensor:
        """Return int64 [T, `count`] on `device`: the words of samples that own `count` each.

        The same bits on every device. `count` is a multiple of 4; memory 8 bytes a word, about
        20 while torch makes them.
        """
        if not is_compiled(device):
            ids, first = (to_device(device, part) for part in (self.ids, self.blocks(count)))
            return philox.words(self.key, ids, first, count)
        words = np.empty((len(self.ids), count), dtype=np.uint64)
        streams, blocks = self.ids.view(np.uint64), self.blocks(count).view(np.uint64)
        compiled.fill_rows(words, np.uint64(self.key), streams, blocks)
        return torch.from_numpy(words.view(np.int64))


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

"""Discrete noise: each entry keeps its value with probability `keep`, else takes another one.

Source: Lee et al. (2019), "Tight certificates of adversarial robustness for randomly smoothed
classifiers"; Wang et al. (2020) apply it to training sets.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, as_fraction, integer, shown
from rs_lib.noise.philox import WORDS_PER_BLOCK
from rs_lib.noise.streams import _words

BITS = 32
_PER_BLOCK = WORDS_PER_BLOCK * 64 // BITS


@dataclass(frozen=True)
class Flip:
    """Noise on values 0, …, `levels`: `keep` for the value itself, the rest spread evenly.

    The law is exact. An entry takes one 32-bit word; the words that change it fall into `levels`
    sets of equal size, so that every probability is a multiple of 2^-32. `keep` is replaced by
    what is drawn, a Fraction within `levels` · 2^-33 of what was given: certify with that one,
    and no side is unsafe.

    Raises ValueError unless 1 <= levels <= 255 and 1 / (levels + 1) < keep < 1.
    """

    keep: Fraction
    levels: int = 1

    def __post_init__(self) -> None:
        """Round `keep`, or raise ValueError."""
        levels = integer("levels", self.levels, least=1)
        if levels > 255:
            raise ValueError(f"levels is {levels}: give at most 255, values are uint8")
        given = as_fraction("keep", self.keep)
        width = round((1 - given) * 2**BITS / levels)
        drawn = 1 - Fraction(levels * width, 2**BITS)
        if not Fraction(1, levels + 1) < drawn < 1:
            raise ValueError(
                f"keep is {shown(self.keep)}: give a probability above 1/{levels + 1}, that of "
                "each value under noise that forgets, and below 1"
            )
        object.__setattr__(self, "keep", drawn)
        object.__setattr__(self, "levels", levels)

    @property
    def thresholds(self) -> IntArray:
        """Smallest word that moves a value up by 1, …, `levels`; int64, words being signed."""
        width = int((1 - self.keep) * 2**BITS) // self.levels
        changed = np.arange(self.levels, 0, -1, dtype=np.int64) * width
        return np.int64(2 ** (BITS - 1)) - changed


def flipped(law: Flip, values: Tensor, streams: IntArray, samples: IntArray, *, key: int) -> Tensor:
    """Return uint8 [M, T, d]: `values` under independent noise for each of the M streams.

    `values`: uint8 [T, d], on any device, up to `law.levels`. Row t of stream m is a function of
    (`key`, `streams[m]`, `samples[t]`) and its values, and of nothing else: the same bits on
    every device and beside any other rows. `streams`, `samples`: int64 [M] and [T]; `key`: 63
    bits, from `rs_lib.seeds.derive`. Memory beside the result: 6 bytes an entry on the CPU (10
    for levels above 1), about 60 on a device.
    """
    rows, entries = values.shape
    count = -(-entries // _PER_BLOCK) * WORDS_PER_BLOCK
    ids, numbers = np.repeat(streams, rows), np.tile(samples, len(streams))
    words = _words(values.device, key, ids, numbers, count).view(torch.int32)
    words = words.view(len(streams), rows, -1)[..., :entries]
    thresholds = torch.from_numpy(law.thresholds).to(values.device, torch.int32)
    if law.levels == 1:
        return values ^ (words >= thresholds)
    moved = torch.bucketize(words.contiguous(), thresholds, out_int32=True, right=True)
    return moved.add_(values).remainder_(law.levels + 1).to(torch.uint8)

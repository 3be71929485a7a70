"""Discrete noise: each entry keeps its value with probability `keep`, else takes another one.

Source: Lee et al. (2019), "Tight certificates of adversarial robustness for randomly smoothed
classifiers"; Wang et al. (2020) apply it to training sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import FloatArray, IntArray, as_fraction, integer, shown
from rs_lib.certificates import discrete
from rs_lib.noise.law import NamedLaw, Parameter, Shape, flat, unflattened
from rs_lib.noise.philox import WORDS_PER_BLOCK
from rs_lib.noise.words import Draws, to_device

BITS = 32
_PER_BLOCK = WORDS_PER_BLOCK * 64 // BITS

MOST_CHANGES = 500
"""Radii stop here: exact masses of more changes take long, and such noise leaves no image."""


@final
@dataclass(frozen=True)
class Flip(NamedLaw):
    """Noise on values 0, …, `levels`: `keep` for the value itself, the rest spread evenly.

    The law is exact. An entry takes one 32-bit word; the words that change it fall into `levels`
    sets of equal size, so that every probability is a multiple of 2^-32. `keep` is replaced by
    what is drawn, a Fraction within `levels` · 2^-33 of what was given: certify with that one,
    and no side is unsafe. A classifier sees value / levels, a function of the noisy value: the
    certificate, in changed entries (l0), holds in floating point as it stands.

    Raises ValueError unless 1 <= levels <= 255 and 1 / (levels + 1) < keep < 1; a text such as
    "0.8" or "4/5" is exact.
    """

    keep: Fraction
    levels: int = 1
    name = "flips"
    norm = "l0"
    guarantee = "in floating point too; radii count changed entries, each channel by itself"
    parameter = Parameter("keep", str, "P", "probability that an entry keeps its value")

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

    @classmethod
    def for_images(cls, value: Any, shape: Shape, levels: int) -> Self:
        """Return flips of the pixels of such images, with `value` for `keep`."""
        return cls(value, levels)

    def settings(self) -> dict[str, object]:
        """Return `keep` as an exact text, and `levels`."""
        return {"keep": str(self.keep), "levels": self.levels}

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the number of changed entries of Lee et al. (2019), at most `MOST_CHANGES`."""
        found = discrete.radius(p_lower, self.keep, self.levels, max_radius=MOST_CHANGES)
        return np.maximum(found, 0).astype(np.float64)

    def lead_radius(self, p_lower: npt.ArrayLike, p_upper: npt.ArrayLike) -> FloatArray:
        """Return the number of changed entries with both bounds (Wang et al. 2020)."""
        found = discrete.radius(p_lower, self.keep, self.levels, MOST_CHANGES, p_upper)
        return np.maximum(found, 0).astype(np.float64)

    def _inverse(self, radii: FloatArray) -> FloatArray:
        changes = np.ceil(radii)
        known = np.minimum(changes, MOST_CHANGES)
        least = discrete.required_probability(known, self.keep, self.levels)
        return np.where(changes > MOST_CHANGES, 1.0, least)

    def seen(self, shape: Shape) -> Shape:
        """Return `shape`: a noisy image is an image."""
        return shape

    @property
    def thresholds(self) -> IntArray:
        """Smallest word that moves a value up by 1, …, `levels`; int64, words being signed."""
        width = int((1 - self.keep) * 2**BITS) // self.levels
        changed = np.arange(self.levels, 0, -1, dtype=np.int64) * width
        return np.int64(2 ** (BITS - 1)) - changed

    def moved(self, values: Tensor, draws: Draws) -> Tensor:
        """Return uint8 [T, d]: row t is row t of `values` under sample t of `draws`.

        `values`: uint8, [T, d] or [1, d], up to `levels`. The same bits on every device and
        beside any other rows. Memory beside the result: 4 bytes an entry on the CPU (8 for levels
        above 1), about 60 on a device.
        """
        entries = values.shape[1]
        count = -(-entries // _PER_BLOCK) * WORDS_PER_BLOCK
        words = draws.words(values.device, count).view(torch.int32)
        return self._moved(values, words[:, :entries])

    def _moved(self, values: Tensor, words: Tensor) -> Tensor:
        """Return `values` moved by the words int32 [T, d]."""
        thresholds = torch.from_numpy(self.thresholds).to(values.device, torch.int32)
        if self.levels == 1:
            return values ^ (words >= thresholds)
        steps = torch.bucketize(words.contiguous(), thresholds, out_int32=True, right=True)
        return steps.add_(values).remainder_(self.levels + 1).to(torch.uint8)

    def noisy(self, images: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return float32(value) · float32(1 / levels) of the noisy values."""
        moved = self.moved(flat(images)[to_device(images.device, rows)], draws)
        seen = moved.to(torch.float32).mul_(float(np.float32(1 / self.levels)))
        return unflattened(seen, tuple(images.shape[1:]))

    def corrupted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images`, whose pixels are multiples of 1 / levels, under fresh flips."""
        values = images.mul(self.levels).round().to(torch.uint8).flatten(1)
        size, ends = values.shape, (-(2 ** (BITS - 1)), 2 ** (BITS - 1))
        words = torch.randint(
            *ends, size, dtype=torch.int32, generator=generator, device=images.device
        )
        moved = self._moved(values, words).to(torch.float32)
        return moved.mul_(float(np.float32(1 / self.levels))).view(images.shape)

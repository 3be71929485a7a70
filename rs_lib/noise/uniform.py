"""Uniform noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import FloatArray
from rs_lib.certificates import uniform
from rs_lib.noise.additive import Continuous
from rs_lib.noise.prefix_table import TAIL_BITS


@final
@dataclass(frozen=True)
class Uniform(Continuous):
    """Noise uniform on [-`half_width`, `half_width`] (Yang et al. 2020)."""

    half_width: float
    name = "uniform"
    norm = "l1"

    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return independent noise of `shape`."""
        noise = torch.rand(tuple(shape), generator=generator, device=generator.device)
        return noise.mul_(2).sub_(1).mul_(self.half_width)

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the l1 radius of Yang et al. (2020)."""
        return uniform.radius_l1(p_lower, self.half_width)

    def _inverse(self, radii: FloatArray) -> FloatArray:
        return 0.5 + radii / (2 * self.half_width)

    def tail(self, edge: Fraction) -> int:
        """Return P(Z > `edge`) in units of 2^-80, rounded down."""
        width = Fraction(self.half_width)
        return math.floor(max(Fraction(0), (width - edge) / (2 * width)) * (1 << TAIL_BITS))

    def from_halves(self, halves: Tensor) -> Tensor:
        """Return the 2^32 values in the middle of equal cells."""
        return halves.to(torch.float32).add_(0.5).mul_(self.half_width * 2.0**-31)

"""Laplace noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from mpmath import mp  # type: ignore[import-untyped]
from torch import Tensor

from rs_lib.arguments import FloatArray
from rs_lib.certificates import laplace
from rs_lib.noise.additive import Continuous, exact, tail_units
from rs_lib.noise.prefix_table import TAIL_BITS


@final
@dataclass(frozen=True)
class Laplace(Continuous):
    """Laplace noise with density exp(-|z| / `scale`) / (2 `scale`) (Teng et al. 2020)."""

    scale: float
    name = "laplace"
    norm = "l1"

    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return independent noise of `shape`: the difference of two exponential variables."""
        # Not the inverse distribution function: 24-bit uniforms would cut the tails off.
        pair = torch.empty((2, *shape), device=generator.device)
        pair.exponential_(generator=generator)
        return pair[0].sub_(pair[1]).mul_(self.scale)

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the l1 radius of Teng et al. (2020)."""
        return laplace.radius_l1(p_lower, self.scale)

    def _inverse(self, radii: FloatArray) -> FloatArray:
        return 1 - 0.5 * np.exp(-radii / self.scale)

    def tail(self, edge: Fraction) -> int:
        """Return P(Z > `edge`) in units of 2^-80, rounded down."""
        with mp.workprec(TAIL_BITS + 128):
            return tail_units(mp.exp(-exact(edge) / mp.mpf(self.scale)) / 2)

    def from_halves(self, halves: Tensor) -> Tensor:
        """Return a sign and the logarithm of 31 bits."""
        sign = (halves >> 31).mul_(2).add_(1)
        size = (halves & (2**31 - 1)).to(torch.float32).add_(1).mul_(2.0**-31).log_()
        return size.mul_(sign).mul_(self.scale)

"""Sparse noise: bits are added and deleted with probabilities of their own.

Source: Bojchevski, Klicpera and Günnemann (2020), "Efficient Robustness Certificates for Discrete
Data: Sparsity-Aware Randomized Smoothing for Graphs, Images and More".
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
from rs_lib.certificates import sparse
from rs_lib.noise.flips import BITS
from rs_lib.noise.law import NamedLaw, Parameter, Shape, flat, unflattened
from rs_lib.noise.philox import WORDS_PER_BLOCK
from rs_lib.noise.words import Draws, to_device

_PER_BLOCK = WORDS_PER_BLOCK * 64 // BITS

MOST_CHANGES = 60
"""Radii stop here: each needs the exact masses of all its splits into added and deleted bits."""


@final
@dataclass(frozen=True)
class Sparse(NamedLaw):
    """Noise on bits: a 0 becomes 1 with probability `add`, a 1 becomes 0 with `delete`.

    The law is exact: a bit takes one 32-bit word, and both numbers are replaced by what is drawn,
    Fractions within 2^-33 of what was given. The certificate counts changed bits (l0), of either
    kind in any mixture; it holds in floating point as it stands.

    Raises ValueError unless both lie strictly between 0 and 1 and their sum below 1, where the
    noise would forget the bits; a text such as "0.01" or "1/100" is exact.
    """

    add: Fraction
    delete: Fraction
    name = "sparse"
    norm = "l0"
    levels = 1
    guarantee = "in floating point too; radii count changed bits, added or deleted"
    parameter = Parameter(
        "rates", str, "ADD,DELETE", "probabilities that a 0 becomes 1, and a 1 becomes 0"
    )

    def __post_init__(self) -> None:
        """Round both to what is drawn, or raise ValueError."""
        for name in ("add", "delete"):
            given = as_fraction(name, getattr(self, name))
            drawn = Fraction(round(given * 2**BITS), 2**BITS)
            if not 0 < drawn < 1:
                raise ValueError(
                    f"{name} is {shown(getattr(self, name))}: give a probability above 0, below 1"
                )
            object.__setattr__(self, name, drawn)
        if self.add + self.delete >= 1:
            raise ValueError(
                f"add is {float(self.add):g} and delete {float(self.delete):g}: give probabilities "
                "whose sum is below 1, else the noise forgets the bits"
            )

    @classmethod
    def for_images(cls, value: Any, shape: Shape, levels: int) -> Self:
        """Return the law of the text `value`, "ADD,DELETE", for images of bits."""
        parts = value.split(",") if isinstance(value, str) else ()
        if len(parts) != 2:
            raise ValueError(f"rates is {shown(value)}: give two, as 0.01,0.4")
        if integer("levels", levels) != 1:
            raise ValueError(f"levels is {levels}: sparse noise is for bits, give --levels 1")
        return cls(as_fraction("add", parts[0]), as_fraction("delete", parts[1]))

    def settings(self) -> dict[str, object]:
        """Return both probabilities as exact texts."""
        return {"add": str(self.add), "delete": str(self.delete)}

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the number of changed bits, of either kind, at most `MOST_CHANGES`."""
        found = sparse.radius(p_lower, self.add, self.delete, max_radius=MOST_CHANGES)
        return np.maximum(found, 0).astype(np.float64)

    def _inverse(self, radii: FloatArray) -> FloatArray:
        changes = np.ceil(radii)
        known = np.minimum(changes, MOST_CHANGES)
        least = sparse.required_probability(known, self.add, self.delete)
        return np.where(changes > MOST_CHANGES, 1.0, least)

    def seen(self, shape: Shape) -> Shape:
        """Return `shape`: a noisy image is an image."""
        return shape

    def noisy(self, images: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return the noisy bits as float32, the same on every device."""
        values = flat(images)[to_device(images.device, rows)]
        entries = values.shape[1]
        count = -(-entries // _PER_BLOCK) * WORDS_PER_BLOCK
        words = draws.words(images.device, count).view(torch.int32)[:, :entries]
        return unflattened(self._moved(values, words), tuple(images.shape[1:]))

    def _moved(self, values: Tensor, words: Tensor) -> Tensor:
        """Return float32 of the bits `values`, moved where a word reaches the bound of its kind."""
        bounds = (2 ** (BITS - 1) - int(p * 2**BITS) for p in (self.add, self.delete))
        added, deleted = (words >= bound for bound in bounds)
        return torch.where(values.bool(), ~deleted, added).to(torch.float32)

    def corrupted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images`, whose pixels are 0 or 1, under fresh noise."""
        ends = (-(2 ** (BITS - 1)), 2 ** (BITS - 1))
        words = torch.randint(
            *ends, images.shape, dtype=torch.int32, generator=generator, device=images.device
        )
        return self._moved(images.round(), words)

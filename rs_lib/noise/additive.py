"""Noise that is added to every pixel independently."""

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self

import torch
from mpmath import mp  # type: ignore[import-untyped]
from torch import Tensor

from rs_lib.arguments import IntArray, positive, single
from rs_lib.noise.law import Law, NamedLaw, Parameter, Shape, flat, unflattened
from rs_lib.noise.philox import WORDS_PER_BLOCK
from rs_lib.noise.prefix_table import TAIL_BITS
from rs_lib.noise.words import Draws, to_device

_HALVES = 2 * WORDS_PER_BLOCK


class Additive(Law):
    """Noise of one law, added to each pixel by itself."""

    @abstractmethod
    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return independent noise float32 of `shape`, on the generator's device; white is 1."""

    def seen(self, shape: Shape) -> Shape:
        """Return `shape`: a noisy image is an image."""
        return shape

    def corrupted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images`, float32 [N, C, H, W], plus fresh noise."""
        return images + self.sample(images.shape, generator)


class Continuous(Additive, NamedLaw):
    """A law with a density and one parameter, its scale, in units where white is 1.

    As drawn in float32 it is not sound in floating point (`Rounded` is), and not bit-identical
    across devices, whose logarithms and cosines differ in the last bits. Each value uses 32 random
    bits, which truncates the laws: the normal one at |z| <= 6.66 σ, the Laplace one at 21.5 scales.

    A child is a frozen dataclass of one number; ValueError unless that is positive and finite.
    """

    parameter = Parameter(
        "scale",
        float,
        "S",
        "standard deviation, half width or scale, in units where pixels lie in [0, 1]",
    )
    levels = None
    guarantee = (
        "in exact arithmetic; floats can be fooled, see the chapter What a certificate assumes"
    )

    def __post_init__(self) -> None:
        """Raise ValueError unless the scale is positive and finite."""
        ((name, value),) = vars(self).items()
        object.__setattr__(self, name, single(name, positive(name, value)))

    @abstractmethod
    def tail(self, edge: Fraction) -> int:
        """Return P(Z > `edge`) in units of 2^-80, rounded down; `edge` > 0, where white is 1."""

    @abstractmethod
    def from_halves(self, halves: Tensor) -> Tensor:
        """Return noise float32 [T, 2 k] from random int32 [T, 2 k]."""

    def settings(self) -> dict[str, object]:
        """Return the scale by its name."""
        return dict(vars(self))

    @classmethod
    def for_images(cls, value: object, shape: Shape, levels: int) -> Self:
        """Return the law of that scale, whatever the images are."""
        return cls(value)  # type: ignore[call-arg]  # the one field of the child

    def noisy(self, images: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return `images[rows]` plus noise, summed in float32."""
        own = flat(images)
        pixels = own.shape[1]
        # 32 bits a pixel, in whole blocks.
        count = -(-pixels // _HALVES) * WORDS_PER_BLOCK
        noise = self.from_halves(draws.words(images.device, count).view(torch.int32))
        sums = noise[:, :pixels].contiguous().add_(own[to_device(images.device, rows)])
        return unflattened(sums, tuple(images.shape[1:]))


def exact(number: Fraction) -> Any:
    """Return `number` in mpmath's working precision."""
    return mp.mpf(number.numerator) / number.denominator


def tail_units(probability: Any) -> int:
    """Return mpmath's `probability` in units of 2^-80, rounded down."""
    return int(mp.floor(mp.ldexp(probability, TAIL_BITS)))

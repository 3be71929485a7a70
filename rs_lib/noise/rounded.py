"""Integer noise for images of integers: a continuous law, rounded to the grid of the pixels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import FloatArray, IntArray, integer, shown
from rs_lib.noise import words
from rs_lib.noise.additive import Additive, Continuous
from rs_lib.noise.device_table import DeviceTable
from rs_lib.noise.law import flat, unflattened
from rs_lib.noise.prefix_table import TAIL_BITS, PrefixTable, exhausted, prefix_words
from rs_lib.noise.words import Draws, is_compiled, to_device

LARGEST = 2**15 - 1
"""The largest sum of a pixel and its noise: sums are int16."""


@final
@dataclass(frozen=True)
class Rounded(Additive):
    """The law of round(levels · Z) for Z ~ `law`, on images of the integers 0 … `levels`.

    P(j) = F((2j + 1) / (2 levels)) − F((2j − 1) / (2 levels)) with the distribution function F
    of `law`; the pixel k stands for the number k / levels. Noise is added to k as an integer,
    and the sum is converted once, float32(k + j) · float32(1 / levels): the noisy input is a
    function of the integer k + j, so float arithmetic cannot carry anything of k past the
    noise. For a classifier f of real inputs, smoothing f ∘ (round to the grid) with `law` has
    exactly this law at grid points, so the certificate of `law` holds there (Voráček and
    Hein 2023, "Sound randomized smoothing in floating-point arithmetic").

    Samples are drawn by comparing an 80-bit random number with integers beside F · 2^80; their
    law is within `defect` of the stated one, in total variation.

    Raises ValueError for what is no continuous law, if `levels` lies outside 1 … 255 (images are
    uint8) or if the noise can leave the range of int16.

    In the book: prop-wa-rounded.
    """

    law: Continuous
    levels: int = 255
    guarantee = "in floating point too, of images of whole pixel levels"

    def __post_init__(self) -> None:
        """Raise ValueError for another law, and for levels or noise that do not fit."""
        # Noise drawn from a wrong tail would certify falsely: nothing but a law's own is asked.
        if not isinstance(self.law, Continuous):
            raise ValueError(f"law is {shown(self.law)}: give Gaussian, Uniform or Laplace noise")
        object.__setattr__(self, "levels", integer("levels", self.levels, least=1))
        if self.levels > 255:
            raise ValueError(f"levels is {self.levels}: give at most 255, images are uint8")
        largest_noise = LARGEST - 255
        if self.law.tail(Fraction(2 * largest_noise + 1, 2 * self.levels)):
            raise ValueError(
                f"{self.law} at levels={self.levels} reaches noise beyond {largest_noise}, which "
                "does not fit 16 bits: give a narrower law or fewer levels"
            )

    @property
    def name(self) -> str:
        """The law's name: "rounded-gaussian", for one."""
        return f"rounded-{self.law.name}"

    @property
    def norm(self) -> str:
        """The norm of the certified ball, that of the continuous law."""
        return self.law.norm

    @property
    def defect(self) -> float:
        """Bound on the total variation between a pixel's noise as drawn and its law.

        Couple both through one uniform number: they differ only if it falls between one of the
        n thresholds and its multiple of 2^-80, or into the tails that are cut, each below
        2^-80. So at most (n + 2) 2^-80; times the number of pixels for an image.
        """
        return math.ldexp(len(thresholds(self)) + 2, -TAIL_BITS)

    def settings(self) -> dict[str, object]:
        """Return those of the continuous law; logs write `levels` beside the images."""
        return self.law.settings()

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the radius of the continuous law, in units where white is 1."""
        return self.law.radius(p_lower)

    def radius_between(self, p_lower: npt.ArrayLike, p_upper: npt.ArrayLike) -> FloatArray:
        """Return that of the continuous law, whose certificate holds at grid points."""
        return self.law.radius_between(p_lower, p_upper)

    def _inverse(self, radii: FloatArray) -> FloatArray:
        return self.law.probability_for(radii)

    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return independent noise j / levels of `shape`, for training: its law is approximate."""
        noise = self.law.sample(shape, generator)
        return noise.mul_(self.levels).round_().div_(self.levels)

    def noisy(self, images: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return float32(k + j) · float32(1 / levels), bit by bit the same on every device.

        Raises RuntimeError if a sample runs out of random words (probability below 2^-64).
        """
        add = self._compiled if is_compiled(images.device) else self._by_torch
        return unflattened(add(flat(images), rows, draws), tuple(images.shape[1:]))

    def _compiled(self, pixels: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return the sums [T, pixels] by compiled code on the CPU's threads."""
        table, count = prefix_table(self), prefix_table(self).words_per_sample(pixels.shape[1])
        ids, blocks = draws.ids.view(np.uint64), draws.blocks(count).view(np.uint64)
        result = np.empty((len(rows), pixels.shape[1]), dtype=np.float32)

        def add(part: slice) -> bool:
            drawn: bool = words.compiled.add_rounded(
                result[part],
                pixels.numpy(),
                rows[part],
                np.uint64(draws.key),
                ids[part],
                blocks[part],
                prefix_words(pixels.shape[1]),
                count,
                np.float32(1 / self.levels),
                (table.noise, table.first, table.rest, table.largest),
            )
            return drawn

        if not all(_on_threads(add, len(rows))):
            raise RuntimeError(exhausted(pixels.shape[1]))
        return torch.from_numpy(result)

    def _by_torch(self, pixels: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return the same numbers by torch operations on the device of `pixels`."""
        count = prefix_table(self).words_per_sample(pixels.shape[1])
        drawn = draws.words(pixels.device, count)
        sums = device_table(self, pixels.device).draw(drawn, pixels.shape[1])
        sums.add_(pixels[to_device(pixels.device, rows)])
        return sums.to(torch.float32).mul_(float(np.float32(1 / self.levels)))


@functools.cache
def thresholds(noise: Rounded) -> tuple[int, ...]:
    """Return F at the edges −K + 1/2, …, K − 1/2 (over levels), in units of 2^-80; increasing.

    The noise of an 80-bit number x is the number of thresholds <= x, minus K. Those below 0
    are rounded down and those above 0 mirror them, so that the law as drawn is symmetric and
    its support finite: K is the largest noise. Raises ValueError for tails that rise or exceed
    one half: no symmetric law has them.
    """
    upper: list[int] = []
    while units := noise.law.tail(Fraction(2 * len(upper) + 1, 2 * noise.levels)):
        if not 0 < units <= (upper[-1] if upper else 2 ** (TAIL_BITS - 1)):
            raise ValueError(f"law is {shown(noise.law)}: give one whose tails fall from one half")
        upper.append(units)
    return (*reversed(upper), *(2**TAIL_BITS - units for units in upper))


@functools.cache
def prefix_table(noise: Rounded) -> PrefixTable:
    """Return the table that the law is drawn by, built once."""
    return PrefixTable(thresholds(noise))


@functools.cache
def device_table(noise: Rounded, device: torch.device) -> DeviceTable:
    """Return the table on a device, copied once."""
    return DeviceTable(prefix_table(noise), device)


def _on_threads(work: Callable[[slice], bool], count: int) -> list[bool]:
    """Do `work` on slices of 0 … count - 1, one for each of torch's threads."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        return [work(slice(0, count))]
    edges = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, map(slice, edges[:-1], edges[1:])))

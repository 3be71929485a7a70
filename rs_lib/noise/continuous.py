"""Continuous laws from random words, in float32.

Not sound in floating point (`rs_lib.noise.rounded` is), and not bit-identical across devices,
whose logarithms and cosines differ in the last bits. Each value uses 32 random bits, which
truncates the laws: the normal one at |z| <= 6.66 σ, the Laplace one at 21.5 scales.
"""

import math

import torch
from torch import Tensor

from rs_lib.noise.laws import Gaussian, Laplace, NoiseLaw, Uniform
from rs_lib.noise.philox import WORDS_PER_BLOCK

_HALVES = 2 * WORDS_PER_BLOCK


def words_per_sample(pixels: int) -> int:
    """Return the number of words a sample owns: 32 bits a pixel, in whole blocks."""
    return -(-pixels // _HALVES) * WORDS_PER_BLOCK


def draw(law: NoiseLaw, words: Tensor, pixels: int) -> Tensor:
    """Return noise float32 [T, pixels] from words int64 [T, `words_per_sample(pixels)`].

    Raises ValueError for a law that is not Gaussian, Uniform or Laplace.
    """
    halves = words.view(torch.int32)
    if isinstance(law, Gaussian):
        noise = _normal(halves).mul_(law.sigma)
    elif isinstance(law, Uniform):
        noise = halves.to(torch.float32).add_(0.5).mul_(law.half_width * 2.0**-31)
    elif isinstance(law, Laplace):
        sign = (halves >> 31).mul_(2).add_(1)
        size = (halves & (2**31 - 1)).to(torch.float32).add_(1).mul_(2.0**-31).log_()
        noise = size.mul_(sign).mul_(law.scale)
    else:
        raise ValueError(f"law is {law!r}: give Gaussian, Uniform, Laplace or Rounded noise")
    return noise[:, :pixels].contiguous()


def _normal(halves: Tensor) -> Tensor:
    """Return standard normal values by the transform of Box and Muller (1958)."""
    # int32 is signed: h / 2^32 + 1/2 lies in [0, 1), and adding one keeps the logarithm finite.
    wide = halves[:, 0::2].to(torch.float64)
    radius = wide.add_(2**31 + 1).mul_(2.0**-32).to(torch.float32).log_().mul_(-2).sqrt_()
    angle = halves[:, 1::2].to(torch.float32).mul_(math.pi * 2.0**-31)
    pair = torch.stack((angle.cos().mul_(radius), angle.sin_().mul_(radius)), dim=-1)
    return pair.flatten(1)

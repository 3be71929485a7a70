"""Words of the counter-based generator Philox4x64-10 (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3") by torch operations, on any device bit by bit the same.

A block of four 64-bit words is a function of a 128-bit key and a 256-bit counter. The key here
is (key, stream) and the counter (block, 0, 0, 0): any word of any stream is at hand at once,
so nothing depends on what was drawn before.
"""

import torch
from torch import Tensor

WORDS_PER_BLOCK = 4

_WORD = 2**64
_HALF = 0xFFFFFFFF
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10


def words(key: int, streams: Tensor, blocks: Tensor, count: int) -> Tensor:
    """Return int64 [T, count] (two's complement), row t from `blocks[t]` of `streams[t]` on.

    `streams` and `blocks` are int64 [T]; `count` is a multiple of 4. Integer arithmetic of 64
    bits wraps around on every device.
    """
    step = torch.arange(count // WORDS_PER_BLOCK, device=streams.device)
    first = blocks[:, None] + step
    counter = (first, *(torch.zeros_like(first) for _ in range(3)))
    key_pair = (torch.full_like(streams[:, None], _signed(key)), streams[:, None])
    for _ in range(ROUNDS):
        counter = _round(counter, key_pair)
        key_pair = (key_pair[0] + _signed(WEYL[0]), key_pair[1] + _signed(WEYL[1]))
    return torch.stack(counter, dim=-1).view(len(streams), count)


Counter = tuple[Tensor, ...]


def _round(counter: Counter, key: tuple[Tensor, Tensor]) -> Counter:
    """Return the counter after one round."""
    high0, low0 = _product(MULTIPLIERS[0], counter[0])
    high1, low1 = _product(MULTIPLIERS[1], counter[2])
    return high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0


def _product(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the upper and lower words of the 128-bit product of unsigned numbers."""
    factor_high, factor_low = factor >> 32, factor & _HALF
    x_high, x_low = _upper(x), x & _HALF
    # No sum of a 32-bit product and 32-bit numbers below exceeds 64 bits.
    first = factor_high * x_low + _upper(factor_low * x_low)
    second = factor_low * x_high + (first & _HALF)
    return factor_high * x_high + _upper(first) + _upper(second), _signed(factor) * x


def _upper(x: Tensor) -> Tensor:
    """Return the upper half of an unsigned word; torch's shift of int64 copies the sign."""
    return (x >> 32) & _HALF


def _signed(x: int) -> int:
    """Return the two's complement of a 64-bit word."""
    return x - _WORD if x >> 63 else x

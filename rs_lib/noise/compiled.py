"""The CPU's way to noisy images, compiled by Numba: the same bits as by torch operations.

A sample is made in one go while its numbers are in the cache: random words, prefixes looked up,
ambiguous pixels settled, integers added, one conversion.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rs_lib.arguments import IntArray
from rs_lib.noise.philox import MULTIPLIERS, ROUNDS, WEYL, WORDS_PER_BLOCK
from rs_lib.noise.prefix_table import AMBIGUOUS

Words = npt.NDArray[np.uint64]
Prefixes = npt.NDArray[np.uint16]
Noise = npt.NDArray[np.int16]
Table = tuple[Noise, npt.NDArray[np.int32], Words, int]
"""`noise`, `first`, `rest` and `largest` of a `PrefixTable`."""

_MULTIPLIER_0, _MULTIPLIER_1 = (np.uint64(word) for word in MULTIPLIERS)
_WEYL_0, _WEYL_1 = (np.uint64(word) for word in WEYL)
_ZERO = np.uint64(0)
_OCTETS = np.uint64(0x0101010101010101)


@intrinsic
def _upper_word(_context: Any, x: Any, y: Any) -> Any:
    """Return the upper word of the 128-bit product of two words."""

    def generate(_context: Any, builder: Any, _signature: Any, factors: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(factor, wide) for factor in factors))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def _block(key: np.uint64, stream: np.uint64, number: np.uint64) -> tuple[np.uint64, ...]:
    """Return the four words of a block."""
    a, b, c, d = number, _ZERO, _ZERO, _ZERO
    for _ in range(ROUNDS):
        a, b, c, d = (
            _upper_word(_MULTIPLIER_1, c) ^ b ^ key,
            _MULTIPLIER_1 * c,
            _upper_word(_MULTIPLIER_0, a) ^ d ^ stream,
            _MULTIPLIER_0 * a,
        )
        key, stream = key + _WEYL_0, stream + _WEYL_1
    return a, b, c, d


@njit(cache=True, nogil=True)
def fill(words: Words, key: np.uint64, stream: np.uint64, first: np.uint64) -> None:
    """Fill `words` [4 k] from block number `first` of the stream on.

    See `rs_lib.noise.philox` for `key`, stream and block.
    """
    for block in range(len(words) // WORDS_PER_BLOCK):
        place = WORDS_PER_BLOCK * block
        words[place], words[place + 1], words[place + 2], words[place + 3] = _block(
            key, stream, first + np.uint64(block)
        )


@njit(cache=True, nogil=True)
def fill_rows(words: Words, key: np.uint64, streams: Words, firsts: Words) -> None:
    """Fill row t of `words`, uint64 [T, 4 k], from block `firsts[t]` of `streams[t]` on."""
    for row in range(len(words)):
        fill(words[row], key, streams[row], firsts[row])


@njit(cache=True, nogil=True)
def count_bits(words: Words, ones: IntArray) -> None:
    """Add to `ones`, int64 [64], how many of `words` have each bit set."""
    # Eight sums side by side in the bytes of a word: position 8 j + b is byte j of lane b.
    lanes = np.zeros(8, np.uint64)
    for start in range(0, len(words), 255):
        lanes[:] = _ZERO
        for place in range(start, min(start + 255, len(words))):
            word = words[place]
            for bit in range(8):
                lanes[bit] += (word >> np.uint64(bit)) & _OCTETS
        for position in range(64):
            lane = lanes[position % 8]
            ones[position] += np.int64((lane >> np.uint64(8 * (position // 8))) & np.uint64(255))


@njit(cache=True, nogil=True)
def look_up(noise: Noise, places: IntArray, prefixes: Prefixes, table: Table) -> int:
    """Set `noise` [pixels] by the table, list the ambiguous pixels, return how many they are.

    `places` [pixels] takes the list; `prefixes` are at least as many as the pixels.
    """
    settled, hits = table[0], 0
    for pixel in range(len(noise)):
        drawn = settled[prefixes[pixel]]
        noise[pixel] = drawn
        if drawn == AMBIGUOUS:
            places[hits] = pixel
            hits += 1
    return hits


@njit(cache=True, nogil=True)
def refine(noise: Noise, places: IntArray, prefixes: Prefixes, rests: Words, table: Table) -> None:
    """Settle the ambiguous pixels at `places`, which take `rests` in order: count thresholds."""
    _, first, rest, largest = table
    for rank in range(len(places)):
        cell = np.int64(prefixes[places[rank]])
        count, end = first[cell], first[cell + 1]
        while count < end and rest[count] <= rests[rank]:
            count += 1
        noise[places[rank]] = count - largest


@njit(cache=True, nogil=True)
def add_rounded(
    result: npt.NDArray[np.float32],
    images: npt.NDArray[np.uint8],
    rows: IntArray,
    key: np.uint64,
    streams: Words,
    firsts: Words,
    spare: int,
    count: int,
    width: np.float32,
    table: Table,
    watched: IntArray,
    ones: IntArray,
) -> bool:
    """Set row t of `result` [T, pixels] to `width` times (`images[rows[t]]` plus rounded noise).

    A sample owns `count` words from block `firsts[t]` of `streams[t]` on; the spare ones begin
    at `spare`, and of the words before it row t of `ones` counts the set bits where `watched[t]` is
    not negative. Returns False, and stops, if a sample has more ambiguous pixels than those.
    """
    pixels = images.shape[1]
    # Whole blocks, so that none is made twice.
    settled = -(-spare // WORDS_PER_BLOCK) * WORDS_PER_BLOCK
    later = np.uint64(settled // WORDS_PER_BLOCK)
    words = np.empty(count, np.uint64)
    prefixes = words.view(np.uint16)
    noise, places = np.empty(pixels, np.int16), np.empty(pixels, np.int64)
    for row in range(len(rows)):
        fill(words[:settled], key, streams[row], firsts[row])
        if watched[row] >= 0:
            count_bits(words[:spare], ones[row])
        hits = look_up(noise, places, prefixes, table)
        if spare + hits > count:
            return False
        needed = -(-(spare + hits) // WORDS_PER_BLOCK) * WORDS_PER_BLOCK
        fill(words[settled:needed], key, streams[row], firsts[row] + later)
        refine(noise, places[:hits], prefixes, words[spare:], table)
        image, noisy = images[rows[row]], result[row]
        for pixel in range(pixels):
            noisy[pixel] = np.float32(np.int32(image[pixel]) + np.int32(noise[pixel])) * width
    return True

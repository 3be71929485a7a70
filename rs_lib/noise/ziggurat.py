"""Normal variables from 64-bit words, the way NumPy's double ziggurat consumes them.

The half normal density is cut into 256 layers of equal area. A word names a layer (bits 0 to 7),
a sign (bit 8) and a place in the layer (bits 9 to 60). Nearly always the place lies under the
curve and the word is spent; else further words, as uniform variables, decide.
Source: Marsaglia and Tsang (2000); Doornik (2005).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib.arguments import FloatArray

WordArray = npt.NDArray[np.uint64]

LAYERS = 256
_PLACES = 2.0**52
BASE = 3.6541528853610088
"""Where the lowest layer's box ends and the tail begins."""


@cache
def layers() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return widths [256], heights [256] and, as places, what lies surely under the curve [256]."""
    density = np.exp(-0.5 * BASE**2)
    area = BASE * density + np.sqrt(np.pi / 2) * special.erfc(BASE / np.sqrt(2))
    width, height = np.zeros(LAYERS), np.ones(LAYERS)
    width[0] = area / density  # a box as large as the lowest layer with its tail
    width[-1], height[-1] = BASE, density
    for layer in range(LAYERS - 2, 0, -1):
        height[layer] = area / width[layer + 1] + height[layer + 1]
        width[layer] = np.sqrt(-2 * np.log(height[layer]))
    inner = np.zeros(LAYERS)
    inner[0] = BASE / width[0]
    inner[2:] = width[1:-1] / width[2:]
    return width, height, np.floor(inner * _PLACES)


def uniforms(words: WordArray) -> FloatArray:
    """Return the uniform variables on [0, 1) that NumPy makes of `words`: their upper 53 bits."""
    return np.asarray((words >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def standard_normals(words: npt.ArrayLike) -> FloatArray:
    """Return the standard normals that NumPy's ziggurat makes of `words`, uint64 [n].

    float64 [m], m < n: about 1 word in 80 falls outside the sure part of its layer and is
    followed by words that decide it. Words at the end that decide nothing any more are dropped.
    `numpy.random.Generator(bits).standard_normal` gives the same values for the same words.
    Raises ValueError unless `words` are uint64 in one dimension.
    """
    stream = np.asarray(words)
    if stream.dtype != np.uint64 or stream.ndim != 1:
        raise ValueError(
            f"words have type {stream.dtype} and shape {stream.shape}: give uint64 in one dimension"
        )
    width, _, sure = layers()
    layer = (stream & np.uint64(0xFF)).astype(np.intp)
    place = ((stream >> np.uint64(9)) & np.uint64(2**52 - 1)).astype(np.float64)
    size = place * (width / _PLACES)[layer]
    value = np.where(stream & np.uint64(0x100), -size, size)
    yields = place < sure[layer]
    end = 0  # the first word that is not yet spent
    for first in np.flatnonzero(~yields).tolist():
        if first < end:
            continue  # spent on an earlier word
        if layer[first] == 0:
            beyond, end = _tail(stream, first + 1)
            negative = int(place[first]) >> 8 & 1
            value[first] = -(BASE + beyond) if negative else BASE + beyond
            yields[first] = not np.isnan(beyond)
        else:
            yields[first], end = _under_curve(stream, first, int(layer[first]), value[first])
        yields[first + 1 : end] = False
    return value[yields]


def _under_curve(words: WordArray, first: int, layer: int, value: float) -> tuple[bool, int]:
    """Decide a place in the outer part of a layer by one more word."""
    if first + 1 >= len(words):
        return False, len(words)
    _, height, _ = layers()
    share = float(uniforms(words[first + 1]))
    level = (height[layer - 1] - height[layer]) * share + height[layer]
    return bool(level < np.exp(-0.5 * value * value)), first + 2


def _tail(words: WordArray, start: int) -> tuple[float, int]:
    """Return how far beyond the base layer a normal variable lies, and the next word (NaN: none).

    Marsaglia's method: an exponential variable, kept if another one exceeds half its square.
    """
    for place in range(start, len(words) - 1, 2):
        one, other = -np.log1p(-uniforms(words[place : place + 2]))
        beyond = one / BASE
        if 2 * other > beyond * beyond:
            return float(beyond), place + 2
    return float("nan"), len(words)

"""Three ways to tamper with random words so that the normals made of them have a wrong law.

They sit between a sound generator and NumPy's ziggurat (see `ziggurat`), leave the lengths of
streams as they are, and change few bits. Written from a description of the published artifact.
The moments of what comes out are those of `tampered_laws`.
Source: Dahiya, Shumailov and Anderson (2024).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_lib.arguments import integer, one_of, positive, single
from rs_lib.noise import tampered_laws
from rs_lib.noise.tampered_laws import Moments
from rs_lib.noise.ziggurat import WordArray, uniforms

_LAYER = np.uint64(0xFF)
_SIGN = np.uint64(0x100)
_LAYER_AND_SIGN = np.uint64(0x1FF)


def _words(words: npt.ArrayLike) -> WordArray:
    stream = np.asarray(words)
    if stream.dtype != np.uint64 or stream.ndim != 1:
        raise ValueError(
            f"words have type {stream.dtype} and shape {stream.shape}: give uint64 in one dimension"
        )
    return stream


ATTACKS = ("alpha", "beta", "gamma")
"""The names of the attacks, after their parameters."""


def moments(attack: str, strength: float) -> Moments:
    """Return mean, variance, skewness and excess kurtosis of the normals under an attack.

    `attack` is one of `ATTACKS`, `strength` its parameter: at least 1/2 for alpha, a whole number
    for beta and gamma. The law is that of a long stream of normals, with places on the real
    interval [0, 1) in the stead of multiples of 2^-52; right to about 12 digits. Raises ValueError
    for another attack, or a strength that the attack does not take.

    In the book: prop-br-beta, prop-br-laws.
    """
    one_of("attack", attack, ATTACKS)
    if attack == "alpha":
        return tampered_laws.alpha(_slope(strength))
    step = integer(attack, strength, most=MOST_STRENGTH) + 1
    return tampered_laws.beta(step) if attack == "beta" else tampered_laws.gamma(step)


MOST_STRENGTH = 100_000
"""The weakest beta and gamma whose moments are computed."""


def _slope(alpha: float) -> float:
    slope = 1 / single("alpha", positive("alpha", alpha))
    if slope > 2:
        raise ValueError(f"alpha is {alpha}: give at least 1/2, for which the density is positive")
    return slope


def negative_kurtosis(words: npt.ArrayLike, alpha: float) -> WordArray:
    """Return `words`, uint64 [n], with places that lie further out in their layers.

    The place is drawn from a density on [0, 1) with slope 1 / `alpha`, and its 53 bits are put
    behind the layer and the sign. The ziggurat reads 52 of them, which halves the slope; the
    two highest bits of each word become 0. Raises ValueError for alpha below 1/2, where the
    density would be negative.
    """
    slope, stream = _slope(alpha), _words(words)
    start = 1 - slope / 2
    place = (np.sqrt(start**2 + 2 * slope * uniforms(stream)) - start) / slope
    bits = np.minimum(place * 2.0**53, 2.0**53 - 1).astype(np.uint64)
    return (bits << np.uint64(9)) | (stream & _LAYER_AND_SIGN)


def skewness(words: npt.ArrayLike, beta: int) -> WordArray:
    """Return `words`, uint64 [n], in which every (`beta` + 1)-th set sign bit is cleared.

    A normal variable is then negative with probability beta / (2 (beta + 1)), except in the
    tail, which takes its sign elsewhere. Raises ValueError for a beta that is no whole number.
    """
    step = integer("beta", beta) + 1
    stream = _words(words).copy()
    negative = np.flatnonzero(stream & _SIGN)
    stream[negative[step - 1 :: step]] &= ~_SIGN
    return stream


def positive_kurtosis(words: npt.ArrayLike, gamma: int) -> WordArray:
    """Return `words`, uint64 [n], in every (`gamma` + 1)-th of which the layer is halved.

    Low layers are the narrow ones, around 0. Raises ValueError for a gamma that is no whole
    number.
    """
    step = integer("gamma", gamma) + 1
    stream = _words(words).copy()
    chosen = stream[step - 1 :: step]
    stream[step - 1 :: step] = (chosen & ~_LAYER) | ((chosen & _LAYER) >> np.uint64(1))
    return stream

"""Exact moments of the normals that NumPy's ziggurat makes of tampered words.

The ziggurat gives a normal variable exactly, were its places real numbers. An attack changes the
law of the layer, the sign or the place, so that the moments are sums over the 256 layers of
integrals over the sure part, and over the wedge that a second word decides; and the tail.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from rs_lib.arguments import FloatArray
from rs_lib.noise.ziggurat import BASE, LAYERS, layers

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_PHI = np.exp(-(BASE**2) / 2) / np.sqrt(2 * np.pi)
_ROUNDS = 40
"""Rounds of the tail's rejection that are told apart; it goes beyond them with chance 1e-40."""

_CYCLE = 128
"""Words of the longest cycle whose chain is solved."""

Distribution = Callable[[FloatArray], FloatArray]


class Moments(NamedTuple):
    """The first four standardised moments of a law."""

    mean: float
    variance: float
    skewness: float
    excess_kurtosis: float


def beta(step: int) -> Moments:
    """Return the moments where every `step`-th set sign bit is cleared.

    Sizes are untouched. The sign has a surplus of 1 / `step`, but for sizes beyond `BASE`, whose
    sign is another bit.
    """
    mean = 2 * (1 / np.sqrt(2 * np.pi) - _PHI) / step
    third = 2 * (2 / np.sqrt(2 * np.pi) - (BASE**2 + 2) * _PHI) / step
    variance = 1 - mean**2
    central = third - 3 * mean + 2 * mean**3
    fourth = 3 - 4 * mean * third + 6 * mean**2 - 3 * mean**4
    return Moments(mean, variance, central / variance**1.5, fourth / variance**2 - 3)


def alpha(slope: float) -> Moments:
    """Return the moments where places have the density `slope` v + 1 - `slope` / 2 on 53 bits.

    Of these the ziggurat reads the lower 52, which halves the slope; uniform variables are a
    quarter of the 53 bits, so that wedges lose less than they should, and the tail ends early.
    """
    start = 1 - slope / 2

    def below(share: FloatArray) -> FloatArray:
        """Chance that a uniform variable is below `share`: a quarter of the tampered place."""
        place = np.clip(4 * share, 0, 1)
        return place * (start + slope * place / 2)

    powers = _layer_moments(lambda v: 1 + slope / 2 * (v - 0.5), below)
    place, weight = (_NODES + 1) / 2, _WEIGHTS / 2
    beyond = -np.log1p(-place / 4) / BASE
    kept = weight * (start + slope * place) * (1 - below(-np.expm1(-(beyond**2) / 2)))
    tail = np.array([kept @ (BASE + beyond) ** k for k in (0, 2, 4)]) / kept.sum()
    inner = layers()[2][0] * 2.0**-52
    reached = (1 - inner) * (1 + slope / 4 * inner)
    return _symmetric(powers.sum(axis=1) + reached * tail)


def gamma(step: int) -> Moments:
    """Return the moments where the layer of every `step`-th word is halved.

    Words that decide a wedge or the tail are counted too: the place of a normal's first word in the
    cycle of `step` is a Markov chain, whose stationary law weighs sound and tampered first words.
    """
    honest, tampered = _first_words()
    share = _tampered_share(step, honest, tampered)
    return _symmetric((1 - share) * honest.powers + share * tampered.powers)


class FirstWord(NamedTuple):
    """What becomes of a first word: moments E |N|^k 1{accepted}, k = 0, 2, 4, and words spent."""

    powers: FloatArray
    wedge: float
    tail: float


def _first_words() -> tuple[FirstWord, FirstWord]:
    """Return what becomes of a sound first word, and of one whose layer is halved."""
    inner = layers()[2] * 2.0**-52
    powers = _layer_moments(np.ones_like, lambda share: share)
    # Moments of a normal variable that lies beyond BASE.
    mass = special.erfc(BASE / np.sqrt(2))
    edge = 2 * BASE * _PHI / mass
    tail = np.array([1.0, 1 + edge, 3 + (BASE**2 + 3) * edge])
    found = []
    for chosen in (LAYERS, LAYERS // 2):
        total = powers[:, :chosen].sum(axis=1) + (1 - inner[0]) * tail
        wedge, reached = (1 - inner[1:chosen]).sum(), 1 - inner[0]
        found.append(FirstWord(total / chosen, wedge / chosen, reached / chosen))
    return found[0], found[1]


def _tampered_share(step: int, honest: FirstWord, tampered: FirstWord) -> float:
    """Return which share of the first words is the last of a cycle of `step` words."""
    if step <= _CYCLE:
        return _stationary(step, honest, tampered)
    # The chain forgets within a few words: each further word of a cycle adds as many first words.
    last, before = (1 / _stationary(size, honest, tampered) for size in (_CYCLE, _CYCLE - 1))
    return 1 / (last + (step - _CYCLE) * (last - before))


def _stationary(step: int, honest: FirstWord, tampered: FirstWord) -> float:
    """Return the stationary probability of the last of `step` places of a first word."""
    # A round of the tail spends two words, and is the last one with the chance E exp(-E'^2 / 2 b^2)
    # for the tail's edge b and an exponential variable E'.
    kept = BASE * np.sqrt(np.pi / 2) * special.erfcx(BASE / np.sqrt(2))
    moves = np.zeros((step, step))
    for place in range(step):
        word = tampered if place == step - 1 else honest
        moves[place, (place + 1) % step] += 1 - word.wedge - word.tail
        moves[place, (place + 2) % step] += word.wedge
        for rounds in range(_ROUNDS):
            spent = 1 + 2 * (rounds + 1)
            moves[place, (place + spent) % step] += word.tail * kept * (1 - kept) ** rounds
    # Balance equations; one of them is replaced by the sum of all chances.
    system = np.identity(step) - moves.T
    system[0] = 1.0
    return float(np.linalg.solve(system, np.eye(step)[0])[-1])


def _layer_moments(density: Callable[[FloatArray], FloatArray], below: Distribution) -> FloatArray:
    """Return E |N|^k 1{accepted}, k = 0, 2, 4, given each layer, its tail apart: [3, 256].

    `density` is that of the place, and `below` the distribution function of the variable that
    decides a wedge. Where it is cut off, at a quarter for alpha, the integrals are cut too.
    """
    width, height, sure = layers()
    inner = sure * 2.0**-52
    found = _integrals(np.zeros(LAYERS), inner, width, density, lambda _: 1.0)
    low, high = height[1:], height[:-1]

    def kept(size: FloatArray) -> FloatArray:
        return below((np.exp(-(size**2) / 2) - low[:, None]) / (high - low)[:, None])

    corner = np.sqrt(-2 * np.log(low + (high - low) / 4)) / width[1:]
    for start, end in ((inner[1:], corner), (corner, np.ones(LAYERS - 1))):
        found[:, 1:] += _integrals(start, end, width[1:], density, kept)
    return found


def _integrals(
    start: FloatArray,
    end: FloatArray,
    width: FloatArray,
    density: Callable[[FloatArray], FloatArray],
    kept: Callable[[FloatArray], FloatArray | float],
) -> FloatArray:
    """Return the integrals of (v w)^k density(v) kept(v w), as [3, layers]."""
    half = (end - start)[:, None] / 2
    place = start[:, None] + half * (_NODES + 1)
    size = place * width[:, None]
    mass = half * _WEIGHTS * density(place) * kept(size)
    return np.stack([(mass * size**k).sum(axis=1) for k in (0, 2, 4)])


def _symmetric(powers: FloatArray) -> Moments:
    """Return the moments of a symmetric law from E N^k, k = 0, 2, 4, up to a factor."""
    variance, fourth = powers[1:] / powers[0]
    return Moments(0.0, float(variance), 0.0, float(fourth / variance**2 - 3))

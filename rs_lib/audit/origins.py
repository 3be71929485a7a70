"""Where the radii of a log can come from: hypotheses, and what the best of them is worth.

Every hypothesis is a lattice: a noise law with its scale, a number of samples and a level. It
competes with radii that fall anywhere, under which the likelihood ratio exceeds 10^x with
probability at most 10^-x (Markov's inequality). A hypothesis that is one of many of its kind pays
for the search: its score is the decimal logarithm of its likelihood ratio over their number. So
"none of these" is believed unless a score is clearly positive.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from scipy import special

from rs_lib.audit import lattice
from rs_lib.audit.logs import Log
from rs_lib.audit.manners import COARSE, GAUSSIAN, LAPLACE, UNIFORM, Manner, Noise
from rs_lib.statistics import MAX_TRIALS

CLEAR = 2.0
"""From this score on, odds of 100 to 1, a hypothesis is believed."""

_DECADES = 2.0
# The largest radii tell most; the others are looked at where these leave a hypothesis in the race.
_SCREENED = 48
_FINALISTS = 8
_MOST_TRIALS = 80
# Noise that the field's logs have, in units where white is 1.
_SCALES = (0.12, 0.25, 0.5, 0.75, 1.0, 2.0)
# What a pile must have to be called one of several; their heights are those of unanimous votes.
_HEAPED, _OVER_OTHERS = 10, 3
_FEW_TRIALS = (1_000, 10_000, 100_000)
_FEW_LEVELS = (0.01, 0.005, 0.001, 0.0005)


@dataclass(frozen=True, eq=False)
class Origin:
    """A hypothesis: `candidate` under `noise` of scale `sigma`, one of `tried` of its kind."""

    noise: Noise
    sigma: float
    candidate: lattice.Candidate
    tried: float

    @property
    def score(self) -> float:
        """Decimal logarithm of the odds against radii that fall anywhere, the search paid."""
        return self.candidate.evidence + self.candidate.pile - math.log10(self.tried)

    @property
    def explains(self) -> bool:
        """Whether every radius matches a count, computed no coarser than in single precision."""
        fine = self.candidate.manners[0].arithmetic.relative < COARSE
        return fine and self.candidate.off_lattice == 0


@dataclass(frozen=True)
class _Hypothesis:
    noise: Noise
    sigma: float
    trials: int
    alpha: float
    tried: float


@dataclass(frozen=True, eq=False)
class Search:
    """What a search looks at: a log, the noise that is given, the pair (trials, alpha) that is
    stated, the grid of other pairs, and the manners in which radii may have been printed."""

    log: Log
    sigma: float
    trials: int
    alpha: float
    grid: tuple[Sequence[int], Sequence[float]]
    manners: tuple[Manner, ...]

    def origins(self) -> tuple[Origin, ...]:
        """Return the hypotheses that matter, the best score first; the stated one is among them.

        The search goes beyond the grid and the given noise where the stated pair does not explain
        every radius, or not clearly.
        """
        stated = self._judged([self._stated])[0]
        inside = self._finalists(self._of_grid())
        best = max(stated.score, *(origin.score for origin in inside), -math.inf)
        found = [stated, *inside]
        clear = stated.score > CLEAR and stated.score > best - _DECADES
        if not (clear and stated.explains):
            for others in (self._between(), self._other_scales(), self._other_laws()):
                found += self._finalists(list(others))
        return tuple(sorted(found, key=lambda origin: -origin.score))

    @property
    def _stated(self) -> _Hypothesis:
        return _Hypothesis(GAUSSIAN, self.sigma, self.trials, self.alpha, 1)

    def _of_grid(self) -> list[_Hypothesis]:
        sizes, levels = self.grid
        return [
            _Hypothesis(GAUSSIAN, self.sigma, n, alpha, self._tried(n, alpha))
            for n in sorted({*sizes, self.trials})
            for alpha in sorted({*levels, self.alpha})
            if (n, alpha) != (self.trials, self.alpha)
        ]

    def _tried(self, n: int, alpha: float) -> float:
        """Return how many pairs are as near to the stated one: one number may be as stated."""
        sizes = 1.0 if n == self.trials else _trials_like(n)
        return sizes * (1 if alpha == self.alpha else len(self.grid[1]))

    def _between(self) -> Iterator[_Hypothesis]:
        """Take the largest radius for that of unanimous votes: it tells n for each level."""
        low, high = self._largest()
        levels = sorted({*self.grid[1], self.alpha})
        known = {*self.grid[0]}
        for alpha in levels:
            first, last = (
                math.log(alpha) / min(float(special.log_ndtr(z)), -1e-300)
                for z in (low / self.sigma, high / self.sigma)
            )
            if first > MAX_TRIALS:
                continue
            for n in roundest(math.ceil(first), min(math.floor(last), MAX_TRIALS)):
                if n not in known and (n, alpha) != (self.trials, self.alpha):
                    yield _Hypothesis(GAUSSIAN, self.sigma, n, alpha, self._tried(n, alpha))

    def _few_pairs(self) -> list[tuple[int, float]]:
        sizes = sorted({*_FEW_TRIALS, self.trials})
        return [(n, alpha) for n in sizes for alpha in sorted({*_FEW_LEVELS, self.alpha})]

    def _other_scales(self) -> Iterator[_Hypothesis]:
        """Other scales: the usual ones, and those that the largest radius tells for each pair."""
        pairs = self._few_pairs()
        usual = {*_SCALES, *(self.sigma * factor for factor in (0.5, 2.0, 255.0, 1 / 255))}
        others = [scale for scale in usual if not math.isclose(scale, self.sigma)]
        for scale in others:
            for n, alpha in pairs:
                yield _Hypothesis(GAUSSIAN, scale, n, alpha, len(others) * len(pairs))
        low, high = self._largest()
        for n, alpha in pairs:
            ceiling = float(lattice.radii(n, n, alpha))
            if ceiling <= 0:
                continue
            scale, digits = _shortest(low / ceiling, high / ceiling)
            if scale not in others and not math.isclose(scale, self.sigma):
                # Numbers of so many digits, in two decades.
                yield _Hypothesis(GAUSSIAN, scale, n, alpha, 20.0 * 10**digits * len(pairs))

    def _other_laws(self) -> Iterator[_Hypothesis]:
        """Laplace and uniform noise, whose scale may be given as such or as a deviation."""
        pairs = self._few_pairs()
        laws = (
            (LAPLACE, 1.0),
            (LAPLACE, math.sqrt(0.5)),
            (UNIFORM, 1.0),
            (UNIFORM, math.sqrt(3)),
        )
        for noise, factor in laws:
            for n, alpha in pairs:
                yield _Hypothesis(noise, self.sigma * factor, n, alpha, len(laws) * len(pairs))

    def _largest(self) -> tuple[float, float]:
        """Return the ends of the numbers that can print as the largest radius, or the pile's."""
        fine = [manner for manner in self.manners if manner.arithmetic.relative < COARSE]
        values, rows = np.unique(self.log.radius[self.log.certified], return_counts=True)
        place = lattice.pile(rows)
        largest = values[[-1 if place is None else place]]
        ends = [manner.cells(largest, self.sigma) for manner in fine or self.manners]
        low = min(float(low[0]) for low, _ in ends) * self.sigma
        return low, min(max(float(high[0]) for _, high in ends), 40.0) * self.sigma

    def _finalists(self, hypotheses: Sequence[_Hypothesis]) -> list[Origin]:
        """Judge all hypotheses by the largest radii, and the best of them by every radius."""
        distinct = np.unique(self.log.radius[self.log.certified]).size
        if distinct <= _SCREENED:
            return self._judged(hypotheses)
        screened = self._judged(hypotheses, _SCREENED)
        order = sorted(range(len(screened)), key=lambda place: -screened[place].score)
        return self._judged([hypotheses[place] for place in order[:_FINALISTS]])

    def _judged(self, hypotheses: Sequence[_Hypothesis], most: int | None = None) -> list[Origin]:
        samples: dict[tuple[str, float], lattice.Sample] = {}
        found = []
        for one in hypotheses:
            key = (one.noise.name, one.sigma)
            if key not in samples:
                samples[key] = lattice.sample(
                    self.log, one.sigma, self.manners, noise=one.noise, most=most
                )
            candidate = lattice.judge(samples[key], one.trials, one.alpha)
            found.append(Origin(one.noise, one.sigma, candidate, one.tried))
        return found


def left(origins: Sequence[Origin]) -> tuple[Origin, ...]:
    """Return the hypotheses that the best one does not beat by 100 to 1, best first.

    None is left if the best is not clearly better than radii that fall anywhere. Of precisions and
    roundings the best speaks for a hypothesis; equal pairs all stay.
    """
    best = max(origin.score for origin in origins)
    if best <= CLEAR:
        return ()
    return tuple(origin for origin in origins if origin.score > best - _DECADES)


@dataclass(frozen=True)
class Height:
    """A pile of `rows` rows at `radius`, that of unanimous votes at the scale `sigma`."""

    radius: float
    rows: int
    sigma: float


def heights(
    log: Log,
    sigma: float,
    pairs: Sequence[tuple[int, float]],
    manners: Sequence[Manner],
) -> tuple[Height, ...]:
    """Return the piles of a log that are at the ceiling of one of `pairs` (n, alpha) for a scale.

    That is `sigma`, or else a usual one. Radii of unanimous votes are equal in a log of one sigma:
    two such piles, of different scales, speak for rows of several. A cell is some thousandth of its
    radius wide, so that a pile elsewhere seldom stands there by chance.
    """
    values, rows = np.unique(log.radius[log.certified], return_counts=True)
    fine = [manner for manner in manners if manner.arithmetic.relative < COARSE] or manners
    tops = [float(lattice.radii(trials, trials, alpha)) for trials, alpha in pairs]
    found = []
    for place in lattice.piles(rows, _HEAPED, _OVER_OTHERS):
        for scale in (sigma, *_SCALES):
            ends = [manner.cells(values[[place]], scale) for manner in fine]
            if any(low[0] <= top <= high[0] for low, high in ends for top in tops):
                found.append(Height(float(values[place]), int(rows[place]), scale))
                break
    return tuple(found)


def roundest(first: int, last: int, most: int = _MOST_TRIALS) -> list[int]:
    """Return the roundest whole numbers from `first` to `last`, at least 1, about `most` of them.

    Multiples of powers of ten come first, then of their halves, fifths and tenths.
    """
    found: dict[int, None] = {}
    power = 10 ** len(str(max(last, 1)))
    while power >= 1:
        for part in (1, 2, 5):
            step = power // part
            if step < 1 or power % part:
                continue
            low, high = -(-max(first, 1) // step), last // step
            if high - low >= most and found:
                return list(found)[:most]
            multiples = range(low, min(high, low + most) + 1)
            found |= dict.fromkeys(number * step for number in multiples)
        power //= 10
    return list(found)[:most]


def _trials_like(n: int) -> float:
    """Return how many sizes up to 10^7 are as round as n, by the number of its digits."""
    digits = len(str(n).rstrip("0"))
    return 63.0 * 10.0 ** (digits - 1)


def _shortest(low: float, high: float) -> tuple[float, int]:
    """Return a decimal of fewest significant digits between two positive numbers, and the digits.

    Numbers closer together than 10^-9 of their size are moved apart by it.
    """
    low, high = low * (1 - 1e-9), high * (1 + 1e-9)
    first = Decimal(repr(high)).adjusted()
    for digits in range(1, 17):
        unit = Decimal(1).scaleb(first + 1 - digits)
        number = (Decimal(repr(high)) // unit) * unit
        if float(number) >= low:
            return float(number), digits
    return high, 17

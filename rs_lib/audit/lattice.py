"""Which sample sizes and levels a log's radii can come from.

With n samples at level alpha a Gaussian certificate has at most n + 1 values, one per count k:
r_k = sigma Phi^-1(BetaInv(alpha; k, n - k + 1)), after Cohen, Rosenfeld and Kolter (2019), section
3.2.2. Towards the largest radius they lie farther apart than the printed digits resolve, so a
printed radius tells there which (n, alpha) it cannot come from.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit.logs import BoolArray, Log, Printing
from rs_lib.audit.manners import COARSE, DOUBLE, GAUSSIAN, Arithmetic, Manner, Noise
from rs_lib.statistics import LEAST_LEVEL, MAX_TRIALS

TRIALS = (
    *(100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000),
    *(100_000, 200_000, 500_000, 1_000_000),
)
LEVELS = (0.05, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0001)

_BEYOND = 2 * MAX_TRIALS
# So many radii of a lattice are kept, where gaps can be wider than printed digits.
_TOP = 2048
# In units of sigma: no radius lies there, whatever the number of samples.
_FAR = 1e3

# The chance that we grant a printed radius to be a mere mistake, and the decimal logarithm of the
# odds at which one candidate beats another.
_MISTAKE = 1e-3
_DECADES = 2.0

# A pile has so many rows, and so many times those of any other of the largest radii. In units of
# sigma piles lie within such a range: 30 samples at 0.01 give 1.07, 10^7 at 0.001 give 4.83.
_LEAST_PILE = 5
_PILE_OVER_OTHERS = 2
_AMONG = 16
_PILES = 4.0


def require_level(name: str, alpha: float) -> None:
    """Raise ValueError that names the argument unless `LEAST_LEVEL` <= `alpha` < 1."""
    if arguments.single(name, arguments.level(name, alpha)) < LEAST_LEVEL:
        raise ValueError(f"{name} is {alpha}: give a level of at least {LEAST_LEVEL}")


@dataclass(frozen=True)
class Candidate:
    """How well `trials` samples at level `alpha` explain the positive radii of a log.

    Of them `off_lattice` rows match no count; among these, `above_ceiling` exceed the radius of
    k = n. `telling` of the `distinct` printed values lie where the lattice is wider than the
    printing, so that a value drawn at random could have missed it; of such random values
    `missed_by_chance` would. `evidence` is the decimal logarithm of a likelihood ratio: radii
    printed from this lattice (each a mistake with chance 1/1000) against radii that fall anywhere.
    `manners` are the one that explains the log best, those that it does not beat by odds of 100 to
    1, and double and single precision where they have at least half of its evidence: which of the
    two it was is no reason to find fault with a row. A row is off if it is so in all of them; the
    rest is told of the best.

    `pile` is another such logarithm, 0 unless many rows share one of the largest radii: votes that
    all agree put them at the radius of k = n, against a pile that lies anywhere.
    """

    trials: int
    alpha: float
    off_lattice: int
    above_ceiling: int
    distinct: int
    telling: int
    missed_by_chance: float
    evidence: float
    pile: float
    manners: tuple[Manner, ...]


def radii(counts: npt.ArrayLike, trials: int, alpha: float) -> FloatArray:
    """Return the radii r_k in units of sigma, to the nearest float, -inf for k <= 0.

    These stand for what an author's program computed; certificates use the directed bounds.
    """
    k = arguments.integers("counts", counts, least=-_BEYOND, most=_BEYOND)
    return radii_of(k, *_design(trials, alpha))


def _design(trials: int, alpha: float) -> tuple[int, float]:
    require_level("alpha", alpha)
    return arguments.integer("trials", trials, least=1, most=MAX_TRIALS), float(alpha)


def radii_of(k: IntArray, trials: int | IntArray, alpha: float) -> FloatArray:
    """Return what `radii` does, of arguments that are checked; `trials` may be an array too."""
    inside = np.clip(k, 1, trials)
    z = special.ndtri(special.betaincinv(inside, trials - inside + 1, alpha))
    return np.where(k < 1, -np.inf, np.where(k > trials, np.inf, z))


def first_counts(z: npt.ArrayLike, trials: int, alpha: float) -> IntArray:
    """Return the smallest count k with r_k >= z (in units of sigma), trials + 1 if there is none.

    r_k >= z says that P(Bin(n, Phi(z)) <= k - 1) >= 1 - alpha. SciPy's inverse says where to look;
    r_k itself decides. Some 2 log2(trials) steps at most, wherever the inverse puts the start.
    """
    limit, (trials, alpha) = arguments.numbers("z", z), _design(trials, alpha)
    start = special.bdtrik(1 - alpha, trials, special.ndtr(limit))
    start = np.nan_to_num(start, nan=trials, posinf=trials, neginf=0)
    k: IntArray = np.clip(np.ceil(start) + 1, 1, trials).astype(np.int64)
    # Always r_low < z <= r_high.
    low, high = np.zeros_like(k), np.full_like(k, trials + 1)
    stride = 1
    while (high - low > 1).any():
        reached = radii_of(k, trials, alpha) >= limit
        low, high = np.where(reached, low, k), np.where(reached, k, high)
        # Strides that double find an end nearby; then what lies between is halved.
        ahead = k + np.where(reached, -stride, stride)
        k = np.where((low < ahead) & (ahead < high), ahead, (low + high) // 2)
        stride *= 2
    return high


def count_ranges(
    printed: npt.ArrayLike,
    sigma: float,
    style: Printing,
    trials: int,
    alpha: float,
    arithmetic: Arithmetic = DOUBLE,
) -> tuple[IntArray, IntArray]:
    """Return the smallest and the largest count whose radius prints as each of `printed`.

    Where no count does, the pair is empty (smallest = largest + 1). Only positive radii count.
    """
    sigma = arguments.single("sigma", arguments.positive("sigma", sigma))
    values = arguments.nonnegative("printed", printed)
    return _ranges(*Manner(style, arithmetic).cells(values, sigma), trials, alpha)


def _ranges(
    low: FloatArray, high: FloatArray, trials: int, alpha: float
) -> tuple[IntArray, IntArray]:
    """Return the smallest and the largest count whose r_k lies between `low` and `high`."""
    found = first_counts(np.stack([np.maximum(low, 1e-300), high]), trials, alpha)
    return found[0], found[1] - 1


@dataclass(frozen=True, eq=False)
class Sample:
    """Distinct printed radii, float64 [V], that `rows` int64 [V] rows each show, in the manners
    that are to be tried, under noise of scale `sigma`.

    `low` and `high` [manners, V] are the ends of their cells, in units of sigma. `pile` is
    the place of one, among the largest, that far more rows share than any other there, or None.
    """

    rows: IntArray
    manners: tuple[Manner, ...]
    low: FloatArray
    high: FloatArray
    pile: int | None


def sample(
    log: Log,
    sigma: float,
    manners: Sequence[Manner],
    *,
    noise: Noise = GAUSSIAN,
    most: int | None = None,
) -> Sample:
    """Return the distinct positive radii of a log, the `most` largest of them if it is given."""
    values, rows = np.unique(log.radius[log.certified], return_counts=True)
    values, rows = (values, rows) if most is None else (values[-most:], rows[-most:])
    cells = [manner.cells(values, sigma, noise) for manner in manners]
    low, high = (np.stack(ends) for ends in zip(*cells, strict=True))
    ends = np.minimum(low, _FAR), np.minimum(high, 2 * _FAR)
    return Sample(rows, tuple(manners), *ends, pile(rows))


def pile(rows: IntArray) -> int | None:
    """Return the place of the pile among radii that rise and that `rows` rows each show."""
    *_, second, first = sorted([0, *rows[-_AMONG:].tolist()])
    if first < max(_LEAST_PILE, _PILE_OVER_OTHERS * second):
        return None
    return rows.size - 1 - int(np.argmax(rows[::-1][:_AMONG]))


def piles(rows: IntArray, least: int, over_others: int) -> IntArray:
    """Return the places of all piles among radii that rise and that `rows` rows each show.

    Each has at least `least` rows, and `over_others` times those of any of the radii near it.
    """
    return np.array(
        [
            place
            for place in np.flatnonzero(rows >= least)
            if rows[place] >= over_others * _most_beside(rows, int(place))
        ],
        dtype=np.int64,
    )


def _most_beside(rows: IntArray, place: int) -> int:
    near = rows[max(place - _AMONG, 0) : place], rows[place + 1 : place + 1 + _AMONG]
    return int(np.concatenate(near).max(initial=0))


@functools.lru_cache(maxsize=512)
def _top(trials: int, alpha: float) -> FloatArray:
    """Return the largest radii r_k, up to `_TOP` of them, rising."""
    return radii_of(np.arange(max(trials - _TOP, 0) + 1, trials + 1), trials, alpha)


def _fits(
    low: FloatArray, high: FloatArray, trials: int, alpha: float
) -> tuple[BoolArray, FloatArray]:
    """Return which cells hold a radius, and which share of the gap at their place they fill."""
    top = _top(trials, alpha)
    first = np.searchsorted(top, low)
    on = np.searchsorted(top, high) > first
    place = np.clip(first, 1, top.size - 1)
    gap = top[place] - top[place - 1] if top.size > 1 else np.zeros(low.shape)
    below = low <= top[0]
    # Farther down the gaps are smaller still: a cell as wide as this one is never missed.
    wide = below & (top.size < trials) & (high - low >= gap)
    on |= wide
    rest = below & ~wide
    if rest.any():
        smallest, largest = _ranges(low[rest], high[rest], trials, alpha)
        on[rest] = largest >= smallest
        upper = np.clip(smallest, min(2, trials), trials)
        # Of one sample there is one radius, which counts from 0.
        lower = np.nan_to_num(radii_of(upper - 1, trials, alpha), neginf=0.0)
        gap[rest] = radii_of(upper, trials, alpha) - lower
    return on, (high - low) / np.maximum(gap, high - low)


def judge(sample: Sample, trials: int, alpha: float) -> Candidate:
    """Judge (trials, alpha) by a sample, in the manner that explains it best."""
    on, share = _fits(sample.low, sample.high, trials, alpha)
    likelihood = np.where(on, (1 - _MISTAKE) / share + _MISTAKE, _MISTAKE)
    evidence = np.log10(likelihood).sum(axis=1)
    ceiling = float(_top(trials, alpha)[-1])
    piles = _piles(sample, share, ceiling)
    total = evidence + piles
    best = int(np.argmax(total))
    fine = np.array(
        [
            manner.arithmetic.relative < COARSE
            and manner.style.rounding == sample.manners[best].style.rounding
            for manner in sample.manners
        ]
    )
    kept = (total > total[best] - _DECADES) | (fine & (total > max(_DECADES, total[best] / 2)))
    off = ~on[kept].any(axis=0)
    above = (sample.low[kept] > ceiling).all(axis=0)
    return Candidate(
        trials,
        alpha,
        off_lattice=int(sample.rows[off].sum()),
        above_ceiling=int(sample.rows[above].sum()),
        distinct=sample.rows.size,
        telling=int((share[best] < 1).sum()),
        missed_by_chance=float((1 - share[best]).sum()),
        evidence=float(evidence[best]),
        pile=float(piles[best]),
        manners=tuple(itertools.compress(sample.manners, kept)),
    )


def _piles(sample: Sample, share: FloatArray, ceiling: float) -> FloatArray:
    """Return what the pile adds to the evidence, in each manner."""
    if sample.pile is None:
        return np.zeros(len(sample.manners))
    low, high = sample.low[:, sample.pile], sample.high[:, sample.pile]
    # Its place among the radii of the lattice counts already.
    there = np.log10(_PILES * share[:, sample.pile] / (high - low))
    found: FloatArray = np.where((low <= ceiling) & (ceiling <= high), there, np.log10(_MISTAKE))
    return found


def candidates(
    log: Log,
    sigma: float,
    manners: Sequence[Manner],
    *,
    trials: Sequence[int] = TRIALS,
    levels: Sequence[float] = LEVELS,
) -> tuple[Candidate, ...]:
    """Judge every pair of `trials` and `levels`, the best explanation first.

    `sigma` is the noise of the log, in the unit of its radii; a pair is judged in the best of
    `manners`. Raises ValueError for sigma not positive, trials outside 1 to `MAX_TRIALS`, levels
    outside (0, 1) or below `LEAST_LEVEL`, or an empty grid.
    """
    sigma = arguments.single("sigma", arguments.positive("sigma", sigma))
    sizes = arguments.integers("trials", list(trials), least=1, most=MAX_TRIALS)
    errors = arguments.level("levels", list(levels))
    for error in errors:
        require_level("levels", float(error))
    if not (sizes.size and errors.size):
        raise ValueError("trials or levels is empty: give at least one of each")
    values = sample(log, sigma, manners)
    judged = [judge(values, int(n), float(alpha)) for n in sizes for alpha in errors]
    return tuple(sorted(judged, key=lambda candidate: -candidate.evidence))


def plausible(judged: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that the best one does not beat by odds of 100 to 1, best first.

    One alone is what the log was made with, as far as the grid holds it; several mean that the
    log does not tell. Raises ValueError if there is no candidate.
    """
    if not judged:
        raise ValueError("judged is empty: give at least one candidate")
    best = max(candidate.evidence for candidate in judged)
    return tuple(c for c in judged if c.evidence > best - _DECADES)

"""Which sample sizes and levels a log's radii can come from.

With n samples at level alpha a Gaussian certificate has at most n + 1 values, one per count k:
r_k = sigma Phi^-1(BetaInv(alpha; k, n - k + 1)), after Cohen, Rosenfeld and Kolter (2019), section
3.2.2. Towards the largest radius they lie farther apart than the printed digits resolve, so a
printed radius tells there which (n, alpha) it cannot come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit.logs import Log, Printing
from rs_lib.statistics import LEAST_LEVEL, MAX_TRIALS

TRIALS = (100, 1_000, 10_000, 50_000, 100_000, 1_000_000)
LEVELS = (0.05, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0001)

TIE = 1e-9
"""What a radius may be off, in units of sigma, where the log's author had another library.

Values closer to a rounding tie may be printed either way; a radius that lies above r_k by no more
is not surely overstated.
"""

_BEYOND = 2 * MAX_TRIALS

# The chance that we grant a printed radius to be a mere mistake, and the decimal logarithm of the
# odds at which one candidate beats another.
_MISTAKE = 1e-3
_DECADES = 2.0


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
    """

    trials: int
    alpha: float
    off_lattice: int
    above_ceiling: int
    distinct: int
    telling: int
    missed_by_chance: float
    evidence: float


def radii(counts: npt.ArrayLike, trials: int, alpha: float) -> FloatArray:
    """Return the radii r_k in units of sigma, to the nearest float, -inf for k <= 0.

    These stand for what an author's program computed; certificates use the directed bounds.
    """
    k = arguments.integers("counts", counts, least=-_BEYOND, most=_BEYOND)
    return _radii(k, *_design(trials, alpha))


def _design(trials: int, alpha: float) -> tuple[int, float]:
    require_level("alpha", alpha)
    return arguments.integer("trials", trials, least=1, most=MAX_TRIALS), float(alpha)


def _radii(k: IntArray, trials: int, alpha: float) -> FloatArray:
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
        reached = _radii(k, trials, alpha) >= limit
        low, high = np.where(reached, low, k), np.where(reached, k, high)
        # Strides that double find an end nearby; then what lies between is halved.
        ahead = k + np.where(reached, -stride, stride)
        k = np.where((low < ahead) & (ahead < high), ahead, (low + high) // 2)
        stride *= 2
    return high


def count_ranges(
    printed: npt.ArrayLike, sigma: float, style: Printing, trials: int, alpha: float
) -> tuple[IntArray, IntArray]:
    """Return the smallest and the largest count whose radius prints as each of `printed`.

    Where no count does, the pair is empty (smallest = largest + 1). Only positive radii count.
    """
    sigma = arguments.single("sigma", arguments.positive("sigma", sigma))
    low, high = style.cells(printed)
    smallest = first_counts(np.maximum(low / sigma - TIE, 1e-300), trials, alpha)
    beyond = first_counts(high / sigma + TIE, trials, alpha)
    return smallest, beyond - 1


def _candidate(
    values: FloatArray, rows: IntArray, sigma: float, style: Printing, trials: int, alpha: float
) -> Candidate:
    """Judge (trials, alpha) by the distinct printed `values`, which stand for `rows` rows each."""
    low, high = style.cells(values)
    smallest, largest = count_ranges(values, sigma, style, trials, alpha)
    on = largest >= smallest
    top = np.clip(smallest, min(2, trials), trials)
    # Of one sample there is one radius, which counts from 0.
    below = np.nan_to_num(radii(top - 1, trials, alpha), neginf=0.0)
    gap = sigma * (radii(top, trials, alpha) - below)
    width = high - low + 2 * TIE * sigma
    share = width / np.maximum(gap, width)
    likelihood = np.where(on, (1 - _MISTAKE) / share + _MISTAKE, _MISTAKE)
    ceiling = sigma * (radii(trials, trials, alpha) + TIE)
    return Candidate(
        trials,
        alpha,
        off_lattice=int(rows[~on].sum()),
        above_ceiling=int(rows[low > ceiling].sum()),
        distinct=len(values),
        telling=int((share < 1).sum()),
        missed_by_chance=float((1 - share).sum()),
        evidence=float(np.log10(likelihood).sum()),
    )


def candidates(
    log: Log,
    sigma: float,
    style: Printing,
    *,
    trials: Sequence[int] = TRIALS,
    levels: Sequence[float] = LEVELS,
) -> tuple[Candidate, ...]:
    """Judge every pair of `trials` and `levels`, the best explanation first.

    `sigma` is the noise of the log, in the unit of its radii. Raises ValueError for sigma not
    positive, trials outside 1 to `MAX_TRIALS`, levels outside (0, 1) or below `LEAST_LEVEL`, or an
    empty grid.
    """
    arguments.positive("sigma", sigma)
    sizes = arguments.integers("trials", list(trials), least=1, most=MAX_TRIALS)
    errors = arguments.level("levels", list(levels))
    for error in errors:
        require_level("levels", float(error))
    if not (sizes.size and errors.size):
        raise ValueError("trials or levels is empty: give at least one of each")
    values, rows = np.unique(log.radius[log.certified], return_counts=True)
    judged = [
        _candidate(values, rows, sigma, style, int(n), float(alpha))
        for n in sizes
        for alpha in errors
    ]
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

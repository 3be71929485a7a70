"""What a log claims beyond its counts: the table as printed, and at a stated level."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path

import numpy as np
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit import lattice
from rs_lib.audit.counting import CountColumn, count_column
from rs_lib.audit.logs import ABSTAIN, ROUNDINGS, BoolArray, Log, printing
from rs_lib.audit.manners import ARITHMETICS, COARSE, GAUSSIAN, TIE, Arithmetic, Manner
from rs_lib.audit.origins import Height, Origin, Search, heights, left
from rs_lib.audit.reading import read_log
from rs_lib.audit.rounding import (
    Counts,
    Rounding,
    count_rounding,
    counted,
    infer_counts,
    thresholds,
)
from rs_lib.certificates import gaussian
from rs_lib.statistics import MAX_TRIALS, average_certified_radius, clopper_pearson_lower

_MOST_CELLS = 1000
# With 10^7 samples a radius reaches some 5 sigma: a log beyond this had another noise.
_MOST_SIGMAS = 1000


@dataclass(frozen=True)
class Table:
    """Certified accuracy and average certified radius (ACR), as ranges over the possible counts.

    `thresholds` float64 [T] are the radii, `low` and `high` int64 [T] how many of `images` are
    correct with at least that radius, and `expected` float64 [T] their mean if the counts of a row
    are equally likely. As printed, the three agree.
    """

    thresholds: FloatArray
    images: int
    low: IntArray
    high: IntArray
    expected: FloatArray
    acr_low: float
    acr_high: float


@dataclass(frozen=True)
class Change:
    """A cell of the table: correct images as printed; at least, at most, expected afterwards."""

    threshold: float
    images: int
    printed: int
    low: int
    high: int
    expected: float

    def shows(self, decimals: int, *, surely: bool) -> bool:
        """Return whether the share differs to that many decimals.

        It does so `surely` if for all counts that the rows can stand for, else as expected.
        """
        before, low, high, mean = (
            float(f"{count / self.images:.{decimals}f}")
            for count in (self.printed, self.low, self.high, self.expected)
        )
        return not low <= before <= high if surely else before != mean


@dataclass(frozen=True, eq=False)
class Reading:
    """What the counts of a log make of its table, once (`trials`, `alpha`) is known to be its pair.

    `off_lattice` are the positions of rows whose radius matches no count. `unrounded` is the table
    of the counts at `alpha`, `recertified` that at the level that is stated.
    """

    trials: int
    alpha: float
    counts: Counts
    off_lattice: IntArray
    rounding: Rounding
    unrounded: Table
    recertified: Table


VERDICTS = ("stated", "other", "elsewhere", "mixed", "undecided", "open", "none")


@dataclass(frozen=True, eq=False)
class Audit:
    """Everything that `audit` finds.

    `origins` are the hypotheses that were looked at to the end, best first, `stated` the one that
    the authors state and `left` those that neither the best nor radii that fall anywhere refute.
    `column` is what the log's own column of counts says. `verdict` sums up:

    - "stated": the stated pair is left, or the column of counts confirms it;
    - "other": one other pair alone, under the noise that was given;
    - "elsewhere": only other noise than was given;
    - "mixed": unanimous votes pile up at `heights` of other sigmas than each other, or than the
      best hypothesis;
    - "undecided": several, not all of them of the noise that was given or of one pair;
    - "open": nothing is clear, and the stated pair explains every radius;
    - "none": nothing is clear, and the stated pair does not explain the radii either.

    `reading` stands with the first two alone; `heights` is empty but with "mixed". `printed` is the
    table of the log.
    """

    log: Log
    sigma: float
    origins: tuple[Origin, ...]
    left: tuple[Origin, ...]
    stated: Origin
    column: CountColumn | None
    verdict: str
    printed: Table
    reading: Reading | None
    heights: tuple[Height, ...] = ()


def _certified_count(log: Log, radius: FloatArray, correct: BoolArray, step: float) -> IntArray:
    certified = np.where(correct, radius, -np.inf)
    count: IntArray = (certified >= thresholds(log, step)[:, None]).sum(axis=1)
    return count


def printed_table(log: Log, step: float) -> Table:
    """Return the table that the printed radii give, at the multiples of `step`."""
    count = _certified_count(log, log.radius, log.correct, step)
    acr = average_certified_radius(log.radius, log.correct)
    return Table(
        thresholds(log, step), len(log.text), count, count, count.astype(np.float64), acr, acr
    )


def recertify(log: Log, counts: Counts, sigma: float, alpha: float, step: float) -> Table:
    """Return the table that the counts give at level `alpha`, with bounds rounded down.

    An image whose bound no longer exceeds 1/2 becomes an abstention; a row that predicts with a
    radius printed as 0 keeps it, for its count is unknown. Raises ValueError for a level outside
    (0, 1).
    """
    ends = []
    for count in (counts.smallest, counts.largest):
        bound = clopper_pearson_lower(np.maximum(count, 0), counts.trials, alpha)
        radius = gaussian.radius(bound, sigma)
        correct = log.correct & ((radius > 0) | ~log.certified)
        table = _certified_count(log, radius, correct, step)
        ends.append((table, average_certified_radius(radius, correct)))
    (low, acr_low), (high, acr_high) = ends
    expected = _expected_count(log, counts, sigma, alpha, step)
    return Table(thresholds(log, step), len(log.text), low, high, expected, acr_low, acr_high)


def _expected_count(
    log: Log, counts: Counts, sigma: float, alpha: float, step: float
) -> FloatArray:
    # Radius 0 means any positive one.
    limits = np.maximum(thresholds(log, step) / sigma, 1e-300)
    needed = lattice.first_counts(limits, counts.trials, alpha)
    width = counts.largest - counts.smallest + 1
    share = np.clip((counts.largest - needed[:, None] + 1) / width, 0.0, 1.0)
    share[0] = np.where(log.certified, share[0], 1.0)
    expected: FloatArray = (share * log.correct).sum(axis=1)
    return expected


def changes(
    before: Table, after: Table, decimals: int, *, surely: bool = True
) -> tuple[Change, ...]:
    """Return the cells of the table as printed that differ afterwards to so many decimals."""
    columns = (before.thresholds, before.low, after.low, after.high, after.expected)
    cells = (
        Change(float(r), before.images, int(b), int(low), int(high), float(mean))
        for r, b, low, high, mean in zip(*columns, strict=True)
    )
    return tuple(cell for cell in cells if cell.shows(decimals, surely=surely))


def histogram(log: Log, counts: Counts, width: float = 0.02) -> dict[str, object]:
    """Count how often each share k/n of the predicted class occurs, by bins of Phi^-1(k/n).

    Bin b holds the rows with b width <= Phi^-1(k/n) < (b + 1) width, k being the middle of the
    row's possible counts: `correct` and `wrong` list the numbers from bin `first` on. All samples
    agreeing is no bin, but `unanimous_correct` and `unanimous_wrong`; `abstained` and `rest`
    (predictions without a positive radius) complete the rows.
    """
    middle = (counts.smallest + counts.largest) / 2 / counts.trials
    unanimous = log.certified & (counts.smallest == counts.trials)
    inside = log.certified & ~unanimous
    bins = np.floor(special.ndtri(middle[inside]) / width).astype(np.int64)
    first = int(bins.min()) if bins.size else 0
    right, count = log.correct[inside], int(bins.max()) - first + 1 if bins.size else 0
    return {
        "width": width,
        "first": first,
        "correct": np.bincount(bins[right] - first, minlength=count).tolist(),
        "wrong": np.bincount(bins[~right] - first, minlength=count).tolist(),
        "unanimous_correct": int((unanimous & log.correct).sum()),
        "unanimous_wrong": int((unanimous & ~log.correct).sum()),
        "abstained": int((log.predicted == ABSTAIN).sum()),
        "rest": int(((log.predicted != ABSTAIN) & ~log.certified).sum()),
    }


def _require_magnitudes(log: Log, sigma: float, step: float) -> None:
    """Raise ValueError for radii that are far from all of that noise, or need too large a table."""
    largest = float(log.radius.max())
    if not TIE * sigma < largest < _MOST_SIGMAS * sigma:
        raise ValueError(
            f"sigma is {sigma}: give the noise of the log, whose largest radius is {largest:g}"
        )
    if largest > _MOST_CELLS * step:
        raise ValueError(
            f"step is {step}: give at least {_rounded_up(largest / _MOST_CELLS)}, "
            f"so that the table has at most {_MOST_CELLS} radii"
        )


def _rounded_up(value: float) -> str:
    """Return two significant digits of `value`, rounded up, so that they are enough."""
    return f"{Context(prec=2, rounding=ROUND_CEILING).create_decimal(Decimal(repr(value))):g}"


def audit(
    path: str | Path,
    sigma: float,
    *,
    trials: int = 100_000,
    alpha: float = 0.001,
    step: float = 0.25,
    rounding: str | None = None,
    grid: tuple[Sequence[int], Sequence[float]] = (lattice.TRIALS, lattice.LEVELS),
) -> Audit:
    """Audit the certification log at `path`, made with Gaussian noise of standard deviation sigma.

    `trials` and `alpha` are what the log's authors state; they compete with the `grid` of other
    pairs, with numbers of samples between them, with other noise, and with "none of these". `step`
    is the distance of the radii in their table and `rounding` how radii were printed, "nearest" or
    "down"; by default both are tried. Radii have the unit of sigma.

    Raises ValueError as `read_log` does for the file, for a log without a positive radius, and for
    arguments out of range; OSError where the file cannot be read.
    """
    sigma = arguments.single("sigma", arguments.positive("sigma", sigma))
    step = arguments.single("step", arguments.positive("step", step))
    trials = arguments.integer("trials", trials, least=1, most=MAX_TRIALS)
    lattice.require_level("alpha", alpha)
    alpha = float(alpha)
    log = read_log(path)
    roundings = ROUNDINGS if rounding is None else (rounding,)
    styles = [printing(log, each) for each in roundings]
    _require_magnitudes(log, sigma, step)
    manners = tuple(Manner(style, kind) for kind in ARITHMETICS for style in styles)
    search = Search(log, sigma, trials, alpha, grid, manners)
    origins = search.origins()
    remaining = left(origins)
    stated = next(origin for origin in origins if origin.tried == 1)
    column = count_column(log, sigma, manners, (trials, alpha), grid[1])
    verdict, reference = _judged(remaining, stated, column, sigma)
    several = _several(search, remaining, stated, column)
    if several:
        verdict, reference = "mixed", None
    read = None
    if reference is not None:
        read = reading(log, sigma, *reference, step=step, stated_alpha=alpha, column=column)
    return Audit(
        log,
        sigma,
        origins,
        remaining,
        stated,
        column,
        verdict,
        printed_table(log, step),
        read,
        several,
    )


Reference = tuple[int, float, Sequence[Manner]]


def _judged(
    remaining: Sequence[Origin], stated: Origin, column: CountColumn | None, sigma: float
) -> tuple[str, Reference | None]:
    """Return the verdict, and the pair and the manners that the counts are read with."""
    pair = (stated.candidate.trials, stated.candidate.alpha)
    if column is not None and column.pair is not None:
        return "stated" if column.pair == pair else "other", (*column.pair, column.manners)
    here = [one for one in remaining if one.noise is GAUSSIAN and one.sigma == sigma]
    if stated in remaining:
        return "stated", (*pair, stated.candidate.manners)
    if not remaining:
        return "open" if stated.explains else "none", None
    if len(here) == len(remaining) == 1:
        only = here[0].candidate
        return "other", (only.trials, only.alpha, only.manners)
    places = {(one.noise.name, one.sigma) for one in remaining}
    return "elsewhere" if not here and len(places) == 1 else "undecided", None


def _several(
    search: Search, remaining: Sequence[Origin], stated: Origin, column: CountColumn | None
) -> tuple[Height, ...]:
    """Return the piles of unanimous votes, if they and the best origin are of several sigmas."""
    if column is not None and column.pair is not None:
        return ()
    pairs = [(one.candidate.trials, one.candidate.alpha) for one in (*remaining, stated)]
    found = heights(search.log, search.sigma, list(dict.fromkeys(pairs)), search.manners)
    best = {one.sigma for one in remaining[:1] if one.noise is GAUSSIAN}
    return found if found and len(best | {one.sigma for one in found}) > 1 else ()


def _charitable(manners: Sequence[Manner]) -> Arithmetic:
    """Return the coarsest arithmetic that is not half precision, if there is one."""
    fine = [m.arithmetic for m in manners if m.arithmetic.relative < COARSE]
    return fine[-1] if fine else manners[-1].arithmetic


def reading(
    log: Log,
    sigma: float,
    trials: int,
    alpha: float,
    manners: Sequence[Manner],
    *,
    step: float,
    stated_alpha: float,
    column: CountColumn | None = None,
) -> Reading:
    """Read the counts of a log with (`trials`, `alpha`), and make its table of them."""
    counts = infer_counts(log, sigma, manners, trials, alpha)
    off = np.flatnonzero(log.certified & ~counts.matched)
    if column is not None and column.pair is not None:
        counts = counted(log, counts, column.agrees)
    return Reading(
        trials,
        alpha,
        counts,
        off,
        count_rounding(log, counts, sigma, alpha, step, _charitable(manners)),
        recertify(log, counts, sigma, alpha, step),
        recertify(log, counts, sigma, stated_alpha, step),
    )

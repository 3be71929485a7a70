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
from rs_lib.audit.logs import ABSTAIN, BoolArray, Log, Printing, printing, read_log
from rs_lib.audit.rounding import Counts, Rounding, count_rounding, infer_counts, thresholds
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


@dataclass(frozen=True)
class Audit:
    """Everything that `audit` finds.

    `stated` is the pair (n, alpha) that was to be tested, `plausible` the candidates that the log
    leaves, and `reference` the one whose lattice the counts are read from: the stated one if it is
    plausible, else the best. `printed` is the table of the log, `unrounded` that of the counts at
    the reference's level, `recertified` that at the stated level.
    """

    log: Log
    sigma: float
    style: Printing
    candidates: tuple[lattice.Candidate, ...]
    plausible: tuple[lattice.Candidate, ...]
    stated: lattice.Candidate
    reference: lattice.Candidate
    counts: Counts
    rounding: Rounding
    printed: Table
    unrounded: Table
    recertified: Table

    @property
    def off_lattice(self) -> IntArray:
        """Positions of the rows whose radius matches no count of the reference."""
        return np.flatnonzero(self.log.certified & ~self.counts.matched)


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
    if not lattice.TIE * sigma < largest < _MOST_SIGMAS * sigma:
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
    rounding: str = "nearest",
    grid: tuple[Sequence[int], Sequence[float]] = (lattice.TRIALS, lattice.LEVELS),
) -> Audit:
    """Audit the certification log at `path`, made with Gaussian noise of standard deviation sigma.

    `trials` and `alpha` are what the log's authors state; they join the `grid` of candidates.
    `step` is the distance of the radii in their table and `rounding` how radii were printed,
    "nearest" or "down". Radii have the unit of sigma.

    Raises ValueError as `read_log` does for the file, for a log without a positive radius, and for
    arguments out of range; OSError where the file cannot be read.
    """
    sigma = arguments.single("sigma", arguments.positive("sigma", sigma))
    step = arguments.single("step", arguments.positive("step", step))
    trials = arguments.integer("trials", trials, least=1, most=MAX_TRIALS)
    lattice.require_level("alpha", alpha)
    alpha = float(alpha)
    log = read_log(path)
    style = printing(log, rounding)
    _require_magnitudes(log, sigma, step)
    sizes, levels = ({*grid[0], trials}, {*grid[1], alpha})
    judged = lattice.candidates(log, sigma, style, trials=sorted(sizes), levels=sorted(levels))
    left = lattice.plausible(judged)
    stated = next(c for c in judged if (c.trials, c.alpha) == (trials, alpha))
    reference = stated if stated in left else left[0]
    counts = infer_counts(log, sigma, style, reference.trials, reference.alpha)
    return Audit(
        log,
        sigma,
        style,
        judged,
        left,
        stated,
        reference,
        counts,
        count_rounding(log, counts, sigma, reference.alpha, step),
        printed_table(log, step),
        recertify(log, counts, sigma, reference.alpha, step),
        recertify(log, counts, sigma, alpha, step),
    )

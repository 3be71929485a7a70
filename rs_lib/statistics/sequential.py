"""Sequential tests on Bernoulli counts: is the success probability larger than p0?"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.statistics import boundaries
from rs_lib.statistics.binomial import LEAST_LEVEL, MAX_TRIALS
from rs_lib.statistics.calibration import calibrated
from rs_lib.statistics.crossing import Crossing, Walk

RULES = ("calibrated", "betting", "union", "three-stage", "fixed")
"""Names of the stopping rules; see `SequentialTest`."""

_LEAST_P0 = 1e-12


def _level(name: str, value: float) -> float:
    """Return a level; below one half the two decisions cannot meet at the same count."""
    level = arguments.single(name, arguments.level(name, value))
    if not LEAST_LEVEL <= level < 0.5:
        raise ValueError(f"{name} is {level}: give a level from {LEAST_LEVEL} to below 0.5")
    return level


def _plan(
    rule: str,
    looks: npt.ArrayLike | None,
    p0s: FloatArray,
    alpha: float,
    beta: float,
    max_samples: int,
) -> IntArray:
    """Return the looks of a rule, or those given if they fit it."""
    if rule in ("three-stage", "fixed"):
        if looks is not None:
            raise ValueError(f"looks is given but rule {rule!r} has looks of its own: leave it out")
        shares = (100, 10, 1) if rule == "three-stage" else (1,)
        return np.unique([max(1, max_samples // share) for share in shares])
    if looks is None:
        return boundaries.default_looks(p0s, alpha, beta, max_samples)
    plan = arguments.integers("looks", looks, least=1)
    if plan.ndim != 1 or plan.size == 0 or (np.diff(plan) <= 0).any():
        raise ValueError(f"looks has shape {plan.shape}: give a list of strictly increasing counts")
    if plan[-1] != max_samples:
        raise ValueError(f"looks ends with {plan[-1]}: let it end with max_samples, {max_samples}")
    return plan


def _spending(rule: str, looks: int) -> FloatArray:
    """Share of the level that each look spends.

    Source: Voráček (2024), union-bound confidence sequence: 5 / ((k + 4)(k + 5)) at the k-th look,
    whose sum over all k is 1; Horváth et al. (2022), adaptive sampling: equal shares.
    """
    k = np.arange(1, looks + 1)
    return 5 / ((k + 4.0) * (k + 5)) if rule == "union" else np.full(looks, 1 / looks)


def _boundaries(
    rule: str, looks: IntArray, p0: float, alpha: float, beta: float
) -> tuple[IntArray, IntArray]:
    """Return (accept, reject) of a rule against one p0."""
    if rule == "calibrated":
        return calibrated(looks, p0, alpha, beta)

    def one_side(level: float) -> boundaries.Boundary:
        if rule == "betting":
            threshold = log(1 / level) + 1e-6  # more than the rounding of the wealth
            return boundaries.above_mean(boundaries.wealth, threshold)
        return boundaries.clopper_pearson(level * _spending(rule, looks.size))

    return one_side(alpha)(looks, p0), boundaries.mirrored(one_side(beta), looks, p0)


class _Design:
    """Checked arguments and boundaries, which the test and the table share."""

    def __init__(
        self,
        p0s: FloatArray,
        alpha: float,
        max_samples: int,
        rule: str,
        looks: npt.ArrayLike | None,
        beta: float | None,
    ) -> None:
        if p0s[0] < _LEAST_P0:
            raise ValueError(f"p0 is {p0s[0]}: give at least {_LEAST_P0}")
        self.alpha = _level("alpha", alpha)
        self.beta = self.alpha if beta is None else _level("beta", beta)
        self.rule = arguments.one_of("rule", rule, RULES)
        self.max_samples = arguments.integer("max_samples", max_samples, least=1)
        if self.max_samples > MAX_TRIALS:
            raise ValueError(f"max_samples is {self.max_samples}: give at most {MAX_TRIALS}")
        hardest = float(p0s[-1])
        enough = boundaries.first_certifying(hardest, self.alpha)
        if self.max_samples < enough:
            raise ValueError(
                f"max_samples is {self.max_samples}, but not even {self.max_samples} successes "
                f"certify p > {hardest:.6g} at alpha = {self.alpha:g}: give at least {enough}"
            )
        self.looks = _plan(rule, looks, p0s, self.alpha, self.beta, self.max_samples)
        rows = [_boundaries(rule, self.looks, float(p), self.alpha, self.beta) for p in p0s]
        # Running maxima nest the boundaries. A walk that the raised pair accepts reaches the
        # accepting count without having met the giving-up count, both raised: the row's own pair
        # accepts it too, at that look or before. So the type I error only falls.
        self.accept = np.maximum.accumulate([accept for accept, _ in rows])
        self.reject = np.maximum.accumulate([reject for _, reject in rows])
        if (self.accept[-1] > self.looks).all():
            raise ValueError(
                f"rule is {rule!r}, which certifies p > {hardest:.6g} at alpha = {self.alpha:g} by "
                f"no count up to max_samples = {self.max_samples}: raise it, or use 'calibrated'"
            )


class SequentialTest:
    """Test of H0: p <= p0 on a growing number of Bernoulli samples, with exact errors.

    At each of the cumulative sample sizes `looks` the test certifies p > p0 from `accept`
    successes on, gives up at `reject` successes or fewer, and else goes on; it ends undecided
    after `max_samples`. The probability of certifying when p <= p0 is at most `alpha`, that of
    giving up when p >= p0 is `beta` (default: alpha) by design. The rules:

    - "calibrated": generalised likelihood ratio, whose threshold is lowered until the exact error
      reaches alpha; single counts fill what is left (Lai 1988; `calibration.py`);
    - "betting": wealth of the Krichevsky-Trofimov bettor at 1 / alpha, valid by Ville's
      inequality (Voráček 2024, section 4);
    - "union": Clopper-Pearson bounds whose levels sum up to alpha (Voráček 2024, section 4);
    - "three-stage": Clopper-Pearson at a hundredth, a tenth and all of the samples, alpha / 3 each
      (Horváth et al. 2022, but with the samples of the earlier stages kept);
    - "fixed": one Clopper-Pearson bound at `max_samples`.

    `looks` replaces the default plan of the first three rules: strictly increasing, ending with
    `max_samples`.

    Attributes: `looks`, `accept` (look + 1 where no count certifies), `reject` (-1 where none
    gives up): int64, shape (looks,), with accept > reject; `p0`, `alpha`, `beta`, `max_samples`,
    `rule`.

    Raises ValueError for p0 outside [1e-12, 1), alpha or beta outside [1e-60, 1/2), an unknown
    rule, a plan that does not fit, and a `max_samples` within which nothing can be certified,
    naming the smallest that suffices.
    """

    def __init__(
        self,
        p0: float,
        alpha: float,
        max_samples: int,
        rule: str = "calibrated",
        *,
        looks: npt.ArrayLike | None = None,
        beta: float | None = None,
    ) -> None:
        """Check the arguments and compute the boundaries."""
        self.p0 = arguments.single("p0", arguments.level("p0", p0, rounding="up"))
        design = _Design(np.array([self.p0]), alpha, max_samples, rule, looks, beta)
        self.alpha, self.beta = design.alpha, design.beta
        self.max_samples, self.rule = design.max_samples, design.rule
        self.looks: IntArray = design.looks
        self.accept: IntArray = design.accept[0]
        self.reject: IntArray = design.reject[0]

    def type_one_error(self) -> float:
        """P(certify) at p0, the largest over all p <= p0; exact, rounded up.

        The rounding is at most 1e-9 of it for the default plans.

        The largest, because one uniform number per sample gives, at a smaller p, no more
        successes than at p0 at any look: where that walk certifies without having given up, the
        walk at p0 has not given up before either, and certifies at that look or earlier.
        """
        return float(self._of(self.p0, lambda crossing: crossing.error_of(crossing.accepted)))

    def power(self, p: npt.ArrayLike) -> FloatArray:
        """P(certify) at the success probability `p`; the shape of `p`."""
        return self._of(p, lambda crossing: float(crossing.accepted.sum()))

    def give_up(self, p: npt.ArrayLike) -> FloatArray:
        """P(give up) at the success probability `p`; the shape of `p`."""
        return self._of(p, lambda crossing: float(crossing.given_up.sum()))

    def expected_samples(self, p: npt.ArrayLike) -> FloatArray:
        """Mean number of samples until the test ends, at the success probability `p`."""
        steps = np.diff(self.looks)

        def mean(crossing: Crossing) -> float:
            return float(self.looks[0] + steps @ crossing.going_on[:-1])

        return self._of(p, mean)

    def _of(self, p: npt.ArrayLike, value: Callable[[Crossing], float]) -> FloatArray:
        """Apply `value` to the crossing at each success probability."""
        points, inverse = np.unique(
            arguments.probabilities("p", p, rounding="nearest"), return_inverse=True
        )
        level = min(self.alpha, self.beta)
        values = [
            value(Walk(self.looks, float(point), level).cross(self.accept, self.reject))
            for point in points
        ]
        return np.array(values, dtype=np.float64)[inverse].reshape(np.shape(p))[()]


class SequentialTable:
    """Sequential tests of p <= p0 for a whole list of p0, nested so that all share one alpha.

    One plan of looks serves all p0. At each look both boundaries are nondecreasing in p0, so a
    false certificate for any p0 >= p implies that the test of the smallest such p0 certifies too:
    it cannot have given up before, since the larger one would have. Hence P(any false
    certificate) <= alpha, whatever the number of p0s. Running maxima over the p0s nest the
    boundaries; they lower the errors alpha and may raise the probability `beta` of giving up.

    `p0s`: strictly increasing, shape (m,). Attributes: `looks` int64 (looks,), `accept` and
    `reject` int64 (m, looks), otherwise as in `SequentialTest`, whose arguments and errors apply.

    In the book: prop-nested.
    """

    def __init__(
        self,
        p0s: npt.ArrayLike,
        alpha: float,
        max_samples: int,
        rule: str = "calibrated",
        *,
        looks: npt.ArrayLike | None = None,
        beta: float | None = None,
    ) -> None:
        """Check the arguments and compute the boundaries."""
        self.p0s: FloatArray = arguments.level("p0s", p0s, rounding="up")
        if self.p0s.ndim != 1 or self.p0s.size == 0 or (np.diff(self.p0s) <= 0).any():
            raise ValueError(
                f"p0s has shape {self.p0s.shape}: give a list of strictly increasing probabilities"
            )
        design = _Design(self.p0s, alpha, max_samples, rule, looks, beta)
        self.alpha, self.beta = design.alpha, design.beta
        self.max_samples, self.rule = design.max_samples, design.rule
        self.looks: IntArray = design.looks.copy()
        self.accept: IntArray = design.accept
        self.reject: IntArray = design.reject
        for kept in (self.looks, self.accept, self.reject):
            kept.flags.writeable = False  # plans share their tables

    def type_one_errors(self) -> FloatArray:
        """P(certify p0) at p0 for each p0, after nesting; shape (m,)."""
        crossings = [
            Walk(self.looks, float(p0), min(self.alpha, self.beta)).cross(accept, reject)
            for p0, accept, reject in zip(self.p0s, self.accept, self.reject, strict=True)
        ]
        return np.array([crossing.error_of(crossing.accepted) for crossing in crossings])

    def decide(
        self,
        look_index: int,
        successes: npt.ArrayLike,
        certified: npt.ArrayLike,
        refused: npt.ArrayLike,
    ) -> tuple[IntArray, IntArray]:
        """Return the state (certified, refused) of each image after a look.

        All arrays have shape (images,): `successes` the counts at `looks[look_index]`,
        `certified` how many of the p0s, from the smallest on, are certified so far (start: 0),
        `refused` the index of the smallest p0 given up so far (start: m). A test that has ended
        stays as it is; an image is decided when certified == refused.

        Raises ValueError for a look index out of range, counts above the look, states outside
        0 <= certified <= refused <= m, or unequal shapes.
        """
        counts = arguments.integers("successes", successes)
        done = arguments.integers("certified", certified)
        barred = arguments.integers("refused", refused)
        m, looks = self.accept.shape
        look_index = arguments.integer("look_index", look_index)
        if look_index >= looks:
            raise ValueError(f"look_index is {look_index}: give an index from 0 to {looks - 1}")
        if not counts.shape == done.shape == barred.shape:
            raise ValueError(
                f"successes, certified and refused have shapes {counts.shape}, {done.shape} and "
                f"{barred.shape}: give one entry per image in each"
            )
        if (counts > self.looks[look_index]).any():
            raise ValueError(
                f"successes holds {counts.max()}: give at most {self.looks[look_index]}, the look"
            )
        if (done > barred).any() or (barred > m).any():
            raise ValueError(f"certified and refused do not fit: keep certified <= refused <= {m}")
        reached = np.searchsorted(self.accept[:, look_index], counts, side="right")
        given_up = np.searchsorted(self.reject[:, look_index], counts, side="left")
        now = np.clip(reached, done, barred)
        return now, np.clip(given_up, now, barred)

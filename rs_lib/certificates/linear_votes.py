"""Rules that are linear in the training labels, under label noise and under attack.

Ridge regression answers by alpha^T y, where the weights alpha = X (X^T X + lambda I)^-1 h(x) of a
test point x do not depend on the labels y. Under noise that changes each label by itself, the
generating function of the score is a product over the labels, so Chernoff's inequality
P(score <= 0) <= min_t E exp(-t score) bounds the failure probability without sampling, any t >= 0
validly. Without noise, an attacker's best flips are the largest contributions.
Source: Rosenfeld, Winston, Ravikumar and Kolter (2020), "Certified Robustness to Label-Flipping
Attacks via Randomized Smoothing", section 4 and algorithm 1.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.certificates.regions import Exact, exact_probability, log_of

_ERROR = 2.0**-44
"""Allowed to the sum over labels, relative to the sizes summed: 512 units, ten needed."""

_DECREMENT = 1e-6  # twice what Newton's method leaves of the logarithm of the bound
_ITERATIONS = 60
MOST_CLASSES = 10_000
_LARGEST = 1e300
_MOST_ENTRIES = 2**20
"""Entries of a chunk of weights, which bounds the memory."""


def chernoff_log_failure(
    alpha: npt.ArrayLike, labels: npt.ArrayLike, flip: Exact
) -> tuple[IntArray, FloatArray]:
    """Answers of the rule 1{alpha^T y >= 1/2} under label noise, and bounds on log failure.

    `alpha` [tests, n], `labels` [n] in {0, 1}, each flipped with probability `flip` on its own.
    Returns the class whose side the mean score is on, int64 [tests], and an upper bound on the
    log of the probability of the other answer, float64 [tests]: at most 0, rounded up, for
    `radius_kl` and `radius_tight`. Ties at 1/2 count as failures of either class. The
    bound is deterministic: it holds without a confidence level. Raises ValueError for shapes that
    do not fit, infinite weights, other labels, or flip outside (0, 1/2) or given as a float.

    Source: Rosenfeld et al. (2020), section 4.

    In the book: prop-lf-chernoff.
    """
    weights, ones = checked_votes(alpha, labels, 2)
    q = checked_flip(flip, 2)[0]
    answers = (weights @ np.where(ones == 1, float(1 - q), float(q)) >= 0.5).astype(np.int64)
    side = np.where(answers == 1, 1.0, -1.0)
    log_law = _logs([[q, 1 - q, 0], [1 - q, q, 0]])[ones]
    return answers, _log_chernoff(side[:, None] * weights, -side / 2, log_law)


def chernoff_log_failure_classes(
    alpha: npt.ArrayLike, labels: npt.ArrayLike, flip: Exact, classes: int
) -> tuple[IntArray, FloatArray]:
    """Answers of argmax_c sum of alpha_i over {i: y_i = c} under label noise, and log failures.

    Each label is kept with probability 1 - `flip` and is otherwise any other class, all alike.
    Returns the class of largest mean score, int64 [tests], and an upper bound on the log of the
    probability that the rule answers otherwise, float64 [tests]: the sum of the pairwise Chernoff
    bounds. The largest pairwise bound alone would not do: each rival may lose its duel while the
    class wins fewer than half of all draws. Arguments and errors as for `chernoff_log_failure`,
    with flip in (0, 1 - 1/classes).

    Source: Rosenfeld et al. (2020), multi-class extension; the sum over pairs is ours.

    In the book: prop-lf-duels.
    """
    weights, known = checked_votes(alpha, labels, classes)
    q, others = checked_flip(flip, classes)
    stay, each = 1 - q, q / others
    one_hot = known[:, None] == np.arange(classes)
    answers = (weights @ np.where(one_hot, float(stay), float(each))).argmax(axis=1)
    # Votes for the answer, for neither, for the rival: from a label of another class, of the rival,
    # of the answer.
    middle = each * (others - 1)
    laws = _logs([[each, 1 - 2 * each, each], [each, middle, stay], [stay, middle, each]])
    log_bounds = np.full((len(weights), classes), -np.inf)
    for answer in np.unique(answers):
        rows = answers == answer
        for rival in range(classes):
            if rival != answer:
                log_law = laws[one_hot[:, rival] + 2 * one_hot[:, answer]]
                offset = np.zeros(rows.sum())
                log_bounds[rows, rival] = _log_chernoff(weights[rows], offset, log_law)
    total = special.logsumexp(log_bounds, axis=1)
    return answers, np.minimum(total + _ERROR * (1 + np.abs(total)), 0.0)


def _logs(laws: list[list[Fraction | int]]) -> FloatArray:
    """Logarithms of masses, taken before they become floats, which may be 0 where they are not."""
    return np.array([[log_of(Fraction(mass)) for mass in law] for law in laws])


def _log_chernoff(alpha: FloatArray, offset: FloatArray, log_law: FloatArray) -> FloatArray:
    """Bound on log P(offset + sum_i alpha_i V_i <= 0), V_i = 1, 0, -1 of log masses log_law[i]."""
    rows = max(1, _MOST_ENTRIES // alpha.shape[1])
    parts = [
        _minimise(alpha[i : i + rows], offset[i : i + rows], log_law)
        for i in range(0, len(alpha), rows)
    ]
    return np.concatenate([np.zeros(0), *parts])


def _minimise(alpha: FloatArray, offset: FloatArray, log_law: FloatArray) -> FloatArray:
    """Newton's method for the convex log E exp(-t score) on t >= 0, kept inside a bracket.

    Each t tried gives a valid bound, to which the rounding error of its sum is added; the
    best is returned, however far the iteration got.
    """
    size = np.abs(alpha).sum(axis=1) + np.abs(offset)
    known = -log_law[np.isfinite(log_law)].min() * len(log_law)
    low, high = np.zeros(len(alpha)), np.full(len(alpha), np.inf)
    t, best = np.zeros(len(alpha)), np.zeros(len(alpha))
    for _ in range(_ITERATIONS):
        value, slope, curvature = _log_generating(t, alpha, offset, log_law.T)
        best = np.fmin(best, value + _ERROR * (1 + known + t * size))
        low, high = np.where(slope < 0, t, low), np.where(slope < 0, high, t)
        if (slope**2 <= _DECREMENT * curvature).all():
            break
        # Where failure is all but impossible the curve flattens and the step grows without end.
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = np.minimum(t - slope / curvature, np.where(t > 0, 4 * t, 1e9 / size))
        inside = (newton > low) & (newton < high)
        t = np.where(inside, newton, np.where(np.isinf(high), t, (low + high) / 2))
    return best


def _log_generating(
    t: FloatArray, alpha: FloatArray, offset: FloatArray, log_law: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """log E exp(-t (offset + sum_i alpha_i V_i)) of each row, with two derivatives in t."""
    step = t[:, None] * alpha
    plus, zero, minus = log_law[0] - step, log_law[1], log_law[2] + step
    largest = np.maximum(np.maximum(plus, minus), zero)
    up, down = np.exp(plus - largest), np.exp(minus - largest)
    total = up + down + np.exp(zero - largest)
    mean, spread = (up - down) / total, (up + down) / total
    value = (np.log(total) + largest).sum(axis=1) - t * offset
    slope = -(alpha * mean).sum(axis=1) - offset
    curvature = (alpha**2 * (spread - mean**2)).sum(axis=1)
    return value, slope, curvature


def ridge_flip_radius(alpha: npt.ArrayLike, labels: npt.ArrayLike) -> IntArray:
    """Flips that the rule 1{alpha^T y >= 1/2} itself withstands, without noise; int64 [tests].

    `alpha` [tests, n] are the weights that the labels y in {0, 1}, [n], have on each answer; ridge
    regression has alpha = X (X^T X + lambda I)^-1 h(x). The attacker flips any labels, chosen for
    each test point, and pushes the most by taking the largest contributions first; a tie at
    1/2 is class 1. The radius is exact for the floats given (signs of sums are decided without
    rounding): r flips leave every answer as it is and r + 1 change it, or r = n where none do.
    Raises ValueError for shapes that do not fit, infinite weights, or other labels.

    Source: ours; the rule is that of Rosenfeld et al. (2020), section 4.

    In the book: prop-lf-greedy.
    """
    weights, ones = checked_votes(alpha, labels, 2)
    radii = []
    for row in weights:
        scores = np.append(row[ones == 1], -0.5)
        answer = math.fsum(scores) >= 0
        push = np.where((ones == 1) == answer, row, -row)
        radii.append(_greedy(scores if answer else -scores, push, keeps_ties=answer))
    return np.array(radii, dtype=np.int64)


def ridge_flip_radius_classes(
    alpha: npt.ArrayLike, labels: npt.ArrayLike, classes: int
) -> IntArray:
    """Changed labels that argmax_c sum of alpha_i over {i: y_i = c} withstands; int64 [tests].

    As `ridge_flip_radius`, for labels 0 ... classes - 1 that become any other; of equal scores the
    smallest class wins. One rival has to overtake, and against a given one a label's best change is
    the rival's label or, for a negative weight, the answer's own. Raises ValueError likewise.

    Source: ours.
    """
    weights, known = checked_votes(alpha, labels, classes)
    radii = []
    for row in weights:

        def lead(one: int, other: int, row: FloatArray = row) -> FloatArray:
            difference: FloatArray = row * (known == one) - row * (known == other)
            return difference

        answer = 0
        for c in range(1, classes):
            answer = c if math.fsum(lead(c, answer)) > 0 else answer
        radii.append(
            min(
                _greedy(lead(answer, c), lead(answer, c) + np.abs(row), keeps_ties=answer < c)
                for c in range(classes)
                if c != answer
            )
        )
    return np.array(radii, dtype=np.int64)


def _greedy(scores: FloatArray, push: FloatArray, *, keeps_ties: bool) -> int:
    """Labels that can change before the sum of `scores` falls to 0 or, if that is kept, below.

    The change of label i takes push[i]; the number of labels where no change succeeds.
    """
    terms = scores.tolist()
    pushes = np.sort(push[push > 0])[::-1]

    def holds(changes: int) -> bool:
        # fsum rounds the exact sum once, so its sign is right.
        left = math.fsum([*terms, *(-pushes[:changes]).tolist()])
        return left > 0 or (keeps_ties and left == 0)

    changes = int(np.searchsorted(np.cumsum(pushes), math.fsum(terms)))
    while not holds(changes):
        changes -= 1
    while changes < len(pushes) and holds(changes + 1):
        changes += 1
    return len(push) if changes == len(pushes) else changes


def checked_flip(flip: Exact, classes: int) -> tuple[Fraction, int]:
    """Return flip as a Fraction and classes - 1, or raise ValueError for noise of no use."""
    others = arguments.integer("classes", classes, least=2, most=MOST_CLASSES) - 1
    q = exact_probability("flip", flip)
    if not 0 < q < Fraction(others, others + 1):
        raise ValueError(
            f"flip is {arguments.shown(flip)}: give a probability strictly between 0 and "
            f"1 - 1/classes = {Fraction(others, others + 1)}"
        )
    return q, others


def checked_votes(
    alpha: npt.ArrayLike, labels: npt.ArrayLike, classes: int
) -> tuple[FloatArray, IntArray]:
    """Return weights [tests, n] and labels [n] in 0 ... classes - 1, or raise ValueError."""
    weights = arguments.numbers("alpha", alpha)
    known = arguments.integers("labels", labels)
    arguments.integer("classes", classes, least=2, most=MOST_CLASSES)
    if weights.ndim != 2 or known.shape != weights.shape[1:] or not known.size:
        raise ValueError(
            f"alpha has shape {weights.shape} and labels {known.shape}: give [tests, n] and [n]"
        )
    if (np.abs(weights) > _LARGEST).any():
        raise ValueError(
            f"alpha holds {np.abs(weights).max()}: give finite weights of at most {_LARGEST} in "
            "size, whose sums do not overflow"
        )
    if (known >= classes).any():
        raise ValueError(f"labels holds {known.max()}: give labels below {classes}")
    return weights, known

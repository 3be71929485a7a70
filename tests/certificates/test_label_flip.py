"""Label-flip certificates against all label vectors, exact rationals and fifty digits."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import stats

from rs_lib.certificates import discrete, label_flip

LOGS_OF_ONE_HALF = [math.log(0.5), math.nextafter(math.log(0.5), -1)]  # above it and below
FLIPS = [("0.3", 2), ("0.49", 2), ("0.001", 2), ("0.0125", 10), ("0.6", 3)]


# Radii


@pytest.mark.parametrize(
    ("flip", "failure", "kl", "tight"),
    [
        ("0.3", [1e-2, 1e-3, 1e-6, 1e-12], [4, 8, 18, 38], [7, 14, 33, 73]),
        ("0.4", [1e-1, 1e-2, 1e-3], [6, 19, 34], [10, 33, 58]),
        ("0.1", [1e-12], [7], [13]),
    ],
)
def test_radii_computed_with_fractions_before(flip, failure, kl, tight):
    assert label_flip.radius_kl(np.log(failure), flip).tolist() == kl
    assert label_flip.radius_tight(np.log(failure), flip).tolist() == tight


@pytest.mark.parametrize(("flip", "classes"), FLIPS)
def test_the_tight_radius_is_the_exact_one_up_to_the_last_digits(flip, classes):
    """A failure probability next to the exact threshold, on either side of it."""
    keep = 1 - Fraction(flip)
    for r in [*range(12), 50, 51, 120]:
        failure = 1 - discrete.threshold(r, keep, classes - 1)
        log = math.log(failure.numerator) - math.log(failure.denominator)
        slack = 1e-11 * max(1, -log)
        assert label_flip.radius_tight(log + slack, flip, classes) == r - 1
        assert label_flip.radius_tight(log - slack, flip, classes) >= r
        # At the float next to the threshold nothing is claimed that exact arithmetic denies.
        assert label_flip.radius_tight(log, flip, classes) <= r


@pytest.mark.parametrize(("flip", "classes"), FLIPS)
def test_the_information_bound_to_fifty_digits(flip, classes):
    q, others = Fraction(flip), classes - 1
    rng = np.random.default_rng(classes)
    logs = np.concatenate([-(10 ** rng.uniform(-0.15, 5, 200)), LOGS_OF_ONE_HALF])
    got = label_flip.radius_kl(logs, flip, classes, max_radius=10**9)
    with mpmath.workdps(50):
        stay = mpmath.mpf((1 - q).numerator) / (1 - q).denominator
        each = mpmath.mpf((q / others).numerator) / (q / others).denominator
        divergence = (stay - each) * mpmath.log(stay / each)
        for log, radius in zip(logs.tolist(), got.tolist(), strict=True):
            failure = mpmath.exp(log)
            bound = -(mpmath.log(4) + mpmath.log1p(-failure) + log) / 2
            exact = -1 if failure >= 0.5 else int(mpmath.ceil(bound / divergence)) - 1
            assert radius == exact


@pytest.mark.parametrize(("flip", "classes"), FLIPS)
def test_the_bound_gives_away_half_the_radius(flip, classes):
    """By Stein's lemma; and, since it holds for every rule, it never exceeds the tight radius."""
    logs = -np.linspace(0.7, 200, 500)
    kl = label_flip.radius_kl(logs, flip, classes)
    tight = label_flip.radius_tight(logs, flip, classes)
    assert (kl <= tight).all()
    assert (np.diff(tight) >= 0).all()
    if flip in ("0.3", "0.6"):
        assert tight[-1] / kl[-1] == pytest.approx(2, abs=0.1)


def test_failure_probabilities_beyond_every_float():
    logs = [-1290, -3000, -1e5]
    assert label_flip.radius_tight(logs, "0.0125", 10).tolist() == [198, 462, 10_000]
    assert label_flip.radius_kl(logs, "0.0125", 10).tolist() == [99, 231, 7721]
    for radius in (label_flip.radius_kl, label_flip.radius_tight):
        got = radius([[-np.inf, 0.0], LOGS_OF_ONE_HALF], "0.1", max_radius=30)
        assert got.tolist() == [[30, -1], [-1, 0]]
        assert radius(-5.0, "0.1").shape == ()
    assert label_flip.radius_tight(-np.inf, "0.4", max_radius=0) == 0


# Linear rules, all label vectors of small problems


def _label_vectors(n, classes):
    return np.array(list(itertools.product(range(classes), repeat=n)))


def _smoothed(answers, n, classes, q):
    """Probability of `answers` [vectors, ...] under noise around every label vector."""
    kernel = np.full((classes, classes), q / (classes - 1))
    np.fill_diagonal(kernel, 1 - q)
    result = answers.reshape((classes,) * n + answers.shape[1:])
    for axis in range(n):
        result = np.moveaxis(np.tensordot(kernel, result, (1, axis)), 0, axis)
    return result.reshape(answers.shape)


def _true_radius(own, answers, vectors, index):
    """Fewest changed labels that change the answer, less one; n where there are none."""
    distance = (vectors != vectors[index]).sum(axis=1)
    wrong = answers != own
    return int(distance[wrong].min()) - 1 if wrong.any() else vectors.shape[1]


def _dyadic(rng, shape):
    return rng.integers(-24, 40, shape) / 64


@pytest.mark.parametrize("flip", ["0.1", "0.2", "0.35"])
def test_a_toy_with_all_2048_label_vectors(flip):
    n, q = 11, float(flip)
    rng = np.random.default_rng(int(100 * q))
    vectors = _label_vectors(n, 2)
    positive = 0
    for _ in range(8):
        alpha = _dyadic(rng, (1, n))
        rule = (vectors @ alpha[0] >= 0.5).astype(float)
        smoothed = _smoothed(rule, n, 2, q)
        index = int(rng.integers(len(vectors)))
        answer, log_bound = label_flip.chernoff_log_failure(alpha, vectors[index], flip)
        own = smoothed[index] > 0.5
        p = max(smoothed[index], 1 - smoothed[index])
        failure = 1 - smoothed[index] if answer[0] else smoothed[index]
        assert failure <= math.exp(log_bound[0])
        chernoff = label_flip.radius_kl(log_bound, flip)[0]
        exact = label_flip.radius_kl(math.log(1 - p), flip)
        tight = label_flip.radius_tight(math.log(1 - p), flip)
        truth = _true_radius(own, smoothed > 0.5, vectors, index)
        assert chernoff <= exact <= tight <= truth
        base = label_flip.ridge_flip_radius(alpha, vectors[index])[0]
        assert base == _true_radius(rule[index], rule, vectors, index)
        positive += chernoff > 0
    assert positive or flip != "0.1"


def test_a_toy_of_three_classes():
    n, classes, flip = 7, 3, "0.02"
    rng = np.random.default_rng(8)
    vectors = _label_vectors(n, classes)
    certified = 0
    for _ in range(20):
        alpha = rng.integers(-6, 40, (1, n)) / 64
        scores = np.eye(classes)[vectors].transpose(0, 2, 1) @ alpha[0]
        rule = scores.argmax(axis=1)
        smoothed = _smoothed(np.eye(classes)[rule], n, classes, float(flip))
        labels = np.where(rng.random(n) < 0.8, rng.integers(0, 3), rng.integers(0, 3, n))
        index = int(labels @ 3 ** np.arange(n)[::-1])
        answer, log_bound = label_flip.chernoff_log_failure_classes(alpha, labels, flip, classes)
        failure = 1 - smoothed[index, answer[0]]
        assert failure <= math.exp(log_bound[0]) + 1e-14
        majority = np.where(smoothed.max(axis=1) > 0.5, smoothed.argmax(axis=1), -1)
        kl, tight = (
            [radius(log, flip, classes) for log in (log_bound[0], math.log(failure + 1e-14))]
            for radius in (label_flip.radius_kl, label_flip.radius_tight)
        )
        truth = _true_radius(answer[0], majority, vectors, index)
        assert kl[0] <= tight[0] <= tight[1]
        assert kl[1] <= tight[1] <= truth
        certified += tight[0] > 0
        base = label_flip.ridge_flip_radius_classes(alpha, labels, classes)[0]
        assert base == _true_radius(rule[index], rule, vectors, index)
    assert certified >= 3


def test_a_class_that_wins_each_duel_may_lose_the_vote():
    """So the largest pairwise bound says nothing about the answer; their sum does."""
    alpha, labels, q = np.array([1, 3, 2]), np.array([2, 2, 2]), Fraction(3, 5)
    duels, votes = [Fraction(0)] * 2, [Fraction(0)] * 3
    for vector in _label_vectors(3, 3):
        mass = math.prod((1 - q if a == b else q / 2) for a, b in zip(vector, labels, strict=True))
        scores = [int(alpha @ (vector == c)) for c in range(3)]
        votes[int(np.argmax(scores))] += mass
        for rival in (0, 1):
            duels[rival] += mass * (scores[2] > scores[rival])
    assert min(duels) > Fraction(1, 2)
    assert votes[0] > votes[2]


@pytest.mark.parametrize("n", [3, 40, 5001])
def test_chernoff_for_equal_weights_against_the_binomial_law(n):
    """All labels 1, weights 1/n: failure is Bin(n, 1 - q) below n/2. The bound is e^(-n KL)."""
    for flip in ("0.01", "0.2", "0.4"):
        q = float(flip)
        answer, log = label_flip.chernoff_log_failure(np.full((1, n), 1 / n), np.ones(n), flip)
        exact = stats.binom.logcdf((n - 1) // 2, n, 1 - q)
        divergence = n * math.log(2 * math.sqrt(q * (1 - q)))
        assert answer[0] == 1
        assert exact <= log[0]
        assert divergence <= log[0] <= divergence + 2e-6


def test_two_classes_duel_in_either_form():
    """With weights that sum to 1 the rule at 1/2 is the duel of both classes."""
    rng = np.random.default_rng(5)
    alpha = rng.normal(size=(20, 60)) / 60 + 1 / 60
    alpha /= alpha.sum(axis=1, keepdims=True)
    labels = rng.integers(0, 2, 60)
    labels[:40] = 1
    single = label_flip.chernoff_log_failure(alpha, labels, "0.1")
    double = label_flip.chernoff_log_failure_classes(alpha, labels, "0.1", 2)
    assert np.array_equal(single[0], double[0])
    np.testing.assert_allclose(single[1], double[1], atol=3e-6)
    assert (single[1] < -1).any()


@pytest.mark.parametrize("q", ["0.4", "0.1"])
def test_the_bound_of_many_labels_is_above_the_exact_log_in_any_order_of_memory(q):
    """Weights that sum to 1/2, all of label 0: the rule fails where all labels flip."""
    n = 2**17
    alpha = np.full((n, 8), 1 / (2 * n))
    exact = n * mpmath.log(mpmath.mpf(q))
    for weights in (alpha.T, np.ascontiguousarray(alpha.T)):
        _, log = label_flip.chernoff_log_failure(weights, np.zeros(n, int), q)
        assert all(0 <= bound - exact < 1e-5 for bound in log)


def test_points_without_a_lead_get_no_bound():
    """Weights that cancel, none at all, and a mean score of exactly 1/2."""
    labels = np.array([1, 0, 1, 0])
    alpha = np.array([[0.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [1, 1, 1, 1]])
    answer, log = label_flip.chernoff_log_failure(alpha, labels, "0.25")
    assert answer.tolist() == [0, 1, 1]
    assert log[1] == pytest.approx(0, abs=1e-12)
    # No label matters: failure is impossible, and the bound falls without end.
    assert log[0] < -1e6
    answer, log = label_flip.chernoff_log_failure_classes(alpha, labels, "0.25", 3)
    assert (log == 0).all()
    assert label_flip.chernoff_log_failure(np.zeros((0, 4)), labels, "0.1")[1].shape == (0,)


def test_ties_at_one_half_are_class_one():
    quarter = np.full((1, 4), 0.25)
    # Score 1/2: class 1, and any label of 1 tips it over. Score 1/4: one flip reaches the tie.
    assert label_flip.ridge_flip_radius(quarter, [1, 1, 0, 0]).tolist() == [0]
    assert label_flip.ridge_flip_radius(quarter, [1, 0, 0, 0]).tolist() == [0]
    assert label_flip.ridge_flip_radius(quarter, [1, 1, 1, 0]).tolist() == [1]
    assert label_flip.ridge_flip_radius(quarter, [0, 0, 0, 0]).tolist() == [1]
    assert label_flip.ridge_flip_radius([[0.1, -0.1, 0.2]], [1, 1, 1]).tolist() == [3]
    # 0.1 + 0.2 + 0.2 is 1/2 in rounded sums; the floats add up to more.
    assert sum(map(Fraction, [0.1, 0.2, 0.2])) > Fraction(1, 2)
    assert label_flip.ridge_flip_radius([[0.1, 0.2, 0.2, 2.0**-80]], [1, 1, 1, 1]).tolist() == [0]
    # Of equal scores the smaller class wins.
    assert label_flip.ridge_flip_radius_classes(quarter, [0, 0, 0, 1], 2).tolist() == [1]
    assert label_flip.ridge_flip_radius_classes(quarter, [1, 1, 1, 0], 2).tolist() == [0]
    assert label_flip.ridge_flip_radius_classes(quarter, [0, 1, 0, 1], 3).tolist() == [0]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: label_flip.radius_kl(0.1, "0.1"), "log_failure is 0.1"),
        (lambda: label_flip.radius_kl(-1, 0.1), "flip is 0.1: give a Fraction"),
        (lambda: label_flip.radius_kl(-1, "0.5"), "flip is '0.5': give a probability strictly"),
        (lambda: label_flip.radius_kl(-1, "0"), "flip is '0'"),
        (lambda: label_flip.radius_tight(-1, "0.7", 3), "1 - 1/classes = 2/3"),
        (lambda: label_flip.radius_tight(-1, "0.1", 1), "classes is 1"),
        (lambda: label_flip.radius_tight(-1, "0.1", 2, -1), "max_radius is -1"),
        (lambda: label_flip.chernoff_log_failure([1.0], [1], "0.1"), "alpha has shape"),
        (
            lambda: label_flip.chernoff_log_failure([[np.inf]], [1], "0.1"),
            "alpha holds inf",
        ),
        (lambda: label_flip.chernoff_log_failure([[1.0]], [2], "0.1"), "labels holds 2"),
        (lambda: label_flip.ridge_flip_radius([[1.0]], [1, 1]), "labels"),
        (lambda: label_flip.ridge_flip_radius_classes([[1.0]], [3], 3), "labels holds 3"),
    ],
)
def test_bad_input_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()

"""Label flips on digits: features without labels, weights, what smoothing makes of linear rules."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from rs_lib.certificates import label_flip, smoothed_linear
from rs_lib.experiments import label_flips
from rs_lib.machines import data, features, ridge
from rs_lib.record.stage import Context

# The smoothed linear rule, against all label vectors


def _vectors(n):
    return np.array(list(itertools.product((0, 1), repeat=n)))


def _smoothed(rule, n, q):
    """P(class 1) under noise around every label vector; `rule` [2^n] in 0, 1."""
    result = rule.astype(float).reshape((2,) * n)
    kernel = np.array([[1 - q, q], [q, 1 - q]])
    for axis in range(n):
        result = np.moveaxis(np.tensordot(kernel, result, (1, axis)), 0, axis)
    return result.reshape(-1)


@pytest.mark.parametrize("flip", ["0.05", "0.2", "0.4"])
def test_the_true_radius_of_the_smoothed_rule_lies_in_the_bracket(flip):
    n, q = 12, float(flip)
    rng = np.random.default_rng(int(100 * q))
    vectors = _vectors(n)
    told = 0
    for _ in range(25):
        alpha = rng.integers(4, 12, (1, n)) / 100
        smoothed = _smoothed(vectors @ alpha[0] >= 0.5, n, q)
        index = int(rng.integers(len(vectors)))
        answer, low, high = smoothed_linear.flip_radius_bracket(alpha, vectors[index], flip)
        distance = (vectors != vectors[index]).sum(axis=1)
        turned = distance[(smoothed < 0.5) if answer[0] else (smoothed >= 0.5)]
        truth = int(turned.min()) - 1 if turned.size else n
        assert low[0] <= truth <= high[0]
        told += int(low[0] >= 0)
    # With so few labels the bound on the distance from the normal law is near 1/2 for rare flips.
    assert told or flip == "0.05"


def test_nothing_is_said_of_a_rule_whose_majority_may_not_be_on_the_side_of_the_mean():
    # The mean score of all ones is .523, but P(class 1) is at most .343 at every label vector:
    # the smoothed rule says 0 everywhere, and no flips turn it.
    alpha, labels, flip = [[0.249] * 3], [1, 1, 1], "0.3"
    assert smoothed_linear.distance_from_normal(alpha, flip)[0] < 0.5
    smoothed = _smoothed(_vectors(3) @ alpha[0] >= 0.5, 3, 0.3)
    assert smoothed.max() < 0.35
    answer, low, high = smoothed_linear.flip_radius_bracket(alpha, labels, flip)
    assert (answer[0], low[0], high[0]) == (1, -1, 3)


@pytest.mark.parametrize("flip", ["0.01", "0.1", "0.3"])
def test_the_noisy_score_is_as_near_to_normal_as_stated(flip):
    q, n = float(flip), 400
    # All weights alike: the score is a binomial count.
    bound = smoothed_linear.distance_from_normal(np.full((1, n), 0.3), flip)[0]
    count = np.arange(n + 1)
    normal = stats.norm.cdf((count - n * (1 - q)) / math.sqrt(n * q * (1 - q)))
    law = stats.binom.cdf(count, n, 1 - q)
    gap = max(np.abs(law - normal).max(), np.abs(normal - np.r_[0, law[:-1]]).max())
    assert gap <= bound < 6 * gap
    scaled = smoothed_linear.distance_from_normal([[1.0, 2, 3], [-10, 20, 30]], flip)
    assert scaled[0] == pytest.approx(scaled[1])
    assert np.isinf(smoothed_linear.distance_from_normal(np.zeros((1, 3)), flip)[0])


def test_a_bracket_around_many_equal_votes():
    n, agree = 10_001, 9_000
    labels = np.r_[np.ones(agree), np.zeros(n - agree)]
    exact = label_flip.ridge_flip_radius(np.full((1, n), 1 / n), labels)[0]
    for flip in ("0.01", "0.2", "0.45"):
        answer, low, high = smoothed_linear.flip_radius_bracket([[1 / n] * n], labels, flip)
        assert answer[0] == 1
        assert exact - 30 < low[0] <= exact <= high[0] < exact + 30
    answer, low, high = smoothed_linear.flip_radius_bracket([[1 / n] * n], 1 - labels, "0.2")
    assert answer[0] == 0
    assert low[0] <= exact <= high[0]
    assert smoothed_linear.flip_radius_bracket([[0.0, 0.0]], [1, 0], "0.2")[1:] == ([-1], [2])
    # Nothing that all labels together could do reaches the sliver.
    assert smoothed_linear.flip_radius_bracket([[1e-3] * 99], [1] * 99, "0.4")[1].tolist() == [99]


def test_bad_votes_are_named():
    with pytest.raises(ValueError, match=r"flip is 0.1: give a Fraction"):
        smoothed_linear.flip_radius_bracket([[1.0]], [1], 0.1)
    with pytest.raises(ValueError, match="labels holds 2"):
        smoothed_linear.flip_radius_bracket([[1.0]], [2], "0.1")


# Features and weights


def test_features_are_triangles_around_the_centres():
    images = np.random.default_rng(1).random((300, 6))
    centres = features.learn_centres(images, 9, seed=3)
    away = np.linalg.norm(images[:, None] - centres.places, axis=2)
    expected = np.maximum(0, away.mean(axis=1, keepdims=True) - away)
    np.testing.assert_allclose(centres(images), expected, atol=1e-7)
    assert np.array_equal(features.learn_centres(images, 9, seed=3).places, centres.places)
    with pytest.raises(ValueError, match=r"images has shape \(300, 5\): give \[N, 6\]"):
        centres(images[:, :5])
    with pytest.raises(ValueError, match=r"images has shape \(300, 6\).*at least 400"):
        features.learn_centres(images, 400, seed=0)


def test_the_weights_give_the_ridge_of_scikit_learn():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(2)
    rows, points, labels = rng.random((50, 7)), rng.random((8, 7)), rng.integers(0, 2, 50)
    fitted = ridge.fit(rows)
    for penalty in (1e-3, 1.0, 30.0):
        amount = penalty * len(rows) * fitted.scale**2
        expected = Ridge(alpha=amount).fit(rows, labels).predict(points)
        weights = fitted.weights(points, penalty)
        np.testing.assert_allclose(weights @ labels, expected, rtol=1e-10)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
        targets = np.eye(2)[labels]
        scores = fitted.scores(points, targets, penalty)
        np.testing.assert_allclose(scores, weights @ targets, rtol=1e-9)
    with pytest.raises(ValueError, match="penalty is 0"):
        fitted.weights(points, 0.0)
    with pytest.raises(ValueError, match="features are equal"):
        ridge.fit(np.ones((4, 2)))


# The experiment


def test_the_two_digits_are_told_apart_by_their_own_images():
    digits = data.load("digits")
    parts = label_flips.split((1, 7), digits)
    assert len(parts.train) == int(np.isin(digits.train_labels.numpy(), (1, 7)).sum())
    assert set(parts.train_labels) == {0, 1}
    sevens = digits.as_float(digits.test_images[digits.test_labels == 7]).flatten(1).numpy()
    assert np.array_equal(parts.test[parts.test_labels == 1], sevens)


def test_logs_are_rounded_up():
    logs = np.array([-1e300, -1234.567, -0.01, -0.009, 0.0, *-np.random.default_rng(0).random(500)])
    rounded = np.array(label_flips.upwards(logs))
    assert (rounded >= logs).all()
    assert rounded[0] == -1e9
    assert np.abs(rounded - logs)[1:].max() < 0.0101


@pytest.fixture(scope="module")
def small():
    """The quick experiment on fewer images, with stages."""
    parameters = label_flips.PROFILES["quick"]
    two = replace(parameters.two, tested=20, swept=10, swept_flips=("0.1",))
    ten = replace(parameters.ten, tested=6, swept=4, flips=("0.05",))
    return replace(parameters, penalties=(0.1, 10.0), two=two, ten=ten)


def test_certificates_of_the_smoothed_rule_stay_below_what_it_withstands(small):
    values = label_flips.experiment.compute(small, Context())
    for name, classes in (("two", 2), ("ten", 10)):
        run, problem = values[name], getattr(small, name)
        images = run["images"]
        assert len(images["exact"]) == problem.tested == len(images["right"])
        assert run["right"] >= 0.9 * run["test"]
        for flip, noisy in zip(problem.flips, images["noisy"], strict=True):
            logs = np.array(noisy["log_failure"])
            kl, tight = (
                radius(logs, flip, classes)
                for radius in (label_flip.radius_kl, label_flip.radius_tight)
            )
            assert (kl <= tight).all()
            if classes == 2:
                assert (tight <= noisy["high"]).all()
                assert (np.array(noisy["low"]) <= noisy["high"]).all()
    # No label was asked when the centres were learned.
    digits = data.load("digits")
    parts = label_flips.split((1, 7), digits)
    first = label_flips.centres(small, (1, 7), parts, Context())
    shuffled = replace(parts, train_labels=1 - parts.train_labels)
    assert np.array_equal(
        first.places, label_flips.centres(small, (1, 7), shuffled, Context()).places
    )


def test_the_penalty_costs_at_most_what_is_allowed(small):
    values = label_flips.experiment.compute(small, Context())
    for run in (values["two"], values["ten"]):
        sweep = run["sweep"]
        right = [each["right"] for each in sweep["runs"]]
        allowed = max(right) - small.sacrifice * sweep["held"]
        assert right[sweep["chosen"]] >= allowed
        gains = [np.dot(e["images"]["right"], e["images"]["exact"]) for e in sweep["runs"]]
        within = [i for i, count in enumerate(right) if count >= allowed]
        assert gains[sweep["chosen"]] == max(gains[i] for i in within)


def test_in_the_rule_of_two_clusters_every_label_weighs_the_same():
    digits = data.load("digits")
    parts = label_flips.split((1, 7), digits)
    found = label_flips.cluster(label_flips.PROFILES["quick"], parts)
    n, agree = len(parts.train), found["agree"]
    votes = np.r_[np.ones(agree), np.zeros(n - agree)]
    exact = label_flip.ridge_flip_radius(np.full((1, n), Fraction(1, n)).astype(float), votes)[0]
    assert agree > 0.9 * n
    assert abs(int(exact) - math.ceil((2 * agree - n) / 2)) <= 1
    assert found["right"] > 0.9 * len(parts.test)

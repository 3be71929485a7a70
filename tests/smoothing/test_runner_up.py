"""The radius from a lower bound of one class and an upper bound of all others."""

from fractions import Fraction
from itertools import product
from math import factorial, prod

import numpy as np
import pytest
import torch

from rs_lib import smoothing
from rs_lib.certificates import ablation
from rs_lib.noise import Ablation, Gaussian, Laplace, Rounded, Uniform
from rs_lib.smoothing import FixedSamples
from rs_lib.statistics import clopper_pearson_lower, lead_bounds


def _counts(n, classes):
    return [v for v in product(range(n + 1), repeat=classes) if sum(v) == n]


def _mass(counts, law):
    ways = factorial(sum(counts)) // prod(map(factorial, counts))
    return ways * prod(p**k for p, k in zip(law, counts, strict=True))


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_both_bounds_hold_at_once_with_one_level_however_many_classes_there_are(classes):
    n, alpha = 14 - 2 * classes + 4, Fraction(1, 5)
    rng = np.random.default_rng(classes)
    laws = [rng.integers(0, 12, classes) + np.eye(classes, dtype=int)[0] for _ in range(25)]
    laws += [np.ones(classes, dtype=int), np.eye(classes, dtype=int)[0]]
    tables = _counts(n, classes)
    firsts, seconds = np.array([(v[0], max(v[1:])) for v in tables]).T
    low, high = lead_bounds(firsts, seconds, n, float(alpha))
    worst = Fraction(0)
    for weights in laws:
        law = [Fraction(int(w), int(weights.sum())) for w in weights]
        false = (low > float(law[0])) | (high < float(max(law[1:])))
        # Floats of the law err by half a unit: exact comparison where that could matter.
        near = np.isclose(low, float(law[0])) | np.isclose(high, float(max(law[1:])))
        for place in np.flatnonzero(near):
            false[place] = Fraction(low[place]) > law[0] or Fraction(high[place]) < max(law[1:])
        worst = max(worst, sum(_mass(tables[k], law) for k in np.flatnonzero(false)))
    assert alpha / 10 < worst <= alpha


def test_the_bound_of_the_others_is_never_above_what_the_class_leaves():
    k = np.arange(101)
    low, high = lead_bounds(k, 100 - k, 100, 0.01)
    assert (high <= np.nextafter(1 - low, 2)).all()
    np.testing.assert_array_equal(low, clopper_pearson_lower(k, 100, 0.005))


def test_many_classes_lengthen_the_radius_and_two_hardly_shorten_it():
    def certified(first, second, runner_up):
        return smoothing.from_counts(
            [3], [first], n0=100, n=100_000, alpha=0.001, noise=Gaussian(1.0), runner_up=runner_up
        )

    alone, both = certified(70_000, 0, None), certified(70_000, 0, [5_000])
    assert both.radius[0] > 1.9 * alone.radius[0] > 0
    two = certified(70_000, 0, [30_000])
    assert 0.99 * alone.radius[0] < two.radius[0] <= alone.radius[0]
    below_half = certified(40_000, 0, [10_000])
    assert below_half.predicted[0] == 3
    assert below_half.radius[0] > 0.4
    assert certified(40_000, 0, None).predicted[0] == smoothing.ABSTAIN
    assert certified(40_000, 0, [39_900]).predicted[0] == smoothing.ABSTAIN


def test_changed_pixels_follow_from_the_lead_as_the_theorem_says():
    law = Ablation(5, 64)
    for low in np.linspace(0.3, 1, 29):
        for high in np.linspace(0, 1 - low, 7):
            found = int(law.lead_radius(low, high))
            lead = Fraction(low) - Fraction(high)
            allowed = [rho for rho in range(60) if lead > 2 * Fraction(ablation.delta(64, 5, rho))]
            exact = max(allowed, default=0)
            assert exact - 1 <= found <= exact
            assert found == exact or lead - 2 * Fraction(ablation.delta(64, 5, exact)) < 1e-15


class _Thirds(torch.nn.Module):
    """Answers by where the first pixel falls: class 0 in the middle, classes 1 and 2 beside it."""

    def forward(self, images):
        first = images[:, 0, 0, 0]
        return torch.stack([0 * first, first - 0.8, 0.2 - first], dim=1)


def test_the_engine_counts_the_most_frequent_other_class():
    images = torch.full((6, 1, 2, 2), 128, dtype=torch.uint8)
    law, plan = Rounded(Gaussian(0.5)), FixedSamples(500, 50, runner_up=True)
    model = _Thirds().eval()
    made = smoothing.certify(model, images, law, plan, classes=3, seed=1, alpha=0.01)
    plain = smoothing.certify(model, images, law, FixedSamples(500, 50), classes=3, seed=1)
    np.testing.assert_array_equal(made.successes, plain.successes)
    rest = 500 - made.successes
    assert (2 * made.runner_up >= rest).all()
    assert (made.runner_up <= rest).all()
    again = smoothing.from_counts(
        made.selected, made.successes, n0=50, n=500, alpha=0.01, noise=law, runner_up=made.runner_up
    )
    np.testing.assert_array_equal(again.radius, made.radius)
    assert (made.radius > 0).any()


@pytest.mark.parametrize("law", [Uniform(1.0), Laplace(1.0), Rounded(Laplace(0.5))])
def test_a_law_whose_certificate_knows_one_class_refuses_before_work_starts(law):
    images = torch.zeros((1, 1, 2, 2), dtype=law.image_dtype)
    with pytest.raises(ValueError, match="uses one class only: leave runner_up out"):
        smoothing.certify(
            _Thirds().eval(), images, law, FixedSamples(100, 5, True), classes=3, seed=1
        )


def test_counts_that_exceed_the_samples_together_are_refused():
    with pytest.raises(ValueError, match="runner_up and successes exceed trials together"):
        lead_bounds(60, 41, 100, 0.01)


def test_a_runner_up_without_a_vote_is_refused_where_others_have_votes():
    run = {"n0": 10, "n": 1_000, "alpha": 0.001, "noise": Gaussian(1.0)}
    with pytest.raises(ValueError, match="runner_up holds 0 where not all of the n = 1000"):
        smoothing.from_counts([0], [600], runner_up=[0], **run)
    assert smoothing.from_counts([0], [1_000], runner_up=[0], **run).radius[0] > 0


@pytest.mark.parametrize(("low", "high"), [(2.0, 0.0), (0.6, -5.0), (0.6, 1.1), (-0.1, 0.0)])
@pytest.mark.parametrize("law", [Ablation(5, 100), Gaussian(1.0)])
def test_a_lead_of_what_is_no_probability_is_refused(law, low, high):
    with pytest.raises(ValueError, match=r"p_(lower|upper) is .*: give probabilities"):
        law.lead_radius(low, high)


def test_a_lead_of_small_integers_does_not_wrap_round():
    assert Ablation(5, 100).lead_radius(np.uint8(0), np.uint8(1)) == 0

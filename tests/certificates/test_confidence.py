"""Soft scores: never above 50 digits, attained by sorted scores, the optimum of linear programmes.

Nothing here is random but seeded draws of cases, each of which is checked for certain.
"""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from scipy import optimize, special

from rs_lib.certificates import confidence, gaussian
from rs_lib.certificates.confidence import lower, mean_lower, pairs_radius, radius


@pytest.fixture(autouse=True)
def precision():
    before, ctx.prec = ctx.prec, 256
    yield
    ctx.prec = before


def _quantile(p):
    root = arb(2).sqrt()
    x = arb(float(p))
    return root * (2 * (1 - x)).erfcinv() if p > 0.5 else -root * (2 * x).erfcinv()


def _phi(x):
    return (-x / arb(2).sqrt()).erfc() / 2


def _kept(p, steps):
    """psi of the exact number p, as a ball."""
    return arb(float(p)) if p in (0, 1) else _phi(_quantile(p) - steps)


def _exact(thresholds, survival, steps, low):
    """The layer cake, as a ball."""
    total, before = arb(low), low
    for cut, mass in zip(thresholds, survival, strict=True):
        total += (arb(float(cut)) - arb(float(before))) * _kept(mass, steps)
        before = cut
    return total


def _laws(count, seed):
    """Random laws: few and many thresholds, survival near 0, 1/2 and 1, with ones and zeros."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        m = int(rng.choice([1, 2, 3, 10, 70, 200]))
        low = float(rng.choice([0.0, -1.0, 0.25]))
        thresholds = low + np.unique(rng.random(m)) * (1 - low)
        near = 10.0 ** rng.uniform(-12, 0, thresholds.size)
        masses = np.choose(
            rng.integers(0, 3, thresholds.size), [rng.random(thresholds.size), 1 - near, near]
        )
        masses = np.where(rng.random(thresholds.size) < 0.1, np.round(masses), masses)
        yield thresholds, np.sort(np.clip(masses, 0, 1))[::-1], low


ORACLE = ([0.2, 0.5, 0.9], [1.0, 0.9, 0.6])


def test_given_values():
    assert lower(*ORACLE, 1.0, 0.7) == pytest.approx(0.54689482298252554646, rel=1e-13)
    probit = [(0.3, 0.25, 0.25, 0.25, 0.4398017525648146146)]
    probit += [(0.4, 0.5, 0.1, 0.25, 0.61197279771302270247)]
    for m, sigma, tau, distance, kept in probit:
        mean = special.ndtr(m / np.hypot(sigma, tau))
        assert mean_lower(mean, sigma, distance) == pytest.approx(kept, rel=1e-13)
    law = ([-0.3, 0.1, 0.4], [1.0, 0.9, 0.6])
    assert radius(*law, 1.0, 0.0, -1.0) == pytest.approx(1.05194104096871, rel=1e-12)
    assert radius([-0.2, 0.2], [1, 0.9], 1.0, 0.0, -1.0) == pytest.approx(1.2815515655446)


@pytest.mark.parametrize(
    ("survival", "distance", "value"),
    [
        (lambda s: 1 - s, 1.0, 0.23975006109347673116),
        (lambda s: 1 - s**0.5, 0.5, 0.20626648072666703955),
        (lambda s: 1 - s * s * (3 - 2 * s), 0.5, 0.39049530247428068105),
    ],
    ids=["U", "U squared", "Beta(2, 2)"],
)
def test_fine_thresholds_approach_the_closed_forms(survival, distance, value):
    """The layer cake falls short of the integral by at most one step of the thresholds."""
    steps = 20_000
    cuts = np.arange(1, steps + 1) / steps
    found = lower(cuts, np.clip(survival(cuts), 0, 1), 1.0, distance)
    assert value - 1 / steps < found < value
    middle = lower(cuts, np.clip(survival(cuts - 0.5 / steps), 0, 1), 1.0, distance)
    assert middle == pytest.approx(value, abs=2e-6)


def test_the_law_bound_is_below_the_exact_one_and_close_to_it():
    rng = np.random.default_rng(2)
    for thresholds, survival, low in _laws(150, seed=1):
        sigma = 10.0 ** rng.uniform(-3, 3)
        for distance in sigma * np.array([0, 1e-9, 0.3, 1.7, 4.0]):
            found = lower(thresholds, survival, sigma, distance, low)
            exact = _exact(thresholds, survival, arb(float(distance)) / arb(float(sigma)), low)
            assert arb(float(found)) <= exact
            scale = abs(low) + float(exact - low)
            assert float(exact) - found <= (1e-13 if scale > 1e-3 else 1e-12) * scale


def test_the_mean_bound_is_below_the_exact_one_and_close_to_it():
    rng = np.random.default_rng(3)
    for _ in range(600):
        low, high = np.sort(rng.normal(size=2)) if rng.random() < 0.5 else (0.0, 1.0)
        near = 10.0 ** rng.uniform(-14, 0)
        place = rng.choice([near, 1 - near, rng.random()])
        mean = np.clip(low + (high - low) * place, low, high)
        sigma = 10.0 ** rng.uniform(-3, 3)
        steps = rng.choice([0, 1e-9, 0.5, 2.0, 5.0])
        found = mean_lower(mean, sigma, steps * sigma, low, high)
        span = arb(float(high)) - arb(float(low))
        share = (arb(float(mean)) - arb(float(low))) / span
        root = arb(2).sqrt()
        if 0 < share < 1:
            z = root * (2 * (1 - share)).erfcinv() if share > 0.5 else -root * (2 * share).erfcinv()
            share = _phi(z - arb(float(steps * sigma)) / arb(float(sigma)))
        exact = arb(float(low)) + span * share
        assert arb(float(found)) <= exact + arb(1e-60)  # the ball's own width
        assert float(exact) - found <= 2e-13 * (abs(low) + abs(high))


def test_at_the_radius_the_exact_bound_is_the_level_and_just_not_below():
    rng = np.random.default_rng(4)
    finite = 0
    for thresholds, survival, low in _laws(250, seed=5):
        top = float(_exact(thresholds, survival, arb(0), low))
        level = low + (top - low) * rng.choice([rng.random(), 1 - 1e-6, 1e-6])
        sigma = 10.0 ** rng.uniform(-3, 3)
        found = float(radius(thresholds, survival, sigma, level, low))
        if not 0 < found < np.inf:
            continue
        finite += 1
        steps = arb(found) / arb(float(sigma))
        excess = _exact(thresholds, survival, steps, low) - arb(float(level))
        assert excess >= 0
        assert float(excess) <= 1e-13 * (1 + abs(low))
    assert finite > 150


def test_at_one_threshold_the_radius_is_that_of_votes():
    """A score in {0, 1} is a vote, and its level 1/2 the majority."""
    p = np.array([0.2, 0.5, 0.500001, 0.7, 0.99, 1 - 1e-12])
    soft = radius([1.0], p[:, None], 0.5, 0.5)
    np.testing.assert_allclose(soft, gaussian.radius(p, 0.5), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        lower([1.0], p[:, None], 0.5, 0.3), gaussian.worst_case(p, 0.3, 0.5), rtol=1e-12
    )


def test_scores_that_are_sorted_along_a_line_attain_the_bound():
    """The mean of the sorted scores under the shifted noise, at 50 digits."""
    with mpmath.workdps(50):
        for thresholds, survival, low in _laws(40, seed=6):
            if thresholds.size > 10:
                continue
            cuts = [
                mpmath.mpf(0)
                if mass in (0, 1)
                else mpmath.mpf(_quantile(mass).str(60, radius=False))
                for mass in survival
            ]
            for r in (0.5, 2.0):
                # The score is at least t_i on the half-line below cuts[i].
                beyond = [
                    mpmath.mpf(mass) if mass in (0, 1) else mpmath.ncdf(cut - r)
                    for cut, mass in zip(cuts, survival, strict=True)
                ]
                shares = [1, *beyond, 0]
                mean = mpmath.fsum(
                    mpmath.mpf(float(value)) * (shares[i] - shares[i + 1])
                    for i, value in enumerate([low, *thresholds])
                )
                error = mean - mpmath.mpf(float(lower(thresholds, survival, 1.0, r, low)))
                assert 0 <= error <= 1e-13 * (1 + abs(mean))


def _transport(values, masses, base, shifted):
    """Least mean under `shifted` of a score with law (values, masses) under `base`, by an LP."""
    bins, m = len(base), len(values)
    cost = np.outer(shifted / base, values).ravel()
    rows = np.kron(np.eye(bins), np.ones(m)), np.kron(np.ones(bins), np.eye(m))
    solution = optimize.linprog(
        1e3 * cost,
        A_eq=1e3 * np.vstack(rows),
        b_eq=1e3 * np.concatenate([base, masses]),
        bounds=(0, None),
    )
    return solution.fun / 1e3


@pytest.mark.parametrize("steps", [0.0, 0.3, 1.0, 2.2])
def test_linear_programmes_over_all_scores_of_a_law(steps):
    """Bins can only do worse than sets; with the worst level sets among them they do as well."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        values = np.concatenate([[0.0], np.sort(rng.random(3))])
        masses = rng.dirichlet(np.ones(4))
        survival = np.cumsum(masses[::-1])[::-1][1:]
        bound = lower(values[1:], survival, 1.0, steps)
        for extra, slack in [([], 0.05), (special.ndtri(survival), 1e-9)]:
            edges = np.unique(np.concatenate([np.linspace(-3, 4, 40), extra]))
            base = np.diff(special.ndtr(edges), prepend=0, append=1)
            shifted = np.diff(special.ndtr(edges - steps), prepend=0, append=1)
            found = _transport(values, masses, base, shifted)
            assert bound - 1e-9 <= found <= bound + slack


def test_the_mean_alone_says_less_than_the_law_and_the_law_no_more_than_the_mean():
    for thresholds, survival, low in _laws(80, seed=8):
        mean = float(lower(thresholds, survival, 1.0, 0.0, low))
        for steps in (0.0, 0.2, 1.0, 3.0):
            alone = mean_lower(mean, 1.0, steps, low, 1.0)
            known = lower(thresholds, survival, 1.0, steps, low)
            assert low <= alone <= known + 1e-13
            assert known <= mean
    p = np.linspace(0, 1, 21)
    np.testing.assert_allclose(
        mean_lower(p, 1.0, 0.7), lower([1.0], p[:, None], 1.0, 0.7), rtol=1e-12
    )


def test_more_survival_more_noise_and_less_distance_never_hurt():
    rng = np.random.default_rng(9)
    for thresholds, survival, low in _laws(40, seed=10):
        less = survival * rng.random()
        level = (low + float(lower(thresholds, survival, 1.0, 0.5, low))) / 2
        slack = 1e-12
        assert lower(thresholds, less, 1.0, 0.5, low) <= (
            lower(thresholds, survival, 1.0, 0.5, low) + slack
        )
        found = radius(thresholds, survival, [0.5, 1.0], level, low)
        assert radius(thresholds, less, 1.0, level, low) <= found[1] * (1 + slack)
        assert found[0] <= found[1]
        bounds = lower(thresholds, survival, 1.0, [0.0, 0.1, 1.0, 5.0, 50.0], low)
        assert (np.diff(bounds) <= slack).all()


def test_a_threshold_that_says_nothing_new_changes_nothing():
    """Twice the same survival: only the upper threshold counts; no survival: none does."""
    for steps in (0.0, 0.8):
        plain = lower([0.5, 0.9], [0.8, 0.6], 1.0, steps)
        more = lower([0.0, 0.3, 0.5, 0.9, 0.95], [1.0, 0.8, 0.8, 0.6, 0.0], 1.0, steps)
        assert more == pytest.approx(plain, rel=1e-14)


def test_edges():
    assert radius([0.5], [1.0], 1.0, 0.5) == np.inf  # reached everywhere
    assert radius([0.5], [1.0], 1.0, 0.50001) == 0  # above the top threshold
    levels = [0.0, -3.0, 0.5, 0.62 + 1e-15, 0.63, 9.0]  # the mean is at least 0.62
    found = radius([0.5, 0.8], [1.0, 0.4], 1.0, levels)
    assert found.tolist() == [np.inf, np.inf, np.inf, 0.0, 0.0, 0.0]
    assert radius([0.5], [0.0], 1.0, 0.0) == np.inf
    assert radius([0.5], [0.0], 1.0, 1e-300) == 0
    assert lower([0.5], [0.0], 1.0, 3.0) == 0
    assert lower([0.5], [1.0], 1.0, 1e300) == 0.5
    assert lower([0.2, 0.5], [1.0, 1 - 2.0**-53], 1.0, 1e300) == 0.2
    assert lower([0.0], [0.7], 1.0, 1.0) == 0
    assert lower([0.25, 0.5], [0.5, 0.5], 1.0, 0.0) == pytest.approx(0.25, rel=1e-14)
    assert mean_lower([0.0, 0.3, 1.0], 1.0, 0.0).tolist() == [0.0, 0.3, 1.0]
    assert mean_lower([0.0, 1.0], 1.0, 7.0).tolist() == [0.0, 1.0]
    assert mean_lower(-0.2, 1.0, 1e300, -1.0, 1.0) == -1
    assert mean_lower(0.1, 1.0, 0.0, -1.0, 1.0) == 0.1
    assert isinstance(lower(*ORACLE, 1.0, 0.7), float)
    assert isinstance(radius(*ORACLE, 1.0, 0.3), float)


def test_batches_are_single_images():
    rng = np.random.default_rng(11)
    cuts = np.linspace(0, 1, 101)[1:]
    survival = np.sort(rng.random((5, 3, 100)), axis=-1)[..., ::-1]
    level, sigma = rng.uniform(0.1, 0.5, (5, 3)), np.array([0.25, 0.5, 1.0])
    found = radius(cuts, survival, sigma, level)
    assert found.shape == (5, 3)
    for place in np.ndindex(5, 3):
        alone = radius(cuts, survival[place], sigma[place[1]], level[place])
        assert found[place] == alone
    assert lower(cuts, survival, 1.0, np.ones((2, 1, 1))).shape == (2, 5, 3)
    assert radius(cuts, survival[:0], 1.0, 0.5).shape == (0, 3)


def test_numbers_finer_than_floats_go_to_the_safe_side():
    third = Fraction(1, 3)
    with mpmath.workdps(50):
        found = lower([third, 2 * third], [2 * third, third], 1, third)
        r = mpmath.mpf(1) / 3
        psi = [mpmath.ncdf(mpmath.sqrt(2) * mpmath.erfinv(x) - r) for x in (r, -r)]
        exact = (psi[0] + psi[1]) / 3
        assert 0 <= exact - mpmath.mpf(float(found)) <= 1e-14
    assert mean_lower(1 - Fraction(1, 10**20), 1, 1) < 1
    assert radius([1.0], [1 - Fraction(1, 10**20)], 1, 0.5) < 9


SIMPLEX = np.array([[0.7, 0.2, 0.1], [0.5, 0.1, 0.4], [0.3, 0.6, 0.1]])


def _pairs(scores, masses):
    """Exact laws of F_0 - F_j from scores [outcomes, C] with those probabilities."""
    laws = []
    for j in range(1, scores.shape[1]):
        gaps = scores[:, 0] - scores[:, j]
        cuts = np.unique(np.round(gaps, 12))
        laws.append((cuts, [min(1.0, masses[gaps >= cut - 1e-9].sum()) for cut in cuts]))
    return laws


def test_given_values_of_pairs():
    masses = np.array([0.5, 0.3, 0.2])
    found = pairs_radius(_pairs(SIMPLEX, masses), 1.0)
    assert found == pytest.approx(1.0734103020412762084, rel=1e-12)
    margin = SIMPLEX[:, 0] - SIMPLEX[:, 1:].max(axis=1)
    order = np.argsort(margin)
    tails = np.round(np.cumsum(masses[order][::-1])[::-1], 12)
    alone = radius(margin[order], tails, 1.0, 0.0, -1.0)
    assert alone == pytest.approx(0.76884582585105943788, rel=1e-12)
    votes = np.eye(3)
    found = pairs_radius(_pairs(votes, np.array([0.4, 0.3, 0.3])), 1.0)
    assert found == pytest.approx(0.13552670478612049262, rel=1e-12)


def test_pairs_are_at_least_the_margin_and_the_two_means():
    rng = np.random.default_rng(12)
    for _ in range(60):
        scores = np.round(rng.dirichlet(np.ones(4) / 2, size=6), 3)
        scores[:, 0] += 0.3
        scores /= scores.sum(axis=1, keepdims=True)
        masses = rng.dirichlet(np.ones(6))
        pairs = pairs_radius(_pairs(scores, masses), 1.0)
        margin = scores[:, 0] - scores[:, 1:].max(axis=1)
        order = np.argsort(margin)
        tails = np.minimum(np.cumsum(masses[order][::-1])[::-1], 1.0)
        assert radius(margin[order], tails, 1.0, 0.0, -1.0) <= pairs + 1e-9
        means = masses @ scores
        assert gaussian.radius(means[0], 1.0, means[1:].max()) <= pairs + 1e-9


def test_a_tie_decides_nothing():
    assert pairs_radius([([0.0], [1.0])], 1.0) == 0
    assert pairs_radius([([0.0, 0.5], [1.0, 1e-9])], 1.0) == np.inf
    assert pairs_radius([([0.0, 0.5], [1.0, 1e-9]), ([0.4], [0.7])], 1.0) == 0
    assert pairs_radius([([0.1], [[1.0], [0.9]])], 2.0).shape == (2,)


GOOD = {"thresholds": [0.2, 0.5], "survival": [0.9, 0.4], "sigma": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": [0.5, 0.2]}, "thresholds is .*increasing order"),
        ({"thresholds": [0.2, 0.2]}, "thresholds is .*increasing order"),
        ({"thresholds": [0.2, np.inf]}, "thresholds is .*finite"),
        ({"thresholds": []}, "thresholds has shape"),
        ({"thresholds": [[0.2, 0.5]]}, "thresholds has shape"),
        ({"thresholds": [0.2, np.nan]}, "thresholds holds NaN"),
        ({"thresholds": [-0.2, 0.5]}, "low is 0.0 and the first threshold -0.2"),
        ({"low": np.inf}, "low is inf"),
        ({"low": [0.0, 0.1]}, "low is"),
        ({"thresholds": [-1e308, 1.5e308], "low": -1e308}, "thresholds reach"),
        ({"survival": [0.4, 0.9]}, "survival rises to 0.9"),
        ({"survival": [0.9]}, "survival has shape"),
        ({"survival": 0.9}, "survival has shape"),
        ({"survival": [1.1, 0.9]}, "survival is 1.1"),
        ({"survival": [np.nan, 0.9]}, "survival holds NaN"),
        (
            {"survival": [[0.9, 0.4]] * 3, "sigma": [1.0, 2.0]},
            r"shapes are survival \(3,\), .*: give shapes that broadcast",
        ),
        *(({"sigma": value}, "sigma is") for value in (0.0, np.inf, -1.0)),
    ],
)
def test_bad_laws_are_refused_in_one_line(change, message):
    arguments = GOOD | change
    for call in (lambda: lower(**arguments, radius=0.3), lambda: radius(**arguments, level=0.3)):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower(**GOOD, radius=-1.0), "radius is"),
        (lambda: radius(**GOOD, level=np.nan), "level holds NaN"),
        (lambda: mean_lower(1.2, 1.0, 0.3), "mean is 1.2: give a mean in the range"),
        (lambda: mean_lower(-0.1, 1.0, 0.3), "mean is -0.1"),
        (lambda: mean_lower(1 + Fraction(1, 10**30), 1.0, 0.3), "mean is 1000.*: give a mean in"),
        (lambda: mean_lower(0.5, 1.0, 0.3, 1.0, 0.0), "low is 1.0 and high 0.0"),
        (lambda: mean_lower(0.5, 1.0, 0.3, 0.0, np.inf), "give a finite range"),
        (lambda: mean_lower(np.nan, 1.0, 0.3), "mean holds NaN"),
        (lambda: mean_lower(0.5, 0.0, 0.3), "sigma is"),
        (lambda: mean_lower([0.1, 0.2], 1.0, [1.0, 2.0, 3.0]), "shapes are mean"),
        (lambda: mean_lower(0.1, [1.0, 2.0], [1.0, 2.0, 3.0]), "shapes are radius"),
        (lambda: pairs_radius([], 1.0), "laws is empty"),
        (lambda: pairs_radius([[0.5]], 1.0), "laws is"),
        (lambda: pairs_radius(0.5, 1.0), "laws is 0.5"),
        (
            lambda: pairs_radius([([0.5], [[0.9]] * 2), ([0.5], [[0.9]] * 3)], 1.0),
            "laws holds batches",
        ),
        (lambda: pairs_radius([([0.5, 1.5], [0.9, 0.1])], 1.0), "thresholds holds 1.5"),
        (lambda: confidence.strict_radius([-2.0], [0.9], 1.0, 0.0), "low is -1.0"),
    ],
)
def test_other_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mean", "radius", "low", "high"),
    [(-1e-323, 40.0, -1.4, 0.0), (-5e-324, 1.0, -10.0, 0.0), (0.0, 1.0, -10.0, 5e-324)],
)
def test_a_mean_next_to_the_top_by_a_denormal_number(mean, radius, low, high):
    found = mean_lower(mean, 1.0, radius, low, high)
    with mpmath.workdps(40):
        span = mpmath.mpf(high) - mpmath.mpf(low)
        rest = (mpmath.mpf(high) - mpmath.mpf(mean)) / span
        z = mpmath.findroot(lambda z: mpmath.log(mpmath.ncdf(-z) / rest), (38, 39))
        exact = mpmath.mpf(high) - span * mpmath.ncdf(radius - z)
        assert low <= found <= exact
        assert found >= exact - 0.01 * span

"""The certificates never exceed exact arithmetic, lose nothing visible, and are attained."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from rs_lib.certificates import gaussian, laplace, neyman_pearson, uniform

P = st.floats(0.0, 1.0)
SHIFT = st.floats(0.0, 6.0)


@pytest.fixture(autouse=True)
def precision():
    before, ctx.prec = ctx.prec, 256
    yield
    ctx.prec = before


def _probabilities(count, seed):
    """Uniform ones, ones close to 0, 1/2 and 1 at every scale, and the neighbours of all three."""
    rng = np.random.default_rng(seed)
    near = 10.0 ** rng.uniform(-16, -0.31, (3, count))
    tiny = 10.0 ** rng.uniform(-290, -1, count)
    steps = np.arange(1, 20) * 2.0**-53
    around = [tiny, 1 - steps, 0.5 + 2 * steps, 0.5 - steps]
    return np.concatenate(
        [rng.random(count), 0.5 + near[0], 0.5 - near[1], 1 - near[2], *around]
    ).clip(5e-324, 1 - 2.0**-53)


def _scales(count, seed):
    return 10.0 ** np.random.default_rng(seed).uniform(-4, 3, count)


def _quantile(p):
    """Phi^-1 of the exact number p, as a ball."""
    x = arb(float(p))
    root = arb(2).sqrt()
    return root * (2 * (1 - x)).erfcinv() if p > 0.5 else -root * (2 * x).erfcinv()


def _phi(x):
    return (-x / arb(2).sqrt()).erfc() / 2


def _assert_below(values, exact, loss=1e-12, visible=0.0):
    """Each value is at most its exact ball, and close to it where it is above `visible`."""
    for value, ball in zip(values, exact, strict=True):
        ball = max(ball, arb(0))
        assert arb(float(value)) <= ball, (value, ball)
        assert not ball > visible or arb(float(value)) >= ball * (1 - arb(loss)), (value, ball)


# Gaussian noise


def test_the_gaussian_radius_is_rounded_down():
    p = _probabilities(1000, seed=1)
    sigma = _scales(len(p), seed=2)
    exact = [arb(float(s)) * _quantile(q) for q, s in zip(p, sigma, strict=True)]
    _assert_below(gaussian.radius(p, sigma), exact)
    assert (gaussian.radius(p, sigma) > 0).tolist() == (p > 0.5).tolist()


def test_the_two_sided_gaussian_radius_is_rounded_down():
    a, b = _probabilities(500, seed=3), np.random.default_rng(4).permutation(_probabilities(500, 5))
    close = np.nextafter(a, 0)
    low, high = np.concatenate([np.maximum(a, b), a]), np.concatenate([np.minimum(a, b), close])
    exact = []
    for p, q in zip(low, high, strict=True):
        z = _quantile(p)
        exact.append((z - min(_quantile(q), -z)) / 2)
    got = gaussian.radius(low, 1.0, high)
    # A tiny difference of large quantiles is lost to rounding: bound the absolute loss instead.
    _assert_below(got, exact, visible=1.0)
    loss = np.array([float(e) for e in exact]).clip(0) - got
    assert (loss <= 1e-13 * (1 + np.abs(special.ndtri(low)) + np.abs(special.ndtri(high)))).all()


def test_the_gaussian_worst_case_is_rounded_down():
    p = _probabilities(600, seed=6)
    rng = np.random.default_rng(7)
    shift, sigma = rng.uniform(0, 12, len(p)) * (rng.random(len(p)) < 0.9), _scales(len(p), seed=8)
    shift *= sigma
    exact = [
        _phi(_quantile(q) - arb(float(d)) / arb(float(s)))
        for q, d, s in zip(p, shift, sigma, strict=True)
    ]
    _assert_below(gaussian.worst_case(p, shift, sigma), exact, visible=1e-6)


def test_gaussian_limits():
    np.testing.assert_array_equal(
        gaussian.radius([0, 0.5, 1, 0, 1, 0.1], 2.0, [0, 0.5, 1, 1, 0.3, 0]),
        [0, 0, np.inf, 0, np.inf, np.inf],
    )
    np.testing.assert_array_equal(gaussian.radius([0, 0.5, 1], 2.0), [0, 0, np.inf])
    np.testing.assert_array_equal(gaussian.worst_case([0, 1, 0.9], [1, 50, 1e300], 1), [0, 1, 0])
    assert gaussian.radius(0.9, [1.0, 2.0]).shape == (2,)
    assert isinstance(gaussian.radius(0.9, 1.0), float)


def test_a_loose_upper_bound_never_spoils_the_one_sided_radius():
    p = np.linspace(0.5, 0.999, 40)
    for slack in (0.0, 0.1, 0.4):
        assert (
            gaussian.radius(p, 1.0, np.minimum(1, 1 - p + slack))
            >= 0.999999 * (gaussian.radius(p, 1.0))
        ).all()
    assert gaussian.radius(0.6, 1.0, 0.1) > gaussian.radius(0.6, 1.0)


def test_the_sampling_ceiling_is_what_unanimous_samples_certify():
    n, alpha = np.array([5, 9, 10, 100, 100_000]), 0.001
    np.testing.assert_allclose(
        gaussian.sampling_ceiling(n, alpha, 0.25),
        0.25 * np.maximum(special.ndtri(alpha ** (1 / n)), 0),
        rtol=1e-9,
        atol=1e-10,  # n = 10 sits at p = 0.5012, where the radius is all but 0
    )
    # 0.001^(1/9) = 0.464 and 0.001^(1/10) = 0.501: ten samples are the fewest that certify.
    assert (gaussian.sampling_ceiling(n, alpha, 0.25) > 0).tolist() == [False] * 2 + [True] * 3


# Uniform noise


def test_the_uniform_radii_are_rounded_down():
    p = _probabilities(800, seed=9)
    width = _scales(len(p), seed=10)
    rng = np.random.default_rng(11)
    dim = np.round(10 ** rng.uniform(0, 6, len(p))).astype(int)
    halves = [(arb(float(q)) - arb(0.5)) * 2 * arb(float(w)) for q, w in zip(p, width, strict=True)]
    _assert_below(uniform.radius_l1(p, width), halves)
    roots = []
    for q, w, d in zip(p, width, dim, strict=True):
        log_volume = (arb(1.5) - arb(float(q))).log() / int(d)
        roots.append(-2 * arb(float(w)) * log_volume.expm1())
    _assert_below(uniform.radius_linf(p, width, dim), roots)
    assert (uniform.radius_linf(p, width, dim) > 0).tolist() == (p > 0.5).tolist()


def test_the_overlap_is_rounded_down_in_every_dimension():
    rng = np.random.default_rng(12)
    for d, count in [(1, 400), (3, 400), (64, 40), (3072, 3)]:
        width = _scales(count, seed=d)
        reach = 10 ** rng.uniform(-6, 0.2, (count, 1)) / (1 if d < 10 else d)
        shift = rng.uniform(-2, 2, (count, d)) * reach * width[:, None]
        exact = []
        for row, w in zip(shift, width, strict=True):
            volume = arb(1)
            for entry in np.abs(row):
                volume *= max(arb(0), 1 - arb(float(entry)) / (2 * arb(float(w))))
            exact.append(volume)
        _assert_below(uniform.overlap(shift, width), exact, visible=0.01)


def test_the_uniform_worst_case_is_rounded_down():
    rng = np.random.default_rng(13)
    p, shared = rng.permutation(_probabilities(400, 14)), _probabilities(400, 15)
    got = uniform.worst_case(p, shared)
    for value, q, v in zip(got, p, shared, strict=True):
        exact = max(Fraction(0), Fraction(float(q)) + Fraction(float(v)) - 1)
        assert 0 <= exact - Fraction(float(value)) <= Fraction(1, 2**51)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.floats(0.5, 1))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_shifts_inside_the_uniform_radii_keep_the_majority(shift, p):
    delta = np.array(shift)
    for norm, radius in [
        (np.abs(delta).sum(), uniform.radius_l1(p, 0.5)),
        (np.abs(delta).max(), uniform.radius_linf(p, 0.5, len(delta))),
    ]:
        if norm > 0:
            inside = delta * min(1.0, radius / norm)
            assert uniform.worst_case(p, uniform.overlap(inside, 0.5)) >= 0.5 - 1e-12


def test_the_uniform_radii_are_attained():
    """A shift just beyond the radius, along an axis or a diagonal, loses the majority."""
    p = np.linspace(0.51, 0.99, 25)
    for d in (1, 2, 7):
        axis = np.zeros((25, d))
        axis[:, 0] = uniform.radius_l1(p, 0.5) * (1 + 1e-6)
        diagonal = np.ones((25, d)) * uniform.radius_linf(p, 0.5, d)[:, None] * (1 + 1e-6)
        for shift in (axis, diagonal):
            assert (uniform.worst_case(p, uniform.overlap(shift, 0.5)) < 0.5).all()


# Laplace noise


def _laplace_exact(p, shift, scale):
    q, s = arb(float(p)), arb(float(shift)) / arb(float(scale))
    if p <= 0.5:
        return q * (-s).exp()
    lost = (1 - q) * s.exp()
    # The two branches touch at 1/2; where a ball straddles it both agree to all digits.
    return 1 - lost if lost <= 0.5 else 1 / (4 * lost)


def test_the_laplace_radius_is_rounded_down():
    p = _probabilities(1000, seed=16)
    scale = _scales(len(p), seed=17)
    exact = [
        -arb(float(b)) * (2 * (1 - arb(float(q)))).log() for q, b in zip(p, scale, strict=True)
    ]
    _assert_below(laplace.radius_l1(p, scale), exact)
    assert (laplace.radius_l1(p, scale) > 0).tolist() == (p > 0.5).tolist()


def test_the_laplace_worst_case_is_rounded_down():
    p = _probabilities(1000, seed=18)
    rng = np.random.default_rng(19)
    scale = _scales(len(p), seed=20)
    shift = np.concatenate([rng.uniform(0, 40, len(p)) * scale, laplace.radius_l1(p, scale)])
    p, scale = np.tile(p, 2), np.tile(scale, 2)
    exact = [_laplace_exact(*case) for case in zip(p, shift, scale, strict=True)]
    _assert_below(laplace.worst_case(p, shift, scale), exact, visible=1e-280)


def test_laplace_limits():
    np.testing.assert_array_equal(laplace.radius_l1([0, 0.5, 1], 2.0), [0, 0, np.inf])
    np.testing.assert_array_equal(laplace.worst_case([0, 1, 0.9], [1, 5000, 5000], 1), [0, 1, 0])


@given(P, SHIFT, SHIFT)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_laplace_shifts_compose(p, s, t):
    """W(W(p, s), t) = W(p, s + t), which carries the bound from one coordinate to many."""
    steps = laplace.worst_case(laplace.worst_case(p, s, 1.0), t, 1.0)
    assert steps == pytest.approx(laplace.worst_case(p, s + t, 1.0), rel=1e-9, abs=1e-300)


# Closed forms against their definitions

LAWS = {
    "gaussian": (special.ndtr, special.ndtri, lambda p, r: gaussian.worst_case(p, r, 1.0)),
    "laplace": (
        lambda z: np.where(z < 0, np.exp(-np.abs(z)) / 2, 1 - np.exp(-np.abs(z)) / 2),
        lambda p: np.where(p < 0.5, np.log(2 * p), -np.log(2 * (1 - p))),
        lambda p, r: laplace.worst_case(p, r, 1.0),
    ),
    "uniform": (
        lambda z: np.clip((z + 1) / 2, 0, 1),
        lambda p: 2 * p - 1,
        lambda p, r: uniform.worst_case(p, uniform.overlap([r], 1.0)),
    ),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.62, 0.9, 0.99])
@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0, 2.3])
def test_closed_forms_against_linear_programming(law, p, shift):
    """Bins can only do worse than all sets; with the worst set among them they do as well."""
    cdf, quantile, closed = LAWS[law]
    bound = float(closed(p, shift))
    grid = np.linspace(-4, 6, 102)
    coarse = neyman_pearson.linear_programme(p, *neyman_pearson.discretise(cdf, shift, grid))
    assert bound - 1e-9 <= coarse <= bound + 0.06
    # The worst set ends at the quantile; for the uniform law the ratio steps at the cubes' faces.
    faces = [-1.0, 1.0, shift - 1, shift + 1] if law == "uniform" else []
    cut = np.unique([*grid, float(quantile(np.array(p))), *faces])
    fitted = neyman_pearson.linear_programme(p, *neyman_pearson.discretise(cdf, shift, cut))
    assert fitted == pytest.approx(bound, abs=2e-9)


@pytest.mark.parametrize("p", [0.2, 0.7, 0.95])
@pytest.mark.parametrize("shift", [0.3, 1.0, 2.5])
def test_half_lines_attain_the_bounds_by_quadrature(p, shift):
    """Integrate the shifted density over the half-line of mass p."""
    density = {
        "gaussian": lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
        "laplace": lambda z: np.exp(-abs(z)) / 2,
    }
    for law, f in density.items():
        _, quantile, closed = LAWS[law]
        end = float(quantile(np.array(p))) - shift
        middle = min(end, 0.0)  # the Laplace density has a kink at 0
        kept = integrate.quad(f, -np.inf, middle)[0] + integrate.quad(f, middle, end)[0]
        assert kept == pytest.approx(float(closed(p, shift)), abs=1e-9)


@pytest.mark.parametrize("law", LAWS)
@given(p=P, q=P, shift=SHIFT, more=SHIFT)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_worst_case_grows_with_p_and_falls_with_the_shift(law, p, q, shift, more):
    closed = LAWS[law][2]
    low, high = sorted((p, q))
    slack = 1e-11
    assert closed(low, shift) <= closed(high, shift) * (1 + slack) + 1e-15
    assert closed(p, shift + more) <= closed(p, shift) * (1 + slack) + 1e-15
    assert 0 <= closed(p, shift) <= p


@given(p=st.floats(0.5, 1, exclude_min=True, exclude_max=True))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_at_the_radius_the_worst_case_is_one_half(p):
    assert gaussian.worst_case(p, gaussian.radius(p, 1.0), 1.0) == pytest.approx(0.5, abs=1e-11)
    assert laplace.worst_case(p, laplace.radius_l1(p, 1.0), 1.0) == pytest.approx(0.5, abs=1e-11)
    kept = uniform.worst_case(p, uniform.overlap([uniform.radius_l1(p, 1.0)], 1.0))
    assert kept == pytest.approx(0.5, abs=1e-11)


@pytest.mark.parametrize(
    "radius",
    [
        lambda p: gaussian.radius(p, 0.7),
        lambda p: uniform.radius_l1(p, 0.7),
        lambda p: uniform.radius_linf(p, 0.7, 784),
        lambda p: laplace.radius_l1(p, 0.7),
    ],
)
def test_radii_never_fall_in_p(radius):
    p = np.sort(np.concatenate([_probabilities(300, 21), [0, 0.5, 1]]))
    r = radius(p)
    assert (r[1:] >= r[:-1] * (1 - 1e-12)).all()
    assert (r[p <= 0.5] == 0).all()
    assert (r[p > 0.5] > 0).all()


# The finite lemma


def _random_problem(rng):
    """Up to six outcomes, zeros among them, and any p, all with small denominators."""
    m = int(rng.integers(1, 7))
    laws = []
    for _ in range(2):
        weight = rng.integers(0, 5, m)
        weight[rng.integers(m)] += 1
        laws.append([Fraction(int(w), int(weight.sum())) for w in weight])
    return Fraction(int(rng.integers(0, 13)), 12), *laws


def _by_vertices(p, base, shifted):
    """Exhaust the vertices: all of h is 0 or 1 but for one outcome, which takes up the slack."""
    best = None
    for free in range(len(base)):
        others = [i for i in range(len(base)) if i != free]
        for bits in product((0, 1), repeat=len(others)):
            missing = p - sum(base[i] for i, h in zip(others, bits, strict=True) if h)
            if base[free] > 0:
                h_free = missing / base[free]
            elif missing == 0:
                h_free = Fraction(0)
            else:
                continue
            if 0 <= h_free <= 1:
                value = h_free * shifted[free]
                value += sum(shifted[i] for i, h in zip(others, bits, strict=True) if h)
                best = value if best is None else min(best, value)
    return best


def test_the_greedy_classifier_is_optimal_on_random_problems():
    rng = np.random.default_rng(22)
    for _ in range(400):
        p, base, shifted = _random_problem(rng)
        found = neyman_pearson.worst_case(p, base, shifted)
        assert all(0 <= h <= 1 for h in found.classifier)
        assert sum(h * b for h, b in zip(found.classifier, base, strict=True)) == p
        assert sum(h * q for h, q in zip(found.classifier, shifted, strict=True)) == found.value
        assert found.value == _by_vertices(p, base, shifted)
        solved = neyman_pearson.linear_programme(float(p), base, shifted)
        assert solved == pytest.approx(float(found.value), abs=1e-8)


def test_disjoint_laws_cost_nothing_and_equal_laws_cost_p():
    half = Fraction(1, 2)
    assert neyman_pearson.worst_case(1, [half, half, 0], [0, 0, 1]).value == 0
    assert neyman_pearson.worst_case(Fraction(1, 3), [half, half], [half, half]).value == (
        Fraction(1, 3)
    )


def test_discretised_masses_add_up():
    base, shifted = neyman_pearson.discretise(special.ndtr, 0.4, np.linspace(-3, 3, 13))
    assert base.shape == shifted.shape == (14,)
    assert base.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(np.cumsum(shifted)[:-1], special.ndtr(np.linspace(-3.4, 2.6, 13)))


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.radius(1.5, 1), r"p_lower is 1\.5"),
        (lambda: gaussian.radius(0.6, 0), r"sigma is 0"),
        (lambda: gaussian.radius(0.6, 1, -0.1), r"p_upper is -0\.1"),
        (lambda: gaussian.radius(np.nan, 1), "p_lower holds NaN"),
        (lambda: gaussian.worst_case(0.6, -1, 1), r"shift is -1"),
        (lambda: gaussian.worst_case(2, 1, 1), r"p is 2"),
        (lambda: gaussian.sampling_ceiling(0, 0.1, 1), r"trials is 0"),
        (lambda: gaussian.sampling_ceiling(10, 1.5, 1), r"alpha is 1\.5"),
        (lambda: uniform.radius_l1(-1, 1), r"p_lower is -1"),
        (lambda: uniform.radius_l1(0.6, np.inf), "half_width is inf"),
        (lambda: uniform.radius_linf(0.6, 1, 0), r"dim is 0"),
        (lambda: uniform.overlap(0.5, 1), r"shift is 0\.5"),
        (lambda: uniform.overlap([np.inf], 1), "shift holds an infinite number"),
        (lambda: uniform.worst_case(0.5, 1.2), r"shared is 1\.2"),
        (lambda: laplace.radius_l1(0.7, -1), r"scale is -1"),
        (lambda: laplace.worst_case(0.7, np.inf, 1), "shift is inf"),
        (lambda: neyman_pearson.worst_case(0.5, [1], [1]), "p is 0.5: give a Fraction"),
        (lambda: neyman_pearson.worst_case(2, [1], [1]), "p is 2"),
        (lambda: neyman_pearson.worst_case(1, [0.5, 0.5], [1, 0]), "base holds 0.5"),
        (lambda: neyman_pearson.worst_case(1, [2, -1], [1, 0]), "base holds -1"),
        (lambda: neyman_pearson.worst_case(1, [1], [0]), "shifted sums to 0"),
        (lambda: neyman_pearson.worst_case(1, [1], [1, 0]), "shifted has 2 outcomes but base 1"),
        (lambda: neyman_pearson.linear_programme(0.5, [1.0], [[1.0]]), r"shifted has shape \(1, 1"),
        (lambda: neyman_pearson.discretise(special.ndtr, 0.1, [1, 1]), r"edges is \[1\.0, 1\.0\]"),
        (lambda: neyman_pearson.discretise(special.ndtr, np.nan, [1, 2]), "shift holds NaN"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Smoothed embeddings: dual bounds below 30 digits, primal and dual meet, the binding prototype.

Nothing here is random but seeded draws of cases, each of which is checked for certain.
"""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import optimize, special

from rs_lib.certificates import confidence, embedding, vector_dual
from rs_lib.certificates.embedding import (
    nearest_prototype,
    radius_law,
    radius_lipschitz,
    radius_mean,
    radius_vector,
)
from rs_lib.certificates.vector_dual import Point

VALUES = [  # <g, u>, |g_orth|, radii / sigma by three certificates, from the sheet of the chapter
    (0.3, 0.0, 0.37599, 0.38532, 0.38532),
    (0.3, 0.5, 0.37599, 0.38532, 0.42138),
    (0.3, 0.8, 0.37599, 0.38532, 0.58679),
    (0.3, 0.9, 0.37599, 0.38532, 0.85618),
    (0.5, 0.5, 0.62666, 0.67449, 0.75471),
    (0.5, 0.8, 0.62666, 0.67449, 1.22614),
    (0.8, 0.2, 1.00265, 1.28155, 1.31444),
    (0.8, 0.5, 1.00265, 1.28155, 1.69177),
    (0.1, 0.9, 0.12533, 0.12566, 0.24336),
]


def test_given_values():
    inner, rest, lipschitz, mean, vector = np.array(VALUES).T
    np.testing.assert_allclose(radius_lipschitz(inner, 0, 1), lipschitz, atol=5.1e-6)
    np.testing.assert_allclose(radius_mean(inner, 0, 1), mean, atol=5.1e-6)
    np.testing.assert_allclose(radius_vector(inner, rest, 0, 1), vector, atol=5.1e-6)
    found = radius_vector([0.3, 0.5, 0.3], [0.5, 0.8, 0.5], [0, 0, 0.0156738663031982], 1)
    np.testing.assert_allclose(found, [0.421381872799819, 1.22613784050398, 0.4], rtol=1e-12)
    law = ([-0.3, 0.1, 0.4], [1.0, 0.9, 0.6])
    assert radius_law(*law, 0.0, 1.0) == pytest.approx(1.05194104096871, rel=1e-12)
    assert radius_law([-0.2, 0.2], [1.0, 0.9], 0.0, 1.0) == pytest.approx(1.2815515655446)
    assert radius_mean(0.6 * 0.4 + 0.3 * 0.1 - 0.1 * 0.3, 0, 1) == pytest.approx(
        0.305480788099397, rel=1e-12
    )
    assert radius_mean(0.2 * 0.8, 0, 1) == pytest.approx(0.201893479141851, rel=1e-12)


def _draws(count, seed):
    """Means in the ball of unit vectors: uniform, near its surface, near its centre."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, count)
    length = rng.choice([1.0, 0.999, 0.1, 1e-3], count) * rng.uniform(0.2, 1, count)
    inner, rest = length * np.cos(angle), length * np.sin(angle)
    gap = rng.choice([1.0, 0.3, 1e-3], count) * rng.random(count)
    return inner, rest, inner - gap


def _dual(alpha, beta, r, inner, rest):
    """The dual bound and the two means of its f, at 30 digits."""
    centre = (mpmath.log(mpmath.hypot(alpha, beta)) + r * r / 2) / r
    cuts = sorted({mpmath.mpf(-12), centre - 1, centre, centre + 1, r + 12})

    def ratio(z):
        return mpmath.exp(r * z - r * r / 2)

    def mean(value):
        return mpmath.quad(
            lambda z: value(ratio(z)) * mpmath.npdf(z), cuts, maxdegree=12, method="tanh-sinh"
        )

    bound = alpha * inner + beta * rest
    bound -= mean(lambda t: mpmath.hypot(t - alpha, beta))
    along = mean(lambda t: (alpha - t) / mpmath.hypot(t - alpha, beta))
    across = mean(lambda t: beta / mpmath.hypot(t - alpha, beta))
    primal = mean(lambda t: t * (alpha - t) / mpmath.hypot(t - alpha, beta))
    return bound, along, across, primal


def test_the_dual_bound_is_below_its_exact_value_and_close_to_it():
    """At any multipliers, good or bad ones."""
    rng = np.random.default_rng(1)
    count = 12
    point = Point(
        rng.normal(size=count),
        10.0 ** rng.uniform(-2, 1, count),
        10.0 ** rng.uniform(-2, 0.7, count),
    )
    inner, rest, _ = _draws(count, seed=2)
    found = vector_dual.bound(point, inner, rest)
    alpha, beta = point.upright().multipliers
    with mpmath.workdps(30):
        for i in range(count):
            given = [mpmath.mpf(float(x[i])) for x in (alpha, beta, point.r, inner, rest)]
            exact = _dual(*given)[0]
            assert found[i] <= exact
            assert exact - found[i] <= 1e-12 * (1 + mpmath.hypot(*given[:2]))


def _near_the_surface(count, seed):
    rng = np.random.default_rng(seed)
    length, angle = 1 - 10.0 ** rng.uniform(-6, -2, count), rng.uniform(0, np.pi / 2, count)
    inner, rest = length * np.cos(angle), length * np.sin(angle)
    return inner, rest, inner - 10.0 ** rng.uniform(-5, -0.3, count) * (inner + 1)


def test_near_the_surface_of_the_ball_the_dual_bound_is_below_its_exact_value_and_close_to_it():
    """Where z0 is far beyond the noises, and the nodes are equidistant."""
    inner, rest, offset = _near_the_surface(12, seed=7)
    point = vector_dual.solve(inner, rest, offset, radius_mean(inner, offset, 1.0))
    farther = ((200.0, 40.0, 0.02), (-150.0, 3.0, 0.05), (60.0, 1.2, 0.5))
    for place, values in enumerate(farther):
        for own, value in zip(point, values, strict=True):
            own[place] = value
    found = vector_dual.bound(point, inner, rest)
    size = np.hypot(*point.multipliers)
    far = (point.tau >= 1) & (np.abs(point.z0 - point.r / 2) > point.r / 2 + 5)
    assert far.sum() >= 6
    alpha, beta = point.upright().multipliers
    with mpmath.workdps(30):
        for i in range(len(inner)):
            given = [mpmath.mpf(float(x[i])) for x in (alpha, beta, point.r, inner, rest)]
            exact = _dual(*given)[0]
            assert found[i] <= exact
            assert exact - found[i] <= 1e-12 * (1 + size[i])


def test_near_the_surface_of_the_ball_the_rest_of_a_mean_still_counts():
    """Newton's method once failed there, and the radius fell back to that of the mean."""
    inner, rest, offset = _near_the_surface(600, seed=8)
    radii = radius_vector(inner, rest, offset, 1.0)
    mean, shorter = radius_mean(inner, offset, 1.0), radius_vector(inner, 0.99 * rest, offset, 1.0)
    finite = np.isfinite(mean) & (rest > 0.1)
    assert (radii[finite] > 1.001 * mean[finite]).all()
    assert (shorter > radii * (1 + 1e-9)).mean() < 0.005
    found = radius_vector(
        [0.5, 0.21286103084643598], [0.865909, 0.977079855185481], [0.499, 0.205], 1
    )
    assert (found > [0.08, 1.6]).all()


def test_the_worst_embedding_attains_the_vector_radius():
    """Primal and dual meet: f has the given mean, and its shifted mean reaches the offset."""
    inner, rest = np.array([0.3, 0.5, 0.8, 0.1]), np.array([0.5, 0.8, 0.2, 0.9])
    offset = np.array([0.0, 0.2, -0.3, 0.05])
    radii = radius_vector(inner, rest, offset, 1.0)
    point = vector_dual.solve(inner, rest, offset, radii)
    alpha, beta = point.multipliers
    with mpmath.workdps(30):
        for i, radius in enumerate(radii):
            given = [mpmath.mpf(float(x[i])) for x in (alpha, beta)]
            r, b = mpmath.mpf(float(radius)), mpmath.mpf(float(offset[i]))
            dual, along, across, primal = _dual(*given, r, inner[i], rest[i])
            assert abs(along - inner[i]) < 1e-9
            assert abs(across - rest[i]) < 1e-9
            assert b <= dual <= b + 1e-12
            assert abs(primal - dual) < 1e-9


def test_no_vector_radius_reaches_beyond_the_exact_one():
    """W is at least the bound at any multipliers; those of Newton's method, at 30 digits."""
    inner, rest, offset = _draws(40, seed=3)
    radii = radius_vector(inner, rest, offset, 1.0)
    with mpmath.workdps(30):
        for i in np.flatnonzero((radii > 1e-3) & (radii < 6) & (rest > 1e-6))[:6]:
            start = np.array([radii[i]])
            point = vector_dual.solve(inner[i : i + 1], rest[i : i + 1], offset[i : i + 1], start)
            alpha, beta = (mpmath.mpf(float(x[0])) for x in point.multipliers)
            r = mpmath.mpf(float(radii[i]))
            here = _dual(alpha, beta, r, inner[i], rest[i])[0]
            assert here >= mpmath.mpf(float(offset[i]))
            # W is the supremum, but these multipliers all but attain it, so W falls short there.
            beyond = _dual(alpha, beta, r * (1 + mpmath.mpf(10) ** -9), inner[i], rest[i])[0]
            assert beyond < mpmath.mpf(float(offset[i])) + 1e-11


@pytest.mark.parametrize(
    ("inner", "rest", "r"), [(0.3, 0.5, 0.4), (0.5, 0.8, 1.0), (0.1, 0.9, 0.2)]
)
def test_a_linear_programme_over_directions_and_bins(inner, rest, r):
    """Fewer directions and bins can only do worse; more of them come close to W."""
    edges = np.linspace(-3.5, 4, 90)
    base = np.diff(special.ndtr(edges), prepend=0, append=1)
    shifted = np.diff(special.ndtr(edges - r), prepend=0, append=1)
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    cost = np.outer(shifted, np.cos(turn)).ravel()
    bins = np.kron(np.diag(base), np.ones(turn.size))
    means = [np.outer(base, part(turn)).ravel() for part in (np.cos, np.sin)]
    rows = np.vstack([bins / base[:, None], means])
    found = optimize.linprog(
        cost, A_eq=rows, b_eq=[*np.ones(base.size), inner, rest], bounds=(0, None)
    ).fun
    assert radius_vector(inner, rest, found, 1.0) <= r + 1e-9
    assert radius_vector(inner, rest, found - 2e-3, 1.0) >= r


def test_each_certificate_is_at_least_the_one_before():
    inner, rest, offset = _draws(3000, seed=4)
    first = radius_lipschitz(inner, offset, 0.5)
    second = radius_mean(inner, offset, 0.5)
    third = radius_vector(inner, rest, offset, 0.5)
    assert (first <= second * (1 + 1e-12) + 1e-15).all()
    assert (second <= third).all()
    assert (third[inner > offset + 1e-6] > 0).all()
    np.testing.assert_array_equal(radius_vector(inner, 0.0, offset, 0.5), second)


def test_the_law_is_at_least_the_vector():
    """Score s = <f, u> of a law, the rest as long as it can be: any mean of the rest, at most."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        values = np.sort(rng.uniform(-1, 1, 4))
        masses = rng.dirichlet(np.ones(4))
        inner = float(masses @ values)
        rest = float(masses @ np.sqrt(1 - values**2)) * rng.random()
        offset = inner - rng.random() * (inner - values[0])
        survival = np.minimum(np.cumsum(masses[::-1])[::-1], 1.0)
        law = radius_law(values, survival, offset, 1.0)
        assert radius_vector(inner, rest, offset, 1.0) <= law * (1 + 1e-9) + 1e-9


def test_the_law_does_not_see_affine_maps():
    values, survival = np.array([-0.6, 0.2, 0.7]), [1.0, 0.8, 0.3]
    plain = radius_law(values, survival, 0.1, 1.0)
    mapped = radius_law(values * 0.3 - 0.1, survival, 0.1 * 0.3 - 0.1, 1.0)
    assert mapped == pytest.approx(plain, rel=1e-12)
    assert radius_law(values, [survival, survival], [0.1, 0.0], [1.0, 2.0]).shape == (2,)


def test_more_information_and_less_offset_never_hurt():
    inner, rest, offset = _draws(400, seed=6)
    slack = 1 + 1e-9
    room = np.sqrt(1 - rest**2)
    more = inner + 0.3 * (room - inner)
    found = radius_vector(inner, rest, offset, 1.0)
    tight = inner >= 0
    for less in (found, radius_vector(inner, rest / 2, offset, 1.0)):
        best = radius_vector(more, rest, offset, 1.0)
        assert (less <= best * slack + 1e-12)[tight].all()
    assert (radius_vector(inner, rest / 2, offset, 1.0) <= found * slack + 1e-12)[tight].all()
    assert (found <= radius_vector(inner, rest, offset - 0.01, 1.0) * slack).all()


def test_the_radius_from_the_mean_is_precise_at_both_ends():
    with mpmath.workdps(50):
        for inner in (1e-12, 0.3, 0.5, 0.500001, 0.9, 1 - 1e-12, 1 - 2.0**-53):
            for offset in (0.0, -1e-12, -0.7, inner / 2):
                found = mpmath.mpf(float(radius_mean(inner, offset, 1.0)))
                exact = mpmath.sqrt(2) * (
                    mpmath.erfinv(mpmath.mpf(inner)) - mpmath.erfinv(mpmath.mpf(offset))
                )
                assert found <= exact
                assert exact - found <= 1e-14 * (exact + 1)
                assert exact - found <= 1e-12 * exact
                found = mpmath.mpf(float(radius_lipschitz(inner, offset, 1.0)))
                exact = (mpmath.mpf(inner) - mpmath.mpf(offset)) * mpmath.sqrt(mpmath.pi / 2)
                assert 0 <= exact - found <= 1e-14 * exact


def test_edges():
    assert radius_mean([1.0, 0.5, 0.0, -1.0, 0.3], [0.5, -1.0, 0.0, -1.0, -7.0], 1.0).tolist() == [
        np.inf,
        np.inf,
        0.0,
        0.0,
        np.inf,
    ]
    assert radius_vector([0.2, 0.3, 1.0], [0.5, 0.0, 0.0], [0.2, 0.4, 0.9], 1.0).tolist() == [
        0.0,
        0.0,
        np.inf,
    ]
    assert 3 < radius_vector(0.6, 0.8, 0.0, 1.0) < np.inf  # a mean of unit length to all digits
    assert radius_vector(-0.5, 0.1, -0.9, 1.0) >= radius_mean(-0.5, -0.9, 1.0)
    assert radius_law([0.3], [1.0], 0.3, 1.0) == 0  # a tie everywhere
    assert radius_law([0.3], [1.0], 0.2, 1.0) == np.inf
    assert radius_law([0.3], [0.0], -1.0, 1.0) == 0
    assert isinstance(radius_vector(0.3, 0.5, 0.0, 1.0), float)
    assert radius_vector(np.zeros((2, 1)) + 0.3, [0.5, 0.6, 0.7], 0.0, 1.0).shape == (2, 3)


# Nearest prototypes

THREE = np.array([[1.0, 0.0], [0.8, 0.6], [-0.8, -0.6]])


@pytest.mark.parametrize("prototypes", [[[1, 0], [2, 0]], [[1, 0], [2, 0], [0, 3]]])
def test_where_no_rival_is_ever_nearer_the_first_one_is_named(prototypes):
    assert nearest_prototype([0.1, 0.1], prototypes, 1.0) == (0, np.inf, 1)


def test_the_second_nearest_prototype_is_not_the_one_that_binds():
    g = np.array([0.1, -0.1])
    found = nearest_prototype(g, THREE, 1.0, "mean")
    assert (found.predicted, found.binding) == (0, 2)
    assert found.radius == pytest.approx(0.0793497367254171, rel=1e-12)
    distances = np.linalg.norm(THREE - g, axis=1)
    assert np.argsort(distances).tolist() == [0, 1, 2]
    u = (THREE[0] - THREE[1]) / np.linalg.norm(THREE[0] - THREE[1])
    assert radius_mean(g @ u, 0.0, 1.0) == pytest.approx(0.159203059349382, rel=1e-12)
    predicted, radius, binding = nearest_prototype(g, THREE, 1.0)
    assert (predicted, binding) == (0, 2)
    assert radius > found.radius


@pytest.mark.parametrize("certificate", ["lipschitz", "mean", "vector"])
def test_the_radius_is_the_least_over_all_rivals(certificate):
    rng = np.random.default_rng(7)
    prototypes = rng.normal(size=(5, 3)) * 0.7  # of any length
    g = rng.normal(size=(200, 3))
    g /= np.linalg.norm(g, axis=1, keepdims=True) * rng.uniform(1, 3, (200, 1))
    found = nearest_prototype(g, prototypes, 0.5, certificate)
    undercut = 0
    for i, centre in enumerate(g):
        distances = np.linalg.norm(prototypes - centre, axis=1)
        own, second = np.argsort(distances)[:2]
        radii = np.full(5, np.inf)
        for rival in set(range(5)) - {int(own)}:
            between = prototypes[own] - prototypes[rival]
            u = between / np.linalg.norm(between)
            inner = centre @ u
            rest = np.linalg.norm(centre - inner * u)
            offset = (prototypes[own] + prototypes[rival]) @ u / 2
            radii[rival] = {
                "lipschitz": lambda i, o, b: radius_lipschitz(i, b, 0.5),
                "mean": lambda i, o, b: radius_mean(i, b, 0.5),
                "vector": lambda i, o, b: radius_vector(i, o, b, 0.5),
            }[certificate](inner, min(rest, np.sqrt(1 - inner**2)), offset)
        assert found.predicted[i] == own
        assert found.radius[i] == pytest.approx(radii.min(), rel=1e-9, abs=1e-12)
        assert found.radius[i] <= radii.min() * (1 + 1e-11)
        assert radii[found.binding[i]] == pytest.approx(radii.min(), rel=1e-9)
        undercut += found.binding[i] != second
    assert undercut > 5


def test_orders_and_rotations_do_not_matter():
    rng = np.random.default_rng(8)
    prototypes, g = rng.normal(size=(4, 6)), rng.normal(size=(20, 6)) / 8
    plain = nearest_prototype(g, prototypes, 1.0)
    order = rng.permutation(4)
    mixed = nearest_prototype(g, prototypes[order], 1.0)
    np.testing.assert_array_equal(order[mixed.predicted], plain.predicted)
    np.testing.assert_array_equal(order[mixed.binding], plain.binding)
    np.testing.assert_array_equal(mixed.radius, plain.radius)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    turned = nearest_prototype(g @ turn, prototypes @ turn, 1.0)
    np.testing.assert_allclose(turned.radius, plain.radius, rtol=1e-9, atol=1e-12)


def test_the_geometry_is_rounded_to_the_safe_side():
    """Parts of g and the offset, as floats, against 60 digits; prototypes far apart and close."""
    rng = np.random.default_rng(9)
    with mpmath.workdps(60):
        for scale in (1.0, 1e-6, 1e-12):
            for _ in range(20):
                own = rng.normal(size=8)
                rival = own + scale * rng.normal(size=8)
                g = rng.normal(size=8) / 10
                low, rest, offset = (
                    float(x[0]) for x in embedding._seen(g[None], own[None], rival)
                )
                a, b, c = ([mpmath.mpf(float(x)) for x in v] for v in (own, rival, g))
                gap = [x - y for x, y in zip(a, b, strict=True)]
                size = mpmath.sqrt(mpmath.fdot(gap, gap))
                inner = mpmath.fdot(c, gap) / size
                across = mpmath.sqrt(mpmath.fdot(c, c) - inner**2)
                limit = mpmath.fdot([x + y for x, y in zip(a, b, strict=True)], gap) / size / 2
                assert 0 <= inner - low <= 1e-14
                assert 0 <= across - rest <= 1e-13
                assert 0 <= offset - limit <= 1e-13


def test_denormal_numbers_and_lengths_beyond_one_stay_on_the_safe_side():
    with mpmath.workdps(40):
        for inner, scale in ((1.5e-323, 1e10), (1.00000001e-310, 1e200), (5e-324, 1e300)):
            exact = mpmath.mpf(inner) * mpmath.sqrt(mpmath.pi / 2) * mpmath.mpf(scale)
            for certificate in (radius_lipschitz, radius_mean):
                assert 0 <= certificate(inner, 0, scale) <= exact
    for certificate in ("lipschitz", "mean", "vector"):
        close = nearest_prototype([-0.5, 0], [[0, 0], [1e-310, 0]], 1, certificate).radius
        apart = nearest_prototype([-0.5, 0], [[0, 0], [1e-100, 0]], 1, certificate).radius
        assert close == pytest.approx(apart, rel=1e-12)
        # A mean that is too long by rounding certifies no more than one of length 1.
        # Products that vanish among denormal numbers.
        faint, point = np.full(1000, 5e-324), np.full(1000, 0.51)
        for g, own in ((faint, point), (point / 17, 1e-310 * point), (7 * faint, 3e-160 * point)):
            with mpmath.workdps(40):
                along = mpmath.sqrt(1000) * mpmath.mpf(g[0])
                exact = -mpmath.sqrt(2) * mpmath.erfinv(-along) if g[0] > 0.01 else along
                exact *= 1 if g[0] > 0.01 else mpmath.sqrt(mpmath.pi / 2)
            if certificate != "vector":  # which may certify more than the mean does
                assert 0 <= nearest_prototype(g, [own, -own], 1, certificate).radius <= exact
        long = nearest_prototype([1 + 5e-10, 0], [[1, 0], [-1, 0]], 1, certificate).radius
        assert 0 < long <= nearest_prototype([1, 0], [[1, 0], [-1, 0]], 1, certificate).radius < 9


def test_ties_and_batches():
    assert nearest_prototype([0.0, 0.0], [[1.0, 0.0], [-1.0, 0.0]], 1.0).radius == 0
    found = nearest_prototype(np.full((2, 3, 2), 0.3), THREE, [[1.0], [2.0]])
    assert found.radius.shape == found.predicted.shape == found.binding.shape == (2, 3)
    np.testing.assert_allclose(found.radius[1], 2 * found.radius[0], rtol=1e-14)
    single = nearest_prototype([0.3, 0.3], THREE, 1.0)
    assert isinstance(single.radius, float)
    assert single.radius == found.radius[0, 0]
    wide = nearest_prototype([0.3, 0.3], THREE, [1.0, 2.0])
    assert wide.radius.shape == wide.binding.shape == (2,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: radius_mean(1.1, 0, 1), "inner is 1.1: give <g, u> in"),
        (
            lambda: radius_mean(1 + Fraction(1, 10**30), 0, 1),
            "inner is 1000.*: give <g, u>",
        ),
        (lambda: radius_mean(np.nan, 0, 1), "inner holds NaN"),
        (lambda: radius_mean(0.3, np.inf, 1), "offset is inf"),
        (lambda: radius_lipschitz(0.3, 0, 0), "sigma is"),
        (lambda: radius_lipschitz(0.3, 0, np.inf), "sigma is"),
        (lambda: radius_mean([0.3, 0.2], [0, 0, 0], 1), "shapes are inner"),
        (lambda: radius_vector(0.3, -0.1, 0, 1), "orthogonal is -0.1"),
        (lambda: radius_vector(0.8, 0.7, 0, 1), "make a vector of length 1.06"),
        (lambda: radius_vector([0.3, 0.2], [0.1] * 3, 0, 1), "shapes are orthogonal"),
        (lambda: radius_law([0.3, 1.2], [0.9, 0.1], 0, 1), "thresholds holds 1.2"),
        (lambda: radius_law([0.3, 0.5], [0.1, 0.9], 0, 1), "survival rises to 0.9"),
        (lambda: radius_law([-1.5], [0.9], 0, 1), "low is -1.0"),
        (lambda: radius_law([0.3], [0.9], np.nan, 1), "offset holds NaN"),
        (lambda: radius_law([0.3], [0.9], np.inf, 1), "offset is inf: give a finite number"),
        (lambda: radius_vector(0.3, 1.1, 0, 1), "orthogonal is 1.1: give a length"),
        (lambda: nearest_prototype([1e200, 0], THREE, 1), "g has a vector of length inf"),
        (lambda: nearest_prototype([0.3, 0.3], [[1.0, 0], [1.0, 0]], 1), "prototypes coincide"),
        (lambda: nearest_prototype([0.3, 0.3], [[1.0, 0]], 1), "prototypes has shape"),
        (lambda: nearest_prototype([0.3, 0.3], [1.0, 0], 1), "prototypes has shape"),
        (lambda: nearest_prototype([0.3], THREE, 1), "g has shape"),
        (lambda: nearest_prototype(np.zeros((0, 2)), THREE, 1), "give one vector or more"),
        (lambda: nearest_prototype([0.9, 0.9], THREE, 1), "g has a vector of length 1.27"),
        (lambda: nearest_prototype([np.nan, 0.9], THREE, 1), "g holds NaN"),
        (lambda: nearest_prototype([0.3, 0.3], THREE + 1e200, 1), "prototypes holds"),
        (lambda: nearest_prototype([0.3, 0.3], [[Fraction(1, 3), 0], [0, 1]], 1), "prototypes hol"),
        (lambda: nearest_prototype([0.3, 0.3], [[2**53 + 1, 0], [0, 1]], 1), "prototypes holds an"),
        (lambda: nearest_prototype([Fraction(1, 3), 0.3], THREE, 1), "g holds an entry between"),
        (lambda: nearest_prototype([0.3, 0.3], THREE, -1), "sigma is"),
        (lambda: nearest_prototype([0.3, 0.3], THREE, [[1, 2]] * 2, "law"), "certificate is 'law'"),
        (lambda: nearest_prototype(np.zeros((3, 2)), THREE, [1, 2]), "shapes are g"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_mean_radius_is_where_the_mean_bound_meets_the_offset():
    found = radius_mean(0.4, 0.1, 2.0)
    assert confidence.mean_lower(0.4, 2.0, found, -1.0, 1.0) == pytest.approx(0.1, abs=1e-13)

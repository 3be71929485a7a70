"""Smoothing as an operator on hypotheses, best margins on the line, conflicts among points."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks import hypotheses as benchmark
from rs_lib import hypotheses

rng = np.random.default_rng(2020)


def majority(labels, k):
    n = len(labels)
    return tuple(int(sum(labels[(i + j) % n] for j in range(-k, k + 1)) > k) for i in range(n))


@pytest.mark.parametrize("n", range(1, 9))
def test_cycle_agrees_with_the_definition(n):
    for k in range(2 * n):
        images = {h: majority(h, k) for h in product((0, 1), repeat=n)}
        assert hypotheses.image_size(n, k) == len(set(images.values()))
        assert hypotheses.fixed_points(n, k) == sum(h == image for h, image in images.items())
        numbers = [sum(bit << i for i, bit in enumerate(h)) for h in images]
        expected = [sum(bit << i for i, bit in enumerate(h)) for h in images.values()]
        assert hypotheses.smoothed(numbers, n, k).tolist() == expected


@pytest.mark.parametrize(
    ("n", "sizes", "fixed"),
    [
        (5, [32, 22, 2], [32, 12, 2]),
        (9, [512, 182, 146, 164, 2], [512, 74, 38, 20, 2]),
        (13, [8192, 1848, 1328, 990, 1224, 1328, 2], [8192, 522, 132, 80, 54, 28, 2]),
    ],
)
def test_cycle_has_the_known_sizes(n, sizes, fixed):
    assert [hypotheses.image_size(n, k) for k in range(len(sizes))] == sizes
    assert [hypotheses.fixed_points(n, k) for k in range(len(fixed))] == fixed


@pytest.mark.parametrize("n", range(2, 17, 2))
def test_window_that_misses_one_point_of_an_even_cycle(n):
    assert hypotheses.image_size(n, n // 2 - 1) == comb(n, n // 2) + 2


@pytest.mark.parametrize(
    ("n", "k", "sentence"),
    [
        (0, 1, "n is 0"),
        (27, 1, "n is 27: give at most 26"),
        (5, -1, "k is -1"),
        (5, 0.5, "k is 0.5"),
        ([3, 4], 1, "give one whole number"),
    ],
)
def test_cycle_refuses(n, k, sentence):
    for function in (hypotheses.image_size, hypotheses.fixed_points):
        with pytest.raises(ValueError, match=sentence):
            function(n, k)
    with pytest.raises(ValueError, match=r"below 2\^3"):
        hypotheses.smoothed([8], 3, 1)


@pytest.mark.parametrize("distance", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("sigma", [0.25, 1.0, 2.0])
def test_two_points_have_the_closed_form(distance, sigma):
    found = hypotheses.feasible_margin([0, distance], [1, 0], sigma)
    assert found == pytest.approx(ndtr(distance / (2 * sigma)) - 0.5, abs=1e-9)
    assert found == pytest.approx(float(hypotheses.pair_margin(distance, sigma)), abs=1e-9)


@pytest.mark.parametrize(
    ("sigma", "expected"), [(0.1, 0.5), (0.25, 0.4610), (0.5, 0.2323), (1, 0.0395), (2, 0.00305)]
)
def test_five_alternating_labels(sigma, expected):
    fit = hypotheses.best_fit(range(5), [1, 0, 1, 0, 1], sigma)
    assert fit.lower == pytest.approx(expected, abs=6e-5)
    assert 0 <= fit.upper - fit.lower < 1e-11
    assert len(fit.edges) == 4
    assert set(fit.values) == {0.0, 1.0}


def test_margins_are_attained_and_bounded():
    for _ in range(25):
        n, sigma = int(rng.integers(1, 8)), float(rng.choice([0.1, 0.5, 2.0]))
        points, labels = rng.uniform(0, 5, n), rng.integers(0, 2, n)
        fit = hypotheses.best_fit(points, labels, sigma)
        assert fit.lower <= fit.upper <= fit.lower + 1e-7
        attained = (2 * labels - 1) * (fit.smoothed(points, sigma) - 0.5)
        assert attained.min() >= fit.lower - 1e-12
        # The bound again, by a sum over a fine grid.
        z = np.linspace(-20, 25, 200_001)
        density = np.exp(-(((z - points[:, None]) / sigma) ** 2) / 2) / sigma / np.sqrt(2 * np.pi)
        mixed = (fit.weights * (2 * labels - 1)) @ density
        assert np.abs(mixed).sum() * (z[1] - z[0]) / 2 == pytest.approx(fit.upper, abs=1e-6)
        # More noise leaves less, and so do more points.
        assert hypotheses.feasible_margin(points, labels, 1.5 * sigma) <= fit.upper
        if n > 1:
            fewer = hypotheses.best_fit(points[1:], labels[1:], sigma)
            assert fewer.upper >= fit.lower


def test_square_wave_is_the_limit_of_alternating_labels():
    for sigma in (0.3, 0.6):
        limit = float(hypotheses.lattice_margin(sigma))
        margins = [
            hypotheses.feasible_margin(range(n), np.arange(n) % 2, sigma) for n in (3, 9, 27)
        ]
        assert margins[0] > margins[1] > margins[2] > limit
    sigmas = np.array([0.499999999, 0.5])  # where the two series meet
    below, above = hypotheses.lattice_margin(sigmas)
    assert below == pytest.approx(above, abs=1e-8)
    assert hypotheses.lattice_margin(2.0, 4.0) == pytest.approx(above, abs=1e-15)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([0, 0], [1, 0], 1), "holds a number twice"),
        (([0, 1], [1], 1), "two equally long lists"),
        (([0, 1], [1, 2], 1), "labels is 2"),
        (([0, np.inf], [1, 0], 1), "points is inf"),
        (([0, 1], [1, 0], 0), "sigma is 0"),
        (([0, 1], [1, 0], [1, 2]), "give one number"),
        (([], [], 1), "two equally long lists"),
    ],
)
def test_margin_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        hypotheses.feasible_margin(*arguments)


def test_separation_is_the_inverse_of_the_pair_margin():
    sigma, margin = np.array([0.3, 1.0, 4.0])[:, None], np.array([0.0, 0.2, 0.49])
    apart = hypotheses.separation(sigma, margin)
    assert np.allclose(hypotheses.pair_margin(apart, sigma), np.broadcast_to(margin, (3, 3)))
    for bad in (-0.1, 0.5):
        with pytest.raises(ValueError, match="margin is"):
            hypotheses.separation(1, bad)


def test_nearest_point_rule_keeps_its_promise():
    for _ in range(20):
        points = np.sort(rng.uniform(0, 6, 6))
        labels, sigma = rng.integers(0, 3, 6), float(rng.uniform(0.05, 0.6))
        promised = hypotheses.nearest_margin(abs(points[:, None] - points), labels, sigma)
        cuts = (points[1:] + points[:-1]) / 2
        masses = np.diff(ndtr((cuts - points[:, None]) / sigma), prepend=0, append=1)
        kept = (masses * (labels[:, None] == labels)).sum(1) - 0.5
        assert (promised <= kept + 1e-12).all()
    assert hypotheses.nearest_margin([[0, 2], [2, 0]], [0, 1], [1, 2]).shape == (2, 2)
    with pytest.raises(ValueError, match=r"give \(N, N\) and \(N,\)"):
        hypotheses.nearest_margin([[0, 1]], [0, 1], 1)


def independent(points, pairs):
    """Size of the largest set of points without a pair, by trying all."""
    return max(
        bin(chosen).count("1")
        for chosen in range(1 << points)
        if not any(chosen >> i & 1 and chosen >> j & 1 for i, j in pairs)
    )


def test_conflicts_bound_what_fits_and_two_classes_attain_it():
    for _ in range(60):
        points, classes = int(rng.integers(1, 10)), int(rng.integers(2, 5))
        labels = rng.integers(0, classes, points)
        pairs = [
            pair
            for pair in combinations(range(points), 2)
            if labels[pair[0]] != labels[pair[1]] and rng.random() < 0.4
        ]
        bound, best = hypotheses.largest_fit(points, pairs), independent(points, pairs)
        assert bound >= best
        assert bound == best or classes > 2
        assert hypotheses.largest_fit(points, [*pairs, *pairs]) == bound
    triangle = [(0, 1), (1, 2), (0, 2)]
    assert hypotheses.double_matching(3, triangle) == 3
    assert hypotheses.largest_fit(3, triangle) == 1
    assert hypotheses.largest_fit(4, []) == 4
    with pytest.raises(ValueError, match="below points = 3"):
        hypotheses.largest_fit(3, [(0, 3)])
    with pytest.raises(ValueError, match="joins 1 to itself"):
        hypotheses.largest_fit(3, [(1, 1)])


def test_the_benchmark_compares_two_ways_that_agree():
    (row,) = benchmark.measure(points=(10,), repeats=1)
    assert row["hypotheses"] == 1024
    assert row["radii"] == 5
    assert benchmark.textbook(9) == [512, 182, 146, 164, 2]

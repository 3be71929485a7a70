"""Rules that average: exact oracles, vectors that are lost, and defects that others had.

Random inputs are seeded; nothing here is a statistical test.
"""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch

from rs_lib.machines import aggregation, geometric_median

EVERY = ["trimmed_mean", "coordinate_median", "geometric_median", "krum", "multi_krum", "bulyan"]
LOST = [np.nan, np.inf, -np.inf, 1e120]


def _vectors(n, d, seed):
    return np.random.default_rng(seed).normal(size=(n, d))


def _krum_scores(vectors, faulty):
    """Return Krum's scores in fractions: squared distances to the n - f - 2 nearest others."""
    exact = [[Fraction(float(x)) for x in row] for row in vectors]
    scores = []
    for i, own in enumerate(exact):
        apart = sorted(
            sum((a - b) ** 2 for a, b in zip(own, other, strict=True))
            for j, other in enumerate(exact)
            if j != i
        )
        scores.append(sum(apart[: len(exact) - faulty - 2]))
    return scores


@pytest.mark.parametrize(("n", "f"), [(3, 0), (5, 1), (8, 2), (11, 4)])
def test_krum_chooses_by_squared_distances_to_n_f_2_neighbours(n, f):
    for seed in range(20):
        vectors = _vectors(n, 3, seed).round(3)
        scores = _krum_scores(vectors, f)
        assert (aggregation.krum(vectors, f).numpy() == vectors[np.argmin(scores)]).all()
        best = sorted(range(n), key=lambda i: scores[i])[: n - f - 2]
        mean = vectors[best].mean(axis=0)
        assert aggregation.multi_krum(vectors, f).numpy() == pytest.approx(mean, abs=1e-14)


def _bulyan(vectors, f):
    """Return Bulyan's answer by its definition, one coordinate after the other."""
    left, chosen = [list(row) for row in vectors], []
    while len(chosen) < len(vectors) - 2 * f:
        scores = []
        for i, own in enumerate(left):
            apart = sorted(
                sum((a - b) ** 2 for a, b in zip(own, other, strict=True))
                for j, other in enumerate(left)
                if j != i
            )
            scores.append(sum(apart[: max(len(left) - f - 2, 1)]))
        chosen.append(left.pop(int(np.argmin(scores))))
    answer = []
    for column in np.array(chosen).T:
        near = sorted(column, key=lambda value: (abs(value - np.median(column)), value))
        answer.append(np.mean(near[: len(vectors) - 4 * f]))
    return answer


@pytest.mark.parametrize(("n", "f"), [(3, 0), (7, 1), (9, 1), (11, 2)])
def test_bulyan_selects_one_by_one(n, f):
    for seed in range(20):
        vectors = _vectors(n, 4, seed)
        assert aggregation.bulyan(vectors, f).numpy() == pytest.approx(_bulyan(vectors, f))


def test_coordinate_rules_are_what_numpy_says():
    for seed, (n, f) in enumerate([(1, 0), (4, 1), (5, 2), (10, 3), (11, 0)]):
        vectors = _vectors(n, 6, seed)
        ordered = np.sort(vectors, axis=0)[f : n - f]
        assert aggregation.mean(vectors, f).numpy() == pytest.approx(vectors.mean(axis=0))
        assert aggregation.trimmed_mean(vectors, f).numpy() == pytest.approx(ordered.mean(axis=0))
        median = aggregation.coordinate_median(vectors, f).numpy()
        assert (median == np.median(vectors, axis=0)).all()


def test_the_geometric_median_is_where_the_pulls_cancel():
    """Also among many dimensions, far outliers, and points that are nearly equal."""
    for seed, (n, d, far) in enumerate(
        [(5, 2, 1), (6, 2, 1e6), (10, 3, 1e30), (11, 400, 1e90), (7, 400, 1), (12, 2, 1e3)]
    ):
        vectors = _vectors(n, d, seed)
        vectors[-1] *= far
        vectors[1] = vectors[0] + 1e-7 * vectors[1]
        place = aggregation.geometric_median(vectors, 1).numpy()
        towards = vectors - place
        distances = np.linalg.norm(towards, axis=1)
        here = distances < 1e-12
        pulls = (towards[~here] / distances[~here, None]).sum(axis=0)
        assert np.linalg.norm(pulls) <= here.sum() + 1e-6


def test_the_geometric_median_on_a_line_and_of_few_points():
    assert aggregation.geometric_median([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 1).tolist() == [4, 5, 6]
    line = np.array([[0.0], [1.0], [5.0], [7.0]])
    assert aggregation.geometric_median(line, 1).tolist() == [3.0]
    assert aggregation.geometric_median([[2, 3]], 0).tolist() == [2, 3]
    assert aggregation.geometric_median([[0, 0], [4, 2]], 0).tolist() == [2, 1]
    triangle = [[1, 0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]]
    assert aggregation.geometric_median(triangle, 1).numpy() == pytest.approx([0, 0], abs=1e-9)
    # Eight points of which two differ by one rounding.
    twins = np.array([[0.1, 0.3], [0.1, np.nextafter(0.3, 1)], [1, 0], [0, 1], [-1, 2.0]])
    assert aggregation.geometric_median(twins, 2).isfinite().all()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("bad", LOST)
def test_lost_vectors_are_as_far_away_as_can_be(name, bad):
    """The answer is that for far vectors, all rules but the geometric median to the last bit."""
    rule = getattr(aggregation, name)
    vectors = _vectors(11, 5, 3)
    far, lost = vectors.copy(), vectors.copy()
    far[[2, 7]] = 1e99 * np.array([[1], [1.1]])
    lost[[2, 7], [0, 3]] = bad
    answer = rule(lost, 2)
    assert answer.isfinite().all()
    if name != "geometric_median":
        assert answer.tolist() == rule(far, 2).tolist()
    else:
        rest = np.delete(vectors, [2, 7], axis=0)
        assert answer.tolist() == rule(rest, 0).tolist()


@pytest.mark.parametrize("name", EVERY)
def test_more_lost_vectors_than_faulty_workers_are_refused(name):
    vectors = _vectors(11, 5, 3)
    vectors[[1, 2, 3], 4] = np.nan
    with pytest.raises(ValueError, match=r"vectors holds 3 that are not finite .* faulty is 2: "):
        getattr(aggregation, name)(vectors, 2)


def test_one_value_that_is_no_number_ruins_the_mean_alone():
    vectors = _vectors(11, 3, 4)
    vectors[5, 1] = np.nan
    assert aggregation.mean(vectors, 2).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["trimmed_mean", "coordinate_median", "bulyan"])
def test_answers_lie_among_the_honest_values(name):
    """Of coordinate rules; Bulyan's may lie outside by the width of the honest values."""
    for seed in range(30):
        vectors = _vectors(11, 4, seed)
        honest = vectors[2:]
        vectors[:2] = 10 ** np.random.default_rng(seed).uniform(-1, 12) * vectors[:2]
        answer = getattr(aggregation, name)(vectors, 2).numpy()
        slack = np.ptp(honest, axis=0) if name == "bulyan" else 0
        assert (answer >= honest.min(axis=0) - slack).all()
        assert (answer <= honest.max(axis=0) + slack).all()


def test_trimming_sorts_and_cuts_and_does_not_subtract_the_extremes():
    """The sum without the extremes, computed as a difference, gives 2.667 here in float32."""
    for far in (1e8, 1e30, np.inf, np.nan):
        vectors = torch.tensor([[1.0], [2.0], [3.0], [4.0], [far]], dtype=torch.float32)
        assert aggregation.trimmed_mean(vectors, 1).tolist() == [3.0]


def test_multi_krum_is_a_mean_and_krum_wants_2f_3():
    same = np.ones((7, 2))
    assert aggregation.multi_krum(same, 2).tolist() == [1, 1]
    with pytest.raises(ValueError, match="faulty is 2 of 6 vectors: give at least 7 vectors"):
        aggregation.krum(_vectors(6, 2, 0), 2)


def test_krum_squares_distances_once_and_has_n_f_2_neighbours():
    """On a line, where other scores would choose other vectors: some of 200 lists, seeded."""
    differ = []
    for seed in range(200):
        drawn = _vectors(6, 1, seed)
        apart = np.sort(np.abs(drawn - drawn.T), axis=1)[:, 1:]
        chosen = aggregation.krum(drawn, 1).item()
        assert chosen == drawn[(apart[:, :3] ** 2).sum(axis=1).argmin(), 0]
        others = (apart[:, :3], apart[:, :3] ** 4, apart[:, :4] ** 2)
        differ.append([chosen != drawn[score.sum(axis=1).argmin(), 0] for score in others])
    assert np.any(differ, axis=0).all()


def test_krum_breaks_down_exactly_where_the_chapter_says():
    """One decoy at 1e3 and three more at 1e5 take Krum along, where f is 2; f + 1 cannot."""
    honest = np.linspace(-1, 1, 7)[:, None]
    far = np.array([[1e3], [1e5], [1e5], [1e5], [1e5]])
    assert aggregation.krum(np.concatenate([honest[:6], far]), 2).item() == 1e3
    for seed in range(200):
        draw = np.random.default_rng(seed)
        bad = draw.choice([1e2, 1e3, 1e5], size=(3, 1)) * draw.choice([1, 1, -1], size=(3, 1))
        vectors = np.concatenate([honest, bad, honest[:1]])
        assert abs(aggregation.krum(vectors, 2).item()) <= 1


def test_input_keeps_its_type():
    for dtype in (torch.float32, torch.float64):
        vectors = torch.tensor(_vectors(11, 3, 1), dtype=dtype)
        before = vectors.clone()
        for name in ["mean", *EVERY]:
            assert getattr(aggregation, name)(vectors, 2).dtype == dtype
        assert (vectors == before).all()
    assert aggregation.coordinate_median([[1, 2], [3, 4]], 0).dtype == torch.float64


def test_vectors_in_order_do_not_matter():
    """Of vectors in general position, but for Bulyan, where two nearest neighbours tie."""
    vectors = _vectors(7, 2, 9)
    for name in EVERY[:-1]:
        rule = getattr(aggregation, name)
        for first in combinations(range(7), 3):
            order = [*first, *(i for i in range(7) if i not in first)]
            found = rule(vectors[order], 1).numpy()
            assert found == pytest.approx(rule(vectors, 1).numpy(), abs=1e-8)


@pytest.mark.parametrize(
    "given", [[1.0, 2.0], np.zeros((0, 3)), np.zeros((3, 0)), [[1j, 2], [1, 2]]]
)
def test_what_is_no_list_of_vectors_is_refused(given):
    with pytest.raises(ValueError, match="vectors has shape"):
        aggregation.mean(given, 0)


def test_pulls_that_do_not_cancel_are_told(monkeypatch):
    monkeypatch.setattr(geometric_median, "_STEPS", 1)
    with pytest.raises(ArithmeticError, match="the pulls of 5 vectors still add up to"):
        aggregation.geometric_median(_vectors(5, 3, 0), 1)


def test_the_geometric_median_is_found_at_every_scale():
    """Twins, outliers and far origins, 12 powers of ten apart: 300 lists of vectors, seeded."""
    draw = np.random.default_rng(0)
    for _ in range(300):
        n, d = int(draw.integers(3, 12)), int(draw.integers(1, 6))
        vectors = draw.normal(size=(n, d)) * 10 ** draw.uniform(-6, 6, size=(n, 1))
        for _ in range(int(draw.integers(0, 4))):
            one, other = draw.choice(n, 2, replace=False)
            twin = vectors[other] + 10 ** draw.uniform(-16, -3) * draw.normal(size=d)
            vectors[one] = twin
        vectors += 10 ** draw.uniform(-3, 6) * draw.normal(size=d)
        assert aggregation.geometric_median(vectors, 1).isfinite().all()


def test_the_geometric_median_sees_four_twins_on_a_line():
    """Four of seven points differ by rounding, all lie nearly on a line: found by the search."""
    vectors = np.array(
        [[0.1855, 0.0038], [0.2143, 0.0045], [0.2101, 0.0044]] + 4 * [[0.9431, 0.02]]
    )
    vectors[3:5, 1] += [1e-17, 4e-17]
    found = aggregation.geometric_median(vectors, 2).numpy()
    assert found == pytest.approx(vectors[3], abs=1e-12)

"""Nearest neighbours under Gaussian noise on the training features: probabilities without sampling.

With noise N(0, sigma^2 I) on each of n training points in R^d, a point at distance m sigma from
the test point comes to lie at R sigma, where R is noncentral chi with d degrees of freedom and
noncentrality m: R = ||m e + g|| for a standard normal g. The R_i are independent, so

    P(i is the nearest) = int f_i(r) prod_{j != i} (1 - F_j(r)) dr.

We integrate over r, in whose unit each density is smooth and about one wide, whatever d and m.
R is a 1-Lipschitz function of g, and sqrt(d - 1 + m^2) <= E R <= sqrt(d + m^2); by Gaussian
concentration it leaves [sqrt(d - 1 + m^2) - t, sqrt(d + m^2) + t] with probability at most
2 exp(-t^2 / 2). That bounds the interval and what is lost outside. Inside, Gauss-Legendre panels
integrate the densities to distribution functions at their own nodes, and these to probabilities.
Source: Weber, Xu, Karlas, Zhang and Li (2023), "RAB: Provable Robustness Against Backdoor Attacks",
section on K-NN; they round distances to buckets, the quadrature is ours.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import stats

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.certificates.noncentral_chi import log_density

ERROR = 1e-9
"""A bound on the sum of the absolute errors of a row; for a certificate take it off p_a and add it
to p_b. Measured against 30 digits and more: below 1e-12 in up to 1e4 dimensions; with two points
below 1e-11 in 1e5 and below 1e-10 in 2^20. The sum of each row is checked on every call."""

MOST_DIMENSIONS = 2**20
"""Beyond, the rounding of log densities, which grows with the dimension, could reach `ERROR`."""

_LOST = 1e-14  # probability allowed outside the interval, at each end and each trim
_TRIM = 0.7  # a trim that shortens the interval less is not worth another evaluation
_PANEL = 3.0
_FEWEST = 4
_NODES = 32
"""Longest panel, fewest panels, and nodes in each: what is integrated is a few tenths wide."""

_FARTHEST = 1e5  # beyond, the rounding of m itself would show in the probabilities
_BEYOND = 1e9
_LEAST_UNIT = 1e-140

MOST_CLASSES = 10_000
MOST_BUCKETS = 1_000_000

_MOST_ENTRIES = 2**20
"""Entries of a chunk, which bounds the memory."""


def nearest_neighbour_probabilities(
    train_x: npt.ArrayLike, test_x: npt.ArrayLike, sigma: float
) -> FloatArray:
    """Probability that each training point is the nearest one to each test point; [tests, n].

    `train_x` [n, d] carries noise N(0, sigma^2 I), `test_x` [tests, d] none. The absolute errors of
    a row sum to less than `ERROR`, and so do those of sums over the labels. Raises
    ValueError for shapes that do not fit, more than 2^20 features, entries that are not finite,
    sigma not positive, or so small that a nearest distance exceeds 1e5 sigma.

    Source: Weber et al. (2023), K-NN with K = 1, without buckets.

    In the book: prop-rab-nn.
    """
    distances, dim = _scaled_distances(train_x, test_x, sigma)
    result = np.empty_like(distances)
    for rows, weights, density, below in _quadrature(distances, dim, 1):
        above = 1 - below
        # prod_{j != i}, from both ends: a quotient would break down where 1 - F_i is 0.
        before, after = np.ones_like(above), np.ones_like(above)
        np.cumprod(above[:, :-1], axis=1, out=before[:, 1:])
        after[:, :-1] = np.cumprod(above[:, :0:-1], axis=1)[:, ::-1]
        result[rows] = (density * before * after * weights[:, None]).sum(axis=2)
    return _summing_to_one(result)


def nearest_neighbours_label_probabilities(
    train_x: npt.ArrayLike,
    train_y: npt.ArrayLike,
    test_x: npt.ArrayLike,
    sigma: float,
    neighbours: int = 1,
    classes: int = 2,
) -> FloatArray:
    """Probability of each answer of the vote of the `neighbours` nearest points; [tests, classes].

    `train_y` [n] holds labels 0 ... classes - 1; of equally many votes the smallest label wins.
    Noise, accuracy and errors as for `nearest_neighbour_probabilities`; raises ValueError also for
    labels of another kind and for neighbours outside 1 ... n. For each class the number of its
    points within r is a sum of independent indicators, whose law a recursion over the points
    gives, in O(n k) operations a node.

    Source: Weber et al. (2023), K-NN, without buckets and for any number of classes.

    In the book: prop-rab-knn.
    """
    distances, dim = _scaled_distances(train_x, test_x, sigma)
    labels = arguments.integers("train_y", train_y)
    count = arguments.integer("classes", classes, least=1, most=MOST_CLASSES)
    k = arguments.integer("neighbours", neighbours, least=1)
    if labels.shape != distances.shape[1:]:
        raise ValueError(f"train_y has shape {labels.shape}: give one label per training point")
    if (labels >= count).any():
        raise ValueError(f"train_y holds {labels.max()}: give labels below {count}")
    if k > len(labels):
        raise ValueError(f"neighbours is {k}: give at most the number of points, {len(labels)}")
    result = np.empty((len(distances), count))
    for rows, weights, density, below in _quadrature(distances, dim, k):
        votes = [_counts(density[:, labels == c], below[:, labels == c], k) for c in range(count)]
        for winner in range(count):
            result[rows, winner] = (_wins(votes, winner, k) * weights).sum(axis=1)
    return _summing_to_one(result)


def bucketed_nearest_neighbour_probabilities(
    train_x: npt.ArrayLike,
    test_x: npt.ArrayLike,
    sigma: float,
    buckets: int = 200,
    shrink: float = 1.0,
) -> FloatArray:
    """Round distances to buckets, as RAB's official code does; [tests, n]. NOT sound.

    In units of sigma^2 the squared distances fall into `buckets` - 1 buckets of equal width, from
    the quantile 1e-4 of the chi-squared law of d `shrink` degrees of freedom to the quantile
    1 - 1e-4 of the noncentral one of d degrees and noncentrality d `shrink` / sigma^2, and into
    a last one beyond; what lies before the first is dropped. Of equal ones the smallest index
    counts as the nearest, so that early points gain. Rows are scaled to sum to 1, and are NaN
    where everything is dropped. For comparison only. Raises ValueError as
    `nearest_neighbour_probabilities`, for buckets < 1 and for shrink that is not positive.

    Source: Weber et al. (2023), their code `knn_model.py`; `eval_knn.py` has shrink 0.1 for
    spambase and 1 else.

    In the book: prop-rab-buckets.
    """
    distances, dim = _scaled_distances(train_x, test_x, sigma)
    count = arguments.integer("buckets", buckets, least=1, most=MOST_BUCKETS)
    degrees = dim * arguments.single("shrink", arguments.positive("shrink", shrink))
    first = stats.chi2.ppf(1e-4, degrees)
    last = stats.ncx2.ppf(1 - 1e-4, dim, degrees / float(sigma) ** 2)
    edges = np.linspace(first, last, count)
    # SciPy's noncentral law wants a noncentrality above 0.
    squared = np.maximum(distances**2, 1e-12)
    result = np.empty_like(distances)
    for row, noncentral in enumerate(squared):
        below = stats.ncx2.cdf(edges, dim, noncentral[:, None])
        level = np.diff(below, axis=1, append=1.0)
        reach = np.cumsum(level[:, ::-1], axis=1)[:, ::-1]
        beyond = np.clip(reach - level, 0.0, None)
        before, after = np.ones_like(level), np.ones_like(level)
        np.cumprod(beyond[:-1], axis=0, out=before[1:])
        after[:-1] = np.cumprod(reach[:0:-1], axis=0)[::-1]
        share = (level * before * after).sum(axis=1)
        total = share.sum()
        result[row] = share / total if total > 0 else np.nan
    return result


def _quadrature(
    distances: FloatArray, dim: int, k: int
) -> Iterator[tuple[slice, FloatArray, FloatArray, FloatArray]]:
    """Yield test points in chunks: rows, weights [rows, nodes], f and F [rows, n, nodes].

    All of the `k` nearest points come to lie in the interval but for a probability of `_LOST`.
    """
    n = distances.shape[1]
    nearest = np.partition(distances, k - 1, axis=1)[:, :k]
    reach = math.sqrt(2 * math.log(2 * n / _LOST))
    start = np.maximum(np.sqrt(dim - 1 + nearest.min(axis=1) ** 2) - reach, 0.0)
    stop = np.sqrt(dim + nearest.max(axis=1) ** 2) + reach
    longest = float((stop - start).max(initial=_PANEL))
    step = max(1, int(_MOST_ENTRIES * _PANEL / (n * longest * _NODES)))
    for first in range(0, len(distances), step):
        rows = slice(first, min(first + step, len(distances)))
        own, ends = distances[rows], (start[rows], stop[rows])
        while True:
            r, weights, density, below = _evaluate(*ends, own, dim)
            trimmed = _trimmed(*ends, r, below, k)
            if ((trimmed[1] - trimmed[0]) > _TRIM * (ends[1] - ends[0])).all():
                break
            ends = trimmed
        yield rows, weights, density, below


def _evaluate(
    start: FloatArray, stop: FloatArray, distances: FloatArray, dim: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Nodes and weights [rows, nodes] of panels from start to stop, f and F [rows, n, nodes]."""
    rows, n = distances.shape
    panels = max(_FEWEST, math.ceil(float((stop - start).max()) / _PANEL))
    nodes, weights, integrals = _panel()
    half = ((stop - start) / (2 * panels))[:, None, None]
    r = start[:, None, None] + half * (2 * np.arange(panels)[:, None] + 1 + nodes)
    density = np.exp(log_density(r[:, None], distances[:, :, None, None], dim))
    inside = density @ integrals.T * half[:, None]
    whole = density @ weights * half
    below = np.clip((np.cumsum(whole, axis=2) - whole)[..., None] + inside, 0.0, 1.0)
    return (
        r.reshape(rows, -1),
        np.broadcast_to(half * weights, r.shape).reshape(rows, -1),
        density.reshape(rows, n, -1),
        below.reshape(rows, n, -1),
    )


def _trimmed(
    start: FloatArray, stop: FloatArray, r: FloatArray, below: FloatArray, k: int
) -> tuple[FloatArray, FloatArray]:
    """Ends between which the k-th nearest lies but for `_LOST`: many points make that short.

    With N points within r, P(N >= 1) <= E N, and P(N < k) <= E exp(s (k - 1 - N)) for s > 0.
    """
    early = below.sum(axis=1) < _LOST
    late = np.zeros_like(early)
    for s in (1.0, 4.0, 16.0, 32.0):
        log_bound = s * (k - 1) + np.log1p(below * math.expm1(-s)).sum(axis=1)
        late |= log_bound < math.log(_LOST)
    start = np.maximum(start, np.where(early, r, 0.0).max(axis=1))
    return start, np.minimum(stop, np.where(late, r, np.inf).min(axis=1))


@functools.lru_cache(maxsize=1)
def _panel() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on [-1, 1], and the integrals from -1 to each node.

    The matrix integrates the interpolating polynomial, expanded in Legendre polynomials:
    int_-1^x P_l = (P_{l+1}(x) - P_{l-1}(x)) / (2l + 1).
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    values = np.polynomial.legendre.legvander(nodes, _NODES)
    degrees = np.arange(1, _NODES)
    integrals = (values[:, 2:] - values[:, :-2]) / (2 * degrees + 1)
    integrals = np.concatenate([nodes[:, None] + 1, integrals], axis=1)
    norms = (2 * np.arange(_NODES) + 1) / 2
    return nodes, weights, (integrals * norms) @ values[:, :-1].T * weights


def _counts(density: FloatArray, below: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Laws of the number of points of one class within r, and of the same with one of them at r.

    Coefficients up to x^k of prod_i (1 - F_i + F_i x) and of its sum over i with the factor f_i x
    in place of the i-th; both [k + 1, rows, nodes].
    """
    within = np.zeros((k + 1, density.shape[0], density.shape[2]))
    within[0] = 1
    at = np.zeros_like(within)
    for i in range(density.shape[1]):
        f, inside, outside = density[:, i], below[:, i], 1 - below[:, i]
        at[1:] = at[1:] * outside + at[:-1] * inside + within[:-1] * f
        at[0] *= outside
        within[1:] = within[1:] * outside + within[:-1] * inside
        within[0] *= outside
    return within, at


def _wins(votes: list[tuple[FloatArray, FloatArray]], winner: int, k: int) -> FloatArray:
    """Density of: the k-th nearest point is at r and the class `winner` has the vote."""
    within, at = votes[winner]
    total = np.zeros(within.shape[1:])
    for ours in range(1, k + 1):
        rest, rest_at = np.zeros_like(within), np.zeros_like(within)
        rest[0] = 1
        for c, (others, others_at) in enumerate(votes):
            if c != winner:
                most = min(ours if c > winner else ours - 1, k - ours)
                fresh, fresh_at = np.zeros_like(rest), np.zeros_like(rest)
                for theirs in range(most + 1):
                    fresh[theirs:] += rest[: k + 1 - theirs] * others[theirs]
                    fresh_at[theirs:] += rest_at[: k + 1 - theirs] * others[theirs]
                    fresh_at[theirs:] += rest[: k + 1 - theirs] * others_at[theirs]
                rest, rest_at = fresh, fresh_at
        total += within[ours] * rest_at[k - ours] + at[ours] * rest[k - ours]
    return total


def _summing_to_one(probabilities: FloatArray) -> FloatArray:
    """Return the probabilities, whose sums tell whether the panels were fine enough."""
    error = np.abs(probabilities.sum(axis=1) - 1).max(initial=0.0)
    if not error <= ERROR / 10:  # NaN too
        raise RuntimeError(f"the quadrature errs by {error:.1e}: report these points and sigma")
    return probabilities


def _scaled_distances(
    train_x: npt.ArrayLike, test_x: npt.ArrayLike, sigma: float
) -> tuple[FloatArray, int]:
    train, test = arguments.numbers("train_x", train_x), arguments.numbers("test_x", test_x)
    scale = arguments.single("sigma", arguments.positive("sigma", sigma))
    if train.ndim != 2 or not train.size or test.ndim != 2 or test.shape[1] != train.shape[1]:
        raise ValueError(
            f"train_x has shape {train.shape} and test_x {test.shape}: give [n, d] and [tests, d]"
        )
    if train.shape[1] > MOST_DIMENSIONS:
        raise ValueError(
            f"train_x has {train.shape[1]} features: give at most {MOST_DIMENSIONS}, for which the "
            "stated error was measured"
        )
    for name, values in (("train_x", train), ("test_x", test)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds an infinite number: give finite numbers")
    if test.size:
        # Points beyond have no probability that float64 could tell from 0, wherever they are.
        reach = _BEYOND * scale
        train = np.clip(train, test.min(axis=0) - reach, test.max(axis=0) + reach)
    # A power of two changes no digit and keeps the squares from overflowing.
    exponent = -math.frexp(max(np.abs(train).max(), np.abs(test).max(initial=0.0), scale))[1]
    train, test = np.ldexp(train, exponent), np.ldexp(test, exponent)
    unit = math.ldexp(scale, exponent)
    if unit < _LEAST_UNIT:
        raise ValueError(
            f"sigma is {sigma}: give more than {_LEAST_UNIT} of the largest coordinate, below "
            "which float64 does not hold the squares of distances"
        )
    distances = _distances(test, train) / unit
    nearest = distances.min(axis=1).max(initial=0.0)
    if nearest > _FARTHEST:
        raise ValueError(
            f"sigma is {sigma}: give at least {nearest / _FARTHEST:.2g} times as much, for a test "
            "point whose nearest neighbour is further away than 1e5 sigma"
        )
    return np.minimum(distances, _BEYOND), train.shape[1]


def _distances(test: FloatArray, train: FloatArray) -> FloatArray:
    """Euclidean distances [tests, n], to a relative 3e-15.

    NumPy adds what lies side by side in pairs. One by one, as in SciPy's `cdist`, their rounding
    grows with the dimension: in 1e5 of them, 9e4 sigma away, it could move a probability by 1e-7.
    """
    result = np.empty((len(test), len(train)))
    train = np.ascontiguousarray(train)
    step = max(1, _MOST_ENTRIES // train.shape[1])
    for row, point in zip(result, test, strict=True):
        for first in range(0, len(train), step):
            rows = slice(first, first + step)
            row[rows] = np.square(train[rows] - point).sum(axis=1)
    return np.sqrt(result)

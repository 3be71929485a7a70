"""The best margin with which a smoothed hypothesis on the line fits given labels.

For labels s_i = ±1 at points x_i the best margin max_f min_i s_i (g(x_i) - 1/2) over all
measurable f with values in [0, 1] equals, by duality, the least of

    1/2 ∫ |Σ_i w_i s_i φ_σ(z - x_i)| dz

over weights w >= 0 with sum 1. Every f gives a lower bound and every w an upper one. A linear
programme on a grid finds both; then the weights are improved by Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.special import ndtr

from rs_lib.arguments import FloatArray, numbers, positive, reals, shown, single

ERROR = 1e-7
"""How far `feasible_margin` may lie below the truth."""

_STEPS = np.linspace(-8, 8, 81)
_ROUNDS = 3
_NEWTON = 12
_NEGLIGIBLE = 1e-12
_ROUNDING = 1e-13
_WIDEST = 1e100
_LARGEST = 1e300


@dataclass(frozen=True)
class Fit:
    """A hypothesis on the line and what it attains.

    `edges` [M] cut the line into M + 1 cells, on which the hypothesis has the values `values`
    [M + 1]. It fits all labels with the margin `lower`; `weights` [N], in the order of the points,
    prove that no hypothesis has a margin above `upper`.
    """

    lower: float
    upper: float
    edges: FloatArray
    values: FloatArray
    weights: FloatArray

    def smoothed(self, x: npt.ArrayLike, sigma: float) -> FloatArray:
        """Return g(x), the probability that the hypothesis says 1 of x plus Gaussian noise."""
        places, sigma = numbers("x", x), single("sigma", positive("sigma", sigma))
        return (_masses(places.ravel(), sigma, self.edges) @ self.values).reshape(places.shape)


def feasible_margin(points: npt.ArrayLike, labels: npt.ArrayLike, sigma: float) -> float:
    """Return the best margin min_i |g(x_i) - 1/2| of a hypothesis on the line that fits all labels.

    The value is attained by a hypothesis, and the truth lies at most 1e-7 above it, mostly far
    less: `best_fit` gives both bounds and their witnesses. `points` [N] are different numbers,
    `labels` [N] are 0 or 1, and `sigma` is the standard deviation of the noise, in the same unit.
    Raises ValueError for bad input, ArithmeticError if the error cannot be made that small.
    """
    fit = best_fit(points, labels, sigma)
    if fit.upper - fit.lower > ERROR:
        raise ArithmeticError(
            f"the margin is only known to lie between {fit.lower} and {fit.upper}: "
            "give fewer points, or points further apart"
        )
    return max(fit.lower, 0.0)  # which the constant 1/2 attains


def best_fit(points: npt.ArrayLike, labels: npt.ArrayLike, sigma: float) -> Fit:
    """Return a hypothesis with the best margin, and bounds on the best margin.

    A linear programme on a grid gives a hypothesis and weights. Newton's method improves the
    weights, and the grid is cut where their integrand changes its sign, for there the best
    hypothesis steps. Both bounds are evaluated from their witnesses, so they hold whatever the
    solvers' tolerance; 1e-13 is set aside for rounding. No change of sign is missed: Descartes'
    rule for exponentials says how many there can be, and weights with fewer prove nothing.
    Raises ValueError for points that are not finite and different, other labels than 0 and 1,
    lists of different length, or a sigma that is not positive.
    """
    places, signs, scale = _checked(points, labels, sigma)
    if (signs == signs[0]).all():
        uniform = np.full(len(signs), 1 / len(signs))
        return Fit(0.5, 0.5, np.zeros(0), np.array([(signs[0] + 1) / 2]), uniform)
    grid = np.unique(places[:, None] + scale * _STEPS)
    best: Fit | None = None
    for _ in range(_ROUNDS):
        masses = _masses(places, scale, grid)
        values, weights = _solved(masses, signs)
        fit = Fit(_attained(masses, values, signs), 0.5, grid, values, weights)
        best = _better(best or fit, fit)
        for _ in range(_NEWTON):
            fit, slopes = _from_weights(places, signs, scale, weights, grid)
            best = _better(best, fit)
            if not len(slopes) or fit.upper - fit.lower < 4 * _ROUNDING:
                break
            weights = _improved(places, signs, scale, fit, slopes)
        if best.upper - best.lower < ERROR / 100:
            break
        grid = np.union1d(grid, _sign_changes(places, best.weights * signs, scale, grid))
    assert best is not None
    kept = np.flatnonzero(np.diff(best.values))
    values = np.append(best.values[kept], best.values[-1])
    return Fit(best.lower, best.upper, best.edges[kept], values, best.weights)


def _better(one: Fit, other: Fit) -> Fit:
    """Return the better hypothesis of the two with the better weights of the two.

    Of two that are equal up to rounding `other` is taken, which has no superfluous step.
    """
    hypothesis = one if one.lower > other.lower + 10 * _ROUNDING else other
    proof = one if one.upper <= other.upper else other
    return Fit(hypothesis.lower, proof.upper, hypothesis.edges, hypothesis.values, proof.weights)


def _attained(masses: FloatArray, values: FloatArray, signs: FloatArray) -> float:
    return float((signs * (masses @ values - 0.5)).min()) - _ROUNDING


def _from_weights(
    places: FloatArray, signs: FloatArray, sigma: float, weights: FloatArray, grid: FloatArray
) -> tuple[Fit, FloatArray]:
    """Return the hypothesis 1{h > 0} with h = Σ_i w_i s_i φ_i, its bounds, and |h'| at its steps.

    No slopes are returned where the steps are not known for sure.
    """
    signed = weights * signs
    steps = _sign_changes(places, signed, sigma, grid)
    masses = _masses(places, sigma, steps)
    balance = signed @ masses
    values = (balance > 0).astype(np.float64)
    lower = _attained(masses, values, signs)
    used = np.sign(signed[np.argsort(places)])
    used = used[used != 0]
    if len(steps) < int((used[1:] != used[:-1]).sum()):
        return Fit(lower, 0.5, steps, values, weights), np.zeros(0)
    upper = min(0.5, float(np.abs(balance).sum() / 2) + _ROUNDING)
    away = (steps[:, None] - places) / sigma
    slopes = np.abs((away * np.exp(-(away**2) / 2)) @ signed) / (sigma**2 * np.sqrt(2 * np.pi))
    return Fit(lower, upper, steps, values, weights), slopes


def _improved(
    places: FloatArray, signs: FloatArray, sigma: float, fit: Fit, slopes: FloatArray
) -> FloatArray:
    """Return weights after a step of Newton's method towards equal margins where weights are > 0.

    The dual is convex in w. Its gradient is s_i (g(x_i) - 1/2) for the hypothesis of
    `_from_weights`, whose steps move by φ_i over the slope there as w_i grows.
    """
    used = fit.weights > 0
    own, inside = signs[used], places[used]
    margins = own * (_masses(inside, sigma, fit.edges) @ fit.values - 0.5)
    away = (fit.edges[:, None] - inside) / sigma
    density = own * np.exp(-(away**2) / 2) / (sigma * np.sqrt(2 * np.pi))
    size = len(own)
    system = np.zeros((size + 1, size + 1))
    system[:size, :size] = density.T @ (density / slopes[:, None])
    system[:size, size] = -1.0
    system[size, :size] = 1.0
    change = np.linalg.lstsq(system, np.append(-margins, 0.0), rcond=None)[0][:size]
    weights = fit.weights.copy()
    falling = change < 0
    length = (0.9 * weights[used][falling] / -change[falling]).min(initial=1.0)
    weights[used] += length * change
    return np.asarray(weights / weights.sum())


def _checked(
    points: npt.ArrayLike, labels: npt.ArrayLike, sigma: float
) -> tuple[FloatArray, FloatArray, float]:
    places, marks = numbers("points", points), numbers("labels", labels)
    if places.ndim != 1 or places.shape != marks.shape or not len(places):
        raise ValueError(
            f"points has shape {places.shape} and labels {marks.shape}: give two equally long lists"
        )
    if not np.isfinite(places).all():
        raise ValueError(f"points is {places[~np.isfinite(places)][0]}: give finite numbers")
    if len(np.unique(places)) < len(places):
        raise ValueError("points holds a number twice: give different points")
    wrong = ~np.isin(marks, (0, 1))
    if wrong.any():
        raise ValueError(f"labels is {marks[wrong][0]}: give 0 or 1")
    scale = single("sigma", positive("sigma", sigma, rounding="up"))
    # As Python's numbers, which compare without rounding.
    given = reals("points", points).astype(object)
    moved = np.asarray(places.astype(object) != given, dtype=np.bool_)
    if (np.spacing(np.abs(places[moved])) > _ROUNDING / 4 * scale).any():
        raise ValueError(
            f"points is {shown(points)}: give points that float64 holds, such as their distances "
            "from the first one"
        )
    if not max(scale, np.abs(places).max()) < _LARGEST:
        raise ValueError(f"points or sigma exceed {_LARGEST}: give them in a larger unit")
    with np.errstate(over="ignore"):
        span = float(np.ptp(places) / np.float64(scale))
    if not span < _WIDEST:
        raise ValueError(f"points span {span:.3g} sigma: give points within {_WIDEST:g} sigma")
    return places, 2 * marks - 1, scale


def _masses(places: FloatArray, sigma: float, edges: FloatArray) -> FloatArray:
    """Return the mass of each cell under the noise around each place, [places, cells]."""
    return np.diff(ndtr((edges - places[:, None]) / sigma), axis=1, prepend=0, append=1)


def _solved(masses: FloatArray, signs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solve the linear programme; return the values on the cells and the dual's weights.

    The values are improved: those strictly between 0 and 1 are solved for anew, so that the
    margins that the solver found equal are equal to the last digits.
    """
    points, cells = masses.shape
    found = linprog(
        np.append(np.zeros(cells), -1.0),
        A_ub=np.hstack([-signs[:, None] * masses, np.ones((points, 1))]),
        b_ub=-signs / 2,
        bounds=[*[(0, 1)] * cells, (None, None)],
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not found.success:
        raise ArithmeticError(f"the linear programme was not solved: {found.message}")
    weights = np.clip(-found.ineqlin.marginals, 0, None)
    values: FloatArray = np.clip(np.asarray(found.x)[:-1], 0, 1)
    # The solver ignores coefficients below 1e-9. Such cells get the label of the nearest point.
    small = masses.max(axis=0) < 1e-8
    values[small] = (signs[masses[:, small].argmax(axis=0)] + 1) / 2
    between, equal = (values > 0) & (values < 1), weights > 0
    movable = signs[equal, None] * masses[equal][:, between]
    margins = signs[equal] * (masses[equal] @ values - 0.5)
    system = np.hstack([movable, -np.ones((len(margins), 1))])
    change = np.linalg.lstsq(system, margins.mean() - margins, rcond=None)[0][:-1]
    again = values.copy()
    again[between] = np.clip(values[between] + change, 0, 1)
    if _attained(masses, again, signs) > _attained(masses, values, signs):
        values = again
    weights[weights < _NEGLIGIBLE * weights.max()] = 0
    return values, np.asarray(weights / weights.sum())


def _sign_changes(
    places: FloatArray, signed: FloatArray, sigma: float, edges: FloatArray
) -> FloatArray:
    """Return where Σ_i signed_i φ_σ(z - x_i) changes its sign, as far as `edges` can tell."""

    def scaled(z: FloatArray) -> FloatArray:
        """Return the sum over its largest possible term, which underflows nowhere."""
        exponents = -(((z[:, None] - places) / sigma) ** 2) / 2
        exponents = exponents - exponents[:, signed != 0].max(axis=1, keepdims=True)
        return np.asarray(np.exp(np.minimum(exponents, 0)) @ signed)

    grid = np.union1d(edges, (edges[1:] + edges[:-1]) / 2)
    known = np.sign(scaled(grid))
    grid, known = grid[known != 0], known[known != 0]
    changes = np.flatnonzero(known[1:] != known[:-1])
    low, high, before = grid[changes], grid[changes + 1], known[changes]
    for _ in range(60):
        middle = (low + high) / 2
        same = np.sign(scaled(middle)) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.asarray((low + high) / 2)

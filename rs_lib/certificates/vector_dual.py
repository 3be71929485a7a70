"""The least projection of a smoothed unit vector, given its mean: the dual programme, in numbers.

Let |f| = 1 and E f(x + Z) = g, seen along a unit vector u, and let the noise be shifted by r sigma.
With the density ratio L = exp(r Z - r^2 / 2) of the shifted noise and multipliers alpha u + beta v
for the two moments <g, u> and <g, v> = |g_orth|, v the direction of the rest of g,

    min E_Q <f, u>  >=  alpha <g, u> + beta |g_orth| - E |L u - alpha u - beta v|

for every alpha and beta, since <f, L u - alpha u - beta v> >= -|...|. The supremum W(r) is attained
by f = (alpha - L, beta) / sqrt((L - alpha)^2 + beta^2), whose two means are the conditions for a
maximum. So a pair of multipliers found in any way certifies, and only the expectation must be
bounded. E sqrt(..) grows with r, as (L_r) is a martingale and the root convex in L: W falls in r.
W is convex in g and even in g_orth, and alpha is its slope in <g, u>: with alpha >= 0 lower bounds
of <g, u> and |g_orth| serve as well as the values.

The expectation is a sum over equidistant nodes after z = z0 + d sinh(t), where alpha + i beta =
exp(r z0 - r^2 / 2 + i theta) and d = min(theta / r, 1): the integrand's zeros lie above z0, and all
of them at |Im t| >= pi / 2. In the strip |Im t| < b < pi / 4 its integral is at most

    M = e^(d^2 sin^2 b / 2) / sqrt(c) (2 |lambda| e^(z0^2 s) + e^((z0 - r)^2 s)),

c = cos 2b, s = sin^2 b / 2c, and the sum of step h errs by at most 2 M / (exp(2 pi b / h) - 1).

For a small r, and a mean near the surface of the ball, z0 lies far beyond the noises and theta / r
above 1. Then the nodes are equidistant in z itself: the integrand has no zero where |Im z| < b
< theta / r, and its integral is at most M = e^(b^2 / 2) (2 |lambda| + 1).
Sources: the dual is ours; the error of the sum: Trefethen and Weideman (2014), Theorem 5.1.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib.arguments import FloatArray

_UNIT = 2.0**-53
_NODES = 256
_REACH = 10.0
"""The nodes go beyond both noises by so many standard deviations: 1e-22 is left out."""

_LEFT_OUT = 1e-20
_STRIPS = (0.2, 0.35, 0.5, 0.62, 0.7)
_ROUNDS = 40
_WIDEST = 3.0
_FARTHEST = 25.0
_LONGEST = 30.0
_NEAR = 0.99
"""Largest angle, distance and log |lambda| of Newton's method, so that exp(r z) does not overflow;
length of a mean from which on it starts as near the surface."""


class Point(NamedTuple):
    """Multipliers exp(r z0 - r^2 / 2 + i r tau) and the distance r in units of sigma; each [n].

    The angle r tau stays below pi.
    """

    z0: FloatArray
    tau: FloatArray
    r: FloatArray

    @property
    def size(self) -> FloatArray:
        """Length of the multiplier, |lambda|."""
        return np.exp(self.r * self.z0 - self.r**2 / 2)

    @property
    def multipliers(self) -> tuple[FloatArray, FloatArray]:
        """alpha and beta."""
        angle = self.r * self.tau
        return self.size * np.cos(angle), self.size * np.sin(angle)

    def upright(self) -> "Point":
        """Return the point, with alpha = 0 in place of a negative alpha."""
        angle = self.r * self.tau
        turned = np.sin(np.clip(angle, np.pi / 2, _WIDEST))
        return Point(
            np.where(angle > np.pi / 2, self.z0 + np.log(turned) / self.r, self.z0),
            np.where(angle > np.pi / 2, np.pi / 2 / self.r * (1 - 2 * _UNIT), self.tau),
            self.r,
        )


class _Nodes(NamedTuple):
    """Nodes z [n, k] of the sum, their weights including the density, the ratio L; step [n].

    `plain` [n]: whether they are equidistant themselves.
    """

    z: FloatArray
    weight: FloatArray
    ratio: FloatArray
    step: FloatArray
    scale: FloatArray
    plain: npt.NDArray[np.bool_]


def _nodes(point: Point) -> _Nodes:
    plain = (point.tau >= 1) & (np.abs(point.z0 - point.r / 2) > point.r / 2 + _REACH / 2)
    scale = np.minimum(point.tau, 1.0)
    first = np.where(plain, -_REACH, np.minimum(-_REACH, point.z0 - 1))
    last = np.where(plain, point.r + _REACH, np.maximum(point.r + _REACH, point.z0 + 1))
    left = np.where(plain, -first, np.arcsinh((point.z0 - first) / scale))
    right = np.where(plain, last, np.arcsinh((last - point.z0) / scale))
    # Few bits, so that the nodes in t are exact.
    step = np.ceil((left + right) / (_NODES - 2) * 2**20) / 2**20
    before = np.ceil(left / step)
    t = (np.arange(_NODES) - before[:, None]) * step[:, None]
    bent = np.where(plain[:, None], 0.0, t)
    z = np.where(plain[:, None], t, point.z0[:, None] + scale[:, None] * np.sinh(bent))
    r = point.r[:, None]
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    weight = (step * np.where(plain, 1.0, scale))[:, None] * np.cosh(bent) * density
    return _Nodes(z, weight, np.exp(r * z - r * r / 2), step, scale, plain)


def _strip_error(point: Point, nodes: _Nodes) -> FloatArray:
    """Bound on the error of the sum, [n]: the best of a few strips."""
    best = np.full(len(point.r), np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for b in _STRIPS:
            c, square = np.cos(2 * b), np.sin(b) ** 2
            pull = square / (2 * c)
            size = 2 * point.size * np.exp(pull * point.z0**2)
            size = size + np.exp(pull * (point.z0 - point.r) ** 2)
            integral = np.exp(nodes.scale**2 * square / 2) / np.sqrt(c) * size
            error = 2 * integral / np.expm1(2 * np.pi * b / nodes.step)
            best = np.fmin(best, error)
    # Where the nodes are equidistant in z: b = 7/8 is below theta / r >= 1.
    size = np.exp((7 / 8) ** 2 / 2) * (2 * point.size + 1)
    plain = 2 * size / np.expm1(2 * np.pi * (7 / 8) / nodes.step)
    return np.where(nodes.plain, plain, best)


def bound(point: Point, inner: FloatArray, orthogonal: FloatArray) -> FloatArray:
    """Lower bound of W(r) for <g, u> >= inner and |g_orth| >= orthogonal, rounded down; each [n].

    Valid for every `point`, made `upright` first. The rounding of a node counts by the slope of
    the integrand, at most L (|z| + r) times the weight, that of the exponents by their size.

    In the book: eq-se-dual.
    """
    point = point.upright()
    alpha, beta = point.multipliers
    length = np.hypot(alpha, beta)
    nodes = _nodes(point)
    r, ratio = point.r[:, None], nodes.ratio
    away = np.hypot(ratio - alpha[:, None], beta[:, None])
    # sqrt(..) - |lambda| without the difference of large numbers.
    excess = ratio * ((ratio - 2 * alpha[:, None]) / (away + length[:, None]))
    total = (nodes.weight * excess).sum(axis=1)
    far = np.abs(nodes.z)
    units = 80 + (far + r) * (12 * far + 10 * np.abs(point.z0)[:, None] + 2 * r)
    slack = (nodes.weight * ratio * units).sum(axis=1) * _UNIT
    slack += 8 * _UNIT * (1 + 2 * length) + _LEFT_OUT * (1 + length)
    return np.asarray(
        alpha * inner
        + beta * orthogonal
        - length
        - total
        - slack * 1.01
        - _strip_error(point, nodes)
    )


def _residuals(
    point: Point, inner: FloatArray, orthogonal: FloatArray, offset: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """How far a point is from the conditions, [n, 3], and their derivatives, [n, 3, 3].

    The conditions: the two means of f are given, and W = offset. The unknowns: z0, log tau, r.
    """
    alpha, beta = (part[:, None] for part in point.multipliers)
    nodes, r = _nodes(point), point.r[:, None]
    weight, ratio = nodes.weight, nodes.ratio
    x = ratio - alpha
    away = np.hypot(x, beta)
    inverse = weight / away
    along, across = (inverse * -x).sum(axis=1), (inverse * beta).sum(axis=1)
    flow = ratio * (nodes.z - r)  # dL/dr
    down, side = beta / away, x / away
    aa, ab, bb = ((inverse * v).sum(axis=1) for v in (down * down, side * down, side * side))
    ar, br = ((inverse * v * flow).sum(axis=1) for v in (-down * down, -side * down))
    a, b = alpha[:, 0], beta[:, 0]
    # By the logarithm of |lambda|, and by its angle.
    u_size, u_angle = aa * a + ab * b, -aa * b + ab * a
    v_size, v_angle = ab * a + bb * b, -ab * b + bb * a
    tilt = point.z0 - point.r
    angle = point.r * point.tau
    length = np.hypot(a, b)
    value = a * inner + b * orthogonal - length
    value -= (weight * ratio * ((ratio - 2 * alpha) / (away + length[:, None]))).sum(axis=1)
    rate = -(inverse * x * flow).sum(axis=1)
    gap_u, gap_v = inner - along, orthogonal - across
    w_size, w_angle = gap_u * a + gap_v * b, -gap_u * b + gap_v * a
    rows = [
        [size * point.r, turn * angle, by_r + size * tilt + turn * point.tau]
        for size, turn, by_r in (
            (u_size, u_angle, ar),
            (v_size, v_angle, br),
            (w_size, w_angle, rate),
        )
    ]
    gaps = np.stack([gap_u, gap_v, offset - value], axis=1)
    return gaps, np.moveaxis(np.array(rows), 2, 0)


def solve(
    inner: FloatArray, orthogonal: FloatArray, offset: FloatArray, start: FloatArray
) -> Point:
    """Multipliers and distance at which W = offset, by Newton's method; each [n].

    `start` guesses the distance. No promise that it converges: `bound` decides what it is worth.

    In the book: eq-se-worst.
    """
    point = _start(inner, orthogonal, offset, np.minimum(start, _FARTHEST))
    active = np.arange(len(inner))
    values = np.stack(point, axis=1)
    for _ in range(_ROUNDS):
        if active.size == 0:
            break
        current = Point(*values[active].T)
        given = (inner[active], orthogonal[active], offset[active])
        gaps, slopes = _residuals(current, *given)
        step = _solved(slopes, gaps)
        size = np.abs(
            step / np.stack([np.ones_like(current.r), np.ones_like(current.r), current.r], 1)
        )
        damped = step / np.maximum(1.0, size.max(axis=1) / 0.7)[:, None]
        moved = values[active] + damped
        moved[:, 2] = np.clip(moved[:, 2], current.r * 0.3, _FARTHEST)
        moved[:, 0] = np.clip(moved[:, 0], -20.0, np.maximum(20.0, _LONGEST / moved[:, 2]))
        turned = np.minimum(current.tau * np.exp(damped[:, 1]), _WIDEST / moved[:, 2])
        moved[:, 1] = np.maximum(turned, 1e-14)
        values[active] = moved
        active = active[size.max(axis=1) > 1e-9]
    return Point(*values.T)


def _start(
    inner: FloatArray, orthogonal: FloatArray, offset: FloatArray, guess: FloatArray
) -> Point:
    """Return where Newton's method starts.

    Near the surface f is almost constant: it is the direction of lambda - L, L = 1 but for
    fluctuations of variance s^2 = exp(r^2) - 1. To first order their part across g makes |g| =
    1 - s^2 sin^2 / (2 |lambda - 1|^2), sin that of the angle of g and u, and W = <g, u> -
    s sin sqrt(2 (1 - |g|)), which settles s and then |lambda - 1|.
    """
    lean = orthogonal / np.sqrt(np.maximum(1 - orthogonal**2, 1e-12))
    tau = np.clip(0.6 * lean, 1e-9, 1 / guess)
    length = np.hypot(inner, orthogonal)
    near = (length > _NEAR) & (orthogonal > 0)
    short = np.sqrt(2 * np.maximum(1 - length, 1e-12))
    across = np.where(near, orthogonal / np.where(near, length, 1.0), 1.0)
    spread = np.clip((inner - offset) / (across * short), 1e-12, 1e12)
    r = np.clip(np.sqrt(np.log1p(spread**2)), 1e-12, _FARTHEST)
    away = spread * across / short
    alpha = 1 + away * inner / np.where(near, length, 1.0)
    beta = away * across
    angle = np.clip(np.arctan2(beta, alpha), 1e-14, _WIDEST)
    height = np.log(np.hypot(alpha, beta)) / r + r / 2
    return Point(
        np.where(near, height, special.ndtri((1 + inner) / 2)),
        np.where(near, angle / r, tau),
        np.where(near, r, guess),
    )


def _solved(slopes: FloatArray, gaps: FloatArray) -> FloatArray:
    """Solve 3 x 3 systems [n, 3, 3] for [n, 3]; no step where one is singular."""
    with np.errstate(all="ignore"):
        a, b, c = np.moveaxis(slopes, 2, 0)
        whole = np.einsum("ni,ni->n", a, np.cross(b, c))
        parts = [
            np.einsum("ni,ni->n", gaps, np.cross(b, c)),
            np.einsum("ni,ni->n", a, np.cross(gaps, c)),
            np.einsum("ni,ni->n", a, np.cross(b, gaps)),
        ]
        step = np.stack(parts, axis=1) / whole[:, None]
    return np.where(np.isfinite(step), step, 0.0)

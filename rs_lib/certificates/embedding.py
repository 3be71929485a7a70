"""Smoothed embeddings: how far an input may move before another prototype is nearer.

Let |f| = 1 and g = E f(x + Z) under Gaussian noise N(0, sigma^2 I). The prototype c is nearer to g
than c' if and only if <g, u> > b, with u = (c - c') / |c - c'| and
b = (|c|^2 - |c'|^2) / (2 |c - c'|): |g|^2 cancels. What keeps <g, u> above b depends on what is
known of f:

  Lipschitz  <g, u> alone, by the largest slope of g, sqrt(2 / pi) / sigma;
  mean       the same, tight: the score <f, u> in [-1, 1] has its mean (`confidence.mean_lower`);
  vector     also |g_orth|, the length of the rest of g, tight: that rest needs length that <f, u>
             then lacks (`vector_dual`);
  law        the law of <f, u>, tight (`confidence.lower`).

Each is at least the one before it. The mean radius exceeds the Lipschitz one because Phi^-1 of
(1 + s) / 2 has slope sqrt(pi / 2) or more; W with beta = 0 is the mean's bound; and the scores that
attain the law's bound can be given a rest of the right mean, so no bound from g alone is larger.
Sources: Pautov et al. (2022) for the first; the others are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray, common_shape, shown
from rs_lib.certificates import confidence, vector_dual
from rs_lib.certificates.vector_dual import Point

_UNIT = 2.0**-53
# SciPy's erfinv errs by at most 3.1 units of 2^-53, ndtri by 8, against 200-bit balls.
_QUANTILE = 16 * _UNIT

_LEAST = 2.0**-1074  # what a product may lose that is denormal
_TINY = 16 * _LEAST  # what quantiles of denormal numbers lose

_BEYOND = 1e-9
"""By so much more than 1 a length may be by rounding; what exceeds 1 is not used."""

_INSIDE = (1 - 1e-6, 0.9999, 0.999, 0.99, 0.9)
"""Lengths of means for which multipliers are sought, each where Newton's method missed the last.

Multipliers grow without bound at the surface of the ball; those of a shorter mean certify, too.
"""

_LARGEST_BLOCK = 2**8
_BACKWARD = 50


def _scores(
    inner: npt.ArrayLike, offset: npt.ArrayLike, sigma: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return inner down, offset up and sigma down, broadcast."""
    mean = arguments.numbers("inner", inner, rounding="down")
    outside = (mean < -1) | (arguments.numbers("inner", inner, rounding="up") > 1)
    if outside.any():
        worst = arguments.reals("inner", inner)[outside].flat[0]
        raise ValueError(
            f"inner is {shown(worst)}: give <g, u> in [-1, 1], for the mean g of unit "
            "vectors and a unit vector u"
        )
    limit = _limit(offset)
    scale = arguments.positive("sigma", sigma, rounding="down")
    common_shape(inner=mean.shape, offset=limit.shape, sigma=scale.shape)
    first, second, third = np.broadcast_arrays(mean, limit, scale)
    return first, second, third


def _limit(offset: npt.ArrayLike) -> FloatArray:
    limit = arguments.numbers("offset", offset, rounding="up")
    if not np.isfinite(limit).all():
        raise ValueError(f"offset is {limit[~np.isfinite(limit)].flat[0]}: give a finite number")
    return limit


def radius_lipschitz(
    inner: npt.ArrayLike, offset: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """l2 radius (inner - offset) sigma sqrt(pi / 2), rounded down; 0 where inner <= offset.

    `inner` is <g, u> or a lower bound of it, `offset` is b, `sigma` the noise; they broadcast, and
    the radius has the unit of `sigma`. g has slopes of at most sqrt(2 / pi) / sigma. Raises
    ValueError for inner outside [-1, 1], an infinite offset, or sigma not positive.

    Source: Pautov et al. (2022), first version of their code.

    In the book: thm-se-lipschitz.
    """
    mean, limit, scale = _scores(inner, offset, sigma)
    with np.errstate(over="ignore"):
        length = np.nextafter((mean - limit) * np.sqrt(np.pi / 2) * (1 - 8 * _UNIT), 0.0)
        rounded = np.nextafter(length * scale, 0.0)
    return np.where(mean > limit, np.minimum(rounded, np.finfo(float).max), 0.0)[()]


def _quantile(score: FloatArray) -> FloatArray:
    """Phi^-1((1 + score) / 2) for a score in [-1, 1], precise at 0 and at both ends."""
    size = np.abs(score)
    middle = np.sqrt(2.0) * special.erfinv(np.minimum(size, 0.5))
    # 1 - size is exact from 1/2 on.
    return np.copysign(np.where(size <= 0.5, middle, -special.ndtri((1 - size) / 2)), score)


def _mean_steps(mean: FloatArray, limit: FloatArray) -> FloatArray:
    """Radius from the mean in units of sigma, rounded down."""
    first, second = _quantile(mean), _quantile(np.clip(limit, -1.0, 1.0))
    with np.errstate(invalid="ignore"):  # infinite quantiles: settled below
        gap = (first - second) - _QUANTILE * (np.abs(first) + np.abs(second)) - _TINY
    certain = (mean > limit) & (np.isinf(first) | np.isinf(second))
    return np.where(certain, np.inf, np.where((mean > limit) & (gap > 0), gap, 0.0))


def _scaled(steps: FloatArray, scale: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        rounded = np.maximum(np.nextafter(steps * scale, 0.0), 0.0)
    return np.where(np.isinf(steps), np.inf, np.minimum(rounded, np.finfo(float).max))[()]


def radius_mean(inner: npt.ArrayLike, offset: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    """l2 radius sigma (Phi^-1((1 + inner) / 2) - Phi^-1((1 + offset) / 2)), rounded down.

    Tight given <g, u> alone: f in {-u, u}, cut by a half-space, attains it. It is 0 where inner <=
    offset, and infinite for inner = 1, or for an offset of -1 or less, below inner. Arguments and
    errors: as for `radius_lipschitz`.

    Source: ours, after Kumar et al. (2020), as coded.

    In the book: thm-se-mean, eq-se-mean.
    """
    mean, limit, scale = _scores(inner, offset, sigma)
    return _scaled(_mean_steps(mean, limit), scale)


def radius_vector(
    inner: npt.ArrayLike, orthogonal: npt.ArrayLike, offset: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """l2 radius that also uses |g_orth|, the length of g orthogonal to u; rounded down.

    The root of W = offset, where W(r) = sup over alpha >= 0 and beta of alpha inner + beta
    orthogonal - E sqrt((L - alpha)^2 + beta^2) and L = exp(r Z - r^2 / 2). `inner` and `orthogonal`
    may be lower bounds of <g, u> and |g_orth|: W grows with both where alpha >= 0, and so it is for
    inner >= 0.
    Multipliers come from Newton's method, and only distances at which a bound of W from below
    reaches the offset are returned. So the radius is never below `radius_mean`, and for inner >= 0
    it is tight where the method converges: within 1e-3 of the surface of the ball it may miss a few
    in a thousand, and beyond |g| = 1 - 1e-6 the multipliers are those of a shorter mean. All
    arguments broadcast.

    Raises ValueError as `radius_lipschitz` does, and for orthogonal outside [0, 1] or inner^2 +
    orthogonal^2 above 1 by more than rounding.

    Source: ours.

    In the book: thm-se-vector, prop-se-samples.
    """
    mean, limit, scale = _scores(inner, offset, sigma)
    rest = arguments.nonnegative("orthogonal", orthogonal, rounding="down")
    if (rest > 1 + _BEYOND).any():
        raise ValueError(f"orthogonal is {shown(orthogonal)}: give a length of at most 1")
    rest = np.minimum(rest, 1.0)
    common_shape(orthogonal=rest.shape, others=mean.shape)
    mean, rest, limit, scale = np.broadcast_arrays(mean, rest, limit, scale)
    length = np.hypot(mean, rest)
    if (length > 1 + _BEYOND).any():
        raise ValueError(
            f"inner and orthogonal make a vector of length {length.max()}: give parts of a mean of "
            "unit vectors, whose length is at most 1"
        )
    room = np.sqrt((1 - np.abs(mean)) * (1 + np.abs(mean))) * (1 - 8 * _UNIT)
    return _scaled(_vector_steps(mean, np.minimum(rest, room), limit), scale)


def _vector_steps(mean: FloatArray, rest: FloatArray, limit: FloatArray) -> FloatArray:
    """Radius of `radius_vector` in units of sigma; arguments of one shape."""
    steps = np.asarray(_mean_steps(mean, limit))
    flat, parts = steps.reshape(-1).copy(), [part.reshape(-1) for part in (mean, rest, limit)]
    places = np.flatnonzero((flat > 0) & np.isfinite(flat) & (parts[1] > 0))
    for start in range(0, places.size, _LARGEST_BLOCK):
        chosen = places[start : start + _LARGEST_BLOCK]
        for inside in _INSIDE:
            given = [part[chosen] for part in parts]
            certified, settled = _inside(inside, given, flat[chosen])
            flat[chosen] = np.maximum(flat[chosen], certified)
            chosen = chosen[~settled]
    return flat.reshape(steps.shape)


def _inside(
    inside: float, given: list[FloatArray], guess: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Distances certified with the multipliers of means of at most this length, all [n].

    `given`: <g, u>, |g_orth| and the offset. Also whether Newton's method ended there.
    """
    inner, orthogonal, offset = given
    shorter = np.minimum(inside / np.hypot(inner, orthogonal), 1.0)
    shorter = np.where(inner * shorter > offset, shorter, 1.0)
    point = vector_dual.solve(inner * shorter, orthogonal * shorter, offset, guess)
    certified = _backward(point, inner, orthogonal, offset)
    return certified, certified > point.r * (1 - 1e-6)


def _backward(
    point: Point, inner: FloatArray, orthogonal: FloatArray, offset: FloatArray
) -> FloatArray:
    """Largest of distances ever farther below `point.r` at which W is seen to reach the offset."""
    found = np.zeros(len(inner))
    active = np.arange(len(inner))
    for k in range(_BACKWARD):
        if active.size == 0:
            break
        r = point.r[active] - 2.0 ** (k - 46) * np.maximum(point.r[active], 1.0)
        active, r = active[r > 0], r[r > 0]
        tried = Point(point.z0[active], point.tau[active], r)
        reached = vector_dual.bound(tried, inner[active], orthogonal[active]) >= offset[active]
        found[active[reached]] = r[reached]
        active = active[~reached]
    return found


def radius_law(
    thresholds: npt.ArrayLike, survival: npt.ArrayLike, offset: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """l2 radius from the law of <f, u>: within it the mean stays above `offset`; rounded down.

    `thresholds` [m] increase within [-1, 1]; `survival` [..., m] holds lower bounds of
    P(<f, u> >= threshold); `offset` and `sigma` broadcast with [...]. Tight given the law. Where
    the first of `survival` is 1 it is, unlike the other radii, not changed by a factor or a summand
    common to thresholds, offset and scores; what is missing there is put at -1. Raises ValueError
    as `confidence.radius` does, and for a threshold beyond 1.

    Source: ours, after Kumar et al. (2020), as coded.

    In the book: thm-se-law, eq-se-law.
    """
    return confidence.strict_radius(thresholds, survival, sigma, _limit(offset))


class Nearest(NamedTuple):
    """The nearest prototype, how far it stays so, and the one that would be nearer first."""

    predicted: IntArray
    radius: FloatArray
    binding: IntArray


_CERTIFICATES: dict[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "lipschitz": lambda inner, rest, offset: radius_lipschitz(inner, offset, 1.0),
    "mean": lambda inner, rest, offset: _mean_steps(inner, offset),
    "vector": _vector_steps,
}


def nearest_prototype(
    g: npt.ArrayLike, prototypes: npt.ArrayLike, sigma: npt.ArrayLike, certificate: str = "vector"
) -> Nearest:
    """Nearest prototype to the smoothed embedding g, its l2 radius, and the rival that binds.

    `g` [..., D] holds means of unit vectors, `prototypes` [K, D] with K >= 2 are any points,
    `sigma` broadcasts with [...], and `certificate` is "lipschitz", "mean" or "vector". The radius
    is the least over all rivals, not that of the second nearest, which another one can undercut by
    any factor. With "vector" it is tight given g where `radius_vector` is: the worst f for the
    binding rival has this mean. Rounded down; 0 at a tie. Of equal rivals the first is named. The
    mean is taken as known: with samples, put lower bounds into `radius_vector` instead.

    Raises ValueError for unequal dimensions, entries that are infinite or no float64, vectors g
    longer than 1 by more than rounding, prototypes that coincide, sigma not positive, or another
    certificate.

    Source: ours, after Pautov et al. (2022).

    In the book: thm-se-all.
    """
    arguments.one_of("certificate", certificate, list(_CERTIFICATES))
    centre, points = _vectors(g, prototypes)
    scale = arguments.positive("sigma", sigma, rounding="down")
    batch = centre.shape[:-1]
    shape = common_shape(g=batch, sigma=scale.shape)
    rows = centre.reshape(-1, centre.shape[-1])
    predicted = np.argmax(rows @ points.T - (points * points).sum(axis=1) / 2, axis=1)
    steps = np.full((len(rows), len(points)), np.nan)  # NaN: no rival of itself
    for rival, point in enumerate(points):
        others = np.flatnonzero(predicted != rival)
        seen = _seen(rows[others], points[predicted[others]], point)
        steps[others, rival] = _CERTIFICATES[certificate](*seen)
    least = np.nanmin(steps, axis=1)
    binding = np.argmax(steps == least[:, None], axis=1)  # nanargmin names NaN where all are inf
    radius = _scaled(least.reshape(batch), scale)
    named = (np.broadcast_to(part.reshape(batch), shape)[()] for part in (predicted, binding))
    first, last = named
    return Nearest(first, radius, last)


def _vectors(g: npt.ArrayLike, prototypes: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return g [..., D] and the prototypes [K, D], checked."""
    centre, points = _exact("g", g), _exact("prototypes", prototypes)
    if points.ndim != 2 or len(points) < 2 or points.shape[1] == 0:
        raise ValueError(
            f"prototypes has shape {points.shape}: give [K, D], two prototypes or more"
        )
    if centre.ndim == 0 or centre.shape[-1] != points.shape[1]:
        raise ValueError(
            f"g has shape {centre.shape} but prototypes {points.shape}: give vectors of one length"
        )
    if centre.size == 0:
        raise ValueError(f"g has shape {centre.shape}: give one vector or more")
    if not np.isfinite(points).all() or not (np.abs(points) < 1e150).all():
        raise ValueError("prototypes holds an infinite or a huge number: give points near the ball")
    with np.errstate(over="ignore"):
        length = np.sqrt((centre * centre).sum(axis=-1))
    if not (length <= 1 + _BEYOND).all():
        raise ValueError(
            f"g has a vector of length {length.max()}: give means of unit vectors, of length at "
            "most 1"
        )
    _, place = np.unique(points, axis=0, return_index=True)
    if place.size < len(points):
        same = np.setdiff1d(np.arange(len(points)), place)[0]
        raise ValueError(
            f"prototypes coincide: {shown(points[same])} stands there twice; give different points"
        )
    return centre / np.maximum(length, 1.0)[..., None], points


def _exact(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64; ValueError unless it holds each entry: a direction has no side."""
    low, high = (arguments.numbers(name, value, rounding=side) for side in ("down", "up"))
    if (low != high).any():
        raise ValueError(
            f"{name} holds an entry between {shown(float(low[low != high][0]))} and the next "
            "float64: give float64, and classify by these"
        )
    return low


def _dot(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Products along the last axis, and a bound on the error by their rounding and a summand's."""
    terms = first * second
    count = 8 + terms.shape[-1]
    size = count * _UNIT * np.abs(terms).sum(axis=-1) + count * _LEAST
    return terms.sum(axis=-1), size


def _seen(g: FloatArray, own: FloatArray, rival: FloatArray) -> tuple[FloatArray, ...]:
    """Lower bounds of <g, u> and |g_orth|, an upper bound of b; [n], for g and own [n, D]."""
    between = own - rival
    # Scaled, so that squares of close prototypes do not vanish; a power of two changes no digit.
    exponent = np.frexp(np.abs(between).max(axis=1))[1]
    between = np.ldexp(between, -exponent[:, None])
    distance = np.sqrt(_dot(between, between)[0])
    error = (16 + rival.size) * _UNIT
    along, slip = _dot(g, between)
    inner = along / distance
    inner_error = slip / distance + error * np.abs(inner) + _TINY
    middle, slip = _dot(own + rival, between)
    offset = middle / distance / 2
    offset = offset + slip / distance + error * np.abs(offset) + _TINY
    across = g - inner[:, None] * (between / distance[:, None])
    rest = np.sqrt((across * across).sum(axis=1))
    rest = rest - inner_error - error * (1 + np.abs(inner))
    low = np.clip(inner - inner_error, -1.0, 1.0)
    room = np.sqrt((1 - np.abs(low)) * (1 + np.abs(low))) * (1 - 8 * _UNIT)
    return low, np.clip(rest, 0.0, room), offset

"""Summaries over images: means with intervals, certified accuracy, average certified radius."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray


def mean_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t-interval (low, high) for the mean of independent values.

    `values` has shape (m,) with m >= 2. The coverage is asymptotic: exact for normal values
    only, approached for others as m grows, so it is no certificate; it serves for means such as
    the average certified radius, which has no bound valid in finite samples unless capped.
    Raises ValueError for other shapes, values that are not finite, or a confidence outside (0, 1).
    """
    sample = arguments.numbers("values", values)
    level = arguments.single("confidence", arguments.level("confidence", confidence, rounding="up"))
    tail = (1 - level) / 2
    if sample.ndim != 1 or sample.size < 2:
        raise ValueError(f"values has shape {sample.shape}: give a list of two or more numbers")
    if not np.isfinite(sample).all():
        raise ValueError("values holds an infinite number: cap it before taking a mean")
    mean = float(sample.mean())
    error = float(sample.std(ddof=1)) / sample.size**0.5
    half = -float(special.stdtrit(sample.size - 1, tail)) * error
    return mean - half, mean + half


def _certified(radii: npt.ArrayLike, correct: npt.ArrayLike) -> FloatArray:
    """Return the radii of the correct images, -inf for the others; shape (images,)."""
    radius = arguments.numbers("radii", radii, rounding="down")
    if radius.ndim != 1 or radius.size == 0:
        raise ValueError(f"radii has shape {radius.shape}: give one radius per image")
    right = _flags(correct, "radii", radius)
    if (radius < 0).any():
        raise ValueError(f"radii holds {radius.min()}: give radii of at least 0")
    return np.where(right, radius, -np.inf)


def _flags(correct: npt.ArrayLike, name: str, values: FloatArray) -> npt.NDArray[np.bool_]:
    """Return one flag for each of `values`, the argument `name`."""
    flags = arguments.numbers("correct", correct)
    if flags.shape != values.shape:
        raise ValueError(
            f"correct has shape {flags.shape} but {name} {values.shape}: give one flag per image"
        )
    bad = (flags != 0) & (flags != 1)
    if bad.any():
        raise ValueError(f"correct holds {flags[bad][0]}: give True or False")
    return np.asarray(flags == 1)


def certified_accuracy(
    radii: npt.ArrayLike, correct: npt.ArrayLike, thresholds: npt.ArrayLike
) -> FloatArray:
    """Fraction of the images that are classified correctly with a radius of at least a threshold.

    `radii` and `correct` have shape (images,); an abstention counts as not correct. Returns the
    shape of `thresholds`, in the unit of the radii. Raises ValueError for unequal shapes, no
    images, negative radii, flags other than True and False, negative thresholds, or NaN.

    Source: Cohen, Rosenfeld and Kolter (2019), section 4.
    """
    certified = np.sort(_certified(radii, correct))
    limits = arguments.numbers("thresholds", thresholds, rounding="up")
    if (limits < 0).any():
        raise ValueError(f"thresholds holds {limits.min()}: give radii of at least 0")
    below = np.searchsorted(certified, limits, side="left")
    return np.asarray((certified.size - below) / certified.size)[()]


def average_certified_radius(radii: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Mean over all images of the certified radius, counting 0 where the class is not correct.

    Arguments and errors: as for `certified_accuracy`; infinite if a correct image's radius is.

    Source: Zhai et al. (2020), MACER.
    """
    return float(np.maximum(_certified(radii, correct), 0.0).mean())


def _votes(p: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the probabilities, rounded down, and the flags; shape (images,)."""
    share = arguments.probabilities("p", p, rounding="down")
    if share.ndim != 1 or share.size == 0:
        raise ValueError(f"p has shape {share.shape}: give one probability per image")
    return share, _flags(correct, "p", share)


def vote_margin(p: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Mean over all images of 2 (p - 1/2), where the class is correct and p above 1/2, else 0.

    `p` [images] holds the probability of the predicted class under noise, or a lower bound of it,
    and `correct` [images] flags. With R = sigma Phi^-1(p) it is twice the integral of the certified
    accuracy over the density of N(0, sigma^2): the only weight, up to a factor, for which the
    score of an image is linear in p between 1/2 and 1, so that no image counts for more than
    another. At most 1, whatever the number of samples. To nearest.

    Raises ValueError for unequal shapes, no images, p outside [0, 1], or flags other than True and
    False.

    Source: ours.

    In the book: thm-tc-neutral.
    """
    share, right = _votes(p, correct)
    return math.fsum(2 * np.maximum(share - 0.5, 0.0)[right]) / share.size


# SciPy's ndtri errs by at most 8 units of 2^-53, as measured for `certificates.gaussian`.
_QUANTILE = 2.0**-48


def average_certified_radius_bounds(
    p: npt.ArrayLike,
    correct: npt.ArrayLike,
    sigma: npt.ArrayLike,
    ceiling: npt.ArrayLike | None = None,
) -> tuple[float, float]:
    """Bounds (low, high) of the average certified radius that know p by its mean and its maximum.

    `p` [images] holds the probability of the label under noise and `correct` [images] the flags of
    the images that count, each with h(p) = sigma Phi^-1(p), 0 below 1/2; `sigma` is one number,
    and its unit is that of the bounds. h is convex on [0, 1) with h(0) = 0. So with m, the mean of
    p over all images (the noise accuracy),

        h(m) <= average certified radius <= m h(ceiling) / ceiling,

    by Jensen's inequality, and by the chord from 0 to `ceiling`, the largest p that can occur: the
    largest that does if None, alpha^(1/n) for bounds from n samples. Equal images attain the lower
    bound, images with p in {0, ceiling} the upper one. A wrong image of p above 1/2 (that of
    another class, as logs have it) counts as 0 in m: its own radius is 0, so both bounds hold for
    every such p. Rounded outwards; infinite for a ceiling of 1.

    Raises ValueError as `vote_margin` does, for sigma not positive or a list, and for a ceiling
    outside [0, 1] or below some p that counts.

    Source: ours.

    In the book: prop-tc-bounds.
    """
    share, right = _votes(p, correct)
    above = arguments.probabilities("p", p, rounding="up")
    unit, largest = (
        arguments.single("sigma", arguments.positive("sigma", sigma, rounding=side))
        for side in ("down", "up")
    )
    counts = right | (share <= 0.5)
    counted = np.where(counts, share, 0.0)
    most = np.where(counts, above, 0.0)
    top = float(most.max())
    if ceiling is not None:
        given = arguments.probabilities("ceiling", ceiling, rounding="up")
        if arguments.single("ceiling", given) < top:
            raise ValueError(f"ceiling is {given}: give at least the largest p that counts, {top}")
        top = float(given)
    low = math.nextafter(math.nextafter(math.fsum(counted), 0.0) / counted.size, 0.0)
    high = math.nextafter(math.nextafter(math.fsum(most), math.inf) / counted.size, math.inf)
    jensen = unit * float(special.ndtri(max(low, 0.5))) * (1 - _QUANTILE)
    if top <= 0.5:
        return 0.0, 0.0
    chord = largest * float(special.ndtri(top)) / top * high * (1 + _QUANTILE)
    return math.nextafter(jensen, 0.0), math.nextafter(chord, math.inf)


class Paired(NamedTuple):
    """A comparison image by image: the mean difference, its standard error, and their ratio."""

    difference: float
    error: float
    t: float


def paired(a: npt.ArrayLike, b: npt.ArrayLike) -> Paired:
    """Mean over images of a - b, its standard error, and t, their ratio.

    `a` and `b` have shape (images,), two or more: the radii, or other scores, of two methods on the
    same images, in one order. The error is the standard deviation of the differences (with n - 1)
    over sqrt(n): mostly far below that of two unpaired means. It covers the choice of images, not
    that of a training run. Where all differences agree the error is 0, and t is 0 or infinite.

    Raises ValueError for unequal shapes, fewer than two images, or values that are not finite or
    far beyond 1e150.
    """
    first, second = arguments.numbers("a", a), arguments.numbers("b", b)
    if first.ndim != 1 or first.shape != second.shape or first.size < 2:
        raise ValueError(
            f"a has shape {first.shape} and b {second.shape}: give two lists of one length, with "
            "two or more numbers"
        )
    for name, values in (("a", first), ("b", second)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds an infinite number: cap it before taking a mean")
    with np.errstate(over="ignore"):
        gaps = first - second
        squares = float(np.square(gaps).sum())
    if not math.isfinite(squares):
        raise ValueError("a and b differ by more than float64 can square: give smaller numbers")
    mean = math.fsum(gaps) / gaps.size
    spread = 0.0 if (gaps == gaps[0]).all() else float(gaps.std(ddof=1))
    error = spread / gaps.size**0.5
    t = mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
    return Paired(mean, error, t)

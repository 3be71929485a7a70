"""Summaries over images: means with intervals, certified accuracy, average certified radius."""

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
    flags = arguments.numbers("correct", correct)
    if radius.ndim != 1 or radius.size == 0:
        raise ValueError(f"radii has shape {radius.shape}: give one radius per image")
    if flags.shape != radius.shape:
        raise ValueError(
            f"correct has shape {flags.shape} but radii {radius.shape}: give one flag per radius"
        )
    if (radius < 0).any():
        raise ValueError(f"radii holds {radius.min()}: give radii of at least 0")
    bad = (flags != 0) & (flags != 1)
    if bad.any():
        raise ValueError(f"correct holds {flags[bad][0]}: give True or False")
    return np.where(flags == 1, radius, -np.inf)


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

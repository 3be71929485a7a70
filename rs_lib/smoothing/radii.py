"""Radii of the noise laws, and the class probabilities that they need."""

import functools

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib.arguments import FloatArray, nonnegative, shown
from rs_lib.certificates import ablation, gaussian, laplace, uniform
from rs_lib.noise import Ablation, Gaussian, Laplace, Law, Rounded, Uniform
from rs_lib.statistics import SequentialTable


def certified_radius(noise: Law, p_lower: npt.ArrayLike) -> FloatArray:
    """Return the radius certified where the top class has probability at least `p_lower` > 1/2.

    l2 for Gaussian noise (Cohen et al. 2019, theorem 1), l1 for uniform and Laplace noise, in
    pixel units of [0, 1], rounded down; rounded noise has the radius of the law that is
    rounded, at the points of its grid. For ablation the number of changed pixels (Levine and
    Feizi 2020, theorem 1). Raises ValueError for a law without a certificate.
    """
    match noise:
        case Rounded(law=law):
            return certified_radius(law, p_lower)
        case Gaussian(sigma=sigma):
            return gaussian.radius(p_lower, sigma)
        case Uniform(half_width=half_width):
            return uniform.radius_l1(p_lower, half_width)
        case Laplace(scale=scale):
            return laplace.radius_l1(p_lower, scale)
        case Ablation(kept=kept, pixels=pixels):
            return np.maximum(ablation.radius(p_lower, pixels, kept), 0).astype(np.float64)
    raise ValueError(
        f"noise is {shown(noise)}: give Gaussian, uniform or Laplace noise, or ablation"
    )


def required_probabilities(noise: Law, radii: npt.ArrayLike) -> FloatArray:
    """Return for each radius a p0 such that a class of probability above p0 certifies it.

    The exact inverse of the radius, stepped up until `certified_radius` of the float, which is
    rounded down, reaches the radius. `radii` are at least 0; the result lies in [1/2, 1] and
    is 1 where no float below suffices.
    """
    wanted = nonnegative("radii", radii, rounding="up")
    p0 = np.minimum(np.maximum(_inverse(noise, wanted), 0.5), 1.0)
    step = np.spacing(p0)
    for _ in range(60):
        short = (certified_radius(noise, p0) < wanted) & (p0 < 1)
        if not short.any():
            break
        p0 = np.where(short, np.minimum(p0 + step, 1.0), p0)
        step *= 2
    return p0


def _inverse(noise: Law, radii: FloatArray) -> FloatArray:
    match noise:
        case Rounded(law=law):
            return _inverse(law, radii)
        case Gaussian(sigma=sigma):
            return np.asarray(special.ndtr(radii / sigma))
        case Uniform(half_width=half_width):
            return 0.5 + radii / (2 * half_width)
        case Laplace(scale=scale):
            return 1 - 0.5 * np.exp(-radii / scale)
        case Ablation(kept=kept, pixels=pixels):
            return ablation.required_probability(np.ceil(radii), pixels, kept)
    raise ValueError(
        f"noise is {shown(noise)}: give Gaussian, uniform or Laplace noise, or ablation"
    )


@functools.lru_cache(maxsize=4)
def decision_table(
    p0s: tuple[float, ...], alpha: float, max_samples: int, rule: str
) -> SequentialTable:
    """Return the `SequentialTable` of the probabilities that radii require; errors as there.

    Kept, since a run needs it twice: to sample, and to check the rows of its log.
    """
    return SequentialTable(p0s, alpha, max_samples, rule)


def guarantee(noise: Law) -> str:
    """Return in words where the certificates of `noise` hold, for summaries and headers of logs."""
    match noise:
        case Rounded():
            return "in floating point too, of images of whole pixel levels"
        case Ablation():
            return "in floating point too"
    return "in exact arithmetic; floats can be fooled, see the chapter What a certificate assumes"

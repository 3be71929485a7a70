"""Noise on the training features: certificates against backdoors (RAB).

The smoothed model is the vote of models trained on copies of the training set with independent
noise on every feature. Seen from training as one function of the whole set, this is randomized
smoothing in n d dimensions: an attacker who adds the patterns delta_1, ..., delta_n to the training
features shifts the noise by all of them at once. So Gaussian noise certifies
sqrt(sum_i ||delta_i||_2^2) < sigma/2 (Phi^-1(p_a) - Phi^-1(p_b)), and uniform noise
p_a - p_b > 2 (1 - V), V being the overlap of both cubes. In either case the class with p_a can lose
and its rival with p_b gain at once as much as that where p_a + p_b <= 1, so both are tight.
What is certified: the model trained on the poisoned features answers as the one trained without
the patterns. Labels that the attacker changed are the same in both and not undone.

Bounds p_a and p_b come from counted votes (Clopper-Pearson) or, for nearest neighbours, from
quadrature: `nearest_neighbour`, whose names appear here too.
Source: Weber, Xu, Karlas, Zhang and Li (2023), "RAB: Provable Robustness Against Backdoor Attacks",
theorem 1 and its corollaries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.certificates import gaussian, uniform
from rs_lib.certificates.nearest_neighbour import (
    bucketed_nearest_neighbour_probabilities,
    nearest_neighbour_probabilities,
    nearest_neighbours_label_probabilities,
)

__all__ = [
    "bucketed_nearest_neighbour_probabilities",
    "gaussian_radius",
    "nearest_neighbour_probabilities",
    "nearest_neighbours_label_probabilities",
    "uniform_certified",
]

BoolArray = npt.NDArray[np.bool_]

# Each of four operations on numbers up to 2 errs by at most 2^-53.
_ERROR = 2.0**-50


def gaussian_radius(
    p_a: npt.ArrayLike, p_b: npt.ArrayLike, sigma: npt.ArrayLike, poisoned: npt.ArrayLike = 1
) -> FloatArray:
    """l2 length up to which a pattern on each of `poisoned` training examples changes nothing.

    sigma / (2 sqrt(poisoned)) (Phi^-1(p_a) - Phi^-1(p_b)), rounded down, 0 where nothing is
    certified: `gaussian.radius` divided by sqrt(poisoned), with its conventions. `p_a` bounds the
    probability of the answer from below, `p_b` that of every other class from above, both on the
    set that was trained on. Patterns of unequal length are certified if the root of their summed
    squares is below the radius for `poisoned` = 1. The arguments broadcast; the unit is that of
    `sigma`. Raises ValueError for probabilities outside [0, 1], sigma not positive, or poisoned
    below 1.

    Source: Weber et al. (2023), Gaussian corollary.

    In the book: cor-rab-gauss.
    """
    count = arguments.integers("poisoned", poisoned, least=1)
    first = arguments.probabilities("p_a", p_a, rounding="down")
    second = arguments.probabilities("p_b", p_b, rounding="up")
    whole = gaussian.radius(first, sigma, second)
    each = np.nextafter(whole / np.nextafter(np.sqrt(count), np.inf), 0.0)
    return np.where(np.isinf(whole), np.inf, each)[()]


def uniform_certified(
    p_a: npt.ArrayLike,
    p_b: npt.ArrayLike,
    low: float,
    high: float,
    perturbation: npt.ArrayLike,
) -> BoolArray:
    """Whether a shift of the training features leaves the answer under noise U[low, high]; bool.

    True only if 1 - (p_a - p_b) / 2 < prod (1 - |delta| / (high - low))_+ over all entries of
    `perturbation`, of any shape: zeros need not be listed. `p_a` and `p_b` broadcast and give the
    shape of the result. A p_b above 1 - p_a is replaced by it. Rounded down: the inequality must
    hold by 1e-15 and the overlap's own rounding. Raises ValueError for probabilities outside
    [0, 1], low not below high, or entries that are not finite.

    Source: Weber et al. (2023), uniform corollary.

    In the book: cor-rab-uniform.
    """
    first = arguments.probabilities("p_a", p_a, rounding="down")
    second = np.minimum(arguments.probabilities("p_b", p_b, rounding="up"), 1 - first)
    start = arguments.single("low", arguments.numbers("low", low, rounding="up"))
    end = arguments.single("high", arguments.numbers("high", high, rounding="down"))
    width = end - start
    if not 2 * np.nextafter(0, 1) < width < np.inf:
        raise ValueError(f"low is {start} and high {end}: give finite bounds with low below high")
    shift = arguments.magnitudes("perturbation", perturbation).ravel()
    if not np.isfinite(shift).all():
        raise ValueError("perturbation holds an infinite number: give finite ones")
    shared = uniform.overlap(shift, np.nextafter(width, 0.0) / 2)
    certified: BoolArray = (first - second) - 2 * (1 - shared) > _ERROR
    return certified

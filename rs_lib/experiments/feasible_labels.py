"""How many labels of real images a smoothed classifier can fit at once, whatever it is.

Counts only, from exact distances: conflicts among the test images and what they cost at least
(an upper bound on what any classifier fits), images that a smoothed nearest-point rule is sure to
fit (a lower bound), and test images that lie close to a training image of another class.
"""

import dataclasses
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib.hypotheses import double_matching
from rs_lib.machines import data, distances
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context

GUARD = 1e-9
"""What is taken from a margin for the rounding of a sum of some 10,000 probabilities."""


@dataclass(frozen=True)
class Parameters:
    """What is counted.

    Radii are 0, 1, 2, ... times 1 / `per_unit` up to `largest_radius`, in units of the white
    level. Conflicts are listed up to the radius at which `listed` of the test images have one.
    The nearest-point rule is smoothed with each of `sigmas` and counted at each of `margins`.
    """

    datasets: tuple[str, ...]
    per_unit: int
    largest_radius: int
    listed: float
    sigmas: tuple[float, ...]
    margins: tuple[float, ...]


_SIGMAS = tuple(k / 20 for k in range(1, 61))
_MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49)

PROFILES = {
    "quick": Parameters(("digits",), 100, 2, 1.0, _SIGMAS, _MARGINS),
    "full": Parameters(
        ("mnist", "fashion-mnist", "cifar10"), 20, 10, 0.75, _SIGMAS[1::2], _MARGINS
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    per_unit=20,
    listed=0.75,
    sigmas=(0.2, 0.3, 0.4, 0.6),
    margins=(0.0, 0.3, 0.49),
)


def thresholds(parameters: Parameters, levels: int) -> list[int]:
    """Return for each radius r the whole number t with D < 2r exactly if D² < t, in grey levels."""
    steps = range(parameters.largest_radius * parameters.per_unit + 1)
    return [ceil((2 * levels * Fraction(j, parameters.per_unit)) ** 2) for j in steps]


def below(squared: npt.NDArray[np.float64], limits: list[int]) -> list[int]:
    """Return how many of the squared distances lie below each limit."""
    return [int(count) for count in np.searchsorted(np.sort(squared), limits, side="left")]


def among_tests(parameters: Parameters, dataset: data.Dataset, context: Context) -> dict[str, Any]:
    """Count conflicts among the test images and what they cost.

    "touched": test images with a conflict at each radius. "pairs": conflicts, and "matching":
    twice the weight of their largest fractional matching, for the radii that are listed.
    "sure": for each sigma and margin the images that the nearest-point rule fits.
    """
    images, labels = dataset.test_images, dataset.test_labels
    limits = thresholds(parameters, dataset.levels)
    nearest = distances.nearest_other(images, labels, images, labels, context.device).numpy()
    top = float(np.quantile(nearest, parameters.listed))
    listed = [limit for limit in limits if limit <= top]
    pairs, squared = (
        part.numpy() for part in distances.close_pairs(images, labels, listed[-1], context.device)
    )
    counts = below(squared, listed)
    masses = distances.rival_masses(
        images, labels, parameters.sigmas, dataset.levels, context.device
    ).numpy()
    return {
        "touched": below(nearest, limits),
        "pairs": counts,
        "matching": [double_matching(len(labels), pairs[:count]) for count in counts],
        "sure": [
            [int((mass + GUARD <= 0.5 - margin).sum()) for margin in parameters.margins]
            for mass in masses.T
        ],
    }


def against_training(
    parameters: Parameters, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    """Count test images with a training image of another class closer than 2r, for each radius.

    "closest" is the squared distance of the closest two training images of different classes.
    """
    train, test = (dataset.train_images, dataset.train_labels), dataset.test_images
    nearest = distances.nearest_other(test, dataset.test_labels, *train, context.device).numpy()
    return {
        "touched": below(nearest, thresholds(parameters, dataset.levels)),
        "closest": distances.closest_rivals(*train, context.device)[0],
    }


def _compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    found = []
    for name in parameters.datasets:
        dataset = data.load(name)
        inputs = {**asdict(parameters), "dataset": name, "data": dataset.digest}
        among = partial(among_tests, parameters, dataset, context)
        against = partial(against_training, parameters, dataset, context)
        found.append(
            {
                "name": name,
                "data": dataset.digest,
                "levels": dataset.levels,
                "images": len(dataset.test_labels),
                "training_images": len(dataset.train_labels),
                "tests": context.stage("feasible-tests", inputs, among),
                "training": context.stage("feasible-training", inputs, against),
            }
        )
    return {"datasets": found}


experiment = Experiment(__name__, PROFILES, _compute, witness=WITNESS)

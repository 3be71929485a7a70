"""Shortest errors and flips under longer noise, of the CIFAR-10 networks of another experiment.

The networks are those of `certified_cifar10`, trained under noise; what is measured is that of
`norm_ratios`.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from rs_lib.experiments import certified_cifar10
from rs_lib.experiments.norm_ratios import probed
from rs_lib.machines import data
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context


@dataclass(frozen=True)
class Parameters:
    """Whose networks to probe (those of `base`, one for each of its training noises), and how.

    The other fields are those of `norm_ratios.Parameters`.
    """

    base: certified_cifar10.Parameters
    images: int
    steps: int
    starts: int
    ratios: tuple[float, ...]
    scales: tuple[float, ...]
    n: int
    seed: int


PROFILES = {
    "quick": Parameters(
        certified_cifar10.PROFILES["quick"],
        images=20,
        steps=20,
        starts=3,
        ratios=(2.0, 5.0, 10.0),
        scales=(0.5, 1.0),
        n=200,
        seed=2023,
    ),
    "full": Parameters(
        certified_cifar10.PROFILES["full"],
        images=40,
        steps=15,
        starts=2,
        ratios=(5.0, 10.0, 20.0, 40.0),
        scales=(0.5, 1.0),
        n=250,
        seed=2023,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    base=certified_cifar10.WITNESS,
    images=6,
    steps=6,
    starts=2,
    ratios=(2.0,),
    n=50,
)


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return for each network: which images it got right, their distances and their counts."""
    dataset = data.load(parameters.base.dataset)
    within = certified_cifar10.experiment.within(context)
    runs = []
    for sigma in parameters.base.train_sigmas:
        model, _ = certified_cifar10.base_classifier(parameters.base, sigma, dataset, within)
        runs.append(probed(parameters, sigma, model, dataset, context))
    dim = int(np.prod(dataset.image_shape))
    return {"data": dataset.digest, "dim": dim, "runs": runs}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

"""Shortest errors of trained networks, and how often noise that is so many times longer errs.

After the question of Sutton et al. (2023): how can a network be wrong next to an image and right
under random noise that is much longer? The values are lengths and counts of each image; they stand
beside the law of a single wall, which is no part of them.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from rs_lib.machines import data, models, norm_ratios
from rs_lib.machines.base_classifiers import Recipe, base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context


@dataclass(frozen=True)
class Parameters(Recipe):
    """What to train, and with what to probe it.

    One network for each of `train_sigmas` (0: clean images). Of `images` test images, evenly
    spaced, those that it answers right are searched for errors, with `steps` steps from each of
    `starts` places; then `n` perturbations of each length are counted: on the sphere of `ratios`
    times the distance found, and normal ones with `scales` times it as standard deviation.
    """

    train_sigmas: tuple[float, ...]
    images: int
    steps: int
    starts: int
    ratios: tuple[float, ...]
    scales: tuple[float, ...]
    n: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="small-cnn",
        epochs=12,
        batch_size=64,
        learning_rate=0.1,
        train_sigmas=(0.0, 0.25),
        images=60,
        steps=20,
        starts=3,
        ratios=(2.0, 3.0, 5.0, 8.0, 12.0, 20.0),
        scales=(0.5, 1.0),
        n=1_000,
        seed=2023,
    ),
    "full": Parameters(
        dataset="mnist",
        model="lenet",
        epochs=3,
        batch_size=256,
        learning_rate=0.1,
        train_sigmas=(0.0, 0.25),
        images=60,
        steps=20,
        starts=3,
        ratios=(2.0, 3.0, 5.0, 8.0, 12.0, 20.0),
        scales=(0.5, 1.0),
        n=1_000,
        seed=2023,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    epochs=3,
    images=12,
    steps=8,
    starts=2,
    ratios=(2.0, 8.0),
    n=100,
)


def probed(
    parameters: Any, sigma: float, model: nn.Module, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    """Return what `rs_lib.machines.norm_ratios` measures of the images that are answered right.

    `parameters` has the fields of a search and of the noise, and a seed; `sigma` is the noise that
    the network was trained with, and stands in the values.
    """
    indices = evenly(len(dataset.test_labels), parameters.images)
    rows = torch.from_numpy(indices)
    images = dataset.as_float(dataset.test_images[rows]).to(context.device)
    labels = dataset.test_labels[rows].to(context.device)
    with torch.inference_mode():
        right = model(images).argmax(1) == labels
    asked = {
        name: getattr(parameters, name)
        for name in ("ratios", "scales", "steps", "starts", "n", "seed")
    }
    own = indices[right.cpu().numpy()]
    work = partial(norm_ratios.measured, model, images[right], labels[right], own.tolist(), **asked)
    network = models.fingerprint(model, dataset.image_shape)
    inputs = {**asked, "images": own.tolist(), "network": network, "data": dataset.digest}
    found = context.stage("probed", inputs, work)
    return {"sigma": sigma, "images": own.tolist(), "asked": len(indices), **found}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return for each network: which images it got right, their distances and their counts."""
    dataset = data.load(parameters.dataset)
    runs = []
    for sigma in parameters.train_sigmas:
        noise = Gaussian(sigma) if sigma > 0 else None
        model, _ = base_classifier(parameters, noise, dataset, context)
        runs.append(probed(parameters, sigma, model, dataset, context))
    dim = int(np.prod(dataset.image_shape))
    return {"data": dataset.digest, "dim": dim, "runs": runs}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

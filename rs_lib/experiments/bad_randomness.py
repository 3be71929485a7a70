"""A network certified with noise of a wrong law: what it claims, and what is true.

The noise of each law is one tape of samples, used for all images. Honest samples of their own tell
what the class probabilities are. The values are counts.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.experiments.weak_generators import TAMPER, tampered
from rs_lib.machines import data
from rs_lib.machines.base_classifiers import Recipe, base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

TILE = 1_000
"""Noisy copies of a forward pass."""

SWAPS: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "laplace": lambda rng, count: rng.laplace(0, 0.5**0.5, count),
    "uniform": lambda rng, count: rng.uniform(-(3**0.5), 3**0.5, count),
    "signs": lambda rng, count: rng.choice([-1.0, 1.0], count),
    "half-normal": lambda rng, count: np.abs(rng.standard_normal(count)),
}
"""Other laws in the place of the normal one: all but the last have mean 0 and variance 1."""

LAWS = (*TAMPER, *SWAPS)
"""The names of all laws; "none" is the normal one."""


@dataclass(frozen=True)
class Parameters(Recipe):
    """What to train and how to certify it.

    A network trained under Gaussian noise of scale `sigma` gets noise of each of `laws`, pairs of a
    name in `LAWS` and a strength (0 where the law has none), times `sigma`: `n0` samples select
    the class and `n` count it, at level `alpha`, for each of `images` test images that are evenly
    spaced. `honest` samples of normal noise tell the truth.
    """

    sigma: float
    laws: tuple[tuple[str, float], ...]
    images: int
    n0: int
    n: int
    honest: int
    alpha: float


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="small-cnn",
        epochs=12,
        batch_size=64,
        learning_rate=0.1,
        seed=2023,
        sigma=0.5,
        laws=(
            ("none", 0.0),
            ("laplace", 0.0),
            ("uniform", 0.0),
            ("signs", 0.0),
            ("half-normal", 0.0),
            ("alpha", 1.0),
            ("beta", 0.0),
            ("beta", 1.0),
            ("beta", 4.0),
            ("beta", 16.0),
            ("gamma", 0.0),
            ("gamma", 1.0),
        ),
        images=40,
        n0=100,
        n=2_000,
        honest=10_000,
        alpha=0.001,
    ),
}
PROFILES["full"] = dataclasses.replace(
    PROFILES["quick"],
    dataset="mnist",
    model="lenet",
    epochs=10,
    batch_size=128,
    images=60,
    n=10_000,
    honest=20_000,
)

WITNESS = dataclasses.replace(PROFILES["quick"], epochs=2, images=4, n0=20, n=300, honest=400)


def tape(law: str, strength: float, count: int, seed: int) -> FloatArray:
    """Return `count` numbers of the law `law`, before they are scaled by σ."""
    if law in SWAPS:
        return SWAPS[law](np.random.default_rng(seed), count)
    return tampered(law, strength, count, seed)[1]


def _counts(network: nn.Module, image: Tensor, noise: Tensor, classes: int) -> IntArray:
    """Return how often `network` says each class on `image` plus each row of `noise`."""
    counts = torch.zeros(classes, dtype=torch.int64, device=noise.device)
    with torch.inference_mode():
        for part in torch.split(noise, TILE):
            counts += torch.bincount(network(image + part).argmax(1), minlength=classes)
    found: IntArray = counts.cpu().numpy()
    return found


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the honest counts of each image and, by law, the selected classes and their counts."""
    dataset = data.load(parameters.dataset)
    indices = evenly(len(dataset.test_labels), parameters.images)
    images = dataset.as_float(dataset.test_images[torch.from_numpy(indices)]).to(context.device)
    network, _ = base_classifier(parameters, Gaussian(parameters.sigma), dataset, context)

    def counted(law: str, strength: float, samples: int, use: str) -> list[IntArray]:
        seed = derive(parameters.seed, use, law, str(strength))
        shape = (samples, *dataset.image_shape)
        numbers = tape(law, strength, int(np.prod(shape)), seed).reshape(shape)
        noise = torch.from_numpy((parameters.sigma * numbers).astype(np.float32))
        noise = noise.to(context.device)
        return [_counts(network, image, noise, dataset.classes) for image in images]

    runs = []
    for law, strength in parameters.laws:
        selected = [c.argmax() for c in counted(law, strength, parameters.n0, "select")]
        counts = counted(law, strength, parameters.n, "estimate")
        hits = [int(c[k]) for c, k in zip(counts, selected, strict=True)]
        classes = [int(k) for k in selected]
        runs.append({"law": law, "strength": strength, "selected": classes, "successes": hits})
    honest = counted("none", 0.0, parameters.honest, "honest")
    return {
        "labels": dataset.test_labels[torch.from_numpy(indices)].tolist(),
        "honest": [counts.tolist() for counts in honest],
        "runs": runs,
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

"""Noise-trained networks, the class counts of their smoothed versions, and an undefended one.

The values are counts, not radii: a certificate for any α, and every curve, follows from them.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rs_lib.machines import attacks, data, models
from rs_lib.machines.base_classifiers import Recipe, base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Certification, FixedSamples, certify, from_counts


@dataclass(frozen=True)
class Parameters(Recipe):
    """What to train and how much to sample.

    `images` test images, evenly spaced in the test set, get `n0` samples that select a
    class and `n` that count it; `alpha` is the level that the counts are meant for. The
    undefended network meets PGD with `attack_steps` steps at each of `attack_radii` (ℓ2).
    """

    sigmas: tuple[float, ...]
    images: int
    n0: int
    n: int
    alpha: float
    attack_radii: tuple[float, ...]
    attack_steps: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="small-cnn",
        sigmas=(0.25, 0.5, 1.0),
        epochs=30,
        batch_size=64,
        learning_rate=0.1,
        images=250,
        n0=100,
        n=2_000,
        alpha=0.001,
        attack_radii=(0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
        attack_steps=20,
        seed=2019,
    ),
    "full": Parameters(
        dataset="mnist",
        model="lenet",
        sigmas=(0.25, 0.5, 1.0),
        epochs=20,
        batch_size=256,
        learning_rate=0.1,
        images=500,
        n0=100,
        n=100_000,
        alpha=0.001,
        attack_radii=(0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0),
        attack_steps=50,
        seed=2019,
    ),
}

# Two stages of counts; radii at which the undefended network stands and falls.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    sigmas=(0.25, 1.0),
    epochs=3,
    images=100,
    n0=20,
    n=200,
    attack_radii=(0.0, 0.5, 1.5),
    attack_steps=3,
)


def class_counts(
    parameters: Parameters, sigma: float, dataset: data.Dataset, context: Context
) -> dict[str, list[int]]:
    """Return for each test image the selected class and how often the noise gave that class."""
    model, _ = base_classifier(parameters, Gaussian(sigma), dataset, context)
    indices = evenly(len(dataset.test_labels), parameters.images)
    sizes = {"n0": parameters.n0, "n": parameters.n, "sigma": sigma, "data": dataset.digest}
    sizes |= {"network": models.fingerprint(model, dataset.image_shape)}
    works = []
    for chunk in np.array_split(indices, max(1, len(indices) // 50)):
        compute = partial(_count_chunk, parameters, sigma, dataset, context, model, chunk)
        inputs = {**parameters.training_inputs(), **sizes, "images": chunk.tolist()}
        works.append((inputs, compute))
    made = context.stages("count", works)
    return {
        name: [value for part in made for value in part[name]] for name in ("selected", "successes")
    }


def _count_chunk(
    parameters: Parameters,
    sigma: float,
    dataset: data.Dataset,
    context: Context,
    model: nn.Module,
    chunk: npt.NDArray[np.int64],
) -> dict[str, list[int]]:
    certified = certify(
        model,
        dataset.test_images[torch.from_numpy(chunk)],
        Rounded(Gaussian(sigma), dataset.levels),
        FixedSamples(parameters.n, n0=parameters.n0),
        classes=dataset.classes,
        seed=derive(parameters.seed, "certify", str(sigma)),
        alpha=parameters.alpha,
        image_ids=chunk,
        device=context.device,
        progress=context.progress,
    )
    return {"selected": certified.selected.tolist(), "successes": certified.successes.tolist()}


def _undefended(parameters: Parameters, dataset: data.Dataset, context: Context) -> dict[str, Any]:
    """Return how many test images an undefended network still classifies correctly under PGD."""
    model, losses = base_classifier(parameters, None, dataset, context)
    indices = evenly(len(dataset.test_labels), parameters.images)
    images = dataset.as_float(dataset.test_images[torch.from_numpy(indices)]).to(context.device)
    labels = dataset.test_labels[torch.from_numpy(indices)].to(context.device)
    # Once fooled at a radius, an image counts as fooled at every larger one: the smaller
    # perturbation lies in the larger ball too.
    standing = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    correct = []
    for radius in parameters.attack_radii:
        found = images
        if radius > 0:
            found = attacks.pgd_l2(
                model,
                images,
                labels,
                radius=radius,
                steps=parameters.attack_steps,
                seed=derive(parameters.seed, "pgd", str(radius)),
            )
        with torch.inference_mode():
            standing &= model(found).argmax(1) == labels
        correct.append(int(standing.sum()))
    return {"radii": list(parameters.attack_radii), "correct": correct, "losses": losses}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return labels, counts per σ, and the undefended network's correct images per radius."""
    dataset = data.load(parameters.dataset)
    indices = evenly(len(dataset.test_labels), parameters.images)
    runs = []
    for sigma in parameters.sigmas:
        _, losses = base_classifier(parameters, Gaussian(sigma), dataset, context)
        counts = class_counts(parameters, sigma, dataset, context)
        runs.append({"sigma": sigma, "losses": losses, **counts})
    return {
        "data": dataset.digest,
        "labels": dataset.test_labels[torch.from_numpy(indices)].tolist(),
        "runs": runs,
        "undefended": _undefended(parameters, dataset, context),
    }


class Certified(NamedTuple):
    """A network of a result: the σ of its noise, its certificates, and which of them are right."""

    sigma: float
    made: Certification
    right: npt.NDArray[np.bool_]


# not in the witness: for chapters, which read the values with it
def certificates(result: Result) -> list[Certified]:
    """Return the certificates that follow from the counts of a result, for every σ."""
    asked, labels = result.parameters, np.array(result.values["labels"])
    found = []
    for run in result.values["runs"]:
        made = from_counts(
            run["selected"],
            run["successes"],
            n0=asked["n0"],
            n=asked["n"],
            alpha=asked["alpha"],
            noise=Gaussian(run["sigma"]),
        )
        found.append(Certified(run["sigma"], made, made.predicted == labels))
    return found


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

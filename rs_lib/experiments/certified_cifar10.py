"""CIFAR-10 certified as published, by networks that two cores train in hours.

Networks trained with each of several noises, certified at the noise of their training by the
sequential rule for a table of radii, and smoothed with the noises of the others (after Cohen et
al. 2019). The values are counts of each image; curves, intervals and matrices follow from them.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from rs_lib.machines import data, fast_training, models
from rs_lib.machines.compact_residual import compact_residual, folded
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Certifier, Executed, RadiusTable
from rs_lib.smoothing.radius_tables import certified_table, multiples, right_at
from rs_lib.smoothing.sampling import Tally


@dataclass(frozen=True)
class Parameters:
    """What to train, and how to certify it.

    One network for each of `train_sigmas` (0: clean images), smoothed with each of `test_sigmas`.
    Where both are equal, `images` test images, evenly spaced, are certified at the radii 0, 0.25,
    ... up to `reach` sigma, all at once with level `alpha`, from at most `max_samples` samples;
    elsewhere at radius 0 alone. `precision` is "measured" for the faster one on the machine.
    """

    dataset: str
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    train_sigmas: tuple[float, ...]
    test_sigmas: tuple[float, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    shift: int
    flip: bool
    average: float
    precision: str
    images: int
    n0: int
    max_samples: int
    alpha: float
    reach: float
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        widths=(8, 16),
        blocks=(1, 1),
        train_sigmas=(0.25, 0.5, 0.0),
        test_sigmas=(0.25, 0.5),
        epochs=20,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=5e-4,
        shift=1,
        flip=False,
        average=0.9,
        precision="float32",
        images=100,
        n0=100,
        max_samples=10_000,
        alpha=0.001,
        reach=2.0,
        seed=2019,
    ),
    "full": Parameters(
        dataset="cifar10",
        widths=(48, 72, 96),
        blocks=(2, 1, 1),
        train_sigmas=(0.25, 0.5),
        test_sigmas=(0.25, 0.5),
        epochs=60,
        batch_size=128,
        learning_rate=0.2,
        weight_decay=5e-4,
        shift=4,
        flip=True,
        average=0.999,
        precision="measured",
        images=500,
        n0=100,
        max_samples=50_000,
        alpha=0.001,
        reach=3.0,
        seed=2019,
    ),
}
# What half of the training costs in accuracy.
PROFILES["pilot"] = dataclasses.replace(PROFILES["full"], epochs=PROFILES["full"].epochs // 2)
# Mismatched and undefended networks; goes on from the stages of the pilot.
PROFILES["matrix"] = dataclasses.replace(
    PROFILES["pilot"],
    train_sigmas=(0.25, 0.5, 0.0, 1.0, 0.12),
    test_sigmas=(0.12, 0.25, 0.5, 1.0),
)

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    train_sigmas=(0.5, 0.0),
    test_sigmas=(0.25, 0.5),
    epochs=3,
    batch_size=32,
    flip=True,
    images=20,
    n0=20,
    max_samples=200,
    reach=1.0,
)


def network(parameters: Parameters, dataset: data.Dataset) -> nn.Sequential:
    """Return the untrained network; the same for every noise."""
    return compact_residual(
        dataset.image_shape,
        dataset.classes,
        derive(parameters.seed, "model"),
        widths=parameters.widths,
        blocks=parameters.blocks,
    )


def precision(parameters: Parameters, dataset: data.Dataset, context: Context) -> str:
    """Return the precision to compute with, measured once where the parameters leave it open."""
    if parameters.precision != "measured":
        return parameters.precision
    # not in the witness: it compares times
    return _faster(parameters, dataset, context)


# not in the witness: it compares times
def _faster(parameters: Parameters, dataset: data.Dataset, context: Context) -> str:
    model = network(parameters, dataset)
    images = dataset.train_images[: parameters.batch_size]
    labels = dataset.train_labels[: parameters.batch_size]

    def measured() -> dict[str, Any]:
        place = context.device
        inputs = dataset.as_float(images).to(place)
        found = fast_training.faster_precision(model.to(place), inputs, labels.to(place))
        return {"precision": found}

    settings = {
        "network": models.fingerprint(model, dataset.image_shape),
        "batch_size": len(images),
        "data": dataset.digest,
    }
    return str(context.stage("precision", settings, measured)["precision"])


def recipe(parameters: Parameters, dataset: data.Dataset, context: Context) -> fast_training.Recipe:
    """Return how the networks are trained."""
    form = precision(parameters, dataset, context)
    return fast_training.Recipe.of(parameters, precision=form)


def base_classifier(
    parameters: Parameters, sigma: float, dataset: data.Dataset, context: Context
) -> tuple[nn.Module, list[float]]:
    """Train a network on images with N(0, sigma^2) noise (none for 0), or take the kept one.

    Returns it in evaluation mode, with batch normalisations folded, and its losses per epoch.
    """
    model = network(parameters, dataset)
    inputs = {
        **asdict(recipe(parameters, dataset, context)),
        "network": models.fingerprint(model, dataset.image_shape),
        "seed": parameters.seed,
        "sigma": sigma,
        "data": dataset.digest,
    }
    compute = partial(_trained, parameters, sigma, dataset, context)
    kept = context.training("residual", inputs, compute, joint=True)
    model.load_state_dict(kept["weights"])
    return folded(model).to(context.device), kept["losses"]


def _trained(
    parameters: Parameters,
    sigma: float,
    dataset: data.Dataset,
    context: Context,
    *,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    training = fast_training.Training(
        network(parameters, dataset),
        dataset.train_images,
        dataset.train_labels,
        levels=dataset.levels,
        noise=Gaussian(sigma) if sigma > 0 else None,
        recipe=recipe(parameters, dataset, context),
        seed=derive(parameters.seed, "train", str(sigma)),
        device=context.device,
    )
    return fast_training.run(
        training, checkpoint, lambda line: context.tell(f"sigma {sigma:g}, {line}")
    )


def radii(parameters: Parameters, train_sigma: float, test_sigma: float) -> list[float]:
    """Return the radii to certify: the table where both noises are equal, 0 alone elsewhere."""
    most = parameters.reach * test_sigma if train_sigma == test_sigma else 0.0
    return multiples(most)


def smoothed(
    parameters: Parameters,
    model: nn.Module,
    train_sigma: float,
    test_sigma: float,
    dataset: data.Dataset,
    context: Context,
) -> dict[str, Any]:
    """Return what `model`, smoothed with `test_sigma`, certifies, image by image.

    A `certified_table`, and "noisy": right answers to one noisy copy of each of all test images.
    """
    settings = {**asdict(parameters), "precision": precision(parameters, dataset, context)}
    for name in ("train_sigmas", "test_sigmas", "images"):
        del settings[name]
    inputs = {
        **settings,
        "data": dataset.digest,
        "network": models.fingerprint(model, dataset.image_shape),
        "train": train_sigma,
        "test": test_sigma,
    }
    table = radii(parameters, train_sigma, test_sigma)
    form = precision(parameters, dataset, context)
    certifier = Certifier(
        Executed(model, classes=dataset.classes, device=context.device, precision=form),
        Rounded(Gaussian(test_sigma), dataset.levels),
        RadiusTable(table, parameters.max_samples, n0=parameters.n0),
        seed=derive(parameters.seed, "certify", str(test_sigma)),
        alpha=parameters.alpha,
    )
    indices = evenly(len(dataset.test_labels), parameters.images)
    told = f"trained {train_sigma:g}, smoothed {test_sigma:g}"
    found = certified_table(
        *(certifier, table, dataset, indices, context, inputs),
        # not in the witness: shows how far it is
        lambda done: context.tell(f"{told}: {done} of {len(indices)} images"),
    )
    noisy = partial(_noisy, parameters, test_sigma, dataset, context, model)
    return {"sigma": test_sigma, **found, **context.stage("noisy", inputs, noisy)}


def _noisy(
    parameters: Parameters,
    sigma: float,
    dataset: data.Dataset,
    context: Context,
    model: nn.Module,
) -> dict[str, Any]:
    """Count the right answers to one noisy copy of each test image."""
    form = precision(parameters, dataset, context)
    executed = Executed(model, classes=dataset.classes, device=context.device, precision=form)
    executed.probe(dataset.image_shape)
    every = np.arange(len(dataset.test_labels))
    noise, seed = (
        Rounded(Gaussian(sigma), dataset.levels),
        derive(parameters.seed, "noisy", str(sigma)),
    )
    tally = Tally(executed, dataset.test_images, noise, every, seed=seed, stream="noisy")
    tally.draw(every, 1)
    answers = tally.counts().argmax(axis=1)
    return {"noisy": int((answers == dataset.test_labels.numpy()).sum())}


@torch.inference_mode()
def _clean(model: nn.Module, dataset: data.Dataset, context: Context) -> int:
    """Count the right answers of the base classifier to the test images as they are."""
    right = 0
    parts = (torch.split(part, 500) for part in (dataset.test_images, dataset.test_labels))
    for images, labels in zip(*parts, strict=True):
        answers = model(dataset.as_float(images).to(context.device)).argmax(dim=1).cpu()
        right += int((answers == labels).sum())
    return right


# not in the witness: for chapters, which read the values with it
def certified_counts(values: dict[str, Any]) -> dict[tuple[float, float], dict[float, int]]:
    """Return from an experiment's values how many images are right, certified at each radius.

    The keys are (sigma of the training, sigma of the smoothing); an abstention is not right.
    """
    return {
        (run["sigma"], test["sigma"]): dict(
            zip(test["radii"], right_at(test, values["labels"]), strict=True)
        )
        for run in values["runs"]
        for test in run["smoothed"]
    }


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return labels and, for each network, its losses, its right answers and its certificates."""
    dataset = data.load(parameters.dataset)
    indices = evenly(len(dataset.test_labels), parameters.images)
    runs = []
    for sigma in parameters.train_sigmas:
        model, losses = base_classifier(parameters, sigma, dataset, context)
        # The network's own noise first: what is asked for most.
        tests = sorted(parameters.test_sigmas, key=lambda test: test != sigma)
        found = [smoothed(parameters, model, sigma, test, dataset, context) for test in tests]
        clean = _clean(model, dataset, context)
        runs.append({"sigma": sigma, "losses": losses, "clean": clean, "smoothed": found})
    return {
        "data": dataset.digest,
        "precision": precision(parameters, dataset, context),
        "weights": sum(weight.numel() for weight in network(parameters, dataset).parameters()),
        "test_images": len(dataset.test_labels),
        "indices": indices.tolist(),
        "labels": dataset.test_labels[torch.from_numpy(indices)].tolist(),
        "runs": runs,
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

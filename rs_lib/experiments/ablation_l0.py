"""Networks that see few pixels, the class counts of their smoothed versions, and an attack.

The values are counts, not radii: a certificate for any α, and every curve, follows from them.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rs_lib.experiments.certified_accuracy import test_indices
from rs_lib.machines import data, models, sparse_attacks, training
from rs_lib.noise import Ablation, corrupted_shape
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Certifier, certify, from_counts, sampling


@dataclass(frozen=True)
class Parameters:
    """What to train, how much to sample, what to attack.

    A network is trained for each number of `kept` pixels. `images` test images, evenly spaced in
    the test set, get `n0` samples that select a class and `n` that count it; `alpha` is the level
    that the counts are meant for. Beside it the sequential rule places each image in the table
    of all radii within reach of `n` samples, at the same level. Of the images that the network
    with `attacked_kept` certifies with the right label, `attacked` (evenly spaced) meet a greedy
    search with `attack_views` views a step that changes 1 ... `attack_changes` pixels; `judged`
    fresh samples then measure the class probability after each change.
    """

    dataset: str
    model: str
    kept: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    images: int
    n0: int
    n: int
    alpha: float
    attacked_kept: int
    attacked: int
    attack_changes: int
    attack_views: int
    attack_tries: int
    judged: int
    seed: int

    def training_inputs(self) -> dict[str, object]:
        """Return what a trained network depends on, beside the number of pixels kept."""
        chosen = ("dataset", "model", "epochs", "batch_size", "learning_rate", "seed")
        return {name: asdict(self)[name] for name in chosen}


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="mlp",
        kept=(8, 12, 16, 24),
        epochs=60,
        batch_size=64,
        learning_rate=0.1,
        images=200,
        n0=100,
        n=1_000,
        alpha=0.05,
        attacked_kept=12,
        attacked=60,
        attack_changes=6,
        attack_views=64,
        attack_tries=4,
        judged=500,
        seed=2020,
    ),
    "full": Parameters(
        dataset="mnist",
        model="lenet",
        kept=(20, 30, 45, 60),
        epochs=20,
        batch_size=256,
        learning_rate=0.1,
        images=500,
        n0=1_000,
        n=10_000,
        alpha=0.05,
        attacked_kept=45,
        attacked=50,
        attack_changes=40,
        attack_views=128,
        attack_tries=8,
        judged=1_000,
        seed=2020,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    kept=(12, 24),
    epochs=10,
    images=100,
    n0=20,
    n=200,
    attacked_kept=24,
    attacked=8,
    attack_changes=4,
    attack_views=16,
    attack_tries=2,
    judged=100,
)


def law(kept: int, dataset: data.Dataset) -> Ablation:
    """Return the views of `kept` pixels of the images of `dataset`."""
    _, height, width = dataset.image_shape
    return Ablation(kept, height * width, dataset.levels)


def base_classifier(
    parameters: Parameters, kept: int, dataset: data.Dataset, context: Context
) -> tuple[nn.Module, list[float]]:
    """Train a network on views of `kept` pixels; return it in eval mode and its losses."""
    views = law(kept, dataset)
    channels, height, width = corrupted_shape(views, dataset.image_shape)
    shape, seed = (channels, height, width), derive(parameters.seed, "model")
    model = models.build(parameters.model, shape, dataset.classes, seed)
    inputs = {**parameters.training_inputs(), "kept": kept, "data": dataset.digest}
    inputs |= {"network": models.fingerprint(model, shape)}
    compute = partial(
        training.trained_weights,
        dataset,
        model=parameters.model,
        noise=views,
        epochs=parameters.epochs,
        batch_size=parameters.batch_size,
        learning_rate=parameters.learning_rate,
        seed=parameters.seed,
        device=context.device,
        progress=context.progress,
    )
    trained = context.training("train", inputs, compute)
    model.load_state_dict(trained["weights"])
    return model.to(context.device), trained["losses"]


def _fingerprint(model: nn.Module, views: Ablation, dataset: data.Dataset) -> str:
    channels, height, width = corrupted_shape(views, dataset.image_shape)
    return models.fingerprint(model, (channels, height, width))


def radii_in_reach(certifier: Certifier) -> list[int]:
    """Return 0, 1, ... up to the most changed pixels that unanimous samples certify."""
    return list(range(int(certifier.ceiling) + 1))


def _count(
    parameters: Parameters,
    views: Ablation,
    dataset: data.Dataset,
    context: Context,
    model: nn.Module,
    chunk: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Return the counts of the images `chunk`, and what the sequential rule made of them."""
    common: dict[str, Any] = {
        "classes": dataset.classes,
        "seed": derive(parameters.seed, "certify", str(views.kept)),
        "n0": parameters.n0,
        "alpha": parameters.alpha,
        "device": context.device,
    }
    images = dataset.test_images[torch.from_numpy(chunk)]
    certifier = Certifier(model, views, n=parameters.n, **common)
    fixed = certifier.certify(images, chunk)
    radii = radii_in_reach(certifier)
    decided = certify(
        model,
        images,
        views,
        radii=radii,
        max_samples=parameters.n,
        image_ids=chunk,
        progress=context.progress,
        **common,
    )
    return {
        "selected": fixed.selected.tolist(),
        "successes": fixed.successes.tolist(),
        "sequential": {
            "predicted": decided.predicted.tolist(),
            "radius": decided.radius.astype(int).tolist(),
            "samples": decided.samples.tolist(),
            "undecided": decided.undecided.tolist(),
        },
    }


def _counts(
    parameters: Parameters,
    views: Ablation,
    dataset: data.Dataset,
    context: Context,
    model: nn.Module,
) -> dict[str, Any]:
    """Count all images, in stages, and join what they gave."""
    indices = test_indices(len(dataset.test_labels), parameters.images)
    sizes = {"n0": parameters.n0, "n": parameters.n, "alpha": parameters.alpha}
    joined: dict[str, Any] = {"selected": [], "successes": [], "sequential": {}}
    for chunk in np.array_split(indices, max(1, len(indices) // 50)):
        inputs = {
            **parameters.training_inputs(),
            **sizes,
            "views": str(views),
            "network": _fingerprint(model, views, dataset),
            "data": dataset.digest,
            "images": chunk.tolist(),
        }
        work = partial(_count, parameters, views, dataset, context, model, chunk)
        part = context.stage("ablation-counts", inputs, work)
        for name in ("selected", "successes"):
            joined[name] += part[name]
        for name, values in part["sequential"].items():
            joined["sequential"].setdefault(name, []).extend(values)
    return joined


def _attack(
    parameters: Parameters,
    views: Ablation,
    dataset: data.Dataset,
    context: Context,
    model: nn.Module,
    counts: dict[str, Any],
) -> dict[str, Any]:
    """Attack certified images; return their counts and, after each change, those measured."""
    certified = from_counts(
        counts["selected"],
        counts["successes"],
        n0=parameters.n0,
        n=parameters.n,
        alpha=parameters.alpha,
        noise=views,
    )
    indices = test_indices(len(dataset.test_labels), parameters.images)
    right = np.flatnonzero(certified.predicted == dataset.test_labels.numpy()[indices])
    rows = right[test_indices(len(right), min(parameters.attacked, len(right)))]
    chosen = torch.from_numpy(indices[rows])
    path = sparse_attacks.greedy_pixels(
        model,
        dataset.test_images[chosen].to(context.device),
        dataset.test_labels[chosen].to(context.device),
        views,
        changes=parameters.attack_changes,
        views=parameters.attack_views,
        tries=parameters.attack_tries,
        seed=derive(parameters.seed, "attack", str(views.kept)),
    )
    measured = [
        sampling.count_classes(
            model,
            images,
            views,
            parameters.judged,
            seed=derive(parameters.seed, "judge", str(views.kept), str(step)),
            stream="estimate",
            image_ids=indices[rows],
            classes=dataset.classes,
            device=context.device,
        )[np.arange(len(rows)), certified.predicted[rows]].tolist()
        for step, images in enumerate(path)
    ]
    return {
        "image": indices[rows].tolist(),
        "base_successes": certified.successes[rows].tolist(),
        "successes": measured,
    }


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return labels, counts per number of kept pixels, and what the attack achieved."""
    dataset = data.load(parameters.dataset)
    indices = test_indices(len(dataset.test_labels), parameters.images)
    runs, attack = [], {}
    for kept in parameters.kept:
        views = law(kept, dataset)
        model, losses = base_classifier(parameters, kept, dataset, context)
        counts = _counts(parameters, views, dataset, context, model)
        runs.append({"kept": kept, "losses": losses, **counts})
        if kept == parameters.attacked_kept:
            inputs = {**asdict(parameters), "data": dataset.digest}
            inputs |= {"network": _fingerprint(model, views, dataset)}
            work = partial(_attack, parameters, views, dataset, context, model, counts)
            attack = context.stage("ablation-attack", inputs, work)
    return {
        "data": dataset.digest,
        "labels": dataset.test_labels[torch.from_numpy(indices)].tolist(),
        "runs": runs,
        "attack": attack,
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

"""Votes of models trained on noisy poisoned images, and nearest neighbours under the same noise.

Two classes of images; the attacker adds a pattern to some training images of the class that is not
the target and changes their labels. For each noise and trigger the values are votes and sums of
scores for the true label of triggered test images: what is certified follows from them. "none" is
the training set with the same labels changed and no pattern, with which certificates can be
checked. Nearest neighbours: probabilities of the true label, exact and by RAB's buckets.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray
from rs_lib.certificates import backdoor
from rs_lib.machines import data, spambase, triggers
from rs_lib.machines.ensembles import Network, NoisyData, multilayer_perceptron, votes_in_chunks
from rs_lib.noise import Gaussian
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

Attack = tuple[str, float]
"""A trigger and the l2 norm of its pattern."""

CHUNK = 100
SHRINK = {"spambase": 0.1}
"""What the official code scales the range of its buckets with; elsewhere 1."""
TARGET, OTHER = 0, 1
"""The labels of both classes once they are numbered: the attacker's target, and his victim."""


@dataclass(frozen=True)
class Neighbours:
    """Nearest neighbours in each of `datasets`: its name, and the most training examples used.

    Up to `tests` test points of each. One-pixel patterns of l2 norm `norm` on `poisoned` examples;
    in spambase the "pixel" is the first feature.
    """

    datasets: tuple[tuple[str, int], ...]
    tests: int
    sigmas: tuple[float, ...]
    neighbours: tuple[int, ...]
    buckets: int
    norm: float
    poisoned: int


@dataclass(frozen=True)
class Parameters:
    """Which images, how they are poisoned, how many models under which noise.

    `target` and `other` are the classes of the pair, `examples` training and `tests` triggered test
    images of it at most, spread evenly; `plain_models` are trained without noise.
    """

    dataset: str
    target: int
    other: int
    examples: int
    tests: int
    attacks: tuple[Attack, ...]
    poisoned: int
    sigmas: tuple[float, ...]
    models: int
    plain_models: int
    hidden: int
    epochs: int
    batch_size: int
    learning_rate: float
    nearest: Neighbours
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        target=0,
        other=1,
        examples=1000,
        tests=200,
        attacks=(("one-pixel", 1.0), ("four-pixel", 1.0), ("blending", 0.3)),
        poisoned=13,
        sigmas=(0.5, 1.0),
        models=200,
        plain_models=10,
        hidden=16,
        epochs=20,
        batch_size=32,
        learning_rate=0.01,
        nearest=Neighbours(
            datasets=(("digits", 300),),
            tests=40,
            sigmas=(0.5,),
            neighbours=(1, 3, 5),
            buckets=200,
            norm=0.3,
            poisoned=13,
        ),
        seed=2003,
    ),
    "full": Parameters(
        dataset="mnist",
        target=0,
        other=1,
        examples=2000,
        tests=200,
        attacks=(("one-pixel", 1.0), ("four-pixel", 1.0), ("blending", 0.5)),
        poisoned=20,
        sigmas=(1.0, 2.0),
        models=1000,
        plain_models=10,
        hidden=16,
        epochs=3,
        batch_size=100,
        learning_rate=0.003,
        nearest=Neighbours(
            datasets=(("mnist", 1000), ("spambase", 4000)),
            tests=60,
            sigmas=(1.0,),
            neighbours=(1, 3, 5),
            buckets=200,
            norm=0.1,
            poisoned=20,
        ),
        seed=2003,
    ),
}

# More models than fit one chunk.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    examples=200,
    tests=6,
    models=110,
    plain_models=4,
    hidden=8,
    epochs=10,
    nearest=dataclasses.replace(
        PROFILES["quick"].nearest, datasets=(("digits", 60),), tests=8, buckets=50
    ),
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two classes numbered 0 (the target) and 1: features float32 [N, d] and labels int64."""

    train_features: Tensor
    train_labels: Tensor
    test_features: Tensor
    test_labels: Tensor
    image_shape: tuple[int, int, int]
    digest: str


def evenly(size: int, most: int) -> IntArray:
    """Return int64 indices of at most `most` of `size` things, spread evenly."""
    count = min(size, most)
    return np.arange(count) * size // count


def pair(name: str, target: int, other: int, examples: int, tests: int) -> Pair:
    """Return two classes of a data set of images, up to `examples` and of each class `tests`."""
    source = data.load(name)
    parts = []
    for images, labels in (
        (source.train_images, source.train_labels),
        (source.test_images, source.test_labels),
    ):
        kept = (labels == target) | (labels == other)
        parts += [source.as_float(images[kept]).flatten(1), (labels[kept] == other).long()]
    train_features, train_labels, test_features, test_labels = parts
    train = torch.from_numpy(evenly(len(train_labels), examples))
    every = [np.flatnonzero(test_labels.numpy() == label) for label in (TARGET, OTHER)]
    test = torch.from_numpy(np.concatenate([rows[evenly(len(rows), tests)] for rows in every]))
    return Pair(
        train_features[train],
        train_labels[train],
        test_features[test],
        test_labels[test],
        source.image_shape,
        source.digest,
    )


def patterns(parameters: Parameters, images: Pair) -> dict[str, Tensor]:
    """Return the pattern of each attack, float32 [d], by the name of its trigger."""
    return {
        name: triggers.pattern(name, norm, images.image_shape).flatten()
        for name, norm in parameters.attacks
    }


def training_set(parameters: Parameters, images: Pair, trigger: str) -> tuple[Tensor, Tensor]:
    """Return features and labels as the attacker leaves them.

    `trigger` "none": the labels changed, but no pattern; "clean": nothing done.
    """
    if trigger == "clean":
        return images.train_features, images.train_labels
    shape = torch.zeros_like(images.train_features[0])
    added = patterns(parameters, images).get(trigger, shape)
    chosen = triggers.poisoned_examples(images.train_labels, TARGET, parameters.poisoned)
    return triggers.poisoned(images.train_features, images.train_labels, chosen, added, TARGET)


def tests(
    parameters: Parameters, images: Pair, trigger: str
) -> tuple[list[tuple[str, Tensor]], IntArray]:
    """Return named blocks of test features [t, d], and the true labels of the first of them.

    "clean": both classes as they are. Then victims with the trigger, or with each one for the
    training sets without a pattern.
    """
    victims = images.test_features[images.test_labels == OTHER]
    blocks = [("clean", images.test_features)]
    blocks += [
        (name, victims + added)
        for name, added in patterns(parameters, images).items()
        if trigger in (name, "none", "clean")
    ]
    return blocks, images.test_labels.numpy()


def ensemble(
    parameters: Parameters, images: Pair, trigger: str, sigma: float, context: Context
) -> dict[str, Any]:
    """Return votes for the true label: a list of counts (and of sums of scores) for each block.

    `sigma` 0 means models without noise, of which there are `plain_models`. The models against
    which certificates are checked have noise and first weights of their own.
    """
    attacked = trigger in patterns(parameters, images)
    seed = parameters.seed if attacked else derive(parameters.seed, trigger)
    features, labels = training_set(parameters, images, trigger)
    blocks, truth = tests(parameters, images, trigger)
    noisy = NoisyData(
        features,
        labels,
        torch.cat([block for _, block in blocks]),
        2,
        seed=seed,
        feature_noise=Gaussian(sigma) if sigma else None,
        test_noise="weights" if sigma else "none",
    )
    count = parameters.models if sigma else parameters.plain_models
    learner = Network(
        partial(multilayer_perceptron, features.shape[1], (parameters.hidden,), 2),
        parameters.epochs,
        parameters.batch_size,
        parameters.learning_rate,
        seed=seed,
        tile=min(25, count),
    )
    settings = {key: value for key, value in asdict(parameters).items() if key in _OF_AN_ENSEMBLE}
    made = votes_in_chunks(
        learner,
        noisy,
        count,
        chunk=CHUNK,
        stage=context.stage,
        inputs={
            **settings,
            "seed": seed,
            "trigger": trigger,
            "sigma": sigma,
            "data": images.digest,
        },
        soft=True,
        device=context.device,
        progress=context.progress,
    )
    result: dict[str, Any] = {"trigger": trigger, "sigma": sigma, "models": count, "blocks": {}}
    first = 0
    for name, block in blocks:
        rows = slice(first, first + len(block))
        first = rows.stop
        true = torch.from_numpy(truth) if name == "clean" else torch.full((len(block),), OTHER)
        votes = (made["votes"][:, rows] == true).sum(0).tolist()
        own = made["scores"][:, rows].double().sum(0)
        scores = own.gather(1, true[:, None])[:, 0].tolist()
        result["blocks"][name] = {"votes": votes, "scores": [round(score, 6) for score in scores]}
    return result


_OF_AN_ENSEMBLE = (
    *("dataset", "target", "other", "examples", "tests", "attacks", "poisoned"),
    *("hidden", "epochs", "batch_size", "learning_rate", "seed"),
)


def neighbour_points(
    parameters: Parameters, name: str, examples: int
) -> tuple[Tensor, IntArray, Tensor, IntArray, str]:
    """Return poisoned training features and labels, triggered tests and labels, and a digest.

    Labels are 1 for the victims. In spambase these are spam, and the pattern is on one feature.
    """
    settings = parameters.nearest
    if name == "spambase":  # not in the witness: the data set is not to be had everywhere
        source = spambase.load()
        features, labels, test_features, test_labels = (
            *(source.train_features, source.train_labels),
            *(source.test_features, source.test_labels),
        )
        digest, added = source.digest, torch.zeros(features.shape[1], dtype=features.dtype)
        added[0] = settings.norm
        train = torch.from_numpy(evenly(len(labels), examples))
        features, labels = features[train], labels[train]
    else:
        images = pair(name, parameters.target, parameters.other, examples, settings.tests)
        features, labels = images.train_features, images.train_labels
        test_features, test_labels, digest = images.test_features, images.test_labels, images.digest
        added = triggers.pattern("one-pixel", settings.norm, images.image_shape).flatten()
    chosen = triggers.poisoned_examples(labels, TARGET, settings.poisoned)
    features, labels = triggers.poisoned(features, labels, chosen, added, TARGET)
    moved = torch.where((test_labels == OTHER)[:, None], test_features + added, test_features)
    kept = torch.from_numpy(evenly(len(moved), settings.tests))
    return features, labels.numpy(), moved[kept], test_labels[kept].numpy(), digest


def neighbours(parameters: Parameters, name: str, examples: int, sigma: float) -> dict[str, Any]:
    """Return the probability of the true label of each test point, exact and by buckets.

    "exact" has a list for each number of neighbours. "bucketed" is the approximation with one
    neighbour, "bucketed reversed" the same with the training points in the opposite order, of
    which the exact probability knows nothing.
    """
    settings = parameters.nearest
    train, labels, test, truth, _ = neighbour_points(parameters, name, examples)
    points = np.asarray(train, dtype=float), np.asarray(test, dtype=float)
    rows = np.arange(len(truth))
    exact = {
        str(k): backdoor.nearest_neighbours_label_probabilities(
            points[0], labels, points[1], sigma, k
        )[rows, truth].tolist()
        for k in settings.neighbours
    }
    rounded = {}
    for key, step in (("bucketed", 1), ("bucketed reversed", -1)):
        each = backdoor.bucketed_nearest_neighbour_probabilities(
            points[0][::step], points[1], sigma, settings.buckets, SHRINK.get(name, 1.0)
        )
        own = labels[::step] == truth[:, None]
        rounded[key] = np.clip((each * own).sum(axis=1), 0, 1).tolist()
    return {
        "dataset": name,
        "sigma": sigma,
        "examples": len(labels),
        "features": int(train.shape[1]),
        "labels": truth.tolist(),
        "exact": exact,
        **rounded,
    }


def _compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    images = pair(*(getattr(parameters, name) for name in _OF_AN_ENSEMBLE[:5]))
    training_set(parameters, images, "none")
    # What cannot be had or poisoned is told before any model is trained.
    digests = {
        source: neighbour_points(parameters, *source)[-1] for source in parameters.nearest.datasets
    }
    names = [name for name, _ in parameters.attacks]
    runs = [
        ensemble(parameters, images, trigger, sigma, context)
        for sigma in (0.0, *parameters.sigmas)
        for trigger in ("clean", "none", *names)
        if sigma == 0 or trigger != "clean"
    ]
    near = []
    for (name, examples), digest in digests.items():
        for sigma in parameters.nearest.sigmas:
            inputs = {**asdict(parameters.nearest), "set": name, "sigma": sigma, "data": digest}
            inputs |= {"target": parameters.target, "other": parameters.other}
            work = partial(neighbours, parameters, name, examples, sigma)
            near.append(context.stage("neighbours", inputs, work))
    labels = images.train_labels
    return {
        "images": {
            "examples": len(labels),
            "victims": int((labels == OTHER).sum()),
            "tests": int((images.test_labels == OTHER).sum()),
            "clean_tests": len(images.test_labels),
            "features": int(images.train_features.shape[1]),
        },
        "ensembles": runs,
        "neighbours": near,
    }


experiment = Experiment(__name__, PROFILES, _compute, witness=WITNESS)

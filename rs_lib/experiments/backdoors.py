"""Votes of ensembles trained on flipped training sets, clean and under backdoor attacks.

The values are numbers of votes for each test image and class: every certificate, for any level,
follows from them.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, one_of
from rs_lib.machines import backdoor_attack, data
from rs_lib.machines.ensembles import (
    NaiveBayes,
    NearestNeighbour,
    Network,
    NoisyData,
    Ridge,
    multilayer_perceptron,
    votes_in_chunks,
)
from rs_lib.machines.ensembles.votes import Learner
from rs_lib.machines.subsets import evenly, of_classes
from rs_lib.noise import Flip
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

LEARNERS = ("perceptron", "naive Bayes", "nearest neighbour", "ridge")
TASKS = ("pair", "ten")


class Run(NamedTuple):
    """An ensemble: how its models learn and what, the keeps of its noise, how many models."""

    learner: str
    task: str
    examples: int
    keep: str
    label_keep: str
    models: int


class Attack(NamedTuple):
    """An attack: "trigger" or "test pixels", its pixels, and the training images it poisons."""

    kind: str
    pixels: int
    images: int


@dataclass(frozen=True)
class Parameters:
    """Which ensembles to train, and the attacks on one of them.

    "pair" tells the two classes of `pair` apart, "ten" all. Images are 1 above half of the
    levels, else 0; training and test images (`tests` for each task) are evenly spaced in those
    of the task. Votes of the first 1,000 models and of all are counted. `attacked` is the run
    that meets the `attacks`: its test images of the first class are to be taken for the second.
    A run holds the values of a `Run`, an attack those of an `Attack`.
    """

    dataset: str
    pair: tuple[int, int]
    runs: tuple[tuple[str, str, int, str, str, int], ...]
    tests: int
    hidden: int
    epochs: int
    batch_size: int
    learning_rate: float
    penalty: float
    attacked: tuple[str, str, int, str, str, int]
    attacks: tuple[tuple[str, int, int], ...]
    chunk: int
    seed: int


# not in the witness: makes the profiles, on import
def _pairs(learners: tuple[str, ...], keeps: tuple[str, ...], examples: int, models: int) -> Any:
    return tuple(
        (learner, "pair", examples, keep, keep, models) for learner in learners for keep in keeps
    )


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        pair=(1, 7),
        runs=(
            *_pairs(LEARNERS[1:], ("0.95", "0.9", "0.8", "0.7", "0.6"), 100, 1_000),
            *_pairs(LEARNERS[:1], ("0.95", "0.9", "0.8", "0.7", "0.6"), 100, 500),
            ("naive Bayes", "ten", 1_000, "0.9", "0.9", 1_000),
            ("naive Bayes", "ten", 1_000, "0.9", "0.5", 1_000),
            ("naive Bayes", "ten", 1_000, "0.8", "0.4", 1_000),
        ),
        tests=200,
        hidden=32,
        epochs=20,
        batch_size=50,
        learning_rate=5e-3,
        penalty=100.0,
        attacked=("naive Bayes", "pair", 100, "0.9", "0.9", 1_000),
        attacks=(
            ("trigger", 0, 1),
            ("trigger", 1, 0),
            ("trigger", 1, 1),
            ("trigger", 2, 2),
            ("trigger", 4, 5),
            ("trigger", 4, 10),
            ("trigger", 4, 20),
            ("trigger", 0, 2),
            ("trigger", 0, 5),
            ("trigger", 0, 10),
            ("trigger", 0, 20),
            ("trigger", 0, 30),
            ("test pixels", 1, 0),
            ("test pixels", 2, 0),
            ("test pixels", 4, 0),
            ("test pixels", 8, 0),
            ("test pixels", 12, 0),
        ),
        chunk=1_000,
        seed=2020,
    ),
    "full": Parameters(
        dataset="mnist",
        pair=(1, 7),
        runs=(
            *_pairs(LEARNERS, ("0.9", "0.8", "0.7", "0.6"), 100, 1_000),
            *_pairs(("naive Bayes",), ("0.9", "0.8", "0.7"), 100, 10_000),
            *_pairs(("perceptron",), ("0.9",), 100, 10_000),
            *_pairs(("naive Bayes",), ("0.8", "0.7", "0.6"), 1_000, 1_000),
            *_pairs(("perceptron",), ("0.8",), 1_000, 1_000),
            ("perceptron", "ten", 100, "0.9", "0.5", 1_000),
            ("naive Bayes", "ten", 100, "0.9", "0.9", 1_000),
            ("naive Bayes", "ten", 1_000, "0.9", "0.9", 1_000),
            ("naive Bayes", "ten", 1_000, "0.9", "0.5", 1_000),
            ("naive Bayes", "ten", 1_000, "0.8", "0.4", 1_000),
        ),
        tests=250,
        hidden=32,
        epochs=20,
        batch_size=100,
        learning_rate=1e-3,
        penalty=100.0,
        attacked=("naive Bayes", "pair", 100, "0.8", "0.8", 1_000),
        attacks=(
            ("trigger", 0, 1),
            ("trigger", 1, 1),
            ("trigger", 2, 2),
            ("trigger", 4, 5),
            ("trigger", 4, 10),
            ("trigger", 4, 20),
            ("trigger", 0, 5),
            ("trigger", 0, 10),
            ("trigger", 0, 20),
            ("test pixels", 1, 0),
            ("test pixels", 2, 0),
            ("test pixels", 4, 0),
            ("test pixels", 8, 0),
            ("test pixels", 16, 0),
            ("test pixels", 32, 0),
        ),
        chunk=1_000,
        seed=2020,
    ),
}

# What the full profile leaves out of the grid of tasks, training images and numbers of models.
PROFILES["grid"] = dataclasses.replace(
    PROFILES["full"],
    runs=(
        *_pairs(("naive Bayes",), ("0.9", "0.8", "0.7"), 1_000, 10_000),
        *_pairs(("perceptron",), ("0.8",), 100, 10_000),
        *_pairs(("perceptron",), ("0.9",), 1_000, 1_000),
        ("naive Bayes", "ten", 100, "0.9", "0.5", 10_000),
        ("naive Bayes", "ten", 100, "0.8", "0.4", 10_000),
        ("naive Bayes", "ten", 1_000, "0.9", "0.5", 10_000),
        ("naive Bayes", "ten", 1_000, "0.8", "0.4", 10_000),
    ),
    attacks=(("trigger", 0, 1),),
)

# One run has more than 1,000 models: its votes are counted twice, and come in several chunks.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    runs=(
        *_pairs(LEARNERS, ("0.9",), 40, 50),
        ("naive Bayes", "pair", 40, "0.8", "0.8", 1_100),
        ("naive Bayes", "ten", 100, "0.9", "0.5", 50),
        ("perceptron", "ten", 100, "0.9", "0.5", 50),
    ),
    tests=20,
    hidden=8,
    epochs=10,
    attacked=("naive Bayes", "pair", 40, "0.9", "0.9", 50),
    attacks=(
        ("trigger", 0, 5),
        ("trigger", 1, 0),
        ("trigger", 4, 5),
        ("test pixels", 4, 0),
    ),
    chunk=500,
)


@dataclass(frozen=True, eq=False)
class Task:
    """Binary images and classes of a task: uint8 [n, d] and int64 [n], for training and test."""

    train_features: Tensor
    train_labels: Tensor
    test_features: Tensor
    test_labels: Tensor
    classes: int


def task(parameters: Parameters, name: str, examples: int, dataset: data.Dataset) -> Task:
    """Return a task with `examples` training images.

    Raises ValueError for an unknown name or more images than there are.
    """
    one_of("name", name, TASKS)

    def chosen(images: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
        if name == "pair":
            images, labels = of_classes(images, labels, parameters.pair)
        rows = torch.from_numpy(evenly(len(labels), count))
        return (images[rows].flatten(1) > dataset.levels // 2).to(torch.uint8), labels[rows]

    classes = 2 if name == "pair" else dataset.classes
    train = chosen(dataset.train_images, dataset.train_labels, examples)
    test = chosen(dataset.test_images, dataset.test_labels, parameters.tests)
    return Task(*train, *test, classes)


def learner(parameters: Parameters, name: str, features: int, classes: int) -> Learner:
    """Return a learning algorithm for ensembles; ValueError for one that is unknown."""
    one_of("name", name, LEARNERS)
    if name == "perceptron":
        build = partial(multilayer_perceptron, features, (parameters.hidden,), classes)
        return Network(
            build,
            parameters.epochs,
            parameters.batch_size,
            parameters.learning_rate,
            derive(parameters.seed, "network"),
        )
    closed: dict[str, Learner] = {
        "naive Bayes": NaiveBayes(),
        "nearest neighbour": NearestNeighbour(),
        "ridge": Ridge(parameters.penalty),
    }
    return closed[name]


def votes(
    parameters: Parameters, run: Run, own: Task, context: Context, inputs: dict[str, object]
) -> Tensor:
    """Return int8 [models, tests]: the vote of every model on its own copy of every test image.

    `inputs` name what `own` was made of, for the stages that an interrupted run has kept.
    """
    noisy = NoisyData(
        own.train_features,
        own.train_labels,
        own.test_features,
        own.classes,
        seed=derive(parameters.seed, "noise", *(str(value) for value in inputs.values())),
        feature_noise=Flip(run.keep),  # type: ignore[arg-type]
        label_noise=Flip(run.label_keep, own.classes - 1),  # type: ignore[arg-type]
        test_noise="each",
    )
    method = learner(parameters, run.learner, own.train_features.shape[1], own.classes)
    settings = {key: value for key, value in asdict(parameters).items() if key not in _LISTS}
    return votes_in_chunks(
        method,
        noisy,
        run.models,
        chunk=parameters.chunk,
        stage=context.stage,
        inputs={**settings, **inputs, "run": list(run[:-1])},
        device=context.device,
        progress=context.progress,
    )["votes"]


_LISTS = ("runs", "attacked", "attacks", "chunk")


def counted(cast: Tensor, classes: int) -> list[list[int]]:
    """Return the number of `cast` votes [models, tests] for each test image and class."""
    found = [(cast == label).sum(0) for label in range(classes)]
    counts: list[list[int]] = torch.stack(found, dim=1).tolist()
    return counts


def clean(
    parameters: Parameters, run: Run, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    """Return the counts of a run, by the number of models, and the single models' accuracy."""
    own = task(parameters, run.task, run.examples, dataset)
    cast = votes(parameters, run, own, context, {"data": dataset.digest, "attack": "none"})
    sizes = sorted({min(1_000, run.models), run.models})
    return {
        "run": list(run),
        "right": int((cast == own.test_labels).sum()),
        "counts": {str(size): counted(cast[:size], own.classes) for size in sizes},
    }


def changed_by(
    parameters: Parameters, attack: Attack, dataset: data.Dataset
) -> backdoor_attack.Attacked:
    """Return what an attack leaves; ValueError for more images or pixels than there are."""
    run = Run(*parameters.attacked)
    own = task(parameters, run.task, run.examples, dataset)
    arrays = (own.train_features, own.train_labels, own.test_features[own.test_labels == 0])
    pixels, images = attack.pixels, attack.images
    if attack.kind == "trigger":
        return backdoor_attack.trigger(*arrays, pixels=pixels, images=images, source=0, target=1)
    return backdoor_attack.test_pixels(*arrays, pixels=pixels, source=0, target=1)


def under_attack(
    parameters: Parameters, attack: Attack, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    """Return cost and counts of each test image of the first class after an attack."""
    run, changed = Run(*parameters.attacked), changed_by(parameters, attack, dataset)
    classes = task(parameters, run.task, 1, dataset).classes
    poisoned = Task(
        changed.train_features,
        changed.train_labels,
        changed.test_features,
        torch.zeros(len(changed.test_features), dtype=torch.int64),
        classes,
    )
    inputs: dict[str, object] = {"data": dataset.digest, "attack": list(attack)}
    cast = votes(parameters, run, poisoned, context, inputs)
    return {
        "attack": list(attack),
        "cost": changed.cost.tolist(),
        "counts": counted(cast, classes),
    }


def _compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    dataset = data.load(parameters.dataset)
    # An attack that cannot be made is told before any model is trained.
    attacks = [Attack(*attack) for attack in parameters.attacks]
    for attack in attacks:
        changed_by(parameters, attack, dataset)
    runs, attacked = [Run(*run) for run in parameters.runs], Run(*parameters.attacked)
    labels = {
        name: task(parameters, name, 1, dataset).test_labels.tolist()
        for name in TASKS
        if any(run.task == name for run in runs)
    }
    return {
        "labels": labels,
        "runs": [clean(parameters, run, dataset, context) for run in runs],
        "attacked": clean(parameters, attacked, dataset, context)
        | {"labels": task(parameters, attacked.task, 1, dataset).test_labels.tolist()},
        "attacks": [under_attack(parameters, attack, dataset, context) for attack in attacks],
    }


@dataclass(frozen=True, eq=False)
class Votes:
    """What the models of a run voted on the test images of its task.

    `labels` int64 [tests]; `right`: votes of single models for them; `counts`: by the number of
    models, votes for each class, int64 [tests, classes].
    """

    run: Run
    labels: IntArray
    right: int
    counts: dict[int, IntArray]


@dataclass(frozen=True, eq=False)
class UnderAttack:
    """What models that met an attack voted on the test images of the first class.

    `cost`: changed entries, int64 [tests]; `counts`: votes for each class, int64 [tests, classes].
    """

    attack: Attack
    cost: IntArray
    counts: IntArray


@dataclass(frozen=True)
class Values:
    """The values of a result: all runs, the one that was attacked, and the attacks on it."""

    runs: list[Votes]
    attacked: Votes
    attacks: list[UnderAttack]

    @classmethod
    # not in the witness: for chapters, which read the values with it
    def read(cls, values: dict[str, Any]) -> "Values":
        """Return the `values` of a result under their names."""

        def cast(run: dict[str, Any], labels: list[int]) -> Votes:
            counts = {int(size): np.array(table) for size, table in run["counts"].items()}
            return Votes(Run(*run["run"]), np.array(labels), run["right"], counts)

        return cls(
            [cast(run, values["labels"][run["run"][1]]) for run in values["runs"]],
            cast(values["attacked"], values["attacked"]["labels"]),
            [
                UnderAttack(
                    Attack(*entry["attack"]), np.array(entry["cost"]), np.array(entry["counts"])
                )
                for entry in values["attacks"]
            ],
        )


experiment = Experiment(__name__, PROFILES, _compute, witness=WITNESS)

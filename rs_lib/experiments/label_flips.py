"""Ridge regression on features without labels: flips it withstands, with and without smoothing.

Two problems on one data set: two digits, and all ten. On a part of the training set that is held
out the penalty is chosen; on test images the rule is certified. The values are, for each test
image, what certificates are made from: whether the answers are right, the exact radius without
noise, and Chernoff bounds on the log failure under noise, rounded up.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rs_lib import bars
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.certificates import label_flip, smoothed_linear
from rs_lib.machines import data, features, ridge
from rs_lib.machines.subsets import evenly, of_classes
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

_CHUNK = 50  # test images of one stage


@dataclass(frozen=True)
class Problem:
    """Which `digits` to tell apart, with which label noise, on how many images.

    `flips` are probabilities that a label is replaced, as exact decimals. Of the test images
    `tested`, evenly spaced, are certified at the chosen penalty. Of the held-out training images
    `swept` are certified at every penalty: without noise, and with the noise of `swept_flips`.
    """

    digits: tuple[int, ...]
    flips: tuple[str, ...]
    tested: int
    swept: int
    swept_flips: tuple[str, ...]


@dataclass(frozen=True)
class Parameters:
    """The features, the penalties to choose from, the two problems.

    `features` centres are learned from all training images of a problem. Every fifth training
    image is held out to choose among the `penalties` whose accuracy there is within `sacrifice`
    of the best: the one whose rule without noise withstands most flips in the mean, wrong answers
    counting 0. Then all training images serve.
    """

    dataset: str
    features: int
    penalties: tuple[float, ...]
    sacrifice: float
    two: Problem
    ten: Problem
    seed: int


_TWO = ("0.01", "0.05", "0.1", "0.2", "0.4")
_TEN = ("0.0125", "0.05", "0.2", "0.5")
_ALL = tuple(range(10))

PROFILES = {
    "quick": Parameters(
        dataset="digits",
        features=100,
        penalties=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
        sacrifice=0.01,
        two=Problem((1, 7), _TWO, tested=500, swept=500, swept_flips=("0.01", "0.1")),
        ten=Problem(_ALL, _TEN, tested=150, swept=60, swept_flips=()),
        seed=2020,
    ),
    "full": Parameters(
        dataset="mnist",
        features=500,
        penalties=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
        sacrifice=0.01,
        two=Problem((1, 7), _TWO, tested=2163, swept=200, swept_flips=("0.01", "0.1")),
        ten=Problem(_ALL, _TEN, tested=400, swept=50, swept_flips=()),
        seed=2020,
    ),
}

# More test images than fit one stage; of the penalties the chosen one is not the most accurate.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    features=30,
    penalties=(0.001, 0.1, 10.0),
    sacrifice=0.05,
    two=dataclasses.replace(
        PROFILES["quick"].two, flips=("0.05", "0.2"), tested=60, swept=10, swept_flips=("0.1",)
    ),
    ten=dataclasses.replace(PROFILES["quick"].ten, flips=("0.05", "0.5"), tested=60, swept=10),
)


@dataclass(frozen=True)
class Split:
    """Images, pixels in a row, and labels 0 ... classes - 1 in the order of the digits."""

    train: npt.NDArray[np.float32]
    train_labels: IntArray
    test: npt.NDArray[np.float32]
    test_labels: IntArray


def split(digits: tuple[int, ...], dataset: data.Dataset) -> Split:
    """Return the images of `digits`."""
    parts: list[Any] = []
    for images, labels in (
        (dataset.train_images, dataset.train_labels),
        (dataset.test_images, dataset.test_labels),
    ):
        chosen, places = of_classes(images, labels, digits)
        parts += [dataset.as_float(chosen).flatten(1).numpy(), places.numpy()]
    return Split(*parts)


def held_out(images: int) -> npt.NDArray[np.bool_]:
    """Return which of the training images choose the penalty: every fifth."""
    fifth: npt.NDArray[np.bool_] = np.arange(images) % 5 == 4
    return fifth


def centres(
    parameters: Parameters, digits: tuple[int, ...], parts: Split, context: Context
) -> features.Centres:
    """Return the centres learned from the training images of `digits`."""
    seed = derive(parameters.seed, "centres", len(digits))
    inputs = {"dataset": parameters.dataset, "digits": digits, "seed": seed}
    inputs |= {"features": parameters.features}
    compute = partial(_centres, parts.train, parameters.features, seed)
    kept = context.stage("label-flips-centres", inputs, compute)
    return features.Centres(kept["places"].numpy())


def _centres(images: npt.NDArray[np.float32], count: int, seed: int) -> dict[str, Any]:
    return {"places": torch.from_numpy(features.learn_centres(images, count, seed).places)}


def upwards(logs: FloatArray) -> list[float]:
    """Return logs of bounds rounded up to two decimals, so that what they certify stays true."""
    capped = np.maximum(logs, -1e9)
    rounded = np.ceil(capped * 100) / 100
    return [float(value) for value in np.where(rounded < capped, rounded + 0.01, rounded)]


def certified(
    weights: FloatArray, labels: IntArray, truth: IntArray, flips: tuple[str, ...], classes: int
) -> dict[str, Any]:
    """Return what the rule of `weights` [tests, n] on `labels` [n] withstands at each test point.

    "right" and "exact": whether the rule without noise answers `truth`, and how many flips that
    answer withstands. "noisy" holds for each flip probability "right" and "log_failure", the
    Chernoff bound; for two classes also "low" and "high", between which lie the flips that the
    smoothed rule withstands in truth.
    """
    if classes == 2:
        exact = label_flip.ridge_flip_radius(weights, labels)
        answers = (weights @ labels >= 0.5).astype(np.int64)
    else:
        exact = label_flip.ridge_flip_radius_classes(weights, labels, classes)
        answers = (weights @ np.eye(classes)[labels]).argmax(axis=1)
    noisy: list[dict[str, Any]] = []
    for flip in flips:
        if classes == 2:
            mean, logs = label_flip.chernoff_log_failure(weights, labels, flip)
            _, low, high = smoothed_linear.flip_radius_bracket(weights, labels, flip)
            row = {"low": low.tolist(), "high": high.tolist()}
        else:
            mean, logs = label_flip.chernoff_log_failure_classes(weights, labels, flip, classes)
            row = {}
        noisy.append({"right": _ones(mean == truth), "log_failure": upwards(logs), **row})
    return {"right": _ones(answers == truth), "exact": exact.tolist(), "noisy": noisy}


def _ones(values: npt.NDArray[np.bool_]) -> list[int]:
    return [int(value) for value in values]


def swept(
    penalties: tuple[float, ...],
    sacrifice: float,
    problem: Problem,
    points: FloatArray,
    labels: IntArray,
    progress: bool,
) -> dict[str, Any]:
    """Return accuracy and certificates on the held-out training images, for every penalty.

    "chosen" is the place of the penalty to use (see `Parameters`). `points` [n, k] and `labels`
    [n] are the features and labels of all training images.
    """
    held = held_out(len(points))
    regression = ridge.fit(points[~held])
    known, truth, classes = labels[~held], labels[held], len(problem.digits)
    shown = points[held]
    chosen = evenly(len(shown), problem.swept)
    runs: list[dict[str, Any]] = []
    gains = []
    for penalty in bars.bar(penalties, disable=not progress, desc="penalties"):
        answers = regression.scores(shown, np.eye(classes)[known], penalty).argmax(axis=1)
        weights = regression.weights(shown[chosen], penalty)
        images = certified(weights, known, truth[chosen], problem.swept_flips, classes)
        runs.append({"right": int((answers == truth).sum()), "images": images})
        gains.append(int(np.dot(images["right"], images["exact"])))
    enough = max(run["right"] for run in runs) - sacrifice * len(shown)
    allowed = [i for i, run in enumerate(runs) if run["right"] >= enough]
    return {"held": len(shown), "runs": runs, "chosen": max(allowed, key=gains.__getitem__)}


def cluster(parameters: Parameters, parts: Split) -> dict[str, int]:
    """Return the votes of the rule of two clusters, in which every label weighs the same.

    Of the two ways to name the clusters, "agree" training labels are for the one that most are
    for, and by it "right" test images are answered right.
    """
    found = features.two_clusters(parts.train, derive(parameters.seed, "two clusters"))
    sides = [found.distances(images).argmin(axis=1) for images in (parts.train, parts.test)]
    agree = int((sides[0] == parts.train_labels).sum())
    right = int((sides[1] == parts.test_labels).sum())
    if 2 * agree < len(parts.train):
        agree, right = len(parts.train) - agree, len(parts.test) - right
    return {"agree": agree, "right": right}


def _measured(
    parameters: Parameters, problem: Problem, parts: Split, context: Context
) -> dict[str, Any]:
    inputs = {**asdict(parameters), "digits": problem.digits}
    learned = centres(parameters, problem.digits, parts, context)
    points, shown = learned(parts.train), learned(parts.test)
    choice = (parameters.penalties, parameters.sacrifice, problem)
    compute = partial(swept, *choice, points, parts.train_labels, context.progress)
    sweep = context.stage("label-flips-sweep", inputs, compute)
    penalty = parameters.penalties[sweep["chosen"]]
    regression, classes = ridge.fit(points), len(problem.digits)
    answers = regression.scores(shown, np.eye(classes)[parts.train_labels], penalty).argmax(axis=1)
    chosen = evenly(len(shown), problem.tested)
    pieces = []
    starts = range(0, len(chosen), _CHUNK)
    for i in bars.bar(starts, disable=not context.progress, desc=f"test images, {classes} classes"):
        rows = chosen[i : i + _CHUNK]
        compute = partial(_certified_rows, regression, shown[rows], penalty, parts, problem, rows)
        pieces.append(context.stage("label-flips", {**inputs, "rows": rows.tolist()}, compute))
    return {
        "train": len(parts.train),
        "test": len(parts.test),
        "right": int((answers == parts.test_labels).sum()),
        "sweep": sweep,
        "images": {
            **joined(pieces, ("right", "exact")),
            "noisy": [
                joined([piece["noisy"][f] for piece in pieces], tuple(pieces[0]["noisy"][f]))
                for f in range(len(problem.flips))
            ],
        },
    }


def joined(pieces: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the lists at `keys` of all `pieces`, each joined in their order."""
    return {key: [value for piece in pieces for value in piece[key]] for key in keys}


def _certified_rows(
    regression: ridge.Ridge,
    points: FloatArray,
    penalty: float,
    parts: Split,
    problem: Problem,
    rows: IntArray,
) -> dict[str, Any]:
    weights = regression.weights(points, penalty)
    truth = parts.test_labels[rows]
    return certified(weights, parts.train_labels, truth, problem.flips, len(problem.digits))


def _compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    dataset = data.load(parameters.dataset)
    problems = {"two": parameters.two, "ten": parameters.ten}
    splits = {name: split(problem.digits, dataset) for name, problem in problems.items()}
    fewest = min(len(parts.train) for parts in splits.values())
    if parameters.features > fewest:  # not in the witness: an error
        raise ValueError(
            f"parameter features is {parameters.features}: give at most {fewest}, the training "
            "images of a problem"
        )
    values: dict[str, Any] = {}
    for name, problem in problems.items():
        parts = splits[name]
        values[name] = _measured(parameters, problem, parts, context)
        if name == "two":
            values["cluster"] = cluster(parameters, parts)
    return values


experiment = Experiment(__name__, PROFILES, _compute, witness=WITNESS)

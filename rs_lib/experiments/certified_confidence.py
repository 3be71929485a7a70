"""Mean scores under noise: histograms of scores, of margins and of pairs, votes and coins.

A network trained under noise is sampled on each test image. A pilot chooses the class and its
nearest rivals; then the scores of other samples are counted in histograms, so that every
certificate of a mean score can be had from the same samples. The values are counts.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from math import log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.certificates import confidence, gaussian
from rs_lib.machines import data, models
from rs_lib.machines.base_classifiers import Recipe, base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded, noisy_images
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Executed
from rs_lib.statistics import bands, clopper_pearson_lower, lead_bounds

CHUNK = 25
"""Images of a resumable stage."""


@dataclass(frozen=True)
class Parameters(Recipe):
    """What to train and how much to sample.

    One network for each of `sigmas`, smoothed with the same noise. `images` test images, evenly
    spaced, get `n0` samples that choose the class A and its `rivals` nearest rivals, and `n` that
    count. Scores in [0, 1] and differences in [-1, 1] are rounded down to `levels` steps. `alpha`
    is the error of each certificate. The network computes scores in `precision`.
    """

    sigmas: tuple[float, ...]
    images: int
    n0: int
    n: int
    rivals: int
    levels: int
    alpha: float
    precision: str


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="small-cnn",
        epochs=12,
        batch_size=64,
        learning_rate=0.1,
        sigmas=(0.5, 0.25),
        images=100,
        n0=100,
        n=10_000,
        rivals=2,
        levels=1_024,
        alpha=0.001,
        precision="float32",
        seed=2020,
    ),
    "full": Parameters(
        dataset="mnist",
        model="lenet",
        epochs=10,
        batch_size=256,
        learning_rate=0.1,
        sigmas=(0.5,),
        images=1_000,
        n0=100,
        n=100_000,
        rivals=2,
        levels=256,
        alpha=0.001,
        precision="bfloat16",
        seed=2020,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"], epochs=2, sigmas=(0.5,), images=30, n0=10, n=200, levels=64
)


def scores(
    base: Executed, images: Tensor, row: int, n: int, noise: Rounded, key: int
) -> FloatArray:
    """Return the scores of `n` noisy copies of `images[row]`, float64 [n, C]."""
    parts = []
    for first in range(0, n, base.tile):
        # The tail of the last tile repeats a sample and is not counted.
        samples = np.minimum(np.arange(first, first + base.tile), n - 1)
        rows = np.full(base.tile, row)
        noisy = noisy_images(noise, images, rows, rows, samples, key=key)
        parts.append(base.scores(noisy)[: n - first].cpu().numpy())
    return np.concatenate(parts)


def _histogram(values: FloatArray, low: float, high: float, levels: int) -> list[list[int]]:
    """Return the steps that occur, of `levels` from `low` to `high`, and how often each does."""
    steps = np.floor((values - low) / (high - low) * levels).astype(np.int64)
    counts = np.bincount(steps, minlength=levels + 1)
    (seen,) = np.nonzero(counts)
    return [seen.tolist(), counts[seen].tolist()]


def counted(pilot: FloatArray, drawn: FloatArray, parameters: Parameters, key: int) -> Any:
    """Return what is stored of one image, from scores [n0, C] and [n, C] of its samples."""
    order = np.argsort(-pilot.mean(axis=0), kind="stable")
    chosen, near, rest = order[0], order[1 : 1 + parameters.rivals], order[1 + parameters.rivals :]
    own = drawn[:, chosen]
    groups = [own - drawn[:, rival] for rival in near] + [own - drawn[:, rest].max(axis=1)]
    classes = drawn.shape[1]
    votes = [np.bincount(part.argmax(axis=1), minlength=classes) for part in (pilot, drawn)]
    coins = np.random.default_rng(key).random(len(own)) < own
    levels = parameters.levels
    return {
        "chosen": int(chosen),
        "voted": int(votes[0].argmax()),
        "mean": float(own.mean()),
        "coins": int(coins.sum()),
        "votes": votes[1].tolist(),
        "score": _histogram(own, 0.0, 1.0, levels),
        "margin": _histogram(np.min(groups, axis=0), -1.0, 1.0, levels),
        "groups": [_histogram(group, -1.0, 1.0, levels) for group in groups],
    }


def _part(
    parameters: Parameters,
    base: Executed,
    sigma: float,
    images: Tensor,
    rows: npt.NDArray[np.int64],
    levels: int,
) -> dict[str, Any]:
    noise = Rounded(Gaussian(sigma), levels)
    entries = []
    for row in rows.tolist():
        pilot, drawn = (
            scores(base, images, row, n, noise, derive(parameters.seed, stream))
            for n, stream in ((parameters.n0, "pilot"), (parameters.n, "count"))
        )
        key = derive(parameters.seed, "coin", str(sigma), row)
        entries.append(counted(pilot, drawn, parameters, key))
    return {"images": entries}


def _run(
    parameters: Parameters,
    sigma: float,
    dataset: data.Dataset,
    asked: npt.NDArray[np.int64],
    context: Context,
) -> dict[str, Any]:
    """Return what is counted under the noise of `sigma`, of the test images `asked`."""
    network, losses = base_classifier(parameters, Gaussian(sigma), dataset, context)
    base = Executed(
        network, classes=dataset.classes, device=context.device, precision=parameters.precision
    )
    base.probe(dataset.image_shape)
    images = dataset.test_images[torch.from_numpy(asked)].to(context.device)
    names = ("n0", "n", "rivals", "levels", "precision", "seed")
    settled = {name: getattr(parameters, name) for name in names} | {
        "data": dataset.digest,
        "network": models.fingerprint(network, dataset.image_shape),
        "sigma": sigma,
        "of": len(asked),
    }
    works = [
        (
            {**settled, "images": rows.tolist()},
            partial(_part, parameters, base, sigma, images, rows, dataset.levels),
        )
        for rows in np.array_split(np.arange(len(asked)), max(1, len(asked) // CHUNK))
    ]
    made = context.stages(
        "scores",
        works,
        # not in the witness: shows how far it is
        lambda done: context.tell(f"sigma {sigma:g}: {done} of {len(works)} parts"),
    )
    found = [entry for part in made for entry in part["images"]]
    return {"sigma": sigma, "losses": losses, "images": found}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the labels and, for each noise, the counts of each image."""
    dataset = data.load(parameters.dataset)
    asked = evenly(len(dataset.test_labels), parameters.images)
    return {
        "data": dataset.digest,
        "labels": dataset.test_labels[asked].tolist(),
        "runs": [_run(parameters, sigma, dataset, asked, context) for sigma in parameters.sigmas],
    }


# not in the witness: for chapters, which read the values with it
def histograms(entries: list[list[list[int]]], levels: int) -> IntArray:
    """Return histograms as counts of all steps, int64 [entries, levels + 1]."""
    full = np.zeros((len(entries), levels + 1), dtype=np.int64)
    for row, (steps, counts) in zip(full, entries, strict=True):
        row[steps] = counts
    return full


# not in the witness: for chapters, which compare with it
def constant_width_lower(counts: IntArray, alpha: float) -> FloatArray:
    """Lower bounds of P(score >= j) as `bands.survival_lower`, by a band of constant width.

    The width is sqrt(log(1 / alpha) / 2n), for alpha <= 1/2. Source: Massart (1990).
    """
    samples = counts.sum(axis=1, keepdims=True)
    reached = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] / samples
    bounds = np.maximum(reached - np.sqrt(log(1 / alpha) / (2 * samples)), 0.0)
    bounds[:, 0] = 1.0
    return np.asarray(bounds)


# not in the witness: for chapters, which read the values with it
def radii(result: Result, run: dict[str, Any]) -> dict[str, FloatArray]:
    """Return each certificate's radii of the images of a run, in the unit of σ; float64 [images].

    They are 0 where the answer is wrong. The first four certify that the mean score of the class
    stays above one half, the others that the class stays on top.
    """
    asked, sigma, labels = result.parameters, run["sigma"], np.array(result.values["labels"])
    n, alpha, levels = asked["n"], asked["alpha"], asked["levels"]
    images = run["images"]
    column = {name: np.array([entry[name] for entry in images]) for name in ("mean", "coins")}
    laws = {
        name: histograms([entry[name] for entry in images], levels) for name in ("score", "margin")
    }
    steps = np.arange(1, levels + 1) / levels
    width = sqrt(log(1 / alpha) / (2 * n))

    def above(bounds: FloatArray) -> FloatArray:
        return confidence.radius(steps, bounds[:, 1:], sigma, 0.5)

    def ahead(bounds: FloatArray) -> FloatArray:
        return confidence.strict_radius(2 * steps - 1, bounds[:, 1:], sigma, 0.0)

    groups = [
        histograms([entry["groups"][place] for entry in images], levels)
        for place in range(asked["rivals"] + 1)
    ]
    found = {
        "mean, Hoeffding": gaussian.radius(np.clip(column["mean"] - width, 0, 1), sigma),
        "mean, coin": gaussian.radius(clopper_pearson_lower(column["coins"], n, alpha), sigma),
        "law, constant width": above(constant_width_lower(laws["score"], alpha)),
        "law, our band": above(bands.survival_lower(laws["score"], alpha)),
        "margin, constant width": ahead(constant_width_lower(laws["margin"], alpha)),
        "margin, our band": ahead(bands.survival_lower(laws["margin"], alpha)),
        "rivals, our band": np.min(
            [ahead(bands.survival_lower(group, alpha)) for group in groups], axis=0
        ),
    }
    right = np.array([entry["chosen"] for entry in images]) == labels
    return {name: np.where(right, values, 0.0) for name, values in found.items()} | _by_votes(
        images, labels, n, alpha, sigma
    )


# not in the witness: a part of the above
def _by_votes(
    images: list[Any], labels: IntArray, n: int, alpha: float, sigma: float
) -> dict[str, FloatArray]:
    """Return the radii of votes, by the bound of one class and with that of the runner-up."""
    votes = np.array([entry["votes"] for entry in images])
    voted = np.array([entry["voted"] for entry in images])
    own = votes[np.arange(len(votes)), voted]
    others = votes.copy()
    others[np.arange(len(votes)), voted] = 0
    lower, upper = lead_bounds(own, others.max(axis=1), n, alpha)
    found = {
        "votes, one-sided": gaussian.radius(clopper_pearson_lower(own, n, alpha), sigma),
        "votes, two-sided": gaussian.radius(lower, sigma, upper),
    }
    return {name: np.where(voted == labels, values, 0.0) for name, values in found.items()}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

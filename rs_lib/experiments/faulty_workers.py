"""Faulty workers on real data: rules against attacks, a real job, fixed points, and votes.

Four parts. Every rule against every attack, with all workers in one process. One job with a
process for each worker, whose weights are compared with those of one process. Descent to a fixed
point with the trimmed mean, whose distance from the optimum of the honest workers is bounded, and
what that bound says of predictions. And votes of models of single workers and of groups of them.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.machines import aggregation, data, ridge, worker_processes, workers
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.statistics.aggregation import constant

_MOMENTUM = 0.9  # Nesterov's, for the fixed points


@dataclass(frozen=True)
class Fixed:
    """Descent to a fixed point: `workers` with one attacker, for each of `penalties`.

    The honest loss is cross-entropy of a linear network plus half the penalty times the squared
    weights. `steps` go by the trimmed mean of gradients of whole shares.
    """

    workers: int
    penalties: tuple[float, ...]
    steps: int


@dataclass(frozen=True)
class Votes:
    """Ridge regressions of `penalty`, one for each group of `members` of `workers`."""

    workers: int
    members: tuple[int, ...]
    penalty: float


@dataclass(frozen=True)
class Parameters:
    """The grid of `rules` and `attacks`, the real job, fixed points, and votes.

    The grid trains `model` on `dataset` with `workers`, of which `faulty` attack, for `steps` steps
    of `learning_rate` on `batch_size` images. The real job has `processes`, of which one sends
    minus ten times the mean of the others, and takes `timeout` seconds at most for a step.
    """

    dataset: str
    model: str
    workers: int
    faulty: int
    rules: tuple[str, ...]
    attacks: tuple[str, ...]
    steps: int
    batch_size: int
    learning_rate: float
    processes: int
    timeout: float
    fixed: Fixed
    votes: Votes
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="linear",
        workers=11,
        faulty=2,
        rules=tuple(workers.RULES),
        attacks=workers.NAMES,
        steps=60,
        batch_size=32,
        learning_rate=0.5,
        processes=5,
        timeout=60.0,
        fixed=Fixed(workers=10, penalties=(1e-3, 1e-2, 1e-1), steps=300),
        votes=Votes(workers=11, members=(1, 2, 3), penalty=1e-2),
        seed=2021,
    ),
}
PROFILES["full"] = dataclasses.replace(
    PROFILES["quick"],
    dataset="mnist",
    workers=50,
    faulty=11,
    steps=100,
    learning_rate=0.1,
    fixed=Fixed(workers=10, penalties=(1e-2, 1e-1), steps=100),
    votes=Votes(workers=50, members=(1, 2), penalty=1e-2),
)

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    steps=3,
    processes=3,
    fixed=Fixed(workers=10, penalties=(1e-2,), steps=5),
    votes=Votes(workers=11, members=(1, 2), penalty=1e-2),
)


def _job(parameters: Parameters, rule: str, attack: str) -> workers.Job:
    names = ("dataset", "model", "workers", "faulty", "steps", "batch_size", "learning_rate")
    chosen = {name: getattr(parameters, name) for name in names}
    return workers.Job(**chosen, rule=rule, attack=attack, seed=parameters.seed)


def _trained(job: workers.Job, dataset: data.Dataset) -> dict[str, Any]:
    work = workers.Work(job, dataset)
    return {"rule": job.rule, "attack": job.attack, "correct": work.correct(workers.simulate(work))}


def _real(parameters: Parameters, dataset: data.Dataset) -> dict[str, Any]:
    """Return how many processes end with the weights of the simulation, to the last bit."""
    found = []
    for rule in ("mean", "trimmed mean"):
        job = _job(parameters, rule, "against")
        job = dataclasses.replace(job, workers=parameters.processes, faulty=1)
        work = workers.Work(job, dataset)
        alone = workers.simulate(work)
        ends = worker_processes.run(job, parameters.timeout)
        equal = sum(end.numpy().tobytes() == alone.numpy().tobytes() for end in ends)
        found.append({"rule": rule, "equal": equal, "correct": work.correct(alone)})
    return {"jobs": found}


class _Softmax:
    """Cross-entropy of linear scores with bias on given images, with a penalty, in float64."""

    def __init__(self, dataset: data.Dataset, penalty: float) -> None:
        self.penalty, self.classes = penalty, dataset.classes
        self.train = self._inputs(dataset.as_float(dataset.train_images))
        self.tests = self._inputs(dataset.as_float(dataset.test_images))
        self.labels = dataset.train_labels

    def _inputs(self, images: Tensor) -> Tensor:
        return nn.functional.pad(images.flatten(1).double(), (0, 1), value=1.0)

    def gradient(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Return the gradient [k * classes] at `weights` [k, classes] of the loss on some rows."""
        inputs = self.train[rows]
        wrong = (inputs @ weights).softmax(dim=1)
        wrong[torch.arange(len(rows)), self.labels[rows]] -= 1
        return (inputs.T @ wrong / len(rows) + self.penalty * weights).flatten()


def _fixed_point(parameters: Parameters, dataset: data.Dataset, penalty: float) -> dict[str, Any]:
    """Return bounds of the distance from the honest optimum, and how far each answer is from it.

    `norm` is that of the aggregated vector at the end, `bound` the least that is proved of the mean
    honest gradient, `mean` what it is; `needed` the distance of weights at which a test image's
    answer can change.
    """
    fixed, n = parameters.fixed, parameters.fixed.workers
    softmax = _Softmax(dataset, penalty)
    order = torch.from_numpy(np.random.default_rng(parameters.seed).permutation(len(softmax.train)))
    shares = [order[k::n] for k in range(n)]
    weights = torch.zeros(softmax.train.shape[1], dataset.classes, dtype=torch.float64)
    speed = torch.zeros_like(weights)
    rate = 1 / (float(torch.linalg.eigvalsh(softmax.train.T @ softmax.train)[-1]) / len(order) / 2)
    for step in range(fixed.steps + 1):
        honest = torch.stack([softmax.gradient(weights, rows) for rows in shares[:-1]])
        vectors = torch.cat([honest, workers.ATTACKS["a little"](honest, 1)[None]])
        aggregated = aggregation.trimmed_mean(vectors, 1).view_as(weights)
        if step < fixed.steps:  # the last gradients are those where the weights stay
            speed = _MOMENTUM * speed + aggregated
            weights = weights - rate * (aggregated + _MOMENTUM * speed)
    spread = float(((honest - honest.mean(dim=0)) ** 2).sum(dim=1).mean())
    scores = (softmax.tests @ weights).sort(dim=1, descending=True).values
    lead = scores[:, 0] - scores[:, 1]
    needed = lead / (2**0.5 * torch.linalg.vector_norm(softmax.tests, dim=1))
    norm = float(torch.linalg.vector_norm(aggregated))
    return {
        "penalty": penalty,
        "norm": norm,
        "bound": norm + (float(constant("trimmed mean", n, 1)) * spread) ** 0.5,
        "mean": float(torch.linalg.vector_norm(honest.mean(dim=0))),
        "needed": needed.tolist(),
        "correct": int(((softmax.tests @ weights).argmax(dim=1) == dataset.test_labels).sum()),
    }


def _features(dataset: data.Dataset) -> tuple[FloatArray, FloatArray]:
    images = (dataset.as_float(dataset.train_images), dataset.as_float(dataset.test_images))
    train, tests = (part.flatten(1).double().numpy() for part in images)
    return train, tests


def _voted(parameters: Parameters, dataset: data.Dataset, members: int) -> dict[str, Any]:
    """Return the votes [tests, classes] of the models of all groups of `members` workers."""
    votes, (train, tests) = parameters.votes, _features(dataset)
    order = np.random.default_rng(parameters.seed).permutation(len(train))
    targets = np.eye(dataset.classes)[dataset.train_labels.numpy()]
    counts: IntArray = np.zeros((len(tests), dataset.classes), dtype=np.int64)
    for group in combinations(range(votes.workers), members):
        rows = np.concatenate([order[k :: votes.workers] for k in group])
        scores = ridge.fit(train[rows]).scores(tests, targets[rows], votes.penalty)
        counts[np.arange(len(tests)), scores.argmax(axis=1)] += 1
    return {"members": members, "votes": counts.tolist()}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the four parts."""
    dataset = data.load(parameters.dataset)
    settled = asdict(parameters) | {"data": dataset.digest}
    grid = context.stages(
        "trained",
        [
            (asdict(job) | {"data": dataset.digest}, partial(_trained, job, dataset))
            for attack in parameters.attacks
            for rule in parameters.rules
            for job in [_job(parameters, rule, attack)]
        ],
    )
    parts: dict[str, list[Any]] = {
        "fixed": [(p, _fixed_point) for p in parameters.fixed.penalties],
        "votes": [(m, _voted) for m in parameters.votes.members],
    }
    found = {
        name: context.stages(
            name,
            [(settled | {"of": of}, partial(work, parameters, dataset, of)) for of, work in works],
        )
        for name, works in parts.items()
    }
    real = context.stage("real", settled, partial(_real, parameters, dataset))
    labels = dataset.test_labels.tolist()
    return {"data": dataset.digest, "labels": labels, "grid": grid, "real": real["jobs"], **found}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

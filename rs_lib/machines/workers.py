"""Training by workers that send gradients, some of them faulty, to a rule that makes one of many.

In every step each worker draws a batch of its own share of the training images and sends the
gradient of the mean cross-entropy; the rule of `rs_lib.machines.aggregation` makes one vector of
all, and the weights move against it. The last f workers are faulty. They know all data, all seeds
and what the others will send. `simulate` does the work of all in one process;
`rs_lib.machines.worker_processes` gives each worker a process, and gets the same weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from rs_lib.machines import aggregation, data, models
from rs_lib.seeds import derive

RULES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "mean": aggregation.mean,
    "trimmed mean": aggregation.trimmed_mean,
    "median": aggregation.coordinate_median,
    "geometric median": aggregation.geometric_median,
    "Krum": aggregation.krum,
    "multi-Krum": aggregation.multi_krum,
    "Bulyan": aggregation.bulyan,
}

NEEDS: dict[str, Callable[[int], int]] = {
    **dict.fromkeys(("mean", "trimmed mean", "median", "geometric median"), lambda f: 2 * f + 1),
    **dict.fromkeys(("Krum", "multi-Krum"), lambda f: 2 * f + 3),
    "Bulyan": lambda f: 4 * f + 3,
}
"""Fewest workers of which each rule bears f faulty ones."""


def _little(honest: Tensor, faulty: int) -> Tensor:
    """Return mean - z std, so near that half of all vectors lie beyond (Baruch et al. 2019)."""
    n = len(honest) + faulty
    beyond = math.floor(n / 2 + 1) - faulty
    z = NormalDist().inv_cdf((len(honest) - beyond) / len(honest))
    return honest.mean(dim=0) - z * honest.std(dim=0, correction=0)


ATTACKS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "against": lambda honest, faulty: -10 * honest.mean(dim=0),
    "half against": lambda honest, faulty: -honest.mean(dim=0) / 2,
    "a little": _little,
    "mimic": lambda honest, faulty: honest[0],
    "not a number": lambda honest, faulty: torch.full_like(honest[0], torch.nan),
}
"""What faulty workers send, from the gradients [n - f, d] of the others and f."""

NAMES = ("none", "labels", *ATTACKS)
"""The attacks: none at all, gradients for labels in reverse order, and those of `ATTACKS`."""


@dataclass(frozen=True)
class Job:
    """A training: `workers` of which the last `faulty` attack, a `rule`, and stochastic descent.

    `batch_size` images with replacement make the gradient of a worker; `steps` go against the
    aggregated vector by `learning_rate`.
    """

    dataset: str
    model: str
    workers: int
    faulty: int
    rule: str
    attack: str
    steps: int
    batch_size: int
    learning_rate: float
    seed: int


class Work:
    """What a worker of a job can do; all of it is decided by the job, to the last bit."""

    def __init__(self, job: Job, dataset: data.Dataset) -> None:
        """Build the network and deal out the training images, one to each worker in turn."""
        self.job = job
        self.dataset = dataset
        self.model = models.build(job.model, dataset.image_shape, dataset.classes, job.seed)
        order = np.random.default_rng(derive(job.seed, "shares")).permutation(
            len(dataset.train_labels)
        )
        self.shares = [torch.from_numpy(order[k :: job.workers]) for k in range(job.workers)]

    @property
    def honest(self) -> int:
        """The number of workers that are not faulty."""
        return self.job.workers - self.job.faulty

    def start(self) -> Tensor:
        """Return the weights before the first step [d], float32."""
        return parameters_to_vector(self.model.parameters()).detach().clone()

    def gradient(self, weights: Tensor, worker: int, step: int, *, reverse: bool = False) -> Tensor:
        """Return the gradient [d] of a worker's batch; with `reverse`, for labels C - 1 - y."""
        share = self.shares[worker]
        draw = np.random.default_rng(derive(self.job.seed, "batch", worker, step))
        batch = share[torch.from_numpy(draw.integers(0, len(share), self.job.batch_size))]
        labels = self.dataset.train_labels[batch]
        labels = self.dataset.classes - 1 - labels if reverse else labels
        vector_to_parameters(weights, self.model.parameters())
        images = self.dataset.as_float(self.dataset.train_images[batch])
        loss = nn.functional.cross_entropy(self.model(images), labels)
        parts = torch.autograd.grad(loss, list(self.model.parameters()))
        return torch.cat([part.reshape(-1) for part in parts])

    def sent(self, weights: Tensor, worker: int, step: int) -> Tensor:
        """Return what a worker sends [d]; a faulty one works out for itself what the others do."""
        attack = self.job.attack
        if worker < self.honest or attack in ("none", "labels"):
            reverse = worker >= self.honest and attack == "labels"
            return self.gradient(weights, worker, step, reverse=reverse)
        others = [self.gradient(weights, other, step) for other in range(self.honest)]
        return ATTACKS[attack](torch.stack(others), self.job.faulty)

    def all_sent(self, weights: Tensor, step: int) -> Tensor:
        """Return what all workers send [n, d], as `sent` does, computing nothing twice."""
        if self.job.attack not in ATTACKS:
            every = range(self.job.workers)
            return torch.stack([self.sent(weights, worker, step) for worker in every])
        honest = torch.stack([self.gradient(weights, k, step) for k in range(self.honest)])
        bad = ATTACKS[self.job.attack](honest, self.job.faulty)
        return torch.cat([honest, bad.expand(self.job.faulty, -1)])

    def moved(self, weights: Tensor, vectors: Tensor) -> Tensor:
        """Return the weights after a step against what the rule makes of `vectors` [n, d]."""
        return weights - self.job.learning_rate * RULES[self.job.rule](vectors, self.job.faulty)

    def correct(self, weights: Tensor) -> int:
        """Return how many test images the network with these weights gets right."""
        vector_to_parameters(weights, self.model.parameters())
        with torch.inference_mode():
            logits = self.model(self.dataset.as_float(self.dataset.test_images))
        return int((logits.argmax(dim=1) == self.dataset.test_labels).sum())


def simulate(work: Work) -> Tensor:
    """Return the weights [d] after all steps, the work of all workers done in this process."""
    weights = work.start()
    for step in range(work.job.steps):
        weights = work.moved(weights, work.all_sent(weights, step))
    return weights

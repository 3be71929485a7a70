"""Attacks that share a Wasserstein budget, against the best use of it.

Networks are trained on clean images. For each test image the distance to an error is found: exactly
for a linear network, from above by a minimal-norm attack for another. From these distances the best
use of any budget follows (`rs_lib.certificates.wasserstein`). W-FGSM and W-PGD use the budget as
the gradients of a loss tell. Images may leave [0, 1] in all of this.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray
from rs_lib.machines import data, distribution_attacks, minimal_norm, models
from rs_lib.machines.base_classifiers import Recipe, base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive


@dataclass(frozen=True)
class Parameters:
    """What to train, and how hard to attack.

    `networks` lists pairs (model, epochs). `images` test images, evenly spaced, meet `steps` steps
    of W-PGD, and W-FGSM, at each of `budgets` and `orders` ("2", "inf", ...), with both losses; and
    up to `nearest` steps of the minimal-norm attack.
    """

    dataset: str
    networks: tuple[tuple[str, int], ...]
    batch_size: int
    learning_rate: float
    images: int
    budgets: tuple[float, ...]
    orders: tuple[str, ...]
    steps: int
    nearest: int
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        networks=(("linear", 30), ("small-cnn", 30)),
        batch_size=64,
        learning_rate=0.1,
        images=250,
        budgets=(0.05, 0.1, 0.2, 0.3, 0.5),
        orders=("2", "inf"),
        steps=50,
        nearest=30,
        seed=2023,
    ),
}
PROFILES["full"] = dataclasses.replace(
    PROFILES["quick"],
    dataset="mnist",
    networks=(("linear", 5), ("lenet", 5)),
    batch_size=256,
    images=2_000,
    budgets=(0.1, 0.25, 0.5, 0.75, 1.0),
)

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    networks=(("linear", 3), ("small-cnn", 3)),
    images=40,
    budgets=(0.1, 0.3),
    steps=4,
    nearest=5,
)


def _distances(
    parameters: Parameters, name: str, model: nn.Module, images: Tensor, labels: Tensor
) -> FloatArray:
    if name != "linear":
        steps, seed = parameters.nearest, derive(parameters.seed, "nearest")
        found = minimal_norm.nearest_errors(model, images, labels, steps=steps, starts=1, seed=seed)
        return found[1].cpu().numpy()
    (layer,) = (part for part in model.modules() if isinstance(part, nn.Linear))
    return minimal_norm.linear_distances(layer.weight, layer.bias, images, labels)


def _attacked(
    parameters: Parameters,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    power: str,
    loss: str,
) -> dict[str, Any]:
    """Return right answers and mean losses at each budget, and what the authors' bound needs."""
    order = float(power)
    clean = distribution_attacks.losses(model, images, labels, loss).double()
    with torch.no_grad():
        wrong = model(images).argmax(1) != labels
    right: dict[str, list[int]] = {"W-FGSM": [], "W-PGD": []}
    reached = []
    for budget in parameters.budgets:
        for name, steps in (("W-FGSM", 1), ("W-PGD", parameters.steps)):
            moved = distribution_attacks.moves(
                model, images, labels, budget=budget, order=order, loss=loss, steps=steps
            )
            with torch.no_grad():
                right[name].append(int((model(images + moved).argmax(1) == labels).sum()))
        after = distribution_attacks.losses(model, images + moved, labels, loss)
        reached.append(float(after.double().mean()))
    slope = distribution_attacks.sensitivity(model, images, labels, order=order, loss=loss)
    return {
        "order": power,
        "loss": loss,
        "right": right,
        "mean": float(clean.mean()),
        "mean_wrong": float(clean[wrong].mean()) if wrong.any() else None,
        "mean_attacked": reached,
        "sensitivity": slope,
    }


def _network(
    parameters: Parameters, name: str, dataset: data.Dataset, model: nn.Module
) -> dict[str, Any]:
    indices = torch.from_numpy(evenly(len(dataset.test_labels), parameters.images))
    model = model.cpu()
    images, labels = dataset.as_float(dataset.test_images[indices]), dataset.test_labels[indices]
    far = _distances(parameters, name, model, images, labels)
    return {
        "distance": [float(r) if np.isfinite(r) else None for r in far],
        "attacks": [
            _attacked(parameters, model, images, labels, order, loss)
            for order in parameters.orders
            for loss in distribution_attacks.LOSSES
        ],
    }


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return for each network its distances and how many images each attack left right."""
    dataset = data.load(parameters.dataset)
    found = []
    for name, epochs in parameters.networks:
        recipe = Recipe(
            parameters.dataset,
            name,
            epochs,
            parameters.batch_size,
            parameters.learning_rate,
            parameters.seed,
        )
        model, losses = base_classifier(recipe, None, dataset, context)
        inputs = {**asdict(parameters), "name": name, "data": dataset.digest}
        inputs |= {"network": models.fingerprint(model, dataset.image_shape)}
        work = partial(_network, parameters, name, dataset, model)
        made = context.stage("attack", inputs, work)
        found.append({"model": name, "losses": losses, **made})
    return {"data": dataset.digest, "networks": found}


# not in the witness: for chapters, which read the values with it
def distances(network: dict[str, Any]) -> FloatArray:
    """Return the distances of a network of a result, float64 [images]; infinite where none."""
    return np.array([np.inf if r is None else r for r in network["distance"]])


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

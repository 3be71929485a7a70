"""Base classifiers of experiments: trained once under a noise, kept as a stage, and loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol

from torch import nn

from rs_lib.machines import models, training
from rs_lib.machines.data import Dataset
from rs_lib.noise import Law, corrupted_shape
from rs_lib.seeds import derive


class Context(Protocol):
    """Where an experiment runs, and how its finished parts are kept."""

    @property
    def device(self) -> str:
        """A device as torch names it."""

    @property
    def progress(self) -> bool:
        """Whether bars are shown."""

    def stage(
        self, name: str, inputs: Mapping[str, object], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return `compute()`, or what it gave before for this name and these inputs."""


@dataclass(frozen=True)
class Recipe:
    """What a trained network depends on, beside its noise: a part of an experiment's parameters."""

    dataset: str
    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    def training_inputs(self) -> dict[str, object]:
        """Return these values by their names, without those that a subclass adds."""
        return {field.name: getattr(self, field.name) for field in fields(Recipe)}


def base_classifier(
    recipe: Recipe, noise: Law | None, dataset: Dataset, context: Context
) -> tuple[nn.Module, list[float]]:
    """Return a network trained under `noise` (None: on clean images), and its losses by epoch.

    The network is on the context's device, in evaluation mode. Raises as `trained_weights`.
    """
    compute = partial(
        training.trained_weights,
        dataset,
        model=recipe.model,
        noise=noise,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
        device=context.device,
        progress=context.progress,
    )
    inputs = {**recipe.training_inputs(), "noise": str(noise), "data": dataset.digest}
    kept = context.stage("train", inputs, compute)
    shape = dataset.image_shape
    if noise is not None:
        channels, height, width = corrupted_shape(noise, shape)
        shape = (channels, height, width)
    network = models.build(recipe.model, shape, dataset.classes, derive(recipe.seed, "model"))
    network.load_state_dict(kept["weights"])
    return network.to(context.device), kept["losses"]

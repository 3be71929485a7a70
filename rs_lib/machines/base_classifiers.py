"""Base classifiers of experiments: trained once under a noise, kept as a stage, and loaded."""

from dataclasses import dataclass, fields
from functools import partial

from torch import nn

from rs_lib.machines import models, training
from rs_lib.machines.data import Dataset
from rs_lib.noise import Law
from rs_lib.record.stage import Context
from rs_lib.seeds import derive


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
    channels, height, width = noise.seen(dataset.image_shape) if noise else dataset.image_shape
    shape = (channels, height, width)
    network = models.build(recipe.model, shape, dataset.classes, derive(recipe.seed, "model"))
    inputs = {**recipe.training_inputs(), "noise": str(noise), "data": dataset.digest}
    inputs |= {"network": models.fingerprint(network, shape)}
    kept = context.training("train", inputs, compute)
    network.load_state_dict(kept["weights"])
    return network.to(context.device), kept["losses"]

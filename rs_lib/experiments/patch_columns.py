"""A column network large enough for photographs, and what its votes certify against patches.

As `patch_bands`, for one network, trained at a pace that two cores keep: a step asks for a few
columns of each image. Each network sees columns or rows. The values are those of `patch_bands`.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from rs_lib.experiments import patch_bands
from rs_lib.experiments.patch_bands import Base
from rs_lib.machines import data, fast_training
from rs_lib.machines.compact_columns import CompactColumns, compact_columns, towards_votes
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive


@dataclass(frozen=True)
class Parameters:
    """The network, how it is trained, and the thresholds at which to count votes.

    `kinds`: one network for bands of "columns", "rows" or both, `band` pixels wide. In each step an
    image is asked for `shown` of its bands, and labels are smoothed by `smoothing`. The rest is a
    `fast_training.Recipe`.
    """

    dataset: str
    kinds: tuple[str, ...]
    band: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    shown: int
    smoothing: float
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    shift: int
    flip: bool
    average: float
    precision: str
    thetas: tuple[float, ...]
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        kinds=("columns",),
        band=2,
        widths=(16, 32),
        blocks=(1, 1),
        shown=4,
        smoothing=0.1,
        epochs=20,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=5e-4,
        shift=0,
        flip=False,
        average=0.9,
        precision="float32",
        thetas=patch_bands.PROFILES["quick"].thetas,
        seed=2020,
    ),
    "full": Parameters(
        dataset="cifar10",
        kinds=("columns",),
        band=4,
        widths=(64, 128, 256),
        blocks=(1, 1, 1),
        shown=4,
        smoothing=0.1,
        epochs=120,
        batch_size=128,
        learning_rate=0.2,
        weight_decay=5e-4,
        shift=4,
        flip=True,
        average=0.999,
        precision="bfloat16",
        thetas=patch_bands.PROFILES["cifar10"].thetas,
        seed=2020,
    ),
}
# What half of the training costs in accuracy; rows are trained as long as that.
PROFILES["pilot"] = dataclasses.replace(PROFILES["full"], epochs=PROFILES["full"].epochs // 2)
PROFILES["rows"] = dataclasses.replace(PROFILES["pilot"], kinds=("rows",))

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    kinds=("columns", "rows"),
    epochs=2,
    batch_size=32,
    shift=1,
    flip=True,
    thetas=(0.12, 0.15, 0.2, 0.6),
)


def untrained(parameters: Parameters, dataset: data.Dataset, kind: str) -> CompactColumns:
    """Return the freshly initialised network for bands of a `kind`."""
    channels, height, width = dataset.image_shape
    shape = (channels, height, width) if kind == "columns" else (channels, width, height)
    return compact_columns(
        shape,
        dataset.classes,
        parameters.band,
        derive(parameters.seed, "model"),
        widths=parameters.widths,
        blocks=parameters.blocks,
    )


def base_classifier(
    parameters: Parameters, kind: str, dataset: data.Dataset, context: Context
) -> CompactColumns:
    """Return a trained network in evaluation mode, on the context's device."""
    model = untrained(parameters, dataset, kind)
    settings = asdict(parameters)
    for name in ("dataset", "kinds", "thetas"):
        del settings[name]
    inputs = {**settings, "kind": kind, "data": dataset.digest}
    compute = partial(_trained, parameters, kind, dataset, context)
    kept = context.training("columns", inputs, compute, joint=True)
    model.load_state_dict(kept["weights"])
    return model.to(context.device)


def _trained(
    parameters: Parameters,
    kind: str,
    dataset: data.Dataset,
    context: Context,
    *,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    goal = towards_votes(parameters.shown, parameters.smoothing)
    training = fast_training.Training(
        untrained(parameters, dataset, kind),
        dataset.train_images,
        dataset.train_labels,
        levels=dataset.levels,
        noise=None,
        recipe=fast_training.Recipe.of(parameters),
        seed=derive(parameters.seed, "train", kind),
        device=context.device,
        goal=goal if kind == "columns" else partial(_of_transposed, goal),
    )
    return fast_training.run(training, checkpoint, lambda line: context.tell(f"{kind}, {line}"))


def _of_transposed(goal: fast_training.Goal, model: Any, inputs: torch.Tensor, *rest: Any) -> Any:
    """Transpose the images, which are shifted and reflected by then, for a network of rows."""
    return goal(model, inputs.transpose(2, 3), *rest)


def _measured(
    parameters: Parameters, kind: str, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    model = base_classifier(parameters, kind, dataset, context)
    base = Base("compact column", kind, parameters.band)
    return patch_bands.tabulated(model, base, dataset, parameters.thetas, context.device)


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the values of `patch_bands` for each kind of band."""
    dataset = data.load(parameters.dataset)
    runs = []
    for kind in parameters.kinds:
        inputs = {**asdict(parameters), "kind": kind, "data": dataset.digest}
        work = partial(_measured, parameters, kind, dataset, context)
        runs.append(context.stage("column-votes", inputs, work))
    return {"images": patch_bands.split_sizes(dataset), "runs": runs}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

"""Base classifiers on bands and blocks, and how many images their votes certify against patches.

Each network is evaluated once at every position. The values are numbers of images, for every
threshold and patch size, on two halves of the test set: one to choose the threshold on
("validation"), one to report.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rs_lib.arguments import one_of
from rs_lib.certificates import patch
from rs_lib.machines import band_classifier, bands, column_network, data, residual
from rs_lib.machines.band_classifier import BandClassifier
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import votes


class Base(NamedTuple):
    """A base classifier: its network, what it sees (columns, rows, blocks), the width of that."""

    network: str
    kind: str
    band: int


NETWORKS = ("masked", "column", "residual", "residual column")
"""Shown one view at a time: "masked" and "residual". For all columns at once: the others."""

_ONE_VIEW = ("masked", "residual")

SPLITS = ("validation", "reported")


@dataclass(frozen=True)
class Parameters:
    """Which base classifiers to train, how, and the thresholds at which to count votes.

    `bases` hold the values of a `Base` each. `column_epochs` are those of the networks that
    learn from all bands of an image at once, `masked_epochs` of those that see one random band.
    Training images are shifted at random by up to `shift` pixels, and with `flip` reflected.
    """

    dataset: str
    bases: tuple[tuple[str, str, int], ...]
    masked_epochs: int
    column_epochs: int
    batch_size: int
    learning_rate: float
    shift: int
    flip: bool
    thetas: tuple[float, ...]
    seed: int


_THETAS = tuple(k / 40 for k in range(2, 39))

PROFILES = {
    "quick": Parameters(
        dataset="digits",
        bases=(
            ("masked", "columns", 2),
            ("column", "columns", 2),
            ("masked", "rows", 2),
            ("masked", "blocks", 3),
        ),
        masked_epochs=60,
        column_epochs=60,
        batch_size=64,
        learning_rate=0.1,
        shift=0,
        flip=False,
        thetas=_THETAS,
        seed=2020,
    ),
    "full": Parameters(
        dataset="mnist",
        bases=(
            ("masked", "columns", 2),
            ("column", "columns", 2),
            ("column", "rows", 2),
        ),
        masked_epochs=10,
        column_epochs=10,
        batch_size=128,
        learning_rate=0.1,
        shift=0,
        flip=False,
        thetas=_THETAS,
        seed=2020,
    ),
    "cifar10": Parameters(
        dataset="cifar10",
        bases=(
            ("residual", "columns", 4),
            ("residual column", "columns", 4),
            ("column", "columns", 4),
        ),
        masked_epochs=80,
        column_epochs=40,
        batch_size=128,
        learning_rate=0.1,
        shift=4,
        flip=True,
        thetas=_THETAS,
        seed=2020,
    ),
}

# Every network and kind; residual networks take most of its seconds, two thirds of them one view
# at a time.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    bases=(
        ("masked", "columns", 2),
        ("masked", "blocks", 3),
        ("column", "columns", 2),
        ("column", "rows", 2),
        ("residual", "columns", 2),
        ("residual column", "columns", 2),
    ),
    masked_epochs=1,
    column_epochs=1,
    batch_size=32,
    shift=1,
    flip=True,
    thetas=(0.12, 0.15, 0.2, 0.6),
)


def name(base: Base) -> str:  # not in the witness: words for chapters
    """Return what the book calls a base classifier, such as "columns of 2, masked network"."""
    return f"{base.kind} of {base.band}, {base.network} network"


def oriented(images: Tensor, base: Base) -> Tensor:
    """Return the images as the network takes them: a column network sees rows as columns."""
    return images.transpose(2, 3).contiguous() if _at_once(base) and base.kind == "rows" else images


def _at_once(base: Base) -> bool:
    """Whether the network answers for all bands in one pass, and learns from all of them."""
    return base.network not in _ONE_VIEW


def untrained(base: Base, image_shape: tuple[int, int, int], classes: int, seed: int) -> Any:
    """Return a freshly initialised base classifier; ValueError for one that does not exist."""
    network, kind, band = base
    one_of("network", network, NETWORKS)
    if not _at_once(base):
        make = bands.masked_network if network == "masked" else residual.masked_residual
        return make(image_shape, classes, kind, band, seed)
    one_of("kind", kind, ("columns", "rows"))
    channels, height, width = image_shape
    shape = (channels, height, width) if kind == "columns" else (channels, width, height)
    build = column_network.column_network if network == "column" else residual.residual_columns
    return build(shape, classes, band, seed)


def base_classifier(
    parameters: Parameters, base: Base, dataset: data.Dataset, context: Context
) -> BandClassifier:
    """Return a trained base classifier in evaluation mode, on the context's device."""
    settings: dict[str, Any] = {
        "epochs": parameters.column_epochs if _at_once(base) else parameters.masked_epochs,
        "batch_size": parameters.batch_size,
        "learning_rate": parameters.learning_rate,
        "shift": parameters.shift,
        "flip": parameters.flip,
    }
    compute = partial(
        _trained_weights,
        dataset,
        base,
        settings,
        parameters.seed,
        context.device,
        context.progress,
    )
    inputs = {**settings, "base": base, "seed": parameters.seed, "data": dataset.digest}
    kept = context.training("bands", inputs, compute)
    model: BandClassifier = untrained(
        base, dataset.image_shape, dataset.classes, derive(parameters.seed, "model")
    )
    model.load_state_dict(kept["weights"])
    return model.to(context.device)


def _trained_weights(
    dataset: data.Dataset,
    base: Base,
    settings: dict[str, Any],
    seed: int,
    device: str,
    progress: bool,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    model = untrained(base, dataset.image_shape, dataset.classes, derive(seed, "model"))
    losses = band_classifier.fit(
        model,
        oriented(dataset.as_float(dataset.train_images), base),
        dataset.train_labels,
        **settings,
        seed=derive(seed, "train", *base),
        device=device,
        progress=progress,
        checkpoint=checkpoint,
    )
    weights = {key: value.cpu() for key, value in model.state_dict().items()}
    return {"weights": weights, "losses": losses}


def scores(
    model: BandClassifier, base: Base, dataset: data.Dataset, device: str
) -> npt.NDArray[np.float32]:
    """Return the softmax on all test images, [N, positions, K]; of blocks [N, H, W, K]."""
    images = oriented(dataset.as_float(dataset.test_images), base).to(device)
    faster = residual.folded(model)
    found: npt.NDArray[np.float32] = band_classifier.probabilities(faster, images).numpy()
    if base.kind != "blocks":
        return found
    return found.reshape(len(found), *dataset.image_shape[1:], dataset.classes)


def halves(images: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the test images of each split: those of even index choose, the others report."""
    every = np.arange(images)
    return {"validation": every[::2], "reported": every[1::2]}


def split_sizes(dataset: data.Dataset) -> dict[str, int]:
    """Return the number of test images of each split."""
    return {split: len(rows) for split, rows in halves(len(dataset.test_labels)).items()}


def multiplications(model: nn.Module, image: Tensor) -> int:
    """Multiplications of convolutions and linear layers for the votes of one image [C, H, W]."""
    total = 0

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        weight: Any = layer.weight
        total += output.numel() // len(weight) * weight.numel()

    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        model(image[None])
    for hook in hooks:
        hook.remove()
    return total


def tallies(
    found: npt.ArrayLike, theta: float, band: int, labels: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Count for each split the images answered right, and right with each patch certified.

    `found`: scores [images, positions, classes] or [images, rows, columns, classes].
    """
    counted, chosen = votes.guarded(found, theta)
    right = chosen == labels
    sizes = np.arange(1, np.shape(found)[1] // 2 + 1)
    kept: dict[str, Any] = {split: {} for split in SPLITS}
    for method in patch.METHODS:
        largest = np.where(right, votes.largest_of_guarded(counted, chosen, band, method), 0)
        for split, rows in halves(len(labels)).items():
            kept[split]["right"] = int(right[rows].sum())
            kept[split][method] = (largest[rows, None] >= sizes).sum(axis=0).tolist()
    return kept


def measured(
    parameters: Parameters, base: Base, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    """Return what `tabulated` does of a base classifier that is trained first."""
    model = base_classifier(parameters, base, dataset, context)
    return tabulated(model, base, dataset, parameters.thetas, context.device)


def tabulated(
    model: BandClassifier,
    base: Base,
    dataset: data.Dataset,
    thetas: Sequence[float],
    device: str,
) -> dict[str, Any]:
    """Return what a base classifier certifies at every threshold, and what its votes cost.

    "near_threshold" are scores within the guard of each threshold, of "entries" in all;
    "right" are images, "counts" and "positions" lists of images for patches of 1, 2, ... columns
    (rows, or sides of squares), of each split.
    """
    found = scores(model, base, dataset, device)
    labels = dataset.test_labels.numpy()
    image = oriented(dataset.as_float(dataset.test_images[:1]), base)[0].to(device)
    near = [int((np.abs(found - theta) < votes.GUARD).sum()) for theta in thetas]
    return {
        "base": list(base),
        "multiplications": multiplications(model, image),
        "near_threshold": near,
        "entries": int(found.size),
        "at_theta": [tallies(found, theta, base.band, labels) for theta in thetas],
        "top_one": tallies(votes.margins(found), 0.0, base.band, labels),
    }


def _compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    dataset = data.load(parameters.dataset)
    runs = []
    for base in map(Base._make, parameters.bases):
        inputs = {**asdict(parameters), "base": base, "data": dataset.digest}
        runs.append(
            context.stage(
                "band-votes", inputs, partial(measured, parameters, base, dataset, context)
            )
        )
    return {"images": split_sizes(dataset), "runs": runs}


@dataclass(frozen=True)
class Tally:
    """A split: its images, those right, and right with a patch of 1, 2, ... pixels certified."""

    images: int
    right: int
    counts: list[int]
    positions: list[int]


@dataclass(frozen=True)
class Votes:
    """What the votes at one threshold certify, on either split."""

    validation: Tally
    reported: Tally


@dataclass(frozen=True)
class Measured:
    """The values of one base classifier, as `measured` returns them."""

    base: Base
    multiplications: int
    near_threshold: list[int]
    entries: int
    at_theta: list[Votes]
    top_one: Votes


# not in the witness: for chapters, which read the values with it
def read(values: dict[str, Any]) -> list[Measured]:
    """Return what the `values` of a result say of each base classifier."""

    def cast(found: dict[str, Any]) -> Votes:
        return Votes(*(Tally(values["images"][split], **found[split]) for split in SPLITS))

    return [
        Measured(
            Base(*run["base"]),
            run["multiplications"],
            run["near_threshold"],
            run["entries"],
            [cast(found) for found in run["at_theta"]],
            cast(run["top_one"]),
        )
        for run in values["runs"]
    ]


experiment = Experiment(__name__, PROFILES, _compute, witness=WITNESS)

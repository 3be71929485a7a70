"""Seven training methods on the same images: networks for smoothing, and the counts of all classes.

Every method starts from the same weights, sees the same images in the same order, and is certified
with the same noise. The votes that CAT-RS asks for are those of the network that Gaussian training
gave. The values are counts: certificates, vote margins and paired comparisons follow from them.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rs_lib.machines import data, fast_training, models, objectives
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Executed, from_counts
from rs_lib.smoothing.sampling import count_classes

NAMES = {
    "gaussian": "Gaussian",
    "stability": "Stability",
    "smoothadv": "SmoothAdv",
    "macer": "MACER",
    "consistency": "Consistency",
    "smoothmix": "SmoothMix",
    "cat_rs": "CAT-RS",
}
"""What the methods are called, from the oldest to the newest."""

CHUNK = 100
"""Images of a resumable stage."""


@dataclass(frozen=True)
class Methods:
    """The objectives with their numbers."""

    gaussian: objectives.Gaussian
    stability: objectives.Stability
    smoothadv: objectives.SmoothAdv
    macer: objectives.Macer
    consistency: objectives.Consistency
    smoothmix: objectives.SmoothMix
    cat_rs: objectives.CatRs


@dataclass(frozen=True)
class Parameters:
    """What to train and how much to sample.

    `examples` training images, evenly spaced, train a network of `model` with each of `methods` for
    `epochs`; what a method warms up comes in over the share `warm_up` of them. Gaussian training
    gives each image `votes` votes for CAT-RS. `images` test images, evenly spaced, get `n0` samples
    that select a class and `n` that count.
    """

    dataset: str
    model: str
    sigma: float
    methods: Methods
    warm_up: float
    examples: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    average: float
    votes: int
    images: int
    n0: int
    n: int
    alpha: float
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="small-cnn",
        sigma=0.5,
        methods=Methods(
            objectives.Gaussian(),
            objectives.Stability(weight=1.0),
            objectives.SmoothAdv(draws=2, steps=6, radius=0.5),
            objectives.Macer(draws=8, weight=1.0),
            objectives.Consistency(weight=5.0),
            objectives.SmoothMix(draws=2, step=0.5),
            objectives.CatRs(steps=3, radius=0.5),
        ),
        warm_up=0.2,
        examples=1_297,
        epochs=12,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=1e-4,
        average=0.9,
        votes=100,
        images=200,
        n0=100,
        n=1_000,
        alpha=0.001,
        seed=2023,
    ),
    "full": Parameters(
        dataset="mnist",
        model="lenet",
        sigma=0.5,
        methods=Methods(
            objectives.Gaussian(),
            objectives.Stability(),
            objectives.SmoothAdv(),
            objectives.Macer(weight=1.0),  # with 4 it ended as a constant classifier
            objectives.Consistency(),
            objectives.SmoothMix(),
            objectives.CatRs(),
        ),
        warm_up=0.2,
        examples=10_000,
        epochs=10,
        batch_size=128,
        learning_rate=0.05,
        weight_decay=1e-4,
        average=0.99,
        votes=100,
        images=250,
        n0=100,
        n=10_000,
        alpha=0.001,
        seed=2023,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    methods=Methods(
        objectives.Gaussian(),
        objectives.Stability(weight=1.0),
        objectives.SmoothAdv(draws=2, steps=2, radius=0.5),
        objectives.Macer(draws=2, weight=1.0),
        objectives.Consistency(),
        objectives.SmoothMix(draws=2, steps=2, step=0.5),
        objectives.CatRs(draws=2, steps=2, radius=0.5),
    ),
    examples=192,
    epochs=2,
    votes=5,
    images=40,
    n0=10,
    n=50,
)


def _recipe(parameters: Parameters) -> fast_training.Recipe:
    return fast_training.Recipe.of(parameters, shift=0, flip=False)


def _network(parameters: Parameters, dataset: data.Dataset) -> nn.Module:
    seed = derive(parameters.seed, "model")
    return models.build(parameters.model, dataset.image_shape, dataset.classes, seed)


def trained(
    parameters: Parameters,
    method: str,
    votes: Tensor | None,
    dataset: data.Dataset,
    context: Context,
) -> tuple[nn.Module, list[float]]:
    """Return the network that a method, by its field, trains, and its losses by epoch.

    `votes`: float32 [examples, classes], shares of another network's votes.
    """
    model, own = _network(parameters, dataset), getattr(parameters.methods, method)
    inputs = {
        **asdict(_recipe(parameters)),
        **{f"objective {name}": value for name, value in asdict(own).items()},
        "method": method,
        "warm_up": parameters.warm_up,
        "sigma": parameters.sigma,
        "examples": parameters.examples,
        "votes": parameters.votes,
        "network": models.fingerprint(model, dataset.image_shape),
        "seed": parameters.seed,
        "data": dataset.digest,
    }
    compute = partial(_train, parameters, method, votes, dataset, context)
    kept = context.training("objective", inputs, compute)
    model.load_state_dict(kept["weights"])
    return model.to(context.device).eval(), kept["losses"]


def _train(
    parameters: Parameters,
    method: str,
    votes: Tensor | None,
    dataset: data.Dataset,
    context: Context,
    *,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    chosen = torch.from_numpy(evenly(len(dataset.train_labels), parameters.examples))
    objective = getattr(parameters.methods, method)
    training = fast_training.Training(
        _network(parameters, dataset),
        dataset.train_images[chosen],
        dataset.train_labels[chosen],
        levels=dataset.levels,
        noise=None,
        recipe=_recipe(parameters),
        seed=derive(parameters.seed, "train"),
        device=context.device,
        goal=fast_training.towards(objective, parameters.sigma, parameters.warm_up),
        votes=votes,
    )
    return fast_training.run(
        training, checkpoint, lambda line: context.tell(f"{NAMES[method]}, {line}")
    )


def counted(
    parameters: Parameters,
    model: nn.Module,
    images: Tensor,
    n: int,
    stream: str,
    dataset: data.Dataset,
    context: Context,
) -> list[list[int]]:
    """Return how often `model` says each class on `n` noisy copies of each of `images`, uint8."""
    settled = {"n": n, "stream": stream, "sigma": parameters.sigma, "data": dataset.digest}
    settled |= {"network": models.fingerprint(model, dataset.image_shape), "of": len(images)}
    works = []
    for rows in np.array_split(np.arange(len(images)), max(1, len(images) // CHUNK)):
        part: npt.NDArray[np.int64] = rows
        compute = partial(_count, parameters, model, images, n, stream, part, dataset, context)
        works.append(({**settled, "images": part.tolist()}, compute))
    return [row for made in context.stages("classes", works) for row in made["counts"]]


def _count(
    parameters: Parameters,
    model: nn.Module,
    images: Tensor,
    n: int,
    stream: str,
    rows: npt.NDArray[np.int64],
    dataset: data.Dataset,
    context: Context,
) -> dict[str, Any]:
    counts = count_classes(
        Executed(model, classes=dataset.classes, device=context.device),
        images[torch.from_numpy(rows)],
        Rounded(Gaussian(parameters.sigma), dataset.levels),
        n,
        seed=derive(parameters.seed, "count"),
        stream=stream,
        image_ids=rows,
    )
    return {"counts": counts.tolist()}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the labels and, for each method, the selected classes and the counts of all."""
    dataset = data.load(parameters.dataset)
    learned = torch.from_numpy(evenly(len(dataset.train_labels), parameters.examples))
    asked = torch.from_numpy(evenly(len(dataset.test_labels), parameters.images))
    images, votes, runs = dataset.test_images[asked], None, []
    for method in NAMES:
        model, losses = trained(parameters, method, votes, dataset, context)
        count = partial(counted, parameters, model, dataset=dataset, context=context)
        if votes is None:
            shares = count(dataset.train_images[learned], parameters.votes, "votes")
            votes = torch.tensor(shares, dtype=torch.float32) / parameters.votes
        selected = np.argmax(count(images, parameters.n0, "select"), axis=1)
        counts = count(images, parameters.n, "estimate")
        runs.append(
            {
                "method": NAMES[method],
                "losses": losses,
                "selected": selected.tolist(),
                "counts": counts,
            }
        )
    return {
        "data": dataset.digest,
        "labels": dataset.test_labels[asked].tolist(),
        "runs": runs,
    }


# not in the witness: for chapters, which read the values with it
def radii_and_shares(result: Result) -> dict[str, Any]:
    """Return for each method of a result, image by image, its certified radius and its vote share.

    Both are 0 where the answer is wrong or an abstention; "noise_accuracy" is the mean share of the
    label. Arrays are float64 [images].
    """
    asked, labels = result.parameters, np.array(result.values["labels"])
    found = {}
    for run in result.values["runs"]:
        counts, selected = np.array(run["counts"]), np.array(run["selected"])
        every = np.arange(len(labels))
        made = from_counts(
            selected,
            counts[every, selected],
            n0=asked["n0"],
            n=asked["n"],
            alpha=asked["alpha"],
            noise=Gaussian(asked["sigma"]),
        )
        right = made.predicted == labels
        found[run["method"]] = {
            "radius": np.where(right, made.radius, 0.0),
            "share": np.where(right, counts[every, selected] / asked["n"], 0.0),
            "noise_accuracy": float((counts[every, labels] / asked["n"]).mean()),
        }
    return found


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

"""Label flips that ridge regression on features of a trained network withstands.

A network trained on flipped labels has other features, and no certificate for fixed features
holds. So the network here learns from images and labels of other classes alone: no label of the
two classes that are told apart ever reaches it. Whoever flips labels of these two cannot change a
feature; labels of the other classes are trusted. The values are those of `label_flips`.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.experiments import label_flips
from rs_lib.machines import data, fast_training, models, ridge
from rs_lib.machines.compact_residual import compact_residual, folded
from rs_lib.machines.subsets import evenly, of_classes
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

_CHUNK = 50  # test images of one stage
_BATCH = 500  # images of one forward pass


@dataclass(frozen=True)
class Parameters:
    """The network, the pairs of classes to tell apart, and how.

    A `compact_residual` network is trained as a `fast_training.Recipe` says, on clean images of
    the classes that are in none of `pairs`. For each pair and each of `examples` (so many training
    images, evenly spaced) every fifth is held out and the penalty is chosen as in `label_flips`,
    by `swept` of them. Of the pair's test images `tested` are certified, without noise and with
    the probabilities `flips` that a label is replaced.
    """

    dataset: str
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    shift: int
    flip: bool
    average: float
    precision: str
    pairs: tuple[tuple[int, int], ...]
    examples: tuple[int, ...]
    penalties: tuple[float, ...]
    sacrifice: float
    flips: tuple[str, ...]
    tested: int
    swept: int
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        widths=(8, 16),
        blocks=(1, 1),
        epochs=20,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=5e-4,
        shift=1,
        flip=False,
        average=0.9,
        precision="float32",
        pairs=((1, 7),),
        examples=(260,),
        penalties=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
        sacrifice=0.01,
        flips=("0.05", "0.1"),
        tested=100,
        swept=50,
        seed=2019,
    ),
    # Dog against ship, cat against dog; Dogfish has 900 training images, we take it of each class.
    "full": Parameters(
        dataset="cifar10",
        widths=(48, 72, 96),
        blocks=(2, 1, 1),
        epochs=10,
        batch_size=128,
        learning_rate=0.2,
        weight_decay=5e-4,
        shift=4,
        flip=True,
        average=0.999,
        precision="bfloat16",
        pairs=((5, 8), (3, 5)),
        examples=(1_800, 10_000),
        penalties=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
        sacrifice=0.01,
        flips=("0.05", "0.2"),
        tested=600,
        swept=200,
        seed=2019,
    ),
}

WITNESS = replace(
    PROFILES["quick"],
    epochs=2,
    batch_size=32,
    flip=True,
    precision="bfloat16",
    pairs=((1, 7), (3, 7)),
    examples=(60,),
    penalties=(0.1, 10.0),
    flips=("0.1",),
    tested=60,
    swept=10,
)


def others(parameters: Parameters, dataset: data.Dataset) -> tuple[int, ...]:
    """Return the classes that the network learns: those in none of the pairs."""
    told = {label for pair in parameters.pairs for label in pair}
    return tuple(label for label in range(dataset.classes) if label not in told)


def _untrained(parameters: Parameters, dataset: data.Dataset) -> nn.Sequential:
    return compact_residual(
        dataset.image_shape,
        len(others(parameters, dataset)),
        derive(parameters.seed, "features"),
        widths=parameters.widths,
        blocks=parameters.blocks,
    )


def network(
    parameters: Parameters, dataset: data.Dataset, context: Context
) -> tuple[nn.Sequential, list[float]]:
    """Train the network on the other classes, or take the kept one; also its losses per epoch."""
    model, classes = _untrained(parameters, dataset), others(parameters, dataset)
    images, labels = of_classes(dataset.train_images, dataset.train_labels, classes)
    inputs = {
        **asdict(fast_training.Recipe.of(parameters)),
        "network": models.fingerprint(model, dataset.image_shape),
        "seed": parameters.seed,
        "classes": classes,
        "data": dataset.digest,
    }
    compute = partial(_trained, parameters, model, images, labels, dataset.levels, context)
    kept = context.training("learned-features", inputs, compute)
    model.load_state_dict(kept["weights"])
    return model.to(context.device).eval(), kept["losses"]


def _trained(
    parameters: Parameters,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    levels: int,
    context: Context,
    *,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    training = fast_training.Training(
        model,
        images,
        labels,
        levels=levels,
        noise=None,
        recipe=fast_training.Recipe.of(parameters),
        seed=derive(parameters.seed, "train", "features"),
        device=context.device,
    )
    return fast_training.run(training, checkpoint, context.tell)


@torch.inference_mode()
def outputs(
    model: nn.Module, images: Tensor, dataset: data.Dataset, context: Context
) -> FloatArray:
    """Return what `model` gives for uint8 `images` [N, C, H, W]: float64 [N, k]."""
    parts = [
        model(dataset.as_float(part).to(context.device)).cpu()
        for part in torch.split(images, _BATCH)
    ]
    return torch.cat(parts).double().numpy()


def learned(model: nn.Sequential) -> nn.Module:
    """Return the network without its last layer."""
    return folded(model[:-1].eval())


def _pair(
    parameters: Parameters,
    pair: tuple[int, int],
    examples: int,
    model: nn.Sequential,
    dataset: data.Dataset,
    context: Context,
) -> dict[str, Any]:
    """Return what the rule for a pair, learned from so many images, withstands."""
    images, labels = of_classes(dataset.train_images, dataset.train_labels, pair)
    rows = evenly(len(labels), examples)
    known = labels.numpy()[rows]
    features = learned(model)
    points = outputs(features, images[torch.from_numpy(rows)], dataset, context)
    test, truth = of_classes(dataset.test_images, dataset.test_labels, pair)
    chosen = evenly(len(truth), parameters.tested)
    shown = outputs(features, test[torch.from_numpy(chosen)], dataset, context)
    problem = label_flips.Problem(pair, parameters.flips, len(chosen), parameters.swept, ())
    inputs = {
        **asdict(parameters),
        **{"pair": pair, "examples": len(rows), "data": dataset.digest},
        "network": models.fingerprint(model, dataset.image_shape),
    }
    choice = (parameters.penalties, parameters.sacrifice, problem)
    compute = partial(label_flips.swept, *choice, points, known, context.progress)
    sweep = context.stage("learned-sweep", inputs, compute)
    penalty, regression = parameters.penalties[sweep["chosen"]], ridge.fit(points)
    pieces = []
    for place in range(0, len(chosen), _CHUNK):
        part = slice(place, place + _CHUNK)
        right = truth.numpy()[chosen[part]]
        work = partial(_rows, regression, shown[part], penalty, known, right, parameters.flips)
        own = {**inputs, "rows": chosen[part].tolist()}
        pieces.append(context.stage("learned-flips", own, work))
    return {
        **{"pair": list(pair), "train": len(rows), "test": len(truth), "sweep": sweep},
        "images": {
            **label_flips.joined(pieces, ("right", "exact")),
            "noisy": [
                label_flips.joined([piece["noisy"][f] for piece in pieces], _NOISY)
                for f in range(len(parameters.flips))
            ],
        },
    }


_NOISY = ("right", "log_failure", "low", "high")


def _rows(
    regression: ridge.Ridge,
    points: FloatArray,
    penalty: float,
    known: IntArray,
    truth: IntArray,
    flips: tuple[str, ...],
) -> dict[str, Any]:
    return label_flips.certified(regression.weights(points, penalty), known, truth, flips, 2)


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the network's losses and right answers to its own classes, and each pair's values."""
    dataset = data.load(parameters.dataset)
    model, losses = network(parameters, dataset, context)
    own = of_classes(dataset.test_images, dataset.test_labels, others(parameters, dataset))
    answers = outputs(model, own[0], dataset, context).argmax(axis=1)
    return {
        "data": dataset.digest,
        "losses": losses,
        "features": model[-1].in_features,
        "own": {"right": int((answers == own[1].numpy()).sum()), "test": len(answers)},
        "pairs": [
            _pair(parameters, pair, examples, model, dataset, context)
            for pair in parameters.pairs
            for examples in parameters.examples
        ],
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

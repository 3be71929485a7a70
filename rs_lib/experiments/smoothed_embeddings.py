"""Few-shot learning with a smoothed embedding: what samples tell of each query and each rival.

A network of embeddings learns some classes under noise. Then other classes get a prototype each,
from a few clean images, and queries of these classes are seen under noise. Every such episode has a
network, a support and queries of its own. What is kept of a query are counts of its scores (see
`rs_lib.smoothing.embeddings`), from which certificates of four kinds, and those of hard votes,
follow.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray
from rs_lib.certificates import embedding, gaussian
from rs_lib.machines import data, fast_training, few_shot, models
from rs_lib.machines.subsets import evenly, of_classes
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import embeddings
from rs_lib.statistics import bands, clopper_pearson_lower, lead_bounds

_SLIP = 1e-9
"""By more than offsets err by rounding."""

CERTIFICATES = ("Lipschitz", "mean", "vector", "law", "hard votes")


@dataclass(frozen=True)
class Parameters:
    """What to learn, and how much to sample.

    A network of `model` with `dimension` outputs learns the classes `learned` of `dataset` for
    `epochs` under noise of scale `sigma`, with the loss of
    `rs_lib.machines.few_shot.towards_prototypes` at `scale`. There are `episodes`, each with a
    network trained anew, `shots` training images of each of the classes `asked` of `asked_dataset`
    as support, and `queries` test images of each. Of each query `n0` samples choose, `n` count, and
    scores fall into `bins` bins.
    """

    dataset: str
    learned: tuple[int, ...]
    asked_dataset: str
    asked: tuple[int, ...]
    model: str
    dimension: int
    sigma: float
    scale: float
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    average: float
    episodes: int
    shots: int
    queries: int
    n0: int
    n: int
    bins: int
    alpha: float
    seed: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        learned=(0, 2, 4, 6, 8),
        asked_dataset="digits",
        asked=(1, 3, 5, 7, 9),
        model="small-cnn",
        dimension=32,
        sigma=0.25,
        scale=20.0,
        epochs=60,
        batch_size=64,
        learning_rate=0.05,
        weight_decay=1e-4,
        average=0.9,
        episodes=5,
        shots=5,
        queries=4,
        n0=200,
        n=10_000,
        bins=1_024,
        alpha=0.001,
        seed=2022,
    ),
}
PROFILES["full"] = dataclasses.replace(
    PROFILES["quick"],
    dataset="mnist",
    asked_dataset="mnist",
    model="lenet",
    dimension=64,
    sigma=0.5,
    epochs=10,
    batch_size=128,
    learning_rate=0.05,
    average=0.99,
    queries=20,
    n0=1_000,
)
PROFILES["fashion"] = dataclasses.replace(
    PROFILES["full"],
    learned=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    asked_dataset="fashion-mnist",
    asked=(0, 1, 5, 8, 9),
)

WITNESS = dataclasses.replace(
    PROFILES["quick"], epochs=2, episodes=2, queries=2, n0=20, n=200, bins=64
)


def _recipe(parameters: Parameters) -> fast_training.Recipe:
    return fast_training.Recipe.of(parameters, shift=0, flip=False)


def _network(parameters: Parameters, dataset: data.Dataset, number: int) -> few_shot.UnitEmbedding:
    seed = derive(parameters.seed, "model", number)
    shape, width = dataset.image_shape, parameters.dimension
    return few_shot.UnitEmbedding(models.build(parameters.model, shape, width, seed))


def trained(
    parameters: Parameters, dataset: data.Dataset, number: int, context: Context
) -> nn.Module:
    """Return the embedding of episode `number`, taught the classes `learned` of `dataset`."""
    model = _network(parameters, dataset, number)
    inputs = {
        **asdict(_recipe(parameters)),
        "learned": list(parameters.learned),
        "sigma": parameters.sigma,
        "scale": parameters.scale,
        "network": models.fingerprint(model, dataset.image_shape),
        "seed": parameters.seed,
        "episode": number,
        "data": dataset.digest,
    }
    work = partial(_train, parameters, dataset, number, context)
    kept = context.training("embedding", inputs, work)
    model.load_state_dict(kept["weights"])
    return model.to(context.device).eval()


def _train(
    parameters: Parameters,
    dataset: data.Dataset,
    number: int,
    context: Context,
    *,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    chosen = of_classes(dataset.train_images, dataset.train_labels, parameters.learned)
    classes = len(parameters.learned)
    training = fast_training.Training(
        _network(parameters, dataset, number),
        *chosen,
        levels=dataset.levels,
        noise=None,
        recipe=_recipe(parameters),
        seed=derive(parameters.seed, "train", number),
        device=context.device,
        goal=few_shot.towards_prototypes(classes, parameters.sigma, parameters.scale),
    )
    return fast_training.run(
        training, checkpoint, lambda line: context.tell(f"episode {number + 1}, {line}")
    )


@dataclass(frozen=True)
class Episode:
    """Support and queries, uint8, with their labels by the place of their class, and ids."""

    support: Tensor
    support_labels: Tensor
    queries: Tensor
    query_labels: Tensor
    ids: npt.NDArray[np.int64]


def episode(parameters: Parameters, dataset: data.Dataset, number: int) -> Episode:
    """Return episode `number`: its support is drawn anew, and no query comes twice."""
    draw = np.random.default_rng(derive(parameters.seed, "support", number))
    learned = of_classes(dataset.train_images, dataset.train_labels, parameters.asked)
    tested = of_classes(dataset.test_images, dataset.test_labels, parameters.asked)
    support, asked = [], []
    for place in range(len(parameters.asked)):
        own = np.flatnonzero(learned[1].numpy() == place)
        support.append(draw.choice(own, parameters.shots, replace=False))
        own = np.flatnonzero(tested[1].numpy() == place)
        every = own[evenly(len(own), parameters.episodes * parameters.queries)]
        asked.append(every[number :: parameters.episodes])
    first, ids = np.concatenate(support), np.concatenate(asked)
    chosen, wanted = torch.from_numpy(first), torch.from_numpy(ids)
    return Episode(
        learned[0][chosen], learned[1][chosen], tested[0][wanted], tested[1][wanted], ids
    )


def _asked(
    parameters: Parameters,
    model: nn.Module,
    dataset: data.Dataset,
    number: int,
    context: Context,
) -> dict[str, Any]:
    """Return the prototypes of an episode and what is kept of each of its queries."""
    found = episode(parameters, dataset, number)
    classes = len(parameters.asked)
    with torch.inference_mode():
        clean = model(dataset.as_float(found.support).to(context.device)).double().cpu()
    points = few_shot.prototypes(clean, found.support_labels, classes).numpy()
    noise, queries = Rounded(Gaussian(parameters.sigma), dataset.levels), []
    for image, label, own in zip(found.queries, found.query_labels, found.ids, strict=True):
        drawn = {
            stream: embeddings.sample(
                model,
                image.to(context.device),
                noise,
                n,
                key=derive(parameters.seed, stream),
                identity=int(own),
            )
            for stream, n in (("pilot", parameters.n0), ("count", parameters.n))
        }
        draw = np.random.default_rng(derive(parameters.seed, "coins", int(own)))
        kept = embeddings.counted(drawn["pilot"], drawn["count"], points, parameters.bins, draw)
        queries.append({"label": int(label), **kept})
    return {"prototypes": points.tolist(), "queries": queries}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the prototypes of every episode and the counts of every query."""
    learned, asked = data.load(parameters.dataset), data.load(parameters.asked_dataset)
    sampling = ("sigma", "episodes", "shots", "queries", "n0", "n", "bins", "seed")
    settled = {name: getattr(parameters, name) for name in sampling}
    settled |= {"asked": list(parameters.asked), "data": asked.digest}
    works = []
    for number in range(parameters.episodes):
        model = trained(parameters, learned, number, context)
        network = models.fingerprint(model, asked.image_shape)
        work = partial(_asked, parameters, model, asked, number, context)
        works.append(({**settled, "network": network, "episode": number}, work))
    return {"data": asked.digest, "episodes": context.stages("episode", works)}


# not in the witness: for chapters, which read the values with it
def radii(result: Result, *, certified: bool) -> dict[str, FloatArray]:
    """Return the radii of all queries by each of `CERTIFICATES`, float64 [queries]; 0 where wrong.

    With `certified` they hold for each query with probability 1 - alpha; else what was seen in the
    samples is taken for the truth. Radii are in the unit of the pixels.
    """
    asked = result.parameters
    rows = [
        _radii(asked, np.array(part["prototypes"]), query, certified=certified)
        for part in result.values["episodes"]
        for query in part["queries"]
    ]
    return {name: np.array([row[name] for row in rows]) for name in CERTIFICATES}


# not in the witness: for chapters
def _radii(
    asked: dict[str, Any], points: FloatArray, query: dict[str, Any], *, certified: bool
) -> dict[str, float]:
    sigma, n, own = asked["sigma"], asked["n"], query["selected"]
    right = own == query["label"]
    found = dict.fromkeys(CERTIFICATES[:-1], np.inf if right else 0.0)
    level = asked["alpha"]  # for each rival: only that with the least true radius has to hold
    mean = np.array(query["mean"])
    for rival in query["rivals"] if right else []:
        u, b = embeddings.direction(points, own, rival["rival"])
        offset, slope = b + _SLIP, float(mean @ u)
        coin, along, across = slope, slope, float(np.linalg.norm(mean - slope * u))
        if certified:
            slope = max(slope - float(np.sqrt(2 * np.log(1 / level) / n)), -1.0)
            coin = _from_coins(rival["along"], n, level)
            along = _from_coins(rival["along"], n, level / 2)
            across = _from_coins(rival["across"], n, level / 2)
        # Of the rest a lower bound serves only where the mean score is not negative.
        across = min(max(across, 0.0), float(np.sqrt(1 - along**2))) if along >= 0 else 0.0
        against: tuple[FloatArray | float, ...] = (
            embedding.radius_lipschitz(slope, offset, sigma),
            embedding.radius_mean(coin, offset, sigma),
            embedding.radius_vector(along, across, offset, sigma),
            _law_radius(asked, rival, offset, level if certified else None),
        )
        for name, radius in zip(CERTIFICATES, against, strict=False):
            found[name] = min(found[name], float(radius))
    return {**found, CERTIFICATES[-1]: _vote_radius(asked, query, certified=certified)}


# not in the witness: for chapters
def _from_coins(heads: int, n: int, level: float) -> float:
    """Return a lower bound of the mean score, from coins of chance (1 + score) / 2."""
    return float(2 * clopper_pearson_lower(heads, n, level) - 1)


# not in the witness: for chapters
def _law_radius(
    asked: dict[str, Any], rival: dict[str, Any], offset: float, level: float | None
) -> float:
    counts, n = np.array(rival["histogram"]), asked["n"]
    if level is None:
        survival = np.minimum(np.cumsum(counts[::-1])[::-1] / n, 1.0)
    else:
        survival = bands.survival_lower(np.concatenate([[0], counts]), level)[1:]
    bins = asked["bins"]
    thresholds = -1 + 2 * (rival["first"] + np.arange(len(counts))) / bins
    return float(embedding.radius_law(thresholds, survival, offset, asked["sigma"]))


# not in the witness: for chapters
def _vote_radius(asked: dict[str, Any], query: dict[str, Any], *, certified: bool) -> float:
    """Radius of the vote of noisy copies, each for its nearest prototype, by both probabilities."""
    own, votes, n = query["leader"], np.array(query["votes"]), asked["n"]
    if own != query["label"]:
        return 0.0
    others = np.delete(votes, own).max()
    if not certified:
        return float(gaussian.radius(votes[own] / n, asked["sigma"], others / n))
    low, high = lead_bounds(votes[own], others, n, asked["alpha"])
    return float(gaussian.radius(low, asked["sigma"], high))


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

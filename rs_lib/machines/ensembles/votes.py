"""The votes of an ensemble: models trained tile by tile, their answers kept, nothing else.

A tile is a fixed set of consecutive models, trained in arrays of one shape on one thread. So a
model's arithmetic is the same whatever chunk, thread or process it falls to, and the votes are
equal by construction, bit for bit, on one kind of machine. Another processor, GPU, release of
torch or size of tile may differ in the last bits of weights: then a vote can change where
scores are as good as equal, and with `test_noise` "weights" the whole augmentation is another
draw. Noise of `Flip` and `Rounded` is the same bits everywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from rs_lib import bars
from rs_lib.arguments import IntArray, integers
from rs_lib.machines.ensembles.closed_form import NaiveBayes
from rs_lib.machines.ensembles.networks import Network, TrainedNetworks
from rs_lib.machines.ensembles.noisy_data import NoisyData
from rs_lib.noise import Flip

T = TypeVar("T")


class Fitted(Protocol):
    """Models of a tile after training."""

    def scores(self, tests: Tensor, /) -> Tensor:
        """Return [M, t, classes] on `tests`; the largest is the vote."""


class Learner(Protocol):
    """What trains a tile; `probabilistic` says that scores are probabilities."""

    @property
    def tile(self) -> int:
        """Number of models trained at once."""

    @property
    def probabilistic(self) -> bool:
        """Whether scores lie in [0, 1]."""

    def fit(self, features: Tensor, labels: Tensor, classes: int, models: IntArray, /) -> Fitted:
        """Train the models of these numbers, each on its own training set."""


class Ranks(Protocol):
    """Processes that share the models, such as `rs_lib.commands.ranks.Ranks`."""

    rank: int
    world: int

    def agree(self, work: Callable[[], T]) -> list[T]:
        """Do `work` on every rank and return all results, by rank."""


Stage = Callable[[str, Mapping[str, object], Callable[[], dict[str, Any]]], dict[str, Any]]


def vote(
    learner: Learner,
    data: NoisyData,
    models: range,
    *,
    soft: bool = False,
    device: str = "cpu",
    ranks: Ranks | None = None,
    progress: bool = False,
) -> dict[str, Tensor]:
    """Train `models`, consecutive numbers, and return their votes, on the CPU.

    "votes": int8 [N, t], the class of largest score, the first among equals. "scores", with
    `soft`: float32 [N, t, classes], for learners whose scores are probabilities. Only whole
    tiles are trained and the rest dropped: let `models` begin and end at multiples of
    `learner.tile`. On a CPU each of torch's threads takes tiles of its own; `ranks` share the
    tiles and each returns all votes.

    Memory: the result, and for each thread a tile with its training sets and the noisy copies
    and scores of 256 test examples. Raises ValueError for arguments that do not fit,
    FloatingPointError where a score is NaN.
    """
    _check(learner, data, models, soft)
    here = data.to(device)
    tile = int(learner.tile)
    starts = range(models.start // tile * tile, models.stop, tile)
    own = starts[ranks.rank :: ranks.world] if ranks is not None else starts
    work = partial(_tile, learner, here, tile, soft)
    shown = progress and (ranks is None or ranks.rank == 0)
    compute = partial(_tiles, work, own, tile, device, shown)
    parts = ranks.agree(compute) if ranks is not None else [compute()]
    made = {start: part for share in parts for start, part in share.items()}
    kept = slice(models.start - starts[0], models.stop - starts[0])
    return {
        name: torch.cat([made[start][name] for start in starts])[kept] for name in made[starts[0]]
    }


def votes_in_chunks(
    learner: Learner,
    data: NoisyData,
    models: int,
    *,
    chunk: int,
    stage: Stage,
    inputs: Mapping[str, object],
    **options: Any,
) -> dict[str, Tensor]:
    """Return the votes of models 0, …, `models` - 1, in chunks that `stage` keeps.

    `stage`: `Context.stage` of an experiment, which finds a kept chunk by `inputs`, all that
    `learner` and `data` depend on. `chunk`: models in each, rounded up to whole tiles; other
    sizes give the same votes. `options` are those of `vote`.
    """
    integers("models", models, least=1)
    integers("chunk", chunk, least=1)
    size = -(-chunk // learner.tile) * learner.tile
    kept = []
    for start in range(0, models, size):
        part = range(start, min(start + size, models))
        key = {**inputs, "models": [part.start, part.stop], "tile": learner.tile}
        kept.append(stage("votes", key, partial(vote, learner, data, part, **options)))
    return {name: torch.cat([part[name] for part in kept]) for name in kept[0]}


def _tiles(
    work: Callable[[int], dict[str, Tensor]],
    starts: range,
    tile: int,
    device: str,
    progress: bool,
) -> dict[int, dict[str, Tensor]]:
    """Return the answers of the tiles that begin at `starts`."""
    threads = min(torch.get_num_threads(), len(starts)) if device == "cpu" else 1
    with (
        bars.bar(
            total=len(starts) * tile, desc="training", unit="model", disable=not progress
        ) as bar,
        _one_thread(),
        ThreadPoolExecutor(
            max(1, threads), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool,
    ):
        made = {}
        for start, part in zip(starts, pool.map(work, starts), strict=True):
            made[start] = part
            bar.update(tile)
    return made


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch's operations run on one thread each: a result then has one order of sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tile(
    learner: Learner, data: NoisyData, tile: int, soft: bool, start: int
) -> dict[str, Tensor]:
    """Train the tile of models that begins at `start` and return its answers."""
    models = np.arange(start, start + tile)
    fitted = learner.fit(*data.training(models), data.classes, models)
    digests = None
    if data.test_noise == "weights":
        assert isinstance(fitted, TrainedNetworks)
        digests = fitted.digests()
    answers, scores = [], []
    for block in data.tests(models, digests):
        found = fitted.scores(block)
        answers.append(torch.where(found.isnan().any(-1), -1, found.argmax(-1)).to(torch.int8))
        if soft:
            scores.append(found.float())
    votes = torch.cat(answers, dim=1).cpu()
    if bool((votes < 0).any()):
        model = start + int((votes < 0).any(1).nonzero()[0])
        raise FloatingPointError(f"scores of model {model} are NaN: give a smaller learning_rate")
    return {"votes": votes} | ({"scores": torch.cat(scores, dim=1).cpu()} if soft else {})


def _check(learner: Learner, data: NoisyData, models: range, soft: bool) -> None:
    """Raise ValueError for arguments that do not fit together."""
    if models.step != 1 or not 0 <= models.start < models.stop:
        raise ValueError(f"models is {models}: give consecutive numbers of at least 0")
    if data.classes > 127:
        raise ValueError(f"classes is {data.classes}: give at most 127, votes are int8")
    if soft and not learner.probabilistic:
        raise ValueError(f"soft is True: leave it out, scores of {learner} are no probabilities")
    if isinstance(learner, Network):
        learner.check(data.train_features.shape[1], data.classes)
    elif data.test_noise == "weights":
        raise ValueError(f"test_noise is 'weights': give none or each, {learner} has no weights")
    if isinstance(learner, NaiveBayes) and not _binary(data):
        raise ValueError(
            "features are not 0 and 1: give binary ones for NaiveBayes, and Flip noise"
        )


def _binary(data: NoisyData) -> bool:
    """Whether all features are 0 or 1, and stay so under their noise."""
    noise = data.feature_noise
    if noise is not None:
        return isinstance(noise, Flip) and noise.levels == 1
    arrays = (data.train_features, data.test_features)
    return all(bool(((array == 0) | (array == 1)).all()) for array in arrays)

"""Training of many small networks: the engine beside the plain loop and its own limit, in one run.

The task is Wang et al.'s: 100 binarised images of MNIST, each entry and label kept with
probability 0.9; a 784-64-10 perceptron, Adam, 20 epochs; every model answers on noisy copies of
the test images. The plain loop is that of textbooks: torch.rand, a DataLoader, torch.optim.Adam,
one model after the other. The limit is what no way of batching saves: the products of the first
layer with its inputs and gradients, and Adam's pass over the weights, on arrays that are there.

Turns alternate. On one thread, ratios are of CPU time, so that a busy machine changes them
little; on several they are of wall time, and mean something on an idle machine only: there the
plain loop is taken on one thread or on all, whichever is faster.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from rs_lib.machines import data
from rs_lib.machines.ensembles import Network, NoisyData, multilayer_perceptron, vote
from rs_lib.noise import Flip

KEEP, HIDDEN, EPOCHS, RATE = 0.9, 64, 20, 1e-3
BATCHES = (32, 100)


def task(dataset: str, examples: int, tests: int) -> tuple[NoisyData, Tensor]:
    """Return binarised images under Wang et al.'s noise, and the labels of the test images."""
    source = data.load(dataset)
    noisy = NoisyData(
        _binary(source, source.train_images[:examples]),
        source.train_labels[:examples],
        _binary(source, source.test_images[:tests]),
        source.classes,
        seed=0,
        feature_noise=Flip(KEEP),
        label_noise=Flip(KEEP, source.classes - 1),
        test_noise="each",
    )
    return noisy, source.test_labels[:tests]


def _binary(source: data.Dataset, images: Tensor) -> Tensor:
    return (images.flatten(1) > source.levels // 2).to(torch.uint8)


def plain(noisy: NoisyData, models: int, batch: int) -> Tensor:
    """Return votes int64 [models, t] of networks trained one after the other, the usual way."""
    features, labels = noisy.train_features.float(), noisy.train_labels
    tests = noisy.test_features.float()
    votes = []
    for _ in range(models):
        copy = torch.where(torch.rand_like(features) < KEEP, features, 1 - features)
        others = (labels + torch.randint(1, noisy.classes, labels.shape)) % noisy.classes
        targets = torch.where(torch.rand(labels.shape) < KEEP, labels, others)
        loader = DataLoader(TensorDataset(copy, targets), batch_size=batch, shuffle=True)
        model = nn.Sequential(
            nn.Linear(features.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, noisy.classes)
        )
        optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
        for _ in range(EPOCHS):
            for inputs, wanted in loader:
                optimiser.zero_grad()
                cross_entropy(model(inputs), wanted).backward()
                optimiser.step()
        with torch.no_grad():
            seen = torch.where(torch.rand_like(tests) < KEEP, tests, 1 - tests)
            votes.append(model(seen).argmax(1))
    return torch.stack(votes)


def limit(noisy: NoisyData, models: int, batch: int, tile: int) -> dict[str, Callable[[], None]]:
    """Return the products and the optimiser's passes that training `models` networks takes."""
    examples, d = noisy.train_features.shape
    inputs, weights = torch.rand(tile, batch, d), torch.rand(tile, d, HIDDEN)
    gradients = torch.rand(tile, batch, HIDDEN)
    state = torch.rand(tile, d * HIDDEN + HIDDEN * (noisy.classes + 1) + noisy.classes)
    state.requires_grad_().grad = torch.rand_like(state)
    optimiser = torch.optim.Adam([state], lr=RATE, fused=True)
    steps = EPOCHS * -(-examples // batch)
    # A last, smaller batch of each epoch takes its share of the products.
    full = round(EPOCHS * examples / batch * models / tile)

    def products() -> None:
        for _ in range(full):
            torch.bmm(inputs, weights)
            torch.bmm(inputs.mT, gradients)

    def passes() -> None:
        for _ in range(steps * models // tile):
            optimiser.step()

    return {"products": products, "passes": passes}


def turns(ways: Sequence[Callable[[], object]], repeats: int) -> list[list[tuple[float, float]]]:
    """Return (CPU, wall) seconds, shape (ways, repeats), after one turn to warm up."""
    times: list[list[tuple[float, float]]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, kept in zip(ways, times, strict=True):
            start = time.process_time(), time.perf_counter()
            way()
            if turn:
                kept.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return times


def measure(
    dataset: str, *, models: int, plain_models: int, repeats: int, threads: int
) -> list[dict[str, Any]]:
    """Return a row for each batch size.

    In each of `repeats` turns the engine trains `models` networks and the plain loop
    `plain_models`, on `threads` threads.
    """
    noisy, truth = task(dataset, examples=100, tests=100)
    before = torch.get_num_threads()
    rows = []
    for batch in BATCHES:
        shape = (noisy.train_features.shape[1], (HIDDEN,), noisy.classes)
        learner = Network(partial(multilayer_perceptron, *shape), EPOCHS, batch, RATE, seed=0)
        votes: dict[str, list[Tensor]] = {"plain": [], "engine": []}

        def loop(on: int, batch: int = batch, kept: list[Tensor] = votes["plain"]) -> None:
            torch.set_num_threads(on)
            kept.append(plain(noisy, plain_models, batch))

        def engine(learner: Network = learner, kept: list[Tensor] = votes["engine"]) -> None:
            torch.set_num_threads(threads)
            done = models * len(kept)
            kept.append(vote(learner, noisy, range(done, done + models))["votes"])

        bare = limit(noisy, models, batch, learner.tile)
        ways = {"plain": lambda: loop(1), "engine": engine, **bare}
        if threads > 1:
            ways["plain, all threads"] = lambda: loop(threads)
        times = dict(zip(ways, turns(list(ways.values()), repeats), strict=True))
        torch.set_num_threads(before)
        rows.append(
            {"batch": batch, "threads": threads}
            | _rates(times, models, plain_models, wall=threads > 1)
            | {f"{way}_accuracy": _accuracy(kept, truth) for way, kept in votes.items()}
        )
    return rows


def _rates(
    times: dict[str, list[tuple[float, float]]], models: int, plain_models: int, *, wall: bool
) -> dict[str, float]:
    """Return models per second and ratios; the median of a ratio is over the turns."""
    seconds = {way: [pair[wall] for pair in kept] for way, kept in times.items()}
    loops = [seconds[way] for way in seconds if way.startswith("plain")]
    best = min(loops, key=statistics.median)
    engine = [value / models for value in seconds["engine"]]
    ratios = [a / plain_models / b for a, b in zip(best, engine, strict=True)]
    found = {
        "plain_per_second": plain_models / statistics.median(best),
        "engine_per_second": 1 / statistics.median(engine),
        "ratio": statistics.median(ratios),
    }
    if not wall:
        for name in ("products", "passes"):
            shares = (a / models / b for a, b in zip(seconds[name], engine, strict=True))
            found[f"{name}_share"] = statistics.median(shares)
    return found


def _accuracy(votes: list[Tensor], truth: Tensor) -> float:
    """Return the mean accuracy of single models."""
    return float((torch.cat(votes) == truth).double().mean())

"""Training beside the bare forward and backward passes on the same network, in one run.

The bare loop sees one batch that is already there, and takes no step: the limit. Beside it the
whole trainer with its augmentation, noise, optimiser and running average, and the library's plain
trainer in float32. Images are random; the work does not depend on them.
"""

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.clock import alternate
from rs_lib.experiments import certified_cifar10
from rs_lib.machines import fast_training, models, training
from rs_lib.machines.compact_residual import compact_residual
from rs_lib.machines.objectives import OBJECTIVES
from rs_lib.noise import Gaussian

SIGMA = 0.5
FULL = certified_cifar10.PROFILES["full"]


def _networks() -> dict[str, Callable[[], torch.nn.Module]]:
    shape, sizes = (3, 32, 32), {"widths": FULL.widths, "blocks": FULL.blocks}
    return {
        "compact residual": lambda: compact_residual(shape, 10, 0, **sizes),
        "lenet, colour": lambda: models.build("lenet", shape, 10, 0),
    }


def measure(batches: int, repeats: int) -> list[dict[str, Any]]:
    """Return images per CPU second of each way to train on `batches` batches, and their ratios."""
    draw = torch.Generator().manual_seed(0)
    count = batches * FULL.batch_size
    images = torch.randint(256, (count, 3, 32, 32), generator=draw).to(torch.uint8)
    labels = torch.randint(10, (count,), generator=draw)
    return [
        _row(name, build, images, labels, precision, repeats)
        for name, build in _networks().items()
        for precision in fast_training.PRECISIONS
    ]


def _row(
    name: str,
    build: Callable[[], torch.nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor,
    precision: str,
    repeats: int,
) -> dict[str, Any]:
    short = dataclasses.replace(FULL, epochs=repeats + 1, learning_rate=1e-3)
    recipe = fast_training.Recipe.of(short, precision=precision)
    whole = fast_training.Training(
        build(), images, labels, levels=255, noise=Gaussian(SIGMA), recipe=recipe, seed=0
    )
    bare, plain = build().train(), build()
    bright = images.float() / 255
    batch = bright[: recipe.batch_size].contiguous(memory_format=torch.channels_last)
    answers = labels[: recipe.batch_size]

    def passes() -> None:
        for _ in range(whole.batches):
            fast_training.forward_backward(bare, batch, answers, precision)
            bare.zero_grad(set_to_none=True)

    ways: list[Callable[[], object]] = [
        passes,
        lambda: whole.epoch(0),
        lambda: training.train(
            plain,
            bright,
            labels,
            noise=Gaussian(SIGMA),
            epochs=1,
            batch_size=recipe.batch_size,
            learning_rate=1e-3,
            seed=0,
        ),
    ]
    seconds = [statistics.median(turns) for turns in alternate(ways, repeats)]
    bare_speed, speed, plain_speed = (len(images) / taken for taken in seconds)
    return {
        "network": name,
        "precision": precision,
        "images": len(images),
        "bare_per_second": bare_speed,
        "training_per_second": speed,
        "training_over_bare": speed / bare_speed,
        "plain_per_second": plain_speed,
    }


def objectives(batch_size: int, repeats: int) -> list[dict[str, Any]]:
    """Return the passes per CPU second of a step of each objective, on LeNet, beside bare ones.

    A pass is forward and backward over the batch; the bare loop makes as many. A step of an
    objective has its noise, its attack and its loss, and the bare one cross-entropy alone.
    """
    draw = torch.Generator().manual_seed(0)
    images = torch.rand((batch_size, 1, 28, 28), generator=draw)
    labels = torch.randint(10, (batch_size,), generator=draw)
    step = fast_training.Step(draw, votes=torch.full((batch_size, 10), 0.1))
    rows = []
    for kind in OBJECTIVES.values():
        objective = kind()
        goal = fast_training.towards(objective, SIGMA)
        models_of = [models.build("lenet", (1, 28, 28), 10, 0).train() for _ in range(2)]
        seconds = _step_seconds(*models_of, images, labels, goal, step, objective.passes, repeats)
        bare_speed, speed = (objective.passes / taken for taken in seconds)
        rows.append(
            {
                "objective": objective.name,
                "passes": objective.passes,
                "bare_per_second": bare_speed,
                "objective_per_second": speed,
                "objective_over_bare": speed / bare_speed,
            }
        )
    return rows


def _step_seconds(
    bare: torch.nn.Module,
    model: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    goal: fast_training.Goal,
    step: fast_training.Step,
    passes: int,
    repeats: int,
) -> list[float]:
    """Return the median seconds of `passes` bare passes, and of a step towards `goal`."""

    def alone() -> None:
        for _ in range(passes):
            fast_training.forward_backward(bare, images, labels, "float32")
            bare.zero_grad(set_to_none=True)

    def whole() -> None:
        fast_training.forward_backward(model, images, labels, "float32", goal, step)
        model.zero_grad(set_to_none=True)

    return [statistics.median(turns) for turns in alternate([alone, whole], repeats)]

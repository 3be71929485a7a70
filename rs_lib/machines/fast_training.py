"""Training of image classifiers under noise, about as fast as their forward and backward passes.

Images stay uint8 on the device; a batch is shifted, reflected and made noisy there. What a run
draws in an epoch depends on its seed and the epoch alone: one that goes on from a checkpoint ends
in the same bits as one that was never stopped, on the same machine with as many threads.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rs_lib.arguments import integer, level, nonnegative, one_of, positive
from rs_lib.machines.augmentation import augmented
from rs_lib.machines.epochs import Epochs
from rs_lib.machines.noisy_scores import Batch
from rs_lib.machines.objectives import Objective
from rs_lib.noise import Law
from rs_lib.record import parallel
from rs_lib.record.checkpoint import NOTHING, Checkpoint
from rs_lib.seeds import derive

MOMENTUM = 0.9
PRECISIONS = ("float32", "bfloat16")
WORTH = 0.9
"""bfloat16 must take less than this share of the time of float32."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    SGD with Nesterov momentum, `weight_decay` and a one-cycle schedule whose largest rate is
    `learning_rate`, on whole batches of `batch_size`. Images are shifted by up to `shift` pixels
    either way and, with `flip`, reflected in half of the cases. The weights that are kept are a
    running average, in which those of a step weigh 1 - `average`. `precision`, of `PRECISIONS`,
    is that of the convolutions; weights and sums stay float32.

    Raises ValueError for a bad number or an unknown precision.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    shift: int
    flip: bool
    average: float
    precision: str = "float32"

    @classmethod
    def of(cls, parameters: object, **others: Any) -> "Recipe":
        """Return the recipe whose numbers `parameters` has as attributes, or `others` name."""
        names = [field.name for field in fields(cls) if field.name not in others]
        told = {name: getattr(parameters, name) for name in names if hasattr(parameters, name)}
        return cls(**told, **others)

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be used."""
        integer("epochs", self.epochs, least=1)
        integer("batch_size", self.batch_size, least=1)
        positive("learning_rate", self.learning_rate)
        nonnegative("weight_decay", self.weight_decay)
        integer("shift", self.shift)
        level("average", self.average)
        one_of("precision", self.precision, list(PRECISIONS))


@dataclass(frozen=True)
class Step:
    """What a training step brings beside inputs and labels.

    `draw`, on their device, is what randomness comes from; `done`, from 0 to 1, is the share of the
    training that is over; `votes`, float32 [N, classes], are shares of votes that another network
    gives the images, where the training has them.
    """

    draw: torch.Generator
    done: float = 1.0
    votes: Tensor | None = None


Goal = Callable[[nn.Module, Tensor, Tensor, Step], Tensor]
"""Maps a model, its inputs, their labels and what a step brings to the mean loss."""


def plain(model: nn.Module, inputs: Tensor, labels: Tensor, step: Step) -> Tensor:
    """Return the mean cross-entropy of `model` at `inputs` [N, C, H, W] with `labels` [N]."""
    return cross_entropy(model(inputs).float(), labels)


def towards(objective: Objective, sigma: float, warm_up: float = 0.0) -> Goal:
    """Return the goal of training for smoothing with N(0, sigma^2): the mean of an `objective`.

    Its inputs are clean images. What the objective warms up comes in over the share `warm_up` of
    the training.
    """

    def goal(model: nn.Module, inputs: Tensor, labels: Tensor, step: Step) -> Tensor:
        shape = (objective.draws, *inputs.shape)
        noises = torch.randn(shape, generator=step.draw, device=inputs.device).mul_(sigma)
        warm = min(1.0, step.done / warm_up) if warm_up else 1.0
        batch = Batch(inputs, labels, noises, sigma, step.draw, warm, step.votes)
        return objective(model, batch).mean()

    return goal


def forward_backward(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    precision: str,
    goal: Goal = plain,
    step: Step | None = None,
) -> Tensor:
    """Add the gradients of the loss `goal` of `model` and return it, detached.

    `inputs`: float32 [N, C, H, W]; `labels`: int64 [N]; `precision` of `PRECISIONS`; `step`: what
    the loss asks for beside them, by default an own draw.
    """
    half = precision == "bfloat16"
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=half):
        loss = goal(model, inputs, labels, step or Step(torch.Generator(inputs.device)))
    torch.autograd.backward(loss)
    return loss.detach()


class Training:
    """The training of one network, an epoch at a time.

    `images`: uint8 [N, C, H, W] with values up to `levels`; `labels`: int64 [N]; both are moved
    to `device` as a whole. The loss is `goal`, such as `towards` makes of an objective; by default
    cross-entropy, on images with fresh `noise` in every batch (Cohen et al. 2019, section 3.3; with
    None, on clean images). `votes`, float32 [N, classes], are handed to it in `Step`. `model` is
    trained in place. What is left of an epoch behind its last whole batch is dropped; the order is
    new in every epoch. Processes that torchrun started take equal shares of each batch, with batch
    normalisations over a share.

    Raises ValueError for images that are no uint8 images, or as many labels as there are none, or
    a batch that the processes cannot share.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        levels: int,
        noise: Law | None,
        recipe: Recipe,
        seed: int,
        device: str = "cpu",
        goal: Goal = plain,
        votes: Tensor | None = None,
    ) -> None:
        """Check the arguments and put everything in place."""
        if images.ndim != 4 or images.dtype != torch.uint8 or len(images) != len(labels):
            raise ValueError(
                f"images is {images.dtype} of shape {tuple(images.shape)} and labels of shape "
                f"{tuple(labels.shape)}: give uint8 [N, C, H, W] and [N]"
            )
        if len(images) < recipe.batch_size:
            raise ValueError(
                f"batch_size is {recipe.batch_size}: give at most the {len(images)} images"
            )
        self.model = model.to(device).to(memory_format=torch.channels_last).train()
        self.device = torch.device(device)
        self.images, self.labels = images.to(device), labels.to(device)
        self.levels, self.noise, self.recipe, self.seed = levels, noise, recipe, seed
        self.goal, self.votes = goal, votes
        self.rank, self.world = parallel.rank(), parallel.world()
        if recipe.batch_size % self.world:
            raise ValueError(
                f"batch_size is {recipe.batch_size}: give a multiple of the {self.world} processes"
            )
        # Averages the gradients of the shares, which makes them those of the whole batch.
        self.shared = DistributedDataParallel(self.model) if self.world > 1 else self.model
        self.batches = len(images) // recipe.batch_size
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True
        )
        self.optimiser = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.learning_rate,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=recipe.learning_rate,
            total_steps=recipe.epochs * self.batches,
            cycle_momentum=False,
        )

    def batch(self, chosen: Tensor, draw: torch.Generator) -> Tensor:
        """Return the images at `chosen` [n] as the network sees them: float32 [n, C, H, W]."""
        moved = augmented(self.images[chosen], self.recipe.shift, self.recipe.flip, draw)
        inputs = moved.float().div_(self.levels)
        if self.noise is not None:
            inputs = self.noise.corrupted(inputs, draw)
        return inputs

    def epoch(self, number: int) -> float:
        """Train for the epoch `number`, from 0 on, and return its mean loss."""
        shuffle = torch.Generator().manual_seed(derive(self.seed, "order", number))
        own = (number, self.rank) if self.rank else (number,)
        draw = torch.Generator(self.device).manual_seed(derive(self.seed, "draw", *own))
        order = torch.randperm(len(self.images), generator=shuffle).to(self.device)
        size = self.recipe.batch_size
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        # cuDNN's fastest backward passes add in no fixed order.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            for place, batch in enumerate(torch.split(order, size)[: self.batches]):
                chosen = batch[self.rank :: self.world]
                inputs, labels = self.batch(chosen, draw), self.labels[chosen]
                done = (number + place / self.batches) / self.recipe.epochs
                votes = None if self.votes is None else self.votes[chosen.cpu()].to(self.device)
                total += forward_backward(
                    *(self.shared, inputs, labels, self.recipe.precision, self.goal),
                    Step(draw, done, votes),
                )
                self.optimiser.step()
                self.optimiser.zero_grad(set_to_none=True)
                self.schedule.step()
                self.average.update_parameters(self.model)
        if self.world > 1:
            distributed.all_reduce(total)
        return total.item() / self.batches / self.world


def run(
    training: Training,
    checkpoint: Checkpoint = NOTHING,
    report: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Train to the end; return the averaged state dict, on the CPU, as "weights", and the "losses".

    The state after each epoch goes to `checkpoint`, and a run that was stopped, however hard, goes
    on from there. `report` is told of every epoch. Raises FloatingPointError if the loss is no
    longer finite.
    """
    epochs = Epochs(
        checkpoint,
        model=training.model,
        average=training.average,
        optimiser=training.optimiser,
        schedule=training.schedule,
    )
    for number in range(len(epochs.losses), training.recipe.epochs):
        start, used = time.perf_counter(), time.process_time()
        epochs.finish(training.epoch(number))
        report(
            f"epoch {number + 1} of {training.recipe.epochs}: loss {epochs.losses[-1]:.4f}, "
            f"{time.perf_counter() - start:.0f} s, {time.process_time() - used:.0f} s of CPU"
        )
    averaged = training.average.module.state_dict()
    weights = {name: value.cpu() for name, value in averaged.items()}
    return {"weights": weights, "losses": epochs.losses}


def faster_precision(model: nn.Module, inputs: Tensor, labels: Tensor, repeats: int = 3) -> str:
    """Return the precision, of `PRECISIONS`, in which `model` trains faster on its device here.

    Forward and backward passes on `inputs` [N, C, H, W] and `labels` [N] are timed in turns, and
    the shortest of `repeats` counts; "float32" unless bfloat16 is clearly faster, as it is not on
    processors without instructions for it. Works on a copy.
    """
    model = copy.deepcopy(model).train()
    shortest = dict.fromkeys(PRECISIONS, float("inf"))
    for turn in range(repeats + 1):
        for precision in PRECISIONS:
            start = time.perf_counter()
            forward_backward(model, inputs, labels, precision).item()
            if turn:  # the first one prepares the kernels
                shortest[precision] = min(shortest[precision], time.perf_counter() - start)
    return "bfloat16" if shortest["bfloat16"] < WORTH * shortest["float32"] else "float32"

"""Scores of a model under given noises, and steps of attacks on them.

What the `objectives` are made of. In a batch of N images under m noises, log F is [m, N, C].
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from rs_lib.arguments import positive, shown


@dataclass(frozen=True)
class Batch:
    """What an objective sees.

    `images`: float32 [N, ...] in [0, 1]; `labels`: int64 [N]; `noises`: [m, N, ...], of standard
    deviation `sigma`; `draw`: a generator on their device for what an objective draws itself;
    `warm` in [0, 1]: the share of the warm-up that is over; `targets`: float32 [N, C], mean scores
    of an earlier model, for CAT-RS.
    """

    images: Tensor
    labels: Tensor
    noises: Tensor
    sigma: float
    draw: torch.Generator
    warm: float = 1.0
    targets: Tensor | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for shapes that do not fit."""
        if self.noises.shape[1:] != self.images.shape or len(self.noises) == 0:
            raise ValueError(
                f"noises has shape {tuple(self.noises.shape)} but images "
                f"{tuple(self.images.shape)}: give [m, *images]"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels has shape {tuple(self.labels.shape)} but there are {len(self.images)} "
                "images: give one label per image"
            )
        positive("sigma", self.sigma)
        if not 0 <= self.warm <= 1:
            raise ValueError(f"warm is {shown(self.warm)}: give a share in [0, 1]")


def log_scores(model: nn.Module, images: Tensor, noises: Tensor) -> Tensor:
    """log F_i, [m, N, C]: scores of `images` [N, ...] under each of the noises.

    On a GPU in one pass; on a CPU noise by noise, so that what a layer works on stays in the cache.
    """
    if noises.device.type == "cpu":
        return torch.stack([log_softmax(model(images + noise), dim=1) for noise in noises])
    logs = log_softmax(model((images + noises).flatten(0, 1)), dim=1)
    scores: Tensor = logs.view(len(noises), len(images), -1)
    return scores


def gradients(
    model: nn.Module, of: Callable[[Tensor], Tensor], images: Tensor, noises: Tensor
) -> tuple[Tensor, Tensor]:
    """Values [m, N] that `of` makes of log F [m, N, C], and their gradients [m, N, ...].

    A value depends on its own image and noise; the gradient is that in the image. On a GPU in one
    pass; on a CPU noise by noise, each backward pass right behind the forward pass, so that what a
    layer works on stays in the cache.
    """
    values: list[Tensor] = []
    slopes: list[Tensor] = []
    for part in torch.split(noises, 1 if noises.device.type == "cpu" else len(noises)):
        place = (images + part).detach().requires_grad_()
        logs = log_softmax(model(place.flatten(0, 1)), dim=1)
        value = of(logs.view(len(part), len(images), -1))
        slopes += torch.autograd.grad(value.sum(), place)
        values.append(value.detach())
    return torch.cat(values), torch.cat(slopes)


def log_mean(logs: Tensor) -> Tensor:
    """log F-bar, [N, C]."""
    return logs.logsumexp(dim=0) - math.log(len(logs))


def of_label(logs: Tensor, labels: Tensor) -> Tensor:
    """Entries of the labels: [..., N] of [..., N, C]."""
    chosen: Tensor = labels.view(-1, 1).expand(*logs.shape[:-1], 1)
    return logs.gather(-1, chosen).squeeze(-1)


def divergence(target: Tensor, logs: Tensor) -> Tensor:
    """KL(target || F) of log F, over the last axis."""
    kept: Tensor = torch.special.xlogy(target, target) - target * logs
    return kept.sum(dim=-1)


@contextmanager
def under_attack(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, without gradients of its weights."""
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(weight, weight.requires_grad) for weight in model.parameters()]
    model.eval()
    for weight, _ in wanted:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for weight, keeps in wanted:
            weight.requires_grad_(keeps)


def _norms(moves: Tensor) -> Tensor:
    """The l2 norm of each of the leading entries, shaped to multiply them."""
    norms: Tensor = torch.linalg.vector_norm(moves.flatten(1), dim=1)
    return norms.view(-1, *[1] * (moves.ndim - 1))


def ascent(gradient: Tensor, place: Tensor, length: float) -> Tensor:
    """One step of that length up the `gradient`, for each of the leading entries of `place`.

    Where the gradient vanishes there is no step.
    """
    return place + gradient * (length / _norms(gradient).clamp_min(1e-12))


def within(place: Tensor, centre: Tensor, radius: float) -> Tensor:
    """Nearest points of the l2 balls around `centre`."""
    moved = place - centre
    return centre + moved * (radius / _norms(moved).clamp_min(1e-12)).clamp_max(1.0)

"""Attacks on a whole test set that share one Wasserstein budget: W-FGSM and W-PGD.

To first order the loss of a law grows most if each image moves along its gradient, by a length in
proportion to the (q - 1)-th power of the gradient's norm, 1/p + 1/q = 1: by delta at p = inf, by
delta ||g|| / sqrt(E ||g||^2) at p = 2. W-FGSM takes that step once; W-PGD takes small ones, and
after each draws the moves back until (E ||d||^p)^(1/p) is the budget at most.
Source: Bai, He, Jiang and Obłój (2023), as their code has it; here in l2, without a box of pixels.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rs_lib.arguments import integer, nonnegative, numbers, one_of, shown, single
from rs_lib.machines.models import require_evaluation_mode

LOSSES = ("cross-entropy", "ReDLR")
TRAVEL = 1.875
"""The steps of W-PGD add up to this many budgets."""

_LEAST = 1e-30


def _redlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the lead of the label, in units of the spread of the top three; 0 if it is behind."""
    top = logits.topk(3, dim=1).values
    own = logits.gather(1, labels[:, None])[:, 0]
    rival = torch.where(own == top[:, 0], top[:, 1], top[:, 0])
    return -((own - rival) / (top[:, 0] - top[:, 2]).clamp_min(_LEAST)).clamp_min(0)


def _loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "ReDLR":
        return _redlr
    return lambda logits, labels: cross_entropy(logits, labels, reduction="none")


def moves(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    budget: float,
    order: float,
    loss: str = "cross-entropy",
    steps: int = 50,
) -> Tensor:
    """Return by how much to move each image, so that many of them are wrong, within one budget.

    `images`: float [N, C, H, W]; `labels`: int64 [N]; `order` p > 1 or inf; the result d has the
    shape of the images and (E ||d||_2^p)^(1/p) <= `budget`, up to rounding. One step is W-FGSM of
    length `budget`, more are W-PGD, of which the best iterate is kept: that with the fewest right
    answers. `loss` is one of `LOSSES`. The images may leave [0, 1].

    Raises ValueError for a negative budget, an order that is not above 1, an unknown loss, or a
    model in training mode.

    Source: Bai, He, Jiang and Obłój (2023). In the book: eq-ds-step.
    """
    require_evaluation_mode(model)
    reach = single("budget", nonnegative("budget", budget))
    p = single("order", numbers("order", order))
    if not p > 1:
        raise ValueError(f"order is {shown(order)}: give a number above 1, or inf")
    count = integer("steps", steps, least=1)
    value = _loss(one_of("loss", loss, LOSSES))
    length = reach if count == 1 else TRAVEL * reach / count
    moved = torch.zeros_like(images)
    best, right = moved, len(images) + 1
    for _ in range(count):
        at = (images + moved).requires_grad_()
        (gradient,) = torch.autograd.grad(value(model(at), labels).sum(), at)
        moved = _drawn_back(moved + length * _direction(gradient, p), reach, p)
        with torch.no_grad():
            kept = int((model(images + moved).argmax(1) == labels).sum())
        if kept < right:
            best, right = moved, kept
    return best


def losses(model: nn.Module, images: Tensor, labels: Tensor, loss: str) -> Tensor:
    """Return the loss of each image, one of `LOSSES`; [N], without gradients."""
    with torch.no_grad():
        return _loss(one_of("loss", loss, LOSSES))(model(images), labels)


def sensitivity(
    model: nn.Module, images: Tensor, labels: Tensor, *, order: float, loss: str
) -> float:
    """Return (E ||g||_2^q)^(1/q), g the gradients of the loss in the images, 1/p + 1/q = 1.

    It is how fast the worst mean loss within W_p distance delta rises at delta = 0. Arguments as
    for `moves`; of a law of these images alone, to nearest.

    Source: Bartl, Drapeau, Obłój and Wiesel (2021). In the book: eq-ds-step.
    """
    require_evaluation_mode(model)
    at = images.clone().requires_grad_()
    value = _loss(one_of("loss", loss, LOSSES))
    (gradient,) = torch.autograd.grad(value(model(at), labels).sum(), at)
    norms = _lengths(gradient)
    conjugate = 1.0 if order == math.inf else order / (order - 1)
    return float(norms.pow(conjugate).mean().pow(1 / conjugate))


def _lengths(moved: Tensor) -> Tensor:
    """Return the l2 norms of N arrays as float64 [N, 1, 1, 1]."""
    norms: Tensor = moved.double().flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (moved.ndim - 1))


def _direction(gradient: Tensor, order: float) -> Tensor:
    """Return moves of W_p length 1 (0 where all gradients are) that the loss rises by most."""
    norms = _lengths(gradient)
    unit = gradient.double() / norms.clamp_min(_LEAST)
    if order == math.inf:
        return unit.to(gradient.dtype)
    conjugate = order / (order - 1)
    # In units of the largest, so that no power overflows.
    relative = norms / norms.max().clamp_min(_LEAST)
    mean = relative.pow(conjugate).mean().pow(1 / conjugate).clamp_min(_LEAST)
    return (unit * (relative / mean).pow(conjugate - 1)).to(gradient.dtype)


def _drawn_back(moved: Tensor, budget: float, order: float) -> Tensor:
    """Return moves within the budget: each drawn back alone at p = inf, else all by one factor."""
    norms = _lengths(moved)
    used = norms if order == math.inf else norms.pow(order).mean().pow(1 / order)
    return (moved * (budget / used.clamp_min(_LEAST)).clamp_max(1)).to(moved.dtype)

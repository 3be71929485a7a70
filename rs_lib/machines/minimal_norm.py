"""Distances to the nearest input with another answer: of a linear network, and from above."""

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, integer
from rs_lib.machines.models import require_evaluation_mode

_OVERSHOOT = 0.02
_HALVINGS = 20
_FAR = 1e30


def linear_distances(weight: Tensor, bias: Tensor, images: Tensor, labels: Tensor) -> FloatArray:
    """l2 distance of each image to the nearest point where x -> `weight` x + `bias` errs; [N].

    `weight` [C, d], `bias` [C], `images` [N, ...] of d entries each, `labels` int64 [N]. It is
    min over j of (z_y - z_j) / ||w_y - w_j||, 0 where the answer is wrong already; computed in
    float64, to nearest. Infinite where no rival ever wins, its weights being those of the label.

    Source: elementary.
    """
    with torch.no_grad():
        w, flat = weight.double(), images.double().flatten(1)
        logits = flat @ w.T + bias.double()
        lead = logits.gather(1, labels[:, None]) - logits
        apart = (w[labels][:, None] - w[None]).norm(dim=2)
        far = torch.where(apart > 0, lead / apart, torch.inf * torch.ones_like(lead))
        far.scatter_(1, labels[:, None], torch.inf)
        # A rival that is level wherever the label is never wins: only a lead below 0 counts there.
        wrong = ((lead < 0).any(1)) | (logits.argmax(1) != labels)
        found = torch.where(wrong, 0.0, far.amin(1).clamp_min(0))
    return np.asarray(found.numpy(), dtype=np.float64)


def distances(model: nn.Module, images: Tensor, labels: Tensor, *, steps: int = 30) -> FloatArray:
    """l2 distance of each image to an input that gets another answer than its label; [N].

    An upper bound of the least one: steps onto the nearest linearised boundary, then bisection on
    the way there. The end is seen to be wrong, and the distance is that in float64. 0 where the
    answer is wrong already, infinite where `steps` did not suffice. `images`: float [N, C, H, W],
    not kept in [0, 1]; `labels`: int64 [N].

    Raises ValueError for a model in training mode or no steps.

    Source: Moosavi-Dezfooli, Fawzi and Frossard (2016), with bisection.
    """
    require_evaluation_mode(model)
    count = integer("steps", steps, least=1)
    end = images.clone()
    found = _wrong(model, end, labels)
    for _ in range(count):
        if bool(found.all()):
            break
        rest = ~found
        end[rest] = _step(model, images[rest], end[rest], labels[rest])
        found = _wrong(model, end, labels)
    near, far = torch.zeros(len(images)), torch.ones(len(images))
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        wrong = _wrong(model, _between(images, end, middle), labels)
        near, far = torch.where(wrong, near, middle), torch.where(wrong, middle, far)
    last = _between(images, end, far)
    length = (last.double() - images.double()).flatten(1).norm(dim=1)
    # Whatever the rounding on the way did, the end must be wrong.
    kept = torch.where(_wrong(model, last, labels), length, torch.inf)
    result = torch.where(_wrong(model, images, labels), 0.0, kept)
    return np.asarray(result.numpy(), dtype=np.float64)


def _wrong(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        wrong: Tensor = model(images).argmax(1) != labels
        return wrong


def _between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return start + share.view(-1, *[1] * (start.ndim - 1)) * (end - start)


def _step(model: nn.Module, images: Tensor, at: Tensor, labels: Tensor) -> Tensor:
    """Return the points moved onto the nearest boundary of the scores made linear at `at`."""
    at = at.detach().requires_grad_()
    logits = model(at)
    own = logits.gather(1, labels[:, None])[:, 0]
    best = torch.full((len(at),), _FAR)
    chosen = torch.zeros_like(at)
    for rival in range(logits.shape[1]):
        lead = own - logits[:, rival]
        (slope,) = torch.autograd.grad(lead.sum(), at, retain_graph=True)
        norm = slope.flatten(1).norm(dim=1)
        far = torch.where(labels == rival, _FAR, lead.detach().abs() / norm.clamp_min(1e-12))
        nearer = far < best
        best = torch.where(nearer, far, best)
        onto = -slope * ((far + 1e-6) / norm.clamp_min(1e-12)).view(-1, *[1] * (at.ndim - 1))
        chosen[nearer] = onto[nearer]
    return (at + (1 + _OVERSHOOT) * chosen).detach()

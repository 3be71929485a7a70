"""The shortest ℓ2 changes that move images out of their class: of linear networks, and by search.

Steps to the nearest boundary of the linearised network, from the last point inside the class
(Moosavi-Dezfooli, Fawzi and Frossard 2016, "DeepFool"). A crossing is pulled back to the boundary
by halving, and the next step is the projection of the image itself on the boundary linearised
there (as in Croce and Hein 2020, "Minimally distorted adversarial examples"). On a linear network
the first step is exact; elsewhere a length is an upper bound.
"""

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, integers
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.seeds import derive

_OVERSHOOT = 1.02
_HALVINGS = 16


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


def nearest_errors(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    starts: int,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Return points at which `model` does not give the label, and their distances, float64 [N].

    `images`: float32 [N, C, H, W]; `labels`: int64 [N]. The search takes `steps` steps from each of
    `starts` places: the image itself, then points as far from it, in random directions, as what
    was found. Points are not clipped to any range of pixels. An image that is wrong already has
    the distance 0; one that no step moved out of its class has an infinite one, and stays as it is.
    Works on the device of `images`.

    Raises ValueError for bad arguments or a model in training mode.
    """
    require_evaluation_mode(model)
    integers("steps", steps, least=1)
    integers("starts", starts, least=1)
    generator = torch.Generator().manual_seed(derive(seed, "nearest errors"))
    found = images.clone()
    wrong = _errs(model, images, labels)
    length = torch.where(wrong, 0.0, torch.inf).double()
    for start in range(starts):
        place = images
        if start:
            direction = torch.randn(images.shape, generator=generator).to(images.device)
            # Where nothing was found yet, the length of the random vector itself will do.
            scale = torch.where(length.isfinite(), length / _lengths(direction), 1.0)
            place = images + direction * _per_image(scale, images)
        crossed = torch.zeros_like(wrong)
        for _ in range(steps):
            origin = torch.where(_per_image(crossed, images).bool(), images, place)
            place = _towards_boundary(model, origin, labels, place)
            place, crossed = _pulled_back(model, images, labels, place)
            near = _lengths(place - images)
            better = crossed & (near < length)
            found[better], length[better] = place[better], near[better]
    return found, length


def _lengths(moves: Tensor) -> Tensor:
    """Return the ℓ2 norms of N arrays as float64 [N]."""
    norms: Tensor = torch.linalg.vector_norm(moves.flatten(1).double(), dim=1)
    return norms


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    """Return [N] numbers in the shape that multiplies N images."""
    return values.to(images.dtype).view(-1, *[1] * (images.ndim - 1))


@torch.inference_mode()
def _errs(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    wrong: Tensor = model(images).argmax(1) != labels
    return wrong


def _towards_boundary(model: nn.Module, origin: Tensor, labels: Tensor, place: Tensor) -> Tensor:
    """Return the points just beyond the boundaries nearest to `origin`, linearised at `place`."""
    place = place.detach().requires_grad_()
    logits = model(place)
    leads = logits - logits.gather(1, labels[:, None])
    rows = torch.arange(len(labels), device=labels.device)
    best = torch.full((len(labels),), torch.inf, device=labels.device)
    move = torch.zeros_like(origin)
    for rival in range(logits.shape[1]):
        (slope,) = torch.autograd.grad(leads[:, rival].sum(), place, retain_graph=True)
        norm = torch.linalg.vector_norm(slope.flatten(1), dim=1).clamp_min(1e-30)
        # The rival's lead at the origin, by the linear map.
        lead = leads[rows, rival].detach() + (slope * (origin - place)).flatten(1).sum(1).detach()
        distance = torch.where(labels == rival, torch.inf, lead.abs() / norm)
        nearer = distance < best
        step = _per_image(-_OVERSHOOT * lead / norm.square(), origin) * slope
        move = torch.where(_per_image(nearer, origin).bool(), step, move)
        best = torch.minimum(best, distance)
    return origin + move


def _pulled_back(
    model: nn.Module, images: Tensor, labels: Tensor, place: Tensor
) -> tuple[Tensor, Tensor]:
    """Return points at the boundary between image and `place`, and which `place` had crossed it.

    The others stay where they are; a point that rounding left inside the class counts as one.
    """
    crossed = _errs(model, place, labels)
    inside, outside = torch.zeros(len(labels)), torch.ones(len(labels))
    inside, outside = inside.to(images.device), outside.to(images.device)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        wrong = _errs(model, images + _per_image(middle, images) * (place - images), labels)
        outside = torch.where(crossed & wrong, middle, outside)
        inside = torch.where(crossed & ~wrong, middle, inside)
    end = images + _per_image(outside, images) * (place - images)
    return end, crossed & _errs(model, end, labels)

"""A search for the content of a patch that changes the answer of a smoothed band classifier."""

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import integer, positive, single
from rs_lib.certificates.patch import BoolArray
from rs_lib.machines.band_classifier import BandClassifier
from rs_lib.smoothing import locality, votes


def fooled(
    model: BandClassifier,
    images: Tensor,
    theta: float,
    patch: int,
    *,
    steps: int,
    step_size: float,
    restarts: int,
    seed: int,
) -> BoolArray:
    """Whether some content of some `patch` columns changes the answer at `theta`; bool [N].

    `images`: float32 [N, C, H, W] in [0, 1], on the model's device. The patch has the full height,
    which is the most that a certificate of columns allows, and is tried at every place. From
    `restarts` random contents each pixel takes `steps` steps of `step_size` up the sign of the
    gradient of the loss of the mean softmax over all bands (as in Levine & Feizi 2020); every
    content on the way is tried.
    Raises ValueError for a patch wider than the images, numbers that cannot be, and a model that
    is not what it declares (`locality`): what an attack on it finds would say nothing of
    certificates.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.dtype != torch.float32:
        raise ValueError("images are no pixels: give a float32 tensor [N, C, H, W]")
    count, width = len(images), images.shape[-1]
    patch = integer("patch", patch, least=1)
    steps, restarts = integer("steps", steps), integer("restarts", restarts, least=1)
    step_size = single("step_size", positive("step_size", step_size))
    if patch > width:
        raise ValueError(f"patch is {patch}: give at most the width of the images, {width}")
    if count:
        locality.Watched(model, seed=seed).probe(images)
    draw = torch.Generator().manual_seed(integer("seed", seed))
    with torch.inference_mode():
        clean = votes.answers(model(images).softmax(-1).cpu().numpy(), theta)
    answer = torch.from_numpy(clean).to(images.device)
    broken = np.zeros(count, dtype=np.bool_)
    for place in [p for p in range(width - patch + 1) for _ in range(restarts)]:
        inside = torch.zeros(width, dtype=torch.bool, device=images.device)
        inside[place : place + patch] = True
        start = torch.rand(images.shape, generator=draw).to(images.device)
        changed = torch.where(inside, start, images)
        for _ in range(steps + 1):
            changed = changed.detach().requires_grad_(True)
            scores = model(changed).softmax(-1)
            broken |= votes.answers(scores.detach().cpu().numpy(), theta) != clean
            mean = scores.mean(1).gather(1, answer[:, None])
            (slope,) = torch.autograd.grad(mean.clamp_min(1e-12).log().sum(), changed)
            moved = (changed.detach() - step_size * slope.sign()).clamp(0, 1)
            changed = torch.where(inside, moved, images)
    return broken

"""Attacks by projected gradient descent within l2 balls."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from rs_lib.arguments import integers, nonnegative
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.noise import Additive
from rs_lib.seeds import derive

# Steps of this many radii in all let the attack reach the sphere and move along it.
TRAVEL = 2.5


def pgd_l2(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    radius: npt.ArrayLike | Tensor,
    steps: int,
    seed: int,
) -> Tensor:
    """Return adversarial images for the undefended `model` (Madry et al. 2018, in l2).

    `images`: float32 [N, C, H, W] in [0, 1]; `labels`: int64 [N]; `radius`: a number or [N].
    Ascends the cross-entropy from a random start in the ball, with normalised steps of
    2.5 `radius` / `steps`. The result has the shape of `images`, lies in [0, 1], and its
    float64 distance to `images` is at most `radius`. Works on the device of `images`.

    Raises ValueError for bad arguments or a model in training mode.
    """

    def loss(moved: Tensor) -> Tensor:
        return cross_entropy(model(moved), labels, reduction="sum")

    if images.min() < 0 or images.max() > 1:
        raise ValueError("images holds pixels outside [0, 1]: give images as Dataset.as_float does")
    generator = torch.Generator(images.device).manual_seed(derive(seed, "attack", "start"))
    return _ascend(model, loss, images, radius, steps, start=generator, pixel_box=True)


def smooth_pgd_l2(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    noise: Additive,
    *,
    radius: npt.ArrayLike | Tensor,
    steps: int,
    draws: int,
    seed: int,
) -> Tensor:
    """Return adversarial images for `model` smoothed with `noise` (Salman et al. 2019).

    Arguments as in `pgd_l2`. Ascends -log mean_j softmax(model(x + z_j))[label] with `draws`
    fresh z_j in each step, starting at the images. The result is not clipped to [0, 1],
    since a certificate speaks of all points of the ball; its float64 distance to `images`
    is at most `radius`. Uses the memory of N times `draws` images.

    Raises ValueError for bad arguments or a model in training mode.
    """
    integers("draws", draws, least=1)
    generator = torch.Generator(images.device).manual_seed(derive(seed, "attack", "noise"))

    def loss(moved: Tensor) -> Tensor:
        repeated = moved.repeat_interleave(draws, dim=0)
        noisy = repeated + noise.sample(repeated.shape, generator)
        logs = log_softmax(model(noisy), dim=1).view(len(moved), draws, -1)
        chosen = logs.gather(2, labels.view(-1, 1, 1).expand(-1, draws, 1)).squeeze(2)
        return -chosen.logsumexp(dim=1).sum()

    return _ascend(model, loss, images, radius, steps, start=None, pixel_box=False)


def _ascend(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    images: Tensor,
    radius: npt.ArrayLike | Tensor,
    steps: int,
    *,
    start: torch.Generator | None,
    pixel_box: bool,
) -> Tensor:
    """Return points of the balls around `images`, reached by gradient ascent of `loss`."""
    require_evaluation_mode(model)
    integers("steps", steps, least=1)
    bound = _per_image(radius, images)
    step = TRAVEL / steps * bound
    offset = torch.zeros_like(images) if start is None else _random_offset(images, bound, start)
    for _ in range(steps):
        offset = _project(images, offset, bound, pixel_box=pixel_box).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(images + offset), offset)
        norm = _norms(gradient)
        offset = offset.detach() + step * gradient / norm.clamp_min(1e-30)
    offset = _project(images, offset, bound, pixel_box=pixel_box)
    return _rounded_inwards(images, offset, bound)


def _per_image(radius: npt.ArrayLike | Tensor, images: Tensor) -> Tensor:
    """Return the radii as float64 [N, 1, 1, 1] on the device of `images`."""
    values = radius.detach().cpu().numpy() if isinstance(radius, Tensor) else radius
    checked = nonnegative("radius", values)
    if checked.shape not in ((), (len(images),)):
        raise ValueError(
            f"radius has shape {checked.shape}: give one number or one for each of "
            f"the {len(images)} images"
        )
    per_image = torch.from_numpy(np.broadcast_to(checked, len(images)).copy())
    return per_image.to(images.device).view(-1, *[1] * (images.ndim - 1))


def _norms(offset: Tensor) -> Tensor:
    """Return the l2 norm of each of N arrays, shaped to multiply them: [N, 1, ..., 1]."""
    norm: Tensor = torch.linalg.vector_norm(offset.flatten(1), dim=1)
    return norm.view(-1, *[1] * (offset.ndim - 1))


def _random_offset(images: Tensor, bound: Tensor, generator: torch.Generator) -> Tensor:
    """Return offsets uniform in the balls."""
    normal = torch.randn(images.shape, generator=generator, device=images.device)
    length = torch.rand(len(images), generator=generator, device=images.device)
    length = length.pow(1 / images[0].numel()).view_as(bound)
    return (bound * length * normal / _norms(normal)).to(images.dtype)


def _project(images: Tensor, offset: Tensor, bound: Tensor, *, pixel_box: bool) -> Tensor:
    """Return `offset` shortened to the ball, then cut so that the image stays in [0, 1]."""
    norm = _norms(offset.double())
    shortened = (offset * (bound / norm.clamp_min(1e-300)).clamp_max(1)).to(images.dtype)
    if pixel_box:
        # Cutting brings each pixel nearer to the original, which lies in the box.
        return (images + shortened).clamp(0, 1) - images
    return shortened


def _rounded_inwards(images: Tensor, offset: Tensor, bound: Tensor) -> Tensor:
    """Return `images` + `offset` in their own precision, no farther than `bound` in float64."""
    exact = offset.double()
    norm = _norms(exact)
    # 1e-12 covers the rounding of a norm of a million pixels, in whatever order it is summed.
    exact = exact * (bound * (1 - 1e-12) / norm.clamp_min(1e-300)).clamp_max(1)
    moved = (images.double() + exact).to(images.dtype)
    too_far = (moved.double() - images.double()).abs() > exact.abs()
    return torch.where(too_far, torch.nextafter(moved, images), moved)

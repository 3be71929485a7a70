"""A greedy search for a few pixels that turn a classifier smoothed by ablation."""

import torch
from torch import Tensor, nn

from rs_lib.arguments import integer, integers
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.noise import Ablation
from rs_lib.seeds import derive


def greedy_pixels(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    law: Ablation,
    *,
    changes: int,
    views: int,
    tries: int,
    seed: int,
) -> Tensor:
    """Return a path of attacked images: entry i differs from `images` in at most i + 1 pixels.

    `images`: uint8 [N, C, H, W], values up to `law.levels`; `labels`: int64 [N]. The result is
    uint8 [`changes`, N, C, H, W]. Each step aims at the mean probability that `model` gives the
    label over `views` fresh views, the same for all images. Its gradient ranks the pixels not yet
    changed, each with the darkest or brightest value of every channel that lowers it most; of
    the first `tries` of them the one that really lowers it most is changed. Memory: N times
    `views` times `tries` views at once.

    Raises ValueError for numbers that do not fit or a model in training mode.
    """
    require_evaluation_mode(model)
    integers("views", views, least=1)
    if not 1 <= integer("changes", changes, least=1) <= law.pixels:
        raise ValueError(f"changes is {changes}: give at most the number of pixels, {law.pixels}")
    if not 1 <= integer("tries", tries, least=1) <= law.pixels - changes + 1:
        raise ValueError(
            f"tries is {tries}: give at most {law.pixels - changes + 1}, the pixels left at the end"
        )
    generator = torch.Generator(images.device).manual_seed(derive(seed, "greedy"))
    now = images.to(torch.float32) / law.levels
    free = torch.ones(len(images), law.pixels, dtype=torch.bool, device=images.device)
    path = []
    for _ in range(changes):
        words = torch.rand((views, law.pixels), generator=generator, device=images.device)
        pixels, colours = _promising(model, now, labels, law, words, free, tries)
        trials = _changed(now, pixels, colours)
        scores = _confidence(model, trials, labels.repeat_interleave(tries), law, words)
        best = scores.view(-1, tries).argmin(dim=1)
        rows = torch.arange(len(now), device=now.device)
        now = trials.view(-1, tries, *now.shape[1:])[rows, best]
        free[rows, pixels[rows, best]] = False
        path.append((now * law.levels).round().to(torch.uint8))
    return torch.stack(path)


def _confidence(
    model: nn.Module, images: Tensor, labels: Tensor, law: Ablation, words: Tensor
) -> Tensor:
    """Return the mean probability of the label over the views, float32 [N]."""
    seen = law.views(images.repeat_interleave(len(words), dim=0), words.repeat(len(images), 1))
    with torch.set_grad_enabled(images.requires_grad):
        chances = model(seen).softmax(dim=1).view(len(images), len(words), -1)
    mean: Tensor = chances.mean(dim=1).gather(1, labels.view(-1, 1)).squeeze(1)
    return mean


def _promising(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    law: Ablation,
    words: Tensor,
    free: Tensor,
    tries: int,
) -> tuple[Tensor, Tensor]:
    """Return the pixels [N, tries] that the gradient ranks first, and their colours [N, C, tries].

    To first order a channel of value x and slope g changes the confidence by -g x when it becomes
    0 and by g (1 - x) when it becomes 1.
    """
    moved = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(_confidence(model, moved, labels, law, words).sum(), moved)
    dark, bright = -slope * images, slope * (1 - images)
    gain = torch.minimum(dark, bright).sum(dim=1).flatten(1).masked_fill(~free, torch.inf)
    pixels = gain.topk(tries, dim=1, largest=False).indices
    colours = (bright < dark).to(images.dtype).flatten(2)
    wanted = pixels[:, None].expand(-1, images.shape[1], -1)
    return pixels, colours.gather(2, wanted)


def _changed(images: Tensor, pixels: Tensor, colours: Tensor) -> Tensor:
    """Return float32 [N tries, C, H, W]: each image with each of its pixels changed."""
    tries, channels = pixels.shape[1], images.shape[1]
    trials = images.flatten(2).repeat_interleave(tries, dim=0)
    place = pixels.view(-1, 1, 1).expand(-1, channels, 1)
    trials.scatter_(2, place, colours.transpose(1, 2).reshape(-1, channels, 1))
    return trials.view(-1, *images.shape[1:])

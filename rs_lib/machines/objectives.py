"""Losses that train a network for its smoothed version: seven published ones, of one signature.

Notation: x an image, y its label, δ_1 ... δ_m noises of N(0, σ²I), F_i the softmax at x + δ_i, F̄
the mean of F_1 ... F_m, KL(q‖F) = Σ q log(q/F), H the entropy. Each function maps

    (model, images, labels, step, settings)

to the mean loss of the images, with gradients: `model` gives logits [N, classes] of float32 images
[N, C, H, W] in [0, 1], and `labels` are int64 [N]. What the losses are was read in the authors'
programs. Attacks see the network as it is being trained.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, nll_loss

from rs_lib.arguments import integer, nonnegative, positive


@dataclass(frozen=True)
class Settings:
    """The numbers of a loss; each function says which it reads.

    `sigma`: σ; `samples`: m; `steps`: T, and `length`, of an attack; `reach`: its ε; `weight`: λ;
    `entropy`: η; `sharpness`: β; `cap`: γ; `warm_up`: the share of the training that what the
    function names takes to come in.

    Raises ValueError for a number that cannot be.
    """

    sigma: float
    samples: int = 1
    steps: int = 1
    length: float = 0.0
    reach: float = 0.0
    weight: float = 0.0
    entropy: float = 0.0
    sharpness: float = 1.0
    cap: float = 8.0
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for a number that cannot be."""
        for name in ("sigma", "sharpness", "cap"):
            positive(name, getattr(self, name))
        for name in ("samples", "steps"):
            integer(name, getattr(self, name), least=1)
        for name in ("length", "reach", "weight", "entropy", "warm_up"):
            nonnegative(name, getattr(self, name))


@dataclass(frozen=True)
class Step:
    """What a training step brings beside images and labels.

    `draw`, on their device, is what randomness comes from; `progress`, from 0 to 1, is the share of
    the training that is done; `votes`, float32 [N, classes], are shares of votes that another
    network gives the images, where a loss asks for them.
    """

    draw: torch.Generator
    progress: float = 1.0
    votes: Tensor | None = None


Goal = Callable[[nn.Module, Tensor, Tensor, Step], Tensor]
"""A loss with its settings: what a training takes."""

Loss = Callable[[nn.Module, Tensor, Tensor, Step, Settings], Tensor]


def gaussian(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """−log F_1,y, averaged over m noises. Reads σ, m. m passes.

    Source: Cohen et al. (2019), section 3.3.
    """
    logs = _log_scores(model, images, _noises(images, step, settings))
    return -_of_label(logs, labels).mean()


def stability(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """−log F_y(x) + λ [H(F(x)) + KL(F(x)‖F_1)], averaged over m noises. 1 + m passes.

    Reads σ, m, λ. Source: Li et al. (2019); the target F(x) takes part in the gradient.
    """
    clean = log_softmax(model(images), dim=-1)
    noisy = _log_scores(model, images, _noises(images, step, settings))
    return nll_loss(clean, labels) - settings.weight * (clean.exp() * noisy).sum(-1).mean()


def smooth_adv(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """Mean of −log F_y(x* + δ_i), x* about the largest −log F̄_y within ε of x. m (T + 1) passes.

    x* is found in T steps of length 2ε/T along the gradient, each projected onto the ball and onto
    [0, 1], under the noises of the loss. Reads σ, m, T, ε; ε grows from 0 over `warm_up`.
    Source: Salman et al. (2019), SmoothAdv-PGD.
    """
    deltas = _noises(images, step, settings)
    reach = settings.reach * _warm(step, settings)
    moved = images
    for _ in range(settings.steps):
        ahead = _ascent(model, moved, deltas, labels) * (2 * reach / settings.steps)
        moved = (images + _shortened(moved + ahead - images, reach)).clamp(0, 1)
    return -_of_label(_log_scores(model, moved, deltas), labels).mean()


def macer(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """−log F̄_y + λ (σ/2) (γ − ξ) where F̄^β is right and ξ <= γ is finite. m passes.

    F^β = softmax of β times the logits and ξ = Φ⁻¹(F̄^β_A) − Φ⁻¹(F̄^β_B), the largest two entries of
    the mean. Reads σ, m, λ, β, γ; the second term is left out before `warm_up`.
    Source: Zhai et al. (2020).
    """
    logits = _logits(model, images, _noises(images, step, settings))
    first = nll_loss(_log_mean(log_softmax(logits, dim=-1)), labels)
    if step.progress < settings.warm_up:
        return first
    largest, answers = torch.softmax(settings.sharpness * logits, dim=-1).mean(0).topk(2, dim=-1)
    finite = _spread(largest.detach())
    counted = (answers[:, 0] == labels) & finite.isfinite() & (finite <= settings.cap)
    # Chosen before the quantiles: the slope of an infinite one would spoil all gradients.
    hinge = (settings.cap - _spread(largest[counted])).sum() / len(labels)
    return first + settings.weight * settings.sigma / 2 * hinge


def _spread(largest: Tensor) -> Tensor:
    """Return ξ from the largest two scores, [N, 2]."""
    quantiles: Tensor = torch.special.ndtri(largest)
    return quantiles[:, 0] - quantiles[:, 1]


def consistency(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """Mean of −log F_i,y + λ KL(F̄‖F_i), plus η H(F̄). Reads σ, m, λ, η. m passes.

    Source: Jeong and Shin (2020).
    """
    logs = _log_scores(model, images, _noises(images, step, settings))
    mean = _log_mean(logs)
    entropy = -(mean.exp() * mean).sum(-1).mean()
    return (
        -_of_label(logs, labels).mean()
        + settings.weight * _divergence(mean, logs).mean()
        + settings.entropy * entropy
    )


def smooth_mix(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """Mean of −log F_i,y, and η KL(q_λ‖F(x_λ + δ_i)) where F̄ is right. m (T + 2) passes.

    x̃ lies T steps of `length` along the gradient of −log F̄_y away, within [0, 1]; x_λ = (1 − λ) x +
    λ x̃ and q_λ = (1 − λ) F̄ + λ/classes, with λ uniform on [0, ½] for each image. Reads σ, m, T,
    `length`, η; η grows from 0 over `warm_up`. Source: Jeong et al. (2021), without their variant
    that starts from an attacked x.
    """
    deltas = _noises(images, step, settings)
    logs = _log_scores(model, images, deltas)
    mean = _log_mean(logs).detach().exp()
    moved = images
    for _ in range(settings.steps):
        moved = (moved + settings.length * _ascent(model, moved, deltas, labels)).clamp(0, 1)
    part = torch.rand(len(images), generator=step.draw, device=images.device) / 2
    mixed = torch.lerp(images, moved, part.view(-1, 1, 1, 1))
    target = torch.lerp(mean, torch.full_like(mean, 1 / mean.shape[-1]), part[:, None])
    right = mean.argmax(-1) == labels
    apart = _divergence(_log(target), _log_scores(model, mixed, deltas)).mean(0)
    share = settings.entropy * _warm(step, settings)
    return -_of_label(logs, labels).mean() + share * (right * apart).mean()


def cat_rs(
    model: nn.Module, images: Tensor, labels: Tensor, step: Step, settings: Settings
) -> Tensor:
    """The K⁺ smallest −log F_i,y over m, and λ max_i KL(ỹ‖F(x + δ_i*)) if K = m. m (T + 2) passes.

    K is Bin(m, p̂) for the share p̂ of the m noisy answers that are right, K⁺ = max(K, 1), ỹ are
    `step.votes`. δ_i* is found in T steps of length 2ε/T, each within ε of δ_i, brought back to its
    mean and nearly its size. Reads σ, m, T, ε, λ. Source: Jeong, Kim and Shin (2023).

    Raises ValueError without votes.
    """
    if step.votes is None:
        raise ValueError("votes is None: give the votes of another network for each image")
    deltas = _noises(images, step, settings)
    logs = _log_scores(model, images, deltas)
    count = settings.samples
    right = (logs.argmax(-1) == labels).float().mean(0)
    coins = torch.rand((count, len(images)), generator=step.draw, device=images.device)
    kept = (coins < right).sum(0)
    losses = (-_of_label(logs, labels)).sort(dim=0).values
    places = torch.arange(count, device=images.device)[:, None]
    low = (losses * (places < kept.clamp(min=1))).sum(0).mean() / count
    certain = torch.nonzero(kept == count).flatten()
    if not len(certain):
        return low
    target = _log(step.votes[certain])
    found = _adversarial_noises(model, images[certain], deltas[:, certain], target, settings)
    worst = _divergence(target, _log_scores(model, images[certain], found)).amax(0)
    return low + settings.weight * worst.sum() / len(images)


def _adversarial_noises(
    model: nn.Module, images: Tensor, deltas: Tensor, target: Tensor, settings: Settings
) -> Tensor:
    """Return noises [m, N, C, H, W] within about ε of `deltas` at which KL(ỹ‖F) is large."""
    axes = (-3, -2, -1)
    mean = deltas.mean(axes, keepdim=True)
    size = deltas.square().mean(axes, keepdim=True).sqrt()
    found = deltas
    for _ in range(settings.steps):
        found = found.detach().requires_grad_()
        apart = _divergence(target, _log_scores(model, images, found)).sum()
        (slope,) = torch.autograd.grad(apart, found)
        ahead = found.detach() + _unit(slope) * (2 * settings.reach / settings.steps)
        found = deltas + _shortened(ahead - deltas, settings.reach)
        centred = found - found.mean(axes, keepdim=True)
        found = mean + centred * (size / found.square().mean(axes, keepdim=True).sqrt())
    return found.detach()


def _noises(images: Tensor, step: Step, settings: Settings) -> Tensor:
    """Return m noises for each image, [m, N, C, H, W]."""
    shape = (settings.samples, *images.shape)
    drawn = torch.randn(shape, generator=step.draw, device=images.device)
    return drawn.mul_(settings.sigma)


def _logits(model: nn.Module, images: Tensor, deltas: Tensor) -> Tensor:
    """Return the logits at each noisy image, [m, N, classes]."""
    logits: Tensor = model((images + deltas).flatten(0, 1))
    return logits.float().view(*deltas.shape[:2], -1)


def _log_scores(model: nn.Module, images: Tensor, deltas: Tensor) -> Tensor:
    return log_softmax(_logits(model, images, deltas), dim=-1)


def _log(shares: Tensor) -> Tensor:
    """Return finite logarithms: that of 0 is only ever multiplied by 0."""
    return shares.clamp(min=torch.finfo(torch.float32).tiny).log()


def _of_label(logs: Tensor, labels: Tensor) -> Tensor:
    """Return the entries of the labels, [m, N]."""
    return logs.gather(-1, labels.expand(logs.shape[:-1])[..., None]).squeeze(-1)


def _log_mean(logs: Tensor) -> Tensor:
    """Return log F̄, [N, classes], from log F_i, [m, N, classes]."""
    return torch.logsumexp(logs, dim=0) - math.log(len(logs))


def _divergence(target: Tensor, logs: Tensor) -> Tensor:
    """Return KL(q‖F), [m, N], from log q [N, classes] and log F [m, N, classes]."""
    return (target.exp() * (target - logs)).sum(-1)


def _ascent(model: nn.Module, images: Tensor, deltas: Tensor, labels: Tensor) -> Tensor:
    """Return the unit direction in which −log F̄_y rises fastest at each image."""
    moved = images.detach().requires_grad_()
    loss = nll_loss(_log_mean(_log_scores(model, moved, deltas)), labels, reduction="sum")
    (slope,) = torch.autograd.grad(loss, moved)
    return _unit(slope)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / _length(vectors)


def _shortened(vectors: Tensor, most: float) -> Tensor:
    """Return vectors [..., C, H, W], the long ones cut to the length `most`."""
    return vectors * (most / _length(vectors)).clamp(max=1)


def _length(vectors: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vectors, dim=(-3, -2, -1), keepdim=True)
    return length.clamp(min=torch.finfo(torch.float32).tiny)


def _warm(step: Step, settings: Settings) -> float:
    """Return the share, from 0 to 1, to which a term has come in."""
    return min(1.0, step.progress / settings.warm_up) if settings.warm_up else 1.0


@dataclass(frozen=True)
class Objective:
    """A loss by its name. `passes`: forward and backward passes over the images in a step."""

    name: str
    loss: Loss
    passes: Callable[[Settings], int] = field(repr=False)

    def goal(self, settings: Settings) -> Goal:
        """Return the loss with these settings."""
        return lambda model, images, labels, step: self.loss(model, images, labels, step, settings)


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("Gaussian", gaussian, lambda s: s.samples),
        Objective("Stability", stability, lambda s: 1 + s.samples),
        Objective("SmoothAdv", smooth_adv, lambda s: s.samples * (s.steps + 1)),
        Objective("MACER", macer, lambda s: s.samples),
        Objective("Consistency", consistency, lambda s: s.samples),
        Objective("SmoothMix", smooth_mix, lambda s: s.samples * (s.steps + 2)),
        Objective("CAT-RS", cat_rs, lambda s: s.samples * (s.steps + 2)),
    )
}
"""The losses, from the oldest to the newest."""

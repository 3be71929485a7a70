"""Losses of training for smoothed classifiers, in one notation and with one signature.

x is an image and y its label; delta_1 .. delta_m are noises of N(0, sigma^2 I) and F_i the softmax
scores at x + delta_i. F-bar is the mean of the F_i, u the uniform distribution, H the entropy and
KL(q || F) = sum q log(q / F), in nats. Each objective is a frozen dataclass of its numbers; called
with a model and a `Batch` it returns the loss of each image, float32 [N], with its gradient.
`draws` is the number m of noises that it asks for, and `passes` the forward and backward passes,
of as many images as the batch holds, that one call and the backward pass after it take.

As in the authors' codes, targets made of the model's own scores are not cut off from the gradient,
and attacks see the model in evaluation mode.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from rs_lib.arguments import integer, nonnegative, positive, shown


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


class Objective(Protocol):
    """A loss of each image, the noises it asks for, and the passes that it takes."""

    name: ClassVar[str]

    @property
    def draws(self) -> int:
        """Number m of noises in a batch."""

    @property
    def passes(self) -> int:
        """Forward and backward passes per step."""

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""


def _log_scores(model: nn.Module, images: Tensor, noises: Tensor) -> Tensor:
    """log F_i, [m, N, C]: scores of `images` [N, ...] under each of the noises, in one pass."""
    noisy = (images + noises).flatten(0, 1)
    logs = log_softmax(model(noisy), dim=1)
    scores: Tensor = logs.view(len(noises), len(images), -1)
    return scores


def _log_mean(logs: Tensor) -> Tensor:
    """log F-bar, [N, C]."""
    return logs.logsumexp(dim=0) - math.log(len(logs))


def _of_label(logs: Tensor, labels: Tensor) -> Tensor:
    """Entries of the labels: [..., N] of [..., N, C]."""
    chosen: Tensor = labels.view(-1, 1).expand(*logs.shape[:-1], 1)
    return logs.gather(-1, chosen).squeeze(-1)


def _divergence(target: Tensor, logs: Tensor) -> Tensor:
    """KL(target || F) of log F, over the last axis."""
    kept: Tensor = torch.special.xlogy(target, target) - target * logs
    return kept.sum(dim=-1)


@contextmanager
def _attacked(model: nn.Module) -> Iterator[None]:
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


def _ascent(loss: Callable[[Tensor], Tensor], place: Tensor, length: float) -> Tensor:
    """One step of that length up the gradient, for each of the leading entries of `place`.

    Where the gradient vanishes there is no step.
    """
    place = place.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(place), place)
    return place.detach() + gradient * (length / _norms(gradient).clamp_min(1e-12))


def _within(place: Tensor, centre: Tensor, radius: float) -> Tensor:
    """Nearest points of the l2 balls around `centre`."""
    moved = place - centre
    return centre + moved * (radius / _norms(moved).clamp_min(1e-12)).clamp_max(1.0)


def _error_of_mean(model: nn.Module, batch: Batch) -> Callable[[Tensor], Tensor]:
    """The sum of -log F-bar_y at other images, under the noises of the batch."""

    def loss(images: Tensor) -> Tensor:
        mean = _log_mean(_log_scores(model, images, batch.noises))
        return -_of_label(mean, batch.labels).sum()

    return loss


@dataclass(frozen=True)
class Gaussian:
    """mean_i -log F_i,y: cross-entropy under noise. Source: Cohen et al. (2019), m = 1."""

    name: ClassVar[str] = "gaussian"
    draws: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        integer("draws", self.draws, least=1)

    @property
    def passes(self) -> int:
        """One for each noise."""
        return self.draws

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        logs = _log_scores(model, batch.images, batch.noises)
        return -_of_label(logs, batch.labels).mean(dim=0)


@dataclass(frozen=True)
class Stability:
    """-log F_y(x) + weight (H(F(x)) + KL(F(x) || F_1)), F(x) without noise; m = 1.

    Source: Li, Chen, Wang and Carin (2019), as coded by Jeong and Shin (2020): the first term is
    that of the clean image.
    """

    name: ClassVar[str] = "stability"
    draws: ClassVar[int] = 1
    passes: ClassVar[int] = 2
    weight: float = 2.0

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        nonnegative("weight", self.weight)

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        clean = log_softmax(model(batch.images), dim=1)
        noisy = _log_scores(model, batch.images, batch.noises[:1])[0]
        # Entropy and divergence together are the cross-entropy.
        drift = -(clean.exp() * noisy).sum(dim=1)
        return -_of_label(clean, batch.labels) + self.weight * drift


@dataclass(frozen=True)
class SmoothAdv:
    """mean_i -log F_y(x* + delta_i), where x* makes -log F-bar_y large.

    x* takes `steps` normalised steps of 2 radius / steps, each cut to [0, 1] and then to the ball
    of `radius` around x, under the same noises as the loss. The radius grows with the warm-up.
    Source: Salman et al. (2019).
    """

    name: ClassVar[str] = "smoothadv"
    draws: int = 4
    steps: int = 10
    radius: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        integer("draws", self.draws, least=1)
        integer("steps", self.steps, least=1)
        positive("radius", self.radius)

    @property
    def passes(self) -> int:
        """m (steps + 1)."""
        return self.draws * (self.steps + 1)

    def attacked(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return x*, of the shape of the images."""
        radius, place = self.radius * batch.warm, batch.images
        if radius == 0:
            return place
        with _attacked(model):
            for _ in range(self.steps):
                place = _ascent(_error_of_mean(model, batch), place, 2 * radius / self.steps)
                place = _within(place.clamp(0, 1), batch.images, radius)
        return place

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        logs = _log_scores(model, self.attacked(model, batch), batch.noises)
        return -_of_label(logs, batch.labels).mean(dim=0)


@dataclass(frozen=True)
class Macer:
    """-log F-bar_y + weight (sigma / 2) (gamma - xi)_+ where argmax F-bar^beta = y.

    F^beta = softmax(beta logits), and xi = Phi^-1(F-bar^beta_1) - Phi^-1(F-bar^beta_2) of its two
    largest entries, the certified radius in units of sigma / 2; images of infinite xi have no
    second term. That term starts when the warm-up is over. Source: Zhai et al. (2020).
    """

    name: ClassVar[str] = "macer"
    draws: int = 16
    weight: float = 12.0
    beta: float = 16.0
    gamma: float = 8.0

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        integer("draws", self.draws, least=1)
        nonnegative("weight", self.weight)
        positive("beta", self.beta)
        positive("gamma", self.gamma)

    @property
    def passes(self) -> int:
        """One for each noise."""
        return self.draws

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        logs = _log_scores(model, batch.images, batch.noises)
        loss = -_of_label(_log_mean(logs), batch.labels)
        if batch.warm < 1 or self.weight == 0:
            return loss
        # Logits may be log scores: softmax does not see a summand common to all classes.
        sharp = (logs.double() * self.beta).softmax(dim=2).mean(dim=0)
        (first, second), answers = (part.unbind(dim=1) for part in sharp.topk(2, dim=1))
        with torch.no_grad():
            xi = torch.special.ndtri(first) - torch.special.ndtri(second)
            counted = (answers[0] == batch.labels) & xi.isfinite() & (xi <= self.gamma)
        # Only of the images that count: the others have slopes that are not finite.
        place = counted.nonzero().squeeze(1)
        gap = torch.special.ndtri(first[place]) - torch.special.ndtri(second[place])
        hinge = self.weight * batch.sigma / 2 * (self.gamma - gap)
        return loss.index_add(0, place, hinge.to(loss.dtype))


@dataclass(frozen=True)
class Consistency:
    """mean_i -log F_i,y + weight mean_i KL(F-bar || F_i) + entropy H(F-bar).

    Source: Jeong and Shin (2020).
    """

    name: ClassVar[str] = "consistency"
    draws: int = 2
    weight: float = 5.0
    entropy: float = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        integer("draws", self.draws, least=2)
        nonnegative("weight", self.weight)
        nonnegative("entropy", self.entropy)

    @property
    def passes(self) -> int:
        """One for each noise."""
        return self.draws

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        logs = _log_scores(model, batch.images, batch.noises)
        log_mean = _log_mean(logs)
        mean = log_mean.exp()
        spread = (mean * (log_mean - logs)).sum(dim=2).mean(dim=0)
        entropy = -(mean * log_mean).sum(dim=1)
        errors = -_of_label(logs, batch.labels).mean(dim=0)
        return errors + self.weight * spread + self.entropy * entropy


@dataclass(frozen=True)
class SmoothMix:
    """mean_i -log F_y(x0 + delta_i) + weight 1{argmax F-bar = y} mean_i KL(q || F(z + delta_i)).

    z = (1 - l) x0 + l x~ and q = (1 - l) F-bar + l u with l uniform in [0, 1/2], F-bar at x0. x~ is
    reached by `steps` normalised steps of length `step` up -log F-bar_y, within [0, 1] and no
    ball; x0 is x, or with `one_step` the point after the first step, at most warm times `step`
    from x. The weight grows with the warm-up. Source: Jeong et al. (2021).
    """

    name: ClassVar[str] = "smoothmix"
    draws: int = 4
    steps: int = 4
    step: float = 1.0
    weight: float = 5.0
    one_step: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        integer("draws", self.draws, least=1)
        integer("steps", self.steps, least=1)
        positive("step", self.step)
        nonnegative("weight", self.weight)

    @property
    def passes(self) -> int:
        """m (steps + 2)."""
        return self.draws * (self.steps + 2)

    def attacked(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return x0 and x~, of the shape of the images."""
        start = place = batch.images
        with _attacked(model):
            for turn in range(self.steps):
                place = _ascent(_error_of_mean(model, batch), place, self.step).clamp(0, 1)
                if turn == 0 and self.one_step:
                    start = _within(place, batch.images, self.step * batch.warm).clamp(0, 1)
        return start, place

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        start, end = self.attacked(model, batch)
        logs = _log_scores(model, start, batch.noises)
        mean = _log_mean(logs).exp()
        share = torch.rand(len(start), generator=batch.draw, device=start.device) / 2
        wide = share.view(-1, *[1] * (start.ndim - 1))
        target = (1 - share)[:, None] * mean + share[:, None] / mean.shape[1]
        mixed = _log_scores(model, (1 - wide) * start + wide * end, batch.noises)
        right = mean.argmax(dim=1) == batch.labels
        second = right * _divergence(target, mixed).mean(dim=0)
        errors = -_of_label(logs, batch.labels).mean(dim=0)
        return errors + self.weight * batch.warm * second


@dataclass(frozen=True)
class CatRs:
    """(1/m) sum of the K+ least -log F_i,y + weight 1{K = m} max_i KL(t || F(x + delta_i*)).

    K ~ Bin(m, H / m), H of the m noises answered with y (`statistics.bottom_k`), K+ = max(K, 1);
    t are the batch's `targets`, mean scores of a model trained under noise. delta_i* takes `steps`
    normalised steps of 2 radius / steps up the mean of KL(t || F), each cut to the ball of `radius`
    around delta_i and then moved and scaled: its mean becomes that of delta_i, and its scale
    changes by the ratio of the root mean squares before. Source: Jeong, Kim and Shin (2023).
    """

    name: ClassVar[str] = "cat-rs"
    draws: int = 4
    steps: int = 4
    radius: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a bad number."""
        integer("draws", self.draws, least=1)
        integer("steps", self.steps, least=1)
        positive("radius", self.radius)
        nonnegative("weight", self.weight)

    @property
    def passes(self) -> int:
        """m (steps + 2)."""
        return self.draws * (self.steps + 2)

    def attacked(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the noises delta_i*, of the shape of the noises."""
        targets = self._targets(batch)
        origin = batch.noises.flatten(0, 1)
        size = batch.noises.shape

        def loss(noises: Tensor) -> Tensor:
            logs = _log_scores(model, batch.images, noises.view(size))
            return _divergence(targets, logs).sum() / size[0]

        place = origin
        with _attacked(model):
            for _ in range(self.steps):
                place = _ascent(loss, place, 2 * self.radius / self.steps)
                place = renormalised(_within(place, origin, self.radius), origin)
        return place.view(size)

    def _targets(self, batch: Batch) -> Tensor:
        if batch.targets is None or batch.targets.shape[:1] != batch.labels.shape:
            raise ValueError(
                f"targets is {shown(batch.targets)}: give the mean scores [N, C] of a model that "
                "was trained under noise"
            )
        return batch.targets

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        targets, noises = self._targets(batch), self.attacked(model, batch)
        logs = _log_scores(model, batch.images, batch.noises)
        m = len(logs)
        hits = (logs.argmax(dim=2) == batch.labels).sum(dim=0)
        coins = torch.rand(logs.shape[:2], generator=batch.draw, device=logs.device)
        kept = (coins < hits / m).sum(dim=0)
        errors = (-_of_label(logs, batch.labels)).sort(dim=0).values
        rank = torch.arange(m, device=logs.device)[:, None]
        low = (errors * (rank < kept.clamp_min(1))).sum(dim=0) / m
        far = _divergence(targets, _log_scores(model, batch.images, noises)).amax(dim=0)
        return low + self.weight * (far * (kept == m))


def renormalised(noises: Tensor, origin: Tensor) -> Tensor:
    """Return `noises` [n, ...] moved to the means of `origin`, and scaled as it is.

    With mean and root mean square mu0, s0 of an entry of `origin`, and mu, s of its noises, that is
    mu0 + (noises - mu) s0 / s: the mean square becomes mu0^2 + s0^2 (1 - mu^2 / s^2).
    """
    flat, first = noises.flatten(1), origin.flatten(1)
    mean, old_mean = flat.mean(dim=1, keepdim=True), first.mean(dim=1, keepdim=True)
    size, old_size = (x.square().mean(dim=1, keepdim=True).sqrt() for x in (flat, first))
    moved = old_mean + (flat - mean) * (old_size / size.clamp_min(1e-12))
    return moved.view_as(noises)


OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind
    for kind in (Gaussian, Stability, SmoothAdv, Macer, Consistency, SmoothMix, CatRs)
}
"""The objectives by name."""

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

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from rs_lib.arguments import integer, nonnegative, positive, shown
from rs_lib.machines.noisy_scores import (
    Batch,
    ascent,
    divergence,
    gradients,
    log_mean,
    log_scores,
    of_label,
    under_attack,
    within,
)


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


def _slope_of_mean(model: nn.Module, batch: Batch, images: Tensor) -> Tensor:
    """The gradient of -log F-bar_y at other images, under the noises of the batch.

    That of log F-bar_y is the mean of those of log F_i,y with the weights F_i,y.
    """
    logs, slopes = gradients(
        model, lambda found: of_label(found, batch.labels), images, batch.noises
    )
    weights = logs.softmax(dim=0)
    return -torch.einsum("mn,mn...->n...", weights, slopes)


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
        logs = log_scores(model, batch.images, batch.noises)
        return -of_label(logs, batch.labels).mean(dim=0)


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
        noisy = log_scores(model, batch.images, batch.noises[:1])[0]
        # Entropy and divergence together are the cross-entropy.
        drift = -(clean.exp() * noisy).sum(dim=1)
        return -of_label(clean, batch.labels) + self.weight * drift


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
        with under_attack(model):
            for _ in range(self.steps):
                slope = _slope_of_mean(model, batch, place)
                place = ascent(slope, place, 2 * radius / self.steps)
                place = within(place.clamp(0, 1), batch.images, radius)
        return place

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        logs = log_scores(model, self.attacked(model, batch), batch.noises)
        return -of_label(logs, batch.labels).mean(dim=0)


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
        logs = log_scores(model, batch.images, batch.noises)
        loss = -of_label(log_mean(logs), batch.labels)
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
        logs = log_scores(model, batch.images, batch.noises)
        log_average = log_mean(logs)
        mean = log_average.exp()
        spread = (mean * (log_average - logs)).sum(dim=2).mean(dim=0)
        entropy = -(mean * log_average).sum(dim=1)
        errors = -of_label(logs, batch.labels).mean(dim=0)
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
        with under_attack(model):
            for turn in range(self.steps):
                slope = _slope_of_mean(model, batch, place)
                place = ascent(slope, place, self.step).clamp(0, 1)
                if turn == 0 and self.one_step:
                    start = within(place, batch.images, self.step * batch.warm).clamp(0, 1)
        return start, place

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the losses, [N]."""
        start, end = self.attacked(model, batch)
        logs = log_scores(model, start, batch.noises)
        mean = log_mean(logs).exp()
        share = torch.rand(len(start), generator=batch.draw, device=start.device) / 2
        wide = share.view(-1, *[1] * (start.ndim - 1))
        target = (1 - share)[:, None] * mean + share[:, None] / mean.shape[1]
        mixed = log_scores(model, (1 - wide) * start + wide * end, batch.noises)
        right = mean.argmax(dim=1) == batch.labels
        second = right * divergence(target, mixed).mean(dim=0)
        errors = -of_label(logs, batch.labels).mean(dim=0)
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

        def drift(logs: Tensor) -> Tensor:
            return divergence(targets, logs)

        place = origin
        with under_attack(model):
            for _ in range(self.steps):
                slopes = gradients(model, drift, batch.images, place.view(size))[1].flatten(0, 1)
                place = ascent(slopes, place, 2 * self.radius / self.steps)
                place = renormalised(within(place, origin, self.radius), origin)
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
        logs = log_scores(model, batch.images, batch.noises)
        m = len(logs)
        hits = (logs.argmax(dim=2) == batch.labels).sum(dim=0)
        coins = torch.rand(logs.shape[:2], generator=batch.draw, device=logs.device)
        kept = (coins < hits / m).sum(dim=0)
        errors = (-of_label(logs, batch.labels)).sort(dim=0).values
        rank = torch.arange(m, device=logs.device)[:, None]
        low = (errors * (rank < kept.clamp_min(1))).sum(dim=0) / m
        far = divergence(targets, log_scores(model, batch.images, noises)).amax(dim=0)
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

"""The losses against plain formulas, image by image in float64, on a network with one layer.

Seeded; one test compares frequencies, and its failure probability stands there.
"""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn

from rs_lib.machines.noisy_scores import Batch, gradients, log_mean, log_scores, of_label
from rs_lib.machines.objectives import (
    OBJECTIVES,
    CatRs,
    Consistency,
    Gaussian,
    Macer,
    SmoothAdv,
    SmoothMix,
    Stability,
    renormalised,
)
from rs_lib.statistics.bottom_k import distribution

SHAPE, CLASSES, SIGMA = (1, 2, 3), 3, 0.5


def _model(seed=0, scale=1.0):
    layer = nn.Linear(6, CLASSES).double()
    draw = np.random.default_rng(seed)
    layer.weight.data = torch.from_numpy(scale * draw.normal(size=(CLASSES, 6)))
    layer.bias.data = torch.from_numpy(0.1 * draw.normal(size=CLASSES))
    return nn.Sequential(nn.Flatten(), layer)


def _batch(images=5, draws=4, seed=1, **more):
    draw = np.random.default_rng(seed)
    targets = draw.dirichlet(np.ones(CLASSES), images)
    return Batch(
        images=torch.from_numpy(draw.uniform(0.2, 0.8, (images, *SHAPE))),
        labels=torch.from_numpy(draw.integers(0, CLASSES, images)),
        noises=torch.from_numpy(SIGMA * draw.normal(size=(draws, images, *SHAPE))),
        sigma=SIGMA,
        draw=torch.Generator().manual_seed(seed),
        targets=torch.from_numpy(targets),
        **more,
    )


def _logits(model, image):
    """Of one image, by NumPy."""
    weight, bias = (part.detach().numpy() for part in (model[1].weight, model[1].bias))
    return weight @ image.ravel() + bias


def _scores(model, image):
    return special.softmax(_logits(model, image))


def _plain(formula, model, batch):
    """The formula for each image: of x, y and the scores F_1 .. F_m, [m, C]."""
    losses = []
    for i, label in enumerate(batch.labels.tolist()):
        x = batch.images[i].numpy()
        noises = batch.noises[:, i].numpy()
        scores = np.stack([_scores(model, x + noise) for noise in noises])
        losses.append(formula(x, label, scores))
    return np.array(losses)


def test_the_slope_of_the_mean_is_the_mean_slope_with_the_scores_as_weights():
    """Noise by noise, against the derivative of -log of the mean score of the label at once."""
    model, batch = _model(), _batch()
    images = batch.images.clone().requires_grad_()
    errors = -of_label(log_mean(log_scores(model, images, batch.noises)), batch.labels)
    (wanted,) = torch.autograd.grad(errors.sum(), images)
    logs, slopes = gradients(
        model, lambda found: of_label(found, batch.labels), batch.images, batch.noises
    )
    assert slopes.shape == batch.noises.shape
    found = -(logs.softmax(dim=0)[..., None, None, None] * slopes).sum(dim=0)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


def _kl(q, f):
    return float(special.rel_entr(q, f).sum())


def _agree(objective, model, batch, formula):
    found = objective(model, batch)
    assert found.shape == batch.labels.shape
    np.testing.assert_allclose(found.detach().numpy(), _plain(formula, model, batch), rtol=1e-9)
    slope = torch.autograd.grad(found.mean(), model[1].weight)[0]
    assert slope.isfinite().all()
    assert slope.abs().max() > 0


@pytest.mark.parametrize("draws", [1, 4])
def test_gaussian(draws):
    objective = Gaussian(draws)
    _agree(objective, _model(), _batch(draws=draws), lambda x, y, f: -np.log(f[:, y]).mean())
    assert objective.passes == draws


def test_stability_starts_from_the_clean_image():
    model = _model()

    def formula(x, y, f):
        clean = _scores(model, x)
        entropy = -(clean * np.log(clean)).sum()
        return -np.log(clean[y]) + 3.0 * (entropy + _kl(clean, f[0]))

    _agree(Stability(weight=3.0), model, _batch(draws=1), formula)


def test_consistency():
    def formula(x, y, f):
        mean = f.mean(axis=0)
        spread = np.mean([_kl(mean, row) for row in f])
        entropy = -(mean * np.log(mean)).sum()
        return -np.log(f[:, y]).mean() + 5.0 * spread + 0.5 * entropy

    _agree(Consistency(draws=3), _model(), _batch(draws=3), formula)


def _macer(weight, beta, gamma, model, counted):
    def formula(x, y, f):
        sharp = f**beta / (f**beta).sum(axis=1, keepdims=True)
        mean = sharp.mean(axis=0)
        order = np.argsort(mean)[::-1]
        xi = special.ndtri(mean[order[0]]) - special.ndtri(mean[order[1]])
        second = 0.0
        if order[0] == y and np.isfinite(xi) and xi <= gamma:
            counted.append(xi)
            second = weight * SIGMA / 2 * (gamma - xi)
        return -np.log(f[:, y].mean()) + second

    return formula


@pytest.mark.parametrize(("scale", "gamma"), [(0.3, 8.0), (1.0, 8.0), (1.0, 1.0), (30.0, 8.0)])
def test_macer(scale, gamma):
    model, batch, counted = _model(scale=scale), _batch(images=30, draws=6), []
    _agree(
        Macer(draws=6, weight=2.0, beta=4.0, gamma=gamma),
        model,
        batch,
        _macer(2.0, 4.0, gamma, model, counted),
    )
    assert 0 < len(counted) < 30


def test_macer_waits_for_the_end_of_the_warm_up():
    batch = _batch(draws=6, warm=0.99)
    _agree(Macer(draws=6), _model(), batch, lambda x, y, f: -np.log(f[:, y].mean()))


def test_macer_has_finite_slopes_where_the_answer_is_unanimous():
    model, batch = _model(scale=1e3), _batch(draws=2)
    loss = Macer(draws=2, gamma=1e9)(model, batch).sum()
    (slope,) = torch.autograd.grad(loss, model[1].weight)
    assert slope.isfinite().all()


def _away(model, label):
    """The attack's direction on two classes of a linear model: from the label to the other."""
    weight = model[1].weight.detach().numpy()
    return (weight[1 - label] - weight[label]).reshape(SHAPE)


def _two_classes(seed=3):
    model = _model(seed)
    model[1].weight.data = model[1].weight.data[:2]
    model[1].bias.data = model[1].bias.data[:2]
    batch = _batch(seed=seed)
    labels = batch.labels % 2
    return model, Batch(batch.images, labels, batch.noises, SIGMA, batch.draw, 1.0, None)


@pytest.mark.parametrize("warm", [1.0, 0.5, 0.0])
def test_smoothadv_reaches_the_sphere_of_a_linear_model(warm):
    """Two classes: the gradient of every such loss has one direction, so x* is known."""
    model, batch = _two_classes()
    batch = Batch(batch.images, batch.labels, batch.noises, SIGMA, batch.draw, warm)
    objective = SmoothAdv(draws=4, steps=3, radius=0.1)
    losses = objective(model, batch).detach().numpy()
    for i, label in enumerate(batch.labels.tolist()):
        away = _away(model, label)
        moved = batch.images[i].numpy() + 0.1 * warm * away / np.linalg.norm(away)
        scores = [_scores(model, moved + noise) for noise in batch.noises[:, i].numpy()]
        assert losses[i] == pytest.approx(-np.log([f[label] for f in scores]).mean(), rel=1e-9)
    assert objective.passes == 16


def test_smoothadv_stays_in_the_box_and_the_ball_and_hurts():
    model, batch = _model(), _batch(images=40)
    objective = SmoothAdv(steps=5, radius=0.7)
    place = objective.attacked(model, batch)
    assert place.min() >= 0
    assert place.max() <= 1
    moved = (place - batch.images).flatten(1).norm(dim=1)
    assert moved.max() <= 0.7 + 1e-9
    before = Gaussian(4)(model, batch)
    assert (objective(model, batch) > before).float().mean() > 0.9


@pytest.mark.parametrize("one_step", [False, True])
@pytest.mark.parametrize("warm", [1.0, 0.3])
def test_smoothmix(one_step, warm):
    model, batch = _two_classes()
    batch = Batch(
        batch.images, batch.labels, batch.noises, SIGMA, torch.Generator().manual_seed(5), warm
    )
    objective = SmoothMix(steps=3, step=0.05, weight=5.0, one_step=one_step)
    losses = objective(model, batch).detach().numpy()
    share = (torch.rand(5, generator=torch.Generator().manual_seed(5)) / 2).numpy()
    for i, label in enumerate(batch.labels.tolist()):
        away = _away(model, label) / np.linalg.norm(_away(model, label))
        x, noises = batch.images[i].numpy(), batch.noises[:, i].numpy()
        start = x + (0.05 * warm * away if one_step else 0)
        end = x + 0.15 * away
        clean = np.stack([_scores(model, start + noise) for noise in noises])
        mean = clean.mean(axis=0)
        mixed = (1 - share[i]) * start + share[i] * end
        target = (1 - share[i]) * mean + share[i] / 2
        spread = np.mean([_kl(target, _scores(model, mixed + noise)) for noise in noises])
        expected = -np.log(clean[:, label]).mean()
        expected += 5.0 * warm * (mean.argmax() == label) * spread
        assert losses[i] == pytest.approx(expected, rel=1e-6)  # the share is float32
    assert objective.passes == 20


def test_smoothmix_leaves_the_ball_but_not_the_box():
    model, batch = _model(), _batch(images=20)
    start, end = SmoothMix(steps=4, step=1.0).attacked(model, batch)
    assert torch.equal(start, batch.images)
    assert end.min() >= 0
    assert end.max() <= 1
    assert (end - start).flatten(1).norm(dim=1).max() > 0.5


def test_cat_rs_given_its_count_and_its_noises():
    """K by the same generator; the attack's noises as it says; the rest by the formula."""
    model = _model()
    objective = CatRs(draws=4, steps=2, radius=0.4, weight=0.7)
    batch = _batch(images=60)
    noises = objective.attacked(model, batch).numpy()
    losses = objective(model, batch).detach().numpy()
    coins = torch.rand((4, 60), generator=torch.Generator().manual_seed(1)).numpy()
    seen = set()
    for i, label in enumerate(batch.labels.tolist()):
        x, target = batch.images[i].numpy(), batch.targets[i].numpy()
        scores = np.stack([_scores(model, x + noise) for noise in batch.noises[:, i].numpy()])
        hits = (scores.argmax(axis=1) == label).sum()
        kept = int((coins[:, i] < hits / 4).sum())
        seen.add(kept)
        expected = np.sort(-np.log(scores[:, label]))[: max(kept, 1)].sum() / 4
        if kept == 4:
            far = [_kl(target, _scores(model, x + noise)) for noise in noises[:, i]]
            expected += 0.7 * max(far)
        assert losses[i] == pytest.approx(expected, rel=1e-9)
    assert {0, 4} < seen
    assert objective.passes == 16


def test_the_count_of_cat_rs_follows_its_law():
    """No image is far from 1/2: the second term shows how often K = 2; |z| > 6 in 2e-9 of seeds."""
    images, model = 40_000, nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    nn.init.constant_(model[1].weight, 0.0)
    model[1].weight.data[0] = 1.0
    nn.init.constant_(model[1].bias, 0.0)
    draw = torch.Generator().manual_seed(7)
    noises = torch.randn((2, images, 1), generator=draw)
    targets = torch.tensor([[1.0, 0.0]]).expand(images, 2)
    batch = Batch(
        torch.zeros(images, 1), torch.zeros(images).long(), noises, 1.0, draw, 1.0, targets
    )
    heavy, none = (CatRs(2, 1, 1e-3, weight)(model, batch) for weight in (1e6, 0.0))
    share = float((heavy > 100 * (none + 1)).double().mean())
    chance = float(distribution(2, "1/2")[2])  # 3/8
    assert chance == 0.375
    assert abs(share - chance) <= 6 * math.sqrt(chance * (1 - chance) / images)
    assert stats.norm.sf(6) < 1e-9


def test_the_first_step_of_cat_rs_moves_along_the_gradient_and_is_renormalised():
    model, batch = _model(), _batch(images=3, draws=2)
    found = CatRs(draws=2, steps=1, radius=0.4).attacked(model, batch)
    origin = batch.noises.clone().requires_grad_()
    loss = 0.0
    for k in range(2):
        logs = (model(batch.images + origin[k])).log_softmax(dim=1)
        loss = loss + (batch.targets * (batch.targets.log() - logs)).sum() / 2
    (gradient,) = torch.autograd.grad(loss, origin)
    norm = gradient.flatten(2).norm(dim=2)[:, :, None, None, None]
    # The step of 0.8 is cut to the ball of 0.4.
    moved = batch.noises + 0.4 * gradient / norm
    expected = renormalised(moved.flatten(0, 1), batch.noises.flatten(0, 1))
    torch.testing.assert_close(found, expected.view_as(found))


def test_renormalised_noises_keep_the_mean_and_nearly_the_mean_square():
    """The oracle 209/900: mu0, s0, mu, s = 1/10, 1/2, 1/5, 3/5."""
    origin = torch.tensor([[0.1 + math.sqrt(0.24), 0.1 - math.sqrt(0.24)]], dtype=torch.float64)
    moved = torch.tensor([[0.2 + math.sqrt(0.32), 0.2 - math.sqrt(0.32)]], dtype=torch.float64)
    found = renormalised(moved, origin)
    assert float(found.mean()) == pytest.approx(0.1)
    assert float(found.square().mean()) == pytest.approx(209 / 900)
    torch.testing.assert_close(renormalised(origin, origin), origin)
    centred = origin - origin.mean()
    # A step along the noise itself is undone.
    torch.testing.assert_close(renormalised(3 * centred, centred), centred)


def test_jensen_gaps_join_the_losses():
    """-log F-bar_y + J_y is the Gaussian loss; E KL(F-bar || F) is the F-bar-mean of the gaps."""
    model, batch = _model(), _batch(draws=4)
    logs = log_scores(model, batch.images, batch.noises)
    mean = logs.exp().mean(dim=0)
    gaps = mean.log() - logs.mean(dim=0)
    assert (gaps >= 0).all()
    own = gaps.gather(1, batch.labels[:, None]).squeeze(1)
    macer = Macer(draws=4, weight=0.0)(model, batch)
    torch.testing.assert_close(Gaussian(4)(model, batch), macer + own)
    plain = Consistency(4, weight=0.0, entropy=0.0)(model, batch)
    spread = Consistency(4, weight=1.0, entropy=0.0)(model, batch) - plain
    torch.testing.assert_close(spread, (mean * gaps).sum(dim=1))


class _Counted(nn.Module):
    """Counts the images that it sees."""

    def __init__(self, model):
        super().__init__()
        self.model, self.seen = model, 0

    def forward(self, images):
        self.seen += len(images)
        assert self.training == any(weight.requires_grad for weight in self.parameters())
        return self.model(images)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_passes_are_what_the_model_sees_and_the_model_is_left_as_it_was(name):
    objective = OBJECTIVES[name]()
    assert objective.name == name
    model = _Counted(_model()).train()
    batch = _batch(images=4, draws=objective.draws)
    losses = objective(model, batch)
    assert losses.shape == (4,)
    assert model.seen == 4 * objective.passes
    assert model.training
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    torch.autograd.backward(losses.mean())
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_equal_batches_give_equal_losses_in_float32(name):
    objective = OBJECTIVES[name]()
    model = _model().float()
    both = []
    for _ in range(2):
        batch = _batch(draws=objective.draws)
        single = Batch(
            batch.images.float(),
            batch.labels,
            batch.noises.float(),
            SIGMA,
            torch.Generator().manual_seed(3),
            1.0,
            batch.targets.float(),
        )
        both.append(objective(model, single))
    assert both[0].dtype == torch.float32
    assert torch.equal(*both)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gaussian(0), "draws is 0"),
        (lambda: Consistency(1), "draws is 1"),
        (lambda: Stability(-1.0), "weight is"),
        (lambda: SmoothAdv(radius=0.0), "radius is"),
        (lambda: SmoothAdv(steps=0), "steps is 0"),
        (lambda: Macer(beta=0.0), "beta is"),
        (lambda: SmoothMix(step=-1.0), "step is"),
        (lambda: CatRs(weight=float("nan")), "weight holds NaN"),
        (lambda: _batch(warm=1.5), "warm is 1.5"),
        (
            lambda: Batch(torch.zeros(2, 1), torch.zeros(2), torch.zeros(3, 1), 1.0, None),
            "noises has",
        ),
        (
            lambda: Batch(torch.zeros(2, 1), torch.zeros(3), torch.zeros(1, 2, 1), 1.0, None),
            "labels has",
        ),
        (
            lambda: Batch(torch.zeros(2, 1), torch.zeros(2), torch.zeros(1, 2, 1), 0.0, None),
            "sigma is",
        ),
        (
            lambda: CatRs()(
                _model(),
                Batch(*[getattr(_batch(), k) for k in ("images", "labels", "noises")], 1, None),
            ),
            "targets is None",
        ),
    ],
)
def test_bad_numbers_and_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

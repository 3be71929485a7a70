"""Training losses: each against its formula written anew, image by image, and its attack's limits.

Seeded; equalities only, so no seed fails by chance but where a bound says so.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from rs_lib.machines import data, fast_training, models, objectives
from rs_lib.machines.objectives import OBJECTIVES, Settings, Step

IMAGES = torch.rand((6, 1, 3, 3), generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
VOTES = torch.softmax(torch.rand((6, 3), generator=torch.Generator().manual_seed(2)), -1)


def _net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def _loss(name, settings, progress=1.0, votes=VOTES, seed=4, net=None):
    step = Step(torch.Generator().manual_seed(seed), progress, votes.double())
    loss = OBJECTIVES[name].loss
    return loss((net or _net()).float(), IMAGES, LABELS, step, settings)


def _scores(settings, images=IMAGES, seed=4):
    """F_i as numpy [m, N, 3], and the noises, drawn as the losses draw them."""
    draw = torch.Generator().manual_seed(seed)
    deltas = torch.randn((settings.samples, *images.shape), generator=draw) * settings.sigma
    logits = _net().float()((images + deltas).flatten(0, 1)).view(settings.samples, len(images), 3)
    return torch.softmax(logits, -1).detach().double().numpy(), deltas


def _kl(q, soft):
    return float(sum(a * math.log(a / b) for a, b in zip(q, soft, strict=True)))


def test_cross_entropies():
    settings = Settings(0.5, samples=3, weight=2.0)
    soft, _ = _scores(settings)
    wanted = np.mean([-np.log(soft[i, j, y]) for i in range(3) for j, y in enumerate(LABELS)])
    assert _loss("Gaussian", settings).item() == pytest.approx(wanted, abs=1e-6)
    clean = torch.softmax(_net().float()(IMAGES), -1).detach().double().numpy()
    entropy = -(clean * np.log(clean)).sum(-1)
    added = np.mean([entropy[j] + _kl(clean[j], soft[i, j]) for i in range(3) for j in range(6)])
    own = np.mean([-np.log(clean[j, y]) for j, y in enumerate(LABELS)])
    assert _loss("Stability", settings).item() == pytest.approx(own + 2 * added, abs=1e-6)


def test_consistency():
    settings = Settings(0.5, samples=4, weight=3.0, entropy=0.5)
    soft, _ = _scores(settings)
    total = 0.0
    for j, y in enumerate(LABELS):
        mean = soft[:, j].mean(0)
        total += np.mean([-np.log(soft[i, j, y]) + 3 * _kl(mean, soft[i, j]) for i in range(4)])
        total += 0.5 * -(mean * np.log(mean)).sum()
    assert _loss("Consistency", settings).item() == pytest.approx(total / 6, abs=1e-6)


def test_macer_counts_right_images_below_the_cap_and_waits():
    settings = Settings(0.5, samples=4, weight=3.0, sharpness=2.0, cap=1.0, warm_up=0.5)
    draw = torch.Generator().manual_seed(4)
    deltas = torch.randn((4, *IMAGES.shape), generator=draw) * 0.5
    logits = _net().float()((IMAGES + deltas).flatten(0, 1)).view(4, 6, 3).detach()
    even, sharp = (torch.softmax(b * logits, -1).mean(0).double().numpy() for b in (1, 2))
    first = np.mean([-np.log(even[j, y]) for j, y in enumerate(LABELS)])
    hinge, kinds = 0.0, set()
    for j, y in enumerate(LABELS.tolist()):
        _, second, top = np.sort(sharp[j])
        spread = stats.norm.ppf(top) - stats.norm.ppf(second)
        counted = sharp[j].argmax() == y and spread <= 1
        kinds.add(counted)
        hinge += (1 - spread) * counted
    assert kinds == {True, False}
    wanted = first + 3 * 0.25 * hinge / 6
    assert _loss("MACER", settings).item() == pytest.approx(wanted, abs=1e-6)
    assert _loss("MACER", settings, progress=0.4).item() == pytest.approx(first, abs=1e-6)


def test_macer_has_finite_gradients_where_scores_are_one():
    net = _net().float()
    with torch.no_grad():
        net[3].weight.mul_(1e4)
    loss = _loss("MACER", Settings(0.5, samples=2, weight=1.0, sharpness=16.0), net=net)
    loss.backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in net.parameters())


def test_smooth_adv_attacks_within_the_ball_and_the_image(monkeypatch):
    seen = []
    real = objectives._log_scores
    monkeypatch.setattr(
        objectives, "_log_scores", lambda m, x, d: (seen.append(x.detach()), real(m, x, d))[1]
    )
    settings = Settings(0.5, samples=2, steps=3, reach=0.3, warm_up=0.5)
    attacked = _loss("SmoothAdv", settings)
    assert len(seen) == 4
    moved = seen[-1] - IMAGES
    assert torch.linalg.vector_norm(moved.flatten(1), dim=1).max() <= 0.3 + 1e-6
    assert seen[-1].min() >= 0
    assert seen[-1].max() <= 1
    plain = Settings(0.5, samples=2)
    assert attacked > _loss("Gaussian", plain)
    assert _loss("SmoothAdv", settings, progress=0.0).item() == pytest.approx(
        _loss("Gaussian", plain).item(), abs=1e-6
    )


def test_smooth_mix_against_its_formula(monkeypatch):
    settings = Settings(0.5, samples=2, steps=2, length=0.4, entropy=3.0)
    seen = []
    real = objectives._log_scores
    monkeypatch.setattr(
        objectives, "_log_scores", lambda m, x, d: (seen.append(x.detach()), real(m, x, d))[1]
    )
    loss = _loss("SmoothMix", settings).item()
    monkeypatch.undo()
    soft, deltas = _scores(settings)
    draw = torch.Generator().manual_seed(4)
    torch.randn((2, *IMAGES.shape), generator=draw)
    part = (torch.rand(6, generator=draw) / 2).double().numpy()
    mixed = seen[-1]
    logits = _net().float()((mixed + deltas).flatten(0, 1)).view(2, 6, 3)
    mixed_soft = torch.softmax(logits, -1).detach().double().numpy()
    total, right = 0.0, 0
    for j, y in enumerate(LABELS.tolist()):
        mean = soft[:, j].mean(0)
        target = (1 - part[j]) * mean + part[j] / 3
        total += np.mean([-np.log(soft[i, j, y]) for i in range(2)])
        right += mean.argmax() == y
        total += (
            3 * (mean.argmax() == y) * np.mean([_kl(target, mixed_soft[i, j]) for i in range(2)])
        )
    assert 0 < right < 6
    assert loss == pytest.approx(total / 6, abs=1e-5)
    assert ((mixed - IMAGES).flatten(1).norm(dim=1) <= 0.5 * 2 * 0.4 + 1e-6).all()


def _coins(settings):
    """How many of the losses CAT-RS keeps of each image: K, drawn as it draws."""
    soft, _ = _scores(settings)
    right = (soft.argmax(-1) == LABELS.numpy()).mean(0)
    draw = torch.Generator().manual_seed(4)
    torch.randn((settings.samples, *IMAGES.shape), generator=draw)
    coins = torch.rand((settings.samples, len(IMAGES)), generator=draw).numpy()
    return (coins < right).sum(0)


def test_cat_rs_against_its_formula():
    """Without reach the attacked noises are the noises themselves."""
    settings = Settings(0.5, samples=2, weight=3.0)
    soft, _ = _scores(settings)
    kept, total = _coins(settings), 0.0
    for j, y in enumerate(LABELS.tolist()):
        losses = sorted(-math.log(soft[i, j, y]) for i in range(2))
        total += sum(losses[: max(kept[j], 1)]) / 2
        if kept[j] == 2:
            total += 3 * max(_kl(VOTES[j].double().numpy(), soft[i, j]) for i in range(2))
    assert {0, 1, 2} == set(kept.tolist())
    assert _loss("CAT-RS", settings).item() == pytest.approx(total / 6, abs=1e-5)


def test_attacked_noises_keep_their_mean_and_nearly_their_size():
    settings = Settings(0.5, samples=3, steps=4, reach=0.6)
    _, deltas = _scores(settings)
    net, target = _net().float(), VOTES.log()
    found = objectives._adversarial_noises(net, IMAGES, deltas, target, settings)
    axes = (-3, -2, -1)
    torch.testing.assert_close(found.mean(axes), deltas.mean(axes), atol=1e-6, rtol=0)
    size, before = (part.square().mean(axes) for part in (found, deltas))
    assert ((size <= before + deltas.mean(axes).square() + 1e-6) & (size > 0.5 * before)).all()

    def apart(noises):
        logs = objectives._log_scores(net, IMAGES, noises)
        return objectives._divergence(target, logs).mean()

    assert apart(found) > 1.1 * apart(deltas)


def test_cat_rs_asks_for_votes():
    step = Step(torch.Generator().manual_seed(1))
    with pytest.raises(ValueError, match="votes is None: give the votes"):
        objectives.cat_rs(_net().float(), IMAGES, LABELS, step, Settings(0.5))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_passes_are_counted(name):
    """Forward passes of images that carry a gradient to weights or images, in units of images."""
    net = _net().float()
    passed = []
    net.register_forward_hook(lambda module, given, made: passed.append(len(given[0])))
    settings = Settings(1e-6, samples=3, steps=2, reach=0.1, length=0.1, weight=1.0, entropy=1.0)
    # Labels that the network gives, so that every term is active.
    labels = net(IMAGES).argmax(-1)
    passed.clear()
    step = Step(torch.Generator().manual_seed(1), 1.0, VOTES)
    OBJECTIVES[name].loss(net, IMAGES, labels, step, settings).backward()
    assert sum(passed) == OBJECTIVES[name].passes(settings) * len(IMAGES)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sigma": 0.0}, "sigma is 0.0: give a positive"),
        ({"samples": 0}, "samples is 0: give whole numbers"),
        ({"steps": 1.5}, "steps is 1.5: give whole numbers"),
        ({"reach": -1.0}, "reach is -1.0: give a finite number that is not negative"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        Settings(**({"sigma": 0.5} | changes))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_trains_digits(name):
    digits = data.load("digits")
    settings = Settings(0.25, samples=2, steps=2, reach=0.1, length=0.1, weight=0.5, sharpness=8.0)
    recipe = fast_training.Recipe(6, 64, 0.1, 1e-4, 0, False, 0.9)
    votes = nn.functional.one_hot(digits.train_labels, 10).float()
    training = fast_training.Training(
        models.build("small-cnn", digits.image_shape, 10, 1),
        digits.train_images,
        digits.train_labels,
        levels=16,
        noise=None,
        recipe=recipe,
        seed=1,
        goal=OBJECTIVES[name].goal(settings),
        votes=votes,
    )
    fast_training.run(training)
    images = digits.as_float(digits.test_images)
    noisy = images + 0.25 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        right = (training.model.eval()(noisy).argmax(1) == digits.test_labels).float().mean()
    assert right > 0.6

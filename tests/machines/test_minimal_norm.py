"""Shortest errors: exact on linear networks, on the boundary, and never beyond it.

Seeded; a comparison of counts with a law fails with probability below 1e-8.
"""

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib.geometry import halfspaces
from rs_lib.machines import attacks, data, minimal_norm, models, norm_ratios, training

SHAPE = (1, 4, 5)


@pytest.fixture(scope="module")
def linear():
    model = models.build("linear", SHAPE, 4, seed=1)
    images = torch.rand(50, *SHAPE, generator=torch.Generator().manual_seed(2))
    return model, images, model(images).argmax(1)


@pytest.fixture(scope="module")
def digits():
    """A trained network, and 25 images that it answers right."""
    dataset = data.load("digits")
    model = models.build("small-cnn", dataset.image_shape, 10, seed=1)
    train = dataset.as_float(dataset.train_images)
    settings = {"epochs": 3, "batch_size": 64, "learning_rate": 0.1, "seed": 1}
    training.train(model, train, dataset.train_labels, noise=None, **settings)
    images = dataset.as_float(dataset.test_images)
    with torch.inference_mode():
        rows = (model(images).argmax(1) == dataset.test_labels).nonzero()[:25, 0]
    return model, images[rows], dataset.test_labels[rows]


def _exact(model, images, labels):
    """Distances to the nearest of the planes between the label and the other classes."""
    weight, bias = model[1].weight.detach().double(), model[1].bias.detach().double()
    logits = images.flatten(1).double() @ weight.T + bias
    lead = logits.gather(1, labels[:, None]) - logits
    apart = (weight[labels][:, None] - weight[None]).norm(dim=2)
    return torch.where(apart > 0, lead / apart, torch.inf).amin(1)


def _found(model, images, labels, *, steps=15, starts=2):
    return minimal_norm.nearest_errors(model, images, labels, steps=steps, starts=starts, seed=3)


def test_the_first_step_is_exact_on_a_linear_network(linear):
    model, images, labels = linear
    found, length = _found(model, images, labels, steps=1, starts=1)
    exact = _exact(model, images, labels)
    assert (length >= exact * (1 - 1e-4)).all()
    assert (length <= exact * (1 + 1e-3) + 1e-6).all()
    with torch.inference_mode():
        assert (model(found).argmax(1) != labels).all()


def test_what_is_found_errs_and_is_as_far_as_told(digits):
    model, images, labels = digits
    found, length = _found(model, images, labels)
    with torch.inference_mode():
        assert (model(found).argmax(1) != labels).all()
        nearer = images + 0.995 * (found - images)
        assert (model(nearer).argmax(1) == labels).all()
    torch.testing.assert_close((found - images).flatten(1).double().norm(dim=1), length)


def test_another_attack_finds_nothing_much_nearer(digits):
    """Gradient ascent at 0.9 of the distance found fools at most two of 25 images."""
    model, images, labels = digits
    _, length = _found(model, images, labels)
    moved = attacks.pgd_l2(model, images, labels, radius=0.9 * length, steps=40, seed=1)
    with torch.inference_mode():
        assert (model(moved).argmax(1) != labels).sum() <= 2


def test_more_starts_never_lengthen_and_wrong_images_have_distance_zero(digits):
    model, images, labels = digits
    labels = labels.clone()
    labels[0] = (labels[0] + 1) % 10
    found, one = _found(model, images, labels, starts=1)
    _, four = _found(model, images, labels, starts=4)
    assert (four <= one).all()
    assert one[0] == 0
    assert torch.equal(found[0], images[0])


def test_a_constant_network_has_no_error():
    model = nn.Sequential(nn.Flatten(), nn.Linear(20, 3)).eval()
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.tensor([1.0, 0.0, 0.0])
    images, labels = torch.rand(4, *SHAPE), torch.zeros(4, dtype=torch.int64)
    found, length = _found(model, images, labels)
    assert length.isinf().all()
    assert torch.equal(found, images)
    settings = {"ratios": [2.0], "scales": [1.0], "steps": 2, "starts": 1, "n": 5, "seed": 1}
    with pytest.raises(ValueError, match="steps is 2"):
        norm_ratios.measured(model, images, labels, range(4), **settings)


def test_flips_of_two_classes_follow_the_law_of_one_wall():
    """60 counts of 2,000: each off by seven standard deviations with probability below 1e-10."""
    model = models.build("linear", SHAPE, 2, seed=1)
    images = torch.rand(20, *SHAPE, generator=torch.Generator().manual_seed(2))
    labels = model(images).argmax(1)
    ratios, scales, n = [1.5, 4.0, 20.0], [0.5, 1.0], 2_000
    settings = {"ratios": ratios, "scales": scales, "steps": 3, "starts": 1, "n": n, "seed": 1}
    made = norm_ratios.measured(model, images, labels, range(20), **settings)
    law = halfspaces.flip_probability(ratios, 20)
    spread = 7 * np.sqrt(n * law * (1 - law)) + 1e-3 * n
    assert (np.abs(np.array(made["flips"]) - n * law) < spread).all()
    normal = torch.special.ndtr(-1 / torch.tensor(scales)).numpy()
    assert (np.abs(np.array(made["errors"]) - n * normal) < 7 * np.sqrt(n * normal) + 2).all()


def test_noise_depends_on_the_image_and_the_seed_alone(digits):
    model, images, labels = digits
    settings = {"ratios": [8.0], "scales": [1.0], "steps": 5, "starts": 1, "n": 600, "seed": 1}
    every = norm_ratios.measured(model, images, labels, range(25), **settings)
    last = norm_ratios.measured(model, images[20:], labels[20:], range(20, 25), **settings)
    assert every["flips"][20:] == last["flips"]
    assert every["errors"][20:] == last["errors"]


def test_a_model_in_training_mode_is_refused(linear):
    model, images, labels = linear
    with pytest.raises(ValueError, match="training mode"):
        _found(model.train(), images, labels)
    model.eval()

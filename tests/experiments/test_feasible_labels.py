"""Exact distances between images, and what they say of labels that cannot be fitted together."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from rs_lib.experiments import feasible_labels
from rs_lib.machines import data, distances

generator = torch.Generator().manual_seed(2020)


def drawn(count, size=8):
    images = torch.randint(0, 256, (count, 2, size, size), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 3, (count,), generator=generator)


def table(first, second):
    """All squared distances, in whole numbers."""
    one, two = first.flatten(1).to(torch.int64), second.flatten(1).to(torch.int64)
    return (one[:, None] - two).square().sum(2)


def test_distances_are_exact(monkeypatch):
    monkeypatch.setattr(distances, "_ROWS", 7)
    monkeypatch.setattr(distances, "_COLUMNS", 11)
    (images, labels), (others, marks) = drawn(30), drawn(41)
    images[3], labels[3], marks[5] = others[5], 0, 1
    expected = table(images, others).double()
    different = labels[:, None] != marks
    found = torch.full(expected.shape, torch.nan).double()
    for i, j, block in distances.rival_blocks(images, labels, others, marks):
        found[i[:, None], j] = block
    assert torch.equal(found[different], expected[different])
    assert found[~different].isnan().all()

    nearest = distances.nearest_other(images, labels, others, marks)
    assert nearest.tolist() == expected.where(different, torch.inf).amin(1).tolist()
    assert nearest[3] == 0

    own = table(images, images)
    apart = (labels[:, None] != labels).triu()
    limit = int(own[apart].median())
    pairs, squared = distances.close_pairs(images, labels, limit)
    assert sorted(pairs.tolist()) == (apart & (own < limit)).nonzero().tolist()
    assert torch.equal(own[pairs[:, 0], pairs[:, 1]].double(), squared)
    assert torch.equal(squared, squared.sort().values)

    least, i, j = distances.closest_rivals(images, labels)
    assert least == own[apart].min() == own[i, j]
    assert i < j
    assert labels[i] != labels[j]

    masses = distances.rival_masses(images, labels, (0.5, 2.0), 255).numpy()
    lengths = np.sqrt(own.numpy()) / 255
    for index, sigma in enumerate((0.5, 2.0)):
        rivals = ndtr(-lengths / (2 * sigma)) * (labels[:, None] != labels).numpy()
        assert np.allclose(masses[:, index], rivals.sum(1), rtol=1e-12)


def test_distances_refuse():
    images, labels = drawn(4)
    with pytest.raises(ValueError, match="give whole grey levels"):
        next(distances.rival_blocks(images.float(), labels, images, labels))
    with pytest.raises(ValueError, match="images of one shape"):
        next(distances.rival_blocks(images, labels, images[:, :1], labels))
    with pytest.raises(ValueError, match="at least two classes"):
        distances.closest_rivals(images, torch.zeros_like(labels))


def test_nobody_has_a_rival_where_all_labels_agree():
    images, labels = drawn(5)
    alike = torch.zeros_like(labels)
    assert distances.nearest_other(images, alike, images, alike).isinf().all()


def test_thresholds_are_the_least_whole_numbers():
    parameters = dataclasses.replace(
        feasible_labels.experiment.parameters("quick"), per_unit=7, largest_radius=2
    )
    for step, limit in enumerate(feasible_labels.thresholds(parameters, 16)):
        twice = 2 * Fraction(step, 7) * 16
        assert limit - 1 < twice**2 <= limit


def test_counts_of_a_few_digits(monkeypatch):
    full = data.load("digits")
    few = dataclasses.replace(
        full,
        train_images=full.train_images[:80],
        train_labels=full.train_labels[:80],
        test_images=full.test_images[:60],
        test_labels=full.test_labels[:60],
    )
    monkeypatch.setattr(feasible_labels.data, "load", lambda name: few)
    changes = {"per_unit": 10, "sigmas": (0.2, 0.4), "margins": (0.0, 0.4)}
    result = feasible_labels.experiment.run("quick", changes=changes)
    (found,) = result.values["datasets"]
    tests, training = found["tests"], found["training"]
    own = table(few.test_images, few.test_images).double().sqrt() / 16
    across = table(few.test_images, few.train_images).double().sqrt() / 16
    rivals = few.test_labels[:, None] != few.test_labels
    others = few.test_labels[:, None] != few.train_labels
    for step in range(21):
        r = step / 10
        conflicts = rivals & (own < 2 * r)
        assert tests["touched"][step] == conflicts.any(1).sum()
        assert training["touched"][step] == (others & (across < 2 * r)).any(1).sum()
        if step < len(tests["pairs"]):
            assert tests["pairs"][step] == conflicts.sum() / 2
            assert tests["matching"][step] <= tests["touched"][step]
    lost = torch.special.ndtr(-own[None] / (2 * torch.tensor([0.2, 0.4]))[:, None, None]) * rivals
    assert tests["sure"][0] == [int((lost[0].sum(1) <= 0.5 - m).sum()) for m in (0.0, 0.4)]
    assert tests["sure"][1] == [int((lost[1].sum(1) <= 0.5 - m).sum()) for m in (0.0, 0.4)]

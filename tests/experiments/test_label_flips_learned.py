"""Label flips on features of a network that never met the labels which may be flipped."""

import dataclasses

import numpy as np
import pytest
import torch

from rs_lib.experiments import label_flips_learned as learned
from rs_lib.machines import data, ridge
from rs_lib.record.stage import Context

SMALL = dataclasses.replace(learned.WITNESS, pairs=((1, 7),), tested=20)


@pytest.fixture(scope="module")
def small():
    return learned.compute(SMALL, Context())


def _features(labels):
    digits = dataclasses.replace(data.load("digits"), train_labels=labels)
    model, _ = learned.network(SMALL, digits, Context())
    return learned.outputs(learned.learned(model), digits.test_images, digits, Context())


def test_no_flipped_label_of_the_pair_reaches_a_feature():
    """Every label of the pair is changed to the other one: the features stay, to the last bit."""
    labels = data.load("digits").train_labels
    flipped = torch.where(labels == 1, 7, torch.where(labels == 7, 1, labels))
    assert (labels != flipped).sum() > 200
    before = _features(labels)
    assert np.array_equal(before, _features(flipped))
    # A label of another class does: the test would see it.
    other = labels.clone()
    other[(labels == 0).nonzero()[0]] = 5
    assert not np.array_equal(before, _features(other))


def test_the_network_learns_the_other_classes(small):
    digits = data.load("digits")
    assert learned.others(SMALL, digits) == (0, 2, 3, 4, 5, 6, 8, 9)
    told = sum(int((digits.test_labels == label).sum()) for label in (1, 7))
    assert small["own"]["test"] == 500 - told
    model, losses = learned.network(SMALL, digits, Context())
    assert losses == small["losses"]
    assert model[-1].out_features == 8
    assert small["features"] == model[-1].in_features == 16


def test_flips_within_the_exact_radius_change_no_answer(small):
    """The worst flips, one by one, by the weights that are computed here again."""
    digits, (pair,) = data.load("digits"), small["pairs"]
    model, _ = learned.network(SMALL, digits, Context())
    features = learned.learned(model)
    take = learned.evenly
    images, labels = learned.of_classes(digits.train_images, digits.train_labels, (1, 7))
    rows = take(len(labels), 60)
    test, truth = learned.of_classes(digits.test_images, digits.test_labels, (1, 7))
    shown = take(len(truth), 20)
    points, at = (
        learned.outputs(features, images[torch.from_numpy(rows)], digits, Context()),
        learned.outputs(features, test[torch.from_numpy(shown)], digits, Context()),
    )
    penalty = SMALL.penalties[pair["sweep"]["chosen"]]
    weights, y = ridge.fit(points).weights(at, penalty), labels.numpy()[rows]
    for row, radius, right, label in zip(
        weights, pair["images"]["exact"], pair["images"]["right"], truth.numpy()[shown], strict=True
    ):
        answer = int(row @ y >= 0.5)
        assert right == (answer == label)
        # What a flip takes from the answer: w where the label helps it, -w where it hurts.
        harm = np.where(y == 1, row, -row) * (1 if answer else -1)
        worst = np.argsort(-harm, kind="stable")
        for flips in (radius, radius + 1):
            moved = y.copy()
            moved[worst[:flips]] ^= 1
            assert (int(row @ moved >= 0.5) == answer) == (flips == radius)


def test_each_pair_meets_each_number_of_examples():
    two = dataclasses.replace(SMALL, pairs=((1, 7), (3, 7)), examples=(30, 60), tested=10)
    found = learned.compute(two, Context())["pairs"]
    assert [(entry["pair"], entry["train"]) for entry in found] == [
        ([1, 7], 30),
        ([1, 7], 60),
        ([3, 7], 30),
        ([3, 7], 60),
    ]
    assert all(len(entry["images"]["right"]) == 10 for entry in found)

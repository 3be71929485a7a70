"""Backdoor attacks and their cost, and the experiment on small ensembles."""

import itertools

import numpy as np
import pytest
import torch

from rs_lib.experiments import backdoors
from rs_lib.machines import backdoor_attack, data
from rs_lib.record.stage import Context

RUN = backdoors.Run("naive Bayes", "pair", 60, "0.9", "0.9", 32)
SMALL = {
    "runs": (tuple(RUN), ("perceptron", "ten", 60, "0.9", "0.5", 25)),
    "tests": 40,
    "epochs": 2,
    "attacked": tuple(RUN),
    "attacks": (("trigger", 2, 3), ("test pixels", 3, 0)),
}


@pytest.fixture(scope="module")
def small():
    return backdoors.Values.read(backdoors.experiment.run("quick", changes=SMALL).values)


@pytest.fixture(scope="module")
def pair():
    parameters = backdoors.experiment.parameters("quick", SMALL)
    return backdoors.task(parameters, "pair", 60, data.load("digits"))


def _changed(pair, attack):
    """Entries that differ, counted one by one."""
    shared = (attack.train_features != pair.train_features).sum().item()
    shared += (attack.train_labels != pair.train_labels).sum().item()
    return [
        shared + sum(int(a != b) for a, b in zip(x, z, strict=True))
        for x, z in zip(attack.test_features.tolist(), pair.test_features.tolist(), strict=True)
    ]


@pytest.mark.parametrize(("pixels", "images"), [*itertools.product((0, 1, 4), (0, 1, 5))])
def test_the_cost_is_the_number_of_changed_entries(pair, pixels, images):
    arrays = (pair.train_features, pair.train_labels, pair.test_features)
    attack = backdoor_attack.trigger(*arrays, pixels=pixels, images=images, source=0, target=1)
    assert attack.cost.tolist() == _changed(pair, attack)
    assert max(attack.cost.tolist()) <= backdoor_attack.budget(pixels, images)


def test_a_trigger_is_printed_on_images_of_the_source_that_change_their_name(pair):
    arrays = (pair.train_features, pair.train_labels, pair.test_features)
    attack = backdoor_attack.trigger(*arrays, pixels=2, images=4, source=0, target=1)
    victims = torch.nonzero(attack.train_labels != pair.train_labels)[:, 0]
    places = backdoor_attack.rare_pixels(pair.train_features, 2)
    assert len(victims) == 4
    assert (pair.train_labels[victims] == 0).all()
    assert (attack.train_features[victims][:, places] == 1).all()
    assert (attack.test_features[:, places] == 1).all()


def test_rare_pixels_are_those_seldom_white_the_last_among_equals():
    features = torch.tensor([[0, 1, 0, 1], [0, 1, 0, 0]], dtype=torch.uint8)
    assert backdoor_attack.rare_pixels(features, 3).tolist() == [2, 0, 3]


def test_inverted_test_pixels_are_the_best_choice_for_a_linear_score(pair):
    """Exhaustive: no other two pixels take more from the source's lead."""
    tests = pair.test_features[:3, :]
    arrays = (pair.train_features, pair.train_labels, tests)
    attack = backdoor_attack.test_pixels(*arrays, pixels=2, source=0, target=1)
    assert attack.cost.tolist() == [2, 2, 2]
    odds = []
    for label in (0, 1):
        members = pair.train_features[pair.train_labels == label].numpy()
        share = (members.sum(0) + 1) / (len(members) + 2)
        odds.append(np.log(share / (1 - share)))
    weights = odds[0] - odds[1]
    for before, after in zip(tests.numpy(), attack.test_features.numpy(), strict=True):
        gains = weights * (2.0 * before - 1)
        best = max(gains[i] + gains[j] for i, j in itertools.combinations(range(len(gains)), 2))
        assert weights @ before.astype(float) - weights @ after.astype(float) == pytest.approx(best)


def test_bad_attacks_are_refused(pair):
    arrays = (pair.train_features, pair.train_labels, pair.test_features)
    with pytest.raises(ValueError, match="images is 1000"):
        backdoor_attack.trigger(*arrays, pixels=1, images=1_000, source=0, target=1)
    with pytest.raises(ValueError, match="count is 65"):
        backdoor_attack.rare_pixels(pair.train_features, 65)
    with pytest.raises(ValueError, match="pixels"):
        backdoor_attack.budget(-1, 2)


def test_every_model_casts_one_vote_on_every_image(small):
    for votes in small.runs:
        counts = votes.counts[votes.run.models]
        assert (counts.sum(1) == votes.run.models).all()
        assert len(counts) == len(votes.labels)


def test_counts_say_how_many_votes_are_right(small):
    for votes in small.runs:
        counts, labels = votes.counts[votes.run.models], votes.labels
        assert votes.right == counts[np.arange(len(labels)), labels].sum()


def test_attacks_are_on_the_first_class_and_cost_what_they_change(small):
    first = (small.attacked.labels == 0).sum()
    trigger, pixels = small.attacks
    assert len(trigger.cost) == len(pixels.counts) == first
    assert max(trigger.cost) <= backdoor_attack.budget(trigger.attack.pixels, trigger.attack.images)
    assert set(pixels.cost) == {3}


def test_fewer_votes_are_the_first_ones():
    parameters = backdoors.experiment.parameters("quick", SMALL)
    dataset = data.load("digits")
    own = backdoors.task(parameters, "pair", 60, dataset)
    inputs: dict[str, object] = {"data": dataset.digest}
    more, fewer = (
        backdoors.votes(parameters, RUN._replace(models=models), own, Context(), inputs)
        for models in (48, 16)
    )
    assert torch.equal(more[:16], fewer)


def test_binary_images_and_even_test_images(pair):
    assert set(pair.train_features.unique().tolist()) == {0, 1}
    assert len(pair.train_labels) == 60
    assert len(pair.test_labels) == 40


def test_unknown_learners_and_tasks_are_refused():
    parameters = backdoors.experiment.parameters("quick", SMALL)
    with pytest.raises(ValueError, match="naive Bayes"):
        backdoors.learner(parameters, "forest", 64, 2)
    with pytest.raises(ValueError, match="pair"):
        backdoors.task(parameters, "three", 60, data.load("digits"))

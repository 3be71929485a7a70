"""Randomized ablation on a test set: tables of whole radii, and networks side by side."""

import numpy as np
import pytest
import torch

from rs_lib.certificates import ablation
from rs_lib.experiments import ablation_l0, ablation_test_set
from rs_lib.machines import data
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.record.stage import Context
from rs_lib.smoothing import Executed, sampling
from rs_lib.statistics import clopper_pearson_lower

SMALL = {
    "base.epochs": 3,
    "kept": 16,
    "networks": (("mlp", 3, 60), ("mlp", 1, 30)),
    "max_samples": 200,
    "reach": 2,
}


@pytest.fixture(scope="module")
def small():
    return ablation_test_set.experiment.run("quick", changes=SMALL)


def test_each_network_meets_its_images(small):
    digits = data.load("digits")
    for run, (model, epochs, images) in zip(small.values["runs"], SMALL["networks"], strict=True):
        assert run["network"] == [model, epochs, images]
        assert len(run["losses"]) == epochs
        indices = torch.from_numpy(evenly(500, images))
        assert run["labels"] == digits.test_labels[indices].tolist()
        assert run["radii"] == [0, 1, 2]


def test_the_network_and_the_counts_are_those_of_the_older_experiment(small):
    """The one with the epochs of `base` is that of `ablation_l0`; its votes are counted again."""
    base = ablation_test_set.experiment.parameters("quick", SMALL).base
    digits, run = data.load("digits"), small.values["runs"][0]
    views = ablation_l0.law(16, digits)
    model, losses = base_classifier(base, views, digits, Context())
    assert losses == run["losses"]
    place = 7
    ids = [int(evenly(500, 60)[place])]
    counts = sampling.count_classes(
        Executed(model, classes=10),
        digits.test_images[torch.tensor(ids)],
        views,
        run["samples"][place],
        seed=ablation_test_set.derive(base.seed, "test set", "16"),
        stream="estimate",
        image_ids=ids,
    )
    assert counts[0, run["selected"][place]] == run["successes"][place]


def test_a_radius_is_no_larger_than_its_counts_bear_out(small):
    """A sequential bound at level alpha is no better than the one for a fixed number."""
    for run in small.values["runs"]:
        low = clopper_pearson_lower(run["successes"], run["samples"], 0.05)
        fixed = np.maximum(ablation.radius(low, 64, 16), -1)
        found = ablation_test_set.radii(run)
        assert (found <= fixed).all()
        assert set(found) <= {-1, 0, 1, 2}
        assert (found >= 0).any()
        wrong = np.array(run["selected"]) != np.array(run["labels"])
        assert (found[wrong] == -1).all()


def test_a_radius_counts_only_where_the_class_is_right():
    run = {"selected": [3, 3, 5], "labels": [3, 4, 5], "certified": [2, 2, 0]}
    assert ablation_test_set.radii(run).tolist() == [1, -1, -1]

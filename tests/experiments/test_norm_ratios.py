"""Probed networks: only images that are right, counts in order, the same directions for all."""

import dataclasses

import numpy as np
import pytest

from rs_lib.experiments import norm_ratios, norm_ratios_cifar10


def _run(module, changes):
    fields = dataclasses.fields(module.WITNESS)
    given = {field.name: getattr(module.WITNESS, field.name) for field in fields}
    return module.experiment.run("quick", changes={**given, **changes})


@pytest.fixture(scope="module")
def result():
    return _run(norm_ratios, {"ratios": (0.9, 3.0, 12.0), "images": 20})


def test_counts_belong_to_images_that_are_right(result):
    for run in result.values["runs"]:
        count = len(run["images"])
        assert 10 < count <= run["asked"] == 20
        assert len(run["distance"]) == len(run["first"]) == count
        assert np.shape(run["flips"]) == (count, 3)
        assert np.shape(run["errors"]) == (count, 2)
        assert (np.array(run["distance"]) <= run["first"]).all()


def test_nothing_flips_below_the_shortest_error_and_more_does_beyond(result):
    """Were one of 2,000 copies wrong at 0.9, the search would have missed an error."""
    for run in result.values["runs"]:
        flips = np.array(run["flips"]).sum(0)
        assert flips[0] == 0
        assert flips[1] < flips[2]


def test_the_networks_of_the_other_experiment_are_probed():
    given = {"base": norm_ratios_cifar10.WITNESS.base}
    changes = {f"base.{name}": value for name, value in dataclasses.asdict(given["base"]).items()}
    rest = {
        field.name: getattr(norm_ratios_cifar10.WITNESS, field.name)
        for field in dataclasses.fields(norm_ratios_cifar10.WITNESS)
        if field.name != "base"
    }
    made = norm_ratios_cifar10.experiment.run("quick", changes={**changes, **rest})
    assert [run["sigma"] for run in made.values["runs"]] == [0.5, 0.0]
    assert made.values["dim"] == 64

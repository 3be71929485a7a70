"""Seven methods side by side: every network is another one, and counts are whole."""

import dataclasses

import numpy as np
import pytest

from rs_lib.experiments import training_objectives
from rs_lib.experiments.training_objectives import NAMES, Methods


@pytest.fixture(scope="module")
def result():
    return training_objectives.experiment.run(
        "quick", changes=_flat(training_objectives.WITNESS) | {"epochs": 4, "examples": 640}
    )


def _flat(parameters, prefix=""):
    """Changes that turn the quick profile into `parameters`."""
    found = {}
    for field in dataclasses.fields(parameters):
        value = getattr(parameters, field.name)
        if dataclasses.is_dataclass(value):
            found |= _flat(value, f"{prefix}{field.name}.")
        else:
            found[f"{prefix}{field.name}"] = value
    return found


def test_every_method_is_run_and_named():
    assert [field.name for field in dataclasses.fields(Methods)] == list(NAMES)


def test_every_method_trains_another_network_and_counts_all_samples(result):
    runs = result.values["runs"]
    assert [run["method"] for run in runs] == list(NAMES.values())
    assert len({tuple(run["losses"]) for run in runs}) == len(runs)
    asked = training_objectives.WITNESS
    for run in runs:
        counts = np.array(run["counts"])
        assert counts.shape == (asked.images, 10)
        assert (counts.sum(1) == asked.n).all()


def test_radii_and_shares_are_those_of_right_answers(result):
    found = training_objectives.radii_and_shares(result)
    labels = np.array(result.values["labels"])
    for run in result.values["runs"]:
        own, counts = found[run["method"]], np.array(run["counts"])
        assert ((own["radius"] > 0) == (own["share"] > 0)).all()
        assert (counts.argmax(1) == labels)[own["radius"] > 0].all()
        share = counts[np.arange(len(labels)), labels] / training_objectives.WITNESS.n
        assert own["noise_accuracy"] == pytest.approx(share.mean())


def test_parts_that_check_themselves_are_named_in_full():
    told = "^parameter methods.smoothadv.radius is -1.0: give a positive"
    with pytest.raises(ValueError, match=told):
        training_objectives.experiment.parameters("quick", {"methods.smoothadv.radius": -1.0})

"""Faulty workers on digits: the real job, the bound of fixed points, and votes.

Seeded and deterministic.
"""

import dataclasses
from math import comb

import numpy as np
import pytest

from rs_lib.certificates import workers as votes_of_workers
from rs_lib.experiments import faulty_workers, robustness_search
from rs_lib.statistics import aggregation


@pytest.fixture(scope="module")
def values():
    small = faulty_workers.WITNESS
    changes = {field.name: getattr(small, field.name) for field in dataclasses.fields(small)}
    changes |= {"steps": 30, "rules": ("mean", "trimmed mean", "Krum"), "processes": 3}
    changes |= {"attacks": ("none", "against", "not a number")}
    changes |= {"fixed": dataclasses.replace(small.fixed, steps=100)}
    return faulty_workers.experiment.run("quick", changes=changes).values


def test_processes_end_with_the_weights_of_the_simulation(values):
    assert [job["equal"] for job in values["real"]] == [3, 3]
    assert values["real"][0]["correct"] < 200 < values["real"][1]["correct"]


def test_robust_rules_learn_and_the_mean_does_not(values):
    right = {(row["rule"], row["attack"]): row["correct"] for row in values["grid"]}
    assert right["mean", "none"] > 350
    for attack in ("against", "not a number"):
        assert right["mean", attack] < 150
        assert right["trimmed mean", attack] > 350
        assert right["Krum", attack] > 350


def test_the_bound_of_a_fixed_point_holds_and_certifies_nothing(values):
    (found,) = values["fixed"]
    assert 0 < found["mean"] <= found["bound"]
    assert found["norm"] < found["bound"]
    needed = np.array(found["needed"])
    assert needed.shape == (500,)
    assert (needed >= 0).all()
    assert found["bound"] / found["penalty"] > needed.max()
    assert found["correct"] > 400


def test_votes_of_every_group_are_counted_and_certify(values):
    labels = np.array(values["labels"])
    for found in values["votes"]:
        votes = np.array(found["votes"])
        assert (votes.sum(axis=1) == comb(11, found["members"])).all()
        right = votes.argmax(axis=1) == labels
        assert right.mean() > 0.85
        touched = [comb(11, found["members"]) - comb(11 - f, found["members"]) for f in range(5)]
        certified = [(right & votes_of_workers.certified(votes, t)).mean() for t in touched]
        assert certified[0] == right.mean()
        assert (np.diff(certified) <= 0).all()
        assert certified[1] > 0.8
        # Half of the groups touched: nothing is left.
        assert (certified[4] == 0) == (2 * comb(7, found["members"]) <= comb(11, found["members"]))


def test_the_witness_of_the_search_exceeds_no_constant():
    values = robustness_search.experiment.witnessed()
    for case, found in zip(robustness_search.WITNESS.cases, values["cases"], strict=True):
        if case[0] in aggregation.RULES:
            assert found["ratio"] <= float(aggregation.constant(*case)) * (1 + 1e-6)
        vectors = np.array(found["vectors"])
        assert vectors.shape == (case[1], robustness_search.WITNESS.dimension)
        assert found["ratio"] == max(found["starts"])

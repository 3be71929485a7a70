"""Noise tapes have the laws of their names, and the counts fit the network that was trained."""

import dataclasses

import numpy as np
import pytest

from rs_lib.experiments import bad_randomness
from rs_lib.noise import tampering


@pytest.mark.parametrize("law", ["none", "laplace", "uniform", "signs"])
def test_swapped_laws_have_mean_0_and_variance_1(law):
    # 2e5 seeded numbers: six standard errors or more, a miss below 1e-8.
    drawn = bad_randomness.tape(law, 0.0, 200_000, seed=3)
    assert abs(drawn.mean()) < 0.015
    assert abs(drawn.var() - 1) < 0.04
    assert np.unique(np.sign(drawn)).tolist() == [-1, 1]


def test_a_tape_of_an_attack_has_its_exact_moments():
    drawn = bad_randomness.tape("gamma", 1.0, 200_000, seed=3)
    assert drawn.var() == pytest.approx(tampering.moments("gamma", 1).variance, abs=0.015)
    assert (bad_randomness.tape("half-normal", 0.0, 1_000, seed=3) >= 0).all()


def test_counts_are_of_the_samples_asked_for():
    settings = dataclasses.replace(
        bad_randomness.WITNESS, laws=(("none", 0.0), ("beta", 0.0)), images=3
    )
    changes = {name: getattr(settings, name) for name in ("laws", "images", "n", "n0", "honest")}
    values = bad_randomness.experiment.run("quick", changes={**changes, "epochs": 2}).values
    assert [sum(counts) for counts in values["honest"]] == [settings.honest] * 3
    sound, skewed = values["runs"]
    for run in (sound, skewed):
        assert len(run["selected"]) == len(run["successes"]) == len(values["labels"]) == 3
        assert all(0 <= hits <= settings.n for hits in run["successes"])
    # Sound counts of 300 and 400 samples of one probability differ by at most 0.3: below 1e-12.
    for counts, chosen, hits in zip(
        values["honest"], sound["selected"], sound["successes"], strict=True
    ):
        assert abs(counts[chosen] / settings.honest - hits / settings.n) < 0.3
    assert skewed["successes"] != sound["successes"]

"""The map of training noise against the noise of the smoothing."""

import numpy as np
import pytest

from rs_lib.experiments import noise_map
from rs_lib.machines import data, models
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.sampling import Tally, count_classes

SMALL = {
    "train_sigmas": (0.0, 0.5),
    "test_sigmas": (0.0, 0.25),
    "epochs": 2,
    "images": 60,
    "n": 21,
}


@pytest.fixture(scope="module")
def small():
    return noise_map.experiment.run("quick", changes=SMALL)


def test_it_holds_an_answer_for_each_image_and_pair_of_noises(small):
    right = noise_map.correctness(small.values)
    assert set(right) == {(a, b) for a in SMALL["train_sigmas"] for b in SMALL["test_sigmas"]}
    assert all(hits.shape == (60,) and hits.dtype == bool for hits in right.values())
    # Two epochs beat guessing: a share of .1 of 60 images would exceed 20 once in 10^7 runs.
    assert right[0.0, 0.0].sum() > 20


def test_packing_loses_nothing():
    rng = np.random.default_rng(1)
    for images in (1, 7, 8, 9, 500):
        hits = rng.random(images) < 0.5
        values = {
            "labels": [0] * images,
            "runs": [{"train": 0.0, "tests": [{"sigma": 0.1, "correct": noise_map.packed(hits)}]}],
        }
        np.testing.assert_array_equal(noise_map.correctness(values)[0.0, 0.1], hits)


@pytest.mark.parametrize("n", [1, 2, 10, 21, 50])
def test_stopping_early_changes_no_answer(n):
    """An untrained network, whose answers are close calls, against all n samples."""
    scans = data.load("digits")
    network = models.build("small-cnn", scans.image_shape, scans.classes, 3)
    noise, ids = Rounded(Gaussian(0.5), scans.levels), np.arange(80)
    executed = Executed(network, classes=scans.classes, device="cpu")
    executed.probe(noise.seen(scans.image_shape))
    tally = Tally(executed, scans.test_images[:80], noise, ids, seed=5, stream="s")
    whole = count_classes(
        executed, scans.test_images[:80], noise, n, seed=5, stream="s", image_ids=ids
    )
    answers = noise_map.plurality(tally, 80, n)
    np.testing.assert_array_equal(answers, whole.argmax(1))
    if n > 10:
        assert (tally.counts().sum(1) < n).any()


def test_the_smoothed_answers_are_those_of_the_engine(small):
    scans = data.load("digits")
    parameters = noise_map.experiment.parameters("quick", SMALL)
    network, _ = base_classifier(parameters, Gaussian(0.5), scans, Context())
    chunk = evenly(500, 60)
    counts = count_classes(
        Executed(network, classes=10),
        scans.test_images[chunk],
        Rounded(Gaussian(0.25), scans.levels),
        21,
        seed=derive(parameters.seed, "smooth"),
        stream="0.25",
        image_ids=chunk,
    )
    right = counts.argmax(1) == np.array(small.values["labels"])
    np.testing.assert_array_equal(noise_map.correctness(small.values)[0.5, 0.25], right)

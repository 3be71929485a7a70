"""Certified CIFAR-10: tables of radii and mismatched noise, on digits; runs that go on."""

import dataclasses
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from rs_lib.experiments import certified_cifar10
from rs_lib.machines import data
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record import places
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Executed
from rs_lib.smoothing.sampling import count_classes

SMALL = {
    "train_sigmas": (0.5, 0.0),
    "test_sigmas": (0.25, 0.5),
    "epochs": 3,
    "images": 30,
    "max_samples": 400,
    "reach": 1.5,
}
RUN = """
import sys
from pathlib import Path

from rs_lib.experiments import certified_cifar10
from rs_lib.record import places
from tests.experiments import test_certified_cifar10 as tests


class Elsewhere(places.Places):
    stages = Path(sys.argv[1])


places.HERE = Elsewhere()
experiment = certified_cifar10.experiment
made = experiment.run("quick", changes=tests.SMALL, keep_stages=True, progress=True)
print(made.digest, flush=True)
"""


@pytest.fixture(scope="module")
def small():
    return certified_cifar10.experiment.run("quick", changes=SMALL)


def test_every_network_meets_every_noise_its_own_first(small):
    small = small.values
    cells = [(run["sigma"], test["sigma"]) for run in small["runs"] for test in run["smoothed"]]
    assert cells == [(0.5, 0.5), (0.5, 0.25), (0.0, 0.25), (0.0, 0.5)]
    own, *others = [test["radii"] for run in small["runs"] for test in run["smoothed"]]
    assert own == [0.0, 0.25, 0.5, 0.75]
    assert others == [[0.0]] * 3


def test_counts_fit_together(small):
    small = small.values
    assert len(small["labels"]) == len(small["indices"]) == 30
    for run in small["runs"]:
        # Guessing has a share of .1 of 500 images; above 100 once in 10^11 runs.
        assert 100 < run["clean"] <= 500
        for test in run["smoothed"]:
            samples, successes = np.array(test["samples"]), np.array(test["successes"])
            certified = np.array(test["certified"])
            assert (successes <= samples).all()
            assert samples.max() <= 400
            assert certified.max() <= len(test["radii"])
            assert (2 * successes[certified > 0] > samples[certified > 0]).all()
            # Images that are not decided have used up the budget.
            assert test["undecided"] <= (samples == 400).sum()
            assert 0 <= test["noisy"] <= 500


def test_an_image_counts_where_its_class_is_right_and_certified():
    cell = {"sigma": 0.5, "radii": [0.0, 0.25], "selected": [7, 7, 3], "certified": [2, 1, 2]}
    values = {"labels": [7, 7, 7], "runs": [{"sigma": 0.25, "smoothed": [cell]}]}
    assert certified_cifar10.certified_counts(values) == {(0.25, 0.5): {0.0: 2, 0.25: 1}}


def test_counts_are_those_of_the_engine(small):
    small = small.values
    digits = data.load("digits")
    parameters = certified_cifar10.experiment.parameters("quick", SMALL)
    model, losses = certified_cifar10.base_classifier(parameters, 0.5, digits, Context())
    run = small["runs"][0]
    assert losses == run["losses"]
    test, place = run["smoothed"][0], 3
    ids = [small["indices"][place]]
    counts = count_classes(
        Executed(model, classes=10),
        digits.test_images[torch.tensor(ids)],
        Rounded(Gaussian(0.5), digits.levels),
        test["samples"][place],
        seed=derive(parameters.seed, "certify", "0.5"),
        stream="estimate",
        image_ids=ids,
    )
    assert counts[0, test["selected"][place]] == test["successes"][place]


def test_the_precision_is_measured_where_it_is_left_open(monkeypatch):
    asked = []

    def measured(model, inputs, labels):
        asked.append(tuple(inputs.shape))
        return "bfloat16"

    monkeypatch.setattr(certified_cifar10.fast_training, "faster_precision", measured)
    parameters = certified_cifar10.experiment.parameters("quick", {"precision": "measured"})
    digits = data.load("digits")
    assert certified_cifar10.precision(parameters, digits, Context()) == "bfloat16"
    assert asked == [(64, 1, 8, 8)]
    plain = dataclasses.replace(parameters, precision="float32")
    assert certified_cifar10.precision(plain, digits, Context()) == "float32"


@pytest.mark.parametrize("stop", ["sigma 0.5, epoch 2 of 3", "trained 0.5,"])
def test_a_killed_run_ends_in_the_same_counts(small, stop, tmp_path):
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=places.HERE.root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert any(line.startswith(stop) for line in process.stdout)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = subprocess.run(
        command, cwd=places.HERE.root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not any("epoch 1 of 3" in line and "sigma 0.5" in line for line in done)
    assert done[-1] == small.digest
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_matrix_goes_on_from_the_pilot_and_the_pilot_differs_in_epochs_alone():
    full, pilot, matrix = (certified_cifar10.PROFILES[name] for name in ("full", "pilot", "matrix"))
    assert dataclasses.replace(full, epochs=full.epochs // 2) == pilot
    names = ("train_sigmas", "test_sigmas")
    assert dataclasses.replace(matrix, **{name: getattr(pilot, name) for name in names}) == pilot
    for name in names:
        assert set(getattr(pilot, name)) < set(getattr(matrix, name))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": 501}, "images is 501: give at most 500"),
        ({"batch_size": 1298}, "batch_size is 1298: give at most 1297"),
        ({"shift": 8}, "shift is 8: give at most 7"),
        ({"blocks": (1,)}, "blocks is (1,): give one number for each of widths"),
        ({"reach": 3.5}, "max_samples is 10000: give at least 29"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(changes, told):
    with pytest.raises(ValueError, match=r"^parameter ") as refused:
        certified_cifar10.experiment.parameters("quick", changes)
    assert told in str(refused.value)

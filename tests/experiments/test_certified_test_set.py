"""The whole test set certified for a table of radii, on digits."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from rs_lib.experiments import certified_accuracy, certified_test_set
from rs_lib.machines import data
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record import places, result
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Executed
from rs_lib.smoothing.radius_tables import multiples, right_at
from rs_lib.smoothing.sampling import count_classes

SMALL = {"base.sigmas": (0.5,), "base.epochs": 5, "images": 60, "max_samples": 500, "reach": 2.0}


@pytest.fixture(scope="module")
def small():
    return certified_test_set.experiment.run("quick", changes=SMALL)


def test_counts_are_those_of_the_engine(small):
    digits = data.load("digits")
    parameters = certified_test_set.experiment.parameters("quick", SMALL)
    model, _ = base_classifier(parameters.base, Gaussian(0.5), digits, Context())
    [run] = small.values["runs"]
    ids = np.arange(60) * len(digits.test_labels) // 60
    assert small.values["labels"] == digits.test_labels[ids].tolist()
    for place in (0, 31):
        counts = count_classes(
            Executed(model, classes=10),
            digits.test_images[torch.tensor(ids[[place]])],
            Rounded(Gaussian(0.5), digits.levels),
            run["samples"][place],
            seed=derive(parameters.base.seed, "test set", "0.5"),
            stream="estimate",
            image_ids=ids[[place]],
        )
        assert counts[0, run["selected"][place]] == run["successes"][place]


def test_two_processes_find_what_one_does(small, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    changes = [f"--set={name}={value}" for name, value in SMALL.items()]
    run = ["-m", "rs_lib", "run", "certified-test-set", *changes, "--out", str(tmp_path)]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", *run],
        cwd=places.HERE.root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(places.HERE.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("stored after") == 1
    [path] = tmp_path.iterdir()
    assert result.read(path).digest == small.digest


def test_certified_accuracy_falls_with_the_radius(small):
    [(sigma, certified)] = certified_test_set.certified_counts(small).items()
    assert sigma == 0.5
    assert list(certified) == [0.0, 0.25, 0.5, 0.75, 1.0]
    counts = list(certified.values())
    assert counts == sorted(counts, reverse=True)
    assert 0 < counts[0] <= 60


def test_the_networks_are_those_of_fewer_images():
    fewer, sigmas = certified_accuracy.PROFILES["full"], []
    for name in ("full", "half", "one"):
        profile = certified_test_set.PROFILES[name]
        assert dataclasses.replace(profile.base, sigmas=fewer.sigmas) == fewer
        assert profile.images == 10_000 > fewer.images
        sigmas += profile.base.sigmas
    assert tuple(sigmas) == fewer.sigmas


def test_the_table_reaches_as_far_as_asked():
    assert multiples(0.75) == [0.0, 0.25, 0.5, 0.75]
    assert multiples(3 * 0.25 - 1e-12) == [0.0, 0.25, 0.5, 0.75]
    assert multiples(0.74) == [0.0, 0.25, 0.5]


def test_an_image_is_right_where_its_class_is_certified():
    found = {"radii": [0.0, 0.25], "selected": [7, 7, 3, 7], "certified": [2, 1, 2, 0]}
    assert right_at(found, [7, 7, 7, 7]) == [2, 1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": 501}, "images is 501: give at most 500"),
        ({"base.alpha": 0.5}, "alpha is 0.5: give a level below 0.5"),
        ({"reach": 3.5}, "max_samples is 2000: give at least 29"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(changes, told):
    with pytest.raises(ValueError, match=r"^parameter ") as refused:
        certified_test_set.experiment.parameters("quick", changes)
    assert told in str(refused.value)

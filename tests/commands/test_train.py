"""The command train: a plain network becomes one that noise does not confuse."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import log
from rs_lib.experiments import training_objectives
from rs_lib.machines import data, fast_training, training
from rs_lib.record import places

MODEL = """
import os
import time

import torch
from torch import nn


class Slow(nn.Flatten):
    def forward(self, images):
        time.sleep(float(os.environ.get("SLOW", 0)))
        return super().forward(images)


def net(size=64):
    torch.manual_seed(0)
    return nn.Sequential(Slow(), nn.Linear(size, 10))


def rows():
    torch.manual_seed(0)
    return nn.Linear(5, 2)
"""
TRAIN = ["train", "--model", "mine:net", "--data", "digits", "--scale", "0.25", "--epochs", "3"]
RUN = ["certify", "--model", "mine:net", "--data", "digits", "--skip", "10", "--scale", "0.25"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the module `mine` and a table."""
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    features = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    np.savez("table.npz", x=features, y=(features[:, 0] > 0).astype(int))
    yield tmp_path
    sys.modules.pop("mine", None)


def test_what_it_trains_certifies(place, capsys):
    assert command_line.main([*TRAIN, "--mean", "0.3", "--std", "0.4", "--out", "a.pt"]) == 0
    assert str(place / "a.pt") in capsys.readouterr().out
    run = [*RUN, "--n", "300", "--mean", "0.3", "--std", "0.4", "--weights", "a.pt"]
    assert command_line.main([*run, "--out", "a.tsv"]) == 0
    # A linear network is right on nine of ten digits; half of them is far from luck.
    assert log.read("a.tsv").columns["correct"].mean() > 0.5
    again = [*TRAIN, "--mean", "0.3", "--std", "0.4", "--out", "b.pt"]
    assert command_line.main(again) == 0
    one, other = (torch.load(name, weights_only=True) for name in ("a.pt", "b.pt"))
    assert list(one) == ["1.weight", "1.bias"]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tables_train_too(place):
    words = ["train", "--model", "mine:rows", "--data", "table.npz", "--continuous"]
    assert command_line.main([*words, "--scale", "0.1", "--epochs", "2"]) == 0
    run = ["certify", *words[1:], "--scale", "0.1", "--n", "200", "--weights", "weights.pt"]
    assert command_line.main(run) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--batch-size", "-1"], "batch-size is -1"),
        (["--learning-rate", "0"], "learning-rate is 0"),
        (["--scale", "-1"], "scale is -1"),
        (["--scale", "2000"], "does not fit 16 bits: give a narrower law or fewer levels; --scale"),
        (["--denoiser", "mine:net"], "denoiser is given: it stays as it is"),
        (["--out", "mine.py"], "out is 'mine.py': give a file that is not there yet"),
        (["--out", "none/a.pt"], "out is 'none/a.pt': give a file that is not there yet"),
        (["--model", "mine:none"], "mine has no function none"),
        (["--arguments", "size=9"], "images have shape [1, 8, 8], which the model does not take"),
        (["--device", "tpu"], "device is 'tpu'"),
        (["--device", "mps"], "device is 'mps', which has no float64"),
        (["--objective", "macer", "--noise", "uniform"], "objective is macer and noise is uniform"),
        (["--numbers", "draws=2"], "numbers names 'draws', not of gaussian: leave it out"),
        (["--objective", "macer", "--numbers", "step=2"], "give some of draws, weight, beta"),
        (["--objective", "macer", "--numbers", "draws=0"], "numbers of macer: draws is 0"),
        (["--objective", "macer", "--numbers", "draws=2", "draws=3"], "'draws' twice"),
    ],
)
def test_what_cannot_be_is_one_sentence(place, words, told, capsys):
    before = sorted(place.glob("*.*"))
    assert command_line.main([*TRAIN, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(place.glob("*.*")) == before


SMALL = ["--skip", "10", "--epochs", "2", "--batch-size", "32"]
OTHERS = {
    "stability": ["weight=1"],
    "smoothadv": ["draws=2", "steps=2", "radius=0.25"],
    "macer": ["draws=4"],
    "consistency": [],
    "smoothmix": ["draws=2", "steps=2"],
}


def _weights(name):
    return torch.load(name, weights_only=True)


@pytest.mark.parametrize("objective", OTHERS)
def test_an_objective_trains_as_the_library_does(place, objective):
    numbers = ["--numbers", *OTHERS[objective]] if OTHERS[objective] else []
    words = [*TRAIN, *SMALL, "--objective", objective, *numbers]
    assert command_line.main([*words, "--out", "a.pt"]) == 0
    given = dict(option.split("=") for option in OTHERS[objective])
    whole = training_objectives.PROFILES["full"]
    own = getattr(whole.methods, objective)
    numbers = {name: type(getattr(own, name))(float(value)) for name, value in given.items()}
    scans = data.load("digits")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    training.train(
        net,
        scans.as_float(scans.train_images[::10]),
        scans.train_labels[::10],
        noise=None,
        epochs=2,
        batch_size=32,
        learning_rate=0.05,
        seed=0,
        goal=fast_training.towards(dataclasses.replace(own, **numbers), 0.25, whole.warm_up),
    )
    for name, value in _weights("a.pt").items():
        assert torch.equal(value, net.state_dict()[name]), name
    assert command_line.main([*TRAIN, *SMALL, "--out", "plain.pt"]) == 0
    assert not torch.equal(_weights("plain.pt")["1.weight"], _weights("a.pt")["1.weight"])


@pytest.mark.parametrize("objective", ["gaussian", "consistency"])
def test_a_training_that_is_killed_goes_on_to_the_same_weights(place, objective):
    words = [*TRAIN, *SMALL, "--epochs", "40", "--objective", objective]
    assert command_line.main([*words, "--out", "whole.pt"]) == 0
    run = [sys.executable, "-m", "rs_lib", *words, "--out", "part.pt"]
    environment = {**os.environ, "PYTHONPATH": str(places.HERE.root), "SLOW": "0.03"}
    with subprocess.Popen(run, env=environment, stderr=subprocess.PIPE, text=True) as process:
        patience = time.monotonic() + 200
        while not list(place.glob("part.pt.*.unfinished")) and time.monotonic() < patience:
            time.sleep(0.01)
        process.terminate()
        _, error = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGTERM
    told = error.splitlines()[-1]
    epochs = int(re.fullmatch(r"rs_lib: interrupted: (\d+) of 40 epochs are kept; .*", told)[1])
    (kept,) = place.glob("part.pt.*.unfinished")
    assert 0 < epochs < 40
    assert len(_weights(kept)["losses"]) == epochs
    assert command_line.main([*words, "--out", "part.pt"]) == 0
    assert not list(place.glob("*.unfinished"))
    whole, part = _weights("whole.pt"), _weights("part.pt")
    assert all(torch.equal(whole[name], part[name]) for name in whole)


def test_attacks_that_are_cut_are_not_for_features_of_other_units(place, capsys):
    words = ["train", "--model", "mine:rows", "--data", "table.npz", "--continuous"]
    words += ["--scale", "0.1", "--epochs", "1", "--objective"]
    for objective in ("smoothadv", "smoothmix"):
        assert command_line.main([*words, objective]) == 2
        assert "whose attacks stay in [0, 1], but images reach from" in capsys.readouterr().err
    assert command_line.main([*words, "consistency"]) == 0


def test_new_weights_follow_from_the_seed(place):
    (place / "mine.py").write_text(MODEL.replace("    torch.manual_seed(0)\n", ""))
    made = []
    for name, seed in (("a.pt", "0"), ("b.pt", "0"), ("c.pt", "1")):
        torch.rand(len(made))  # whatever was drawn before
        assert command_line.main([*TRAIN, "--seed", seed, "--out", name]) == 0
        made.append(torch.load(name, weights_only=True)["1.weight"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])

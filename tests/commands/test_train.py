"""The command train: a plain network becomes one that noise does not confuse."""

import sys

import numpy as np
import pytest
import torch

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import log

MODEL = """
import torch
from torch import nn


def net(size=64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 10))


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
    ],
)
def test_what_cannot_be_is_one_sentence(place, words, told, capsys):
    before = sorted(place.glob("*.*"))
    assert command_line.main([*TRAIN, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(place.glob("*.*")) == before


def test_new_weights_follow_from_the_seed(place):
    (place / "mine.py").write_text(MODEL.replace("    torch.manual_seed(0)\n", ""))
    made = []
    for name, seed in (("a.pt", "0"), ("b.pt", "0"), ("c.pt", "1")):
        torch.rand(len(made))  # whatever was drawn before
        assert command_line.main([*TRAIN, "--seed", seed, "--out", name]) == 0
        made.append(torch.load(name, weights_only=True)["1.weight"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])

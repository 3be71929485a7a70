"""A denoiser in front of a frozen classifier is a part of the certified function."""

import json
import sys

import numpy as np
import pytest
import torch

from rs_lib import __main__ as command_line

MODEL = """
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, images):
        return images * self.factor


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, images):
        return self.net((images * 0.5 - 0.25) / 0.5)


def whole():
    return Whole()


def flat():
    return nn.Flatten()


def fails():
    return nn.Linear(5, 5)
"""
RUN = ["certify", "--data", "a.npz", "--scale", "0.25", "--n", "200"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the module `mine` and three images."""
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    np.savez("a.npz", images=images, labels=np.arange(3))
    yield tmp_path
    sys.modules.pop("mine", None)


def test_it_sees_the_noisy_image_before_preprocessing_and_is_recorded(place):
    parts = ["--model", "mine:net", "--denoiser", "mine:Half", "--mean", "0.25", "--std", "0.5"]
    assert command_line.main([*RUN, *parts, "--out", "a.tsv"]) == 0
    assert command_line.main([*RUN, "--model", "mine:whole", "--out", "b.tsv"]) == 0
    assert (place / "a.tsv").read_bytes() == (place / "b.tsv").read_bytes()
    model = json.loads((place / "a.json").read_text())["model"]
    assert model["denoiser"] == "mine:Half"
    assert model["preprocessing"] == {"mean": [0.25], "std": [0.5]}


def test_its_weights_come_from_a_file_and_count(place, capsys):
    torch.save({"state_dict": {"module.factor": torch.tensor(0.25)}}, "d.ckpt")
    run = [*RUN, "--model", "mine:net", "--denoiser", "mine:Half", "--out", "a.tsv"]
    assert command_line.main([*run, "--denoiser-weights", "d.ckpt"]) == 0
    capsys.readouterr()
    assert command_line.main(run) == 2
    assert "model.sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--denoiser", "mine:flat"], "denoiser gives [1, 64] for one image: it should give"),
        (["--denoiser", "mine:fails"], "images have shape [1, 8, 8], which the model does not"),
        (["--denoiser", "mine:none"], "denoiser: model is 'mine:none': mine has no function none"),
        (["--denoiser", "mine"], "write MODULE:FUNCTION"),
        (["--denoiser-weights", "a.npz"], "denoiser-weights is given without --denoiser"),
        (["--denoiser", "mine:Half", "--denoiser-weights", "a.npz"], "denoiser: weights in a.npz"),
    ],
)
def test_what_is_no_denoiser_is_one_sentence(place, words, told, capsys):
    assert command_line.main([*RUN, "--model", "mine:net", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (place / "certify.tsv").exists()


def test_bands_take_none(place, capsys):
    words = ["--defence", "patch", "--band", "2", "--denoiser", "mine:Half"]
    assert command_line.main(["certify", "--data", "a.npz", "--model", "mine:net", *words]) == 2
    assert "denoiser is mine:Half: --defence patch does not use it" in capsys.readouterr().err

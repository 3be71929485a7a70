"""What is told before a run: right about accuracies, warning where something is off, and free."""

import re
import sys

import numpy as np
import pytest

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import log
from rs_lib.machines import data
from rs_lib.smoothing.executed import Executed

MODEL = """
import torch
from torch import nn

from rs_lib.machines import data


def means():
    digits = data.load("digits")
    images = digits.as_float(digits.train_images).flatten(1)
    means = torch.stack([images[digits.train_labels == label].mean(0) for label in range(10)])
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model[1].load_state_dict({"weight": 2 * means, "bias": -means.square().sum(1)})
    return model


def shifted():
    return nn.Sequential(means(), Roll())


class Roll(nn.Module):
    def forward(self, logits):
        return logits.roll(1, dims=1)


def fragile():
    return Fragile()


class Fragile(nn.Module):
    # Right on images in [0, 1]; where noise has left the range, always class 0.

    def __init__(self):
        super().__init__()
        self.means = means()

    def forward(self, images):
        inside = ((images >= 0) & (images <= 1)).flatten(1).all(1, keepdim=True)
        return self.means(images) * inside


def one():
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 10))
    return model
"""
RUN = ["certify", "--model", "mine:means", "--data", "digits", "--skip", "10", "--n", "300"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the module `mine`."""
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("mine", None)


def told(capsys, *words):
    """Run the command line, which must succeed; return its stderr."""
    capsys.readouterr()
    assert command_line.main([words[0], "--out", "a.tsv", *words[1:]]) == 0
    return capsys.readouterr().err


def test_accuracies_are_those_of_the_network(place, capsys):
    import mine

    err = told(capsys, *RUN, "--scale", "0.1")
    digits = data.load("digits")
    answers = mine.means()(digits.as_float(digits.test_images[::10])).argmax(1)
    share = float((answers == digits.test_labels[::10]).double().mean())
    found = re.search(r"on 50 images (0\.\d+) without noise, (0\.\d+) under one draw", err)
    assert float(found.group(1)) == pytest.approx(share, abs=5e-4)
    # Noise of .1 changes few answers: ten fewer of fifty would take 2^-20 each to be luck.
    assert abs(float(found.group(2)) - share) <= 0.2
    assert "expected: 20,000 samples, about " in err
    assert "warning" not in err
    assert str(place / "a.tsv") not in err


def test_a_sequential_run_has_two_ends(place, capsys):
    words = [*RUN[:-2], "--step", "0.1", "--max-samples", "1000", "--scale", "0.1"]
    err = told(capsys, *words)
    least, most = re.search(r"expected: ([\d,]+) to ([\d,]+) samples", err).groups()
    samples = log.read("a.tsv").columns["samples"]
    assert int(least.replace(",", "")) <= samples.sum() + 100 * 50 <= int(most.replace(",", ""))
    assert int(most.replace(",", "")) == 1100 * 50


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (["--model", "mine:shifted"], "accuracy without noise is near chance (1 of 10)"),
        (["--scale", "3"], "scale is 3 in units where white is 1: for noise of 3 in 255 grey"),
        (["--model", "mine:fragile"], "accuracy under one draw of noise is near chance"),
        (
            ["--data", "bits.npz"],
            "the brightest pixel is 1 of 255: if it stands for white, give",
        ),
        (["--data", "dark.npz"], "the brightest pixel is 16 of 255: if it stands for white"),
    ],
)
def test_what_is_off_is_warned_of(place, words, warning, capsys):
    digits = data.load("digits")
    images, labels = digits.test_images.numpy(), digits.test_labels.numpy()
    np.savez("dark.npz", images=images, labels=labels)
    np.savez("bits.npz", images=(images > 8).astype(np.uint8), labels=labels)
    err = told(capsys, *RUN, "--scale", "0.1", *words)
    assert f"  warning: {warning}" in err


def test_levels_that_are_right_are_not_warned_of(place, capsys):
    digits = data.load("digits")
    np.savez("a.npz", images=digits.test_images.numpy(), labels=digits.test_labels.numpy())
    words = ["--data", "a.npz", "--levels", "16", "--scale", "0.1"]
    assert "warning" not in told(capsys, *RUN, *words)


def test_a_log_whose_images_nearly_all_abstained_says_so(place, capsys):
    err = told(capsys, *RUN, "--scale", "2.5")
    assert "of the images abstained: train the network with this noise" in err
    predicted = told(capsys, "predict", *RUN[1:], "--scale", "2.5", "--out", "b.tsv")
    assert predicted.startswith("before the run: accuracy of the base classifier on 50 images")


@pytest.mark.parametrize(
    "noise",
    [
        ["--noise", "flips", "--keep", "0.9"],
        ["--noise", "uniform", "--scale", "0.2"],
        ["--scale", "0.2", "--continuous"],
    ],
)
def test_every_law_has_an_outlook(place, noise, capsys):
    assert "without noise" in told(capsys, *RUN, *noise)


def test_ablation_is_told_under_noise_only(place, capsys):
    err = told(capsys, *RUN, "--model", "mine:one", "--noise", "ablation", "--kept", "20")
    assert "50 images 0." in err
    assert "without noise" not in err


def test_nothing_is_told_of_a_log_that_is_done_and_its_bytes_stay(place, capsys):
    assert "before the run" in told(capsys, *RUN, "--scale", "0.1")
    before = (place / "a.tsv").read_bytes()
    assert "before the run" not in told(capsys, *RUN, "--scale", "0.1")
    lines = before.split(b"\n")
    (place / "a.tsv").write_bytes(b"\n".join(lines[:21]) + b"\n")
    assert "before the run" in told(capsys, *RUN, "--scale", "0.1")
    assert (place / "a.tsv").read_bytes() == before


def test_it_costs_a_tile_or_a_few_per_cent(place, capsys, monkeypatch):
    """Counted, not timed: rows that the network answers beside those of the samples."""
    rows = []
    answers = Executed.answers

    def counted(self, inputs):
        rows.append(len(inputs))
        return answers(self, inputs)

    monkeypatch.setattr(Executed, "answers", counted)
    told(capsys, *RUN, "--scale", "0.1")
    tile = 128
    assert rows[0] == tile  # 50 images, twice
    assert sum(rows) - rows[0] >= 50 * 400
    assert rows[0] <= 0.01 * sum(rows)


def test_words_in_the_place_of_labels_are_refused(place, capsys):
    images = np.zeros((3, 1, 8, 8), dtype=np.uint8)
    np.savez("a.npz", images=images, labels=np.array(["cat", "dog", "cat"]))
    assert command_line.main([*RUN[:3], "--data", "a.npz", "--scale", "1", "--n", "9"]) == 2
    assert "labels in a.npz are words, such as 'cat': give class numbers" in capsys.readouterr().err
    np.savez("b.npz", images=images, labels=np.array([0, 1, 2**60]))
    assert command_line.main([*RUN[:3], "--data", "b.npz", "--scale", "1", "--n", "20"]) == 2
    assert "the model knows the classes 0 to 9" in capsys.readouterr().err

"""Preprocessing is a layer inside the certified function: torchvision's numbers, one row a time."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import log
from rs_lib.machines.preprocessing import STATISTICS, Preprocessed, Preprocessing
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import FixedSamples, certify

MODEL = """
import torch
from torch import nn


def net(side=8, channels=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, 10))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, images):
        return self.net((images - 0.25) / 0.5)


def own():
    return Own()
"""


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 40, 61), (1, 61, 40)])
@pytest.mark.parametrize(("resize", "crop"), [(None, 24), (48, None), (48, 31), (16, 16)])
def test_steps_are_those_of_torchvision(shape, resize, crop):
    images = torch.rand((4, *shape), generator=torch.Generator().manual_seed(0))
    mean, std = ([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]) if shape[0] == 3 else ([0.5], [0.25])
    steps = Preprocessing(resize, crop, tuple(mean), tuple(std))
    steps.require_shape(shape)
    theirs = v2.Compose(
        [
            *([v2.Resize(resize, antialias=True)] if resize else []),
            *([v2.CenterCrop(crop)] if crop else []),
            v2.Normalize(mean, std),
        ]
    )
    ours = Preprocessed(nn.Identity(), steps).eval()(images)
    torch.testing.assert_close(ours, theirs(images), rtol=0, atol=2e-6)


def test_radii_are_those_of_the_same_function_written_by_hand():
    """A half-space w·(x - m) / s > b is one of x too: its radius must be that in pixels."""
    weights = torch.zeros(2, 16)
    weights[1] = 1.0
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    model[1].load_state_dict({"weight": weights, "bias": torch.tensor([0.0, 4.0])})
    steps = Preprocessing(mean=(0.5,), std=(0.125,))
    images = torch.full((1, 1, 4, 4), 140, dtype=torch.uint8)
    noise = Rounded(Gaussian(0.25))
    made = certify(
        Preprocessed(model.eval(), steps), images, noise, FixedSamples(20_000), classes=2, seed=0
    )
    # Class 1 where sum((x - .5) / .125) + 4 > 0: the distance to the plane is (sum x - 7.5) / 4.
    exact = float((images.double() / 255).sum() - 7.5) / 4
    assert made.predicted[0] == 1
    # The lower bound at alpha = .001 exceeds the exact radius with probability .001.
    assert 0.8 * exact < made.radius[0] <= exact


def test_a_model_in_training_mode_stays_one_that_is_refused():
    wrapped = Preprocessed(nn.Sequential(nn.Dropout()).train(), Preprocessing(crop=2))
    assert wrapped.training
    assert not Preprocessed(nn.Identity().eval(), Preprocessing(crop=2)).training


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"mean": (0.5,)}, "std is missing: give it beside mean"),
        ({"std": (0.5,)}, "mean is missing: give it beside std"),
        ({"mean": (125.3,), "std": (0.5,)}, "mean holds 125.3: give numbers from 0 to 1"),
        ({"mean": (0.5,), "std": (58.4,)}, "std holds 58.4: give numbers from 1e-06 to 1"),
        ({"mean": (0.5,), "std": (0.0,)}, "std holds 0.0"),
        ({"mean": (0.5,), "std": (-1.0,)}, "std holds -1.0"),
        ({"mean": (float("nan"),), "std": (0.5,)}, "mean holds NaN"),
        ({"mean": (float("inf"),), "std": (0.5,)}, "mean holds inf"),
        ({"mean": (), "std": ()}, "mean is ()"),
        ({"mean": ("a",), "std": (1,)}, "mean is ('a',): give real numbers"),
        ({"resize": 0}, "resize is 0"),
        ({"resize": 2.5}, "resize is 2.5"),
        ({"crop": -3}, "crop is -3"),
        ({"crop": 10**6}, "crop is 1000000"),
    ],
)
def test_numbers_that_cannot_be_are_refused(numbers, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        Preprocessing(**numbers)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a module `mine` and images of each kind."""
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    draw = np.random.default_rng(0)
    for name, shape in (("grey", (3, 1, 8, 8)), ("colour", (3, 3, 8, 8))):
        images = draw.integers(0, 256, shape, dtype=np.uint8)
        np.savez(f"{name}.npz", images=images, labels=np.arange(3))
    yield tmp_path
    __import__("sys").modules.pop("mine", None)


RUN = ["certify", "--model", "mine:net", "--data", "grey.npz", "--scale", "0.25", "--n", "100"]


def test_options_put_the_layer_in_front_and_stand_in_the_header(place, capsys):
    normalised = ["--mean", "0.25", "--std", "0.5"]
    assert command_line.main([*RUN, *normalised, "--out", "a.tsv"]) == 0
    assert command_line.main([*RUN[:2], "mine:own", *RUN[3:], "--out", "b.tsv"]) == 0
    assert (place / "a.tsv").read_bytes() == (place / "b.tsv").read_bytes()
    steps = json.loads((place / "a.json").read_text())["model"]["preprocessing"]
    assert steps == {"mean": [0.25], "std": [0.5]}
    assert "preprocessing" not in json.loads((place / "b.json").read_text())["model"]
    capsys.readouterr()
    other = [*RUN, "--mean", "0.25", "--std", "0.4", "--out", "a.tsv"]
    before = (place / "a.tsv").read_bytes()
    for command in (
        other,
        [*RUN, "--out", "a.tsv"],
        [*RUN, *normalised, "--crop", "8", "--out", "a.tsv"],
    ):
        assert command_line.main(command) == 2
        assert "model.preprocessing" in capsys.readouterr().err
    assert (place / "a.tsv").read_bytes() == before


@pytest.mark.parametrize("given", [["--mean"], ["--std"], ["--mean", "cifar10", "--std"]])
@pytest.mark.parametrize("name", STATISTICS)
def test_names_stand_for_both_numbers(place, given, name):
    colour = ["--arguments", "channels=3", "--data", "colour.npz"]
    words = [*RUN[:3], *colour, *RUN[5:], *given, name]
    assert command_line.main([*words, "--out", "a.tsv"]) == 0
    steps = log.read("a.tsv").header["model"]["preprocessing"]
    first = "cifar10" if "cifar10" in given else name
    assert steps == {"mean": list(STATISTICS[first][0]), "std": list(STATISTICS[name][1])}


def test_a_network_of_larger_images_sees_resized_ones(place):
    words = [*RUN, "--arguments", "side=12", "--resize", "16", "--crop", "12"]
    assert command_line.main([*words, "--out", "a.tsv"]) == 0
    header = log.read("a.tsv").header
    assert header["model"]["preprocessing"] == {"resize": 16, "crop": 12}
    assert header["data"]["shape"] == [1, 8, 8]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mean", "imagenet"], "mean has 3 numbers, but images have 1 channels"),
        (["--mean", "mnist"], "mean is 'mnist': give numbers in units of [0, 1], or one of"),
        (["--mean", "0.5"], "std is missing: give it beside mean"),
        (["--mean", "0.5", "--std", "cifar10"], "std has 3 numbers"),
        (["--mean", "0.1", "0.2", "--std", "0.1"], "mean has 2 numbers"),
        (["--mean", "128", "--std", "64"], "mean holds 128.0: give numbers from 0 to 1"),
        (["--mean", "0.5", "--std", "x"], "std is 'x'"),
        (["--crop", "9"], "crop is 9, but images are only 8 pixels"),
        (["--resize", "0"], "resize is 0"),
        (["--resize", "12"], "images have shape [1, 8, 8], which the model does not take"),
        (["--defence", "patch", "--band", "2", "--crop", "4"], "crop is 4: --defence patch does"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(place, words, told, capsys):
    run = RUN[:5] if "patch" in words else RUN
    assert command_line.main([*run, *words, "--out", "a.tsv"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not [*place.glob("a.*")]

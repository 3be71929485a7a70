"""The health test on the command line: on by default, silent for sound words, stops for others."""

from functools import partial

import pytest
import torch

from rs_lib import __main__ as command_line
from rs_lib.commands import certify, predict
from rs_lib.noise import tampering
from rs_lib.noise.words import counter_based

MODEL = """
import torch
from torch import nn


def model():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    draw = torch.Generator().manual_seed(2)
    net[1].weight.data = torch.randn((10, 64), generator=draw)
    nn.init.zeros_(net[1].bias)
    return net
"""
RUN = ["certify", "--model", "plain:model", "--data", "digits", "--skip", "100", "--scale", "0.25"]
RUN += ["--n", "500", "--chunk", "2", "--out", "run.tsv"]
PREDICT = ["predict", *RUN[1:]]
STEPS = {"beta": tampering.skewness, "gamma": tampering.positive_kurtosis}


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "plain.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def _tampered(attack, strength, ids=None):
    """Return a generator whose words are attacked, all of a block or those of some images."""

    def words(device, key, streams, blocks, count):
        made = counter_based(device, key, streams, blocks, count).numpy().view("uint64").copy()
        bad = [row for row, name in enumerate(streams.tolist()) if ids is None or name in ids]
        if bad:
            made[bad] = STEPS[attack](made[bad].ravel(), strength).reshape(len(bad), count)
        return torch.from_numpy(made.view("int64"))

    return words


def _stopped(monkeypatch, capsys, generator, run=RUN):
    """Run with words of `generator`, which must fail; return what is said."""
    with monkeypatch.context() as patch:
        patch.setattr(certify, "Certifier", partial(certify.Certifier, generator=generator))
        patch.setattr(predict, "Predictor", partial(predict.Predictor, generator=generator))
        assert command_line.main(run) == 1
    *before, told = capsys.readouterr().err.splitlines(keepends=True)
    assert not any(line.startswith("rs_lib: ") for line in before)
    return told


@pytest.mark.parametrize("run", [RUN, PREDICT], ids=["certify", "predict"])
@pytest.mark.parametrize("strength", [0, 1, 4])
@pytest.mark.parametrize("attack", ["beta", "gamma"])
def test_tampered_words_stop_the_run_before_a_row_is_written(
    place, monkeypatch, capsys, attack, strength, run
):
    told = _stopped(monkeypatch, capsys, _tampered(attack, strength), run)
    assert told.startswith("rs_lib: random words of images 0, 100 are not random")
    assert not (place / "run.tsv").exists()


@pytest.mark.parametrize("run", [RUN, PREDICT], ids=["certify", "predict"])
def test_images_with_bad_words_are_not_kept_and_a_sound_run_goes_on_from_there(
    place, monkeypatch, capsys, run
):
    told = _stopped(monkeypatch, capsys, _tampered("beta", 0, ids={300}), run)
    assert told.startswith("rs_lib: random words of image 300 are not random")
    kept = (place / "run.tsv").read_bytes()
    assert kept.count(b"\n") == 3
    assert command_line.main(run) == 0
    resumed = (place / "run.tsv").read_bytes()
    assert resumed.startswith(kept)
    (place / "run.tsv").unlink()
    for name in ("run.json", "run.times.jsonl"):
        (place / name).unlink()
    assert command_line.main([*run, "--no-health"]) == 0
    assert (place / "run.tsv").read_bytes() == resumed

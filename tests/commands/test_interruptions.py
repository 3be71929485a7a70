"""Rows reach the disk as they are finished; signals end a run, which says what it kept."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rs_lib import __main__ as command_line
from rs_lib.commands import writing
from rs_lib.commands.logs import histograms, log
from rs_lib.machines import data
from rs_lib.record import places

MODELS = """
import os
import time

import torch
from torch import nn
from rs_lib.commands import writing
from rs_lib.machines import data

writing.EVERY = float(os.environ.get("EVERY", writing.EVERY))
DIGITS = data.load("digits")


class Means(nn.Module):
    def __init__(self):
        super().__init__()
        images = DIGITS.as_float(DIGITS.train_images).flatten(1)
        means = torch.stack([images[DIGITS.train_labels == k].mean(0) for k in range(10)])
        self.linear = nn.Linear(64, 10)
        with torch.no_grad():
            self.linear.weight.copy_(2 * means)
            self.linear.bias.copy_(-means.square().sum(1))

    def forward(self, images):
        time.sleep(float(os.environ.get("SLEEP", 0)))
        return self.linear(images.flatten(1))


def means():
    return Means()
"""
DATA = ["--model", "mean:means", "--data", "digits", "--scale", "0.25", "--out", "run.tsv"]
TABLE = ["certify", *DATA, "--step", "0.2", "--max-samples", "4000"]
RUNS = {
    "table": TABLE,
    "fixed": ["certify", *DATA, "--samples", "500"],
    "soft": ["certify", "--soft", *DATA, "--samples", "600", "--bins", "64"],
    "predict": ["predict", *DATA, "--samples", "200"],
}
TAKEN = ("--skip", "40")
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "mean.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(writing, "EVERY", writing.EVERY)  # the module of the model may set it
    yield tmp_path
    sys.modules.pop("mean", None)


def _contents(place):
    """Return the bytes of the log that follow from the settings, by the ends of their names."""
    files = sorted(file for file in place.iterdir() if file.name.startswith("run."))
    return {file.name: file.read_bytes() for file in files if file.suffix != ".jsonl"}


def _made(place, *arguments):
    assert command_line.main([*arguments]) == 0
    return _contents(place)


def _removed(place):
    for file in place.glob("run.*"):
        file.unlink()


def _environment(**variables):
    return {**os.environ, "PYTHONPATH": str(places.HERE.root), **variables}


def _rows(place):
    return log.complete_rows(place / "run.tsv")


def _certain(place):
    """Return how many rows have their time told, which happens once they are on the disk."""
    times = place / "run.times.jsonl"
    lines = times.read_text().split("\n")[:-1] if times.exists() else []
    return sum(len(json.loads(line)["images"]) for line in lines)


@pytest.mark.parametrize("kind", RUNS)
def test_rows_that_are_handed_over_at_once_are_those_of_one_run(place, monkeypatch, kind):
    whole = _made(place, *RUNS[kind], *TAKEN)
    _removed(place)
    monkeypatch.setattr(writing, "EVERY", 0.0)
    assert _made(place, *RUNS[kind], *TAKEN) == whole
    times = [json.loads(line) for line in (place / "run.times.jsonl").read_text().splitlines()]
    assert len(times) > 2  # more often than once a chunk
    images = list(itertools.chain.from_iterable(time["images"] for time in times))
    assert sorted(images) == log_images(kind)
    in_order = images == sorted(images)
    assert in_order == (kind != "table")


def log_images(kind):
    table = (histograms if kind == "soft" else log).read("run.tsv")
    return table.columns["idx"].tolist()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_that_says_what_is_kept_and_goes_on(place, name):
    whole = _made(place, *TABLE, *TAKEN)
    total = len(log_images("table"))
    _removed(place)
    with subprocess.Popen(
        [sys.executable, "-m", "rs_lib", *TABLE, *TAKEN],
        env=_environment(EVERY="0", SLEEP="0.02"),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        patience = time.monotonic() + 200
        while _certain(place) < 3 and time.monotonic() < patience:
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
        _, error = process.communicate(timeout=200)
    assert process.returncode == 128 + getattr(signal, name)
    kept = _rows(place)
    assert 3 <= kept < total
    told = error.splitlines()[-1]
    assert told == (
        f"rs_lib: interrupted: {kept} of {total} images are in {place / 'run.tsv'}; the same "
        "command goes on"
    )
    assert "Traceback" not in error
    before = (place / "run.tsv").read_bytes()
    idx = [int(line.split(b"\t")[0]) for line in before.splitlines()[1:]]
    assert len(set(idx)) == kept
    assert set(before.splitlines()) <= set(whole["run.tsv"].splitlines())
    assert _made(place, *TABLE, *TAKEN) == whole


@pytest.mark.parametrize("kind", ["table", "soft"])
def test_ranks_that_hand_over_at_once_write_the_bytes_of_one(place, kind):
    whole = _made(place, *RUNS[kind], *TAKEN)
    _removed(place)
    done = subprocess.run(
        [sys.executable, *LAUNCHER, "-m", "rs_lib", *RUNS[kind], *TAKEN],
        env=_environment(EVERY="0"),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert _contents(place) == whole


def test_a_signal_ends_all_ranks_with_one_sentence(place):
    with subprocess.Popen(
        [sys.executable, *LAUNCHER, "-m", "rs_lib", *TABLE, *TAKEN],
        env=_environment(EVERY="0", SLEEP="0.02"),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        patience = time.monotonic() + 200
        while _certain(place) < 3 and time.monotonic() < patience:
            time.sleep(0.01)
        process.terminate()
        _, error = process.communicate(timeout=200)
    assert process.returncode != 0
    (told,) = re.findall(r"rs_lib: interrupted: (\d+) of \d+ images are in", error)
    assert int(told) == _rows(place) >= 3
    whole = _made(place, *TABLE, *TAKEN)
    _removed(place)
    assert _made(place, *TABLE, *TAKEN) == whole


@pytest.mark.parametrize("damage", ["twice", "foreign", "label"])
def test_a_row_that_is_no_other_image_of_the_run_is_refused(place, capsys, damage):
    _made(place, *RUNS["fixed"], "--skip", "100")
    lines = (place / "run.tsv").read_text().splitlines(keepends=True)
    wrong = {
        "twice": lines[1],
        "foreign": lines[2].replace("100", "7", 1),
        "label": re.sub(r"^(\d+\t)\d+", r"\g<1>11", lines[2]),
    }[damage]
    told = {
        "twice": "idx is 0, expected an image that has no row above",
        "foreign": "idx is 7, expected an image of this run",
        "label": "label is 11, expected ",
    }[damage]
    (place / "run.tsv").write_text("".join((*lines[:2], wrong)))
    capsys.readouterr()
    assert command_line.main([*RUNS["fixed"], "--skip", "100"]) == 2
    error = capsys.readouterr().err
    assert f"run.tsv is damaged at line 3: {told}" in error


def test_interrupted_before_a_log_is_begun_or_in_a_command_that_keeps_nothing(
    place, monkeypatch, capsys
):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_run", stopped)
    for command, told in (("certify", "; the same command goes on where it stopped"), ("plot", "")):
        assert command_line.main([command]) == 130
        assert capsys.readouterr().err == f"rs_lib: interrupted{told}\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("kind", ["table", "fixed", "predict"])
def test_more_images_are_taken_into_a_log_to_the_bytes_of_one_run(place, kind):
    whole = _made(place, *RUNS[kind], *TAKEN)
    _removed(place)
    few = ("--skip", "80", "--max-images", "4")
    old = _made(place, *RUNS[kind], *few)["run.tsv"]
    assert _made(place, *RUNS[kind], *TAKEN, "--extend") == whole
    assert set(old.splitlines()) < set(whole["run.tsv"].splitlines())
    assert _made(place, *RUNS[kind], *TAKEN, "--extend") == whole
    assert _made(place, *RUNS[kind], *TAKEN) == whole


def test_histograms_take_more_images_behind_theirs(place, capsys):
    whole = _made(place, *RUNS["soft"], *TAKEN)
    _removed(place)
    old = _made(place, *RUNS["soft"], *TAKEN, "--max-images", "3")
    assert _made(place, *RUNS["soft"], *TAKEN, "--extend") == whole
    assert whole["run.histograms.tsv"].startswith(old["run.histograms.tsv"])
    told = _refused(capsys, *RUNS["soft"], "--skip", "20", "--extend")
    assert "has histograms, which stay in their order: give the --skip of the log, 40" in told
    assert _contents(place) == whole


def test_shards_are_extended_each_by_itself(place):
    whole = _made(place, *RUNS["fixed"], *TAKEN)
    _removed(place)
    for shard in ("1/2", "2/2"):
        few = ("--skip", "120", "--shard", shard, "--out", f"part{shard[0]}.tsv")
        assert command_line.main([*RUNS["fixed"], *few]) == 0
        more = (*TAKEN, *few[2:], "--extend")
        assert command_line.main([*RUNS["fixed"], *more]) == 0
    assert command_line.main(["merge", "part1.tsv", "part2.tsv", "-o", "run.tsv"]) == 0
    assert _contents(place) == whole


def _refused(capsys, *arguments):
    capsys.readouterr()
    assert command_line.main([*arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rs_lib: ")
    assert error.count("\n") == 1
    return error


def test_a_log_takes_no_images_that_would_make_it_the_log_of_another_run(place, capsys):
    digits = data.load("digits")
    images, labels = digits.test_images.numpy()[:60], digits.test_labels.numpy()[:60]
    np.savez("own.npz", images=images, labels=labels)
    run = [*RUNS["fixed"], "--data", "own.npz", "--levels", "16"]
    before = _made(place, *run, "--skip", "20")
    told = _refused(capsys, *run, "--skip", "10")
    assert "data.images is 3 in the log and 6 now; data.skip is 20 in the log and 10 now" in told
    assert "restore the settings, or name another log (--out), or take more images into it" in told
    told = _refused(capsys, *run, "--skip", "10", "--alpha", "0.01", "--extend")
    assert "has other settings: alpha is 0.001 in the log and 0.01 now. " in told
    told = _refused(capsys, *run, "--skip", "30", "--extend")
    assert "has 3 images, every 20 of the data set, and not all of them are images of" in told
    told = _refused(capsys, *run, "--skip", "10", "--max-images", "4", "--extend")
    assert "give a --skip and a --max-images that take them too" in told
    for changed in ("images", "labels"):
        own = {"images": images.copy(), "labels": labels.copy()}
        own[changed][40] = 9 - own[changed][40] % 10
        np.savez("own.npz", **own)
        told = _refused(capsys, *run, "--skip", "10", "--extend")
        assert "was made with other images or labels" in told
    assert _contents(place) == before
    np.savez("own.npz", images=images, labels=labels)
    assert _made(place, *run, "--skip", "10", "--extend") != before

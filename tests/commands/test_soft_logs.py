"""certify --soft and rescore: logs that follow from histograms, kills, ranks, refusals, tables."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import histograms, log
from rs_lib.commands.logs.rows import rounded_down
from rs_lib.experiments import certified_confidence
from rs_lib.machines import data
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record import places
from rs_lib.seeds import derive
from rs_lib.smoothing import Executed

MODELS = '''
import os
import pathlib
import signal

import torch
from torch import nn
from rs_lib.machines import data


class Means(nn.Module):
    """Logits of the nearest mean; may kill its process, or answer NaN."""

    def __init__(self):
        super().__init__()
        digits = data.load("digits")
        images = digits.as_float(digits.train_images).flatten(1)
        means = torch.stack([images[digits.train_labels == k].mean(0) for k in range(10)])
        self.linear = nn.Linear(64, 10)
        with torch.no_grad():
            self.linear.weight.copy_(6 * means)
            self.linear.bias.copy_(-3 * means.square().sum(1))
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        table = pathlib.Path("run.tsv")
        if self.calls > 7 and "KILL_AT_ROW" in os.environ and table.exists():
            rows = max(table.read_bytes().count(b"\\n") - 1, 0)
            if rows >= int(os.environ["KILL_AT_ROW"]):
                os.kill(os.getpid(), signal.SIGKILL)
        logits = self.linear(images.flatten(1))
        return logits * float("nan") if self.calls > 28 and "BROKEN" in os.environ else logits


def means():
    return Means()
'''
RUN = ["certify", "--soft", "--model", "mean:means", "--data", "digits", "--skip", "40"]
RUN += ["--scale", "0.25", "--samples", "600", "--n0", "40", "--bins", "64", "--chunk", "3"]
RUN += ["--at", "0", "0.1", "0.25"]
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SUFFIXES = ("tsv", "histograms.tsv", "json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of an uninterrupted run, 13 images."""
    place = tmp_path_factory.mktemp("whole")
    (place / "mean.py").write_text(MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "path", [str(place), *sys.path])
        assert command_line.main([*RUN, "--out", "run.tsv"]) == 0
        sys.modules.pop("mean", None)
        return _contents(place)


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "mean.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("mean", None)


def _contents(place):
    return {suffix: (place / f"run.{suffix}").read_bytes() for suffix in SUFFIXES}


def _laid_out(place, files):
    for suffix, content in files.items():
        (place / f"run.{suffix}").write_bytes(content)


def _program(*arguments, launcher=(), **variables):
    environment = {**os.environ, "PYTHONPATH": str(places.HERE.root), **variables}
    return subprocess.run(
        [sys.executable, *launcher, "-m", "rs_lib", *arguments, "--out", "run.tsv"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def _refused(capsys, *arguments):
    assert command_line.main([*arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rs_lib: ")
    assert error.count("\n") == 1
    return error


def test_a_killed_run_leaves_the_bytes_of_one_run(place, whole):
    for row in ("0", "3"):
        done = _program(*RUN, KILL_AT_ROW=row)
        assert done.returncode == -signal.SIGKILL, done.stderr
        kept = log.complete_rows(place / "run.tsv")
        assert kept == 0 if row == "0" else 3 <= kept < 13
    # As if a kill had come between the two files: lines of three images, and a torn one, no row.
    lines = whole["histograms.tsv"].splitlines(keepends=True)
    (place / "run.histograms.tsv").write_bytes(b"".join(lines[: 1 + 6 * 4]) + b"120\t8\tno")
    assert command_line.main([*RUN, "--out", "run.tsv"]) == 0
    assert _contents(place) == whole
    assert command_line.main([*RUN, "--out", "run.tsv"]) == 0
    assert _contents(place) == whole


def test_two_ranks_write_the_bytes_of_one(place, whole):
    done = _program(*RUN, launcher=LAUNCHER)
    assert done.returncode == 0, done.stderr
    assert _contents(place) == whole
    assert done.stdout.count("certified score") == 1


def test_a_run_that_fails_leaves_whole_images_or_no_file(place, whole, monkeypatch, capsys):
    monkeypatch.setenv("BROKEN", "1")
    assert command_line.main([*RUN, "--chunk", "13", "--out", "run.tsv"]) == 1
    assert "model gives NaN or infinite logits" in capsys.readouterr().err
    assert [file.name for file in place.iterdir() if file.is_file()] == ["mean.py"]
    assert command_line.main([*RUN, "--chunk", "1", "--out", "run.tsv"]) == 1
    kept = _contents(place)
    assert 0 < len(kept["histograms.tsv"]) < len(whole["histograms.tsv"])
    assert whole["histograms.tsv"].startswith(kept["histograms.tsv"])
    assert kept["histograms.tsv"].count(b"\n") == 1 + 4 * (kept["tsv"].count(b"\n") - 1)
    monkeypatch.delenv("BROKEN")
    assert command_line.main([*RUN, "--out", "run.tsv"]) == 0
    assert _contents(place) == whole


def test_the_log_does_not_depend_on_the_chunk(place, whole):
    assert command_line.main([*RUN, "--chunk", "20", "--out", "run.tsv"]) == 0
    assert _contents(place) == whole


def test_the_log_holds_the_statistics_of_the_experiment(place, whole, monkeypatch):
    """Histograms, radii and leads by `certified_confidence`, which samples and counts itself."""
    _laid_out(place, whole)
    columns = histograms.read("run.tsv").columns
    digits = data.load("digits")
    monkeypatch.syspath_prepend(str(place))
    from mean import means

    noise = Rounded(Gaussian(0.25), 16)
    network = Executed(means().eval(), classes=digits.classes, tile=128)
    values = {"n0": 40, "n": 600, "rivals": 2, "levels": 64, "alpha": 0.001}
    settings = dataclasses.replace(certified_confidence.WITNESS, **values)
    entries = []
    for image in columns["idx"].tolist():
        pilot, drawn = (
            certified_confidence.scores(
                network, digits.test_images, image, n, noise, derive(0, stream)
            )
            for n, stream in ((40, "select"), (600, "estimate"))
        )
        entries.append(certified_confidence.counted(pilot, drawn, settings, key=0))
    (portion,) = histograms.portions("run.tsv", json.loads(whole["json"]), 13)
    for entry, own in zip(entries, portion.histograms, strict=True):
        parts = [entry["score"], *entry["groups"]]
        counted = certified_confidence.histograms(parts, 64)
        assert (counted[:, :64] == own).all()
        assert not counted[:, 64].any()

    class Stored:
        parameters = values

    Stored.values = {"labels": columns["selected"]}
    run = {"sigma": 0.25, "images": entries}
    theirs = certified_confidence.radii(Stored, run)
    for name, key in (("radius", "law, our band"), ("lead", "rivals, our band")):
        np.testing.assert_allclose(columns[name], theirs[key], rtol=1e-5)
        assert (columns[name] <= theirs[key] * (1 + 1e-12)).all()
    assert columns["selected"].tolist() == [entry["chosen"] for entry in entries]
    assert columns["radius"].max() > 0.1


def test_another_setting_is_refused_by_name_and_nothing_is_touched(place, whole, capsys):
    _laid_out(place, whole)
    error = _refused(capsys, *RUN, "--out", "run.tsv", "--level", "0.7", "--rivals", "1")
    assert "soft.level is 0.5 in the log and 0.7 now; soft.rivals is 2 in the log and 1" in error
    votes = [part for part in RUN if part != "--soft"]
    votes = votes[: votes.index("--bins")]
    assert "soft is" in _refused(capsys, *votes, "--out", "run.tsv")
    assert _contents(place) == whole


def _without_line(content):
    return content[: content.rstrip(b"\n").rfind(b"\n") + 1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: _without_line(text), 53),
        (lambda text: b"", None),
        (lambda text: text.replace(b"\tnone\t", b"\trest\t", 1), 2),
        (lambda text: text.replace(b"\trest\t", b"\t3\t", 1), 5),
        (lambda text: re.sub(rb":\d+\n", b":600\n", text, count=1), 2),
        (lambda text: text.replace(b" ", b"  ", 1), 2),
        (lambda text: re.sub(rb"(\t\d+:\d+) ", rb"\1 64:1 ", text, count=1), 2),
        (lambda text: re.sub(rb"\n40\t(\d)\t\d\t", rb"\n40\t\1\t\1\t", text, count=1), 7),
        (lambda text: re.sub(rb"\n0\t\d\t", b"\n0\t10\t", text), 2),
        (lambda text: text.replace(b"none", b"n\xffne", 1), 2),
    ],
)
def test_histograms_that_no_run_leaves_are_refused_with_their_line(
    place, whole, capsys, change, line
):
    _laid_out(place, whole)
    (place / "run.histograms.tsv").write_bytes(change(whole["histograms.tsv"]))
    for command in ([*RUN, "--out", "run.tsv"], ["rescore", "run.tsv"]):
        error = _refused(capsys, *command)
        assert "run.histograms.tsv" in error
        if line is not None:
            assert f"is damaged at line {line}, or ends before it: delete line" in error
    # The remedy that the sentence names.
    row = int(re.search(r"delete line (\d+) and", error).group(1)) if line else 2
    (place / "run.tsv").write_bytes(b"".join(whole["tsv"].splitlines(keepends=True)[: row - 1]))
    assert command_line.main([*RUN, "--out", "run.tsv"]) == 0
    assert _contents(place) == whole


@pytest.mark.parametrize("name", ["radius", "lead", "confidence@0.1", "selected", "samples"])
def test_a_row_that_does_not_follow_from_its_histograms_is_refused(place, whole, capsys, name):
    _laid_out(place, whole)
    lines = [line.split("\t") for line in whole["tsv"].decode().splitlines()]
    place_of = lines[0].index(name)
    lines[2][place_of] = "7" if name in ("selected", "samples") else "0.9"
    (place / "run.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    error = _refused(capsys, "rescore", "run.tsv")
    assert f"damaged at line 3: {name} is {lines[2][place_of]}, expected " in error
    assert error == _refused(capsys, *RUN, "--out", "run.tsv")


def test_rescoring_computes_what_a_run_of_those_numbers_would_log(place, whole, capsys):
    _laid_out(place, whole)
    asked = ["--level", "0.7", "--at", "0.05", "0.3"]
    assert command_line.main(["rescore", "run.tsv", *asked, "--out", "again.tsv"]) == 0
    told = capsys.readouterr().out
    assert command_line.main([*RUN, *asked, "--out", "other.tsv"]) == 0
    path, rest = capsys.readouterr().out.split("\n", 1)
    assert path.endswith("other.tsv: the log, its settings beside it")
    assert rest == told
    assert (place / "again.tsv").read_bytes() == (place / "other.tsv").read_bytes()
    assert _contents(place) == whole
    columns = histograms.read("other.tsv").columns
    label = columns["label"] == columns["selected"]
    share = (label & (columns["predict"] >= 0) & (columns["radius"] >= 0.05)).mean()
    score = np.where(label, columns["confidence@0.05"], 0).mean()
    (line,) = [line for line in told.splitlines() if line.startswith("    0.05 ")]
    assert line.split()[1] == f"{share:.3f}"
    assert f" {score:.3f}  " in line
    assert command_line.main(["rescore", "run.tsv"]) == 0
    assert "above 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rescore", "none.tsv"], "there is no file none.json"),
        (["rescore", "votes.tsv"], "votes.tsv is no log of scores: give one of certify --soft"),
        (["rescore", "run.tsv", "--level", "1.5"], "level is 1.5: give a level strictly between"),
        (["rescore", "run.tsv", "--at", "0.2", "0.1"], "at is [0.2, 0.1]: give 1 to 100 distances"),
        (["rescore", "run.tsv", "--at", "-1"], "at is -1.0"),
        (["rescore", "run.tsv", "--out", "run.tsv"], "out is 'run.tsv', which exists: name a new"),
        ([*RUN, "--out", "a.tsv", "--noise", "laplace"], "noise is laplace: --soft with --n"),
        ([*RUN, "--out", "a.tsv", "--n", "6"], "n is 6: at alpha = 0.001 even unanimous samples"),
        ([*RUN, "--out", "a.tsv", "--level", "1"], "level is 1.0: give a level strictly between"),
        ([*RUN, "--out", "a.tsv", "--bins", "1"], "bins is 1: give whole numbers of at least 2"),
        ([*RUN, "--out", "a.tsv", "--rivals", "-2"], "rivals is -2: give whole numbers of at"),
        ([*RUN, "--out", "a.tsv", "--at", "nan"], "at holds NaN"),
        ([*RUN, "--out", "a.tsv", "--runner-up"], "runner-up is True: --soft does not use it"),
        ([*RUN, "--out", "a.tsv", "--rule", "union"], "rule is union: --n does not use it"),
        ([*RUN[:1], *RUN[2:], "--out", "a.tsv"], "(without --soft) does not use them, leave them"),
    ],
)
def test_bad_input_is_one_sentence(place, whole, capsys, arguments, told):
    _laid_out(place, whole)
    (place / "votes.json").write_text('{"columns": "idx"}')
    (place / "votes.tsv").write_text("idx\n")
    assert told in _refused(capsys, *arguments)
    assert not (place / "a.tsv").exists()
    assert not (place / "a.histograms.tsv").exists()
    assert _contents(place) == whole


def test_a_coin_makes_votes_for_any_noise_and_a_sequential_table(place, capsys):
    run = [*RUN[: RUN.index("--scale")], "--step", "1", "--max-samples", "400", "--n0", "40"]
    run += ["--data", "bits.npz", "--levels", "1", "--noise", "flips", "--keep", "0.9"]
    digits = data.load("digits")
    bits = (digits.test_images[::40] > 7).to(torch.uint8)
    np.savez("bits.npz", images=bits, labels=digits.test_labels[::40])
    assert command_line.main([*run, "--skip", "1", "--out", "run.tsv"]) == 0
    assert "votes: coins of the softmax" in capsys.readouterr().out
    table = log.read("run.tsv")
    assert table.header["votes"] == "coins of the softmax"
    assert table.columns["radius"].max() >= 1
    content = (place / "run.tsv").read_bytes()
    (place / "run.tsv").write_bytes(b"".join(content.splitlines(keepends=True)[:4]))
    assert command_line.main([*run, "--skip", "1", "--out", "run.tsv"]) == 0
    assert (place / "run.tsv").read_bytes() == content
    capsys.readouterr()
    votes = [part for part in run if part != "--soft"]
    error = _refused(capsys, *votes, "--skip", "1", "--out", "run.tsv")
    assert 'votes is "coins of the softmax" in the log and absent now' in error
    error = _refused(capsys, *run, "--skip", "1", "--out", "run.tsv", "--level", "0.6")
    assert "level is 0.6: --soft without --n does not use it, leave it out" in error


def test_digits_of_the_log_are_rounded_down(place, whole):
    _laid_out(place, whole)
    settings = json.loads(whole["json"])
    follower = histograms.follow("run.tsv", settings)
    columns = histograms.read("run.tsv").columns
    exact = follower(columns)
    for name in ("radius", "lead", "confidence@0", "confidence@0.25"):
        assert (columns[name] <= exact[name]).all()
        texts = [rounded_down(value) for value in exact[name].tolist()]
        assert columns[name].tolist() == [float(text) for text in texts]
    assert (exact["confidence@0"] >= exact["confidence@0.25"]).all()

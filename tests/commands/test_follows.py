"""Rows of a log are recomputed before a run goes on: what does not follow from counts is named."""

import itertools
import json
import sys

import numpy as np
import pytest

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import log
from rs_lib.commands.logs.endings import endings
from rs_lib.statistics import SequentialTable

MODELS = """
import torch
from torch import nn
from rs_lib.machines import data


class Means(nn.Module):
    def __init__(self, channels):
        super().__init__()
        digits = data.load("digits")
        images = digits.as_float(digits.train_images).flatten(1)
        means = torch.stack([images[digits.train_labels == k].mean(0) for k in range(10)])
        self.linear = nn.Linear(64, 10)
        with torch.no_grad():
            self.linear.weight.copy_(8 * means)
            self.linear.bias.copy_(-4 * means.square().sum(1))
        self.channels = channels

    def forward(self, images):
        seen = images[:, :1] if self.channels == 1 else images[:, :1] - images[:, 1:]
        return self.linear(seen.flatten(1))


def means(channels=1):
    return Means(channels)
"""
DATA = ["--model", "mean:means", "--data", "digits", "--skip", "50", "--out", "run.tsv"]
VIEWS = ["--arguments", "channels=2", *DATA]
STEP = ["--step", "1", "--max-samples", "400"]
PATCH = ["certify", *VIEWS, "--defence", "patch", "--theta", "0.2"]
RUNS = {
    "fixed": ["certify", *DATA, "--scale", "0.25", "--n", "300"],
    "runner-up": ["certify", *DATA, "--scale", "0.25", "--n", "300", "--runner-up"],
    "step": ["certify", *DATA, "--scale", "0.25", "--step", "0.1", "--max-samples", "400"],
    "continuous": ["certify", *DATA, "--scale", "0.25", "--n", "300", "--continuous"],
    "laplace": ["certify", *DATA, "--noise", "laplace", "--scale", "0.25", "--n", "300"],
    "ablation": ["certify", *VIEWS, "--noise", "ablation", "--kept", "24", *STEP],
    "predict": ["predict", *DATA, "--scale", "0.25", "--n", "300"],
    "columns": [*PATCH, "--band", "3"],
    "counts": [*PATCH, "--band", "2", "--views", "rows", "--method", "counts"],
    "blocks": [*PATCH, "--band", "3", "--views", "blocks"],
}


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Each run, made once: its table and header."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, arguments in RUNS.items():
            place = tmp_path_factory.mktemp(name)
            (place / "mean.py").write_text(MODELS)
            patch.chdir(place)
            patch.setattr(sys, "path", [str(place), *sys.path])
            assert command_line.main(arguments) == 0
            sys.modules.pop("mean", None)
            made[name] = {
                file.name: file.read_bytes() for file in place.iterdir() if file.is_file()
            }
    return made


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("mean", None)


def _laid_out(place, files):
    for name, content in files.items():
        (place / name).write_bytes(content)


def _changed(content, row, column, entry):
    lines = [line.split("\t") for line in content.decode().splitlines()]
    lines[row + 1][lines[0].index(column)] = entry
    return "".join("\t".join(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize("run", RUNS)
def test_logs_of_real_runs_follow_from_their_counts(logs, place, run):
    _laid_out(place, logs[run])
    assert len(log.read("run.tsv").columns["idx"]) == 10
    (place / "run.tsv").write_bytes(b"\n".join(logs[run]["run.tsv"].split(b"\n")[:5]) + b"\n")
    assert command_line.main(RUNS[run]) == 0
    for name in ("run.tsv", "run.json"):
        assert (place / name).read_bytes() == logs[run][name]


CHANGES = {
    "fixed": [
        ("radius", "9.0"),
        ("radius", "0.0001"),
        ("successes", "999999999"),
        ("successes", "301"),
        ("successes", "-5"),
        ("successes", "nan"),
        ("selected", "10"),
        ("predict", "11"),
        ("correct", "flip"),
        ("samples", "299"),
        ("looks", "2"),
        ("undecided", "1"),
        ("time", "0"),
        ("idx", "7"),
        ("label", "flip"),
    ],
    "step": [
        ("radius", "9.0"),
        ("radius", "0.05"),
        ("radius", "0.5"),
        ("successes", "0"),
        ("successes", "400"),
        ("successes", "999999999"),
        ("selected", "-1"),
        ("predict", "11"),
        ("correct", "flip"),
        ("samples", "399"),
        ("looks", "0"),
        ("looks", "99"),
        ("undecided", "flip"),
        ("undecided", "2"),
    ],
    "runner-up": [
        ("radius", "9.0"),
        ("runner_up", "301"),
        ("runner_up", "0"),
        ("runner_up", "-1"),
        ("successes", "300"),
    ],
    "predict": [
        ("predict", "10"),
        ("predict", "-2"),
        ("predict", "-1"),
        ("top", "301"),
        ("top", "0"),
        ("runner_up", "301"),
        ("runner_up", "-1"),
        ("correct", "flip"),
    ],
    "columns": [
        ("predict", "10"),
        ("predict", "-1"),
        ("patch", "9"),
        ("patch", "3"),
        ("patch", "-1"),
        ("votes", "9"),
        ("votes", "-1"),
        ("runner_up", "9"),
        ("correct", "flip"),
    ],
    "blocks": [("patch", "8"), ("patch", "4"), ("votes", "65"), ("correct", "2")],
}
CASES = [(run, *change) for run, changes in CHANGES.items() for change in changes]


@pytest.mark.parametrize(("run", "column", "entry"), CASES)
def test_a_row_that_was_edited_is_named_before_work_starts(logs, place, capsys, run, column, entry):
    _laid_out(place, logs[run])
    table = logs[run]["run.tsv"]
    names, *rows = [line.split("\t") for line in table.decode().splitlines()]
    # A row that is certified and right, as an editor would like more of.
    row = next(i for i, line in enumerate(rows) if line[names.index("correct")] == "1")
    if entry == "flip":
        entry = str(1 - min(1, int(rows[row][names.index(column)])))
    edited = _changed(table, row, column, entry)
    assert edited != table
    (place / "run.tsv").write_bytes(edited)
    before = {file.name: file.read_bytes() for file in place.iterdir() if file.is_file()}
    assert command_line.main(RUNS[run]) == 2
    told = capsys.readouterr().err
    assert f"run.tsv is damaged at line {row + 2}: " in told
    assert "expected" in told
    assert told.count("\n") == 1
    assert {file.name: file.read_bytes() for file in place.iterdir() if file.is_file()} == before
    if column not in ("idx", "label"):  # a reader has no images to compare with
        with pytest.raises(ValueError, match="is damaged at line"):
            log.read("run.tsv")
    # The remedy: the line and those behind it deleted, the same command computes them again.
    (place / "run.tsv").write_bytes(b"\n".join(edited.split(b"\n")[: row + 1]) + b"\n")
    assert command_line.main(RUNS[run]) == 0
    assert (place / "run.tsv").read_bytes() == table


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"command": "certify"},
        {"command": "certify", "noise": {"law": "pink"}, "n": 5},
        {"command": "certify", "noise": {"law": "gaussian", "width": 2}, "n": 5},
        {"command": "certify", "noise": {"law": "gaussian", "sigma": -2}, "n": 5},
        {"command": "certify", "noise": 5, "n": 5},
        {"command": "certify", "noise": {"law": "gaussian", "sigma": 2}, "n": 5},
        {"command": "predict", "n": "many", "model": {"classes": 10}},
    ],
)
def test_a_header_that_lacks_settings_is_told(logs, place, settings):
    _laid_out(place, logs["fixed"])
    columns = json.loads(logs["fixed"]["run.json"])["columns"]
    (place / "run.json").write_text(json.dumps({**settings, "columns": columns}))
    with pytest.raises(ValueError, match=r"run\.json lacks settings of a log"):
        log.read("run.tsv")


# Endings of sequential runs


def _table():
    """A small table with looks after 6, 12, 20 and 30 samples."""
    return SequentialTable([0.5, 0.6, 0.7], 0.05, 30, looks=[6, 12, 20, 30])


def test_endings_are_those_of_all_walks():
    """Every sequence of counts at the looks, 7 x 7 x 9 x 11 of them, run by the table itself."""
    table = _table()
    steps = np.diff(table.looks, prepend=0)
    ended = {}
    for increments in itertools.product(*(range(step + 1) for step in steps)):
        certified, refused = np.zeros(1, dtype=int), np.full(1, 3)
        for look, count in enumerate(np.cumsum(increments)):
            certified, refused = table.decide(look, [count], certified, refused)
            if certified[0] == refused[0]:
                break
        key = (int(certified[0]), look, bool(certified[0] < refused[0]))
        ended.setdefault(key, set()).add(int(count))
    for certified in range(4):
        found = endings(table, certified)
        for look in range(4):
            own = {n for low, high in found.decided[look] for n in range(low, high + 1)}
            assert own == ended.get((certified, look, False), set())
        own = {n for low, high in found.undecided for n in range(low, high + 1)}
        assert own == ended.get((certified, 3, True), set())
    assert {undecided for _, _, undecided in ended} == {True, False}
    assert len(ended) > 8


def test_a_log_of_thousands_of_rows_is_checked_in_seconds(logs, place):
    _laid_out(place, logs["step"])
    names, *rows = logs["step"]["run.tsv"].decode().splitlines()
    assert names.startswith("idx\t")
    tails = [row.split("\t", 1)[1] for row in rows * 1000]
    many = [f"{image}\t{tail}" for image, tail in enumerate(tails)]
    (place / "run.tsv").write_text("\n".join([names, *many]) + "\n")
    header = json.loads((place / "run.json").read_text())
    header["data"] |= {"images": len(many), "skip": 1}
    (place / "run.json").write_text(json.dumps(header))
    assert len(log.read("run.tsv").columns["idx"]) == 10_000

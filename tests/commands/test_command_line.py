"""The command line: logs that survive kills and ranks, weights, refusals, summaries, help."""

import argparse
import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import stats

from rs_lib import __main__ as command_line
from rs_lib.certificates import discrete
from rs_lib.commands import classifier, given, options, summary
from rs_lib.commands.logs import log
from rs_lib.machines import data
from rs_lib.machines.band_classifier import probabilities
from rs_lib.machines.bands import MaskedNetwork, masks
from rs_lib.noise import Flip
from rs_lib.record import places
from rs_lib.smoothing import votes
from rs_lib.statistics import binomial_interval

# Nearest mean of the digits: a classifier without training that is right most of the time.
CLASSIFIER = '''
import os
import pathlib
import signal

import torch
from torch import nn

from rs_lib.machines import data
from rs_lib.machines.band_classifier import BandClassifier
from rs_lib.machines.bands import masks


class Classifier(nn.Module):
    """Logits of the nearest mean; may kill its process, or answer NaN on one rank."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten()
        self.linear = nn.Linear(64, 10)
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        if self.calls > 7 and "KILL_AT_ROW" in os.environ:
            table = pathlib.Path("run.tsv")
            rows = max(table.read_bytes().count(b"\\n") - 1, 0) if table.exists() else 0
            if rows >= int(os.environ["KILL_AT_ROW"]):
                os.kill(os.getpid(), signal.SIGKILL)
        logits = self.linear(self.flat(images))
        if self.calls > 7 and os.environ.get("BROKEN_RANK") == os.environ.get("RANK", "0"):
            logits = logits * float("nan")
        return logits


def blank(classes=10):
    model = Classifier()
    nn.init.zeros_(model.linear.weight)
    nn.init.zeros_(model.linear.bias)
    return model


def trained():
    digits = data.load("digits")
    images = digits.as_float(digits.train_images).flatten(1)
    means = torch.stack([images[digits.train_labels == label].mean(0) for label in range(10)])
    model = Classifier()
    model.load_state_dict(
        {"linear.weight": 2 * means, "linear.bias": -means.square().sum(1)}
    )
    return model


def of_views():
    """The nearest mean of the pixels seen."""
    model = trained()
    half = nn.Conv2d(2, 1, 1, bias=False)
    half.weight.data = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    return nn.Sequential(half, model)


def of_bands():
    """The nearest mean of what a band shows, as probabilities that may reach the threshold."""
    model = of_views()
    model[1].linear.weight.data *= 4
    return model


def of_columns():
    from rs_lib.machines.column_network import column_network

    return column_network((1, 8, 8), 10, 3, seed=1)


def three_logits():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def picture():
    return nn.Identity()


def fails():
    raise RuntimeError("out of order. Sorry")


def text():
    return "model"


def leaves():
    raise SystemExit(0)


def converted(form):
    return getattr(trained(), form)()


class Unruly:
    """Answers until its call number `at`, and then in another way."""

    def set(self, way, at):
        self.way, self.at, self.seen = way, at, 0
        return self.eval()

    def checked(self, logits):
        self.seen += 1
        if self.seen < self.at:
            return logits
        if self.way == "quits":
            raise SystemExit(0)
        if self.way == "stumbles":
            return {}[logits.shape]
        return {"scores": logits}


class UnrulyClassifier(Unruly, Classifier):
    def forward(self, images):
        return self.checked(super().forward(images))


class UnrulyBands(Unruly, BandClassifier):
    positions = 8

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 80)

    def lesson(self, labels, draw):
        raise NotImplementedError

    def sees(self, height, width):
        return masks("columns", 3, height, width)

    def forward(self, images):
        return self.checked(self.linear(images.flatten(1)).view(-1, 8, 10))


def unruly(way, at):
    return UnrulyClassifier().set(way, at)


def unruly_bands(way, at):
    return UnrulyBands().set(way, at)


number = 5
'''
DATA = ["--model", "means:trained", "--data", "digits", "--skip", "25"]
BASE = [*DATA, "--scale", "0.25"]
VIEWS = ["--model", "means:of_views", *DATA[2:], "--noise", "ablation", "--kept", "24"]
SEQUENTIAL = ["certify", *BASE, "--step", "0.2", "--max-samples", "2000", "--chunk", "3"]
FIXED = ["certify", *BASE, "--n", "500"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory with the module `means`."""
    (tmp_path / "means.py").write_text(CLASSIFIER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("means", None)


def _certified(*arguments, out="run.tsv"):
    """Run the command line here; return the bytes of table and header."""
    assert command_line.main([*arguments, "--out", out]) == 0
    return _contents(out)


def _contents(out="run.tsv"):
    stem = out.removesuffix(".tsv")
    with open(f"{stem}.tsv", "rb") as table, open(f"{stem}.json", "rb") as header:  # noqa: PTH123
        return table.read(), header.read()


def _rows(place):
    """Return the rows of the log, none where it is not begun."""
    table = place / "run.tsv"
    return max(table.read_bytes().count(b"\n") - 1, 0) if table.exists() else 0


def _program(*arguments, launcher=(), **variables):
    """Run the command line in a process of its own, in the working directory."""
    environment = {**os.environ, "PYTHONPATH": str(places.HERE.root), **variables}
    return subprocess.run(
        [sys.executable, *launcher, "-m", "rs_lib", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_killed_runs_that_are_started_again_leave_the_bytes_of_one_run(place):
    whole = _certified(*SEQUENTIAL, out="whole.tsv")
    rows = []
    # The model itself kills in the midst of the images behind that row, so none comes too late.
    for row in ("0", "3", "12"):
        done = _program(*SEQUENTIAL, "--out", "run.tsv", KILL_AT_ROW=row)
        assert done.returncode == -signal.SIGKILL, done.stderr
        rows.append(_rows(place))
    # Where the machine is slow, rows are written before the end of their chunk.
    assert rows[0] == 0
    assert 3 <= rows[1] < 12 <= rows[2] < 20
    with (place / "run.tsv").open("ab") as table:
        table.write(b"475\t3\t3\t0.")  # as if the last kill had torn a line
    assert _certified(*SEQUENTIAL) == whole
    times = [json.loads(line) for line in (place / "run.times.jsonl").read_text().splitlines()]
    told = [image for time in times for image in time["images"]]
    assert len(told) == len(set(told)) == 20
    assert _certified(*SEQUENTIAL) == whole


def test_two_ranks_write_the_bytes_of_one(place):
    whole = _certified(*SEQUENTIAL, out="whole.tsv")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = _program(*SEQUENTIAL, "--out", "run.tsv", launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert _contents() == whole
    assert done.stdout.count("certified accuracy") == 1
    first = json.loads((place / "run.times.jsonl").read_text().splitlines()[0])
    assert set(first["images"]) <= {0, 25, 50, 75, 100, 125}
    assert first["processes"] == 2


def test_an_error_on_one_rank_ends_all_with_one_message(place):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    arguments = (*SEQUENTIAL, "--out", "run.tsv")
    done = _program(*arguments, launcher=launcher, BROKEN_RANK="1")
    assert done.returncode != 0
    assert done.stderr.count("rs_lib: ") == 1
    assert "rs_lib: model gives NaN or infinite logits" in done.stderr
    (image,) = re.findall(r"noisy copies of image (\d+): ", done.stderr)
    assert image in ("25", "75", "125")  # what the second rank has of the first six
    assert _rows(place) == 0


def test_the_log_depends_neither_on_the_chunk_nor_on_other_images(place):
    whole, header = _certified(*SEQUENTIAL, out="whole.tsv")
    assert _certified(*SEQUENTIAL, "--chunk", "20") == (whole, header)
    part, _ = _certified(*SEQUENTIAL, "--max-images", "7", out="part.tsv")
    assert whole.startswith(part)
    assert part.count(b"\n") == 8


def test_another_setting_is_refused_by_name(place, capsys):
    before = _certified(*FIXED, "--max-images", "2")
    capsys.readouterr()
    changed = [*FIXED, "--max-images", "2", "--alpha", "0.01", "--seed", "1", "--out", "run.tsv"]
    assert command_line.main(changed) == 2
    told = capsys.readouterr().err
    assert "alpha is 0.001 in the log and 0.01 now; seed is 0 in the log and 1 now. " in told
    assert told.count("\n") == 1
    assert _contents() == before


@pytest.mark.parametrize("kind", ["bare.pt", "wrapped.pth", "parallel.pt", "plain.safetensors"])
def test_weights_come_from_a_file(place, kind):
    settings = ("certify", *BASE[2:], "--n", "100", "--max-images", "3")
    own = classifier.build("means:trained", {})
    weights = own.state_dict()
    if kind == "plain.safetensors":
        safetensors.torch.save_file(weights, kind)
    elif kind == "wrapped.pth":
        torch.save({"epoch": 3, "state_dict": weights, "optimizer": {"step": 5}}, kind)
    elif kind == "parallel.pt":
        torch.save({f"module.{name}": value for name, value in weights.items()}, kind)
    else:
        torch.save(weights, kind)
    table, _ = _certified(*settings, "--model", "means:trained", out="own.tsv")
    blank = ("--model", "means:blank", "--arguments", "classes=10")
    loaded, header = _certified(*settings, *blank, "--weights", kind)
    assert loaded == table
    assert json.loads(header)["model"]["sha256"] == classifier.digest(own)
    without, _ = _certified(*settings, *blank, out="blank.tsv")
    assert without != table


def test_a_file_of_images_gives_what_the_data_set_gives(place):
    from rs_lib.machines import data

    digits = data.load("digits")
    images, labels = digits.test_images.numpy(), digits.test_labels.numpy()
    np.savez("flat.npz", images=images[:, 0], labels=labels)
    np.savez("deep.npz", images=images, labels=labels.astype(np.uint8))
    settings = [*FIXED, "--max-images", "3"]
    table, _ = _certified(*settings, out="named.tsv")
    for name in ("flat", "deep"):
        file = ("--data", f"{name}.npz", "--levels", "16")
        assert _certified(*settings, *file, out=f"{name}.tsv")[0] == table


@pytest.mark.parametrize("noise", ["gaussian", "uniform", "laplace"])
@pytest.mark.parametrize("continuous", [False, True])
def test_every_noise_certifies_and_is_named_in_the_header(place, noise, continuous):
    option = ["--continuous"] if continuous else []
    arguments = (*FIXED, "--max-images", "4", "--noise", noise, *option)
    _certified(*arguments)
    table = log.read("run.tsv")
    assert table.header["noise"]["law"] == ("" if continuous else "rounded-") + noise
    assert (table.columns["samples"] == 500).all()
    assert table.columns["radius"].max() > 0


def test_the_runner_up_is_counted_for_a_fixed_number_of_samples_only(place, capsys):
    table, header = _certified(*FIXED, "--runner-up")
    assert json.loads(header)["runner_up"] is True
    assert table.split(b"\n")[0].endswith(b"\tundecided\trunner_up")
    columns = log.read("run.tsv").columns
    assert (columns["runner_up"] + columns["successes"] <= 500).all()
    capsys.readouterr()
    table_of_radii = [*FIXED[: FIXED.index("--n")], *FIXED[FIXED.index("--n") + 2 :]]
    arguments = [*table_of_radii, "--step", "0.1", "--runner-up", "--out", "other.tsv"]
    assert command_line.main(arguments) == 2
    told = capsys.readouterr().err
    assert told == ("rs_lib: runner-up is True: a table of radii does not use it, leave it out\n")


@pytest.mark.parametrize("plan", [["--step", "1"], ["--n", "500"]])
def test_ablation_certifies_whole_numbers_of_pixels(place, capsys, plan):
    table, header = _certified("certify", *VIEWS, *plan)
    radii = [float(line.split(b"\t")[3]) for line in table.splitlines()[1:]]
    assert max(radii) >= 1
    assert all(radius == int(radius) for radius in radii)
    noise = json.loads(header)["noise"]
    assert noise == {"law": "ablation", "kept": 24, "pixels": 64, "levels": 16, "norm": "l0"}
    assert "\n       1  " in capsys.readouterr().out


@pytest.mark.parametrize("plan", [["--step", "1", "--max-samples", "2000"], ["--n", "2000"]])
@pytest.mark.parametrize("command", ["certify", "predict"])
def test_flips_of_bits_go_through_the_same_engine(place, capsys, command, plan):
    """Scans of digits as bits: whole radii in changed bits, by the law as it is drawn."""
    digits = data.load("digits")
    bits = (digits.test_images[::25] > 7).to(torch.uint8)
    np.savez("bits.npz", images=bits, labels=digits.test_labels[::25])
    if command == "predict":
        plan = ["--n", "500"]
    options = ["--data", "bits.npz", "--levels", "1", "--noise", "flips", "--keep", "0.8"]
    table, header = _certified(command, *DATA[:2], *options, *plan)
    law = Flip("0.8")
    noise = json.loads(header)["noise"]
    assert noise == {"law": "flips", "keep": str(law.keep), "levels": 1, "norm": "l0"}
    if command == "certify":
        columns = log.read("run.tsv").columns
        assert columns["radius"].max() >= 1
        for radius, hits, count in zip(*(columns[c] for c in FLIPPED), strict=True):
            limit = discrete.radius(stats.beta.ppf(0.001, hits, count - hits + 1), law.keep)
            most = max(limit, 0)
            assert radius in (range(most + 1) if plan[0] == "--step" else [most])
        assert "radii count changed entries" in capsys.readouterr().out
    # Gone on with: the rows are recomputed from their counts by the law that the header names.
    (place / "run.tsv").write_bytes(b"".join(table.splitlines(keepends=True)[:4]))
    assert _certified(command, *DATA[:2], *options, *plan) == (table, header)


FLIPPED = ("radius", "successes", "samples")
PATCH = ["certify", "--defence", "patch", "--data", "digits", "--skip", "25", "--band", "3"]


@pytest.mark.parametrize("views", ["columns", "rows", "blocks"])
def test_the_patch_defence_logs_what_the_votes_certify(place, capsys, views):
    arguments = [*PATCH, "--model", "means:of_bands", "--views", views, "--theta", "0.2"]
    _certified(*arguments, "--chunk", "7")
    table = log.read("run.tsv")
    digits, seen = data.load("digits"), masks(views, 3, 8, 8)
    images = digits.as_float(digits.test_images[::25])
    network = importlib.import_module("means").of_bands()
    scores = probabilities(MaskedNetwork(network, seen).eval(), images).numpy()
    scores = scores.reshape(len(images), *((8, 8) if views == "blocks" else (8,)), 10)
    assert table.columns["predict"].tolist() == votes.answers(scores, 0.2).tolist()
    largest = votes.largest_certified(scores, 0.2, 3)
    assert table.columns["patch"].tolist() == largest.tolist()
    assert largest.max() >= 1
    assert table.header["defence"]["views"] == views
    share = (table.columns["correct"] * (largest >= 1)).mean()
    assert f"1               {share:.3f}" in capsys.readouterr().out


def test_a_patch_log_that_was_cut_is_completed_and_ranks_share_it(place):
    arguments = [*PATCH, "--model", "means:of_bands", "--chunk", "4"]
    whole = _certified(*arguments)
    cut = whole[0][: len(whole[0]) // 2]
    (place / "run.tsv").write_bytes(cut)
    assert _certified(*arguments) == whole
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert _program(*arguments, "--out", "two.tsv", launcher=launcher).returncode == 0
    assert _contents("two.tsv") == whole


def test_a_network_for_all_bands_at_once_is_taken_as_it_is(place):
    _certified(*PATCH, "--model", "means:of_columns")
    assert log.read("run.tsv").columns["patch"].shape == (20,)


def test_bfloat16_is_certified_with_a_guard_of_its_own(place):
    _certified(*PATCH, "--model", "means:of_columns", "--precision", "bfloat16", "--theta", "0.2")
    table = log.read("run.tsv")
    model = importlib.import_module("means").of_columns().eval()
    digits = data.load("digits")
    images = digits.as_float(digits.test_images[::25])
    scores = probabilities(model, images, "bfloat16").numpy()
    largest = votes.largest_certified(scores, 0.2, 3, guard=votes.GUARDS["bfloat16"])
    assert table.columns["patch"].tolist() == largest.tolist()
    assert table.header["precision"] == "bfloat16"
    assert table.header["defence"]["guard"] == votes.GUARDS["bfloat16"] > votes.GUARD


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scale", "0.5"], "scale is 0.5: --defence patch does not use it, leave it out"),
        (["--compile", "--n", "500"], "compile is True and n is 500: --defence patch does not use"),
        (["--band", "9"], "band is 9: give at most 8 for columns"),
        (["--theta", "0"], "theta is 0"),
        (["--model", "means:of_columns", "--views", "blocks"], "answers for 8 positions"),
        (
            ["--model", "means:trained"],
            "images have shape [2, 8, 8], which the model does",
        ),
    ],
)
def test_a_patch_defence_that_cannot_be_is_told(place, capsys, arguments, told):
    assert (
        command_line.main([*PATCH, "--model", "means:of_bands", "--out", "r.tsv", *arguments]) == 2
    )
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (place / "r.tsv").exists()


def test_the_summary_is_what_the_log_says(place, capsys):
    _certified(*FIXED)
    told = capsys.readouterr().out
    table = log.read("run.tsv")
    right = table.columns["correct"] == 1
    hits = int((right & (table.columns["radius"] >= 0.25)).sum())
    assert 5 < hits < 20
    low, high = binomial_interval(hits, 20)
    (line,) = (line.split() for line in told.splitlines() if line.strip().startswith("0.25 "))
    assert line[:2] == ["0.25", f"{hits / 20:.3f}"]
    assert float(line[2]) == pytest.approx(low, abs=0.001)
    assert float(line[4]) == pytest.approx(high, abs=0.001)
    assert float(line[2]) <= low < high <= float(line[4])
    average = f"{(table.columns['radius'] * right).mean():.3f}"
    assert re.search(rf"average certified radius +{re.escape(average)} ", told)


def test_radii_that_no_decimal_hits_count_as_certified_in_the_summary(place, capsys):
    third = repr(1 / 3)
    _certified("certify", *BASE, "--radii", "0.1", third, "--max-samples", "3000")
    told = capsys.readouterr().out
    table = log.read("run.tsv")
    assert set(table.columns["radius"]) <= {0.0, 0.1, 0.333333}
    hits = ((table.columns["radius"] == 0.333333) & (table.columns["correct"] == 1)).sum()
    assert hits > 0
    assert f"0.333333               {hits / 20:.3f}" in told
    assert "average" not in told
    assert "undecided" in told


def test_tiny_radii_keep_their_digits_in_the_summary(place, capsys):
    _certified("certify", *BASE, "--radii", "0.0000002", "0.5", "--max-samples", "2000")
    assert "0.0000002" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ceiling", "radii"),
    [(0.2, [0.0]), (0.6, [0.0, 0.25, 0.5]), (5.0, 21), (5.1, 11), (100.0, 13)],
)
def test_the_grid_of_the_summary_has_a_page_of_radii(ceiling, radii):
    grid = summary.grid(ceiling)
    assert grid[-1] <= ceiling
    assert (grid if isinstance(radii, list) else len(grid)) == radii


def test_predict_logs_the_customary_columns(place, capsys):
    assert command_line.main(["predict", *BASE, "--n", "200", "--out", "run.tsv"]) == 0
    told = capsys.readouterr().out
    with (place / "run.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0])[:5] == ["idx", "label", "predict", "correct", "time"]
    assert [int(row["idx"]) for row in rows] == list(range(0, 500, 25))
    assert all(int(row["top"]) + int(row["runner_up"]) <= 200 for row in rows)
    assert all((row["predict"] == row["label"]) == (row["correct"] == "1") for row in rows)
    correct = sum(row["correct"] == "1" for row in rows)
    assert correct > 10
    assert f"correct    {correct / 20:.3f}" in told


def test_our_log_passes_the_audit(place, capsys):
    _certified(*FIXED)
    capsys.readouterr()
    audit = ["audit", "run.tsv", "--sigma", "0.25", "--n", "500", "--rounding", "down"]
    assert command_line.main(audit) == 0
    told = capsys.readouterr().out
    assert re.search(r"0 of \d+ positive radii match no count, 0 lie above the ceiling", told)


def test_the_audit_says_what_a_moving_law_leaves(tmp_path, capsys):
    rows = [(0, 0.5), (0, 1.0), (0, 0.25), (1, 0.75), (0, 0.0)]
    lines = ["idx\tlabel\tpredict\tradius\tcorrect"]
    for image, (predicted, radius) in enumerate(rows):
        lines.append(f"{image}\t0\t{predicted}\t{radius:.2f}\t{int(predicted == 0)}")
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    audit = ["audit", str(tmp_path / "log"), "--sigma", "0.5", "--rounding", "down"]
    assert command_line.main([*audit, "--wasserstein", "1", "2", "inf"]) == 0
    table = capsys.readouterr().out.split("\n  budget ")[1].splitlines()
    # Radii 0, 0, 1/4, 1/2, 1: at 1/4 the money 5/4 (5/16 squared) moves 3/4 and a half, and so on.
    assert table[0].split() == ["W_1", "W_2", "W_inf"]
    assert [float(cell) for cell in table[1].split()] == [0.0, 0.6, 0.6, 0.6]
    assert [float(cell) for cell in table[2].split()] == [0.25, 0.1, 0.2, 0.4]
    assert command_line.main(audit) == 0
    assert "budget" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "means"], "model is 'means': write MODULE:FUNCTION"),
        (["--model", "meanings:trained"], "importing meanings fails with ModuleNotFoundError"),
        (["--model", "means:tarined"], "means has no function tarined"),
        (["--model", "means:number"], "means has no function number"),
        (["--model", "means:fails"], "fails() fails with RuntimeError: out of order. Sorry"),
        (["--model", "means:text"], "text returns str, no torch model"),
        (["--arguments", "depth=3"], "trained(depth=3) fails with TypeError"),
        (["--model", "means:three_logits"], "gives 3 logits, but digits has 10 classes"),
        (["--model", "means:picture"], "model gives [1, 1, 8, 8] for one image"),
        (["--weights", "none.pt"], "weights in none.pt cannot be read (FileNotFoundError"),
        (["--weights", "none.safetensors"], "weights in none.safetensors cannot be read"),
        (["--weights", "means.py"], "weights in means.py cannot be read (UnpicklingError): give"),
        (["--weights", "junk.pt"], "weights in junk.pt cannot be read (UnpicklingError): give"),
        (
            ["--weights", "code.pt"],
            "weights in code.pt hold print, not tensors alone: save",
        ),
        (["--weights", "number.pt"], "weights in number.pt are no state dict"),
        (["--weights", "other.pt"], "linear.bias is missing; extra is not in the model"),
        (["--weights", "wide.pt"], "linear.bias has shape [11], not [10]"),
        (
            ["--data", "imagenet"],
            "give one of digits, mnist, fashion-mnist, cifar10, a .npz file, or a folder",
        ),
        (["--data", "none.npz"], "data in none.npz cannot be read"),
        (["--data", "junk.npz"], "data in junk.npz cannot be read"),
        (["--data", "empty.npz"], "data in empty.npz cannot be read"),
        (["--data", "single.npz"], "data in single.npz cannot be read"),
        (["--data", "nameless.npz"], "data in nameless.npz lack an array"),
        (["--data", "floats.npz"], "images in floats.npz have type float64"),
        (["--data", "short.npz"], "labels in short.npz have shape (1,): give one for each of 2"),
        (["--data", "beyond.npz"], "labels in beyond.npz hold 10, but the model knows"),
        (["--data", "negative.npz"], "labels in negative.npz is -1"),
        (["--data", "large.npz"], "images have shape [1, 9, 9], which the model does not take"),
        (["--data", "beyond.npz", "--levels", "3"], "images in beyond.npz hold 4"),
        (["--levels", "255"], "levels is 255: digits has 16"),
        (["--skip", "0"], "skip is 0"),
        (["--max-images", "0"], "max-images is 0"),
        (["--chunk", "0"], "chunk is 0"),
        (["--scale", "-1"], "scale is -1"),
        (["--scale", "1e-155"], "scale is 1e-155: give a number from 1e-06 to"),
        (["--scale", "nan"], "scale is nan: give a number from 1e-06 to"),
        (["--kept", "3"], "kept is 3: --noise gaussian does not use it, leave it out"),
        (["--keep", "0.8"], "keep is 0.8: --noise gaussian does not use it, leave it out"),
        (["--noise", "ablation", "--kept", "3"], "scale is 0.25: --noise ablation does not use"),
        (["--alpha", "1"], "alpha is 1"),
        (["--n", "5"], "n is 5: at alpha = 0.001 even unanimous samples certify nothing"),
        (["--n0", "0"], "n0 is 0"),
        (["--n", "20000000"], "n is 20000000: give whole numbers of at most 10000000"),
        (
            ["--noise", "laplace", "--runner-up"],
            "noise is laplace, whose certificate uses one class only",
        ),
        (["--rule", "union"], "rule is union: --n does not use it, leave it out"),
        (["--max-samples", "99"], "max-samples is 99: --n does not use it, leave it out"),
        (["--n0", "1000000000000000000"], "n0 is 1000000000000000000: give whole numbers of at"),
        (["--device", "abacus"], "device is 'abacus': torch cannot use it here"),
        (["--out", "run.txt"], "give a file name that ends in .tsv"),
    ],
)
def test_bad_input_gives_status_2_and_one_sentence(place, capsys, arguments, told):
    _bad_files()
    assert command_line.main([*FIXED, "--out", "run.tsv", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("rs_lib: ")
    assert error.count("\n") == 1
    assert not (place / "run.tsv").exists()


IGNORED = {
    "--n": [["--max-samples", "99"], ["--rule", "union"]],
    "--defence noise": [["--theta", "0.3"], ["--views", "rows"], ["--method", "counts"]],
    "--defence patch": [
        *(["--alpha", "7"], ["--seed", "0"], ["--n0", "100"], ["--rule", "union"]),
        *(["--noise", "gaussian"], ["--continuous"], ["--max-samples", "9"], ["--kept", "4"]),
        *(["--radii", "1"], ["--step", "1"]),
    ],
    "--noise ablation": [["--scale", "1"], ["--continuous"], ["--keep", "0.8"]],
    "--noise uniform": [["--kept", "4"]],
}


@pytest.mark.parametrize(
    ("reason", "option"), [(reason, option) for reason, many in IGNORED.items() for option in many]
)
def test_an_option_that_nothing_reads_is_refused_by_name(place, capsys, reason, option):
    if reason == "--defence patch":
        arguments = [*PATCH, "--model", "means:of_bands"]
    elif reason == "--noise ablation":
        arguments = ["certify", *VIEWS, "--n", "500"]
    else:
        arguments = [*FIXED, *(reason.split() if reason.startswith("--noise") else [])]
    assert command_line.main([*arguments, *option, "--out", "run.tsv"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rs_lib: {option[0].removeprefix('--')} is ")
    assert error.endswith(f": {reason} does not use it, leave it out\n")
    assert not (place / "run.tsv").exists()


def test_options_that_are_left_out_have_the_defaults_that_help_tells(place, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        command_line.main(["certify", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for value in given.DEFAULTS.values():
        assert value is False or f"(default: {value})" in text
    chosen = argparse.Namespace(**dict.fromkeys(given.DEFAULTS), n=None, arguments=[])
    given.settle(chosen)
    soft = {"level", "bins", "rivals"}
    read = set(given.DEFAULTS) - {"views", "theta", "method", "runner_up"} - soft
    assert {name: getattr(chosen, name) for name in read} == {
        name: given.DEFAULTS[name] for name in read
    }
    assert (chosen.theta, chosen.level) == (None, None)
    names = dict.fromkeys(given.DEFAULTS) | {"n": 10, "soft": True, "arguments": []}
    given.settle(scores := argparse.Namespace(**names))
    assert {name: getattr(scores, name) for name in soft} == {
        name: given.DEFAULTS[name] for name in soft
    }
    assert scores.rule is None


@pytest.mark.parametrize("at", [1, 3, 8])
@pytest.mark.parametrize("way", ["quits", "stumbles", "packs"])
@pytest.mark.parametrize("command", ["certify", "predict", "patch"])
def test_a_model_that_fails_at_any_call_is_an_error_in_one_sentence(
    place, capsys, command, way, at
):
    if command == "patch":
        run = [*PATCH, "--model", "means:unruly_bands", "--chunk", "1"]
    else:
        run = [command, *BASE, "--n", "500", "--model", "means:unruly", "--chunk", "1"]
    run += ["--out", "run.tsv", "--arguments", f"way={way}", f"at={at}"]
    assert command_line.main(run) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert error.startswith("rs_lib: ")
    # What is told before the run, where the model failed later.
    assert all(line.startswith(("before the run: ", "  ")) for line in before)


@pytest.mark.parametrize("model", ["leaves:anything", "means:leaves", "sys:exit"])
def test_code_that_ends_the_program_does_not_end_the_run_as_done(place, capsys, model):
    (place / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    assert command_line.main([*FIXED, "--out", "run.tsv", "--model", model]) == 2
    error = capsys.readouterr().err
    assert "fails with SystemExit, it ends the program" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("form", ["half", "double", "bfloat16"])
def test_weights_of_another_precision_are_computed_in_the_one_asked_for(place, form):
    whole, _ = _certified(*FIXED, "--max-images", "2", out="whole.tsv")
    changed = ("--model", "means:converted", "--arguments", f"form={form}")
    table, _ = _certified(*FIXED, "--max-images", "2", *changed)
    if form == "double":
        assert table == whole
    assert table.count(b"\n") == 3


@pytest.mark.parametrize(
    "value", ["-" * 100_000, "[" * 100_000, "(" * 3000 + ")" * 3000, "1+" * 50_000 + "1", "{[]}"]
)
def test_a_value_of_many_brackets_is_a_string_or_refused(value):
    refused, found = "", None
    try:
        found = options.assignment(f"seed={value}")
    except argparse.ArgumentTypeError as error:
        refused = str(error)
    if found is None:
        assert "nested too deeply: write a simpler value" in refused
        assert len(refused) < 200
    else:
        assert found == ("seed", value)


def test_a_refused_value_is_shown_in_short(place, capsys):
    arguments = ["--arguments", f"seed={'[' * 100_000}"]
    assert command_line.main([*FIXED, "--out", "run.tsv", *arguments]) == 2
    assert len(capsys.readouterr().err) < 400


def test_an_argument_that_is_given_twice_is_refused(place, capsys):
    twice = ["--arguments", "classes=10", "classes=11"]
    assert command_line.main([*FIXED, "--out", "run.tsv", *twice]) == 2
    assert capsys.readouterr().err == "rs_lib: arguments gives 'classes' twice: give it once\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["audit", "none", "--sigma", "1"],
            "none cannot be used (No such file or directory)",
        ),
        (["audit", ".", "--sigma", "1"], "log is '.': give a file, this is none"),
        (
            ["audit", "means.py/x", "--sigma", "1"],
            "(Not a directory): give a folder, a part",
        ),
        (["audit", "x" * 300, "--sigma", "1"], "(File name too long): give a shorter name"),
        (["audit", "log", "--sigma", "1", "--n", str(10**18)], f"n is {10**18}: give whole"),
        (["audit", "log", "--sigma", "1", "--alpha", "1e-320"], "give a level of at least 1e-60"),
        (["audit", "log", "--sigma", "1e300"], "sigma is 1e+300: give the noise of the log"),
        (["audit", "log", "--sigma", "1", "--wasserstein", "0.5"], "order is 0.5: give a number"),
        (["audit", "log", "--sigma", "1", "--wasserstein", "x"], "wasserstein is 'x': give real"),
        ([*FIXED, "--out", "means.py/run.tsv"], "means.py cannot be used (File exists): give a"),
    ],
)
def test_a_file_or_an_extreme_that_cannot_be_used_is_told(place, capsys, arguments, told):
    (place / "log").write_text("idx label predict radius correct\n0 3 3 0.5 1\n")
    assert command_line.main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_torchs_advice_to_run_what_a_file_holds_is_not_passed_on(place, capsys):
    sys.path.insert(0, str(place))
    torch.save(importlib.import_module("means").trained(), "whole.pt")
    torch.save({"linear.weight": torch.zeros(10, 64), "step": os.stat}, "mixed.pt")
    for name, culprit in (("whole.pt", "means.Classifier"), ("mixed.pt", "posix.stat")):
        assert command_line.main([*FIXED, "--out", "run.tsv", "--weights", name]) == 2
        error = capsys.readouterr().err
        assert f"weights in {name} hold {culprit}, not tensors alone: save them anew" in error
        assert "weights_only" not in error
        assert "\x1b" not in error


def _bad_files():
    """Write weights and images that cannot be used."""
    for name in ("junk.pt", "junk.npz"):
        with open(name, "w") as file:  # noqa: PTH123
            file.write("precious")
    torch.save(print, "code.pt")
    torch.save(5, "number.pt")
    torch.save({"linear.weight": torch.zeros(10, 64), "extra": torch.zeros(1)}, "other.pt")
    torch.save({"linear.weight": torch.zeros(10, 64), "linear.bias": torch.zeros(11)}, "wide.pt")
    images = np.full((2, 8, 8), 4, dtype=np.uint8)
    open("empty.npz", "w").close()  # noqa: PTH123
    with open("single.npz", "wb") as file:  # noqa: PTH123
        np.save(file, images)
    np.savez("nameless.npz", images=images)
    np.savez("floats.npz", images=images / 2, labels=[0, 1])
    np.savez("short.npz", images=images, labels=[0])
    np.savez("beyond.npz", images=images, labels=[10, 0])
    np.savez("negative.npz", images=images, labels=[0, -1])
    np.savez("large.npz", images=np.zeros((2, 9, 9), dtype=np.uint8), labels=[0, 1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "samples are missing: give one of --n, --radii and --step"),
        (["--n", "500", "--band", "3"], "band is 3: --defence noise does not use it, leave it out"),
        (["--radii", "1e-300", "1e-299"], "radii holds 1e-300 and 1e-299, which the same"),
        (["--radii", "nan"], "radii holds NaN: give real numbers"),
        (["--radii", "0.1", "inf"], "radii is inf: give a finite number"),
        (["--radii", *(str(k / 1e4) for k in range(1001))], "radii are 1001: give at most 1000"),
        (["--radii", "0.2", "0.1"], "radii is [0.2, 0.1]: give one or more radii that increase"),
        (["--radii", "0.1", "9"], "radii holds 9"),
        (["--radii", "0.2", "0.2000001"], "radii are equal in the six digits"),
        (["--radii", "-0.2"], "radii is -0.2"),
        (["--step", "9"], "step is 9"),
        (["--step", "0.00001"], "give a step that leaves 1 to 1000"),
        (["--step", "1e-320"], "give a step that leaves 1 to 1000"),
        (["--step", "0.25", "--max-samples", "20000000"], "max-samples is 20000000: give whole"),
        (["--radii", "0.1", "--max-samples", "20000000"], "max-samples is 20000000: give whole"),
        (["--step", "0"], "step is 0"),
        (["--step", "0.25", "--max-samples", "0"], "max-samples is 0"),
        (["--step", "0.25", "--max-samples", "3"], "step is 0.25: 3 samples certify at most 0"),
        (["--radii", "0.1", "--max-samples", "3"], "max_samples is 3: at alpha = 0.001"),
    ],
)
def test_radii_that_cannot_be_decided_give_status_2_and_one_sentence(
    place, capsys, arguments, told
):
    assert command_line.main(["certify", *BASE, "--out", "run.tsv", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_step_means_its_multiples_as_decimals(place):
    arguments = ("certify", *BASE, "--step", "0.1", "--max-samples", "500", "--max-images", "1")
    _, header = _certified(*arguments)
    assert json.loads(header)["radii"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "COMMAND"),
        (["certify", *BASE, "--n", "5", "--step", "1"], "not allowed with argument"),
        (["predict", *BASE, "--out", "run.tsv"], "--n/--samples"),
        (["certify", *FIXED[1:], "--noise", "pink"], "invalid choice: 'pink'"),
    ],
)
def test_an_incomplete_command_is_told_by_the_parser(capsys, arguments, told):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("certify", ["classifier:", "images:", "noise:", "run:", "samples (", "torchrun --nproc"]),
        ("predict", ["classifier:", "images:", "noise:", "run:", "samples:", "example:"]),
        ("audit", ["what the authors state:", "example:"]),
    ],
)
def test_help_is_grouped_and_ends_with_an_example(capsys, monkeypatch, command, told):
    monkeypatch.setenv("COLUMNS", "90")
    with pytest.raises(SystemExit) as stop:
        command_line.main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    places = [text.index(part) for part in told]
    assert places == sorted(places)
    assert f"  python -m rs_lib {command} " in text
    assert max(len(line) for line in text.splitlines()) <= 92


@pytest.mark.parametrize(
    ("command", "part", "unlabelled"), [("certify", "test", True), ("train", "training", False)]
)
def test_help_tells_which_images_a_name_stands_for(capsys, command, part, unlabelled):
    with pytest.raises(SystemExit):
        command_line.main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"digits, mnist, fashion-mnist or cifar10 (the {part} images)" in text
    assert ("--unlabelled" in text) == unlabelled


@pytest.mark.parametrize("command", [FIXED, ["predict", *BASE, "--n", "100"]])
def test_a_device_without_float64_is_refused_where_torch_has_it(
    place, monkeypatch, capsys, command
):
    # As on a Mac, where torch can use the device; no Mac was at hand.
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", lambda *_, device: np.zeros(1))
    assert command_line.main([*command, "--device", "mps", "--out", "run.tsv"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "rs_lib: device is 'mps', which has no float64, and sums of losses and scores are "
        "float64: give cpu, or cuda where there is a GPU\n"
    )

"""report, plot and merge: numbers beside those of the library, refusals in one sentence."""

import csv
import json
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from rs_lib import __main__ as command_line
from rs_lib.commands.logs import anyone, follows, log
from rs_lib.commands.plot import curve, picture
from rs_lib.commands.report import linf
from rs_lib.commands.selection import UNLABELLED
from rs_lib.statistics import (
    average_certified_radius,
    binomial_interval,
    certified_accuracy,
    mean_interval,
    paired,
)

HEAD = "idx\tlabel\tpredict\tradius\tcorrect\n"
CLASSES = 10


def _rows(seed, images=40, first=0):
    """Rows of a made log; every image of a seed is the same wherever it stands."""
    rows = []
    for image in range(first, first + images):
        rng = np.random.default_rng((seed, image))
        label = image % 4
        predict = int(rng.choice([label, label, label, (label + 1) % 4, -1]))
        radius = 0.0 if predict < 0 else round(float(rng.uniform(0.01, 1.9)), 4)
        rows.append(f"{image}\t{label}\t{predict}\t{radius:.4f}\t{int(label == predict)}\n")
    return rows


def _header(images, **changes):
    return {
        "command": "certify",
        "alpha": 0.001,
        "n0": 100,
        "n": 1_000,
        "noise": {"law": "gaussian", "sigma": 0.5, "norm": "l2"},
        "guarantee": "in exact arithmetic",
        "seed": 0,
        "model": {"classes": CLASSES},
        "data": {"name": "made", "images": images, "skip": 1, "shape": [3, 4, 4], "levels": 255},
        **changes,
    }


def _own(path, images, ids=None, labels=None, **changes):
    """Write a log of certify, as its writer does, of counts that are drawn."""
    header = _header(images, **changes)
    ids = range(images) if ids is None else ids
    rule = follows.follow(header)
    counts = np.array([int(np.random.default_rng((7, i)).integers(500, 1001)) for i in ids])
    columns = {
        "idx": np.array(ids),
        "label": np.array(ids) % 4 if labels is None else labels,
        "selected": np.array(ids) % 4,
        "successes": counts,
    }
    columns |= rule(columns)
    pairs = list(zip(columns["idx"].tolist(), columns["label"].tolist(), strict=True))
    with log.writing(path, log.CERTIFY_COLUMNS, header, pairs, rule) as writer:
        writer.append(columns, {})
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tsv").write_text(HEAD + "".join(_rows(1)))
    (tmp_path / "b.tsv").write_text(HEAD + "".join(reversed(_rows(2))))
    return tmp_path


def _run(capsys, *arguments):
    assert command_line.main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def test_a_report_states_what_the_library_computes(place, capsys):
    out = _run(capsys, "report", "a.tsv", "--radii", "0", "0.5", "1", "-o", "t.csv", "--per-class")
    one = anyone.read(place / "a.tsv")
    with (place / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    whole = [row for row in rows if not row["class"]]
    found = {row["radius"]: row for row in whole if row["quantity"] == "certified accuracy"}
    for radius in (0.0, 0.5, 1.0):
        row = found[str(radius)]
        accuracy = certified_accuracy(one.radius, one.correct, radius)
        low, high = binomial_interval(round(accuracy * 40), 40)
        assert float(row["value"]) == accuracy
        assert (float(row["low"]), float(row["high"])) == (low, high)
        assert re.search(rf"{radius:g} +{accuracy:.3f} ", out)
    acr = next(row for row in whole if row["quantity"] == "average certified radius")
    assert float(acr["value"]) == average_certified_radius(one.radius, one.correct)
    assert (float(acr["low"]), float(acr["high"])) == mean_interval(one.counted)
    right = next(row for row in whole if row["quantity"] == "correct")
    # Abstentions count as wrong: they are in the denominator.
    assert float(right["value"]) == (one.correct & ~one.abstained).sum() / 40
    of_class = [r for r in rows if r["class"] == "2" and r["quantity"] == "correct"]
    assert float(of_class[0]["value"]) == one.correct[one.label == 2].mean()


def test_two_logs_of_the_same_images_are_compared_image_by_image(place, capsys):
    out = _run(capsys, "report", "a.tsv", "b.tsv")
    a, b = anyone.read(place / "a.tsv"), anyone.read(place / "b.tsv")
    order = [b.images.index(image) for image in a.images]
    found = paired(a.counted, b.counted[order])
    assert f"average certified radius {found.difference:+.4f}" in out
    assert f"standard error {found.error:.4f}" in out
    only = ((a.counted > 0) & ~(b.counted[order] > 0)).sum()
    assert re.search(rf"\n +0 +{only} ", out.split("image by image")[1])
    (place / "c.tsv").write_text(HEAD + "".join(_rows(1, images=39)))
    assert "image by image" not in _run(capsys, "report", "a.tsv", "c.tsv")


def test_logs_in_other_norms_or_of_other_images_are_not_compared(place, capsys):
    data = {"name": "made", "images": 9, "skip": 1, "shape": [3, 4, 4], "levels": 255}
    noises = {
        "gauss": ({"law": "gaussian", "sigma": 0.5, "norm": "l2"}, "one"),
        "laplace": ({"law": "laplace", "scale": 0.5, "norm": "l1"}, "one"),
        "pixels": (
            {"law": "ablation", "kept": 4, "pixels": 16, "levels": 255, "norm": "l0"},
            "one",
        ),
        "entries": ({"law": "flips", "keep": "9/10", "levels": 255, "norm": "l0"}, "one"),
        "others": ({"law": "gaussian", "sigma": 0.5, "norm": "l2"}, "two"),
    }
    for name, (noise, digest) in noises.items():
        _own(place / f"{name}.tsv", 9, noise=noise, data={**data, "sha256": digest})
    for one, other, told in (
        ("gauss", "laplace", "radii in l2 and in l1"),
        ("gauss", "others", "of other images"),
        ("pixels", "entries", "radii in l0, pixels and in l0, entries"),
    ):
        out = _run(capsys, "report", f"{one}.tsv", f"{other}.tsv")
        assert f"{one} and {other} are not compared image by image: " in out
        assert told in out
        assert "average certified radius +" not in out
    # One changed pixel of a colour image is three changed entries.
    for name in ("pixels", "entries"):
        assert f"ℓ0 radius ({name})" in plot_text([anyone.read(place / f"{name}.tsv")])
    foreign = [anyone.read(place / f"{name}.tsv") for name in ("gauss", "a")]
    assert "ℓ2 radius" not in plot_text(foreign)
    command = ["plot", "pixels.tsv", "entries.tsv", "-o", "both.svg"]
    assert command_line.main(command) == 2
    assert "radii in l0, entries and in l0, pixels" in capsys.readouterr().err


def plot_text(logs):
    """The words of a picture of `logs`, which an SVG holds as comments beside their outlines."""
    return picture(logs, ".svg").decode()


@pytest.mark.parametrize(("row", "fault"), [(2, "0"), (3, "77")])
def test_an_image_that_is_not_the_logs_or_twice_in_it_is_damage(place, capsys, row, fault):
    """Rows that follow from their counts, but of other images: shares of them would be wrong."""
    path = _own(place / "run.tsv", 12)
    lines = path.read_text().splitlines()
    lines[row] = "\t".join([fault, *lines[row].split("\t")[1:]])
    path.write_text("\n".join(lines) + "\n")
    for command in (["report"], ["audit"], ["plot", "-o", "run.svg"]):
        assert command_line.main([command[0], "run.tsv", *command[1:]]) == 2
        assert f"is damaged at line {row + 1}: idx is {fault}" in capsys.readouterr().err


def test_a_log_that_lacks_images_says_so_wherever_it_is_read(place, capsys):
    """What a sequential rule decides early is written first: shares of it are not those of all."""
    path = _own(place / "part.tsv", 12)
    assert "warning" not in _run(capsys, "report", "part.tsv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]))
    told = "only 4 of 12 images are there"
    assert told in _run(capsys, "report", "part.tsv")
    assert told in _run(capsys, "audit", "part.tsv")
    assert command_line.main(["plot", "part.tsv", "-o", "part.svg"]) == 0
    assert told in capsys.readouterr().err
    shard = _own(place / "s1.tsv", 12, ids=range(0, 12, 3), shard="1/3")
    assert "warning" not in _run(capsys, "report", "s1.tsv")
    shard.write_text("".join(shard.read_text().splitlines(keepends=True)[:-1]))
    assert "only 3 of 4 images are there" in _run(capsys, "report", "s1.tsv")


def test_equal_radii_tell_no_interval_of_their_mean(place, capsys):
    rows = [f"{image}\t0\t-1\t0.0\t0\n" for image in range(9)]
    for name in ("none", "again"):
        (place / f"{name}.tsv").write_text(HEAD + "".join(rows))
    out = _run(capsys, "report", "none.tsv", "again.tsv", "-o", "t.csv")
    assert "Student" not in out
    assert "average certified radius +0.0000, the same for every image" in out
    with (place / "t.csv").open() as file:
        means = [row for row in csv.DictReader(file) if row["quantity"].startswith("average")]
    assert [(row["value"], row["low"], row["high"]) for row in means] == [("0.0", "", "")] * 2


def test_a_log_without_labels_tells_what_is_certified(place, capsys):
    table = log.read(_own(place / "own.tsv", 9, labels=np.full(9, UNLABELLED)))
    answered = int((table.columns["predict"] != -1).sum())
    assert answered > 0
    out = _run(capsys, "report", "own.tsv", "--radii", "0")
    assert "certified accuracy" not in out
    assert re.search(rf"answered +{answered / 9:.3f} ", out)


def test_a_radius_that_was_asked_for_is_printed_with_all_its_digits(place, capsys):
    out = _run(capsys, "report", "a.tsv", "--radii", "0.49999951", "1e-7")
    assert re.search(r"\n +0\.49999951 ", out)
    assert re.search(r"\n +1e-07 ", out)
    _run(capsys, "report", "a.tsv", "--radii", "0.49999951", "-o", "t.md")
    assert "r = 0.49999951" in (place / "t.md").read_text()


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("dimension", [1, 2, 784, 3072, 150_528])
def test_the_ball_of_the_largest_norm_lies_inside(norm, dimension):
    one = anyone.Certified("x", ("0",), *[np.zeros(1)] * 4, norm, dimension, None, ())
    for radius in (0.0, 1e-300, 0.1, 0.5, 3.7):
        inner = linf(one, radius, None)
        assert inner >= 0
        power = 2 if norm == "l2" else 1
        assert Fraction(inner) ** power * dimension <= Fraction(radius) ** power
        assert inner >= radius / dimension ** (1 / power) * (1 - 1e-14) - 1e-320


def test_a_log_of_ours_tells_its_dimension_and_is_recomputed(place, capsys):
    _own(place / "own.tsv", 12)
    out = _run(capsys, "report", "own.tsv", "--linf")
    assert "12 images, radii in l2" in out
    assert "l-inf" in out
    assert "all 12 rows agree with their counts" in _run(capsys, "audit", "own.tsv")
    text = (place / "own.tsv").read_text().splitlines()
    row = text[3].split("\t")
    row[text[0].split("\t").index("successes")] = "1000"
    (place / "own.tsv").write_text("\n".join([*text[:3], "\t".join(row), *text[4:]]) + "\n")
    for command in ("report", "audit"):
        assert command_line.main([command, "own.tsv"]) == 2
        assert "is damaged at line 4" in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["\ufeff{}", "{},", "", "[]"])
@pytest.mark.parametrize("command", ["report", "audit", "merge"])
def test_radii_are_not_believed_where_settings_are_damaged(place, capsys, broken, command):
    """A byte order mark, or one comma too many, must not make a log somebody else's."""
    _own(place / "own.tsv", 20)
    _own(place / "two.tsv", 20)
    text = (place / "own.json").read_text()
    (place / "own.json").write_text(broken.replace("{}", text))
    more = {"report": [], "audit": [], "merge": ["two.tsv", "-o", "all.tsv"]}[command]
    assert command_line.main([command, "own.tsv", *more]) == 2
    assert "own.json cannot be read as the settings of own.tsv" in capsys.readouterr().err
    assert not (place / "all.tsv").exists()


def test_a_report_says_that_it_believes_radii_without_settings(place, capsys):
    _own(place / "own.tsv", 20)
    (place / "own.json").unlink()
    assert command_line.main(["report", "own.tsv"]) == 0
    said = "no settings in own.json: the radii are believed, not recomputed"
    assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("ending", [".md", ".tex", ".csv"])
def test_tables_hold_every_log(place, capsys, ending):
    _run(capsys, "report", "a.tsv", "b.tsv", "--names", "first_1", "second|2", "-o", f"t{ending}")
    text = (place / f"t{ending}").read_text()
    accuracy = certified_accuracy(*_radii_of(place / "b.tsv"), 0.5)
    assert f"{accuracy:.3f}" in text or str(accuracy) in text
    assert ("first\\_1" if ending == ".tex" else "first_1") in text
    if ending == ".md":
        lines = text.splitlines()
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    if ending == ".tex":
        assert text.count(r"\\") == 3


def _radii_of(path):
    one = anyone.read(path)
    return one.radius, one.correct


def test_parquet_needs_pyarrow_and_says_so(place, capsys):
    status = command_line.main(["report", "a.tsv", "-o", "t.parquet"])
    if status:
        assert "pip install pyarrow" in capsys.readouterr().err
        assert not (place / "t.parquet").exists()
    else:
        assert command_line.main(["report", "a.tsv", "-o", "t.csv"]) == 0
        read, same = pd.read_parquet("t.parquet"), pd.read_csv("t.csv")
        assert list(read) == list(same)
        assert read["value"].to_numpy(float) == pytest.approx(same["value"], nan_ok=True)


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png"])
def test_a_plot_is_drawn_and_its_bytes_follow_from_the_logs(place, capsys, ending):
    made = []
    for _ in range(2):
        _run(capsys, "plot", "a.tsv", "b.tsv", "-o", f"p{ending}")
        made.append((place / f"p{ending}").read_bytes())
    assert made[0] == made[1]
    assert len(made[0]) > 3_000


def test_a_curve_is_the_certified_accuracy_and_its_interval(place):
    one = anyone.read(place / "a.tsv")
    radii, accuracy, low, high = curve(one)
    np.testing.assert_array_equal(accuracy, certified_accuracy(one.radius, one.correct, radii))
    assert accuracy[-1] == 0
    assert (np.diff(radii) > 0).all()
    assert ((low <= accuracy) & (accuracy <= high)).all()
    middle = (radii[1:] + radii[:-1]) / 2
    np.testing.assert_array_equal(certified_accuracy(one.radius, one.correct, middle), accuracy[1:])


def test_a_curve_without_certificates_lies_at_zero_as_far_as_the_others(place):
    (place / "none.tsv").write_text(HEAD + "".join(f"{k}\t1\t-1\t0\t0\n" for k in range(30)))
    radii, accuracy, low, high = curve(anyone.read(place / "none.tsv"), 1.5)
    assert radii[0] == 0
    assert radii[-1] > 1.5
    assert not accuracy.any()
    assert not low.any()
    assert (high > 0).all()


def test_shards_of_another_program_give_the_log_of_all(place, capsys):
    for number in range(3):
        part = _rows(1, images=20, first=10 * number)  # they overlap, and agree
        (place / f"{number}.tsv").write_text(HEAD + "".join(part))
    _run(capsys, "merge", "0.tsv", "1.tsv", "2.tsv", "-o", "all.tsv")
    assert (
        _run(capsys, "report", "all.tsv").splitlines()[1:]
        == (_run(capsys, "report", "a.tsv").splitlines()[1:])
    )
    assert (place / "all.tsv").read_text() == (place / "a.tsv").read_text()


def test_shards_of_ours_give_the_bytes_of_one_run(place, capsys):
    _own(place / "whole.tsv", 48)
    for number in range(3):
        _own(place / f"s{number}.tsv", 48, ids=range(number, 48, 3), shard=f"{number + 1}/3")
    _run(capsys, "merge", "s0.tsv", "s1.tsv", "s2.tsv", "--out", "all.tsv")
    # Radii such as 0.354300, whose last digits a float forgets.
    assert re.search(r"\t0\.[0-9]*0\t", (place / "whole.tsv").read_text())
    for ending in (".tsv", ".json"):
        assert (place / f"all{ending}").read_bytes() == (place / f"whole{ending}").read_bytes()
    _run(capsys, "audit", "all.tsv")
    for given, told in (
        (("s0.tsv", "s1.tsv"), "logs hold 32 of the 48 images"),
        (("s0.tsv", "a.tsv"), "a.tsv has no settings beside it"),
    ):
        assert command_line.main(["merge", *given, "--out", "other.tsv"]) == 2
        assert told in capsys.readouterr().err
        assert not (place / "other.tsv").exists()
    _own(place / "seeded.tsv", 48, seed=1)
    assert command_line.main(["merge", "s0.tsv", "seeded.tsv", "--out", "other.tsv"]) == 2
    assert "seed is 1 in the log and 0 now" in capsys.readouterr().err


def _edited(place, **noise):
    """Write a log of ours whose settings were edited by hand."""
    path = _own(place / "own.tsv", 12).with_suffix(".json")
    header = json.loads(path.read_text())
    guarantee = header["guarantee"]
    edited = {**header, "noise": {**header["noise"], **noise}, "guarantee": "without exception"}
    path.write_text(json.dumps(edited))
    return guarantee


def test_the_guarantee_is_that_of_the_law_whatever_the_settings_say(place, capsys):
    guarantee = _edited(place)
    for command in (["audit", "own.tsv"], ["audit", "own.tsv", "--wasserstein", "1"]):
        out = _run(capsys, *command)
        assert guarantee in " ".join(out.split())
        assert "without exception" not in out


@pytest.mark.parametrize("norm", ["linf", "l0", "l1", None])
@pytest.mark.parametrize("command", ["audit", "report", "plot"])
def test_settings_with_another_norm_than_the_laws_are_refused(place, capsys, command, norm):
    _edited(place, norm=norm)
    more = ["-o", "curve.pdf"] if command == "plot" else []
    assert command_line.main([command, "own.tsv", *more]) == 2
    assert "own.json lacks settings of a log" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["audit", "report"])
@pytest.mark.parametrize("shard", ["0/0", "1/0", "3/2", "0/2", "-1/2"])
def test_settings_with_a_shard_that_is_none_are_refused(place, capsys, command, shard):
    _own(place / "own.tsv", 12)
    path = place / "own.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shard": shard}))
    assert command_line.main([command, "own.tsv"]) == 2
    assert f"shard is {shard}" in capsys.readouterr().err


def test_an_audit_of_a_log_without_rows_says_so(place, capsys):
    path = _own(place / "own.tsv", 12)
    path.write_text(path.read_text().splitlines(keepends=True)[0] + "0\t")
    assert command_line.main(["audit", "own.tsv"]) == 2
    assert "own.tsv has no complete row" in capsys.readouterr().err


def test_merging_logs_whose_settings_are_lost_says_what_is_believed(place, capsys):
    for number in range(2):
        path = _own(place / f"s{number}.tsv", 12, ids=range(number, 12, 2), shard=f"{number + 1}/2")
        path.with_suffix(".json").unlink()
    out = _run(capsys, "merge", "s0.tsv", "s1.tsv", "-o", "all.tsv")
    for number in range(2):
        assert f"s{number}.tsv: no settings in s{number}.json: the radii are believed" in out


BAD_LOGS = {
    "none": None,
    "empty": "",
    "blank": "\n\n",
    "names alone": HEAD,
    "prose": "To be, or not to be\n",
    "json": json.dumps({"radius": [1, 2]}),
    "no radius": "idx\tlabel\tpredict\tcorrect\n0\t1\t1\t1\n",
    "no flag": "idx\tradius\n0\t0.5\n",
    "two radii": "idx\tradius\tradius\tcorrect\n0\t0.5\t0.5\t1\n",
    "no row that is one": HEAD + "0\t1\t1\tx\t1\n",
    "contradictory": HEAD + "0\t1\t1\t0.5\t0\n",
    "two runs": HEAD + "".join(_rows(1)) + HEAD + "".join(_rows(2)),
    "bytes": b"\x00\x01\x02" * 50,
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00",
    "packed": b"\x1f\x8b\x08\x00\x00\x00",
    "half of UTF-16": b"\xff\xfe\x00",
    "numbers": "1 2 3\n4 5 6\n",
    "a folder": "folder",
    "a radius beyond all": HEAD + "0\t1\t1\t1e999\t1\n",
}
COMMANDS = {
    "audit": ("audit", "bad.tsv", "--sigma", "0.5"),
    "report": ("report", "bad.tsv", "-o", "out.csv"),
    "report, second": ("report", "a.tsv", "bad.tsv", "-o", "out.csv"),
    "plot": ("plot", "bad.tsv", "-o", "out.svg"),
    "merge": ("merge", "a.tsv", "bad.tsv", "-o", "out.tsv"),
}


def _require_refused(capsys, place, arguments, before):
    assert command_line.main(list(arguments)) == 2
    caught = capsys.readouterr()
    assert caught.err.startswith("rs_lib: ")
    assert caught.err.count("\n") == 1
    assert "Traceback" not in caught.err
    assert set(place.iterdir()) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", BAD_LOGS)
def test_a_bad_log_is_one_sentence_and_leaves_nothing(place, capsys, command, kind):
    content = BAD_LOGS[kind]
    path = place / "bad.tsv"
    if kind == "a folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    _require_refused(capsys, place, COMMANDS[command], set(place.iterdir()))


BAD_ARGUMENTS = [
    ("audit", "a.tsv"),
    ("audit", "a.tsv", "--sigma", "0"),
    ("audit", "a.tsv", "--sigma", "-1"),
    ("audit", "a.tsv", "--sigma", "nan"),
    ("audit", "a.tsv", "--sigma", "1e300"),
    ("audit", "a.tsv", "--sigma", "0.5", "--step", "0"),
    ("audit", "a.tsv", "--sigma", "0.5", "--step", "nan"),
    ("audit", "a.tsv", "--sigma", "0.5", "--step", "1e-9"),
    ("audit", "a.tsv", "--sigma", "0.5", "--n", "0"),
    ("audit", "a.tsv", "--sigma", "0.5", "--alpha", "0"),
    ("audit", "a.tsv", "--sigma", "0.5", "--alpha", "1"),
    ("audit", "own.tsv", "--n", "7"),
    ("audit", "own.tsv", "--sigma", "7"),
    ("audit", "own.tsv", "--alpha", "0.1"),
    ("audit", "own.tsv", "--step", "-1"),
    ("report", "a.tsv", "--radii", "-1"),
    ("report", "a.tsv", "--radii", "nan"),
    ("report", "a.tsv", "--radii", "inf"),
    ("report", "a.tsv", "--step", "0"),
    ("report", "a.tsv", "--step", "-0.5"),
    ("report", "a.tsv", "--step", "nan"),
    ("report", "a.tsv", "--step", "1e-9"),
    ("report", "a.tsv", "--names", "x", "y"),
    ("report", "a.tsv", "b.tsv", "--names", "x", "x"),
    ("report", "a.tsv", "a.tsv"),
    ("report", "a.tsv", "--linf"),
    ("report", "a.tsv", "--dimension", "5"),
    ("report", "a.tsv", "--linf", "--dimension", "0"),
    ("report", "a.tsv", "--linf", "--dimension", "-3"),
    ("report", "a.tsv", "-o", "t.xlsx"),
    ("report", "a.tsv", "-o", "t"),
    ("report", "a.tsv", "-o", "a.tsv/t.csv"),
    ("plot", "a.tsv", "-o", "p.jpg"),
    ("plot", "a.tsv", "-o", "p"),
    ("plot", *["a.tsv"] * 7, "-o", "p.svg"),
    ("plot", "a.tsv", "a.tsv", "-o", "p.svg"),
    ("plot", "a.tsv", "-o", "a.tsv/p.svg"),
    ("merge", "a.tsv", "-o", "m.tsv"),
    ("merge", "a.tsv", "b.tsv", "-o", "m.tsv"),
    ("merge", "a.tsv", "b.tsv", "-o", "m.csv"),
    ("merge", "a.tsv", "b.tsv", "-o", "a.tsv"),
    ("merge", "a.tsv", "own.tsv", "-o", "m.tsv"),
    ("merge", "a.tsv", "words.tsv", "-o", "m.tsv"),
    ("merge", "a.tsv", "nameless.tsv", "-o", "m.tsv"),
    ("merge", "a.tsv", "a.tsv", "-o", "a.tsv/m.tsv"),
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=" ".join)
def test_a_bad_argument_is_one_sentence_and_leaves_nothing(place, capsys, arguments):
    _own(place / "own.tsv", 6)
    (place / "words.tsv").write_text("idx,label,predict,radius\n0,cat,cat,0.5\n")
    (place / "nameless.tsv").write_text("radius,correct\n0.5,1\n")
    _require_refused(capsys, place, arguments, set(place.iterdir()))


NETWORK = """
import torch


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""


def test_shards_that_certify_made_give_the_log_of_one_run(place, capsys):
    (place / "network_of_reports.py").write_text(NETWORK)
    certify = ["certify", "--model", "network_of_reports:net", "--data", "digits", "--n", "200"]
    certify += ["--max-images", "11", "--scale", "0.5"]
    _run(capsys, *certify, "--out", "whole.tsv")
    for number in (1, 2, 3):
        out = _run(capsys, *certify, "--shard", f"{number}/3", "--out", f"s{number}.tsv")
        assert f"\n{(11 - number) // 3 + 1} images of digits" in out
    _run(capsys, "merge", "s3.tsv", "s1.tsv", "s2.tsv", "-o", "all.tsv")
    for ending in (".tsv", ".json"):
        assert (place / f"all{ending}").read_bytes() == (place / f"whole{ending}").read_bytes()
    # A shard is gone on with as a shard, and as nothing else.
    assert command_line.main([*certify, "--out", "s1.tsv"]) == 2
    assert 'shard is "1/3" in the log and absent now' in capsys.readouterr().err
    assert command_line.main([*certify, "--shard", "12/12", "--out", "none.tsv"]) == 2
    assert "there are 11 images: give fewer shards" in capsys.readouterr().err
    assert not (place / "none.tsv").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "/", "a/b", "-1/3", "1/3/5", "1.0/3"])
def test_a_shard_that_is_none_is_refused(place, capsys, text):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["certify", f"--shard={text}"])
    assert stop.value.code == 2
    assert "is no shard" in capsys.readouterr().err

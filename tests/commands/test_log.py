"""The log: radii rounded down, the same bytes after every kill, no other settings, no loss."""

import csv
import json
import math
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from rs_lib.commands.logs import log
from rs_lib.commands.logs.rows import rounded_down

HEADER = {
    "alpha": 0.001,
    "noise": {"law": "gaussian", "sigma": 0.5},
    "radii": [0.25, 0.5],
    "data": {"images": 9, "skip": 3},
}


def _anything(columns):
    """Nothing follows from the made-up rows here; `test_follows` has real ones."""
    return {}


IMAGES = [(3 * row, row % 4) for row in range(9)]


def _columns(rows):
    """Columns of the given rows: any fixed values do."""
    numbers = np.array(rows)
    return {
        "idx": 3 * numbers,
        "label": numbers % 4,
        "predict": numbers % 3 - 1,
        "radius": np.where(numbers % 3 == 0, 0.0, np.sqrt(numbers + 0.1)),
        "correct": numbers % 2 == 0,
        "selected": numbers % 3,
        "successes": 90 + numbers,
        "samples": 10 ** (numbers % 6 + 2),
        "looks": numbers + 1,
        "undecided": numbers % 5 == 0,
    }


def _go_on(path, *, stop=9, chunk=2, header=HEADER, images=IMAGES):
    """Write the rows that are missing up to `stop`; return how many were there."""
    with log.writing(path, log.CERTIFY_COLUMNS, header, images, _anything) as writer:
        there = writer.rows
        for start in range(there, stop, chunk):
            rows = range(start, min(start + chunk, stop))
            writer.append(_columns(rows), {"images": [rows[0], rows[-1] + 1]})
    return there


def _read(path):
    return log.read(path, lambda header: _anything)


def _radii(count):
    """Floats from every regime: all bit patterns, ordinary radii, short decimals, special ones."""
    generator = np.random.default_rng(5)
    part = count // 4
    yield from np.abs(np.frombuffer(generator.bytes(8 * part))).tolist()
    yield from generator.uniform(0, 4, part).tolist()
    short = generator.integers(10**6, size=part) / 10.0 ** generator.integers(8, size=part)
    yield from short.tolist()
    yield from np.nextafter(short, generator.choice([0.0, 9.0], size=part)).tolist()
    yield from (0.0, -0.0, 5e-324, 2.2250738585072014e-308, sys.float_info.max, 1 / 3, 0.999999)
    yield from (0.9999999, 1 - 2**-53, 1 + 2**-52, 999999.5, 1e22, 123456789.0)
    yield from (number / 20 for number in range(200))


def test_a_printed_radius_reads_as_at_most_the_radius_and_is_close():
    count = 0
    for radius in _radii(100_000):
        if not math.isfinite(radius):
            continue
        count += 1
        text = rounded_down(radius)
        read = float(text)
        assert read <= radius
        digits = Decimal(text).as_tuple().digits
        assert len(digits) <= 6
        exact = Fraction(radius)
        # As a number, too: beyond the float by no more than its own rounding to a short decimal.
        assert Fraction(Decimal(text)) <= exact or read == radius
        assert exact - Fraction(Decimal(text)) <= exact / 10**5 + Fraction(5e-324)
    assert count > 90_000


def test_a_radius_of_six_digits_keeps_its_value_and_a_longer_one_loses_its_tail():
    written = {0.0: "0.0", 0.3: "0.3", 0.25: "0.25", 1.0: "1.0", 1 / 3: "0.333333"}
    written |= {
        0.1 + 0.2: "0.300000",
        2 / 3: "0.666666",
        0.9999999: "0.999999",
        1.8952365: "1.89523",
    }
    assert {radius: rounded_down(radius) for radius in written} == written


@pytest.mark.parametrize("radius", [-0.1, math.inf, math.nan, "0.1", 1j, None, [0.1], [[0.1]]])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(ValueError, match=r"radius (is .*: give|holds NaN)"):
        rounded_down(radius)


def test_the_table_reads_as_the_customary_one_and_as_ours(tmp_path):
    path = tmp_path / "run.tsv"
    _go_on(path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0])[:6] == ["idx", "label", "predict", "radius", "correct", "time"]
    expected = _columns(range(9))
    assert [int(row["idx"]) for row in rows] == expected["idx"].tolist()
    assert [int(row["correct"]) for row in rows] == expected["correct"].astype(int).tolist()
    assert all(math.isnan(float(row["time"])) for row in rows)
    table = _read(path)
    assert table.header == {**HEADER, "columns": " ".join(log.CERTIFY_COLUMNS)}
    assert list(table.columns) == list(log.CERTIFY_COLUMNS)
    for name, values in expected.items():
        if name == "radius":
            assert (table.columns[name] <= values).all()
            np.testing.assert_allclose(table.columns[name], values, rtol=1e-5)
        else:
            np.testing.assert_array_equal(table.columns[name], values)
    lines = path.with_suffix(".times.jsonl").read_text().splitlines()
    assert [json.loads(line)["images"] for line in lines] == [
        [0, 2],
        [2, 4],
        [4, 6],
        [6, 8],
        [8, 9],
    ]


def test_a_log_cut_at_any_byte_is_completed_to_the_same_bytes(tmp_path):
    whole, cut = tmp_path / "whole.tsv", tmp_path / "cut.tsv"
    _go_on(whole, stop=4)
    content = whole.read_bytes()
    cut.with_suffix(".json").write_bytes(whole.with_suffix(".json").read_bytes())
    for size in range(len(content) + 1):
        cut.write_bytes(content[:size])
        complete = max(content[:size].count(b"\n") - 1, 0)
        assert _go_on(cut, stop=4, chunk=3) == complete
        assert cut.read_bytes() == content
    assert cut.with_suffix(".json").read_bytes() == whole.with_suffix(".json").read_bytes()


@pytest.mark.parametrize("left", ["header only", "empty table", "nothing", "torn times"])
def test_a_log_killed_while_it_is_begun_is_completed_to_the_same_bytes(tmp_path, left):
    whole, begun = tmp_path / "whole.tsv", tmp_path / "begun.tsv"
    _go_on(whole)
    if left in ("header only", "torn times"):
        begun.with_suffix(".json").write_bytes(whole.with_suffix(".json").read_bytes())
    if left == "empty table":
        begun.touch()
    if left == "torn times":
        begun.with_suffix(".times.jsonl").write_text('{"images": [0, 2]}\n{"ima')
    assert _go_on(begun) == 0
    assert begun.read_bytes() == whole.read_bytes()
    assert begun.with_suffix(".json").read_bytes() == whole.with_suffix(".json").read_bytes()
    times = begun.with_suffix(".times.jsonl").read_text().splitlines()
    assert [json.loads(line)["images"][0] for line in times] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("left", ["", "\t".join(log.CERTIFY_COLUMNS)[:20], "whole", "torn row"])
def test_what_a_run_left_that_wrote_no_row_binds_nobody(tmp_path, left):
    """Older versions wrote header and columns before the first row."""
    path, whole = tmp_path / "run.tsv", tmp_path / "whole.tsv"
    _go_on(whole, header={"n": 1})
    names = "\t".join(log.CERTIFY_COLUMNS) + "\n"
    path.write_text({"whole": names, "torn row": names + "0\t0\t-1"}.get(left, left))
    columns = " ".join(log.CERTIFY_COLUMNS)
    path.with_suffix(".json").write_text(json.dumps({"alpha": 0.5, "columns": columns}))
    path.with_suffix(".times.jsonl").write_text('{"images": [0, 2]}\n')
    assert _go_on(path, header={"n": 1}) == 0
    for suffix in (".tsv", ".json", ".times.jsonl"):
        assert path.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()


def test_a_run_that_fails_before_its_first_row_leaves_nothing(tmp_path):
    for path in (tmp_path / "run.tsv", tmp_path / "new" / "deep" / "run.tsv"):
        for failure in (ValueError, KeyboardInterrupt):
            writing = log.writing(path, log.CERTIFY_COLUMNS, HEADER, IMAGES, _anything)
            with pytest.raises(failure), writing:
                raise failure
            assert list(tmp_path.iterdir()) == []


def test_a_row_that_cannot_be_written_leaves_nothing(tmp_path):
    path = tmp_path / "run.tsv"
    broken = {**_columns([0, 1]), "radius": [0.1, math.nan]}
    with (
        pytest.raises(ValueError, match="radius"),
        log.writing(path, log.CERTIFY_COLUMNS, HEADER, IMAGES, _anything) as writer,
    ):
        writer.append(broken, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run.tsv", "run.json", "run.times.jsonl"])
@pytest.mark.parametrize("kind", ["a folder", "no ordinary file"])
def test_what_is_no_ordinary_file_is_told(tmp_path, name, kind):
    (tmp_path / name).mkdir() if kind == "a folder" else os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} is {kind}: name another log"):
        _go_on(tmp_path / "run.tsv")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_a_file_is_told_with_its_name(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OSError, match="file") as refusal:
        _go_on(tmp_path / "file" / "run.tsv")
    assert "file" in str(refusal.value.filename)
    assert (tmp_path / "file").read_text() == "precious"


def test_ids_and_labels_beyond_floats_are_kept_apart(tmp_path):
    path = tmp_path / "run.tsv"
    step = 2**53 + 1  # as a float it is 2**53
    images = [(0, 0), (step, 1), (2 * step, 2)]
    header = {**HEADER, "data": {"images": 3, "skip": step}}
    rows = {**_columns(range(3)), "idx": [image for image, _ in images]}
    with log.writing(path, log.CERTIFY_COLUMNS, header, images, _anything) as writer:
        writer.append({**rows, "label": [0, 1, 2]}, {})
    assert _read(path).columns["idx"].tolist() == [0, step, 2 * step]
    assert _go_on(path, stop=3, header=header, images=images) == 3
    with pytest.raises(ValueError, match="line 3: idx is 9007199254740993, expected an image of"):
        _go_on(path, header=header, images=[images[0], (2**53, 1), images[2]])


def test_a_torn_line_is_passed_over_by_readers(tmp_path):
    path = tmp_path / "run.tsv"
    _go_on(path, stop=4)
    with path.open("ab") as file:
        file.write(b"12\t0\t1")
    np.testing.assert_array_equal(_read(path).columns["idx"], [0, 3, 6, 9])


def test_other_settings_are_refused_by_name_and_change_nothing(tmp_path):
    path = tmp_path / "run.tsv"
    _go_on(path, stop=4)
    with path.open("ab") as file:
        file.write(b"torn")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    other = {"alpha": 0.01, "noise": {"law": "gaussian", "sigma": 1.0}, "n": 5}
    with pytest.raises(ValueError, match="has other settings") as refusal:
        _go_on(path, header=other)
    told = str(refusal.value)
    assert "alpha is 0.001 in the log and 0.01 now; " in told
    assert "noise.sigma is 0.5 in the log and 1.0 now; " in told
    assert "n is absent in the log and 5 now; " in told
    assert "radii is [0.25, 0.5] in the log and absent now" in told
    assert "law is" not in told
    assert "--out" in told
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("run.tsv", "precious\n", "has no header beside it"),
        ("run.tsv", "precious", "has no header beside it"),
        ("run.json", '{"precious": 1}\n', "is no header of a log"),
        ("run.json", "precious", "is no header of a log"),
    ],
)
def test_a_file_of_another_kind_is_never_touched(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=told):
        _go_on(tmp_path / "run.tsv")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: "precious\n", "no table of a log"),
        (lambda text: "pre", "no table of a log"),
        (lambda text: "é\n" + text, "no table of a log"),
        (
            lambda text: text.replace("\n6\t2", "\n7\t2"),
            "line 4: idx is 7, expected an image of this run; delete",
        ),
        (lambda text: text.replace("\n6\t2", "\n6\t3"), "line 4: label is 3, expected 2"),
        (lambda text: text.replace("\n6\t2", "\n06\t2"), "line 4: idx is 06, expected a whole"),
        (lambda text: text.replace("\n6\t2\t1", "\n6\t2\t1.0"), "line 4: predict is 1.0"),
        (lambda text: text.replace("0.0", "nan", 1), "line 2: radius is nan, expected a radius"),
        (lambda text: text.replace("0.0", "inf", 1), "line 2: radius is inf"),
        (lambda text: text.replace("0.0", "-5", 1), "line 2: radius is -5"),
        (lambda text: text.replace("0.0", "1E+999", 1), "line 2: radius is 1E"),
        (lambda text: text.replace("0.0", "", 1), "line 2: radius is , expected"),
        (lambda text: text.replace("\t90\t", "\t9" + 30 * "9" + "\t"), "successes is 999"),
        (lambda text: text.replace("\n6\t2\t", "\n6\t2\t\t"), "damaged at line 4"),
        (lambda text: text.replace("\n6\t2", "\n\n6\t2"), "damaged at line 4"),
        (lambda text: text.replace("nan", "nun"), "damaged at line 2"),
        (lambda text: text + "27\t1\t0\n", "damaged at line 11"),
    ],
)
def test_a_damaged_table_is_refused_and_kept(tmp_path, change, told):
    path = tmp_path / "run.tsv"
    _go_on(path)
    damaged = change(path.read_text())
    path.write_text(damaged)
    with pytest.raises(ValueError, match=told):
        _go_on(path)
    assert path.read_text() == damaged


def test_a_second_process_is_kept_out_until_the_first_is_killed(tmp_path):
    path = tmp_path / "run.tsv"
    holder = (
        "import sys, time\n"
        "from rs_lib.commands.logs import log\n"
        "with log.writing(sys.argv[1], log.CERTIFY_COLUMNS, {}, [], lambda columns: {}):\n"
        "    print('open', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ValueError, match="is being written by another process"):
            _go_on(path, header={}, images=[])
        process.kill()
    assert _go_on(path, stop=2) == 0
    assert len(_read(path).columns["idx"]) == 2


@pytest.mark.parametrize("name", ["run", "run.txt", "run.json"])
def test_a_log_of_another_ending_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"give a file name that ends in \.tsv"):
        _go_on(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), r"there is no file .*run\.tsv"),
        (lambda path: path.with_suffix(".json").unlink(), r"there is no file .*run\.json"),
        (lambda path: path.write_text("idx\n"), "does not begin with the columns"),
        (lambda path: path.write_text(""), "does not begin with the columns"),
        (
            lambda path: path.open("a").write("1\t2\n"),
            "is damaged at line 11: undecided is missing",
        ),
    ],
)
def test_a_log_that_cannot_be_read_is_told(tmp_path, change, told):
    path = tmp_path / "run.tsv"
    _go_on(path)
    change(path)
    with pytest.raises(ValueError, match=told):
        _read(path)

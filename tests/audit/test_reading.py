"""Logs of any program are read: by names, whatever separates them; what is skipped is listed."""

import itertools
import re

import numpy as np
import pytest

from rs_lib import audit

ROWS = [  # image, label, predict, radius, correct
    ("0", "0", "-1", "0.0000", "0"),
    ("20", "1", "1", "1.3018", "1"),
    ("40", "2", "2", "0.7564", "1"),
    ("60", "3", "4", "0.2500", "0"),
    ("80", "4", "4", "1.0001", "1"),
]
NAMES = ("idx", "label", "predict", "radius", "correct")


def _text(rows=ROWS, names=NAMES, separator="\t", time="0:00:03.1", end="\n"):
    head = [separator.join((*names, "time"))] if names else []
    return end.join([*head, *(separator.join((*row, time)) for row in rows)]) + end


def _log(tmp_path, content):
    path = tmp_path / "log.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return audit.read_log(path)


def _require_rows(log, rows=ROWS):
    assert list(log.images) == [row[0] for row in rows]
    assert log.label.tolist() == [int(row[1]) for row in rows]
    assert log.predicted.tolist() == [int(row[2]) for row in rows]
    assert log.radius.tolist() == [float(row[3]) for row in rows]
    assert log.correct.tolist() == [row[4] == "1" for row in rows]


def _swapped(order):
    return [tuple(row[place] for place in order) for row in ROWS], [NAMES[p] for p in order]


PLAIN = {
    "tabs": _text(),
    "commas": _text(separator=","),
    "semicolons": _text(separator=";"),
    "bars": _text(separator="|"),
    "blanks": _text(separator=" "),
    "several blanks": _text(separator="   "),
    "semicolons and decimal commas": _text(separator=";").replace(".", ","),
    "CRLF": _text(end="\r\n"),
    "CR": _text(end="\r"),
    "byte-order mark": "\ufeff" + _text(),
    "UTF-16": _text().encode("utf-16"),
    "upper case": _text(names=[name.upper() for name in NAMES]),
    "no names": _text(names=None),
    "no names, commas": _text(names=None, separator=","),
    "other names": _text(names=("image", "target", "Prediction", "certified_radius", "hit")),
    "quoted": _text(names=[f'"{name}"' for name in NAMES], separator=","),
    "another order": _text(*_swapped((3, 1, 4, 0, 2))),
    "floats": _text([tuple(f"{x}.0" if i != 3 else x for i, x in enumerate(r)) for r in ROWS]),
    "True and False": _text([(*row[:4], "True" if row[4] == "1" else "False") for row in ROWS]),
    "lower case flags": _text([(*row[:4], "yes" if row[4] == "1" else "no") for row in ROWS]),
    "tensors": _text(
        [(r[0], f"tensor({r[1]})", f"tensor([{r[2]}])", r[3], f"tensor({r[4]}.)") for r in ROWS]
    ),
    "tensors on a device": _text(
        [(*r[:3], f"tensor({r[3]}, device='cuda:0')", r[4]) for r in ROWS]
    ),
    "scalars of NumPy": _text([(*r[:3], f"np.float64({r[3]})", r[4]) for r in ROWS]),
    "a column of rows first": "\n".join(
        f"{'' if n == 0 else n}{',' + line}"
        for n, line in enumerate(_text(separator=",").splitlines())
    ),
    "days in the time": _text(separator=",", time="1 day, 0:00:01"),
    "no last line end": _text().rstrip("\n"),
    "blank lines": _text().replace("\n", "\n\n"),
    "a comment sign": "#" + _text(),
}


@pytest.mark.parametrize("content", PLAIN.values(), ids=PLAIN.keys())
def test_what_is_no_fault_is_read_without_a_word(tmp_path, content):
    log = _log(tmp_path, content)
    _require_rows(log)
    assert log.remarks == ()


@pytest.mark.parametrize("content", ["radius,correct\n0.5,1\n0.0,0\n", "r;acc\n0,5;1\n0;0\n"])
def test_a_radius_and_a_flag_are_enough(tmp_path, content):
    log = _log(tmp_path, content)
    assert log.images == ("of line 2", "of line 3")
    assert log.radius.tolist() == [0.5, 0.0]
    assert log.correct.tolist() == [True, False]
    assert log.predicted.tolist() == [0, audit.ABSTAIN]


def test_a_flag_is_made_of_the_classes_and_classes_may_be_words(tmp_path):
    text = "file,label,predict,radius\na.png,cat,dog,0.5\nb.png,dog,dog,0.25\nc.png,cat,abstain,\n"
    log = _log(tmp_path, text)
    assert log.images == ("a.png", "b.png", "c.png")
    assert log.correct.tolist() == [False, True, False]
    assert log.predicted[2] == audit.ABSTAIN


@pytest.mark.parametrize("void", ["-1.0", "-1", "nan", "NaN", "inf", "-inf", "None", "", "null"])
def test_the_radius_of_an_abstention_may_be_void_and_is_listed(tmp_path, void):
    rows = [(*ROWS[0][:3], void, "0"), *ROWS[1:]]
    log = _log(tmp_path, _text(rows))
    _require_rows(log)
    assert [remark.lines for remark in log.remarks] == [(2,)]
    assert "read as 0" in log.remarks[0].told
    assert audit.printing(log) == audit.printing(_log(tmp_path, _text()))


SKIPPED = {
    "torn in the radius": (_text() + "100\t3\t3\t0.4", 7, "4 entries where other rows have 6"),
    "torn behind the radius": (_text() + "100\t3\t3\t0.41\t", 7, "5 entries"),
    "torn and gone on": (_text() + "100\t3\t3\t0.4120\t0\t0\t1.3\t1\t0:01\n", 7, "9 entries"),
    "summary": (_text() + "\nsmoothed acc 0.81 ACR 0.63\n", 8, "1 entries"),
    "summary in columns": (_text() + "mean\t\t\t0.63\t0.75\t\n", 7, "correct is '0.75'"),
    "summary of blanks": (_text(separator=" ") + "accuracy is 0.81 and ACR 0.63\n", 7, "skipped"),
    "a header again": (_text() + _text([("100", "3", "3", "0.5", "1")]), 7, "named again"),
    "settings before": ("Namespace(sigma=0.5)\n" + _text(), 1, "before the line that names"),
    "a comment": (_text() + "# done\n", 7, "1 entries"),
    "no flag": (_text([*ROWS, ("100", "3", "3", "0.1", "maybe")]), 7, "correct is 'maybe'"),
    "a class below -1": (_text([*ROWS, ("100", "3", "-2", "0.1", "0")]), 7, "predict is -2"),
    "a negative label": (_text([*ROWS, ("100", "-3", "3", "0.1", "0")]), 7, "label is -3"),
    "no label": (_text([*ROWS, ("100", "", "3", "0.1", "0")]), 7, "label is ''"),
}


@pytest.mark.parametrize(("content", "line", "told"), SKIPPED.values(), ids=SKIPPED.keys())
def test_what_cannot_be_read_is_skipped_and_listed(tmp_path, content, line, told):
    log = _log(tmp_path, content)
    before = len(ROWS)
    assert len(log.images) in (before, before + 1)  # one more behind a header that comes again
    _require_rows(
        audit.read_log(tmp_path / "log.tsv") if len(log.images) == before else log,
        (ROWS if len(log.images) == before else [*ROWS, ("100", "3", "3", "0.5", "1")]),
    )
    assert [remark.lines for remark in log.remarks] == [(line,)]
    assert told in log.remarks[0].told
    assert f"line {line}: " in "\n".join(audit.remarks(log.remarks))


UNCERTIFIED = {
    "a radius that is none": (_text([*ROWS, ("100", "3", "3", "x", "1")]), 7, "radius is 'x'"),
    "nan without abstention": (_text([*ROWS, ("100", "3", "3", "nan", "1")]), 7, "radius is 'nan'"),
    "inf without abstention": (_text([*ROWS, ("100", "3", "3", "inf", "1")]), 7, "radius is 'inf'"),
    "a negative radius": (_text([*ROWS, ("100", "3", "3", "-0.1", "1")]), 7, "radius is '-0.1'"),
    "digits with a bar": (_text([*ROWS, ("100", "3", "3", "0_1.5", "1")]), 7, "radius is '0_1.5'"),
    "too large": (_text([*ROWS, ("100", "3", "3", "1e999", "1")]), 7, "radius is '1e999'"),
    "an abstention with a radius": (
        _text([*ROWS, ("100", "3", "-1", "0.1", "0")]),
        7,
        "radius is 0.1 but predict abstains",
    ),
    "a wrong flag": (
        _text([*ROWS, ("100", "3", "4", "0.1", "1")]),
        7,
        "correct is 1 but label 3 and predict 4",
    ),
    "-1 without abstention": (_text([*ROWS, ("100", "3", "4", "-1", "0")]), 7, "radius is '-1'"),
}


@pytest.mark.parametrize(("content", "line", "told"), UNCERTIFIED.values(), ids=UNCERTIFIED.keys())
def test_an_image_whose_radius_cannot_be_read_counts_as_not_certified(
    tmp_path, content, line, told
):
    """Else the share of certified images would be one of those that the program did well."""
    log = _log(tmp_path, content)
    assert len(log.images) == len(ROWS) + 1
    assert (log.images[-1], log.predicted[-1], log.radius[-1]) == ("100", audit.ABSTAIN, 0)
    assert not log.correct[-1]
    assert log.text[-1] == ""
    assert [remark.lines for remark in log.remarks] == [(line,)]
    assert told in log.remarks[0].told
    assert log.remarks[0].told.endswith("counted as not certified")


@pytest.mark.parametrize("void", ["nan", "-1", "", "x"])
@pytest.mark.parametrize("names", ["idx\tlabel\tpredict\tradius\tcorrect", "idx\tradius\tcorrect"])
def test_the_accuracy_of_a_log_without_radii_of_wrong_answers_is_over_all_images(
    tmp_path, void, names
):
    whole = names.count("\t") == 4
    rows = [
        "\t".join([str(n), *(("3", "3" if n % 2 else "4") if whole else ()), radius, str(n % 2)])
        for n in range(40)
        for radius in ["0.5" if n % 2 else void]
    ]
    log = _log(tmp_path, "\n".join([names, *rows]) + "\n")
    assert len(log.images) == 40
    assert log.correct.mean() == 0.5


CUT = "image,label,predict,correct,radius\n0,1,1,1,0.5\n1,2,2,1,0.25\n2,12,12,1,1.25e-05"


@pytest.mark.parametrize("columns", list(itertools.permutations(range(5))))
def test_a_line_that_is_cut_off_claims_no_more_than_the_whole_one(tmp_path, columns):
    table = [line.split(",") for line in CUT.splitlines()]
    text = "\n".join(",".join(row[place] for place in columns) for row in table)
    whole = _log(tmp_path, text + "\n")
    assert (whole.radius[2], whole.correct[2]) == (1.25e-05, True)
    for cut in range(1, len(text) - text.rindex("\n") - 1):
        log = _log(tmp_path, text[:-cut])
        assert (log.radius * log.correct)[2:].sum() <= 1.25e-05
        assert log.remarks


@pytest.mark.parametrize(
    ("names", "row", "more"),
    [
        ("idx,radius,label,predict", "1,1.5,1,1", "2"),
        ("idx,radius,predict,label", "1,1.5,1,1", "2"),
        ("idx,radius,label,predict", "1,1.5,cat,cat", "erpillar"),
    ],
)
def test_a_class_that_may_be_cut_off_is_not_right(tmp_path, names, row, more):
    text = f"{names}\n0,0.5,1,1\n{row}"
    assert not _log(tmp_path, f"{text}{more}\n").correct[1]
    assert not _log(tmp_path, text).correct[1]
    assert _log(tmp_path, f"{text}\n").correct[1]


def test_rows_that_come_twice_count_once_and_those_that_differ_as_not_certified(tmp_path):
    many = [(str(n), "3", "3", f"0.{n + 100}", "1") for n in range(20)]
    log = _log(tmp_path, _text(many) + _text(many))
    _require_rows(log, many)
    again, named = log.remarks[1], log.remarks[0]
    assert again == audit.Remark(tuple(range(23, 43)), "a row that is there already: counted once")
    assert named.lines == (22,)
    log = _log(tmp_path, _text([*many, ("7", "3", "3", "0.9999", "1")]))
    assert len(log.images) == 20
    place = log.images.index("7")
    assert (log.predicted[place], log.radius[place], log.correct[place]) == (
        audit.ABSTAIN,
        0,
        False,
    )
    told = "rows of one image that differ: counted as not certified"
    assert log.remarks == (audit.Remark((9, 22), told),)
    with pytest.raises(ValueError, match="20 of 20 images have rows that differ, such as image 0"):
        _log(tmp_path, _text(many) + _text([(*row[:3], "0.1", "1") for row in many]))


def test_many_lines_of_one_kind_are_one_remark(tmp_path):
    log = _log(tmp_path, _text() + "nonsense\n" * 500)
    assert len(log.remarks) == 1
    assert audit.remarks(log.remarks)[1:] == [
        "  line 7, 8, 9 and 497 more: 1 entries where other rows have 6: skipped"
    ]


REFUSED = {
    "empty": ("", "is empty: give a certification log"),
    "blank": ("\n \n", "is empty"),
    "no radius": ("idx\tlabel\tpredict\tcorrect\ttime\n0\t1\t1\t1\t2.0\n", "no line names the col"),
    "names alone": (_text([]), "line 1: the columns are named but there is no row"),
    "no row": (_text([("0", "3", "3", "x", "1")]), "line 2: radius is 'x': no finite number"),
    "prose": ("Lorem ipsum dolor sit amet, consectetur\nadipisci elit\n", "no line names the col"),
    "bytes": (bytes(range(256)), "is no text: give a certification log, unpacked"),
    "two radii": ("radius\tradius\tcorrect\n0.1\t0.2\t1\n", "two columns are named radius"),
    "numbers": ("\n".join(f"{n}\t{n * 2}\t7\t0.5\t1" for n in range(9)), "no line names the col"),
}


@pytest.mark.parametrize(("content", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_of_which_nothing_can_be_read_is_refused(tmp_path, content, told):
    with pytest.raises(ValueError, match=re.escape(told)) as refused:
        _log(tmp_path, content)
    assert str(tmp_path / "log.tsv") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_text_whatever_fails_otherwise(tmp_path):
    """Cut, doubled and garbled logs give a log or one sentence. Seeded; it cannot fail by chance
    where the reader is right."""
    rng = np.random.default_rng(0)
    base = bytearray(_text(ROWS * 1).encode())
    for _ in range(400):
        data = bytearray(base)
        for _ in range(rng.integers(1, 6)):
            place, kind = int(rng.integers(len(data))), rng.integers(4)
            if kind == 0:
                data[place] = int(rng.integers(256))
            elif kind == 1:
                del data[place : place + int(rng.integers(1, 9))]
            elif kind == 2:
                data[place:place] = data[: int(rng.integers(40))]
            else:
                data[place:place] = b'\t\n,; \x00\xff"'[int(rng.integers(8)) :][:1]
            if not data:
                data = bytearray(b"x")
        told = None
        try:
            log = _log(tmp_path, bytes(data))
        except ValueError as error:
            told = str(error)
        if told is not None:
            assert "\n" not in told
            continue
        assert len(log.images) == len(set(log.images)) == len(log.radius)
        assert (log.radius >= 0).all()
        assert np.isfinite(log.radius).all()

"""A record is believed only if it has a record's form: no name in it leads out of the book."""

import copy
import json

import pandas as pd
import pytest

from rs_lib.book import citation, figures, pictures, records, snippets
from rs_lib.book.house import House
from rs_lib.book.records import Record, Tolerance
from rs_lib.record import digests

DATA = pd.DataFrame({"x": [0.0, 1.0], "y": [0.1, 2.0], "series": ["a", "b"]})


@pytest.fixture
def folder(tmp_path):
    """A folder with the data and the record of one figure with frames, fig-a; no pictures."""
    csv = pictures.to_csv(DATA)
    content = {
        "id": "fig-a",
        "caption": "A line.",
        "alt": "A line that rises from left to right.",
        "chapter": "tiny",
        "draw": "rs_lib.book.drawings.toy:line",
        "data": digests.sha256(csv),
        "pictures": dict.fromkeys(("svg", "00.svg", "01.svg"), "0" * 64),
        "statistics": "",
        "tolerance": {"rtol": 0.0, "atol": 0.05, "reason": "votes differ"},
        "frames": {"column": "series", "labels": ["a", "b"]},
    }
    run = {
        "parameters": {"profile": "quick", "n": 3, "share": 0.5, "loud": False},
        "inputs": {"runs.full": "d1"},
        "code": "c0de",
        "arithmetic": {"OMP_NUM_THREADS": "1"},
        "commit": "1",
        "device": "a",
        "time": "2026-11-28T21:50:31+00:00",
        "versions": {},
    }
    (tmp_path / "fig-a.csv").write_text(csv)
    (tmp_path / "fig-a.json").write_text(json.dumps({"content": content, "run": run}))
    return tmp_path


def test_a_record_in_order_is_read(folder):
    assert records.load(folder, "fig-a") == Record(**_stored(folder))
    assert records.figure_ids(folder) == ["fig-a"]


def _stored(folder):
    return json.loads((folder / "fig-a.json").read_text())


def _store(folder, stored):
    (folder / "fig-a.json").write_text(stored if isinstance(stored, str) else json.dumps(stored))


NAMES = (
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0",
    "a\n",
    "a b",
    "A",
    "é",
    "a}",
    "-",
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("id", f"fig-{name}") for name in NAMES),
        ("id", "fig-b"),
        ("id", "fig-" + "a" * 500),
        *(("chapter", name) for name in NAMES),
        ("chapter", ["tiny"]),
        ("draw", "os:system"),
        ("draw", "rs_lib.book.drawings:line"),
        ("draw", "rs_lib.book.drawings.toy:_line"),
        ("draw", "rs_lib.book.drawings.toy:line.x"),
        ("draw", "rs_lib.book.drawings..toy:line"),
        ("draw", "rs_lib.book.drawings.toy.line"),
        ("draw", "xrs_lib.book.drawings.toy:line"),
        ("caption", " "),
        ("caption", None),
        ("caption", "\ud800 words"),
        ("alt", "Too few words"),
        ("alt", 5),
        ("parameters", {"n": float("nan")}),
        ("parameters", {"n": [1]}),
        ("parameters", []),
        ("inputs", {"../x": "d1"}),
        ("inputs", {"x": 1}),
        ("data", "0" * 63),
        ("data", "../x"),
        ("tolerance", {"rtol": -1, "atol": 0, "reason": "x"}),
        ("tolerance", {"rtol": float("inf"), "atol": 0, "reason": "x"}),
        ("tolerance", {"rtol": float("nan"), "atol": 0, "reason": "x"}),
        ("tolerance", {"rtol": 0, "atol": 0, "reason": " "}),
        ("tolerance", {"rtol": 0}),
        ("tolerance", 0.5),
        ("frames", {"column": "series", "labels": ["a"]}),
        ("frames", {"column": "series", "labels": ["a", "a"]}),
        ("frames", {"column": "series", "labels": ["a", 1]}),
        ("frames", {"column": "series"}),
        ("unknown", 1),
    ],
)
def test_a_field_of_another_form_is_refused_wherever_it_is_read(folder, field, value):
    stored = _stored(folder)
    stored["content"][field] = value
    with pytest.raises(ValueError, match=r"^(record|\w+) of "):
        Record(**copy.deepcopy(stored)) if value != "fig-b" else Record({}, {})
    _store(folder, stored)
    for read in (lambda: records.load(folder, "fig-a"), lambda: figures.redraw("fig-a", folder)):
        with pytest.raises(
            ValueError, match=r"^fig-a\.json is no record .*publish the figure again"
        ):
            read()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "5", "[" * 100_000, '{"content": {}}'),
        *('{"content": 1, "run": 2}', '{"content": {"id": "fig-a"}, "run": {}}'),
        '{"content": {}, "run": {}, "more": 1}',
    ],
)
def test_a_file_that_is_no_record_is_refused_by_name(folder, text):
    _store(folder, text)
    with pytest.raises(ValueError, match=r"^fig-a\.json is no record"):
        records.load(folder, "fig-a")


def test_what_is_missing_is_refused_as_well(folder):
    for part in ("content", "run"):
        for field in set(_stored(folder)[part]) - {"frames"}:
            stored = _stored(folder)
            del stored[part][field]
            with pytest.raises(ValueError, match=f"lacks, or should not have, '{field}'"):
                Record(**stored)


@pytest.mark.parametrize(
    "name", [*(f"fig-{name}" for name in NAMES), "../fig-a", "fig-b", "", None]
)
def test_an_id_that_is_not_recorded_is_refused_before_a_file_is_opened(folder, name):
    outside = folder.parent / "evil.json"
    outside.write_text("{")
    for wrong in (name, f"../{outside.stem}", "x" * 10_000):
        with pytest.raises(ValueError, match=r"^figure is .*: give one of fig-a"):
            records.load(folder, wrong)


def test_redraw_imports_and_calls_nothing_from_outside(folder, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(
        f"open({str(tmp_path / 'was-here')!r}, 'w').close()\ndef line(data): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("evil_module:line", "rs_lib.book.drawings.neyman_pearson:pd", "os:getcwd"):
        with pytest.raises(ValueError, match="give a public function of"):
            records.drawing(name)
        stored = _stored(folder)
        stored["content"]["draw"] = name
        _store(folder, stored)
        with pytest.raises(ValueError, match="draw"):
            figures.redraw("fig-a", folder)
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    "name",
    ["neyman_pearson:style", "neyman_pearson:absent", "absent:line", "neyman_pearson:_checked"],
)
def test_a_drawing_is_a_public_function_defined_among_the_drawings(name):
    with pytest.raises(ValueError, match="give a public function of"):
        records.drawing(f"{records.DRAWINGS}.{name}")


def test_every_recorded_drawing_is_found():
    for figure_id in records.figure_ids(House().figures):
        assert callable(records.drawing(records.load(House().figures, figure_id).content["draw"]))


def test_a_drawing_for_other_data_is_one_sentence(folder):
    stored = _stored(folder)
    stored["content"]["draw"] = f"{records.DRAWINGS}.neyman_pearson:ceiling"
    _store(folder, stored)
    with pytest.raises(ValueError, match=r"^draw of fig-a is .* cannot draw its data"):
        figures.redraw("fig-a", folder)


@pytest.mark.parametrize("rtol", [-1e-9, float("inf"), float("nan"), "1", 1j, None, [1.0, 2.0]])
def test_a_tolerance_is_finite_and_not_negative(rtol):
    with pytest.raises(ValueError, match=r"^rtol "):
        Tolerance(rtol, 0.0, "votes differ")
    with pytest.raises(ValueError, match=r"^atol "):
        Tolerance(0.0, rtol, "votes differ")


def test_words_cannot_leave_the_fences_of_a_snippet(folder):
    content = _stored(folder)["content"]
    content["caption"] = "A `` ` `` caption.\n\n```\n```{raw} html\n<script>x</script>\n"
    content["alt"] = "Five words are here now\n```\n<script>\n:name: evil # \"'"
    content["frames"]["labels"] = ["a = 1\n```\n<script>", "a = `2`"]
    record = Record(content, _stored(folder)["run"])
    lines = snippets.snippet(record, record, "identical").splitlines()
    assert lines.count("```") == 4  # raw, two images, downloads; the caption has a longer fence
    assert sum(line.startswith((":name:", ":alt:")) for line in lines) == 4
    assert "<script" not in "".join(line for line in lines if "alt:" not in line).replace(r"\<", "")
    entry = snippets.bibtex(record, citation.load(House()))
    assert entry.count("{") == entry.count("}")

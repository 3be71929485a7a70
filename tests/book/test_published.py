"""Published values: well formed, sourced, and found by name."""

import ast
import re

import jupytext
import pytest

from rs_lib.book import published
from rs_lib.book.house import House

GOOD = {
    "id": '"a2020-x"',
    "source": '"a2020"',
    "quantity": '"accuracy"',
    "trust": '"read"',
    "setting": '"a setting"',
    "values": "[0.5, 0.25]",
    "at": "[0.0, 1.0]",
}


def _load(tmp_path, *entries):
    file = tmp_path / "published.toml"
    file.write_text(
        "".join(
            "[[value]]\n" + "".join(f"{key} = {value}\n" for key, value in entry.items())
            for entry in entries
        )
    )
    return published.load(file)


def test_a_good_entry_is_read(tmp_path):
    entry = _load(tmp_path, GOOD)["a2020-x"]
    assert (entry.values, entry.at, entry.value) == ((0.5, 0.25), (0.0, 1.0), 0.5)
    unverified = {**GOOD, "trust": '"not verified"', "values": "[]", "at": "[]"}
    assert _load(tmp_path, unverified)["a2020-x"].value is None


@pytest.mark.parametrize(
    "change",
    [
        {"trust": '"hearsay"'},
        {"trust": '"not verified"'},
        {"values": "[]", "at": "[]"},
        {"at": "[0.0]"},
        {"values": "0.5", "at": "[]"},
        {"values": '["0.5", "0.25"]'},
        {"values": "[nan, 0.5]"},
        {"at": "[0.0, true]"},
        {"value": "[0.5]"},
        {"source": None},
        {"source": '"a b"'},
        {"source": '"a`b"'},
        {"source": "5"},
        {"values": "[inf, 0.5]"},
        {"values": "[-inf, 0.5]"},
        {"values": "[[0.5], [0.25]]"},
        {"values": "[2020-01-01, 2020-01-02]"},
        {"values": f"[1{'0' * 400}, 1]"},
        {"at": "[nan, 1.0]"},
        {"quantity": '" "'},
        {"quantity": "1"},
        {"setting": '"""two\nlines"""'},
        {"setting": "2020-01-01"},
        {"trust": '["read"]'},
        {"images": "-1"},
        {"images": "true"},
        {"images": "1.5"},
        {"note": "[1]"},
        {'"a b"': "1"},
    ],
)
def test_a_malformed_entry_is_refused_by_name(tmp_path, change):
    entry = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ValueError, match="published value a2020-x: "):
        _load(tmp_path, entry)


def test_an_entry_without_id_and_a_double_id_are_refused(tmp_path):
    with pytest.raises(ValueError, match="without id"):
        _load(tmp_path, {key: value for key, value in GOOD.items() if key != "id"})
    with pytest.raises(ValueError, match="a2020-x: the id stands twice"):
        _load(tmp_path, GOOD, GOOD)


@pytest.mark.parametrize("name", ['"../x"', '"a b"', '"a`"', '""', "5", '["a"]', '"a\\u0000"'])
def test_an_id_is_a_name(tmp_path, name):
    with pytest.raises(ValueError, match=r"published value .*: id is .*: give a name"):
        _load(tmp_path, GOOD | {"id": name})


@pytest.mark.parametrize(
    "text",
    ["value = 3", "value = [1]", "value = ['a']", "[[vale]]", "x = 1", "[value]", "[[", "\x00"],
)
def test_a_file_of_another_form_is_refused(tmp_path, text):
    file = tmp_path / "published.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"^published(\.toml| value) "):
        published.load(file)


@pytest.mark.parametrize("name", [None, 5, ["a"], "", "x" * 10_000, "a\0"])
def test_what_is_no_name_is_unknown(name):
    with pytest.raises(KeyError, match="no published value"):
        published.published(name)


def test_an_unknown_name_offers_similar_ones():
    known = next(iter(published.load()))
    assert published.published(known).id == known
    with pytest.raises(KeyError, match=re.escape(known)):
        published.published(known[:-1] + "?")


def test_every_source_is_in_the_bibliography():
    house = House()
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", house.bibliography.read_text(), re.MULTILINE))
    sources = {entry.source for entry in published.load(house.published).values()}
    assert sources
    assert sources <= keys


def _patterns(code):
    """Yield a pattern for every id that a cell gives to `published`; {…} stands for any text."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "published":
            parts = getattr(node.args[0], "values", [node.args[0]])
            yield "".join(
                re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in parts
            )


@pytest.mark.parametrize("chapter", House().chapter_names())
def test_every_id_that_a_chapter_uses_exists(chapter):
    notebook = jupytext.read(House().source(chapter), fmt="md:myst")
    ids = published.load()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for pattern in _patterns(cell.source):
                assert any(re.fullmatch(pattern, name) for name in ids), pattern

"""Chapter parameters are strict, and what is wrong is said before anything runs."""

import re

import jupytext
import pytest
from conftest import CHAPTER, HEAD

from rs_lib.book import parameters
from rs_lib.book.parameters import Parameter


def _declared(*lines):
    cell = "\n".join(("```{code-cell} ipython3", ":tags: [parameters]", "", *lines, "```"))
    return parameters.declared(jupytext.reads(f"{HEAD}# Title\n\n{cell}\n", fmt="md:myst"))


def test_every_type_is_read_with_its_default():
    known = _declared("n: int = 3  # count", "r: float = 1e-3", 's: str = "a b"', "b: bool = True")
    assert known == {
        "n": Parameter(int, 3, "count"),
        "r": Parameter(float, 1e-3),
        "s": Parameter(str, "a b"),
        "b": Parameter(bool, True),
    }
    assert parameters.listing(known).splitlines()[:2] == [
        "n: int = 3        count",
        "r: float = 0.001",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "n = 3",
        "n: list = [1]",
        "n: int = 0.5",
        'n: int = "3"',
        "n: int = True",
        "n: float = 1",
        "n: int = 10**3",
        "n: str = None",
    ],
)
def test_an_untyped_or_mistyped_declaration_is_refused(line):
    with pytest.raises(ValueError, match="parameter n has the"):
        _declared("m: int = 1", line)


KNOWN = {
    "profile": Parameter(str, "quick"),
    "device": Parameter(str, "cpu"),
    "n": Parameter(int, 3),
    "r": Parameter(float, 0.5),
    "b": Parameter(bool, False),
    "s": Parameter(str, "x"),
}


def test_given_texts_become_values():
    given = {"n": "12", "r": "2", "b": "True", "s": "12", "device": "cuda"}
    values = parameters.resolve("tiny", KNOWN, given)
    turned = {"n": 12, "r": 2.0, "b": True, "s": "12"}
    assert values == {"profile": "quick", "device": "cuda", **turned}
    assert [type(value) for value in values.values()] == [str, str, int, float, bool, str]
    assert parameters.turned(values, KNOWN) == turned
    assert parameters.resolve("tiny", KNOWN, {})["n"] == 3
    assert parameters.turned(parameters.resolve("tiny", KNOWN, {"n": "3"}), KNOWN) == {}


@pytest.mark.parametrize("value", ["3", "4"])
def test_the_full_profile_takes_no_parameter_of_the_quick_one(value):
    given = {"profile": "full", "n": value, "device": "cuda"}
    with pytest.raises(
        ValueError, match=rf"^parameter n is '{value}': leave it out of profile=full"
    ):
        parameters.resolve("tiny", KNOWN, given)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n", "1.5"),
        ("n", "True"),
        ("n", "twelve"),
        ("n", ""),
        ("r", "half"),
        ("b", "1"),
        ("b", "yes"),
        ("r", "1e999"),
        ("r", "-1e999"),
        ("r", "nan"),
        ("r", "1j"),
        ("n", "1e999"),
        ("n", "{[]: 1}"),
        ("s", ""),
    ],
)
def test_a_mistyped_value_is_named(name, text):
    with pytest.raises(ValueError, match=re.escape(f"parameter {name} is '{text}'")):
        parameters.resolve("tiny", KNOWN, {name: text})


@pytest.mark.parametrize("kind", ["n", "r", "b"])
@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "-" * 200_000 + "1", "9" * 5_000, "1" + "0" * 400, "\0", "1\n2", "\udcff"],
)
def test_a_value_that_no_parser_likes_is_one_short_sentence(kind, text):
    if kind == "n" and text == "1" + "0" * 400:
        return  # a whole number like any other
    with pytest.raises(ValueError, match=f"^parameter {kind} is .*: give a") as refused:
        parameters.resolve("tiny", KNOWN, {kind: text})
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\x1b[31m", "\udcff", "\u2028"])
def test_a_text_is_printable(text):
    with pytest.raises(ValueError, match=r"^parameter s is .*: give a text on one line"):
        parameters.resolve("tiny", KNOWN, {"s": text})


@pytest.mark.parametrize("text", ["---\n: [\n---\n", "\ufffe\udcff", "---\njupytext: 5\n---\nx"])
def test_a_source_that_is_no_myst_is_named(tmp_path, text):
    path = tmp_path / "tiny.md"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        parameters.read_source(path)
    except ValueError as error:
        assert str(error).startswith("chapter tiny.md is no MyST text")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"'N' is unknown to tiny: give one of profile, device, n, r"
    ):
        parameters.resolve("tiny", KNOWN, {"N": "3"})


def test_an_unknown_profile_is_told_with_the_known_ones():
    with pytest.raises(ValueError, match="profile is 'fast': give one of quick, full"):
        parameters.resolve("tiny", KNOWN, {"profile": "fast"})


def test_cell_ids_are_stable(tmp_path):
    path = tmp_path / "tiny.md"
    path.write_text(CHAPTER)
    once, again = (parameters.read_source(path).cells for _ in range(2))
    assert [cell.id for cell in once] == [cell.id for cell in again]
    assert [cell.id for cell in once] == [f"tiny-{index}" for index in range(len(once))]

"""Symbols: one list, from which the notation page and each chapter's box are made."""

import pytest

from rs_lib.book import cards, symbols
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House

HOUSE = House()


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (r"$x\in\mathbb R^d$", ["x"]),
        (r"$g_c(x)=\mathbb P(f(x+Z)=c)$", ["g_c("]),
        (r"$K$, $k$; $\underline p(k)$", ["K", "k", r"\underline p("]),
        (r"$\mathbb 1[\dots]$, $(\dots)_+$", [r"\mathbb 1[", ")_+"]),
    ],
)
def test_a_row_names_its_symbols(row, names):
    assert symbols.marks(row) == names


@pytest.mark.parametrize(
    ("mark", "text", "there"),
    [
        ("n", "With $n$ samples", True),
        ("n", r"$n_0$ and $\min$ and no n", False),
        ("f", r"$\frac12$, $\text{if}$", False),
        (r"\underline{p}_A", r"$\underline p_A>\frac12$", True),
        ("P", r"$\mathbb P(A)$", False),
        ("d(", r"$$r\,d\bigl(\tfrac12,p\bigr)$$", True),
        ("g", "```{code-cell} ipython3\nsay('$g$')\n```\n", False),
    ],
)
def test_a_symbol_is_found_in_formulas_and_only_as_itself(mark, text, there):
    assert symbols.occurs(mark, symbols.formulas(text)) == there


@pytest.mark.parametrize("name", HOUSE.chapter_names())
def test_a_chapter_s_box_has_symbols_of_its_text(name):
    stored = symbols.load(HOUSE)
    rows = symbols.of_chapter(HOUSE, name, stored)
    written = symbols.formulas(HOUSE.source(name).read_text())
    assert set(stored[name]) <= set(rows)
    marks = [mark for row in rows for mark in symbols.marks(row)]
    assert marks
    assert [mark for mark in marks if not symbols.occurs(mark, written)] == []
    # What a chapter takes for something else is told once in its box, in the chapter's sense.
    own = {mark.removesuffix("(") for row in stored[name] for mark in symbols.marks(row)}
    shared = [m for row in set(rows) - set(stored[name]) for m in symbols.marks(row)]
    assert own.isdisjoint(mark.removesuffix("(") for mark in shared)


def test_the_card_holds_the_box(tiny):
    card = cards.parts(tiny)["card-tiny"]
    assert "{dropdown} Symbols of this chapter" in card
    assert "* - $a$, $b$\n  - two numbers, whose sum is squared" in card
    assert "a number" in card
    assert "two numbers" in symbols.parts(tiny)["symbols-by-chapter"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[everywhere]\n", "differ in tiny"),
        ("[everywhere]\n[tiny]\n'$q$' = 'nothing'\n", "no formula has 'q'"),
        ("[everywhere]\n'$q$' = 'nothing'\n[tiny]\n'$a$' = 'one'\n", "everywhere: no formula"),
    ],
)
def test_symbols_that_no_text_has_are_refused(tiny, text, message):
    (tiny.book / "symbols.toml").write_text(text)
    with pytest.raises(SiteError, match=message):
        symbols.load(tiny)

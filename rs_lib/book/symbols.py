"""Symbols: what each means in the book and in a chapter, from `book/symbols.toml` alone.

The page of the notation has all of them; a box at the head of each chapter has those it uses.
"""

import re
import tomllib

from rs_lib.arguments import shown
from rs_lib.book import contents, markup
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House

EVERYWHERE = "everywhere"
_CODE = re.compile(r"^(`{3,})\{code-cell\}.*?^\1`*$", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$]+)\$", re.DOTALL)
_TOKEN = re.compile(
    r"\\(?:text|mathrm|operatorname|begin|end)\*?\{[^}]*\}|\\math(?:bb|cal)\s*\{?[A-Za-z0-9]"
    r"|\\[A-Za-z]+|\\.|[^\s{}]"
)
"""TeX's tokens; words, and letters in another face, are one each."""
_SIZES = re.compile(r"\\(?:[Bb]igg?[lrm]?|left|right)(?![A-Za-z])|\\[,;:!]")
"""Brackets made larger and small spaces: writing that is no part of a symbol."""

Rows = dict[str, str]


def load(house: House) -> dict[str, Rows]:
    """Return for "everywhere" and for each chapter what its symbols mean, by symbol.

    Raises SiteError for a chapter without symbols, symbols of no chapter, and for a symbol that
    the text of its chapter, or of every chapter, does not have.
    """
    stored: dict[str, Rows] = tomllib.loads((house.book / "symbols.toml").read_text())
    names = set(house.chapter_names())
    if set(stored) != names | {EVERYWHERE}:
        odd = ", ".join(sorted(set(stored) ^ (names | {EVERYWHERE})))
        raise SiteError(f"book/symbols.toml and the chapters differ in {odd}: give each its rows")
    written = {name: formulas(house.source(name).read_text()) for name in names}
    for place, rows in stored.items():
        texts = list(written.values()) if place == EVERYWHERE else [written[place]]
        for mark in (mark for row in rows for mark in marks(row)):
            if not any(occurs(mark, text) for text in texts):
                raise SiteError(
                    f"book/symbols.toml, {place}: no formula has {shown(mark)}: remove it"
                )
    return stored


def parts(house: House) -> dict[str, str]:
    """Return what the page of the notation includes, as Markdown, by file."""
    stored = load(house)
    chapters: list[tuple[str, str]] = []
    for page in contents.pages(house):
        name = page.removeprefix("chapters/")
        if name in stored:
            title = contents.chapter_title(house, name)
            chapters += [(f"**[{title}](chapters/{name}.ipynb)**", ""), *stored[name].items()]
    return {
        "symbols-everywhere": _table(list(stored[EVERYWHERE].items())),
        "symbols-by-chapter": _table(chapters),
    }


def box(house: House, name: str) -> str:
    """Return the closed box of a chapter's symbols, as Markdown, for a page in `chapters/`."""
    rows = of_chapter(house, name, load(house))
    return (
        f"::::{{dropdown}} Symbols of this chapter\n{_table(list(rows.items()))}\n"
        "All of the book: [Notation](../notation.md).\n::::\n"
    )


def _table(rows: list[tuple[str, str]]) -> str:
    lines = ["* - Symbol", "  - Meaning"]
    for symbol, meaning in rows:
        lines += [f"* - {markup.inline(symbol)}", f"  - {markup.inline(meaning)}".rstrip()]
    options = ":header-rows: 1\n:widths: 30 70\n:class: rs-stack"
    return "```{list-table}\n" + options + "\n\n" + "\n".join(lines) + "\n```\n"


def marks(row: str) -> list[str]:
    """Return what to look for of each symbol of a row: `g_c(` of "$g_c(x)=…$", `x` of "$x∈…$"."""
    found = []
    for _, formula in _FORMULA.findall(row):
        name = re.split(r"=|\\in(?![A-Za-z])", formula)[0]
        pieces = name.split("\\dots")
        found.append(
            max(pieces, key=len)
            if len(pieces) > 1
            else re.sub(r"(?<=.)\(.*", "(", name, flags=re.DOTALL)
        )
    return found


def formulas(source: str) -> list[list[str]]:
    """Return the formulas of a chapter's text, each as its TeX tokens without braces."""
    text = _CODE.sub("", source)
    return [_tokens(display or inline) for display, inline in _FORMULA.findall(text)]


def _tokens(formula: str) -> list[str]:
    return _TOKEN.findall(_SIZES.sub(" ", formula))


def occurs(mark: str, written: list[list[str]]) -> bool:
    """Whether a formula has this symbol; one with an index is another symbol."""
    wanted = _tokens(mark)
    size = len(wanted)
    return any(
        formula[at : at + size] == wanted and formula[at + size : at + size + 1] != ["_"]
        for formula in written
        for at in range(len(formula) - size + 1)
    )


def of_chapter(house: House, name: str, stored: dict[str, Rows]) -> Rows:
    """Return the symbols of a chapter: its own, and those of everywhere that it keeps.

    A row of everywhere stays if the text has one of its symbols, in no sense of the chapter's own.
    """
    own = stored[name]
    taken = {_name(mark) for row in own for mark in marks(row)}
    written = formulas(house.source(name).read_text())
    kept = {
        row: meaning
        for row, meaning in stored[EVERYWHERE].items()
        if any(occurs(m, written) and _name(m) not in taken for m in marks(row))
    }
    return own | kept


def _name(mark: str) -> str:
    """Return a symbol as one string, a function without its bracket."""
    return "".join(_tokens(mark)).removesuffix("(")

"""The library beside its theorems: which function computes what a label states, and its source.

A docstring names the labels in a sentence, "In the book: thm-radius, eq-radius." Theorems link to
these functions, and the pages of the sources link back.
"""

import ast
import html
import re
from dataclasses import dataclass
from pathlib import Path

from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

from rs_lib.book import claims
from rs_lib.book.house import House

_NAMED = re.compile(r"In the book: ([\w:.-]+(?:,\s+[\w:.-]+)*)\.(?=[\s<]|$)")
_Documented = ast.FunctionDef | ast.ClassDef
FOLDER = "library"
"""Where the pages lie, beside the chapters."""


@dataclass(frozen=True)
class Function:
    """A function or class whose docstring names labels: its module, name and line."""

    module: str
    name: str
    line: int

    @property
    def shown(self) -> str:
        """Return the name with the last part of its module's."""
        return f"{self.module.rpartition('.')[2]}.{self.name}"

    @property
    def page(self) -> str:
        """Return its place on a page of `FOLDER`."""
        return f"{FOLDER}/{self.module}.html#L-{self.line}"


def named(docstring: str) -> list[str]:
    """Return the labels that a docstring names."""
    return [
        label for match in _NAMED.finditer(docstring) for label in re.split(r",\s+", match.group(1))
    ]


def functions(house: House) -> dict[str, list[Function]]:
    """Return for each label the functions and classes whose docstrings name it, in order."""
    found: dict[str, list[Function]] = {}
    for module, path in _modules(house):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, _Documented):
                for label in named(ast.get_docstring(node) or ""):
                    found.setdefault(label, []).append(Function(module, node.name, node.lineno))
    return found


def _modules(house: House) -> list[tuple[str, Path]]:
    root = house.root / "rs_lib"
    paths = sorted(path for path in root.rglob("*.py") if "book" not in path.parts)
    return [(".".join(path.relative_to(house.root).with_suffix("").parts), path) for path in paths]


def pages(house: House) -> dict[str, str]:
    """Return a page, as Markdown, for each module with a function that a theorem links to."""
    wanted = {found.module for every in functions(house).values() for found in every}
    places = label_places(house)
    return {
        module: source_page(module, path.read_text(), PythonLexer(), _NAMED, places)
        for module, path in _modules(house)
        if module in wanted
    }


def label_places(house: House) -> dict[str, str]:
    """Return for each label of the book where it stands, seen from a folder beside the chapters."""
    return {
        label: f"../{name}.html#{'equation-' if label.startswith('eq-') else ''}{label}"
        for name in house.chapter_names()
        for label in claims.labels(house.source(name).read_text())
    }


def source_page(
    name: str, source: str, lexer: Lexer, named: re.Pattern[str], places: dict[str, str]
) -> str:
    """Return a page that shows a source with its lines numbered.

    Where the pattern `named` matches, each label of the book is a link to its place in `places`.
    """
    formatter = HtmlFormatter(
        linenos="inline", lineanchors="L", anchorlinenos=True, cssclass="highlight"
    )
    made = highlight(source, lexer, formatter)
    made = made.replace("<pre>", f'<pre tabindex="0" aria-label="source of {name}">', 1)
    linked = named.sub(lambda match: _with_links(match.group(0), places), made)
    return (
        f"---\norphan: true\n---\n\n# `{name}`\n\n"
        "The source, as it stood for these pages. A label in it leads to what it names.\n\n"
        f'```````{{raw}} html\n<div class="rs-source">{linked}</div>\n```````\n'
    )


def _with_links(text: str, places: dict[str, str]) -> str:
    def link(match: re.Match[str]) -> str:
        place = places.get(match.group(0))
        return f'<a href="{html.escape(place)}">{match.group(0)}</a>' if place else match.group(0)

    return re.sub(r"[\w:-]+(?:\.[\w:-]+)*", link, text)

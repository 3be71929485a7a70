"""A Sphinx extension for what no option of the theme or of other extensions offers.

The theme loads Thebe, which runs code in the page on a remote machine, and declares it twice,
an error in the browser's console. The book works without a network and does without it.
sphinx-proof gives all proofs of a page one id and sets "Proof." in the type of the text.
Checks fold to one line, and each theorem links to its check and to the functions of the library.
The search finds prose: code and the letters of formulas are no words that a reader looks for.
The names of book and authors stand in CITATION.cff.
sphinxcontrib-bibtex cites by author and year, and gives two papers of one such name no letters.
"""

import json
import re
import string
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx import search
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from rs_lib.book import citation, folding, formal, library
from rs_lib.book.claims import Claim
from rs_lib.book.house import House

_CLAIMS = "rs_claims"


def _name(app: Sphinx, config: Config) -> None:
    """Give the pages the title and the authors of the citation file."""
    cited = citation.load(House(Path(app.srcdir).parent))
    config.author = cited.names
    config.project = config.html_title = cited.title
    config.html_theme_options["logo"]["text"] = cited.title


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    """Fold an executed notebook, which shows in its outputs the figures that the page includes."""
    if not app.env.doc2path(name).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    proved = formal.theorems(House(Path(app.srcdir).parent))
    app.env.temp_data[_CLAIMS] = folding.fold(notebook, proved)
    source[0] = json.dumps(notebook)


def _letter_years(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    tell_apart(env.get_domain("cite").bibdata.data.entries.values())  # type: ignore[attr-defined]


def tell_apart(entries: Iterable[Any]) -> None:
    """Add a, b, … in the order of their titles to the years of works that are cited alike.

    A citation names two authors, or the first of more, so works of different groups can meet too.
    The letter goes into the entry, from which the citation and the bibliography both are made. An
    environment that Sphinx kept from its last run has the letters already, and stays as it is.
    """
    alike = defaultdict(list)
    for entry in entries:
        people = entry.persons.get("author") or entry.persons.get("editor") or []
        named = [" ".join(map(str, p.rich_prelast_names + p.rich_last_names)) for p in people]
        cited = tuple(named) if len(named) <= 2 else (named[0], "et al.")
        if named and "year" in entry.fields:
            alike[cited, entry.fields["year"]].append(entry)
    for group in alike.values():
        if len(group) > 1:
            group.sort(key=lambda entry: re.sub(r"[^\w ]", "", entry.fields["title"]).lower())
            for letter, entry in zip(string.ascii_lowercase, group, strict=False):
                entry.fields["year"] += letter


def _drop_thebe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, ()) if not _is_thebe(file)]


def _is_thebe(file: object) -> bool:
    body = getattr(file, "attributes", {}).get("body") or ""
    return "thebe" in f"{getattr(file, 'filename', file)} {body}".lower()


def _set_theorems(app: Sphinx, doctree: nodes.document) -> None:
    every = app.env.temp_data.get(_CLAIMS)
    if every is None:
        return
    functions = library.functions(House(Path(app.srcdir).parent))
    for theorem in doctree.findall(nodes.Admonition):
        label = theorem.get("label")
        if label in every:
            theorem += _line(label, every[label], functions.get(label, []))


def _line(label: str, found: list[Claim], functions: list[library.Function]) -> nodes.paragraph:
    """Return the line under a theorem: how it was checked, what computes it, and its own link."""
    line = nodes.paragraph(classes=["rs-theorem-links"])
    told = folding.summary(found)
    if told:
        line += nodes.reference("", told, refuri=f"#{folding.anchor(label)}", internal=True)
    for function in functions:
        if len(line):
            line += nodes.Text(" · ")
        link = nodes.reference("", "", refuri=function.page, internal=True)
        link += nodes.literal(text=function.shown)
        line += link
    if len(line):
        line += nodes.Text(" · ")
    line += nodes.reference("", label, refuri=f"#{label}", internal=True)
    return line


def _set_proofs(app: Sphinx, doctree: nodes.document) -> None:
    word = "Proof."
    for proof in doctree.findall(nodes.admonition):
        if proof["ids"] != ["proof"]:
            continue
        proof["ids"] = []
        proof["classes"].append("rs-proof")
        opening = next(iter(proof.findall(nodes.Text)), None)
        if opening is not None and opening.startswith(word):
            opening.parent.replace(
                opening, [nodes.emphasis(text=word), nodes.Text(opening[len(word) :])]
            )


class _Prose(search.IndexBuilder):
    """The index of a search through prose."""

    def feed(self, docname: str, filename: str, title: str, doctree: nodes.document) -> None:
        """Take the words of a page but for code, formulas and HTML."""
        prose = doctree.deepcopy()
        for kind in (nodes.literal_block, nodes.math, nodes.math_block, nodes.raw):
            for node in list(prose.findall(kind)):
                node.parent.remove(node)
        super().feed(docname, filename, title, prose)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all, the filter behind the extensions that add the scripts."""
    app.config.mathjax_path = "mathjax/startup.js"  # loads the parts that _config.yml names
    search.IndexBuilder = _Prose  # type: ignore[misc]  # no option chooses another
    app.connect("config-inited", _name)
    app.connect("source-read", _read)
    app.connect("env-before-read-docs", _letter_years)
    app.connect("doctree-read", _set_proofs)
    app.connect("doctree-read", _set_theorems)
    app.connect("html-page-context", _drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

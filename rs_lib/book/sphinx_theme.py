"""A Sphinx extension for four things that no option of the theme or of other extensions offers.

The theme loads Thebe, which runs code in the page on a remote machine, and declares it twice,
an error in the browser's console. The book works without a network and does without it.
sphinx-proof gives all proofs of a page one id and sets "Proof." in the type of the text.
Executed notebooks show the figures in their outputs; pages include them, and shall not do it twice.
sphinxcontrib-bibtex cites by author and year, and gives two papers of one such name no letters.
"""

import json
import re
import string
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from rs_lib.book.records import SHOWN


def _drop_shown(app: Sphinx, name: str, source: list[str]) -> None:
    if SHOWN not in source[0] or not app.env.doc2path(name).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        outputs[:] = [out for out in outputs if SHOWN not in out.get("metadata", {})]
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


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all, the filter behind the extensions that add the scripts."""
    app.connect("source-read", _drop_shown)
    app.connect("env-before-read-docs", _letter_years)
    app.connect("doctree-read", _set_proofs)
    app.connect("html-page-context", _drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension for what no option of the theme or of sphinx-proof offers.

The theme loads Thebe, which runs code in the page on a remote machine, and declares it twice,
an error in the browser's console. The book works without a network and does without it.
sphinx-proof gives all proofs of a page one id and sets "Proof." in the type of the text.
Executed notebooks show the figures in their outputs; pages include them, and shall not do it twice.
Checks fold to one line, and each theorem links to its check and to the functions of the library.
"""

import json
from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx

from rs_lib.book import folding, library, scoreboard
from rs_lib.book.claims import Claim
from rs_lib.book.house import House
from rs_lib.book.records import SHOWN

_CLAIMS = "rs_claims"
_ELSEWHERE = {SHOWN, scoreboard.METADATA}  # marks of outputs that pages show in another place


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    """Fold the checks of an executed notebook, and drop the figures that the page includes."""
    if not app.env.doc2path(name).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        outputs[:] = [out for out in outputs if not _ELSEWHERE & set(out.get("metadata", {}))]
    app.env.temp_data[_CLAIMS] = folding.fold(notebook)
    source[0] = json.dumps(notebook)


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


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all, the filter behind the extensions that add the scripts."""
    app.connect("source-read", _read)
    app.connect("doctree-read", _set_proofs)
    app.connect("doctree-read", _set_theorems)
    app.connect("html-page-context", _drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension for the PDF: what paper shows of the pages, which have buttons and links.

Figures come as their PDF, pictures that only a screen needs are left out, and so is code that a
page hides; a folded check becomes its line. Links lead to what the PDF holds, or are none.
"""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes  # type: ignore[import-untyped]
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.latex import LaTeXBuilder
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import texescape
from sphinxcontrib.bibtex.nodes import raw_latex

from rs_lib.book import citation, markup
from rs_lib.book.house import House

NAME = "randomized-smoothing"
"""The PDF's name, without its end."""
LEFT_OUT = (
    "own-model",
    "try-it",
    "chapters/claims",
    "chapters/proofs",
    "chapters/figures",
    "chapters/published",
)
"""Pages of the contents that stay on the screen: to type, to play with, to look things up."""
SCREEN = ("rs-downloads", "rs-frames", "rs-phone")
"""Classes of what a page shows around its figures: downloads, frames, pictures for phones."""
PREFACE = "About this book"
_SCREEN_SECTIONS = ("the-way-through",)  # a map of links
_UNNUMBERED, _NUMBERED = -1, 3  # values of LaTeX's secnumdepth


def _title(app: Sphinx, env: BuildEnvironment) -> None:
    """Name the document and tell its title page; Jupyter Book takes these from its settings."""
    if not isinstance(app.builder, LaTeXBuilder):
        return
    told = citation.load(House(Path(app.srcdir).parent))
    title, authors = (texescape.escape(text, "xelatex") for text in (told.title, told.names))
    app.config.latex_documents = [(app.config.root_doc, f"{NAME}.tex", title, authors, "manual")]
    app.builder.context["date"] = f"Version {told.version}, {told.released}"
    for page in env.found_docs & set(LEFT_OUT):  # on purpose: no warning
        env.metadata[page]["orphan"] = True


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    """Give the outputs of an executed notebook that are HTML as Markdown."""
    if not (isinstance(app.builder, LaTeXBuilder) and app.env.doc2path(name).endswith(".ipynb")):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html")
            if page is not None:
                output["data"] = {"text/markdown": markdown("".join(page))}
    source[0] = json.dumps(notebook)


def markdown(page: str) -> str:
    """Return an output of ours, a paragraph or a table, as Markdown that shows the same text.

    What is folded beside it stays on the screen. Raises ValueError for other HTML.
    """
    try:
        whole = ElementTree.fromstring(f"<div>{page}</div>")  # noqa: S314  # of our own cells
    except ElementTree.ParseError as error:
        raise ValueError(f"an output is {page[:60]!r}, which is no HTML of ours") from error
    shown = [part for part in whole if part.tag != "details"]
    if len(shown) != 1:
        raise ValueError(f"an output is {page[:60]!r}: give one paragraph or table")
    (tree,) = shown
    table = next(tree.iter("table"), None)
    if table is not None:
        rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
        lines = [" | ".join(map(markup.plain, row)) for row in rows]
        lines.insert(1, " | ".join("---" for _ in rows[0]))
        return "\n".join(f"| {line} |" for line in lines)
    if tree.tag != "p":
        raise ValueError(f"an output is {page[:60]!r}: give a paragraph or a table")
    return f"*{markup.plain(''.join(tree.itertext()))}*"


class Pictures(SphinxTransform):
    """Drop what only a screen shows, take figures as PDF, and keep the captions of the parts."""

    default_priority = 400  # before Sphinx collects the pictures, behind the table of contents

    def apply(self, **kwargs: Any) -> None:
        """Change the page that was read."""
        # What is left out is read all the same, and its pictures may have no PDF.
        if not isinstance(self.app.builder, LaTeXBuilder) or self.env.docname in LEFT_OUT:
            return
        for node in list(self.document.findall(nodes.Element)):
            if set(SCREEN) & set(node.get("classes", ())) and node.parent:
                node.parent.remove(node)
        for image in self.document.findall(nodes.image):
            if image["uri"].endswith(".svg"):
                image["uri"] = image["uri"].removesuffix(".svg") + ".pdf"
        for toctree in self.document.findall(addnodes.toctree):
            depth = _NUMBERED if toctree.get("numbered") else _UNNUMBERED
            toctree.parent["rs_part"] = (toctree.get("caption") or "", depth)


class Paper(SphinxPostTransform):
    """Set the whole book for paper, once all references are resolved."""

    formats = ("latex",)
    default_priority = 300

    def run(self, **kwargs: Any) -> None:
        """Change the document that holds all pages."""
        for cell in _classed(self.document, nodes.container, "cell"):
            _fold(cell, self.config.nb_code_prompt_show)
        for line in _classed(self.document, nodes.paragraph, "rs-theorem-links"):
            _set_line(line)
        for reference in list(self.document.findall(nodes.reference)):
            if _leads_out(reference):
                reference.replace_self(reference.children)
        for proof in _classed(self.document, nodes.Element, "rs-proof"):
            last = proof[-1] if isinstance(proof[-1], nodes.paragraph) else proof
            last += nodes.raw("", r"\rsqed{}", format="latex")
            proof.replace_self(proof.children)
        for statement in list(self.document.findall(nodes.Admonition)):
            # Else a link to a theorem leads to the head of its section.
            _before(statement, r"\phantomsection")
        for table in list(self.document.findall(nodes.table)):
            _keep_head(table)
        for caption in self.document.findall(nodes.caption):
            for link in list(caption.findall(raw_latex)):  # LaTeX takes no such link there
                link.parent.remove(link)
        for title in self.document.findall(nodes.title):
            for math in list(title.findall(nodes.math)):  # bookmarks have letters alone
                both = rf"\texorpdfstring{{\({math.astext()}\)}}{{{math.astext().strip(chr(92))}}}"
                math.replace_self(nodes.raw("", both, format="latex"))
        _parts(self.document)


def _classed(document: nodes.document, kind: type, name: str) -> list[Any]:
    return [node for node in document.findall(kind) if name in node["classes"]]


def _before(node: nodes.Element, latex: str) -> None:
    node.parent.insert(node.parent.index(node), nodes.raw("", latex, format="latex"))


def _keep_head(table: nodes.table) -> None:
    """Keep a line in bold type on the page of the table below it."""
    place = table.parent.index(table)
    head = table.parent[place - 1] if place else None
    if not isinstance(head, nodes.paragraph):
        return
    bold = next(head.findall(nodes.strong), None)
    if bold is not None and bold.astext() == head.astext():
        _before(head, r"\needspace{8\baselineskip}")


def _fold(cell: nodes.container, button: str) -> None:
    """Take out the code that a page hides; a folded check leaves its line, a `button` nothing."""
    hidden = cell.get("hide_mode")
    if hidden == "all":
        told = cell["prompt_show"]
        cell.clear()
        if told != button:
            cell += nodes.paragraph("", "", nodes.emphasis(text=told))
    elif hidden:
        for code in _classed(cell, nodes.container, "cell_input"):
            code.parent.remove(code)
    if not cell.children:
        cell.parent.remove(cell)


def _set_line(line: nodes.paragraph) -> None:
    """Drop the link of a theorem to itself, which ends its line, and the point before it."""
    del line[-2:]
    if line.children:
        line.insert(0, nodes.raw("", r"\raggedright{}", format="latex"))
    else:
        line.parent.remove(line)


def _leads_out(reference: nodes.reference) -> bool:
    """Whether a link leads to a page that the PDF does not hold, or to a line that opens there."""
    place = reference.get("refuri", "")
    return bool(place) and not place.startswith(("%", "http://", "https://", "mailto:"))


def _parts(document: nodes.document) -> None:
    """Make a part of each caption of the contents, and a preface of the page before them."""
    root = next(document.findall(nodes.section))
    parts = [node for node in root.findall(nodes.compound) if "rs_part" in node]
    preface = nodes.section("", nodes.title(text=PREFACE), ids=["about-this-book"])
    for node in root.children[1:]:
        if node not in parts:
            root.remove(node)
            if not set(node.get("ids", ())) & set(_SCREEN_SECTIONS):
                preface += node
    root.insert(1, preface)
    _before(preface, rf"\setcounter{{secnumdepth}}{{{_UNNUMBERED}}}")
    for part in parts:
        caption, depth = part["rs_part"]
        if caption:
            _before(part, rf"\rspart{{{texescape.escape(caption, 'xelatex')}}}")
        _before(part, rf"\setcounter{{secnumdepth}}{{{depth}}}")


def contents(listed: Any) -> Any:
    """Return a table of contents without the pages that stay on the screen."""
    if isinstance(listed, list):
        return [
            contents(entry)
            for entry in listed
            if not (isinstance(entry, dict) and entry.get("file") in LEFT_OUT)
        ]
    if isinstance(listed, dict):
        return {key: contents(value) for key, value in listed.items()}
    return listed


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all; nothing of it touches the pages."""
    app.connect("env-updated", _title)
    app.connect("source-read", _read, priority=900)  # behind the folding
    app.add_transform(Pictures)
    app.add_post_transform(Paper)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

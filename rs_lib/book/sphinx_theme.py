"""A Sphinx extension for two things that no option of the theme or of sphinx-proof offers.

The theme loads Thebe, which runs code in the page on a remote machine, and declares it twice,
an error in the browser's console. The book works without a network and does without it.
sphinx-proof gives all proofs of a page one id and sets "Proof." in the type of the text.
"""

from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx


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
    """Register both, the filter behind the extensions that add the scripts."""
    app.connect("doctree-read", _set_proofs)
    app.connect("html-page-context", _drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

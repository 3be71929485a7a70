"""What a page folds: checks to one line each, which says how much was checked, and long code.

Executed notebooks keep all of it; a page shows the code that is part of the argument.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rs_lib.book import claims, formal, scoreboard
from rs_lib.book.claims import METADATA, Claim
from rs_lib.book.formal import Theorem
from rs_lib.book.records import SHOWN

LONGEST = 15
"""Lines of code that a page shows unasked."""
_SIMPLE = re.compile(r"[\w:.-]+")


def anchor(label: str) -> str:
    """Return the id of the line that tells how `label` was checked, or nothing for an odd label."""
    return f"check-{label}" if _SIMPLE.fullmatch(label) else ""


def summary(found: Iterable[Claim]) -> str:
    """Return one line for several claims, such as "symbolic, 3 identities · exact, 8 comparisons".

    Definitions check nothing and are left out; nothing is left of definitions alone.
    """
    given = list(found)
    parts = []
    for kind in claims.KINDS:
        mine = [claim for claim in given if claim.kind == kind]
        count = sum(claim.count for claim in mine)
        if kind == "formal":
            whole = {claim.label for claim in mine if not claim.how}
            parted = {claim.label for claim in mine} - whole
            parts += ["in part proved in Coq" if parted else "proved in Coq"] if mine else []
        elif kind in claims.UNITS and count:
            parts.append(f"{kind}, {claims.counted(kind, count)}")
        elif kind == "cited" and mine:
            parts.append("cited, not checked here")
    return " · ".join(parts)


def fold(notebook: dict[str, Any], proved: Mapping[str, Theorem]) -> dict[str, list[Claim]]:
    """Fold the cells of an executed notebook in place, and return its claims by label.

    A cell that shows nothing but claims becomes one line that opens; where it holds definitions
    alone the page drops it. The first line that tells of a label can be linked (see `anchor`).
    Below a formal claim stand its theorems of `proved`; ValueError for one that is not there.
    Code of more than `LONGEST` lines is hidden, and so are parameters; a cell with hidden code
    that shows nothing is dropped.
    Outputs that pages show elsewhere, figures and headlines, and definitions are dropped.
    """
    every: dict[str, list[Claim]] = {}
    linked: set[str] = set()
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        found = claims.collect({"cells": [cell]})
        for claim in found:
            every.setdefault(claim.label, []).append(claim)
        if found:
            _link(cell["outputs"], linked)
            _state(cell["outputs"], proved)
            if all(map(_hidden_or_claim, cell["outputs"])):
                _fold(cell["metadata"], summary(found))
        _hide(cell)
        cell["outputs"] = [out for out in cell["outputs"] if not _elsewhere(out)]
    return every


def _elsewhere(output: Any) -> bool:
    metadata = output.get("metadata", {})
    kind = metadata.get(METADATA, {}).get("kind")
    return SHOWN in metadata or scoreboard.METADATA in metadata or kind == "definition"


def _hide(cell: dict[str, Any]) -> None:
    tags = cell["metadata"].setdefault("tags", [])
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    if len([line for line in text.splitlines() if line.strip()]) > LONGEST and not any(
        tag.startswith(("hide-", "remove-")) for tag in tags
    ):
        tags.append("hide-input")
    if "parameters" in tags:
        told = "Parameters that a reader can turn"
        cell["metadata"]["mystnb"] = {"code_prompt_show": told, "code_prompt_hide": told}
        tags.append("hide-input")
    elif "hide-input" in tags and all(
        "scrapbook" in out.get("metadata", {}) for out in cell["outputs"]
    ):
        tags[tags.index("hide-input")] = "remove-cell"


def _link(outputs: list[Any], linked: set[str]) -> None:
    """Give the first line of each label an id; `linked` holds the labels that have one."""
    for output in outputs:
        record = output.get("metadata", {}).get(METADATA)
        if not record or record["kind"] == "definition":
            continue
        page = output["data"]["text/html"]
        output["data"]["text/html"] = page if isinstance(page, str) else "".join(page)
        if record["label"] not in linked and anchor(record["label"]):
            linked.add(record["label"])
            output["data"]["text/html"] = output["data"]["text/html"].replace(
                "<p ", f'<p id="{anchor(record["label"])}" ', 1
            )


def _state(outputs: list[Any], proved: Mapping[str, Theorem]) -> None:
    """Put the theorems of formal claims below them: words, statement, axioms, place."""
    for output in outputs:
        names = output.get("metadata", {}).get(METADATA, {}).get("theorems", [])
        for theorem in formal.named(names, proved):
            output["data"]["text/html"] += formal.disclosure(theorem)


def _hidden_or_claim(output: Any) -> bool:
    """Whether an output is a claim's, or one that pages do not show: a number for the prose."""
    metadata = output.get("metadata", {})
    return METADATA in metadata or "scrapbook" in metadata


def _fold(metadata: dict[str, Any], line: str) -> None:
    tags = [tag for tag in metadata.get("tags", []) if not tag.startswith("hide-")]
    metadata["tags"] = [*tags, "hide-cell" if line else "remove-cell"]
    if line:
        told = line.capitalize() if line.startswith("cited") else f"✓ checked: {line}"
        metadata["mystnb"] = {"code_prompt_show": told, "code_prompt_hide": told}

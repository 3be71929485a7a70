"""The page of the formal theorems, and a page for each Coq source that a claim links to."""

import html
import re
from collections.abc import Mapping, Sequence

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]

from rs_lib.book import formal, library, markup
from rs_lib.book.claims import Claim
from rs_lib.book.formal import Theorem
from rs_lib.book.house import House

_NAMED = re.compile(r"Book: [\w:-]+(?:, [\w:-]+)*")

HEAD = """# Proofs

Parts of this book are proved in Coq, down to the axioms that each theorem names. Here is every such
theorem: theorems machine-checked, not the library. `make proofs` proves them again, and compares
{download}`what Coq prints <../../proofs/statements.txt>` of them, and of every definition in them,
with what is committed. The same call checks numbers that the library returns against the theorems,
by programs that are themselves proved right: Clopper–Pearson bounds, boundaries of sequential
tests, thresholds, votes for digits and MNIST. These numbers are machine-checked, others are not.

## What is not covered

- **The network.** A base classifier is any function that answers the same for equal views. That a
  program on a processor is one is an assumption
  (chapter *What a certificate assumes*).
- **The generator.** Votes are independent, and noise has the law that it is said to have. No
  theorem speaks of the numbers that a generator returns.
- **Radii as floats.** That a radius is rounded down stands in tests, and in no theorem here.
- **Gaussian noise in d dimensions.** The half-space is proved for noise on a line. The reduction
  to a line asks for products of measures and for rotations, which are not done here.
- **The library.** Python code is not verified. The theorems are about the mathematics that it
  computes, and about those of its numbers that were checked.
"""


def pages(house: House, ledger: Mapping[str, Sequence[Claim]]) -> dict[str, str]:
    """Return the page of all theorems and those of their sources, as Markdown, by their names.

    `ledger` holds the claims of each chapter in order. Without proofs there are no pages.
    """
    proved = formal.theorems(house)
    if not proved:
        return {}
    places = library.label_places(house)
    found = [claim for claims in ledger.values() for claim in claims if claim.theorems]
    made = {"proofs": f"{HEAD}\n{_axioms(proved)}\n{_tables(proved, found)}"}
    for file in dict.fromkeys(theorem.file for theorem in proved.values()):
        source = (house.proofs / f"{file}.v").read_text()
        name = f"{formal.FOLDER}/{file}"
        made[name] = library.source_page(
            f"{file}.v", source, get_lexer_by_name("coq"), _NAMED, places
        )
    return made


def _axioms(proved: Mapping[str, Theorem]) -> str:
    """Return a list of all axioms by name, each set with the files whose theorems rest on it."""
    resting: dict[tuple[str, ...], list[str]] = {}
    for theorem in proved.values():
        if theorem.axioms and theorem.file not in resting.setdefault(theorem.axioms, []):
            resting[theorem.axioms].append(theorem.file)
    lines = [
        f"- {', '.join(places)}: {', '.join(f'`{name}`' for name in axioms)}."
        for axioms, places in resting.items()
    ]
    told = "Most theorems rest on no axioms. Those of these files rest on the ones named:"
    return "\n".join(["## Axioms\n", f"{told}\n", *lines, ""])


def _tables(proved: Mapping[str, Theorem], found: Sequence[Claim]) -> str:
    """Return a table for each source: a row for each of its theorems."""
    parts = []
    for file in dict.fromkeys(theorem.file for theorem in proved.values()):
        rows = [_row(theorem, found) for theorem in proved.values() if theorem.file == file]
        head = "* - Theorem\n  - In words\n  - In the book\n  - Rests on\n  - Lines"
        table = "\n".join([head, *rows])
        parts.append(
            f"## {file}\n\n```{{list-table}}\n:header-rows: 1\n:widths: 18 44 20 10 8\n"
            f":class: rs-stack\n\n{table}\n```\n"
        )
    return "\n".join(parts)


def _row(theorem: Theorem, found: Sequence[Claim]) -> str:
    labels = [
        f"{reference(claim.label)} {markup.plain(claim.part)}".strip()
        for claim in found
        if theorem.shown in claim.theorems
    ]
    link = f'<a href="{html.escape(theorem.page)}">{theorem.name}</a>'
    return "\n".join(
        [
            f"* - {link}",
            f"  - {markup.plain(theorem.words)}",
            f"  - {', '.join(labels) or '–'}",
            f"  - {markup.plain(theorem.rests_on)}",
            f"  - {theorem.first}–{theorem.last}",
        ]
    )


def words(claim: Claim, proved: Mapping[str, Theorem]) -> str:
    """Return what the theorems of a formal claim say, on one line, and which part they cover."""
    said = " ".join(theorem.words for theorem in formal.named(claim.theorems, proved))
    return f"Proved in Coq{claim.part}: {said}"


def reference(label: str) -> str:
    """Return Markdown that names what a label stands for, and links to it."""
    if not re.fullmatch(r"[\w:.-]+", label):
        return markup.plain(label)
    return f"{{eq}}`{label}`" if label.startswith("eq-") else f"{{prf:ref}}`{label}`"

"""Theorems that Coq proved, as `proofs/statements.txt` and the sources beside it tell of them.

Nothing here runs Coq. `make proofs` does, and fails unless Coq prints that file.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rs_lib.book.house import House

FOLDER = "coq"
"""Where the pages of the sources lie, beside the chapters."""

_NOTHING = "Closed under the global context"
_THEOREM = re.compile(
    r"^\(\*\*((?:(?!\*\)).)*?)(?:\n\s*Book: ([^*]+?)\.)?\s*\*\)\nTheorem (\w+)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Theorem:
    """A theorem of a file: what it says in words and as Coq prints it, and its axioms by name.

    `first` and `last` are lines of the file `file`, from its name to the end of its proof; `labels`
    those of the book that the source names.
    """

    file: str
    name: str
    words: str
    labels: tuple[str, ...]
    statement: str
    axioms: tuple[str, ...]
    first: int
    last: int

    @property
    def shown(self) -> str:
        """Return the name that `claims.formal` takes."""
        return f"{self.file}.{self.name}"

    @property
    def page(self) -> str:
        """Return its place on a page of `FOLDER`."""
        return f"{FOLDER}/{self.file}.html#L-{self.first}"

    @property
    def rests_on(self) -> str:
        """Return what it takes for granted beside Coq itself, in words."""
        if not self.axioms:
            return "no axioms"
        if any(name.startswith("PrimInt63.") for name in self.axioms):
            return f"Coq's machine integers: {len(self.axioms)} axioms"
        return f"{len(self.axioms)} axioms: {', '.join(self.axioms)}"


def disclosure(theorem: Theorem) -> str:
    """Return HTML that opens: a theorem in words, as Coq prints it, its axioms and its place."""
    statement, words = html.escape(theorem.statement), html.escape(theorem.words)
    return (
        f'<details class="rs-formal"><summary><code>{theorem.shown}</code> {words}</summary>'
        f'<pre tabindex="0" aria-label="statement of {theorem.shown}">{statement}</pre>'
        f"<p>Rests on {html.escape(theorem.rests_on)}. "
        f'<a href="{theorem.page}">The proof in proofs/{theorem.file}.v</a></p></details>'
    )


def theorems(house: House) -> dict[str, Theorem]:
    """Return the theorems that Coq printed, by their names such as "Bands.card_meets", in order.

    Raises ValueError that names a theorem which its source does not state with a sentence above it.
    """
    if not house.statements.is_file():
        return {}
    found: dict[str, Theorem] = {}
    told: dict[str, dict[str, Theorem]] = {}
    for block in re.split(r"^== ", house.statements.read_text(), flags=re.MULTILINE)[1:]:
        name, _, printed = block.partition("\n")
        statement, axioms = _printed(printed)
        if axioms is None:  # a definition
            continue
        file, _, own = name.partition(".")
        if file not in told:
            told[file] = _spoken(house, file)
        if own not in told[file]:
            raise ValueError(f"proofs/{file}.v states no theorem {own} below a sentence in words")
        spoken = told[file][own]
        found[name] = Theorem(
            *(file, own, spoken.words, spoken.labels, statement, axioms),
            *(spoken.first, spoken.last),
        )
    return found


def named(names: Sequence[str], proved: Mapping[str, Theorem]) -> list[Theorem]:
    """Return the theorems of these names; ValueError for one that is not there (any more)."""
    for name in names:
        if name not in proved:
            raise ValueError(f"a claim names {name}: no theorem of proofs/statements.txt")
    return [proved[name] for name in names]


def _printed(text: str) -> tuple[str, tuple[str, ...] | None]:
    """Return a statement as Coq prints it, and the names of its axioms; None for a definition."""
    if _NOTHING in text:
        return text.partition(_NOTHING)[0].strip("\n"), ()
    statement, rests, listed = text.partition("\nAxioms:\n")
    return statement.strip("\n"), tuple(re.findall(r"^(\S+)", listed, re.M)) if rests else None


def _spoken(house: House, file: str) -> dict[str, Theorem]:
    """Return what a source says of its theorems, without statements and axioms."""
    path = house.proofs / f"{file}.v"
    source = path.read_text() if path.is_file() else ""
    found = {}
    for match in _THEOREM.finditer(source):
        words, labels, name = match.groups()
        start = match.start() + match.group().rindex("Theorem")
        end = source.find("Qed.", start)
        if end < 0:
            raise ValueError(f"proofs/{file}.v does not prove {name}: finish it by Qed")
        first, last = (source.count("\n", 0, place) + 1 for place in (start, end))
        named = tuple(re.split(r",\s*", labels)) if labels else ()
        found[name] = Theorem(file, name, " ".join(words.split()), named, "", (), first, last)
    return found

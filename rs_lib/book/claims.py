"""The claims ledger: each labelled theorem and equation is registered by a call that checks it.

A check that fails raises `ClaimError`, which stops the build. What passes leaves a line in
the cell's output, from which the ledger page is made. A check is not the proof, which stands in the
text: `how` names what it covers, and no more. Of a symbolic claim it names the identity, for all
values of its symbols; what was tried for some values only is an exact or a numeric claim.
"""

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from IPython.core.getipython import get_ipython
from IPython.display import display

from rs_lib.arguments import shown
from rs_lib.book import comparisons, outputs
from rs_lib.book.formal import theorems as read_theorems
from rs_lib.book.house import House

METADATA = "rs_claim"
KINDS = {
    "symbolic": "computer algebra proves the identities named",
    "exact": "checked in exact arithmetic or by exhaustive search, in the cases named",
    "numeric": "checked to the stated precision, in the cases named",
    "formal": "proved in Coq; where not the whole statement is, the part is named",
    "definition": "nothing to check",
    "cited": "taken from the cited source, not checked here",
}


UNITS = {
    "symbolic": ("identity", "identities"),
    "exact": ("comparison", "comparisons"),
    "numeric": ("comparison", "comparisons"),
    "formal": ("theorem", "theorems"),
}
"""What the checks of a kind count."""


class ClaimError(AssertionError):
    """A registered check does not hold."""


@dataclass(frozen=True)
class Claim:
    """One line of the ledger."""

    label: str
    kind: str
    how: str
    count: int = 0  # identities, comparisons or theorems that were checked
    theorems: tuple[str, ...] = ()  # of Coq, which `formal` reads; `how` then names a part

    def _ipython_display_(self) -> None:
        """Show nothing: `_register` has done so, wherever in its cell the claim was made."""

    def page(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the page shows of the claim, and the metadata that the ledger reads."""
        if self.kind == "formal":
            note = f"proved in Coq{self.part}: {', '.join(self.theorems)}"
        else:
            meaning = ", ".join(filter(None, (KINDS[self.kind], counted(self.kind, self.count))))
            note = f"{meaning}: {self.how}" if self.how else meaning
        text = f"✓ {self.label} ({self.kind}). {note}"
        page = (
            f'<p class="rs-claim rs-claim-{self.kind}"><span class="rs-claim-kind">'
            f"{html.escape(self.kind)}</span> <code>{html.escape(self.label)}</code> "
            f"{html.escape(note)}</p>"
        )
        record = {"label": self.label, "kind": self.kind, "how": self.how, "count": self.count}
        record |= {"theorems": list(self.theorems)} if self.theorems else {}
        return {"text/html": page, "text/plain": text}, {METADATA: record}

    @property
    def part(self) -> str:
        """Return which part of the statement a formal claim covers, in brackets; "" for all."""
        return f" in part ({self.how})" if self.how else ""


def counted(kind: str, count: int) -> str:
    """Return how much a claim compares, such as "3 identities"; nothing where it compares none."""
    return f"{count:,} {UNITS[kind][count != 1]}" if kind in UNITS else ""


def _register(claim: Claim) -> Claim:
    for name in ("label", "how"):
        if not isinstance(getattr(claim, name), str):
            raise ClaimError(f"{name} is {shown(getattr(claim, name))}: give a text")
    data, metadata = claim.page()
    if get_ipython() is not None:
        display(data, metadata=metadata, raw=True)
    return claim


def _asked(label: str, question: Callable[..., Any], *given: object) -> Any:
    """Return what `question` makes of `given`; its ValueError becomes a ClaimError of `label`."""
    try:
        return question(*given)
    except ValueError as error:
        raise ClaimError(f"{label}: {error}") from error


def symbolic(label: str, *identities: tuple[object, object], how: str) -> Claim:
    """Register `label`, for which SymPy proves left = right for every pair in `identities`.

    What has no difference (truth values, matrices, sets) must be equal as it stands. Raises
    ClaimError with the difference that SymPy could not reduce to zero.
    """
    asked = _asked(label, comparisons.pairs, identities)
    for left, right in asked:
        one, other = (_asked(label, comparisons.expression, side) for side in (left, right))
        if one == other:
            continue
        if not (isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr)):
            raise ClaimError(f"{label}: {one} is not {other}")
        # In terms of erf alone: SymPy does not see by itself that erf + erfc = 1.
        difference = sympy.simplify((one - other).rewrite(sympy.erf))
        if difference != 0:
            raise ClaimError(f"{label}: left - right = {difference}, not 0")
    return _register(Claim(label, "symbolic", how, len(asked)))


def exact(label: str, *pairs: tuple[object, object], how: str) -> Claim:
    """Register `label`, for which left == right holds exactly for every pair in `pairs`.

    Floats are refused: give Fractions, integers, SymPy numbers, truth values, or
    sequences of them. Raises ClaimError with the first pair that differs.
    """
    asked = _asked(label, comparisons.pairs, pairs)
    for number, (left, right) in enumerate(asked):
        for side in (left, right):
            _asked(label, comparisons.refuse_inexact, side)
        if not left == right:
            raise ClaimError(f"{label}: pair {number} differs: {left} is not {right}")
    return _register(
        Claim(label, "exact", how, sum(comparisons.entries(left) for left, _ in asked))
    )


def numeric(
    label: str,
    computed: npt.ArrayLike,
    expected: npt.ArrayLike,
    *,
    how: str,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> Claim:
    """Register `label`, for which |computed - expected| <= atol + rtol |expected| everywhere.

    Both hold real numbers and have one shape, or one of them is a single number. Integers and
    Fractions are compared exactly. The ledger states the tolerance. Raises ClaimError with the
    worst entry, and for NaN, infinite or no numbers, other shapes, or a tolerance that is
    negative or infinite.
    """
    relative, absolute = (
        _asked(label, comparisons.tolerance, *given) for given in (("rtol", rtol), ("atol", atol))
    )
    left, right = _asked(label, comparisons.sides, computed, expected)
    exactly: Any = Fraction if left.dtype == object else float
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf is NaN, which is no agreement
        excess = abs(left - right) - (exactly(absolute) + exactly(relative) * abs(right))
    finite = np.asarray((abs(left) < np.inf) & (abs(right) < np.inf), dtype=bool)
    if not (finite & np.asarray(excess <= 0, dtype=bool)).all():
        worst = np.argmax(np.where(finite, excess, np.inf))
        values = " against ".join(shown(side.flat[worst]) for side in (left, right))
        raise ClaimError(f"{label}: {values}, outside rtol={relative:g}, atol={absolute:g}")
    stated = (("rtol", relative), ("atol", absolute))
    bounds = ", ".join(f"{name} {value:g}" for name, value in stated if value)
    return _register(Claim(label, "numeric", f"{how} ({bounds or 'equal'})", left.size))


def at_most(label: str, smaller: npt.ArrayLike, larger: npt.ArrayLike, *, how: str) -> Claim:
    """Register `label`, a numeric claim that smaller <= larger holds everywhere, without slack.

    Both hold real numbers and have one shape, or one of them is a single number. Integers and
    Fractions are compared exactly. Raises ClaimError where it fails, and for NaN, no numbers or
    other shapes.
    """
    left, right = _asked(label, comparisons.sides, smaller, larger)
    holds = np.asarray(left <= right, dtype=bool)
    if not holds.all():
        raise ClaimError(f"{label}: {int((~holds).sum())} of {holds.size} comparisons fail")
    return _register(Claim(label, "numeric", how, holds.size))


def formal(label: str, *theorems: str, part: str = "") -> Claim:
    """Register `label`, which the Coq theorems named, such as "Bands.card_meets", prove together.

    `part` says which part of the statement they are, if it is not the whole. They are looked up in
    `proofs/statements.txt`, which `make proofs` compares with what Coq prints. Raises ClaimError
    for a name that does not stand there, and for none.
    """
    known = _asked(label, read_theorems, House())
    for name in theorems:
        if name not in known:
            raise ClaimError(f"{label}: no theorem {shown(name)} in proofs/statements.txt")
    if not theorems:
        raise ClaimError(f"{label}: name at least one theorem of proofs/statements.txt")
    return _register(Claim(label, "formal", part, len(theorems), theorems))


def definition(label: str) -> Claim:
    """Register `label` as a definition."""
    return _register(Claim(label, "definition", ""))


def cited(label: str, key: str) -> Claim:
    """Register `label` as taken from the source with BibTeX key `key` (which must exist)."""
    keys = re.findall(r"^@\w+\{\s*([^,\s]+)", House().bibliography.read_text(), re.MULTILINE)
    if key not in keys:
        raise ClaimError(f"{label}: no entry {key!r} in {House().bibliography.name}")
    return _register(Claim(label, "cited", key))


_PROOF = re.compile(
    r"^[ \t]*(?:`{3,}|:{3,})\{prf:(?!proof)\w+\}[^\n]*\n(?:[ \t]*:label:\s*(\S+))?", re.MULTILINE
)
# The two forms that MyST numbers: $$ … $$ (label), and a math directive with a label.
_EQUATION = re.compile(r"\$\$[ \t]*\(([^()\n]+)\)[ \t]*$", re.MULTILINE)
_DIRECTIVE = re.compile(
    r"^[ \t]*(?:`{3,}|:{3,})\{math\}[^\n]*\n(?:[ \t]*:\w+:[^\n]*\n)*?[ \t]*:label:\s*(\S+)",
    re.MULTILINE,
)


def labels(source: str) -> list[str]:
    """Return, in order, the labels of theorems and equations in a chapter's MyST source."""
    found = [match for form in (_PROOF, _EQUATION, _DIRECTIVE) for match in form.finditer(source)]
    return [match.group(1) for match in sorted(found, key=lambda match: match.start()) if match[1]]


def collect(notebook: dict[str, Any]) -> list[Claim]:
    """Return the claims that the outputs of an executed notebook hold, in order.

    Raises ValueError for an output that pretends to be one.
    """
    return [_claim(record) for record in outputs.marked(notebook, METADATA)]


def _claim(record: object) -> Claim:
    fields = record if isinstance(record, dict) else {}
    texts = [fields.get(name) for name in ("label", "kind", "how")]
    names = fields.get("theorems", [])
    if not (
        set(fields) - {"theorems"} == {"label", "kind", "how", "count"}
        and all(isinstance(text, str) for text in texts)
        and fields["kind"] in KINDS
        and isinstance(fields["count"], int)
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and bool(names) == (fields["kind"] == "formal")
    ):
        raise ValueError(f"claim is {shown(record)}: run the chapter again")
    return Claim(**{**fields, "theorems": tuple(names)})


def disagreements(source: str, claims: Iterable[Claim]) -> list[str]:
    """Return what is wrong between a chapter's labels and its claims, a sentence each."""
    written = labels(source)
    claimed = {claim.label for claim in claims}
    wrong = [f"label {label} is written twice" for label in sorted(_twice(written))]
    bare = sum(match[1] is None for match in _PROOF.finditer(source))
    if bare:
        wrong.append(f"{bare} theorem-like blocks do not begin with a :label:")
    wrong += [f"label {label} has no claim" for label in written if label not in claimed]
    wrong += [f"claim {label} has no label" for label in sorted(claimed - set(written))]
    return wrong


def _twice(items: list[str]) -> set[str]:
    return {item for item in items if items.count(item) > 1}

"""The claims ledger: each labelled theorem and equation is registered by a call that checks it.

A check that fails raises `ClaimError`, which stops the build. What passes leaves a line in
the cell's output, from which the ledger page is made.
"""

import html
import numbers
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from IPython.core.getipython import get_ipython
from IPython.display import display

from rs_lib.book.house import House

METADATA = "rs_claim"
KINDS = {
    "symbolic": "proved by computer algebra",
    "exact": "checked in exact arithmetic or by exhaustive search",
    "numeric": "checked to the stated precision",
    "definition": "nothing to check",
    "cited": "taken from the cited source, not checked here",
}


class ClaimError(AssertionError):
    """A registered check does not hold."""


@dataclass(frozen=True)
class Claim:
    """One line of the ledger."""

    label: str
    kind: str
    how: str

    def _ipython_display_(self) -> None:
        """Show nothing: `_register` has done so, wherever in its cell the claim was made."""

    def page(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the page shows of the claim, and the metadata that the ledger reads."""
        note = f"{KINDS[self.kind]}: {self.how}" if self.how else KINDS[self.kind]
        text = f"✓ {self.label} ({self.kind}). {note}"
        page = (
            f'<p class="rs-claim rs-claim-{self.kind}"><span class="rs-claim-kind">'
            f"{html.escape(self.kind)}</span> <code>{html.escape(self.label)}</code> "
            f"{html.escape(note)}</p>"
        )
        record = {"label": self.label, "kind": self.kind, "how": self.how}
        return {"text/html": page, "text/plain": text}, {METADATA: record}


def _register(claim: Claim) -> Claim:
    data, metadata = claim.page()
    if get_ipython() is not None:
        display(data, metadata=metadata, raw=True)
    return claim


def symbolic(label: str, *identities: tuple[object, object], how: str) -> Claim:
    """Register `label`, for which SymPy proves left = right for every pair in `identities`.

    What has no difference (truth values, matrices, sets) must be equal as it stands. Raises
    ClaimError with the difference that SymPy could not reduce to zero.
    """
    if not identities:
        raise ClaimError(f"{label}: symbolic needs at least one pair to prove equal")
    for left, right in identities:
        one: Any = sympy.sympify(left)
        other: Any = sympy.sympify(right)
        if one.has(sympy.nan) or other.has(sympy.nan):
            raise ClaimError(f"{label}: {one} against {other}: not a number equals nothing")
        if one == other:
            continue
        if not (isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr)):
            raise ClaimError(f"{label}: {one} is not {other}")
        # In terms of erf alone: SymPy does not see by itself that erf + erfc = 1.
        difference = sympy.simplify((one - other).rewrite(sympy.erf))
        if difference != 0:
            raise ClaimError(f"{label}: left - right = {difference}, not 0")
    return _register(Claim(label, "symbolic", how))


def exact(label: str, *pairs: tuple[object, object], how: str) -> Claim:
    """Register `label`, for which left == right holds exactly for every pair in `pairs`.

    Floats are refused: give Fractions, integers, SymPy numbers, truth values, or
    sequences of them. Raises ClaimError with the first pair that differs.
    """
    if not pairs:
        raise ClaimError(f"{label}: exact needs at least one pair to compare")
    for number, (left, right) in enumerate(pairs):
        _refuse_floats(label, left)
        _refuse_floats(label, right)
        if not left == right:
            raise ClaimError(f"{label}: pair {number} differs: {left} is not {right}")
    return _register(Claim(label, "exact", how))


def _refuse_floats(label: str, value: object) -> None:
    if isinstance(value, float | np.floating) or (
        isinstance(value, sympy.Basic) and value.has(sympy.Float, sympy.nan)
    ):
        raise ClaimError(f"{label}: {value!r} holds a float: an exact claim needs exact numbers")
    if isinstance(value, Sequence | Set) and not isinstance(value, str):
        for part in value:
            _refuse_floats(label, part)
    elif not isinstance(value, str | bool | np.bool_ | numbers.Rational | sympy.Basic):
        raise ClaimError(
            f"{label}: {type(value).__name__} is no exact value: give Fractions or integers"
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

    The ledger states the tolerance. Raises ClaimError with the worst entry.
    """
    left, right = np.asarray(computed, dtype=float), np.asarray(expected, dtype=float)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is no agreement
        excess = np.abs(left - right) - (atol + rtol * np.abs(right))
    if excess.size == 0 or not (excess <= 0).all():
        worst = np.argmax(np.where(np.isnan(excess), np.inf, excess)) if excess.size else None
        values = "nothing was computed"
        if worst is not None:
            shape = np.broadcast_shapes(left.shape, right.shape)
            a, b = (np.broadcast_to(x, shape).flat[worst] for x in (left, right))
            values = f"{a!r} against {b!r}"
        raise ClaimError(f"{label}: {values}, outside rtol={rtol:g}, atol={atol:g}")
    bounds = [f"{name} {value:g}" for name, value in (("rtol", rtol), ("atol", atol)) if value]
    return _register(Claim(label, "numeric", f"{how} ({', '.join(bounds) or 'equal'})"))


def at_most(label: str, smaller: npt.ArrayLike, larger: npt.ArrayLike, *, how: str) -> Claim:
    """Register `label`, a numeric claim that smaller <= larger holds everywhere, without slack."""
    left, right = np.asarray(smaller, dtype=float), np.asarray(larger, dtype=float)
    holds = left <= right
    if holds.size == 0 or not holds.all():
        raise ClaimError(f"{label}: {int((~holds).sum())} of {holds.size} comparisons fail")
    return _register(Claim(label, "numeric", f"{how} ({holds.size:,} comparisons)"))


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
    """Return the claims that the outputs of an executed notebook hold, in order."""
    records = (
        output.get("metadata", {}).get(METADATA)
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    )
    return [Claim(**record) for record in records if record]


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

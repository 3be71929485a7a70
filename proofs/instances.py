"""Write numbers of the library as exact ratios into Coq files, which `make proofs` checks.

Usage: python instances.py FOLDER. Each file states theorems about numbers that the library returns
now, and one, Refused.v, that numbers which were tampered with are refused. A file is written only
where it changed, so that nothing is checked twice.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rs_lib.certificates import ablation, discrete
from rs_lib.experiments import band_ballots
from rs_lib.experiments.band_ballots import Ballot
from rs_lib.noise import Ablation, Gaussian, Rounded
from rs_lib.record import files, places
from rs_lib.smoothing import RadiusTable
from rs_lib.smoothing.plans import ceiling
from rs_lib.statistics import SequentialTable, clopper_pearson_lower

ALPHA = Fraction(1, 1_000)
SMALL = 2**12
"""Masses up to this, in units of 2^-60, count as certified at the ends of a walk."""

HEAD = """From Coq Require Import ZArith Uint63.
From mathcomp Require Import all_ssreflect all_algebra.
From Formal Require Import Zreal Binomial CPCheck CPTable Sequential SeqCheck.
From Formal Require Import Ablation AblationCheck NeymanPearson NPCheck Votes VoteCheck.
Delimit Scope Z_scope with Z.
Import GRing.Theory Num.Theory.
Local Open Scope ring_scope.
"""


class Ratio(NamedTuple):
    """A number as the checkers take it."""

    above: int
    below: int

    @classmethod
    def of(cls, value: float | Fraction) -> "Ratio":
        """Return a finite float or Fraction as it is, to the last bit; ValueError for others."""
        try:
            exact = Fraction(float(value) if isinstance(value, np.floating) else value)
        except (OverflowError, ValueError, TypeError) as error:
            raise ValueError(f"value is {value!r}: give a finite number") from error
        return cls(exact.numerator, exact.denominator)

    def __str__(self) -> str:
        """Return it as an element of the field."""
        return f"Zr R {self.above} / Zr R {self.below}"


def checked(name: str, check: str, statement: str, by: str, value: bool = True) -> str:
    """Return a theorem that follows from a check, which Coq's virtual machine computes."""
    told = str(value).lower()
    lemma = (
        f"Lemma {name}_checked : {check} = {told}.\nProof. vm_cast_no_check (erefl {told}). Qed.\n"
    )
    return lemma + f"Theorem {name} {statement}.\nProof. {by} Qed.\n" if statement else lemma


def bounds_table(n: int, alpha: Fraction, table: Sequence[float]) -> str:
    """Return the theorem that `table`, of the counts 0 ... n, is a bound of level `alpha`."""
    rows = ";\n  ".join(f"({low.above}, {low.below})" for low in map(Ratio.of, table))
    check = f"table_ok {n} table {alpha.numerator} {alpha.denominator} (2 ^ 80) {n + 1}"
    statement = (
        "(R : realFieldType) (p : R) : 0 <= p <= 1 ->\n"
        f"  Pr p {n} (fun w => p < entry R table (Binomial.votes w)) <= {Ratio.of(alpha)}"
    )
    return f"Definition table : seq (Z * Z) := [::\n  {rows}]%Z.\n" + checked(
        "table_valid", check, statement, "exact: table_ok_valid table_valid_checked."
    )


def bound_check(n: int, k: int, alpha: Fraction, low: float | Fraction) -> str:
    """Return the check that k or more of n votes have probability at most `alpha` under `low`."""
    above, below = Ratio.of(low)
    return (
        f"cp_ok {n} {k} {above} {below} {alpha.numerator} {alpha.denominator} "
        f"(2 ^ 100) (Z.to_nat {n + 1})"
    )


def bound(name: str, n: int, k: int, alpha: Fraction, low: float) -> str:
    """Return the theorem that a bound `low` for k of n votes is one of level `alpha`."""
    above, below = Ratio.of(low)
    whole = f"(Z.to_nat {n}) (Z.to_nat {k})"
    return checked(
        name,
        bound_check(n, k, alpha, low)
        .replace(f"cp_ok {n} {k}", "cp_ok {} {}")
        .format(f"(Z.of_nat (Z.to_nat {n}))", f"(Z.of_nat (Z.to_nat {k}))"),
        f"(R : realFieldType) : tail (Zr R {above} / Zr R {below}) {whole} <= {Ratio.of(alpha)}",
        f"by apply: (@cp_ok_sound R {whole} {above} {below} _ _ _ _ _ _ {name}_checked).",
    )


@dataclass(frozen=True)
class Test:
    """A sequential test as the library returned it: looks, accept and reject, one p0, its level."""

    p0: float
    looks: tuple[int, ...]
    accept: tuple[int, ...]
    reject: tuple[int, ...]
    alpha: Fraction

    def lowered(self, look: int) -> "Test":
        """Return the test that certifies from one vote less on at a look."""
        accept = [a - (place == look) for place, a in enumerate(self.accept)]
        return Test(self.p0, self.looks, tuple(accept), self.reject, self.alpha)

    def entries(self) -> str:
        """Return votes since the last look, accept and reject + 1, of each look."""
        steps = np.diff(self.looks, prepend=0).tolist()
        rows = zip(steps, self.accept, self.reject, strict=True)
        return "; ".join(f"({step}, {a}, {r + 1})" for step, a, r in rows)

    def check(self, looks: str) -> str:
        """Return the check that its error is at most alpha; `looks` names its entries."""
        above, below = Ratio.of(self.p0)
        alpha = Ratio.of(self.alpha)
        return f"seq_ok {above} {below} {looks} {SMALL}%uint63 {alpha.above} {alpha.below}"

    def theorem(self, name: str) -> str:
        """Return the theorem that it certifies with probability at most alpha up to p0."""
        statement = (
            f"(R : realFieldType) (p : R) : 0 <= p <= {Ratio.of(self.p0)} ->\n"
            f"  error (steps_of {name}_looks) p <= {Ratio.of(self.alpha)}"
        )
        given = f"Definition {name}_looks : seq (Z * Z * Z) := [:: {self.entries()}]%Z.\n"
        by = f"exact: seq_ok_valid {name}_checked."
        return given + checked(name, self.check(f"{name}_looks"), statement, by)


def tests_of(table: SequentialTable, alpha: Fraction) -> list[Test]:
    """Return the tests of a table, with its nested boundaries."""
    looks = tuple(table.looks.tolist())
    rows = zip(table.p0s.tolist(), table.accept.tolist(), table.reject.tolist(), strict=True)
    return [Test(p0, looks, tuple(accept), tuple(reject), alpha) for p0, accept, reject in rows]


def tables() -> dict[str, list[Test]]:
    """Return the tests of every table whose results the book shows, and of README's example."""
    test_set = [float(radius) for radius in range(12)]
    found = {"ablation_test_set": _of(Ablation(45, 784), test_set, 3_000, Fraction(1, 20))}
    for kept in (20, 30, 45):
        views = Ablation(kept, 784)
        reach = range(int(ceiling(views, 10_000, 0.05)) + 1)
        found[f"ablation_{kept}"] = _of(views, list(map(float, reach)), 10_000, Fraction(1, 20))
    for name, sigma, steps in (("quarter", 0.25, 4), ("half", 0.5, 7), ("one", 1.0, 11)):
        law, radii = Rounded(Gaussian(sigma), 255), [step / 4 for step in range(steps)]
        found[f"mnist_{name}"] = _of(law, radii, 20_000, ALPHA)
        if sigma < 1:
            found[f"cifar10_{name}"] = _of(law, radii, 50_000, ALPHA)
    half = Rounded(Gaussian(0.5), 255)
    found["cifar10_class"] = _of(half, [0.0], 50_000, ALPHA)  # at radius 0 for every noise
    found["readme"] = _of(half, [0.5, 1.0], 100_000, ALPHA)
    return found


def _of(law: Ablation | Rounded, radii: list[float], most: int, alpha: Fraction) -> list[Test]:
    return tests_of(RadiusTable(radii, most).table(law, float(alpha)), alpha)


def deltas() -> str:
    """Return the theorems about Delta(rho) of the settings of the book."""
    parts = []
    for d, k, most in ((784, 20, 27), (784, 30, 18), (784, 45, 12), (1024, 75, 9), (64, 8, 5)):
        for rho in range(1, most):
            name = f"delta_{d}_{k}_{rho}"
            above, below = Ratio.of(ablation.delta(d, k, rho))
            parts.append(
                checked(
                    name,
                    f"delta_ok {d} {k} {rho} {above} {below}",
                    f"(R : realFieldType) : delta R {d} {k} {rho} = Zr R {above} / Zr R {below}",
                    f"exact: delta_ok_sound {name}_checked.",
                )
            )
    return "\n".join(parts)


class Problem(NamedTuple):
    """Two laws on finitely many outcomes, in units of 1 / total, and a price."""

    rows: list[tuple[int, int]]
    total: int
    price: Fraction


def changed(radius: int, keep: Fraction, others: int) -> Problem:
    """Return the outcomes of `radius` changed coordinates by how many agree with x, and with x'."""
    kept, moved = keep.numerator * others, keep.denominator - keep.numerator
    total = (keep.denominator * others) ** radius
    rows = []
    for i in range(radius + 1):
        for j in range(radius + 1 - i):
            ways = comb(radius, i) * comb(radius - i, j) * (others - 1) ** (radius - i - j)
            rest = moved ** (radius - i - j)
            mass = (kept**i * moved**j * rest, kept**j * moved**i * rest)
            rows.append((ways * mass[0], ways * mass[1]))
    rows = [row for row in rows if any(row)]
    return Problem(rows, total, _price(rows, total))


def _price(rows: Sequence[tuple[int, int]], total: int) -> Fraction:
    """Return the price of the outcome at which the cheapest tests reach Q-mass one half."""
    spent = Fraction(0)
    bought = sorted((Fraction(q, p), q) for p, q in rows if p)
    for price, cost in bought:
        spent += Fraction(cost, total)
        if spent >= Fraction(1, 2):
            return price
    return bought[-1][0]


def least_mass(name: str, problem: Problem, p: Fraction, q: Fraction) -> str:
    """Return the theorem that every test of P-mass at least p has Q-mass at least q."""
    pairs = "; ".join(f"({a}, {b})" for a, b in problem.rows)
    numbers = [problem.price.numerator, problem.price.denominator, *Ratio.of(p), *Ratio.of(q)]
    listed = " ".join(map(str, numbers))
    statement = (
        f"(R : realFieldType) (h : 'I_(size {name}_rows) -> R) : test h ->\n"
        f"  {Ratio.of(p)} <= mass (@base R {name}_rows {problem.total}) h ->\n"
        f"  {Ratio.of(q)} <= mass (@shifted R {name}_rows {problem.total}) h"
    )
    return f"Definition {name}_rows : seq (Z * Z) := [:: {pairs}]%Z.\n" + checked(
        name,
        f"np_ok {name}_rows {problem.total} {listed}",
        statement,
        f"exact: np_ok_sound {name}_checked.",
    )


def thresholds() -> str:
    """Return the theorems about the thresholds of discrete noise: above them one half is kept."""
    parts = []
    for keep, others in ((Fraction(4, 5), 1), (Fraction(9, 10), 1), (Fraction(3, 4), 2)):
        for radius in range(1, 9):
            p = discrete.threshold(radius, keep, others)
            name = f"flips_{keep.numerator}_{keep.denominator}_{others}_{radius}"
            if p < 1:
                parts.append(least_mass(name, changed(radius, keep, others), p, Fraction(1, 2)))
    return "\n".join(parts)


def votes_check(name: str, ballot: Ballot, value: bool = True) -> str:
    """Return the lemma that the checker passes the votes of an image, or refuses them."""
    rows = ";\n  ".join(f"[:: {'; '.join(map(str, row))}]" for row in ballot.votes.tolist())
    given = f"(map (map (leq 1)) [::\n  {rows}]%N)"
    sizes = f"{ballot.votes.shape[1]} {ballot.band} {ballot.patch}"
    return checked(name, f"votes_ok {sizes} {given} {ballot.answer}", "", "", value)


def moved(ballot: Ballot) -> Ballot:
    """Return the votes, just certified, with one moved from the answer to a rival."""
    for place, rival in np.ndindex(ballot.votes.shape):
        votes = ballot.votes.copy()
        if votes[place, ballot.answer] and rival != ballot.answer:
            votes[place, ballot.answer], votes[place, rival] = 0, 1
            other = ballot._replace(votes=votes)
            if band_ballots.slack(other) < 0:
                return other
    raise ValueError(f"image {ballot.image}: no single vote decides")


def ballots() -> dict[str, Ballot]:
    """Return certified votes of the book's column networks: of digits now, of MNIST as recorded."""
    experiment = band_ballots.experiment
    # As the chapters of a build do: a stage is found by the text of the code, without a witness.
    os.environ[places.SHARED_VARIABLE] = str(places.HERE.built / "shared")
    made = {"digits": experiment.run("quick"), "mnist": experiment.recorded("full")}
    return {
        f"{name}_{ballot.image}": ballot
        for name, result in made.items()
        for ballot in band_ballots.read(result.values)
    }


def closest_of_each(cast: dict[str, Ballot]) -> dict[str, Ballot]:
    """Return for each data set the votes that fail first."""
    sets = {name.split("_")[0] for name in cast}
    found = {}
    for of in sorted(sets):
        own = {name: ballot for name, ballot in cast.items() if name.startswith(f"{of}_")}
        name = min(own, key=lambda name: band_ballots.slack(own[name]))
        found[name] = own[name]
    return found


BOUNDS = [
    (n, int(n * share))
    for n in (1_000, 10_000, 50_000, 100_000)
    for share in (0.51, 0.6, 0.8, 0.99, 1)
]
"""The n and k of the bounds that are checked one by one."""


def bounds() -> str:
    """Return the theorems about `BOUNDS`."""
    return "\n".join(
        bound(f"bound_{n}_{k}", n, k, ALPHA, float(clopper_pearson_lower(k, n, float(ALPHA))))
        for n, k in BOUNDS
    )


def refused(closest: dict[str, Ballot]) -> str:
    """Return lemmas that the checkers refuse numbers which were tampered with."""
    parts = [votes_check(f"{name}_moved", moved(cast), False) for name, cast in closest.items()]
    for n, k in ((100, 60), (1_000, 990), (100_000, 60_000)):
        low = Fraction(float(clopper_pearson_lower(k, n, float(ALPHA))))
        raised = float(low * (1 + Fraction(1, 10**10)))
        parts.append(checked(f"raised_{n}", bound_check(n, k, ALPHA, raised), "", "", False))
    for name, test in (("test_set", tables()["ablation_test_set"][3]), ("half", _short())):
        for look in (0, len(test.looks) // 2, len(test.looks) - 1):
            entries = f"[:: {test.lowered(look).entries()}]%Z"
            parts.append(checked(f"lowered_{name}_{look}", test.check(entries), "", "", False))
    law = changed(2, Fraction(4, 5), 1)
    rows = "; ".join(f"({a}, {b})" for a, b in law.rows)
    less = Ratio.of(discrete.threshold(2, Fraction(4, 5)) - Fraction(1, 10**10))
    check = (
        f"np_ok [:: {rows}]%Z {law.total} {law.price.numerator} {law.price.denominator} "
        f"{less.above} {less.below} 1 2"
    )
    parts.append(checked("threshold_lowered", check, "", "", False))
    above, below = Ratio.of(ablation.delta(784, 45, 3))
    parts.append(checked("delta_lowered", f"delta_ok 784 45 3 {above - 1} {below}", "", "", False))
    return "\n".join(parts)


def _short() -> Test:
    return _of(Rounded(Gaussian(0.5), 255), [0.25], 1_000, ALPHA)[0]


def written() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file, heaviest last."""
    low = clopper_pearson_lower(np.arange(101), 100, float(ALPHA)).tolist()
    yield "Bounds100", bounds_table(100, ALPHA, low)
    yield "Bounds", bounds()
    yield "Deltas", deltas()
    yield "Thresholds", thresholds()
    cast = ballots()
    yield "Ballots", "\n".join(votes_check(*named) for named in cast.items())
    yield "Refused", refused(closest_of_each(cast))
    for name, tests in tables().items():
        parts = [test.theorem(f"row_{place}") for place, test in enumerate(tests)]
        yield f"Tests_{name}", "\n".join(parts)


def write(folder: Path, made: Iterable[tuple[str, str]]) -> None:
    """Write each text where it is new, with its imports, and remove files of others."""
    kept = set()
    for name, text in made:
        path = folder / f"{name}.v"
        kept.add(name)
        whole = f"{HEAD}\n{text}"
        if not path.is_file() or path.read_text() != whole:
            files.write_atomically(path, whole)
    for path in folder.glob("*.v"):
        if path.stem not in kept:
            path.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]), written())

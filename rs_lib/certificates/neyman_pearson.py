"""The Neyman-Pearson lemma on finitely many outcomes, exactly, and its numerical twins.

Given laws P and Q of one outcome, which randomised classifier h with P(h = 1) = p makes Q(h = 1)
smallest? Outcomes bought in the order of rising price Q/P: if h takes a dear outcome while a
cheaper one is not full, moving P-mass from the former to the latter lowers Q(h = 1). Every
certificate of the book is this lemma for continuous laws.
Source: Neyman and Pearson (1933); Cohen, Rosenfeld and Kolter (2019), Lemma 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy import optimize

from rs_lib import arguments
from rs_lib.arguments import FloatArray


@dataclass(frozen=True)
class WorstCase:
    """The minimum of Q(h = 1) and a classifier that attains it.

    `classifier[i]` in [0, 1] is the probability that h says 1 on outcome i.
    """

    value: Fraction
    classifier: tuple[Fraction, ...]


def _law(name: str, masses: Sequence[Fraction | int]) -> tuple[Fraction, ...]:
    if not isinstance(masses, Sequence) or isinstance(masses, str | bytes):
        raise ValueError(f"{name} is {arguments.shown(masses)}: give a list of Fractions")
    for mass in masses:
        if not isinstance(mass, Fraction | int):
            raise ValueError(
                f"{name} holds {arguments.shown(mass)}: give Fractions, for the result is exact"
            )
        if mass < 0:
            raise ValueError(f"{name} holds {mass}: give probabilities of at least 0")
    law = tuple(Fraction(mass) for mass in masses)
    if sum(law) != 1:
        raise ValueError(f"{name} sums to {sum(law)}: give probabilities that sum to 1")
    return law


def worst_case(
    p: Fraction | int, base: Sequence[Fraction | int], shifted: Sequence[Fraction | int]
) -> WorstCase:
    """Minimise Q(h = 1) over all randomised classifiers h with P(h = 1) = p, exactly.

    `base` and `shifted` hold the probabilities of the same outcomes under P and Q. Outcomes with
    P-mass 0 only cost, so h is 0 there. Of equally cheap outcomes the first is filled first.
    Raises ValueError for numbers other than Fraction or int, negative masses, masses that do not
    sum to 1, unequal lengths, or p outside [0, 1].

    In the book: thm-np-finite.
    """
    if not isinstance(p, Fraction | int) or not 0 <= p <= 1:
        raise ValueError(f"p is {arguments.shown(p)}: give a Fraction in [0, 1]")
    first, second = _law("base", base), _law("shifted", shifted)
    if len(first) != len(second):
        raise ValueError(
            f"shifted has {len(second)} outcomes but base {len(first)}: give the same outcomes"
        )
    useful = [i for i, mass in enumerate(first) if mass > 0]
    classifier = [Fraction(0)] * len(first)
    missing = Fraction(p)
    for i in sorted(useful, key=lambda i: second[i] / first[i]):
        classifier[i] = min(Fraction(1), missing / first[i])
        missing -= classifier[i] * first[i]
    value = sum((h * q for h, q in zip(classifier, second, strict=True)), Fraction(0))
    return WorstCase(value, tuple(classifier))


def linear_programme(p: float, base: npt.ArrayLike, shifted: npt.ArrayLike) -> float:
    """Solve the problem of `worst_case` by the simplex method in floating point, as an oracle.

    Accurate to about 1e-9. `base` and `shifted` have shape (outcomes,). Raises ValueError for
    entries or p outside [0, 1] or unequal shapes, and RuntimeError if the solver finds no optimum.

    In the book: thm-np.
    """
    mass = arguments.single("p", arguments.probabilities("p", p, rounding="nearest"))
    first = arguments.probabilities("base", base, rounding="nearest")
    second = arguments.probabilities("shifted", shifted, rounding="nearest")
    if first.ndim != 1 or second.shape != first.shape:
        raise ValueError(
            f"shifted has shape {second.shape} but base {first.shape}: give two lists of one length"
        )
    # The solver drops coefficients below 1e-9, which thin bins would lose: hence the factor.
    unit = 1e4
    solution = optimize.linprog(
        unit * second,
        A_eq=unit * first[None, :],
        b_eq=[unit * mass],
        bounds=(0, 1),
        method="highs-ds",
    )
    if solution.fun is None:
        raise RuntimeError(f"the linear programme has no optimum: {solution.message}")
    return float(solution.fun / unit)


def discretise(
    cdf: Callable[[FloatArray], FloatArray], shift: float, edges: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Bin masses of a law on the line and of its shift, for `linear_programme`.

    `cdf` is the law's distribution function and `edges`, strictly increasing of shape (m,), cut the
    line into m + 1 bins, the outer two unbounded. Returns (base, shifted), each of shape (m + 1,).
    Classifiers that are constant on bins are classifiers, so the programme's value lies above the
    continuous worst case for every choice of edges. It falls towards it as the edges get denser
    and equals it once the worst-case set is a union of bins.
    Raises ValueError for edges that do not increase or are not finite.
    """
    cuts = arguments.numbers("edges", edges)
    if cuts.ndim != 1 or not np.isfinite(cuts).all() or not (np.diff(cuts) > 0).all():
        raise ValueError(f"edges is {cuts.tolist()}: give finite numbers in increasing order")

    def masses(points: FloatArray) -> FloatArray:
        return np.diff(np.concatenate([[0.0], cdf(points), [1.0]]))

    return masses(cuts), masses(cuts - arguments.single("shift", arguments.numbers("shift", shift)))

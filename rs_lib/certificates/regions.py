"""Finitely many regions of constant likelihood ratio, in exact arithmetic.

A discrete noise law P and its shifted copy Q share outcomes; those with one ratio P/Q form a
region. By the Neyman-Pearson lemma the classifier that loses most fills whole regions, the largest
ratio first, and one of them in part. Masses are integers over a common denominator, which keeps
hundreds of regions exact and fast.
Source: Lee, Yuan, Chang and Jaakkola (2019), "Tight Certificates of Adversarial Robustness for
Randomly Smoothed Classifiers", section 4.
"""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rs_lib import arguments

Exact = Fraction | int | str
"""A number without rounding: a Fraction, an int, or a string such as "0.8" or "4/5"."""

_MOST_BITS = 2**27
"""Binary digits of all masses of a pair of points: half a second of work."""

_SMALL = Fraction(1, 2**1000)


@dataclass(frozen=True)
class Regions:
    """Masses of the regions under P (`base`) and Q (`shifted`), P/Q never rising.

    Both are integers over `denominator` and sum to it. The methods rely on the order.
    """

    base: tuple[int, ...]
    shifted: tuple[int, ...]
    denominator: int

    def laws(self) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """Return both laws as Fractions, as `neyman_pearson.worst_case` takes them."""
        first, second = (
            tuple(Fraction(mass, self.denominator) for mass in masses)
            for masses in (self.base, self.shifted)
        )
        return first, second

    def worst_case(self, p: Exact) -> Fraction:
        """Smallest Q-probability of a randomised classifier of P-probability p: rho(p).

        Raises ValueError for p outside [0, 1] or not exact.
        """
        mass = exact_probability("p", p)
        unit = mass.denominator
        missing, spent = mass.numerator * self.denominator, 0
        for gain, cost in zip(self.base, self.shifted, strict=True):
            if missing <= gain * unit:
                part = Fraction(cost * missing, gain * unit) if missing else 0
                return (spent + part) / Fraction(self.denominator)
            missing -= gain * unit
            spent += cost
        raise AssertionError("the masses sum to the denominator")

    def best_case(self, p: Exact) -> Fraction:
        """Largest Q-probability of a randomised classifier of P-probability p: 1 - rho(1 - p)."""
        return 1 - self.worst_case(1 - exact_probability("p", p))

    def threshold(self) -> Fraction:
        """Largest p with rho(p) <= 1/2: a class keeps the majority if and only if p exceeds it.

        It is 1 where not even certainty under P gives a majority under Q.
        """
        bought, room = 0, self.denominator  # room: twice what is missing to Q-mass 1/2
        for gain, cost in zip(self.base, self.shifted, strict=True):
            if 2 * cost > room:
                return Fraction(2 * cost * bought + gain * room, 2 * cost * self.denominator)
            bought += gain
            room -= 2 * cost
        raise AssertionError("the masses sum to the denominator")

    def joint(self, other: "Regions") -> "Regions":
        """Return the regions of two independent groups of coordinates; equal ratios are merged.

        Raises ValueError where exact numbers would take too long.
        """
        if not isinstance(other, Regions):
            raise ValueError(f"other is {arguments.shown(other)}: give Regions")
        bits = self.denominator.bit_length() + other.denominator.bit_length()
        if len(self.base) * len(other.base) * bits > _MOST_BITS:
            raise ValueError(
                f"other has {len(other.base)} regions: with {len(self.base)} and {bits} binary "
                "digits exact numbers take too long; give fewer changes, or rounder probabilities"
            )
        merged: dict[Fraction | None, list[int]] = {}
        for p, q in zip(self.base, self.shifted, strict=True):
            for s, t in zip(other.base, other.shifted, strict=True):
                if p * s or q * t:
                    price = Fraction(q * t, p * s) if p * s else None
                    region = merged.setdefault(price, [0, 0])
                    region[0] += p * s
                    region[1] += q * t
        # Outcomes that P never yields have no price and come last.
        order = sorted(merged, key=lambda price: (price is None, price or 0))
        return Regions(
            tuple(merged[price][0] for price in order),
            tuple(merged[price][1] for price in order),
            self.denominator * other.denominator,
        )


def exact_probability(name: str, value: Exact) -> Fraction:
    """Return `value` as a Fraction, or raise ValueError unless it is exact and in [0, 1].

    A float is refused: 0.8 is not 4/5, and a region's ratio would change with it. So is a number
    of more than `arguments.MOST_DIGITS` digits.
    """
    if not isinstance(value, str | numbers.Rational):
        raise ValueError(
            f"{name} is {arguments.shown(value)}: give a Fraction or a string such as "
            '"0.8", for the result is exact'
        )
    number = arguments.as_fraction(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {arguments.shown(value)}: give a probability in [0, 1]")
    return number


def require_affordable(name: str, changes: int, *laws: Fraction) -> None:
    """Raise ValueError if exact masses for so many changed coordinates would take too long.

    There are about `changes` masses, each of `changes` times the digits of the probabilities.
    """
    bits = sum(law.denominator.bit_length() for law in laws)
    if changes**2 * bits > _MOST_BITS:
        raise ValueError(
            f"{name} is {changes}: with probabilities of {bits} binary digits exact numbers take "
            f"too long; give at most {math.isqrt(_MOST_BITS // bits)}, or rounder probabilities"
        )


def log_of(ratio: Fraction) -> float:
    """Natural logarithm of a number of at least 0, also of one below the smallest float."""
    if not ratio:
        return -math.inf
    if ratio > _SMALL:
        return math.log(ratio)
    # Two large terms, but their difference is as large.
    return math.log(ratio.numerator) - math.log(ratio.denominator)


def float_above(bound: Fraction) -> float:
    """Smallest float that exceeds `bound`, a number in [0, 1]."""
    nearest = float(bound)
    return nearest if Fraction(nearest) > bound else math.nextafter(nearest, 2)


def power(coefficients: Sequence[int], exponent: int) -> list[int]:
    """Coefficients of f^r, lowest first, for f with the given ones, in O(r) operations.

    f (f^r)' = r f' f^r, read off at each degree k, gives f_0 k p_k = sum_i (i (r + 1) - k) f_i
    p_{k-i}.
    """
    first, *rest = coefficients
    if not first:
        return [0] * exponent + power(rest, exponent)
    result = [first**exponent]
    for k in range(1, len(rest) * exponent + 1):
        total = sum(
            (i * (exponent + 1) - k) * rest[i - 1] * result[k - i]
            for i in range(1, min(k, len(rest)) + 1)
        )
        result.append(total // (first * k))
    return result

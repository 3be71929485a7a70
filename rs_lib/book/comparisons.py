"""What a claim compares: exact values, expressions, arrays of one shape, and never nothing.

Each function raises ValueError for what proves nothing; `claims` adds the label.
"""

import math
import numbers
from collections.abc import Sequence, Set
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from rs_lib.arguments import as_fraction, nonnegative, reals, shown, single


def pairs(given: tuple[object, ...]) -> list[tuple[object, object]]:
    """Return the pairs of a claim; ValueError where there are none or all of them are empty."""
    if not given:
        raise ValueError("at least one pair is needed: give (left, right)")
    found = []
    for pair in given:
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ValueError(f"{shown(pair)} is no pair: give (left, right)")
        found.append((pair[0], pair[1]))
    if all(_is_empty(left) and _is_empty(right) for left, right in found):
        raise ValueError("both sides of every pair are empty: give something to compare")
    return found


def _is_empty(value: object) -> bool:
    """Whether `value` holds nothing, or nothing but what holds nothing."""
    if isinstance(value, sympy.MatrixBase):
        return 0 in value.shape
    if isinstance(value, sympy.FiniteSet | sympy.Tuple):
        return all(map(_is_empty, value.args))
    if isinstance(value, Sequence | Set) and not isinstance(value, str):
        return all(map(_is_empty, value))
    return value is sympy.S.EmptySet


def entries(value: object) -> int:
    """Return how many entries a sequence or set has, those within its entries counted alike."""
    if isinstance(value, Sequence | Set) and not isinstance(value, str):
        return sum(map(entries, value))
    return 1


def refuse_inexact(value: object) -> None:
    """Raise ValueError unless `value` is exact: rational, symbolic, text, or many of these."""
    if isinstance(value, float | np.floating) or (
        isinstance(value, sympy.Basic) and value.has(sympy.Float, sympy.nan)
    ):
        raise ValueError(f"{shown(value)} holds a float: an exact claim needs exact numbers")
    if isinstance(value, Sequence | Set) and not isinstance(value, str):
        for part in value:
            refuse_inexact(part)
    elif not isinstance(value, str | bool | np.bool_ | numbers.Rational | sympy.Basic):
        raise ValueError(f"{type(value).__name__} is no exact value: give Fractions or integers")


def expression(value: object) -> Any:
    """Return `value` as SymPy has it; ValueError for what algebra proves nothing about."""
    if isinstance(value, str | bytes | float | complex | np.inexact):
        raise ValueError(f"{shown(value)} is text or a float: give a SymPy expression")
    try:
        made: Any = sympy.sympify(value)
    except (sympy.SympifyError, TypeError, AttributeError) as error:
        raise ValueError(f"{shown(value)} is no SymPy expression: give one") from error
    if not isinstance(made, sympy.Basic | sympy.MatrixBase):
        raise ValueError(f"{shown(value)} is no SymPy expression: give one")
    if made.has(sympy.nan):
        raise ValueError(f"{made} is not a number, which equals nothing")
    if made.has(sympy.Float):
        raise ValueError(f"{made} holds a float: give exact numbers")
    return made


def tolerance(name: str, value: npt.ArrayLike) -> float:
    """Return a tolerance; ValueError unless it is one finite number that is not negative."""
    return single(name, nonnegative(name, value))


def sides(left: npt.ArrayLike, right: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return both sides in one shape: as float64, or as Fractions where a side is not float64.

    Raises ValueError for NaN and what is no real number, for no entry at all, and for shapes
    that broadcasting would stretch: entry k stands against entry k, or all against one number.
    """
    for name, side in (("left side", left), ("right side", right)):
        reals(name, side)
    one, other = _entries(left), _entries(right)
    if 0 in (one.size, other.size):
        raise ValueError(f"nothing was computed: the shapes are {one.shape} and {other.shape}")
    if one.shape != other.shape and () not in (one.shape, other.shape):
        raise ValueError(
            f"the shapes {one.shape} and {other.shape} differ: give one, or a single number"
        )
    if not one.dtype == other.dtype == np.float64:
        one, other = _fractions(one), _fractions(other)
    one, other = np.broadcast_arrays(one, other)
    return one, other


def _entries(value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return an array; one of a list keeps the kinds of its entries unless all are floats."""
    if not isinstance(value, list | tuple):
        return np.asarray(value)
    entries = np.asarray(value, dtype=object)  # else NumPy rounds integers that stand among floats
    are_floats = all(isinstance(entry, float) for entry in entries.flat)
    return entries.astype(np.float64) if are_floats else entries


def _fractions(values: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    """Return the exact values; infinity stays, and mpmath's numbers count as their float64."""
    exact = np.empty(values.shape, dtype=object)
    for place, entry in enumerate(values.astype(object).flat):
        try:
            exact.flat[place] = as_fraction("entry", entry)
        except ValueError:
            number = float(entry)
            exact.flat[place] = number if math.isinf(number) else Fraction(number)
    return exact

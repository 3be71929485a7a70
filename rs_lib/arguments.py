"""Checks of arguments: each failure is one sentence with the name, the value and the remedy.

What is no real number (text, bytes, dates, complex numbers, masked arrays) is refused here, once
for the whole library. Numbers finer than float64 (Fraction, Decimal, long double, integers beyond
2^53) are rounded to the side that the caller names, so that no bound grows by being converted; the
range is checked before the rounding.
"""

from __future__ import annotations

import math
import numbers as abstract
import reprlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeGuard

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Rounding = Literal["down", "up", "nearest"]
"""Where a number goes that float64 does not hold: to the float below, above, or the nearest."""

_EXACT = 2**53
"""Up to here float64 holds every whole number."""

_PLAIN = (str, bytes, bytearray, memoryview, range)
"""Sequences that hold no arrays."""

_Given = npt.NDArray[Any]
_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 60


def shown(value: object) -> str:
    """Return `value` as an error message shows it: one line of bounded length."""
    try:
        plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        exact = isinstance(plain, Fraction | Decimal)
        text = str(plain) if exact else _SHORT.repr(plain)
    except Exception:  # a repr of the reader's own may fail in any way
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def _refused(name: str, value: object, remedy: str) -> ValueError:
    return ValueError(f"{name} is {shown(value)}: give {remedy}")


def _offender(given: _Given, bad: npt.NDArray[np.bool_]) -> object:
    value = given[bad].flat[0]
    return value.item() if isinstance(value, np.generic) else value


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, _PLAIN)


def _is_masked(value: object) -> bool:
    """Whether `value` is a masked array, or a sequence that holds one, however deep."""
    if _is_list(value):
        return any(_is_masked(part) for part in value)
    return isinstance(value, np.ma.MaskedArray)


def reals(name: str, value: npt.ArrayLike) -> _Given:
    """Return `value` as an array of real numbers, converted nowhere, or raise ValueError."""
    if _is_masked(value):
        raise ValueError(f"{name} is a masked array: give its compressed() or filled(…) values")
    try:
        array = np.asarray(value)
        if array.dtype == np.float64 and _is_list(value) and (np.abs(array) >= _EXACT).any():
            # Integers among floats have been rounded already, 2^53 + 1 to 2^53.
            array = np.asarray(value, dtype=object)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise _refused(name, value, "real numbers") from error
    if array.dtype.kind not in "biufO" or (array.dtype == object and not _all_real(array)):
        raise _refused(name, value, "real numbers")
    if array.dtype.kind in "fO" and np.any(array != array):  # true of NaN alone
        raise ValueError(f"{name} holds NaN: give real numbers")
    # Half and single precision lie within float64.
    return array.astype(np.float64) if array.dtype in (np.float16, np.float32) else array


def _all_real(array: _Given) -> bool:
    return all(
        isinstance(entry, abstract.Real | Decimal | np.bool_)
        and not (isinstance(entry, Decimal) and entry.is_snan())
        for entry in array.flat
    )


def _to_floats(given: _Given, rounding: Rounding) -> FloatArray:
    """Return the numbers as float64, rounded to that side.

    They lie in C order, so that NumPy adds the last axis in pairs, as bounds on rounding assume.
    """
    if given.dtype == np.float64 or (given.dtype.kind in "biu" and not _beyond(given).any()):
        return given.astype(np.float64, order="C")
    floats = [_to_float(entry, rounding) for entry in given.astype(object).flat]
    return np.array(floats, dtype=np.float64).reshape(given.shape)


def _beyond(given: _Given) -> npt.NDArray[np.bool_]:
    """Whether each entry exceeds 2^53 in size, compared as integers."""
    return np.asarray((given > _EXACT) | (given < -_EXACT), dtype=np.bool_)


def _to_float(number: Any, rounding: Rounding) -> float:
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.inf if number > 0 else -math.inf
    if isinstance(number, np.integer):
        number = int(number)  # NumPy would turn it into a float to compare the two
    # A float compares with each of these kinds without rounding.
    if rounding == "down" and nearest > number:
        return math.nextafter(nearest, -math.inf)
    if rounding == "up" and nearest < number:
        return math.nextafter(nearest, math.inf)
    return nearest


def _checked(
    name: str,
    value: npt.ArrayLike,
    inside: Callable[[_Given], Any],
    remedy: str,
    rounding: Rounding,
) -> FloatArray:
    """Return float64 whose entries are `inside` the domain before and after the rounding."""
    given = reals(name, value)
    floats = _to_floats(given, rounding)
    for entries in (given, floats):
        bad = ~np.asarray(inside(entries), dtype=np.bool_)
        if bad.any():
            raise _refused(name, _offender(given, bad), remedy)
    return floats


def numbers(name: str, value: npt.ArrayLike, *, rounding: Rounding = "nearest") -> FloatArray:
    """Return `value` as float64, or raise ValueError if it holds NaN or no real numbers."""
    return _to_floats(reals(name, value), rounding)


def probabilities(name: str, value: npt.ArrayLike, *, rounding: Rounding) -> FloatArray:
    """Return `value` as float64, or raise ValueError if an entry lies outside [0, 1].

    `rounding` is the side on which a bound stays valid: "down" for one from below.
    """
    return _checked(name, value, lambda x: (x >= 0) & (x <= 1), "probabilities in [0, 1]", rounding)


def exact_probabilities(name: str, value: npt.ArrayLike) -> FloatArray | npt.NDArray[np.object_]:
    """Return `value` as float64 where that holds each entry, else as an array of Fractions.

    For functions that count their arguments as exact numbers. Raises ValueError for an entry
    outside [0, 1], or one of more digits than `MOST_DIGITS`.
    """
    given = reals(name, value)
    low = probabilities(name, value, rounding="down")
    if not np.asarray(low != given, dtype=np.bool_).any():
        return low
    fractions = np.empty(given.shape, dtype=object)
    for place, entry in enumerate(given.astype(object).flat):
        fractions.flat[place] = as_fraction(name, entry)
    return fractions


MOST_DIGITS = 10_000
"""Most digits behind the point of an exact number: more would take longer than anybody waits."""

_MOST_BITS = MOST_DIGITS * 10 // 3


def as_fraction(name: str, value: Any) -> Fraction:
    """Return the real number `value`, or the text of one, as a Fraction without rounding.

    Raises ValueError for NaN, infinite numbers, text that is no number, or too many digits.
    """
    try:
        text = isinstance(value, str) and "/" not in value
        number = Decimal(value) if text else value
        # Looked at before its digits are written out.
        exact = None if _is_long(number) else _fraction_of(number)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _refused(name, value, 'a number such as "0.8" or "4/5"') from error
    if exact is None or max(map(int.bit_length, exact.as_integer_ratio())) > _MOST_BITS:
        raise _refused(name, value, f"a number of at most {MOST_DIGITS} digits")
    return exact


def _is_long(number: object) -> bool:
    return isinstance(number, Decimal) and abs(number.adjusted()) > MOST_DIGITS


def _fraction_of(number: Any) -> Fraction:
    exact = isinstance(number, str | abstract.Rational | Decimal)
    fraction = Fraction(number) if exact else Fraction(*number.as_integer_ratio())
    # NumPy's integers would overflow in the arithmetic of Fractions.
    return Fraction(int(fraction.numerator), int(fraction.denominator))


def positive(name: str, value: npt.ArrayLike, *, rounding: Rounding = "nearest") -> FloatArray:
    """Return `value` as float64, or raise ValueError unless every entry is positive and finite."""
    return _checked(
        name, value, lambda x: (x > 0) & (x < np.inf), "a positive finite number", rounding
    )


def nonnegative(name: str, value: npt.ArrayLike, *, rounding: Rounding = "nearest") -> FloatArray:
    """Return `value` as float64, or raise ValueError unless each entry is finite and at least 0."""
    return _checked(
        name,
        value,
        lambda x: (x >= 0) & (x < np.inf),
        "a finite number that is not negative",
        rounding,
    )


def magnitudes(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return the absolute values of `value` as float64, rounded up; ValueError as for `numbers`."""
    given = reals(name, value)
    return np.maximum(_to_floats(given, "up"), -_to_floats(given, "down"))


def level(name: str, value: npt.ArrayLike, *, rounding: Rounding = "down") -> FloatArray:
    """Return `value` as float64, or raise ValueError unless every entry lies strictly in (0, 1).

    A level of error is rounded down; a confidence, up.
    """
    return _checked(
        name, value, lambda x: (x > 0) & (x < 1), "a level strictly between 0 and 1", rounding
    )


def integers(name: str, value: npt.ArrayLike, *, least: int = 0, most: int = _EXACT) -> IntArray:
    """Return `value` as int64, or raise ValueError unless each is whole, from `least` to `most`.

    Numbers that are given as integers are compared as integers, however large; `most` is at most
    2^63 - 1. A whole number in another form, such as 5.0, is accepted.
    """
    given = reals(name, value)
    for bad, side in ((given < least, f"at least {least}"), (given > most, f"at most {most}")):
        _require_none(name, given, bad, f"whole numbers of {side}")
    if given.dtype == object:
        whole = np.array([int(entry) for entry in given.flat], dtype=object).reshape(given.shape)
    else:
        whole = np.floor(given) if given.dtype.kind == "f" else given
    _require_none(name, given, whole != given, f"whole numbers of at least {least}")
    return whole.astype(np.int64)


def _require_none(name: str, given: _Given, bad: Any, remedy: str) -> None:
    """Raise ValueError that shows the first entry which is `bad`."""
    flags = np.asarray(bad, dtype=np.bool_)
    if flags.any():
        raise _refused(name, _whole_shown(_offender(given, flags)), remedy)


def _whole_shown(entry: Any) -> object:
    """Return 5 for 5.0, but 2.5 and 1e+23 as they are."""
    plain = isinstance(entry, float) and entry.is_integer() and abs(entry) <= _EXACT
    return int(entry) if plain else entry


def integer(name: str, value: npt.ArrayLike, *, least: int = 0, most: int = _EXACT) -> int:
    """Return one whole number as a Python int, which no sum or product overflows.

    Raises ValueError as `integers` does, and for an array.
    """
    array = integers(name, value, least=least, most=most)
    if array.ndim:
        raise _refused(name, value, "one whole number")
    return int(array)


def single(name: str, array: FloatArray) -> float:
    """Return the one number of a checked array, or raise ValueError if it is a list."""
    if array.ndim:
        raise _refused(name, array, "one number")
    return float(array)


MOST_CHANNELS = 4
"""Images of more channels than this may have their axes in another order."""


def require_channels_first(name: str, shape: Sequence[int]) -> None:
    """Raise ValueError if images of `shape` [N, C, H, W] look as if they were [N, H, W, C].

    Certificates that count positions would count something else then: of colour images a third.
    """
    channels, height, width = shape[1:]
    if channels > MOST_CHANNELS and (width <= MOST_CHANNELS or channels == height > width):
        raise ValueError(
            f"{name} have shape {tuple(shape)}, which looks like [N, H, W, C]: give [N, C, H, W], "
            "as by transposing to the axes (0, 3, 1, 2)"
        )


def common_shape(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape to which arguments of these shapes broadcast, or raise ValueError."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        named = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes are {named}: give shapes that broadcast") from None


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """Return `value`, or raise ValueError unless it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {shown(value)}: give one of {', '.join(choices)}")
    return value

"""Checks of arguments: each failure is one sentence with the name, the value and the remedy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def _first_offender(values: npt.NDArray[np.generic], bad: npt.NDArray[np.bool_]) -> object:
    return values[bad].flat[0].item()


def numbers(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64, or raise ValueError if it holds NaN or no real numbers."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}: give real numbers") from error
    bad = np.isnan(array)
    if bad.any():
        raise ValueError(f"{name} holds NaN: give real numbers")
    return array


def probabilities(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64, or raise ValueError if an entry lies outside [0, 1]."""
    array = numbers(name, value)
    bad = (array < 0) | (array > 1)
    if bad.any():
        raise ValueError(f"{name} is {_first_offender(array, bad)}: give probabilities in [0, 1]")
    return array


def positive(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64, or raise ValueError unless every entry is positive and finite."""
    array = numbers(name, value)
    bad = ~((array > 0) & np.isfinite(array))
    if bad.any():
        raise ValueError(f"{name} is {_first_offender(array, bad)}: give a positive finite number")
    return array


def nonnegative(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64, or raise ValueError unless each entry is finite and at least 0."""
    array = numbers(name, value)
    bad = ~((array >= 0) & np.isfinite(array))
    if bad.any():
        raise ValueError(
            f"{name} is {_first_offender(array, bad)}: give a finite number that is not negative"
        )
    return array


def integers(name: str, value: npt.ArrayLike, *, least: int = 0) -> IntArray:
    """Return `value` as int64, or raise ValueError unless each is a whole number >= `least`."""
    array = numbers(name, value)
    bad = (array != np.floor(array)) | (array < least) | (array > 2**53)
    if bad.any():
        raise ValueError(
            f"{name} is {_first_offender(array, bad)}: give whole numbers of at least {least}"
        )
    return array.astype(np.int64)


def level(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64, or raise ValueError unless every entry lies strictly in (0, 1)."""
    array = numbers(name, value)
    bad = ~((array > 0) & (array < 1))
    if bad.any():
        raise ValueError(
            f"{name} is {_first_offender(array, bad)}: give a level strictly between 0 and 1"
        )
    return array


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """Return `value`, or raise ValueError unless it is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: give one of {', '.join(choices)}")
    return value

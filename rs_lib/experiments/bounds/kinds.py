"""Kinds of parameters: each takes a name and a value and raises ValueError that names both."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any

from rs_lib.arguments import shown
from rs_lib.statistics import MAX_TRIALS

Kind = Callable[[str, object], None]
"""Checks a value; raises ValueError."""

Fields = Mapping[str, Kind]
"""The kind of every field of a dataclass."""


def refused(name: str, value: object, remedy: str) -> ValueError:
    """Return the error that says what `name` is and what to give."""
    return ValueError(f"{name} is {shown(value)}: give {remedy}")


def whole(least: int, most: int) -> Kind:
    """A whole number from `least` to `most`."""

    def check(name: str, value: object) -> None:
        if type(value) is not int or not least <= value <= most:
            raise refused(name, value, f"a whole number from {least} to {most}")

    return check


def real(least: float, most: float) -> Kind:
    """A number from `least` to `most`, which NaN is not."""

    def check(name: str, value: object) -> None:
        if type(value) is not float or not least <= value <= most:
            raise refused(name, value, f"a number from {least:g} to {most:g}, with a point")

    return check


def zero_or(kind: Kind) -> Kind:
    """The number 0.0, or what `kind` takes."""

    def check(name: str, value: object) -> None:
        if type(value) is not float or value != 0:
            kind(name, value)

    return check


def level(name: str, value: object) -> None:
    """A probability of error, as far as bounds for it have been checked."""
    if type(value) is not float or not 1e-60 <= value < 1:
        raise refused(name, value, "a level of at least 1e-60, below 1")


def truth(name: str, value: object) -> None:
    """True or False."""
    if type(value) is not bool:
        raise refused(name, value, "True or False")


def one_of(choices: Collection[str]) -> Kind:
    """One of some texts."""

    def check(name: str, value: object) -> None:
        if not isinstance(value, str) or value not in choices:
            raise refused(name, value, f"one of {', '.join(choices)}")

    return check


def decimal(name: str, value: object) -> None:
    """The text of a probability strictly between 0 and 1, with at most 20 digits."""
    text = value if isinstance(value, str) else ""
    digits = text.partition(".")[2]
    if not (text.startswith("0.") and digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise refused(name, value, "the text of a probability, such as '0.9'")
    if not Fraction(text):
        raise refused(name, value, "a probability above 0")


def each(kind: Kind, *, least: int = 1, most: int = 1000, distinct: bool = False) -> Kind:
    """A tuple of `least` to `most` entries of a kind, all different if `distinct`."""

    def check(name: str, value: object) -> None:
        if not isinstance(value, tuple) or not least <= len(value) <= most:
            raise refused(name, value, f"a tuple of {least} to {most} entries")
        for place, entry in enumerate(value):
            kind(f"{name}[{place}]", entry)
        if distinct and len(set(value)) < len(value):
            raise refused(name, value, "every entry once")

    return check


def row(*kinds: Kind) -> Kind:
    """A tuple with one entry of each kind."""

    def check(name: str, value: object) -> None:
        if not isinstance(value, tuple) or len(value) != len(kinds):
            raise refused(name, value, f"a tuple of {len(kinds)} entries")
        for place, (kind, entry) in enumerate(zip(kinds, value, strict=True)):
            kind(f"{name}[{place}]", entry)

    return check


def part(fields: Fields) -> Kind:
    """A dataclass with these fields."""

    def check(name: str, value: object) -> None:
        require(fields, f"{name}.", value)

    return check


def require(fields: Fields, prefix: str, parameters: Any) -> None:
    """Raise ValueError for the first field of the dataclass that is not of its kind."""
    for field in dataclasses.fields(parameters):
        fields[field.name](f"{prefix}{field.name}", getattr(parameters, field.name))


SEED = whole(-(2**63), 2**63 - 1)
SAMPLES = whole(1, MAX_TRIALS)
SCALE = real(1e-3, 100)
"""A scale of noise on images with pixels in [0, 1]."""

EPOCHS = whole(1, 10_000)
BATCH = whole(1, 100_000)
RATE = real(1e-9, 100)
STEPS = whole(1, 10_000)
IMAGES = whole(1, 60_000)
"""As many as the largest data set trains on; how many there are of one, the rules know."""

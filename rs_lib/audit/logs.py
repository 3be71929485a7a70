"""Certification logs as tab-separated text, and what a printed radius can stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray

ABSTAIN = -1
COLUMNS = ("idx", "label", "predict", "radius", "correct")
BoolArray = npt.NDArray[np.bool_]

# What Python and C print; Python's own `float` would take 1_0 as well.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")

# Digits beyond the sixteenth are noise of the conversion to text.
_MOST_DIGITS = 16


@dataclass(frozen=True)
class Log:
    """A certification log: one entry per image, in the order of the file.

    `index`, `label` and `predicted` (class or ABSTAIN) are int64 [N], `text` the radii as printed,
    `radius` the same as float64 [N] in the unit of sigma, `correct` bool [N].
    """

    name: str
    index: IntArray
    label: IntArray
    predicted: IntArray
    text: tuple[str, ...]
    radius: FloatArray
    correct: BoolArray

    @property
    def certified(self) -> BoolArray:
        """Which rows print a positive radius, bool [N]."""
        return self.radius > 0


@dataclass(frozen=True)
class Printing:
    """How radii were printed: `digits` significant ones, or that many decimals if `fixed`.

    `rounding` is "nearest", or "down" where the last digit was cut off.
    """

    digits: int
    fixed: bool
    rounding: str

    def cells(self, radius: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the smallest and the largest number that prints as `radius`, of its shape.

        `radius` holds printed values of at least 0, in any unit. Below a power of ten significant
        digits are finer than above it, so the cell around a printed 1.0 is not symmetric.
        """
        value = arguments.nonnegative("radius", radius)
        above = np.full(value.shape, 10.0**-self.digits)
        below = above
        if not self.fixed:
            # The tiny factor keeps the floats just below a power of ten in the decade they mean.
            decade = np.floor(np.log10(np.maximum(value, 1e-300)) + 1e-13)
            above = 10.0 ** (decade + 1 - self.digits)
            power = value <= 10.0**decade * (1 + 1e-13)
            below = np.where(power, above / 10, above)
        if self.rounding == "down":
            return value, value + above
        return np.maximum(value - below / 2, 0.0), value + above / 2


def printing(log: Log, rounding: str = "nearest") -> Printing:
    """Infer from the printed radii how many digits they carry.

    Radii with equally many decimals, abstentions included, were printed with a fixed number of
    decimals; otherwise the digits are significant ones, at least as many as the longest radius
    shows, for `'{:.3}'` and its like drop trailing zeros. Raises ValueError for a rounding other
    than "nearest" and "down", and for a log without a positive radius.
    """
    arguments.one_of("rounding", rounding, ["nearest", "down"])
    if not log.certified.any():
        raise ValueError(f"{log.name} holds no positive radius: nothing can be audited")
    plain = [text.lower() for text in log.text]
    decimals = {len(text.partition(".")[2]) for text in plain}
    if len(decimals) == 1 and 0 not in decimals and not any("e" in text for text in plain):
        return Printing(decimals.pop(), fixed=True, rounding=rounding)
    significant = (len(_significant(text)) for text in plain)
    return Printing(min(max(significant), _MOST_DIGITS), fixed=False, rounding=rounding)


def _significant(text: str) -> str:
    mantissa = text.partition("e")[0].lstrip("+").replace(".", "", 1)
    return mantissa.lstrip("0").rstrip("0")


def read_log(path: str | Path) -> Log:
    """Read a certification log.

    The first line names the columns, which start with idx, label, predict, radius and correct, as
    in the logs of Cohen, Rosenfeld and Kolter (2019); what follows them (the time, in whatever
    form, counts, …) is not read. Columns are separated by tabs, or by blanks if there is no tab.

    Raises ValueError that names the file, the line and the remedy for missing columns, entries
    that are no numbers, contradictory rows, an image that occurs twice, or a log without rows;
    OSError where the file cannot be read.
    """
    file = Path(path)
    if file.exists() and not (file.is_file() or file.is_fifo()):
        raise ValueError(f"log is {str(path)!r}: give a file, this is none")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or tuple(_split(lines[0].lower())[: len(COLUMNS)]) != COLUMNS:
        raise ValueError(
            f"{file}, line 1: the columns do not start with {' '.join(COLUMNS)}: "
            "give a certification log with that first line"
        )
    rows = []
    seen: dict[int, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            row = _row(line)
            if row[0] in seen:
                raise ValueError(
                    f"image {row[0]} is already on line {seen[row[0]]}: keep one of the two"
                )
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from error
        seen[row[0]] = number
        rows.append(row)
    if not rows:
        raise ValueError(f"{file}, line 2: there is no row: give a log with at least one image")
    index, label, predicted, text, correct = zip(*rows, strict=True)
    return Log(
        name=file.name,
        index=np.array(index, dtype=np.int64),
        label=np.array(label, dtype=np.int64),
        predicted=np.array(predicted, dtype=np.int64),
        text=tuple(text),
        radius=np.array([float(entry) for entry in text]),
        correct=np.array(correct, dtype=bool),
    )


def _split(line: str) -> list[str]:
    return [part.strip() for part in line.split("\t")] if "\t" in line else line.split()


def _row(line: str) -> tuple[int, int, int, str, int]:
    """Return idx, label, predict, radius as printed and correct, or raise ValueError."""
    parts = _split(line)[: len(COLUMNS)]
    if len(parts) < len(COLUMNS):
        raise ValueError(f"{len(parts)} columns: give {' '.join(COLUMNS)}, or drop a torn line")
    index, label, predicted = (_whole(*pair) for pair in zip(COLUMNS, parts[:3], strict=False))
    text, correct = parts[3], parts[4]
    radius = float(text) if _NUMBER.fullmatch(text) else -1.0
    if not 0 <= radius < np.inf:
        raise ValueError(f"radius is {arguments.shown(text)}: give a finite number of at least 0")
    if correct not in ("0", "1"):
        raise ValueError(f"correct is {arguments.shown(correct)}: give 0 or 1")
    if predicted == ABSTAIN and radius > 0:
        raise ValueError(f"radius is {text} but predict abstains: give 0.0 there")
    if (predicted == label) != (correct == "1"):
        raise ValueError(
            f"correct is {correct} but label {label} and predict {predicted}: mend the flag"
        )
    return index, label, predicted, text, int(correct)


def _whole(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(
            f"{name} is {arguments.shown(text)}: give a whole number of at most 18 digits"
        )
    number = int(text)
    if name == "predict" and number < ABSTAIN:
        raise ValueError(f"predict is {number}: give a class, or {ABSTAIN} for an abstention")
    if name != "predict" and number < 0:
        raise ValueError(f"{name} is {number}: give a number from 0 on")
    return number

"""Certification logs as they are judged, and what a printed radius can stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray

ABSTAIN = -1
ROUNDINGS = ("nearest", "down")
BoolArray = npt.NDArray[np.bool_]

# Digits beyond the sixteenth are noise of the conversion to text.
_MOST_DIGITS = 16


@dataclass(frozen=True)
class Remark:
    """Something about `lines` of a file (from 1), in words: why they were skipped, or read so."""

    lines: tuple[int, ...]
    told: str


@dataclass(frozen=True)
class Log:
    """A certification log: one entry per image, in the order of the file.

    `images` are the names or numbers of the N images, as text. `label` and `predicted` (class or
    ABSTAIN) are int64 [N], `text` the radii as printed, `radius` the same as float64 [N] in the
    unit of sigma, `correct` bool [N]. `counts` int64 [N] is a column of counts, -1 where it holds
    none; None where the log has none. `words` are the classes that are no numbers, numbered from 0
    on. `remarks` list what was skipped.
    """

    name: str
    images: tuple[str, ...]
    label: IntArray
    predicted: IntArray
    text: tuple[str, ...]
    radius: FloatArray
    correct: BoolArray
    counts: IntArray | None = None
    words: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

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

    Radii with equally many decimals, those of abstentions included where they are 0, were printed
    with a fixed number of decimals; otherwise the digits are significant ones, at least as many as
    the longest radius shows, for `'{:.3}'` and its like drop trailing zeros. Raises ValueError for
    a rounding other than "nearest" and "down", and for a log without a positive radius.
    """
    arguments.one_of("rounding", rounding, ROUNDINGS)
    if not log.certified.any():
        raise ValueError(
            f"{log.name} holds no positive radius: nothing can be audited, give a log that "
            "certifies an image"
        )
    plain = [text.lower() for text in log.text if text]
    decimals = {len(text.partition(".")[2]) for text in plain}
    if len(decimals) == 1 and 0 not in decimals and not any("e" in text for text in plain):
        return Printing(decimals.pop(), fixed=True, rounding=rounding)
    significant = (len(_significant(text)) for text in plain)
    return Printing(min(max(significant), _MOST_DIGITS), fixed=False, rounding=rounding)


def _significant(text: str) -> str:
    mantissa = text.partition("e")[0].lstrip("+").replace(".", "", 1)
    return mantissa.lstrip("0").rstrip("0")

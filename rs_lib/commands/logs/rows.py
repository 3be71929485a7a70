"""Rows of a log as text: written in one way only, and read back with every entry checked."""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Context, Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib.arguments import nonnegative, single
from rs_lib.commands.logs import follows

_SIX_DIGITS = Context(prec=6, rounding=ROUND_DOWN)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
_RADIUS = re.compile(r"[0-9.]+(E[+-][0-9]+)?")


def _is_real(name: str) -> bool:
    """Whether a column holds real numbers >= 0: distances, and mean scores within them."""
    return name in ("radius", "lead") or name.startswith("confidence@")


def _kind(name: str) -> str:
    if name == "time":
        return "nan"
    if not _is_real(name):
        return "a whole number"
    return f"a {'radius' if name == 'radius' else 'number'} in six digits"


def rounded_down(radius: float) -> str:
    """Return `radius` >= 0 in at most six significant digits, rounded towards zero.

    The digits cut are those of the shortest decimal that reads back as `radius`. Reading is
    monotone, so float(text) <= radius always, and a radius of at most six digits keeps its
    value: .3 is written as 0.3. Raises ValueError for a radius that is negative, infinite or NaN.
    """
    value = single("radius", nonnegative("radius", radius, rounding="down"))
    # Plus 0 turns -0.0 into 0.0.
    return str(_SIX_DIGITS.create_decimal(Decimal(repr(value + 0.0))))


def entries(name: str, columns: Mapping[str, npt.ArrayLike]) -> list[str]:
    """Return a column's entries as they are written."""
    if name == "time":
        # A wall time is no function of the settings: the times' file holds it.
        return ["nan"] * len(np.asarray(columns["idx"]))
    values = np.asarray(columns[name])
    if _is_real(name):
        return [rounded_down(value) for value in values.tolist()]
    return [str(int(value)) for value in values.tolist()]


def checked(
    place: Path,
    names: Sequence[str],
    lines: Sequence[str],
    follow: follows.Follow,
    images: Sequence[tuple[int, int | None]] | None = None,
    *,
    ordered: bool = False,
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of `lines`, or raise ValueError that names the first wrong entry found.

    `images` are the index and label (None: any) of each that may have a row, where they are known;
    `ordered`: rows are those of the first images.
    """
    parts = [line.split("\t") for line in lines]
    try:
        _require_entries(names, parts)
        if images is not None:
            _require_images(names, parts, images, ordered=ordered)
        columns = {
            name: _column(name, [line[number] for line in parts])
            for number, name in enumerate(names)
        }
        _require_following(names, parts, follow(columns) if parts else {})
    except follows.RowFault as fault:
        line = fault.row + 2
        entry = dict(zip(names, parts[fault.row], strict=False)).get(fault.column, "missing")
        raise ValueError(
            f"{place} is damaged at line {line}: {fault.column} is {entry[:40]}, expected "
            f"{fault.expected}; delete line {line} and all behind it, the same command computes "
            "them again"
        ) from fault
    return columns


def _require_entries(names: Sequence[str], parts: list[list[str]]) -> None:
    """Raise RowFault unless each row has one entry of its kind for each column."""
    for row, line in enumerate(parts):
        if len(line) != len(names):
            told = f"{len(names)} entries in the line, not {len(line)}"
            raise follows.RowFault(row, names[-1], told)
        for name, entry in zip(names, line, strict=True):
            if not _is_entry(name, entry):
                raise follows.RowFault(row, name, _kind(name))


def _require_images(
    names: Sequence[str],
    parts: list[list[str]],
    images: Sequence[tuple[int, int | None]],
    *,
    ordered: bool,
) -> None:
    """Raise RowFault unless each row is about another one of `images`, with its label."""
    labels = {str(image): label for image, label in images}
    seen: set[str] = set()
    for row, line in enumerate(parts):
        if row >= len(images):
            raise follows.RowFault(row, names[0], f"no more than {len(images)} rows")
        image, label = line[names.index("idx")], line[names.index("label")]
        if ordered and image != str(images[row][0]):
            raise follows.RowFault(row, "idx", str(images[row][0]))
        if image not in labels:
            raise follows.RowFault(row, "idx", "an image of this run")
        if image in seen:
            raise follows.RowFault(row, "idx", "an image that has no row above")
        if labels[image] is not None and label != str(labels[image]):
            raise follows.RowFault(row, "label", str(labels[image]))
        seen.add(image)


def _require_following(
    names: Sequence[str], parts: list[list[str]], following: follows.Columns
) -> None:
    """Raise RowFault at the first entry that is not what follows from the counts."""
    texts = {name: entries(name, following) for name in following}
    for row, line in enumerate(parts):
        for name, entry in zip(names, line, strict=True):
            if name in texts and texts[name][row] != entry:
                raise follows.RowFault(row, name, texts[name][row])


def _is_entry(name: str, text: str) -> bool:
    if name == "time":
        return text == "nan"
    if _is_real(name):
        return bool(_RADIUS.fullmatch(text)) and _is_finite(text)
    return bool(_WHOLE.fullmatch(text)) and abs(int(text)) < 2**63


def _is_finite(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _column(name: str, texts: Sequence[str]) -> npt.NDArray[Any]:
    if name == "time" or _is_real(name):
        return np.array([float(text) for text in texts], dtype=np.float64)
    return np.array([int(text) for text in texts], dtype=np.int64)

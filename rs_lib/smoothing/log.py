"""The log of a certification: a table that only grows, its header, and the times beside it.

`<name>.tsv` begins with the columns of Cohen et al.'s (2019) logs, so that scripts made for
those read it. `<name>.json` holds every setting on which the table depends. Both are functions
of the settings: a run that was killed and started again leaves the bytes of an uninterrupted
one. What differs from run to run, the times, stands in `<name>.times.jsonl`.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from rs_lib import provenance

CERTIFY_COLUMNS = (
    *("idx", "label", "predict", "radius", "correct", "time"),
    *("selected", "successes", "samples", "looks", "undecided"),
)
PREDICT_COLUMNS = (
    *("idx", "label", "predict", "correct", "time"),
    *("top", "runner_up"),
)

_SIX_DIGITS = Context(prec=6, rounding=ROUND_DOWN)
_FLOATS = ("radius", "time")
_ABSENT = object()


def rounded_down(radius: float) -> str:
    """Return `radius` >= 0 in at most six significant digits, rounded towards zero.

    The digits cut are those of the shortest decimal that reads back as `radius`. Reading is
    monotone, so float(text) <= radius always, and a radius of at most six digits keeps its
    value: .3 is written as 0.3. Raises ValueError for a radius that is negative, infinite or NaN.
    """
    if not 0 <= radius < float("inf"):
        raise ValueError(f"radius is {radius}: give a finite number that is not negative")
    return str(_SIX_DIGITS.create_decimal(Decimal(repr(float(radius)))))


@dataclass(frozen=True, eq=False)
class LogTable:
    """A log read back: `header` as stored, `columns` from name to array [rows].

    Radii and times are float64, everything else int64.
    """

    header: dict[str, Any]
    columns: dict[str, npt.NDArray[Any]]


def read(path: str | Path) -> LogTable:
    """Return the log `path`, a .tsv file beside its .json header.

    A torn last line, as a killed run leaves it, is passed over. Raises ValueError if one of
    the two files is missing or is not what `writing` wrote.
    """
    place = _table_path(path)
    header = _stored_header(place)
    if header is None or not place.is_file():
        missing = place.with_suffix(".json") if header is None else place
        raise ValueError(f"there is no file {missing}: give a log that certify or predict wrote")
    names, *rows = _complete_lines(place.read_bytes(), place) or [""]
    if names != "\t".join(_columns(header)):
        raise ValueError(f"{place} does not begin with the columns that its header names")
    parts = [line.split("\t") for line in rows]
    try:
        columns = {
            name: np.array(
                [row[number] for row in parts], dtype=np.float64 if name in _FLOATS else np.int64
            )
            for number, name in enumerate(_columns(header))
        }
    except (ValueError, IndexError) as error:
        raise ValueError(f"{place} holds a damaged line: make the log anew") from error
    return LogTable(header, columns)


class Writer:
    """An open log; `rows` is the number of rows that stand in it. Made by `writing`."""

    def __init__(self, table: IO[bytes], times: IO[bytes], columns: Sequence[str], rows: int):
        """Take over the open files."""
        self.rows = rows
        self._table = table
        self._times = times
        self._columns = columns

    def append(self, columns: Mapping[str, npt.ArrayLike], timing: Mapping[str, object]) -> None:
        """Append rows, given as one array for each column except time, and have them on the disk.

        `timing` becomes one line of the times' file, which is written second: a kill between
        the two loses that line only.
        """
        texts = [_texts(name, columns) for name in self._columns]
        rows = list(zip(*texts, strict=True))
        _append(self._table, "".join("\t".join(row) + "\n" for row in rows))
        _append(self._times, json.dumps(timing) + "\n")
        self.rows += len(rows)


@contextmanager
def writing(
    path: str | Path,
    columns: Sequence[str],
    header: Mapping[str, Any],
    images: Sequence[tuple[int, int]],
) -> Iterator[Writer]:
    """Open the log `path`, a .tsv file, to write a row for each of `images`: (index, label).

    `columns` are its columns and `header` all settings on which the rows depend, as JSON
    holds them. A new log is begun; one of equal columns and settings is gone on with behind
    its last complete row, a torn line being cut off. The log stays locked meanwhile.

    Raises ValueError, and changes no file, if the log has other settings (each is named),
    is damaged, has no header, or is being written by another process.
    """
    place = _table_path(path)
    # Once through JSON, so that it compares with what is stored.
    wanted = json.loads(json.dumps({**header, "columns": " ".join(columns)}, allow_nan=False))
    place.parent.mkdir(parents=True, exist_ok=True)
    _require_equal_settings(place, wanted)
    with place.open("ab+") as table:
        _lock(table, place)
        # Once more behind the lock: another process may have begun the log meanwhile.
        stored = _require_equal_settings(place, wanted)
        kept, rows = _kept(table, place, columns, images, begun=stored is not None)
        if stored is None:
            provenance.write_atomically(
                place.with_suffix(".json"), provenance.readable_json(wanted)
            )
        table.truncate(kept)
        if kept == 0:
            _append(table, "\t".join(columns) + "\n")
        with place.with_suffix(".times.jsonl").open("ab+") as times:
            times.truncate(_complete_bytes(times))
            yield Writer(table, times, columns, rows)


def _table_path(path: str | Path) -> Path:
    place = Path(path)
    if place.suffix != ".tsv":
        raise ValueError(f"the log is {str(path)!r}: give a file name that ends in .tsv")
    return place


def _stored_header(place: Path) -> dict[str, Any] | None:
    """Return the header beside the table `place`; None if there is none."""
    path = place.with_suffix(".json")
    if not path.exists():
        return None
    try:
        header = json.loads(path.read_text())
        _columns(header)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no header of a log: name another log (--out)") from error
    return dict(header)


def _columns(header: Mapping[str, Any]) -> list[str]:
    return str(header["columns"]).split()


def _require_equal_settings(place: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored header, or None; raise ValueError that names each difference."""
    stored = _stored_header(place)
    if stored is None or stored == wanted:
        return stored
    told = "; ".join(
        f"{name} is {_shown(there)} in the log and {_shown(now)} now"
        for name, (there, now) in _differences(stored, wanted).items()
    )
    raise ValueError(
        f"the log {place} has other settings: {told}. Its rows would not be those of one run: "
        "restore the settings, or name another log (--out)"
    )


def _differences(stored: Any, wanted: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the dotted names of the entries that differ, with both values."""
    if stored == wanted:
        return {}
    if not (isinstance(stored, dict) and isinstance(wanted, dict)):
        return {name: (stored, wanted)}
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*wanted, *stored)):
        inner = f"{name}.{key}" if name else str(key)
        found |= _differences(stored.get(key, _ABSENT), wanted.get(key, _ABSENT), inner)
    return found


def _shown(value: Any) -> str:
    text = "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else f"{text[:67]}..."


def _lock(table: IO[bytes], place: Path) -> None:
    """Lock the open file; the system drops the lock when the process ends, however it ends."""
    try:
        fcntl.flock(table, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"the log {place} is being written by another process: wait for its end, "
            "or name another log (--out)"
        ) from error


def _kept(
    table: IO[bytes],
    place: Path,
    columns: Sequence[str],
    images: Sequence[tuple[int, int]],
    *,
    begun: bool,
) -> tuple[int, int]:
    """Return how many bytes and rows of the table stay, or raise ValueError if it is not ours."""
    table.seek(0)
    content = table.read()
    if content and not begun:
        raise ValueError(f"{place} exists and has no header beside it: name another log (--out)")
    first = "\t".join(columns)
    lines = _complete_lines(content, place)
    if not lines and f"{first}\n".encode().startswith(content):
        return 0, 0
    if not lines or lines[0] != first:
        raise ValueError(f"{place} is no table of a log: name another log (--out)")
    for number, line in enumerate(lines[1:]):
        parts = line.split("\t")
        image = [str(part) for part in images[number]] if number < len(images) else None
        if parts[:2] != image or len(parts) != len(columns) or not all(map(_is_number, parts)):
            raise ValueError(
                f"{place} is damaged at line {number + 2}: move it and its header away, "
                "or name another log (--out)"
            )
    return _newline_end(content), len(lines) - 1


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _newline_end(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _complete_bytes(file: IO[bytes]) -> int:
    """Return the number of bytes of an open file up to its last complete line."""
    file.seek(0)
    return _newline_end(file.read())


def _complete_lines(content: bytes, place: Path) -> list[str]:
    try:
        return content[: _newline_end(content)].decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} is no table of a log: name another log (--out)") from error


def _texts(name: str, columns: Mapping[str, npt.ArrayLike]) -> list[str]:
    """Return a column's entries as they are written."""
    if name == "time":
        # A wall time is no function of the settings: the times' file holds it.
        return ["nan"] * len(np.asarray(columns["idx"]))
    values = np.asarray(columns[name])
    if name == "radius":
        return [rounded_down(value) for value in values.tolist()]
    return [str(int(value)) for value in values.tolist()]


def _append(file: IO[bytes], text: str) -> None:
    """Append `text` and wait until the disk has it."""
    file.write(text.encode("ascii"))
    file.flush()
    os.fsync(file.fileno())

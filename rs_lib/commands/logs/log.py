"""The log of a certification: a table that only grows, its header, and the times beside it.

`<name>.tsv` begins with the columns of Cohen et al.'s (2019) logs, so that scripts made for
those read it. `<name>.json` holds every setting on which the table depends. Both are functions
of the settings: a run that was killed and started again leaves the bytes of an uninterrupted
one. What differs from run to run, the times, stands in `<name>.times.jsonl`. Rows are written as
they are finished, in any order of images, and put in order once all are there. No file is begun
before the first rows are certain (the table is there meanwhile, empty, to hold the lock), and no
row is gone on with that does not follow from its own counts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt

from rs_lib.commands.logs import follows
from rs_lib.commands.logs import settings as log_settings
from rs_lib.commands.logs.growing import Growing, locked, require_ordinary
from rs_lib.commands.logs.rows import checked, entries
from rs_lib.noise import registry
from rs_lib.record import digests, files

CERTIFY_COLUMNS = (
    *("idx", "label", "predict", "radius", "correct", "time"),
    *("selected", "successes", "samples", "looks", "undecided"),
)
PREDICT_COLUMNS = (
    *("idx", "label", "predict", "correct", "time"),
    *("top", "runner_up"),
)


@dataclass(frozen=True, eq=False)
class LogTable:
    """A log read back: `header` as stored, `columns` from name to array [rows], `lines` as text.

    Radii and times are float64, everything else int64.
    """

    header: dict[str, Any]
    columns: dict[str, npt.NDArray[Any]]
    lines: tuple[str, ...]

    @property
    def guarantee(self) -> str:
        """Where the certificates hold, as the law of the noise has it, whatever the header says."""
        return registry.recorded(self.header["noise"], self.header["data"]["levels"]).guarantee


def read(
    path: str | Path,
    follow: Callable[[Mapping[str, Any]], follows.Follow] = follows.follow,
) -> LogTable:
    """Return the log `path`, a .tsv file beside its .json header.

    A torn last line, as a killed run leaves it, is passed over. Raises ValueError if one of
    the two files is missing or is not what `writing` wrote, or if a row does not follow from its
    counts, by the function that `follow` makes of the header.
    """
    place = _table_path(path)
    require_ordinary(place)
    header = log_settings.stored(place)
    if header is None or not place.is_file():
        missing = place.with_suffix(".json") if header is None else place
        raise ValueError(f"there is no file {missing}: give a log that certify or predict wrote")
    columns = log_settings.columns(header)
    names, *rows = _complete_lines(place.read_bytes(), place) or [""]
    if names != "\t".join(columns):
        raise ValueError(f"{place} does not begin with the columns that its header names")
    told = f"{place.with_suffix('.json')} lacks settings of a log: make the log anew"
    if "soft" in header:
        told = f"{place} is a log of mean scores: give it to rescore, which reads them"
    try:
        rule = follow(header)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(told) from error
    try:
        images = [(index, None) for index in log_settings.chosen(header)]
        return LogTable(header, checked(place, columns, rows, rule, images), tuple(rows))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(told) from error


def incomplete(table: LogTable) -> str:
    """Return a warning if the log lacks images of its settings, else an empty text.

    A sequential rule decides some images early, and their rows are written first.
    """
    asked, there = len(log_settings.chosen(table.header)), len(table.columns["idx"])
    if there >= asked:
        return ""
    return (
        f"warning: only {there} of {asked} images are there, those that were decided first: shares "
        "of them are not those of all; let the command that made the log end"
    )


class Writer:
    """An open log; `rows` is the number of rows that stand in it, `there` are the images of those
    that stood there at first. Made by `writing`."""

    def __init__(self, place: Path, header: Mapping[str, Any], stack: ExitStack) -> None:
        """Keep what the files need, once they are begun."""
        self.rows = 0
        self.there: list[int] = []
        self._place = place
        self._header = header
        self._stack = stack
        self._table: Growing | None = None
        self._times: Growing | None = None

    def go_on(self, table: IO[bytes], kept: int, there: Sequence[int]) -> None:
        """Let the next rows stand behind the first `kept` bytes, which hold those of `there`."""
        self._table = Growing(self._place, table, kept)
        self.rows, self.there = len(there), list(there)

    def finish(self) -> None:
        """Put the rows in the order of their images, where they are not; nothing else changes."""
        names, *rows = _complete_lines(self._place.read_bytes(), self._place)
        in_order = sorted(rows, key=_image)
        if rows != in_order:
            files.write_atomically(self._place, "".join(f"{row}\n" for row in (names, *in_order)))

    def append(self, columns: Mapping[str, npt.ArrayLike], timing: Mapping[str, object]) -> None:
        """Append rows, given as one array for each column except time, and have them on the disk.

        `timing` becomes one line of the times' file, which is written second: a kill between
        the two loses that line only. Raises OSError, with the file's name, if the system fails;
        the rows written before stay as they are.
        """
        names = log_settings.columns(self._header)
        rows = list(zip(*(entries(name, columns) for name in names), strict=True))
        text = "".join("\t".join(row) + "\n" for row in rows)
        if self._table is None:
            raise RuntimeError("the log is not open: use the writer inside of `writing`")
        if self._times is None:
            self._times = self._open_times()
        if self.rows:
            self._table.append(text)
        else:
            self._begin(self._table, "\t".join(names) + "\n" + text)
        self.rows += len(rows)
        self._times.append(json.dumps(timing) + "\n")

    def _begin(self, table: Growing, text: str) -> None:
        """Write the header, then the table; neither stays without the other."""
        path = self._place.with_suffix(".json")
        try:
            files.write_atomically(path, digests.readable_json(self._header))
            table.append(text)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                error.filename = str(self._place)
            raise

    def _open_times(self) -> Growing:
        path = _times_path(self._place)
        file = self._stack.enter_context(path.open("ab+", buffering=0))
        if not self.rows:
            self._stack.callback(self._drop_times, path)
        file.seek(0)
        return Growing(path, file, _newline_end(file.read()) if self.rows else 0)

    def _drop_times(self, path: Path) -> None:
        """Remove the times of a log that has no row."""
        if not self.rows:
            path.unlink(missing_ok=True)


@contextmanager
def writing(
    path: str | Path,
    columns: Sequence[str],
    header: Mapping[str, Any],
    images: Sequence[tuple[int, int]],
    follow: follows.Follow,
    *,
    ordered: bool = False,
    grown: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[Writer]:
    """Open the log `path`, a .tsv file, to write a row for each of `images`: (index, label).

    `columns` are its columns and `header` all settings on which the rows depend, as JSON
    holds them. A log of equal columns and settings is gone on with behind its last complete row,
    a torn line being cut off; each row is recomputed first, by `follow`. Without a complete row
    the log is begun anew, whatever its settings were. The log stays locked meanwhile. `ordered`:
    its rows stand in the order of `images`. `grown`: raises ValueError unless a log of the settings
    that it is given holds a part of these images; then its header becomes `header`.

    Raises ValueError, and changes no file, if the log has other settings (each is named), holds a
    row that does not follow from its counts (the line, the column, and what is expected are named),
    has no header, or is being written by another process.
    """
    place = _table_path(path)
    wanted = log_settings.as_stored(header, " ".join(columns))
    require_ordinary(_times_path(place))
    log_settings.stored(place)
    with locked(place) as table, ExitStack() as stack:
        table.seek(0)
        content = table.read()
        stored = log_settings.stored(place)
        lines = _own_lines(content, place, stored)
        if lines and stored is not None:
            if grown is None:
                log_settings.require_equal(place, stored, wanted)
            elif stored != wanted:
                grown(stored)
            checked(place, columns, lines, follow, images, ordered=ordered)
            if stored != wanted:
                files.write_atomically(place.with_suffix(".json"), digests.readable_json(wanted))
        writer = Writer(place, wanted, stack)
        writer.go_on(table, _newline_end(content) if lines else 0, list(map(_image, lines)))
        yield writer


def complete_rows(place: Path) -> int:
    """Return how many complete rows the log `place` has on the disk; 0 without one."""
    return max(place.read_bytes().count(b"\n") - 1, 0) if place.is_file() else 0


def _table_path(path: str | Path) -> Path:
    place = Path(path)
    if place.suffix != ".tsv":
        raise ValueError(f"the log is {str(path)!r}: give a file name that ends in .tsv")
    return place


def _times_path(place: Path) -> Path:
    return place.with_suffix(".times.jsonl")


def _own_lines(content: bytes, place: Path, stored: dict[str, Any] | None) -> list[str]:
    """Return the complete rows of a table, or raise ValueError if it is none of ours."""
    if content and stored is None:
        raise ValueError(f"{place} exists and has no header beside it: name another log (--out)")
    if stored is None:
        return []
    first = "\t".join(log_settings.columns(stored))
    lines = _complete_lines(content, place)
    if not lines and f"{first}\n".encode().startswith(content):
        return []
    if not lines or lines[0] != first:
        raise ValueError(f"{place} is no table of a log: name another log (--out)")
    return lines[1:]


def _image(row: str) -> int:
    """Return the image of a row, which stands first."""
    return int(row.partition("\t")[0])


def _newline_end(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _complete_lines(content: bytes, place: Path) -> list[str]:
    try:
        return content[: _newline_end(content)].decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} is no table of a log: name another log (--out)") from error

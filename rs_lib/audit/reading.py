"""Certification logs of any program: read by the names of their columns, oddities listed.

What cannot be read is skipped and remarked on, never guessed; an image whose answer can be read
counts, though it may not be certified: shares are of all images. A log of which nothing can be
read, or in which images contradict themselves, is refused.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rs_lib import arguments
from rs_lib.audit import columns
from rs_lib.audit.logs import ABSTAIN, Log, Remark

_SEPARATORS = ("\t", ",", ";", "|", None)
_BREAK = re.compile(r"\r\n|\r|\n")
# Above this share of images that contradict themselves a file holds several runs.
_MOST_CONFLICTS = 0.1


@dataclass(frozen=True)
class _Entry:
    line: int
    image: str
    label: int
    predicted: int
    text: str
    radius: float
    correct: bool
    count: int
    sound: bool

    def uncertified(self) -> "_Entry":
        """Return the row as one of an abstention, which claims nothing."""
        return replace(self, predicted=ABSTAIN, text="", radius=0.0, correct=False, sound=False)

    @property
    def content(self) -> tuple[object, ...]:
        """What two rows of one image must have in common."""
        return self.label, self.predicted, self.text, self.correct


@dataclass
class _Remarks:
    """Remarks on lines, lines of one kind together."""

    kinds: dict[str, tuple[list[int], str]] = field(default_factory=dict)

    def add(self, line: int, kind: str, told: str | None = None) -> None:
        self.kinds.setdefault(kind, ([], told or kind))[0].append(line)

    def listed(self) -> tuple[Remark, ...]:
        found = [Remark(tuple(lines), told) for lines, told in self.kinds.values()]
        return tuple(sorted(found, key=lambda remark: remark.lines))


def read_log(path: str | Path) -> Log:
    """Read a certification log: one row per image, columns by their names.

    A line names the columns: radius, and correct or both label and predict, or the names that
    other programs give these; idx, or a file's name, tells the image, else its line does. Without
    such a line the columns are those of Cohen, Rosenfeld and Kolter (2019), in their order. Tabs,
    commas, semicolons, bars or blanks separate them; the text is UTF-8 or UTF-16.

    Skipped and remarked on: headers that come again, rows with another number of entries than the
    rest, entries that are no class or flag, rows that repeat an image. Counted as an abstention and
    remarked on: answers without a radius, rows that contradict themselves, images that come with
    different entries. An abstention may have the radius 0, -1, nan, inf or none.

    Raises ValueError that names the file, a line and the remedy if no row can be read as it is, if
    the columns cannot be told, or if more than a tenth of the images contradict themselves; OSError
    where the file cannot be read.
    """
    file = Path(path)
    if file.exists() and not (file.is_file() or file.is_fifo()):
        raise ValueError(f"log is {str(path)!r}: give a file, this is none")
    text = _decoded(file)
    lines = [(n, line) for n, line in enumerate(_BREAK.split(text), start=1) if line.strip()]
    if not lines:
        raise ValueError(f"{file} is empty: give a certification log")
    remarks = _Remarks()
    places, separator, lines = _start(file, lines, remarks)
    words: dict[str, int] = {}
    entries = _entries(lines, places, separator, words, remarks)
    if not text.endswith(("\n", "\r")):
        entries = _torn_uncertified(entries, lines, places, separator, remarks)
    if not any(entry.sound for entry in entries):
        reason = next(iter(remarks.kinds.values()), ([lines[0][0]], "there is no row"))
        raise ValueError(
            f"{file}, line {reason[0][0]}: {reason[1]}, and no row can be read: give a log "
            f"with an image, its {', '.join(columns.ORDER[1:])} in each row"
        )
    entries = _once(file, entries, remarks)
    return _log(file, entries, "counts" in places, tuple(words), remarks)


def _decoded(file: Path) -> str:
    content = file.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content[:4096]:
        raise ValueError(f"{file} is no text: give a certification log, unpacked")
    return content.decode("utf-8-sig", errors="replace")


def _split(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    if separator == "\t" or '"' not in line:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator))


def _start(
    file: Path, lines: Sequence[tuple[int, str]], remarks: _Remarks
) -> tuple[dict[str, int], str | None, list[tuple[int, str]]]:
    """Return columns, separator and the lines from the first row on."""
    for at, (number, line) in enumerate(lines):
        for separator in _SEPARATORS:
            try:
                places = columns.located(_split(line, separator))
            except ValueError as error:
                raise ValueError(f"{file}, line {number}: {error}") from error
            if places is None:
                continue
            for before, _ in lines[:at]:
                remarks.add(before, "before the line that names the columns")
            if at + 1 == len(lines):
                raise ValueError(
                    f"{file}, line {number}: the columns are named but there is no row: give a log "
                    "with at least one image"
                )
            return places, separator, list(lines[at:])
    return _unnamed(file, lines, remarks)


def _unnamed(
    file: Path, lines: Sequence[tuple[int, str]], remarks: _Remarks
) -> tuple[dict[str, int], str | None, list[tuple[int, str]]]:
    """Return the customary columns, if most lines fit them."""
    places = {name: place for place, name in enumerate(columns.ORDER)}
    for separator in _SEPARATORS:
        unheard = _Remarks()
        fitting = _entries(lines, places, separator, {}, unheard)
        # Flags agree with the classes in each, so that the columns are hardly others.
        sound = [entry.label >= 0 for entry in fitting if entry.sound]
        if 2 * len(sound) > len(lines) and all(sound):
            return places, separator, list(lines)
    raise ValueError(
        f"{file}, line {lines[0][0]}: no line names the columns radius, and correct or label and "
        "predict: give a certification log whose first line does"
    )


def _entries(
    lines: Sequence[tuple[int, str]],
    places: dict[str, int],
    separator: str | None,
    words: dict[str, int],
    remarks: _Remarks,
) -> list[_Entry]:
    """Return the rows that can be read, of `lines` that begin with the header if there is one."""
    split = [(number, _split(line, separator)) for number, line in lines]
    needed = max(places.values())
    sizes = Counter(len(cells) for _, cells in split if len(cells) > needed)
    usual = {len(split[0][1]), *(size for size, _ in sizes.most_common(1))}
    # Times such as "1 day, 0:00:01" have separators of their own, behind all that is read.
    ragged = separator in (",", None)
    found = []
    first = True
    for number, cells in split:
        named = columns.located(cells)
        if named is not None:
            if not first:
                remarks.add(number, "the columns are named again")
            places, first = named, False
            continue
        first = False
        if len(cells) not in usual and not (ragged and len(cells) > max(usual)):
            remarks.add(
                number, "size", f"{len(cells)} entries where other rows have {max(usual)}: skipped"
            )
            continue
        try:
            found.append(_entry(number, cells, places, separator, words, remarks))
        except ValueError as error:
            told = str(error)
            remarks.add(number, told.partition(" is ")[0], f"{told}: skipped")
    return found


def _entry(
    number: int,
    cells: Sequence[str],
    places: dict[str, int],
    separator: str | None,
    words: dict[str, int],
    remarks: _Remarks,
) -> _Entry:
    """Return a row, or raise ValueError that says what is wrong with it."""
    given = {name: columns.bare(cells[at]) for name, at in places.items() if at < len(cells)}
    if separator == ";":
        given["radius"] = given.get("radius", "").replace(",", ".")
    right = columns.flag(given.get("correct", "")) if "correct" in places else None
    text, doubt = given.get("radius", ""), ""
    try:
        radius = columns.radius(text)
    except ValueError as error:
        radius, doubt = None, str(error)
    if {"label", "predict"} <= places.keys():
        label = columns.class_of("label", given.get("label", ""), words)
        predicted = columns.class_of("predict", given.get("predict", ""), words)
    else:
        label, predicted = 0, 0 if right else 1 if radius else ABSTAIN
    if right is not None and right != (predicted == label):
        told = f"correct is {int(right)} but label {given['label']} and predict {given['predict']}"
        doubt = doubt or told
    elif predicted == ABSTAIN and radius:
        doubt = f"radius is {text} but predict abstains"
    elif radius is None and predicted != ABSTAIN:
        doubt = doubt or f"radius is {arguments.shown(text)} but predict is no abstention"
    elif radius is None and not doubt:
        told = f"an abstention with the radius {text or 'left out'}: read as 0"
        remarks.add(number, "void", told)
        text = ""
    entry = _Entry(
        number,
        columns.image(given["image"]) if given.get("image") else f"of line {number}",
        label,
        predicted,
        text,
        radius or 0.0,
        predicted == label,
        columns.count(given["counts"]) if "counts" in given else -1,
        sound=True,
    )
    if doubt:
        remarks.add(number, doubt.partition(" is ")[0], f"{doubt}: counted as not certified")
    return entry.uncertified() if doubt else entry


def _torn_uncertified(
    entries: list[_Entry],
    lines: Sequence[tuple[int, str]],
    places: dict[str, int],
    separator: str | None,
    remarks: _Remarks,
) -> list[_Entry]:
    """Return the rows of a file whose last line has no end: what may be cut off claims nothing.

    1.25e-05 may have become 1.25, and class 12 class 1. A cell that is not read may be cut, and the
    flag, whose beginnings mean the same.
    """
    number, line = lines[-1]
    last_read = {name for name, at in places.items() if at == len(_split(line, separator)) - 1}
    if not entries or entries[-1].line != number or last_read <= {"correct"}:
        return entries
    *others, last = entries
    if "counts" in last_read:
        return [*others, replace(last, count=-1)]
    claims_nothing = last_read == {"radius"} and last.radius == 0
    # A flag that agrees with both classes: had one been longer, it would not.
    agreed = last_read <= {"label", "predict"} and "correct" in places and last.correct
    if claims_nothing or agreed:
        return entries
    told = "the file ends in this line, which may be cut off: counted as not certified; end the "
    remarks.add(number, f"{told}line if it is whole")
    return [*others, last.uncertified()]


def _once(file: Path, entries: Sequence[_Entry], remarks: _Remarks) -> list[_Entry]:
    """Return the rows with each image once; images that contradict themselves are not certified."""
    rows: dict[str, list[_Entry]] = {}
    for entry in entries:
        rows.setdefault(entry.image, []).append(entry)
    conflicts = [group for group in rows.values() if len({entry.content for entry in group}) > 1]
    if len(conflicts) > _MOST_CONFLICTS * len(rows):
        first, other = (
            conflicts[0][0],
            next(entry for entry in conflicts[0] if entry.content != conflicts[0][0].content),
        )
        raise ValueError(
            f"{file}: {len(conflicts)} of {len(rows)} images have rows that differ, such as image "
            f"{first.image} on lines {first.line} and {other.line}: give each run as a file of its "
            "own"
        )
    for group in conflicts:
        for entry in group:
            remarks.add(entry.line, "rows of one image that differ: counted as not certified")
    for group in rows.values():
        if len({entry.content for entry in group}) == 1:
            for entry in group[1:]:
                remarks.add(entry.line, "a row that is there already: counted once")
    unlike = {id(group[0]) for group in conflicts}
    firsts = [group[0] for group in rows.values()]
    return [entry.uncertified() if id(entry) in unlike else entry for entry in firsts]


def _log(
    file: Path,
    entries: Sequence[_Entry],
    counted: bool,
    words: tuple[str, ...],
    remarks: _Remarks,
) -> Log:
    def column(value: Callable[[_Entry], object], kind: type) -> np.ndarray[tuple[int], np.dtype]:
        return np.array([value(entry) for entry in entries], dtype=kind)

    return Log(
        name=file.name,
        images=tuple(entry.image for entry in entries),
        label=column(lambda entry: entry.label, np.int64),
        predicted=column(lambda entry: entry.predicted, np.int64),
        text=tuple(entry.text for entry in entries),
        radius=column(lambda entry: entry.radius, np.float64),
        correct=column(lambda entry: entry.correct, np.bool_),
        counts=column(lambda entry: entry.count, np.int64) if counted else None,
        words=words,
        remarks=remarks.listed(),
    )

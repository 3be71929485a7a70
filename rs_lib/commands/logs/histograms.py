"""Histograms beside a log of soft scores: exact counts, from which each of its rows is computed.

`<name>.histograms.tsv` has for each image of `<name>.tsv` one line for the score of the selected
class, then one for its lead over each near rival, which `against` names, and over the "rest". The
entry `counts` holds `step:count` for each step with a count, in increasing order. Lines of an image
reach the disk before its row in the log does, so that the log says how many of them are certain;
what lies behind those is cut off, and the file too is a function of the settings alone.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rs_lib.arguments import IntArray
from rs_lib.commands.logs import follows, log
from rs_lib.commands.logs.growing import Growing, require_ordinary
from rs_lib.smoothing import scores, soft

_NAMES = "idx\tselected\tagainst\tcounts\n"
_OWN, _REST = "none", "rest"
_WHOLE = re.compile(r"\d{1,18}")
_COUNTS = re.compile(r"\d{1,5}:\d{1,18}( \d{1,5}:\d{1,18})*")
_PORTION = 256
"""Images whose histograms are in memory at a time."""


def path_of(place: str | Path) -> Path:
    """Return the file of histograms beside the log `place`."""
    return Path(place).with_suffix(".histograms.tsv")


@dataclass(frozen=True, eq=False)
class Portion:
    """Histograms of M images that follow each other in a log, the first one at row `start`.

    `idx`, `selected`: int64 [M]; `histograms`: int64 [M, G, bins].
    """

    start: int
    idx: IntArray
    selected: IntArray
    histograms: IntArray


class Writer:
    """The open file; made by `writing`."""

    def __init__(self, file: Growing, rivals: int) -> None:
        """Keep the file, and how many rivals have a line of their own."""
        self._file, self._rivals = file, rivals

    def append(self, idx: IntArray, order: IntArray, histograms: IntArray) -> None:
        """Append the lines of M images and have them on the disk.

        `order` [M, C] has the selected class first, then its rivals, the nearest first.
        """
        lines = [] if self._file.size else [_NAMES]
        for image, classes, groups in zip(idx, order, histograms, strict=True):
            near = [str(rival) for rival in classes[1 : 1 + self._rivals]]
            names = [_OWN, *near, _REST][: len(groups)]
            lines += [
                _line(image, classes[0], name, counts)
                for name, counts in zip(names, groups, strict=True)
            ]
        self._file.append("".join(lines))


def _line(image: int, selected: int, against: str, counts: IntArray) -> str:
    told = " ".join(f"{step}:{counts[step]}" for step in np.flatnonzero(counts))
    return f"{image}\t{selected}\t{against}\t{told}\n"


@contextmanager
def writing(place: str | Path, rows: int, classes: int, rivals: int) -> Iterator[Writer]:
    """Open the file beside the log `place`, whose lock is held, to go on behind its first `rows`.

    Raises ValueError if it holds the histograms of fewer.
    """
    path = path_of(place)
    require_ordinary(path)
    groups = scores.groups(classes, rivals)
    with path.open("ab+", buffering=0) as file:
        try:
            file.seek(0)
            content = file.read()
            kept = 0
            for line in range(1 + rows * groups if rows else 0):
                kept = content.find(b"\n", kept) + 1
                if not kept:
                    raise _damaged(place, line, max(line - 1, 0) // groups)
            yield Writer(Growing(path, file, kept), min(rivals, classes - 1))
        finally:
            if not os.fstat(file.fileno()).st_size:
                path.unlink()


def portions(place: str | Path, settings: Mapping[str, Any], rows: int) -> Iterator[Portion]:
    """Read the histograms of the first `rows` images of the log `place`, some at a time.

    Raises ValueError that names the first line that no run of these settings leaves.
    """
    path = path_of(place)
    require_ordinary(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}, which holds the histograms of {place}: give it")
    classes, rivals = settings["model"]["classes"], settings["soft"]["rivals"]
    groups = scores.groups(classes, rivals)
    with path.open("rb") as file:
        if file.readline() != _NAMES.encode():
            raise ValueError(f"{path} does not begin with the columns of histograms: give another")
        for start in range(0, rows, _PORTION):
            size = min(_PORTION, rows - start)
            images = np.zeros((2, size), dtype=np.int64)
            counts = np.zeros((size, groups, settings["soft"]["bins"]), dtype=np.int64)
            for row, own in enumerate(counts):
                lines = [file.readline().decode("ascii", "replace") for _ in range(groups)]
                heads = [_parsed(line, part) for line, part in zip(lines, own, strict=True)]
                fits = _fit(heads, classes, rivals) & (own.sum(axis=1) == settings["n"])
                if not fits.all():
                    line = 1 + (start + row) * groups + int(fits.argmin())
                    raise _damaged(place, line, start + row)
                images[:, row] = heads[0][:2]
            yield Portion(start, images[0], images[1], counts)


def _parsed(line: str, counts: IntArray) -> tuple[int, int, str]:
    """Fill in `counts`, return the other entries; (-1, -1, "") for no line as `_line` writes it."""
    parts = line.removesuffix("\n").split("\t")
    whole = len(parts) == 4 and all(_WHOLE.fullmatch(part) for part in parts[:2])
    if whole and _COUNTS.fullmatch(parts[3]):
        head = (int(parts[0]), int(parts[1]), parts[2])
        entries = [entry.split(":") for entry in parts[3].split(" ")]
        steps, found = np.array(entries, dtype=np.int64).T
        if steps.max() < len(counts):
            counts[steps] = found
            if _line(*head, counts) == line:
                return head
    return (-1, -1, "")


def _fit(heads: Sequence[tuple[int, int, str]], classes: int, rivals: int) -> Any:
    """Return which lines of an image, bool [G], are of that image and class, and in their order."""
    known = [str(number) for number in range(classes)]
    rest = [_REST] * (len(heads) - 1 - rivals)
    fits, seen = [], {str(heads[0][1])}
    for place, (image, selected, against) in enumerate(heads):
        if 0 < place <= rivals:
            right = against in known and against not in seen
            seen.add(against)
        else:
            right = against == [_OWN, *[""] * rivals, *rest][place]
        fits.append(right and (image, selected) == heads[0][:2] and 0 <= selected < classes)
    return np.array(fits)


def _damaged(place: str | Path, line: int, row: int) -> ValueError:
    """Return the error for a line (from 0), which belongs to a row (from 0) of the log."""
    return ValueError(
        f"{path_of(place)} is damaged at line {line + 1}, or ends before it: delete line {row + 2} "
        f"and all behind it in {place}, the same command computes them again"
    )


def read(place: str | Path) -> log.LogTable:
    """Return the log `place` of soft scores, each row computed again; errors as for `log.read`."""
    return log.read(place, partial(follow, place))


def column(distance: float) -> str:
    """Return the name of the column for the confidence within a distance."""
    return f"confidence@{repr(float(distance)).removesuffix('.0')}"


def columns(distances: Sequence[float]) -> tuple[str, ...]:
    """Return the columns of a log of soft scores."""
    customary = ("idx", "label", "predict", "radius", "correct", "time")
    return (*customary, "selected", "samples", "lead", *map(column, distances))


def follow(place: str | Path, settings: Mapping[str, Any]) -> follows.Follow:
    """Return the function that computes the columns of the log `place` from its histograms.

    Raises KeyError or TypeError if the settings are not those of soft scores.
    """
    level, distances = settings["soft"]["level"], settings["soft"]["distances"]
    return follower(place, settings, level, distances)


def follower(
    place: str | Path, settings: Mapping[str, Any], level: float, distances: Sequence[float]
) -> Callable[[follows.Columns], dict[str, Any]]:
    """As `follow`, at another level and other distances than the log's own."""
    sigma, alpha, n = settings["noise"]["sigma"], settings["alpha"], settings["n"]

    def following(given: follows.Columns) -> dict[str, Any]:
        made = []
        for part in portions(place, settings, len(given["idx"])):
            for name, values in (("idx", part.idx), ("selected", part.selected)):
                (bad,) = np.nonzero(given[name][part.start :][: len(values)] != values)
                if bad.size:
                    expected = f"{values[bad[0]]}, as the histograms say"
                    raise follows.RowFault(int(part.start + bad[0]), name, expected)
            found = soft.from_histograms(
                part.selected,
                part.histograms,
                alpha=alpha,
                sigma=sigma,
                level=level,
                distances=distances,
            )
            made.append(as_columns(found, distances))
        joined = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
        joined["correct"] = joined["predict"] == given["label"]
        joined["samples"] = np.full(len(given["idx"]), n)
        return joined

    return following


def as_columns(found: soft.SoftCertification, distances: Sequence[float]) -> dict[str, Any]:
    """Return certificates as columns of a log."""
    confidences = zip(map(column, distances), found.confidence.T, strict=True)
    return {
        "predict": found.predicted,
        "radius": found.radius,
        "selected": found.selected,
        "lead": found.lead,
        **dict(confidences),
    }

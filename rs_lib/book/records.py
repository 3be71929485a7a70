"""The records of published figures: what is read back is checked before anything believes it."""

import importlib
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rs_lib.arguments import nonnegative, shown, single
from rs_lib.book.house import CHAPTER_NAME
from rs_lib.record import digests, files

Draw = Callable[[pd.DataFrame], Figure]
MOST_FRAMES = 16
DRAWINGS = "rs_lib.book.drawings"
SHOWN = "rs_figure"
"""In the metadata of an output: the id of the published figure whose picture or caption it is."""
_ID = re.compile(r"fig(-[a-z0-9]+)+")
_DRAW = re.compile(rf"{re.escape(DRAWINGS)}\.[a-z][a-z0-9_]*:[a-z][a-z0-9_]*")
_SHA256 = "[0-9a-f]{64}"
_LONGEST_ID = 100  # file systems take names of 255 bytes


@dataclass(frozen=True)
class Tolerance:
    """How far the data of a figure may differ on another machine, and why.

    `rtol` and `atol` are finite and not negative, `reason` is a text; ValueError otherwise.
    """

    rtol: float
    atol: float
    reason: str

    def __post_init__(self) -> None:
        """Refuse what would accept everything or nothing."""
        for name in ("rtol", "atol"):
            single(name, nonnegative(name, getattr(self, name)))
        if not _is_said(self.reason):
            raise ValueError(f"reason is {shown(self.reason)}: say why the data may differ")


def is_figure_id(value: object) -> bool:
    """Return whether `value` is `fig-` and then lower-case words joined by hyphens."""
    return isinstance(value, str) and len(value) <= _LONGEST_ID and bool(_ID.fullmatch(value))


def is_drawing(value: object) -> bool:
    """Return whether `value` has the form `<a module of DRAWINGS>:<public function>`."""
    return isinstance(value, str) and bool(_DRAW.fullmatch(value))


def _is_text(value: object) -> bool:
    # Lone surrogates are no text: they cannot be written.
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _is_said(value: object) -> bool:
    return _is_text(value) and bool(str(value).strip())


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, (*value, *value.values())))


def _are_inputs(value: object) -> bool:
    return _are_texts(value) and all(re.fullmatch(r"[\w-][\w.-]*", name) for name in value)  # type: ignore[attr-defined]


def _are_parameters(value: object) -> bool:
    return isinstance(value, dict) and all(
        _is_text(name)
        and (_is_text(entry) or (type(entry) in (bool, int, float)))
        and not (type(entry) is float and not math.isfinite(entry))
        for name, entry in value.items()
    )


def _are_pictures(value: object) -> bool:
    return (
        isinstance(value, dict)
        and "svg" in value
        and all(
            re.fullmatch(r"svg|\d\d\.svg", kind) and _matches(_SHA256)(digest)
            for kind, digest in value.items()
        )
    )


def _is_tolerance(value: object) -> bool:
    try:
        return value is None or bool(Tolerance(**value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _are_frames(value: object) -> bool:
    if not (isinstance(value, dict) and set(value) - {"words"} == {"column", "labels"}):
        return False
    labels, words = value["labels"], value.get("words", [])
    return (
        _is_text(value["column"])
        and all(isinstance(texts, list) and all(map(_is_text, texts)) for texts in (labels, words))
        and 2 <= len(labels) == len(set(labels)) <= MOST_FRAMES
        and len(words) in (0, len(labels))
    )


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


Checks = Mapping[str, tuple[Callable[[object], bool], str]]
CONTENT: Checks = {
    "id": (is_figure_id, "`fig-` and lower-case words"),
    "caption": (_is_said, "a text that says what is drawn"),
    "alt": (
        lambda value: _is_text(value) and len(str(value).split()) >= 5,
        "a sentence that says what the figure shows",
    ),
    "chapter": (_matches(CHAPTER_NAME), "the name of a chapter"),
    "draw": (is_drawing, f"a function of {DRAWINGS}, as module:function"),
    "data": (_matches(_SHA256), "a SHA-256 digest"),
    "pictures": (_are_pictures, "the SHA-256 digests of the pictures, by the ends of their names"),
    "statistics": (_is_text, "a text"),
    "tolerance": (_is_tolerance, "None, or rtol, atol and a reason"),
    "frames": (
        _are_frames,
        f"a column and its texts, from 2 to {MOST_FRAMES}, no two the same, and words for each",
    ),
}
RUN: Checks = {
    "parameters": (_are_parameters, "names with numbers, truth values or texts"),
    "inputs": (_are_inputs, "names of stored results with their digests"),
    "code": (_is_text, "a digest"),
    "arithmetic": (_are_texts, "environment variables with their values"),
    "commit": (_is_text, "a text"),
    "device": (_is_text, "a text"),
    "time": (_matches(r"\d{4}-\d\d-\d\dT[\d:.+-]+"), "an ISO time"),
    "versions": (_are_texts, "names of packages with their versions"),
}


def require(field: str, value: object, figure_id: object, checks: Checks = CONTENT) -> None:
    """Raise ValueError unless `value` can be the field of a record."""
    good, remedy = checks[field]
    if not good(value):
        raise ValueError(f"{field} of {_named(figure_id)} is {shown(value)}: give {remedy}")


def _named(figure_id: object) -> object:
    return figure_id if is_figure_id(figure_id) else shown(figure_id)


def _check(part: object, checks: Checks, figure_id: object, optional: str = "") -> None:
    if not isinstance(part, dict):
        raise ValueError(f"record of {_named(figure_id)} is no record: give content and run")
    wrong = (set(part) ^ set(checks)) - {optional}
    if wrong:
        names = ", ".join(sorted(map(shown, wrong)))
        raise ValueError(f"record of {_named(figure_id)} lacks, or should not have, {names}")
    for field, value in part.items():
        require(field, value, figure_id, checks)


@dataclass(frozen=True)
class Record:
    """A published figure: `content` is what is seen, `run` tells of the run that made it.

    Raises ValueError that names a field which is missing, unknown or of another form; so no
    name in a record can lead out of the book.
    """

    content: dict[str, Any]
    run: dict[str, Any]

    def __post_init__(self) -> None:
        """Refuse what is no record."""
        name = self.content.get("id") if isinstance(self.content, dict) else None
        _check(self.content, CONTENT, name, optional="frames")
        _check(self.run, RUN, name)

    @property
    def digest(self) -> str:
        """What a citation names: 12 hexadecimal digits of numbers, pictures and caption alone."""
        cited = {name: self.content[name] for name in ("caption", "data", "pictures")}
        return digests.sha256(digests.canonical_json(cited))[:12]


def figure_ids(folder: Path) -> list[str]:
    """Return the ids of all figures recorded in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("fig-*.json"))


def load(folder: Path, figure_id: str) -> Record:
    """Return a figure's record.

    Raises ValueError that lists the ids for one that is not among them, and one that names
    the file for a record that is damaged or of another figure.
    """
    known = figure_ids(folder)
    if not is_figure_id(figure_id) or figure_id not in known:
        raise ValueError(f"figure is {shown(figure_id)}: give one of {', '.join(known)}")
    path = folder / f"{figure_id}.json"
    try:
        stored = json.loads(path.read_text())
        record = Record(**stored)
        if record.content["id"] != figure_id:
            raise ValueError(f"it is the record of {record.content['id']}")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path.name} is no record ({error}): remove it and publish the figure again"
        ) from error
    return record


def drawing(name: str) -> Draw:
    """Return the drawing function that a record names as `module:function`.

    Nothing outside `rs_lib.book.drawings` is imported. Raises ValueError unless the name is
    that of a public function which is defined there.
    """
    module, _, function = name.partition(":")
    found = None
    if is_drawing(name):
        try:
            found = getattr(importlib.import_module(module), function, None)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    if not inspect.isfunction(found) or found.__module__ != module:
        raise ValueError(f"draw is {shown(name)}: give a public function of {DRAWINGS}")
    made: Draw = found
    return made


def seen(images: Mapping[str, bytes]) -> dict[str, str]:
    """Return the digests of what is seen: the pictures that pages show, not their PDF."""
    return {kind: digests.sha256(data) for kind, data in images.items() if kind != "pdf"}


def kinds(content: Mapping[str, Any]) -> list[str]:
    """Return the ends of the names of a figure's pictures and data."""
    return ["pdf", "csv", *content["pictures"]]


def write(folder: Path, record: Record, parts: Mapping[str, bytes]) -> None:
    """Write a figure's files, by the ends of their names, and its record last."""
    figure_id = record.content["id"]
    stored = digests.readable_json({"content": record.content, "run": record.run})
    frames = folder.glob(f"{figure_id}.[0-9][0-9].svg")
    for old in (*frames, *folder.glob(f"{figure_id}.*phone.svg")):
        if old.name.removeprefix(f"{figure_id}.") not in parts:
            old.unlink()
    for kind, data in {**parts, "json": stored.encode()}.items():
        path = folder / f"{figure_id}.{kind}"
        if not path.is_file() or path.read_bytes() != data:
            files.write_atomically(path, data)

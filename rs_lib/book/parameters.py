"""Strict chapter parameters: a wrong name, type or value is an error before anything runs."""

import ast
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillException

from rs_lib.arguments import shown

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
PROFILES = ("quick", "full")
PLACES = ("profile", "device")
"""What chooses where and at which scale a chapter runs; the rest is what a reader turns."""


class Parameter(NamedTuple):
    """What a chapter declares: a type, its default and what it says of it."""

    kind: type
    default: object
    comment: str = ""


def read_source(path: Path) -> Any:
    """Return the chapter source as a notebook whose cell ids are its name and the cell's index.

    Raises ValueError for a file that is no MyST text.
    """
    try:
        notebook = jupytext.reads(path.read_text(), fmt="md:myst")
    except Exception as error:  # jupytext's, YAML's or Python's, of any kind
        told = " ".join(str(error).split())
        raise ValueError(f"chapter {path.name} is no MyST text ({told}): mend it") from error
    set_cell_ids(notebook, path.stem)
    return notebook


def set_cell_ids(notebook: Any, chapter: str) -> None:
    """Give every cell the id `<chapter>-<index>`: the same on every conversion and run."""
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"{chapter[:50]}-{index}"


def declared(notebook: Any) -> dict[str, Parameter]:
    """Return the typed parameters of a notebook by name, in the order of their cell.

    Raises ValueError for a parameter without one of the types int, float, str, bool, and
    for a default that is not of its type.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "chapter.ipynb"
            nbformat.write(notebook, path)
            found = papermill.inspect_notebook(str(path))
    except PapermillException as error:
        raise ValueError(f"the chapter's kernel is not Python ({error}): mend its head") from error
    parameters: dict[str, Parameter] = {}
    for name, details in found.items():
        kind = details["inferred_type_name"]
        if kind not in TYPES:
            raise ValueError(
                f"parameter {name} has the type {kind}: annotate it with one of {', '.join(TYPES)}"
            )
        default = _literal(details["default"])
        if type(default) is not TYPES[kind] or not _is_finite(default):
            raise ValueError(
                f"parameter {name} has the default {details['default']}: give a literal {kind}"
            )
        parameters[name] = Parameter(TYPES[kind], default, details["help"].strip())
    return parameters


def listing(known: Mapping[str, Parameter]) -> str:
    """Return a line for each parameter: its name, type and default, and what it is."""
    rows = [(f"{name}: {p.kind.__name__} = {p.default!r}", p.comment) for name, p in known.items()]
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{left:{width}}  {comment}".rstrip() for left, comment in rows)


def turned(values: Mapping[str, object], known: Mapping[str, Parameter]) -> dict[str, object]:
    """Return the values, profile and device apart, that are not the chapter's own."""
    return {
        name: value
        for name, value in values.items()
        if name not in PLACES and value != known[name].default
    }


def resolve(
    chapter: str, known: Mapping[str, Parameter], given: Mapping[str, str]
) -> dict[str, object]:
    """Return all parameter values of a chapter, `given` (texts) put in place of defaults.

    Raises ValueError that names an unknown parameter, a value that its type does not admit, or
    one for the full profile, whose experiments are recorded as they are.
    """
    values: dict[str, object] = {name: p.default for name, p in known.items()}
    for name, text in given.items():
        if name not in known:
            raise ValueError(
                f"parameter {shown(name)} is unknown to {chapter}: give one of {', '.join(known)}"
            )
        values[name] = _convert(name, known[name].kind, text)
    if values.get("profile", "quick") not in PROFILES:
        raise ValueError(
            f"profile is {shown(values['profile'])}: give one of {', '.join(PROFILES)}"
        )
    own = [name for name in given if name not in PLACES]
    if own and values.get("profile") == "full":
        raise ValueError(
            f"parameter {own[0]} is {shown(given[own[0]])}: leave it out of profile=full, or give "
            "it to an experiment: `python -m rs_lib run NAME --profile full --set NAME=VALUE`"
        )
    return values


def _literal(text: str) -> object:
    """Return the Python value that `text` writes, or None where it is no literal."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        # The last two come of brackets in brackets.
        return None


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _convert(name: str, kind: type, text: str) -> object:
    if kind is str:
        if not text or not text.isprintable():
            raise ValueError(f"parameter {name} is {shown(text)}: give a text on one line")
        return text
    value = _literal(text)
    if kind is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if type(value) is not kind or not _is_finite(value):
        article = "a finite value" if kind is float else "a value"
        raise ValueError(
            f"parameter {name} is {shown(text)}: give {article} of type {kind.__name__}"
        )
    return value

"""Strict chapter parameters: a wrong name, type or value is an error before anything runs."""

import ast
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
PROFILES = ("quick", "full")


def read_source(path: Path) -> Any:
    """Return the chapter source as a notebook whose cell ids are its name and the cell's index."""
    notebook = jupytext.reads(path.read_text(), fmt="md:myst")
    set_cell_ids(notebook, path.stem)
    return notebook


def set_cell_ids(notebook: Any, chapter: str) -> None:
    """Give every cell the id `<chapter>-<index>`: the same on every conversion and run."""
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"{chapter[:50]}-{index}"


def declared(notebook: Any) -> dict[str, tuple[type, object]]:
    """Return the typed parameters of a notebook: name to (type, default).

    Raises ValueError for a parameter without one of the types int, float, str, bool, and
    for a default that is not of its type.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chapter.ipynb"
        nbformat.write(notebook, path)
        found = papermill.inspect_notebook(str(path))
    parameters: dict[str, tuple[type, object]] = {}
    for name, details in found.items():
        kind = details["inferred_type_name"]
        if kind not in TYPES:
            raise ValueError(
                f"parameter {name} has the type {kind}: annotate it with one of {', '.join(TYPES)}"
            )
        default = _literal(details["default"])
        if type(default) is not TYPES[kind]:
            raise ValueError(
                f"parameter {name} has the default {details['default']}: give a literal {kind}"
            )
        parameters[name] = (TYPES[kind], default)
    return parameters


def resolve(
    chapter: str, known: Mapping[str, tuple[type, object]], given: Mapping[str, str]
) -> dict[str, object]:
    """Return all parameter values of a chapter, `given` (texts) put in place of defaults.

    Raises ValueError that names an unknown parameter, or a value that its type does not admit.
    """
    values: dict[str, object] = {name: default for name, (_, default) in known.items()}
    for name, text in given.items():
        if name not in known:
            raise ValueError(
                f"parameter {name!r} is unknown to {chapter}: give one of {', '.join(known)}"
            )
        values[name] = _convert(name, known[name][0], text)
    if values.get("profile", "quick") not in PROFILES:
        raise ValueError(f"profile is {values['profile']!r}: give one of {', '.join(PROFILES)}")
    return values


def _literal(text: str) -> object:
    """Return the Python value that `text` writes, or None where it is no literal."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _convert(name: str, kind: type, text: str) -> object:
    if kind is str:
        return text
    value = _literal(text)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"parameter {name} is {text!r}: give a value of type {kind.__name__}")
    return value

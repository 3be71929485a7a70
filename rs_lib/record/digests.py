"""Digests: of values in one form of JSON, and of the code that decides what is computed."""

import ast
import hashlib
import io
import json
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from rs_lib.record import places

PACKAGE = "rs_lib"


def sha256(content: str | bytes) -> str:
    """Return the SHA-256 digest of `content` in hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def canonical_json(value: object) -> str:
    """Return `value` as JSON with sorted keys and no spaces: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def readable_json(value: object) -> str:
    """Return `value` as indented JSON in which every list of numbers stays on one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return (
        re.sub(
            r"\[[-+0-9.eE,\s]+\]",
            lambda match: "[" + ", ".join(match.group()[1:-1].replace(",", " ").split()) + "]",
            text,
        )
        + "\n"
    )


def _docstring_lines(tree: ast.AST) -> Iterator[int]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and node.body and ast.get_docstring(node) is not None:
            first = node.body[0]
            yield from range(first.lineno, (first.end_lineno or first.lineno) + 1)


def meaningful_source(source: str) -> str:
    """Return `source` without comments, docstrings and blank lines.

    What is left decides what the code computes, in the same text on every Python
    version, so that mending a comment does not make a stored result stale.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    dropped = set(_docstring_lines(ast.parse(source)))
    kept = (line.rstrip() for number, line in enumerate(lines, 1) if number not in dropped)
    return "\n".join(line for line in kept if line)


def _module_file(name: str) -> Path | None:
    path = places.HERE.root.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_modules(source: str) -> set[str]:
    """Return the names of this package's modules that `source` imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = {name for name in names if name == PACKAGE or name.startswith(f"{PACKAGE}.")}
    return {name for name in ours if _module_file(name)}


@cache
def _direct_imports(name: str) -> frozenset[str]:
    file = _module_file(name)
    parents = {name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)}
    return frozenset(parents | (imported_modules(file.read_text()) if file else set()))


def module_closure(names: Iterable[str]) -> list[str]:
    """Return, sorted, the modules of this package that importing `names` reaches."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(_direct_imports(name))
    return sorted(reached)


def keeps_books(module: str) -> bool:
    """Return whether a module records or publishes only: it decides no value and draws nothing.

    These are `rs_lib.record` and the whole of `rs_lib.book` but for drawings and their style.
    """
    parts = module.split(".")
    draws = parts[:3] in ([PACKAGE, "book", "drawings"], [PACKAGE, "book", "style"])
    return parts[:2] in ([PACKAGE, "record"], [PACKAGE, "book"]) and not draws


def code_digest(names: Iterable[str], *, without: Callable[[str], bool] | None = None) -> str:
    """Return the digest of the meaningful source of `names` and of all that they import from here.

    Modules for which `without` holds do not count.
    """
    digest = hashlib.sha256()
    for name in module_closure(names):
        if without is not None and without(name):
            continue
        file = _module_file(name)
        if file is None:
            raise ValueError(f"module is {name!r}: give a module of {PACKAGE}")
        digest.update(f"{name}\n{meaningful_source(file.read_text())}\n".encode())
    return digest.hexdigest()

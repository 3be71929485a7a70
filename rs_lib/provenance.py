"""Where a result came from: content digests of code, atomic files, a description of the machine."""

import ast
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE_FOLDER = Path(__file__).resolve().parent
ROOT = PACKAGE_FOLDER.parent
PACKAGE = PACKAGE_FOLDER.name


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that readers see the old file or the new one, never a part.

    The bytes reach the disk (fsync) under a temporary name in the same folder before
    the rename, so a killed process or machine leaves `path` as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
    path = ROOT.joinpath(*name.split("."))
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


def code_digest(names: Iterable[str], *, without: Iterable[str] = ()) -> str:
    """Return the digest of the meaningful source of `names` and of all that they import from here.

    Modules in `without` do not count.
    """
    digest = hashlib.sha256()
    for name in sorted(set(module_closure(names)) - set(without)):
        file = _module_file(name)
        if file is None:
            raise ValueError(f"module is {name!r}: give a module of {PACKAGE}")
        digest.update(f"{name}\n{meaningful_source(file.read_text())}\n".encode())
    return digest.hexdigest()


def commit() -> str:
    """Return the commit of the working tree, with `+` where it holds changes, or `unknown`."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    )
    return done.stdout.strip()


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of those `packages` that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the processor's model name with the number of cores that this process may use."""
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        match = re.search(r"model name\s*:\s*(.+)", info.read_text())
        name = match.group(1).strip() if match else name
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return f"{name}, {cores} cores"

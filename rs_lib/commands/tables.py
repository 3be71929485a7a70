"""Tables of a report as files: CSV, Parquet, LaTeX, Markdown, by the ending of the name."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rs_lib.commands.summary import plain
from rs_lib.record.files import write_atomically

Rows = Sequence[Mapping[str, Any]]


def _csv(rows: Rows) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Rows) -> bytes:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    stream = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows]), stream)
    return stream.getvalue()


def _cells(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Return one line for each log, or class of one, and a column for each quantity."""
    heads = list(dict.fromkeys(_head(row) for row in rows))
    names = list(dict.fromkeys(_line(row) for row in rows))
    values = {(_line(row), _head(row)): f"{row['value']:.3f}" for row in rows}
    return heads, [[name, *(values.get((name, head), "–") for head in heads)] for name in names]


def _head(row: Mapping[str, Any]) -> str:
    return str(row["quantity"]) if row["radius"] is None else f"r = {plain(row['radius'])}"


def _line(row: Mapping[str, Any]) -> str:
    return str(row["log"]) if row["class"] is None else f"{row['log']}, class {row['class']}"


def _markdown(rows: Rows) -> bytes:
    heads, lines = _cells(rows)
    head = ["log", *heads]
    rule = [":--", *("--:" for _ in heads)]
    table = [head, rule, *([line[0].replace("|", "\\|"), *line[1:]] for line in lines)]
    return "".join(f"| {' | '.join(line)} |\n" for line in table).encode()


_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
}


def _latex(rows: Rows) -> bytes:
    heads, lines = _cells(rows)
    table = [["log", *heads], *lines]
    body = [
        " & ".join("".join(_TEX.get(sign, sign) for sign in cell) for cell in line) + r" \\"
        for line in table
    ]
    body = [body[0], r"\hline", *body[1:]]
    start = rf"\begin{{tabular}}{{l{'r' * len(heads)}}}"
    return "\n".join([start, *body, r"\end{tabular}", ""]).encode()


FORMATS: dict[str, Callable[[Rows], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".tex": _latex,
    ".md": _markdown,
}


def require_format(path: Path) -> None:
    """Raise ValueError unless the ending of `path` names a format that can be written here."""
    if path.suffix not in FORMATS:
        raise ValueError(f"out is {str(path)!r}: end the name in one of {', '.join(FORMATS)}")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ValueError(
            f"out is {str(path)!r}, but pyarrow is not installed: pip install pyarrow, or name a "
            ".csv file"
        )


def write(path: Path, rows: Rows) -> None:
    """Write the rows, whole or not at all; the columns are those of the first row."""
    write_atomically(path, FORMATS[path.suffix](rows))

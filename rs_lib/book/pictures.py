"""Pictures from data: the same bytes from the same CSV."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.records import Draw
from rs_lib.book.snippets import frame_kind

PNG_DOTS = 110
"""Dots per inch of the pictures in notebooks: sharp at the width of a page, and light."""


def to_csv(data: pd.DataFrame) -> str:
    """Return the data as CSV text; 10 digits hide the last bits in which processors differ."""
    return str(data.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def from_csv(text: str) -> pd.DataFrame:
    """Return the data that `to_csv` wrote."""
    return pd.read_csv(io.StringIO(text))


def labels(data: pd.DataFrame, column: str) -> list[str]:
    """Return the texts of the frames, in the order of the data."""
    return list(dict.fromkeys(data[column].astype(str)))


def image_bytes(
    draw: Draw,
    figure_id: str,
    csv: str,
    frames: str = "",
    forms: Sequence[str] = ("svg", "pdf"),
) -> dict[str, bytes]:
    """Return a figure's pictures by the ends of their names: its `forms`, and "00.svg", … for
    the values of the column `frames`; byte for byte the same for the same CSV."""
    images: dict[str, bytes] = {}
    data = from_csv(csv)
    with mpl.rc_context({**style.RC, "svg.hashsalt": figure_id}):
        figure = draw(data)
        images |= {kind: _saved(figure, kind) for kind in forms}
        plt.close(figure)
        for index, label in enumerate(labels(data, frames) if frames else []):
            rows = data[data[frames].astype(str) == label]
            figure = draw(rows.reset_index(drop=True))
            images[frame_kind(index)] = _saved(figure, "svg")
            plt.close(figure)
    return images


def _saved(figure: Figure, kind: str) -> bytes:
    silent = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Producer"), "png": ("Software",)}
    buffer = io.BytesIO()
    dots: Any = PNG_DOTS if kind == "png" else "figure"
    figure.savefig(buffer, format=kind, metadata=dict.fromkeys(silent[kind]), dpi=dots)
    return _named_in_order(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def _named_in_order(picture: bytes) -> bytes:
    """Return an SVG whose clip paths and markers are numbered as they occur.

    Matplotlib names them by a digest of floats, whose last bits follow the processor.
    """
    numbers: dict[bytes, bytes] = {}

    def number(match: re.Match[bytes]) -> bytes:
        name = match.group(2)
        new = numbers.setdefault(name, b"%s%d" % (name[:1], len(numbers)))
        return match.group(1) + new + match.group(3)

    return re.sub(rb'(id="|#)([a-zA-Z][0-9a-f]{10})("|\))', number, picture)

"""Pictures from data: the same bytes from the same CSV."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.records import Draw
from rs_lib.book.snippets import frame_kind, phone_kinds

Tell = Callable[[pd.DataFrame], str]
_TELL = "frames_say"
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
        for index, rows in enumerate(_frames(data, frames)):
            figure = draw(rows)
            images[frame_kind(index)] = _saved(figure, "svg")
            plt.close(figure)
    return images


def phone_bytes(draw: Draw, figure_id: str, csv: str, frames: str = "") -> dict[str, bytes]:
    """Return the pictures that a phone shows, by the ends of their names.

    The same drawing in a column of 390 pixels, for pages only: it is not cited.
    """
    data = from_csv(csv)
    shown = _frames(data, frames) if frames else [data]
    kinds = phone_kinds(len(shown) if frames else 0)
    images: dict[str, bytes] = {}
    with mpl.rc_context({**style.PHONE_RC, "svg.hashsalt": figure_id}):
        for kind, rows in zip(kinds, shown, strict=True):
            figure = draw(rows)
            _name_stacked(figure)
            images[kind] = _saved(figure, "svg")
            plt.close(figure)
    return images


def _name_stacked(figure: Figure) -> None:
    """Name the y axis of every panel: in a row the first one's name serves all, in a stack not."""
    name = figure.axes[0].get_ylabel()
    for axes in figure.axes:
        place = axes.get_subplotspec()
        leftmost = place is not None and place.is_first_col()
        if leftmost and not axes.get_ylabel() and len(axes.get_yticks()):
            axes.set_ylabel(name)


def _frames(data: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    """Return the rows of each frame; none without a column."""
    if not column:
        return []
    texts = data[column].astype(str)
    return [data[texts == label].reset_index(drop=True) for label in labels(data, column)]


def frames_say(tell: Tell) -> Callable[[Draw], Draw]:
    """Mark a drawing by the function that says in words what it draws of one frame's rows."""

    def marked(draw: Draw) -> Draw:
        vars(draw)[_TELL] = tell
        return draw

    return marked


def frame_words(draw: Draw, csv: str, column: str) -> list[str]:
    """Return what each frame shows, in words; none if the drawing does not say."""
    tell = vars(draw).get(_TELL)
    return [tell(rows) for rows in _frames(from_csv(csv), column)] if tell else []


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

"""The figure record: every figure is drawn from its CSV and kept with what made it."""

import io
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rs_lib.arguments import shown
from rs_lib.book import style
from rs_lib.book.house import ChapterContext, House, current_context
from rs_lib.book.records import (
    CONTENT,
    DRAWINGS,
    MOST_FRAMES,
    RUN,
    Draw,
    Record,
    Tolerance,
    drawing,
    figure_ids,
    is_drawing,
    is_figure_id,
    load,
    require,
)
from rs_lib.book.snippets import frame_kind
from rs_lib.record import arithmetic, digests, files, machine


def publish(
    draw: Draw,
    figure_id: str,
    *,
    data: pd.DataFrame,
    caption: str,
    alt: str,
    inputs: Mapping[str, str] | None = None,
    statistics: str = "",
    tolerance: Tolerance | None = None,
    frames: str = "",
) -> Figure | None:
    """Draw a figure: write `<figure_id>.svg .pdf .csv .json` below `_build`.

    The build then compares it with the record, which is what is cited.

    Parameters
    ----------
    draw : a function of `rs_lib.book.drawings` that turns the data into a figure. It is
        called with the CSV read back, so figure and data cannot disagree.
    figure_id : permanent, `fig-` and then lower-case words joined by hyphens.
    data : one row per drawn point, in tidy form; floats are kept to 10 significant digits.
    caption, alt : Markdown caption; alternative text that says what the figure shows.
    inputs : digests of the stored results behind the data, by name.
    statistics : the statistical claim, such as n and α, where there is one.
    tolerance : None where every machine must draw the same bytes.
    frames : a column of `data` with short texts, such as "σ = 0.5". A reader can move through
        its values: `draw` is called once more for the rows of each, and the pictures are
        written as `<figure_id>.00.svg`, …; what it draws of all rows serves print.

    In an interactive session nothing is written and the figure is returned.
    Raises ValueError that names the offending argument, or the chapter that owns the id.

    """
    _check(figure_id, draw, data)
    kept_inputs = dict(inputs) if isinstance(inputs, Mapping) else inputs or {}
    words = {"caption": caption, "alt": alt, "statistics": statistics, "inputs": kept_inputs}
    for field, value in words.items():
        require(field, value, figure_id, {**CONTENT, **RUN})
    if not isinstance(tolerance, Tolerance | None):
        raise ValueError(f"tolerance of {figure_id} is {shown(tolerance)}: give a Tolerance")
    csv = to_csv(data)
    labels = _checked_labels(figure_id, from_csv(csv), frames)
    context = current_context()
    if context is None:
        return render(draw, csv)
    _require_own(figure_id, context)
    images = image_bytes(draw, figure_id, csv, frames)
    content = {
        "id": figure_id,
        "caption": caption,
        "alt": alt,
        "chapter": context.chapter,
        "draw": f"{draw.__module__}:{draw.__name__}",
        "data": digests.sha256(csv),
        "pictures": _seen(images),
        "statistics": statistics,
        "tolerance": asdict(tolerance) if tolerance else None,
    }
    if frames:
        content["frames"] = {"column": frames, "labels": labels}
    run = {
        "parameters": context.parameters,
        "inputs": kept_inputs,
        "code": context.code,
        "arithmetic": {name: os.environ.get(name, "") for name in arithmetic.FIXED},
        "commit": machine.commit(),
        "device": machine.processor(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": machine.versions("matplotlib", "numpy", "scipy", "torch"),
    }
    write(Path(context.figures), Record(content, run), {**images, "csv": csv.encode()})
    return None


def _require_own(figure_id: str, context: ChapterContext) -> None:
    """Raise ValueError for an id that another chapter publishes."""
    for folder in (Path(context.figures), House().figures):
        if figure_id in figure_ids(folder):
            owner = load(folder, figure_id).content["chapter"]
            if owner != context.chapter:
                raise ValueError(
                    f"figure_id is {figure_id!r}, which {owner} publishes: give another"
                )


def _seen(images: Mapping[str, bytes]) -> dict[str, str]:
    """Return the digests of what is seen: the pictures that pages show, not their PDF."""
    return {kind: digests.sha256(data) for kind, data in images.items() if kind != "pdf"}


def write(folder: Path, record: Record, parts: Mapping[str, bytes]) -> None:
    """Write a figure's files, by the ends of their names, and its record last."""
    figure_id = record.content["id"]
    stored = digests.readable_json({"content": record.content, "run": record.run})
    for old in folder.glob(f"{figure_id}.[0-9][0-9].svg"):
        if old.name.removeprefix(f"{figure_id}.") not in parts:
            old.unlink()
    for kind, data in {**parts, "json": stored.encode()}.items():
        path = folder / f"{figure_id}.{kind}"
        if not path.is_file() or path.read_bytes() != data:
            files.write_atomically(path, data)


def _check(figure_id: str, draw: Draw, data: pd.DataFrame) -> None:
    if not is_figure_id(figure_id):
        raise ValueError(f"figure_id is {shown(figure_id)}: give `fig-` and lower-case words")
    # What `redraw` can find again by its name; a lambda or a partial it cannot.
    name = f"{getattr(draw, '__module__', '')}:{getattr(draw, '__name__', '')}"
    if not (is_drawing(name) and drawing(name) is draw):
        raise ValueError(f"draw is {shown(draw)}: give a function of {DRAWINGS}")
    if not isinstance(data, pd.DataFrame):
        raise ValueError(f"data of {figure_id} is {shown(data)}: give a data frame")
    if data.empty:
        raise ValueError(f"data of {figure_id} holds no row: give the points that are drawn")
    names = list(data.columns)
    if not all(isinstance(column, str) for column in names) or len(set(names)) < len(names):
        raise ValueError(f"data of {figure_id} has the columns {shown(names)}: name each once")


def _checked_labels(figure_id: str, data: pd.DataFrame, frames: str) -> list[str]:
    """Return the texts of the frames, if any; ValueError for none, one or too many of them."""
    if isinstance(frames, str) and not frames:
        return []
    if not isinstance(frames, str) or frames not in data.columns:
        raise ValueError(
            f"frames of {figure_id} is {shown(frames)}: give a column of the data, one of "
            f"{', '.join(map(str, data.columns))}"
        )
    labels = _labels(data, frames)
    if not 2 <= len(labels) <= MOST_FRAMES:
        raise ValueError(
            f"frames of {figure_id} has {len(labels)} values: give from 2 to {MOST_FRAMES}"
        )
    return labels


def _labels(data: pd.DataFrame, column: str) -> list[str]:
    """Return the texts of the frames, in the order of the data."""
    return list(dict.fromkeys(data[column].astype(str)))


def to_csv(data: pd.DataFrame) -> str:
    """Return the data as CSV text; 10 digits hide the last bits in which processors differ."""
    return str(data.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def from_csv(text: str) -> pd.DataFrame:
    """Return the data that `to_csv` wrote."""
    return pd.read_csv(io.StringIO(text))


def render(draw: Draw, csv: str) -> Figure:
    """Return the figure drawn from CSV text in the book's style."""
    with mpl.rc_context(style.RC):
        return draw(from_csv(csv))


def image_bytes(draw: Draw, figure_id: str, csv: str, frames: str = "") -> dict[str, bytes]:
    """Return a figure's pictures by the ends of their names: "svg", "pdf", and "00.svg", … for
    the values of the column `frames`; byte for byte the same for the same CSV."""
    images: dict[str, bytes] = {}
    data = from_csv(csv)
    with mpl.rc_context({**style.RC, "svg.hashsalt": figure_id}):
        figure = draw(data)
        images |= {kind: _saved(figure, kind) for kind in ("svg", "pdf")}
        plt.close(figure)
        for index, label in enumerate(_labels(data, frames) if frames else []):
            rows = data[data[frames].astype(str) == label]
            figure = draw(rows.reset_index(drop=True))
            images[frame_kind(index)] = _saved(figure, "svg")
            plt.close(figure)
    return images


def _saved(figure: Figure, kind: str) -> bytes:
    silent = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Producer")}[kind]
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=dict.fromkeys(silent))
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


def kinds(content: Mapping[str, Any]) -> list[str]:
    """Return the ends of the names of a figure's pictures and data."""
    return ["pdf", "csv", *content["pictures"]]


def redraw(figure_id: str, folder: Path | None = None) -> dict[str, bytes]:
    """Return the pictures, as `image_bytes` names them, drawn from the recorded CSV alone.

    Raises ValueError if the id is unknown, if the CSV is not the one the record names, or if
    the function that the record names cannot draw it.
    """
    folder = folder or House().figures
    content = load(folder, figure_id).content
    csv = (folder / f"{figure_id}.csv").read_bytes().decode()
    if digests.sha256(csv) != content["data"]:
        raise ValueError(f"data of {figure_id} is not what its record names: publish it again")
    draw, column = drawing(content["draw"]), content.get("frames", {"column": ""})["column"]
    _checked_labels(figure_id, from_csv(csv), column)
    try:
        return image_bytes(draw, figure_id, csv, column)
    except Exception as error:  # any drawing function, on data that it may not be meant for
        raise ValueError(
            f"draw of {figure_id} is {content['draw']}, which cannot draw its data "
            f"({type(error).__name__}: {error}): publish the figure again"
        ) from error


def compare(recorded: Path, again: Path, figure_id: str) -> tuple[str, str]:
    """Return the verdict on a figure drawn again and its reason.

    The verdict is "identical" (same numbers, pictures and words), "within tolerance" (as its
    record allows), "changed" or "new".
    """
    if figure_id not in figure_ids(again):
        return "changed", "the build does not publish it"
    if figure_id not in figure_ids(recorded):
        return "new", "it is not recorded"
    before, now = (load(folder, figure_id).content for folder in (recorded, again))
    words = [
        name for name in ("caption", "alt", "statistics", "chapter") if before[name] != now[name]
    ]
    if words:
        return "changed", f"another {' and '.join(words)}"
    if before["data"] == now["data"]:
        if before["pictures"] == now["pictures"]:
            return "identical", "data and picture, byte for byte"
        return "changed", "the same data make another picture"
    tolerance = before["tolerance"]
    if tolerance is None:
        return "changed", "its record allows no difference"
    old, new = (from_csv((f / f"{figure_id}.csv").read_text()) for f in (recorded, again))
    if list(old.columns) != list(new.columns) or len(old) != len(new):
        return "changed", "the data have another shape"
    for column in old.columns:
        numeric = [pd.api.types.is_numeric_dtype(side[column]) for side in (old, new)]
        if all(numeric):
            close = np.isclose(
                new[column],
                old[column],
                rtol=tolerance["rtol"],
                atol=tolerance["atol"],
                equal_nan=True,
            )
            if not close.all():
                return "changed", f"column {column} in {int((~close).sum())} rows"
        elif any(numeric) or not old[column].equals(new[column]):
            return "changed", f"column {column}"
    return "within tolerance", str(tolerance["reason"])

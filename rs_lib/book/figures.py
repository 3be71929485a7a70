"""The figure record: every figure is drawn from its CSV and kept with what made it."""

import base64
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import display

from rs_lib.arguments import shown
from rs_lib.book import markup, pictures, records
from rs_lib.book.house import ChapterContext, House, current_context
from rs_lib.book.records import (
    CONTENT,
    DRAWINGS,
    MOST_FRAMES,
    RUN,
    SHOWN,
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
from rs_lib.record import arithmetic, digests, machine


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
) -> None:
    """Draw a figure: show it in the cell's output, write `<figure_id>.svg .pdf .csv .json`.

    Pictures for phones, `<figure_id>.phone.svg`, lie beside them; they are not in the record.

    The files lie below `_build`, and the build compares them with the record, which is what is
    cited. The output is for notebooks: pages drop it and include the figure.

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
        written as `<figure_id>.00.svg`, …; what it draws of all rows serves print and output.
        A drawing marked by `pictures.frames_say` says for each what it shows.

    In an interactive session nothing is written.
    Raises ValueError that names the offending argument, or the chapter that owns the id.

    """
    _check(figure_id, draw, data)
    kept_inputs = dict(inputs) if isinstance(inputs, Mapping) else inputs or {}
    words = {"caption": caption, "alt": alt, "statistics": statistics, "inputs": kept_inputs}
    for field, value in words.items():
        require(field, value, figure_id, {**CONTENT, **RUN})
    if not isinstance(tolerance, Tolerance | None):
        raise ValueError(f"tolerance of {figure_id} is {shown(tolerance)}: give a Tolerance")
    csv = pictures.to_csv(data)
    labels = _checked_labels(figure_id, pictures.from_csv(csv), frames)
    context = current_context()
    if context is None:
        _show(
            figure_id,
            pictures.image_bytes(draw, figure_id, csv, forms=("png",))["png"],
            alt,
            caption,
        )
        return
    _require_own(figure_id, context)
    images = pictures.image_bytes(draw, figure_id, csv, frames, ("svg", "pdf", "png"))
    _show(figure_id, images.pop("png"), alt, caption, _turned(context))
    content = {
        "id": figure_id,
        "caption": caption,
        "alt": alt,
        "chapter": context.chapter,
        "draw": f"{draw.__module__}:{draw.__name__}",
        "data": digests.sha256(csv),
        "pictures": records.seen(images),
        "statistics": statistics,
        "tolerance": asdict(tolerance) if tolerance else None,
    }
    if frames:
        said = pictures.frame_words(draw, csv, frames)
        moves = {"column": frames, "labels": labels}
        content["frames"] = moves | ({"words": said} if said else {})
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
    phone = pictures.phone_bytes(draw, figure_id, csv, frames)
    parts = {**images, **phone, "csv": csv.encode()}
    records.write(Path(context.figures), Record(content, run), parts)


def _turned(context: ChapterContext) -> str:
    """Return the sentence that marks a figure of a run with other parameters, or nothing."""
    values = [
        f"{name} = {value}" for name, value in context.parameters.items() if name != "profile"
    ]
    return f"*A changed run: {', '.join(values)}.* " if values else ""


def _show(figure_id: str, png: bytes, alt: str, caption: str, turned: str = "") -> None:
    """Display picture and caption, marked as a published figure's."""
    if get_ipython() is None:
        return
    picture = {"image/png": base64.b64encode(png).decode(), "text/plain": alt}
    display(picture, raw=True, metadata={SHOWN: figure_id, "image/png": {"alt": alt}})
    text = f"{turned}{markup.one_line(caption)} (`{figure_id}`)"
    display({"text/markdown": text, "text/plain": text}, raw=True, metadata={SHOWN: figure_id})


def _require_own(figure_id: str, context: ChapterContext) -> None:
    """Raise ValueError for an id that another chapter publishes.

    A figure of the record may move: its chapter there has a source that names it no longer.
    """
    house = House()
    for folder in (Path(context.figures), house.figures):
        if figure_id in figure_ids(folder):
            owner = load(folder, figure_id).content["chapter"]
            moved = folder == house.figures and _left(house, owner, figure_id)
            if owner != context.chapter and not moved:
                raise ValueError(
                    f"figure_id is {figure_id!r}, which {owner} publishes: give another"
                )


def _left(house: House, owner: str, figure_id: str) -> bool:
    """Whether the source of the chapter that publishes the recorded figure names it no longer."""
    return owner in house.chapter_names() and f'"{figure_id}"' not in house.source(owner).read_text(
        encoding="utf-8"
    )


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
    labels = pictures.labels(data, frames)
    if not 2 <= len(labels) <= MOST_FRAMES:
        raise ValueError(
            f"frames of {figure_id} has {len(labels)} values: give from 2 to {MOST_FRAMES}"
        )
    return labels


def redraw(figure_id: str, folder: Path | None = None) -> dict[str, bytes]:
    """Return the pictures, as `pictures.image_bytes` names them, drawn from the recorded CSV alone.

    Raises ValueError if the id is unknown, if the CSV is not the one the record names, or if
    the function that the record names cannot draw it.
    """
    folder = folder or House().figures
    content = load(folder, figure_id).content
    csv = (folder / f"{figure_id}.csv").read_bytes().decode()
    if digests.sha256(csv) != content["data"]:
        raise ValueError(f"data of {figure_id} is not what its record names: publish it again")
    draw, column = drawing(content["draw"]), content.get("frames", {"column": ""})["column"]
    _checked_labels(figure_id, pictures.from_csv(csv), column)
    try:
        return pictures.image_bytes(draw, figure_id, csv, column)
    except Exception as error:  # any drawing function, on data that it may not be meant for
        raise ValueError(
            f"draw of {figure_id} is {content['draw']}, which cannot draw its data "
            f"({type(error).__name__}: {error}): publish the figure again"
        ) from error

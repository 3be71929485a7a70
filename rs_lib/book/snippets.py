"""What the pages include of a figure: picture, slider, caption, downloads and citation."""

import html
import re
from collections.abc import Sequence

from rs_lib.book import markup
from rs_lib.book.citation import Citation, escaped
from rs_lib.book.records import Record

_TOLD = {
    "identical": "this build drew the same.",
    "within tolerance": "this build drew it again, within tolerance.",
    "changed": "**changed in this build.**",
    "new": "**new in this build.**",
}


def frame_kind(index: int) -> str:
    """Return the end of the name of a frame's file."""
    return f"{index:02d}.svg"


def phone_kinds(frames: int) -> list[str]:
    """Return the ends of the names of a figure's pictures for phones, which pages alone show."""
    return [f"{index:02d}.phone.svg" for index in range(frames)] or ["phone.svg"]


def bibtex(record: Record, citation: Citation) -> str:
    """Return the BibTeX entry that cites this very version of the figure."""
    figure_id = record.content["id"]
    return (
        f"@misc{{rsbook:{figure_id}:{record.digest},\n"
        f"  title = {{Figure {figure_id}, content {record.digest}}},\n"
        f"  author = {{{citation.bibtex_authors}}},\n"
        f"  howpublished = {{{escaped(citation.title)}, chapter {record.content['chapter']}}},\n"
        f"  year = {{{record.run['time'][:4]}}},\n"
        f"{citation.bibtex_address}"
        f"  note = {{Data SHA-256 {record.content['data']}}}\n"
        "}\n"
    )


def snippet(record: Record | None, drawn: Record, verdict: str, *, phone: bool = False) -> str:
    """Return the MyST text that a chapter includes: figure, caption, downloads, citation.

    With `phone` there are pictures for phones beside the chapters, and phones show those.
    The record stands for what this build drew where the `verdict` says that both agree; else the
    build's own picture, words and numbers are shown, marked, from a copy beside the chapters, and
    the record is linked.
    """
    agrees = record is not None and verdict in ("identical", "within tolerance")
    own, folder = (record, "../figures") if agrees and record else (drawn, "figures")
    name, alt = own.content["id"], own.content["alt"]
    caption = markup.inline(own.content["caption"])
    fence = markup.fence(caption)
    page = f"[more](figure/{name}.md) · " if agrees else ""
    line = f"{page}{_links(name, folder)} · content `{own.digest}` · {_TOLD[verdict]}"
    if record is not None and not agrees:
        line += f" The record: {_links(name, '../figures')} · content `{record.digest}`"
    return (_slider(own, folder, phone=phone) or _for_phone(own, phone=phone)) + (
        f"{fence}{{figure}} {folder}/{name}.svg\n:name: {name}\n"
        f":alt: {markup.option(alt)}\n\n{caption}\n{fence}\n\n"
        f"```{{div}} rs-downloads\n{line}\n```\n"
    )


def _links(name: str, folder: str) -> str:
    return " · ".join(
        f"{{download}}`{text} <{folder}/{name}.{kind}>`"
        for text, kind in (
            ("SVG", "svg"),
            ("PDF", "pdf"),
            ("data", "csv"),
            ("record", "json"),
            ("cite", "bib"),
        )
    )


def _for_phone(record: Record, *, phone: bool) -> str:
    """Return the picture that a narrow screen shows in place of the figure's."""
    if not phone:
        return ""
    name, alt = record.content["id"], record.content["alt"]
    # Panels that stand in a row on paper are told as left and right.
    aside = re.search(r"\bLeft\b|\bRight:", record.content["caption"])
    note = "\nHere left stands above, right below.\n" if aside else ""
    picture = f"figures/{name}.{phone_kinds(0)[0]}"
    return (
        f"````{{div}} rs-phone\n```{{image}} {picture}\n:alt: {markup.option(alt)}\n```\n"
        f"{note}````\n\n"
    )


def _slider(record: Record, folder: str, *, phone: bool) -> str:
    """Return the frames and a row of buttons that choose one; the style sheet does the rest.

    Without a style sheet that can, and on paper, the figure that follows is shown instead.
    """
    name, alt = record.content["id"], record.content["alt"]
    frames = record.content.get("frames")
    if not frames:
        return ""
    # On one line each: a line of its own could close the raw block below.
    labels = [markup.one_line(label) for label in frames["labels"]]
    shared = re.match(r"(.*= )?", labels[0]).group()  # type: ignore[union-attr]
    if not all(label.startswith(shared) for label in labels):
        shared = ""
    choices = "".join(
        f'<input type="radio" name="{name}" id="{name}-{k}"{" checked" * (k == 0)}>'
        f'<label for="{name}-{k}">{html.escape(label.removeprefix(shared))}</label>'
        for k, label in enumerate(labels)
    )
    legend = html.escape(shared.strip() or markup.one_line(frames["column"]))
    words = frames.get("words") or [alt] * len(labels)
    alts = [f"{label}. {said}" for label, said in zip(labels, words, strict=True)]
    wide = [f"{folder}/{name}.{frame_kind(k)}" for k in range(len(labels))]
    narrow = [f"figures/{name}.{kind}" for kind in phone_kinds(len(labels))]
    pictures = f"````{{div}} rs-wide\n{_images(alts, wide)}````\n"
    if phone:
        pictures += f"````{{div}} rs-phones\n{_images(alts, narrow)}````\n"
    return (
        f"`````{{div}} rs-frames\n```{{raw}} html\n<fieldset><legend>{legend}</legend>"
        f"{choices}</fieldset>\n```\n{pictures}`````\n\n"
    )


def _images(alts: Sequence[str], files: Sequence[str]) -> str:
    return "".join(
        f"```{{image}} {file}\n:alt: {markup.option(alt)}\n```\n"
        for alt, file in zip(alts, files, strict=True)
    )

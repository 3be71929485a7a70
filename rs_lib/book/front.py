"""The front page: a certificate in one picture, three findings, and the map of the chapters."""

import html
from typing import Any

import nbformat
import numpy as np

from rs_lib.book import cards, citation, contents, readable
from rs_lib.book.house import House
from rs_lib.certificates import gaussian
from rs_lib.seeds import derive
from rs_lib.statistics import clopper_pearson_lower

_COPIES, _ALPHA, _SIGMA = 200, 0.001, 34.0
_CENTRE = (150.0, 105.0)
_FINDINGS = {
    "neyman-pearson-radii": (
        "A small network, trained and certified on two CPU cores in an evening, meets the "
        "published certified accuracies of CIFAR-10: {np_cifar_held} of its intervals hold them."
    ),
    "samples-to-certificates": (
        "The votes themselves can say when to stop: over the images of {real_settings} published "
        "settings the same promise takes {real_fewest} to {real_most} times fewer samples."
    ),
    "label-flips": (
        "Noise on the labels adds nothing where the rule is linear: of all images on CIFAR-10 "
        "features, the noisy certificate beats the exact radius, which is a sort, in "
        "{learned_beyond} cases."
    ),
}
"""A finding of a chapter, with the names of the values that it glues."""


def parts(house: House) -> dict[str, str]:
    """Return what the front page includes, as Markdown, by file."""
    return {
        "front-picture": _picture(),
        "front-findings": _findings(house),
        "front-map": _map(house),
        "front-cite": _cite(house),
    }


def _findings(house: House) -> str:
    blocks = []
    for name, text in _FINDINGS.items():
        if name not in house.chapter_names():
            continue
        glued = readable.glued(nbformat.read(house.executed(name), as_version=4))
        told = text.format_map({key: f"**{value}**" for key, value in glued.items()})
        title = contents.chapter_title(house, name)
        blocks.append(f":::{{grid-item}}\n{told} [{title}](chapters/{name}.ipynb)\n:::\n")
    return "::::{grid} 1 1 3 3\n:gutter: 3\n:class-container: rs-findings\n\n" + "\n".join(
        [*blocks, "::::\n"]
    )


def _cite(house: House) -> str:
    """Return the entry that cites the book."""
    return f"```bibtex\n{citation.bibtex(citation.load(house))}```\n"


def _picture() -> str:
    """Return the picture: noisy copies of a point beside a boundary, and what their votes certify.

    The base classifier is made up; votes, bound and radius are computed as everywhere in the book.
    """
    draw = np.random.default_rng(derive(2019, "front page"))
    points = np.array(_CENTRE) + _SIGMA * draw.standard_normal((_COPIES, 2))
    edge = 205 + 16 * np.sin(points[:, 1] / 34.0)  # class A lies left of it
    votes = points[:, 0] < edge
    count = int(votes.sum())
    radius = float(gaussian.radius(clopper_pearson_lower(count, _COPIES, _ALPHA), _SIGMA))
    border = " ".join(f"{205 + 16 * np.sin(y / 34.0):.1f},{y}" for y in range(0, 213, 4))
    dots = "".join(
        f'<circle class="{"a" if vote else "b"}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
        for (x, y), vote in zip(points, votes, strict=True)
    )
    x, y = _CENTRE
    told = (
        f"{count} of {_COPIES} noisy copies of a point fall on its side of a curved boundary. In "
        f"the circle of radius {radius / _SIGMA:.2f} sigma around it the majority cannot change."
    )
    caption = (
        f"{count} of {_COPIES} noisy copies of $x$ vote for one class. So no $x'$ within "
        f"$R={radius / _SIGMA:.2f}\\,\\sigma$ of $x$ changes the majority. That is wrong with "
        f"probability at most {_ALPHA}, and nothing else was asked of the classifier."
    )
    return (
        f'```{{raw}} html\n<svg class="rs-front" viewBox="0 0 340 212" role="img" '
        f'aria-label="{html.escape(told)}"><polygon class="other" points="{border} 340,212 340,0"/>'
        f'{dots}<circle class="ball" cx="{x}" cy="{y}" r="{radius:.1f}"/>'
        f'<circle class="x" cx="{x}" cy="{y}" r="3.6"/><text x="{x - 4}" y="{y - 7}" '
        f'text-anchor="end">x</text><line class="r" x1="{x}" y1="{y}" x2="{x + radius:.1f}" '
        f'y2="{y}"/><text x="{x + radius / 2:.1f}" y="{y - 5}">R</text></svg>\n```\n\n'
        f"```{{div}} rs-front-caption\n{caption}\n```\n"
    )


_BOX, _STEP, _GAP = (168, 40), 200, 62


def _map(house: House) -> str:
    """Return the chapters as boxes, a column for each step from the first, with what needs what."""
    told = cards.load(house)
    depth: dict[str, int] = {}
    for name, card in told.items():  # a chapter stands behind those that it needs
        depth[name] = 1 + max((depth.get(other, 0) for other in card.after), default=-1)
    rows: dict[int, int] = {}
    place = {}
    for name in told:
        row = rows.get(depth[name], 0)
        rows[depth[name]] = row + 1
        place[name] = (depth[name] * _STEP, row * _GAP)
    lines = "".join(
        _edge(place[other], place[name]) for name, card in told.items() for other in card.after
    )
    boxes = "".join(_box(house, name, place[name]) for name in told)
    width = max(x for x, _ in place.values()) + _BOX[0] + 2
    height = max(y for _, y in place.values()) + _BOX[1] + 2
    return (
        f'```{{raw}} html\n<div class="rs-table-scroll" tabindex="0"><svg class="rs-map" '
        f'viewBox="-1 -1 {width} {height}" role="group" aria-label="Chapters, each to the right of '
        f'those it needs">{lines}{boxes}</svg></div>\n```\n'
    )


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (u, v) = start, end
    x, y, v = x + _BOX[0], y + _BOX[1] // 2, v + _BOX[1] // 2
    bend = (x + u) // 2
    return f'<path d="M{x},{y} C{bend},{y} {bend},{v} {u},{v}"/>'


def _box(house: House, name: str, place: tuple[int, int]) -> str:
    x, y = place
    words = _wrapped(contents.chapter_title(house, name).split(":")[0].split(", after")[0])
    top = y + _BOX[1] / 2 + 4.5 - 7.5 * (len(words) - 1)
    text = "".join(
        f'<text x="{x + _BOX[0] / 2}" y="{top + 15 * k}">{html.escape(line)}</text>'
        for k, line in enumerate(words)
    )
    return (
        f'<a href="chapters/{name}.html"><rect x="{x}" y="{y}" width="{_BOX[0]}" '
        f'height="{_BOX[1]}" rx="4"/>{text}</a>'
    )


def _wrapped(title: str, most: int = 22) -> list[str]:
    """Return a title in lines of at most about `most` characters."""
    lines: list[Any] = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + len(word) >= most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines

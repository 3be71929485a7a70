"""Three small pieces to play with, each with a table by the library for readers without scripts.

The scripts lie in `book/try`; a test compares what they show with the library.
"""

import html

import numpy as np

from rs_lib.book.house import House
from rs_lib.certificates import ablation, discrete, gaussian, laplace, patch, uniform
from rs_lib.geometry import grids
from rs_lib.statistics import clopper_pearson_lower

NAMES = ("counts", "patches", "regions")
SIDE = 64
"""Pixels along the side of the square of "regions"."""
_SAMPLES, _ALPHA = 1_000, 0.001


def parts(house: House) -> dict[str, str]:
    """Return what the page includes, as Markdown, by file; nothing where there are no scripts."""
    folder = house.book / "try"
    if not folder.is_dir():
        return {}
    made = {"counts": _counts(), "patches": _patches(), "regions": _regions()}
    return {
        f"try-{name}": (
            f"```{{raw}} html\n{form}\n<script>\n{(folder / f'{name}.js').read_text()}</script>\n"
            f"<noscript>{table}</noscript>\n```\n"
        )
        for name, (form, table) in made.items()
    }


def _form(name: str, fields: str) -> str:
    """Return a form that a script shows and fills."""
    return (
        f'<form id="try-{name}" class="rs-try" hidden onsubmit="return false">{fields}'
        '<output aria-live="polite"></output></form>'
    )


def _number(label: str, name: str, value: float, step: str) -> str:
    return (
        f"<label>{label} "
        f'<input type="number" name="{name}" value="{value:g}" min="0" step="{step}"></label> '
    )


def _choice(label: str, name: str, options: dict[str, str]) -> str:
    given = "".join(
        f'<option value="{value}">{html.escape(text)}</option>' for value, text in options.items()
    )
    return f'<label>{label} <select name="{name}">{given}</select></label> '


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _counts() -> tuple[str, str]:
    laws = {
        "gaussian": "Gaussian noise",
        "laplace": "Laplace noise",
        "uniform": "uniform noise",
        "ablation": "ablation of pixels",
        "flips": "flips of bits",
    }
    form = _form(
        "counts",
        _number("votes", "votes", 990, "1")
        + _number("samples", "samples", _SAMPLES, "1")
        + _number("level α", "alpha", _ALPHA, "any")
        + _choice("law", "law", laws)
        + '<label><span data-scale>σ</span> <input type="number" name="scale" value="0.5" '
        'min="0" step="any"></label>',
    )
    rows = []
    for votes in (600, 800, 990, 1_000):
        low = float(clopper_pearson_lower(votes, _SAMPLES, _ALPHA))
        rows.append(
            [
                f"{votes:,}",
                _down(low),
                _down(float(gaussian.radius(low, 0.5))),
                _down(float(laplace.radius_l1(low, 0.5))),
                _down(float(uniform.radius_l1(low, 0.5))),
                str(max(0, int(ablation.radius(low, 784, 45)))),
                str(max(0, int(discrete.radius(low, "0.8")))),
            ]
        )
    heads = ["votes of 1,000", "bound", "Gaussian", "Laplace", "uniform", "ablation", "flips"]
    return form, _table(heads, rows)


def _down(value: float) -> str:
    return f"{np.floor(value * 1e4) / 1e4:.4f}"


def _patches() -> tuple[str, str]:
    bands = {str(band): str(band) for band in (2, 4, 6)}
    form = _form(
        "patches",
        _choice("columns of a band", "band", bands)
        + '<div class="rs-votes" role="group" aria-label="votes of the bands"></div>',
    )
    votes = np.zeros((1, 28, 3), dtype=np.int64)
    for place, name in enumerate("AABAABAACAABAABAAC-AABAABAAA"):
        if name != "-":
            votes[0, place, "ABC".index(name)] = 1
    rows = [
        [
            str(band),
            str(int(patch.largest_patch(votes, band)[0])),
            str(int(patch.largest_patch(votes, band, "counts")[0])),
        ]
        for band in (2, 4, 6)
    ]
    return form, _table(["columns of a band", "patch, by places", "patch, by counts"], rows)


def shapes() -> dict[str, grids.BoolArray]:
    """Return the regions of the third piece, of shape (SIDE, SIDE)."""
    y, x = np.indices((SIDE, SIDE)) + 0.5
    return {
        "ball": grids.balls(SIDE, [[32, 32]], 18, "constant"),
        "two balls": grids.balls(SIDE, [[32, 20]], 11, "constant")
        | grids.balls(SIDE, [[32, 45]], 11, "constant"),
        "bar": (np.abs(y - 32) < 6) & (np.abs(x - 32) < 26),
        "cone": x - 8 > np.abs(y - 32) / 0.6,
    }


def _regions() -> tuple[str, str]:
    form = _form(
        "regions",
        _choice("region", "shape", {name: name for name in shapes()})
        + '<label>σ <input type="range" name="sigma" min="0" max="20" step="0.5" value="6"></label>'
        '<canvas width="384" height="384" role="img" '
        'aria-label="the region, and in colour what it keeps"></canvas>',
    )
    rows = [
        [name, *(f"{int(grids.smoothed(region, s, 'constant').sum()):,}" for s in (0, 2, 6, 12))]
        for name, region in shapes().items()
    ]
    return form, _table(["pixels left", "σ = 0", "σ = 2", "σ = 6", "σ = 12"], rows)

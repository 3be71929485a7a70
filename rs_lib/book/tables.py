"""Data frames that chapters draw and print: curves with bands, summaries with intervals."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rs_lib import statistics
from rs_lib.arguments import integer, integers, nonnegative, numbers, shown, single
from rs_lib.book.published import Published


def certified_curve(
    series: str, radii: npt.ArrayLike, correct: npt.ArrayLike, ceiling: float
) -> pd.DataFrame:
    """Return the certified accuracy up to `ceiling` with a pointwise 95 % Clopper–Pearson band.

    `radii` and `correct` have shape (images,); columns: series, radius, share, low, high.
    The band speaks of the population from which the test images were drawn. Beyond the
    ceiling nothing can be certified, whatever the population, so there the curve drops.
    Raises ValueError for a ceiling that is negative or infinite, and as `certified_accuracy`.
    """
    ceiling = single("ceiling", nonnegative("ceiling", ceiling))
    images = np.asarray(radii).size
    grid = np.linspace(0, ceiling, 101)
    share = statistics.certified_accuracy(radii, correct, grid)
    drop = {"series": [series], "radius": [ceiling], "share": [0.0], "low": [0.0], "high": [0.0]}
    curve = shares(series, grid, np.rint(share * images), images)
    return pd.concat([curve, pd.DataFrame(drop)])


def shares(
    series: str, radii: npt.ArrayLike, successes: npt.ArrayLike, images: int
) -> pd.DataFrame:
    """Return shares of `images` with pointwise 95 % Clopper–Pearson bands, a row per radius.

    `radii` and `successes` have one shape (rows,); columns: series, radius, share, low, high.
    Raises ValueError for other shapes, and for counts that are not from 0 to `images`.
    """
    images = integer("images", images, least=1)
    at, hits = numbers("radii", radii), integers("successes", successes, most=images)
    if at.ndim != 1 or at.shape != hits.shape:
        raise ValueError(
            f"successes has shape {hits.shape}, radii {at.shape}: give one number for each radius"
        )
    low, high = statistics.binomial_interval(hits, images)
    return pd.DataFrame(
        {
            "series": series,
            "radius": at,
            "share": hits / images,
            "low": low,
            "high": high,
        }
    )


def beside(certified: Mapping[float, int], images: int, entry: Published) -> pd.DataFrame:
    """Return ours and what was published at the same radii, both with 95 % intervals.

    `certified`: of our `images` those that are right, certified at each radius; `entry`: shares at
    radii. Columns as for `shares`, with the series "ours" and "published"; radii that only one of
    them has are left out.
    """
    theirs = dict(zip(entry.at, entry.values, strict=True))
    radii = [radius for radius in certified if radius in theirs]
    ours = shares("ours", radii, [certified[radius] for radius in radii], images)
    hits = np.rint([theirs[radius] * entry.images for radius in radii])
    return pd.concat([ours, shares("published", radii, hits, entry.images)])


def compared(data: pd.DataFrame) -> pd.DataFrame:
    """Return `beside` in words, a row for each radius: shares, intervals, their difference."""
    records = data.to_dict("records")
    ours, theirs = (
        {row["radius"]: row for row in records if row["series"] == series}
        for series in ("ours", "published")
    )
    rows = [
        {
            "radius": f"{radius:g}",
            "published (95 %)": _interval(theirs[radius]),
            "ours (95 %)": _interval(own),
            "difference, points": f"{100 * (own['share'] - theirs[radius]['share']):+.1f}",
        }
        for radius, own in ours.items()
    ]
    return pd.DataFrame(rows)


def _interval(row: Mapping[Hashable, Any]) -> str:
    return f"{row['share']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def rounded_down(value: float, digits: int) -> str:
    """Return a certified quantity as text that never claims more than `value`.

    `value` is one real number or NaN, `digits` from 0 to 100 are its decimals; ValueError else.
    """
    places = integer("digits", digits, most=100)
    if isinstance(value, float | np.floating) and math.isnan(value):
        return "nan"
    low = single("value", numbers("value", value, rounding="down"))
    if math.isinf(low):
        return f"{low}"
    units = math.floor(Fraction(low) * 10**places)
    whole, rest = divmod(abs(units), 10**places)
    return f"{'-' * (units < 0)}{whole}" + (f".{rest:0{places}d}" if places else "")


@dataclass(frozen=True)
class Table:
    """A data frame as the page shows it: no row numbers, floats to `digits` decimals."""

    frame: pd.DataFrame
    digits: int = 3

    def __post_init__(self) -> None:
        """Refuse what could not be shown, before the page is made."""
        integer("digits", self.digits, most=100)
        if not isinstance(self.frame, pd.DataFrame):
            raise ValueError(f"frame is {shown(self.frame)}: give a data frame")

    def _repr_html_(self) -> str:
        # Not pandas' Styler, whose random ids would make every build a different page.
        table = self.frame.to_html(
            index=False, border=0, classes="rs-table", float_format=f"{{:.{self.digits}f}}".format
        )
        return f'<div class="rs-table-scroll" tabindex="0">{table}</div>'

    def __repr__(self) -> str:
        """Return the table as plain text."""
        return self.frame.to_string(index=False, float_format=f"{{:.{self.digits}f}}".format)

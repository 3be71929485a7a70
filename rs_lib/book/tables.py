"""Data frames that chapters draw and print: curves with bands, summaries with intervals."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from rs_lib import statistics


def certified_curve(
    series: str, radii: npt.ArrayLike, correct: npt.ArrayLike, ceiling: float
) -> pd.DataFrame:
    """Return the certified accuracy up to `ceiling` with a pointwise 95 % Clopper–Pearson band.

    `radii` and `correct` have shape (images,); columns: series, radius, share, low, high.
    The band speaks of the population from which the test images were drawn. Beyond the
    ceiling nothing can be certified, whatever the population, so there the curve drops.
    """
    images = np.asarray(radii).size
    grid = np.linspace(0, ceiling, 101)
    share = statistics.certified_accuracy(radii, correct, grid)
    drop = {"series": [series], "radius": [ceiling], "share": [0.0], "low": [0.0], "high": [0.0]}
    curve = shares(series, grid, np.rint(share * images), images)
    return pd.concat([curve, pd.DataFrame(drop)])


def shares(
    series: str, radii: npt.ArrayLike, successes: npt.ArrayLike, images: int
) -> pd.DataFrame:
    """Return shares of `images` with pointwise 95 % Clopper–Pearson bands, a row per radius."""
    low, high = statistics.binomial_interval(successes, images)
    return pd.DataFrame(
        {
            "series": series,
            "radius": np.asarray(radii, dtype=float),
            "share": np.asarray(successes) / images,
            "low": low,
            "high": high,
        }
    )


def rounded_down(value: float, digits: int) -> str:
    """Return a certified quantity as text that never claims more than `value`."""
    if not np.isfinite(value):
        return f"{value}"
    exact = Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_FLOOR)
    return f"{exact}"


@dataclass(frozen=True)
class Table:
    """A data frame as the page shows it: no row numbers, floats to `digits` decimals."""

    frame: pd.DataFrame
    digits: int = 3

    def _repr_html_(self) -> str:
        # Not pandas' Styler, whose random ids would make every build a different page.
        table = self.frame.to_html(
            index=False, border=0, classes="rs-table", float_format=f"{{:.{self.digits}f}}".format
        )
        return f'<div class="rs-table-scroll" tabindex="0">{table}</div>'

    def __repr__(self) -> str:
        """Return the table as plain text."""
        return self.frame.to_string(index=False, float_format=f"{{:.{self.digits}f}}".format)

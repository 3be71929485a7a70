"""Data frames that chapters draw and print: curves with bands, summaries with intervals."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from rs_lib import statistics


def certified_curve(
    series: str, radii: npt.ArrayLike, correct: npt.ArrayLike, thresholds: npt.ArrayLike
) -> pd.DataFrame:
    """Return the certified accuracy at each threshold with a pointwise 95 % Clopper–Pearson band.

    `radii` and `correct` have shape (images,); columns: series, radius, share, low, high.
    The band speaks of the population from which the test images were drawn.
    """
    images = np.asarray(radii).size
    share = statistics.certified_accuracy(radii, correct, thresholds)
    return shares(series, thresholds, np.rint(share * images), images)


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

"""Ridge regression on labels, seen from the labels: what each of them weighs on each answer.

With centred features Z [n, k] and a free intercept, the prediction at a point of centred features
z is w^T y, where w = 1/n + Z (Z^T Z + penalty n I)^-1 z does not depend on the labels y, and
the weights of a point sum to 1. Ten classes are ten such regressions on one-hot labels, with the
same weights.
Source: Rosenfeld, Winston, Ravikumar and Kolter (2020), section 4, there without the intercept.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray


@dataclass(frozen=True)
class Ridge:
    """Training features, centred and scaled to a mean square of 1, and their principal axes."""

    features: FloatArray
    centre: FloatArray
    scale: float
    variances: FloatArray
    axes: FloatArray

    def _seen(self, points: npt.ArrayLike) -> FloatArray:
        """Return the features z of each point, [N, k]."""
        rows: FloatArray = (np.asarray(points, dtype=np.float64) - self.centre) / self.scale
        return rows

    def _solved(self, rows: FloatArray, penalty: float) -> FloatArray:
        """Return (Z^T Z + penalty n I)^-1 z for each of `rows` z, [N, k]."""
        arguments.positive("penalty", penalty)
        spread: FloatArray = ((rows @ self.axes) / (self.variances + penalty)) @ self.axes.T
        return spread / len(self.features)

    def weights(self, points: npt.ArrayLike, penalty: float) -> FloatArray:
        """Return what each of the n labels weighs at each of `points` [N, k]: [N, n].

        `penalty` is in units of the mean variance of a feature. Raises ValueError unless it is
        positive.
        """
        weights: FloatArray = self._solved(self._seen(points), penalty) @ self.features.T
        weights += 1 / len(self.features)
        return weights

    def scores(self, points: npt.ArrayLike, targets: npt.ArrayLike, penalty: float) -> FloatArray:
        """Return weights(points) @ targets for `targets` [n, C], without the weights: [N, C]."""
        values = np.asarray(targets, dtype=np.float64)
        # One solution for each class, not for each point.
        learned = self._solved((self.features.T @ values).T, penalty)
        scores: FloatArray = self._seen(points) @ learned.T
        scores += values.mean(axis=0)
        return scores


def fit(features: npt.ArrayLike) -> Ridge:
    """Return the regression on `features` [n, k]; it waits for labels.

    Raises ValueError for features that are all alike.
    """
    rows = arguments.numbers("features", features)
    centre = rows.mean(axis=0)
    rows = rows - centre
    scale = float(np.sqrt((rows**2).mean()))
    if not scale > 0:
        raise ValueError("features are equal for all rows: give features that vary")
    rows /= scale
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    return Ridge(rows, centre, scale, np.maximum(variances, 0.0), axes)

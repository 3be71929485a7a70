"""Features of images that are learned without labels: how near an image is to each of k centres.

Centres come from k-means on the images alone. The feature of a centre is how much nearer it is than
the mean distance to all centres, and 0 for the farther half or so. Nothing here takes a label, so
whoever changes labels cannot change a feature.
Source: Coates, Ng and Lee (2011), "An Analysis of Single-Layer Networks in Unsupervised Feature
Learning", section 3, k-means (triangle), here on whole images.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_lib.arguments import FloatArray

_CHUNK = 4096  # images whose distances are held at once


@dataclass(frozen=True)
class Centres:
    """Centres of clusters, float64 [k, d]; call it to get the features of images."""

    places: FloatArray

    def distances(self, images: npt.ArrayLike) -> FloatArray:
        """Return the Euclidean distances of `images` [N, d] to all centres, [N, k]."""
        points = np.asarray(images, dtype=np.float64)
        squares = (points**2).sum(axis=1)[:, None] + (self.places**2).sum(axis=1)
        away: FloatArray = np.sqrt(np.maximum(squares - 2 * points @ self.places.T, 0.0))
        return away

    def __call__(self, images: npt.ArrayLike) -> FloatArray:
        """Return the features of `images` [N, d]: max(0, mean distance - distance), [N, k]."""
        points = np.asarray(images)
        if points.ndim != 2 or points.shape[1] != self.places.shape[1]:
            raise ValueError(
                f"images has shape {points.shape}: give [N, {self.places.shape[1]}], the pixels in "
                "a row"
            )
        found = np.empty((len(points), len(self.places)))
        for i in range(0, len(points), _CHUNK):
            away = self.distances(points[i : i + _CHUNK])
            found[i : i + _CHUNK] = np.maximum(away.mean(axis=1, keepdims=True) - away, 0.0)
        return found


def learn_centres(images: npt.ArrayLike, count: int, seed: int) -> Centres:
    """Return `count` centres of `images` [N, d] by mini-batch k-means from random images.

    Raises ValueError for fewer images than centres.
    """
    # Imported here: scikit-learn is slow to import.
    from sklearn.cluster import MiniBatchKMeans

    points = np.asarray(images)
    if points.ndim != 2 or len(points) < count:
        raise ValueError(f"images has shape {points.shape}: give [N, d] with at least {count} rows")
    clusters = MiniBatchKMeans(
        count, init="random", n_init=1, batch_size=2048, max_iter=20, random_state=seed % 2**32
    )
    return Centres(clusters.fit(points).cluster_centers_.astype(np.float64))


def two_clusters(images: npt.ArrayLike, seed: int) -> Centres:
    """Return the two centres of `images` [N, d] by k-means, the best of ten starts."""
    from sklearn.cluster import KMeans

    clusters = KMeans(2, n_init=10, random_state=seed % 2**32).fit(np.asarray(images))
    return Centres(clusters.cluster_centers_.astype(np.float64))

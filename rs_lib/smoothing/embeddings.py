"""What noisy copies of an image tell of its smoothed embedding: counts for every rival prototype.

The class and the directions come from a pilot, samples of their own. Then for each rival the score
<f, u>, whose mean decides between the two prototypes, is counted in a histogram, and a coin of
chance (1 + <f, u>) / 2 is thrown for each sample: the heads are binomial, with a chance that tells
the mean. A second coin does the same along the rest of the mean embedding.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, IntArray, integer
from rs_lib.noise import Law, noisy_images

TILE = 2_048
"""Noisy copies that are embedded at once."""

_SLIP = 1e-9
"""By more than scores err by rounding: what they are lowered by before they are counted."""


def sample(
    model: nn.Module, image: Tensor, noise: Law, n: int, *, key: int, identity: int
) -> FloatArray:
    """Return the embeddings of `n` noisy copies of `image` [C, H, W], float64 [n, D] of length one.

    Copy number i is sample i of the stream (`key`, `identity`), see `rs_lib.noise.noisy_images`.
    Raises ValueError for n below 1, and FloatingPointError for an embedding without a direction.
    """
    integer("n", n, least=1)
    found = []
    for samples in np.array_split(np.arange(n), -(-n // TILE)):
        rows = np.zeros(len(samples), dtype=np.int64)
        ids = np.full(len(samples), identity, dtype=np.int64)
        with torch.inference_mode():
            noisy = noisy_images(noise, image[None], rows, ids, samples, key=key)
            found.append(model(noisy).double().cpu().numpy())
    stacked = np.concatenate(found)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise FloatingPointError(
            f"model gives embeddings of length {lengths.min()} to {lengths.max()} on noisy copies "
            f"of image {identity}: mend the model or its precision"
        )
    return np.asarray(stacked / lengths)


def direction(points: FloatArray, own: int, rival: int) -> tuple[FloatArray, float]:
    """Return u [D] and b: the prototype `own` of `points` [K, D] is nearer to g iff <g, u> > b.

    Raises ValueError for prototypes that coincide.

    In the book: prop-se-half.
    """
    between = points[own] - points[rival]
    distance = float(np.linalg.norm(between))
    if distance == 0:
        raise ValueError(f"points {own} and {rival} coincide: give different prototypes")
    return between / distance, float((points[own] + points[rival]) @ between) / 2 / distance


def nearest(vectors: FloatArray, points: FloatArray) -> IntArray:
    """Return the place of the nearest of the prototypes `points` [K, D] to each of `vectors`."""
    return np.asarray(np.argmax(vectors @ points.T - (points**2).sum(axis=1) / 2, axis=1))


def counted(
    pilot: FloatArray,
    samples: FloatArray,
    points: FloatArray,
    bins: int,
    draw: np.random.Generator,
) -> dict[str, Any]:
    """Return what certificates of the nearest prototype are made of, as plain numbers.

    `pilot` [n0, D] and `samples` [n, D] are embeddings of independent noisy copies, `points` [K, D]
    the prototypes; coins come from `draw`. "selected" is the nearest prototype to the pilot's mean,
    "leader" that of most of the pilot's embeddings, "votes" [K] are those of the samples, "mean"
    [D] is their mean. For each other prototype, "rivals" holds its place "rival", the heads "along"
    u and "across" it, and the "histogram" of the scores in `bins` bins of [-1, 1], from the bin
    "first" on. Scores are rounded down.
    """
    classes, centre = len(points), pilot.mean(axis=0)
    own = int(nearest(centre[None], points)[0])
    rivals = []
    for rival in (k for k in range(classes) if k != own):
        u, _ = direction(points, own, rival)
        rest = centre - (centre @ u) * u
        along = samples @ u
        side = rest / max(float(np.linalg.norm(rest)), _SLIP)
        across = samples @ (side - (side @ u) * u)  # a short rest is orthogonal to few digits only
        coins = 2 * draw.random((2, len(samples))) - 1
        place = np.floor((along - _SLIP + 1) / 2 * bins).clip(0).astype(np.int64)
        first = int(place.min())
        rivals.append(
            {
                "rival": rival,
                "along": int((coins[0] < along - _SLIP).sum()),
                "across": int((coins[1] < across - _SLIP).sum()),
                "first": first,
                "histogram": np.bincount(place - first).tolist(),
            }
        )
    return {
        "selected": own,
        "leader": int(np.bincount(nearest(pilot, points), minlength=classes).argmax()),
        "votes": np.bincount(nearest(samples, points), minlength=classes).tolist(),
        "mean": samples.mean(axis=0).tolist(),
        "rivals": rivals,
    }

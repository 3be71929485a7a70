"""Thresholded votes of bands and blocks, and certificates that survive rounding of the scores.

A network's scores are not the same to the last bit in a batch of another shape or on another
machine. A certificate here holds of every computation of the scores that differs by less than
a guard: a vote for the answer counts only if its score reaches the threshold plus the guard, one
for another class as soon as its score reaches the threshold minus the guard.
Source of thresholded votes: Levine & Feizi (2020), "(De)Randomized Smoothing for Certifiable
Defense against Patch Attacks".
"""

import math

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import IntArray
from rs_lib.certificates import blocks, patch

GUARD = 1e-5
"""Most by which a score may move between computations of the same band, in float32."""

# Assumed, not proved: where we looked float32 moved by 4e-6 at most, bfloat16 by nothing on a CPU.
GUARDS = {"float32": GUARD, "bfloat16": 0.03}
"""The same for each precision of the logits; bfloat16 keeps 8 binary digits of a logit."""

Votes = npt.NDArray[np.uint8]


def votes(scores: npt.ArrayLike, theta: float) -> Votes:
    """Return 1 where a score is at least `theta`, else 0; uint8 of the shape of `scores`.

    `scores`: [images, positions, classes] or [images, rows, columns, classes], such as softmax
    probabilities. With theta at most 1/2 a band may vote for several classes, or for none.
    Raises ValueError for other shapes or NaN.
    """
    array = _real(scores)
    if array.ndim not in (3, 4):
        raise ValueError(
            f"scores has shape {array.shape}: give [images, positions, classes] or "
            "[images, rows, columns, classes]"
        )
    least = array.dtype.type(arguments.numbers("theta", theta))
    if float(least) < theta:
        # The least float32 from theta on: a score below theta itself casts no vote.
        least = np.nextafter(least, array.dtype.type(np.inf))
    return (array >= least).view(np.uint8)


def _real(scores: npt.ArrayLike) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
    """Return float32 `scores` as they are and others as float64; ValueError for NaN."""
    if isinstance(scores, np.ndarray) and scores.dtype == np.float32:
        if np.isnan(scores.max(initial=-np.inf)):
            raise ValueError("scores holds NaN: give real numbers")
        return scores
    return arguments.numbers("scores", scores)


def margins(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return each probability minus the largest of the other classes, of the same shape.

    At threshold 0 these scores are the votes for the class of largest probability ("top-1"; for
    all of them where several are equal). A margin moves by at most twice what probabilities do.
    """
    array = arguments.numbers("probabilities", probabilities)
    ordered = np.sort(array, axis=-1)
    best = array == ordered[..., -1:]
    return array - np.where(best, ordered[..., -2:-1], ordered[..., -1:])


def answers(scores: npt.ArrayLike, theta: float) -> IntArray:
    """Class of most votes at `theta`, the smallest index among equals; int64 [images]."""
    return _answers(votes(scores, theta))


def guarded(scores: npt.ArrayLike, theta: float, guard: float = GUARD) -> tuple[Votes, IntArray]:
    """Return votes as their guarded computation counts them, and the answers at `theta` itself.

    The answer's votes need theta + guard, the others' theta - guard. Whatever is certified of the
    first array, where its own answer is that of the second, holds of all scores within the guard.
    """
    chosen = answers(scores, theta)
    counted = votes(scores, theta - guard)
    place = chosen.reshape(-1, *[1] * (counted.ndim - 1))
    sure = np.take_along_axis(votes(scores, theta + guard), place, axis=-1)
    np.put_along_axis(counted, place, sure, axis=-1)
    return counted, chosen


def largest_certified(
    scores: npt.ArrayLike,
    theta: float,
    band: int,
    method: str = "positions",
    guard: float = GUARD,
) -> IntArray:
    """Largest patch that cannot change the answer at `theta`, guarded; int64 [images].

    In columns for bands [images, positions, classes], as the side of a square for blocks [images,
    rows, columns, classes] of side `band`; 0 where nothing is certified. `method` as for
    `certificates.patch.certified`, whose errors it raises.
    """
    return largest_of_guarded(*guarded(scores, theta, guard), band, method)


def largest_of_guarded(
    counted: Votes, chosen: IntArray, band: int, method: str = "positions"
) -> IntArray:
    """Return what `largest_certified` does, of the two arrays that `guarded` returns."""
    search = patch.largest_patch if counted.ndim == 3 else blocks.largest_patch
    largest: IntArray = np.where(_answers(counted) == chosen, search(counted, band, method), 0)
    return largest


def _answers(array: Votes) -> IntArray:
    flat = array.reshape(len(array), math.prod(array.shape[1:-1]), array.shape[-1])
    # Twice as fast as summing over the middle axis.
    chosen: IntArray = np.einsum("npk->nk", flat, dtype=np.int64).argmax(axis=1)
    return chosen

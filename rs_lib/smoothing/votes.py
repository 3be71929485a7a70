"""Thresholded votes of bands and blocks, and certificates that survive rounding of the scores.

A network's scores are not the same to the last bit in a batch of another shape or on another
machine. A certificate here holds of every computation of the scores that differs by less than
a guard: a vote for the answer counts only if its score reaches the threshold plus the guard, one
for another class as soon as its score reaches the threshold minus the guard.
Source of thresholded votes: Levine & Feizi (2020), "(De)Randomized Smoothing for Certifiable
Defense against Patch Attacks".
"""

from __future__ import annotations

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
    Raises ValueError for other shapes, numbers that are not finite, or a threshold outside
    [-1, 1], where probabilities and their margins lie.
    """
    return _at_least(_real(scores), _threshold(theta))


def _at_least(scores: npt.NDArray[np.float32] | npt.NDArray[np.float64], theta: float) -> Votes:
    least = scores.dtype.type(theta)
    if float(least) < theta:
        # The least float32 from theta on: a score below theta itself casts no vote.
        least = np.nextafter(least, scores.dtype.type(np.inf))
    return (scores >= least).view(np.uint8)


def _threshold(theta: float) -> float:
    # A score reaches a number finer than floats if and only if it reaches the float above.
    value = arguments.single("theta", arguments.numbers("theta", theta, rounding="up"))
    if not -1 <= value <= 1:
        raise ValueError(f"theta is {value:.10g}: give a threshold from -1 to 1, as scores are")
    return value


def _real(scores: npt.ArrayLike) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
    """Return float32 `scores` as they are and others as float64; ValueError for odd ones."""
    array: npt.NDArray[np.float32] | npt.NDArray[np.float64]
    if type(scores) is np.ndarray and scores.dtype == np.float32:
        array = scores
    else:
        array = arguments.numbers("scores", scores, rounding="down")
    if array.ndim not in (3, 4) or 0 in array.shape[1:-1] or array.shape[-1] < 2:
        raise ValueError(
            f"scores has shape {array.shape}: give [images, positions, classes] or "
            "[images, rows, columns, classes], at least one position and two classes"
        )
    # The extremes tell of each entry: NaN passes through both.
    if not np.isfinite([array.min(initial=0), array.max(initial=0)]).all():
        raise ValueError("scores holds NaN or infinite numbers: give finite ones")
    return array


def margins(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return each probability minus the largest of the other classes, of the same shape.

    At threshold 0 these scores are the votes for the class of largest probability ("top-1"; for
    all of them where several are equal). A margin moves by at most twice what probabilities do.
    Raises ValueError for fewer than two classes.
    """
    array = arguments.numbers("probabilities", probabilities)
    if array.ndim < 1 or array.shape[-1] < 2:
        raise ValueError(f"probabilities has shape {array.shape}: give at least two classes, last")
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
    Raises ValueError as `votes` does, and for a guard that is negative or not finite.
    """
    width = arguments.single("guard", arguments.nonnegative("guard", guard, rounding="up"))
    array, least = _real(scores), _threshold(theta)
    chosen = _answers(_at_least(array, least))
    # Rounded outwards: the sums are rounded themselves.
    counted = _at_least(array, math.nextafter(least - width, -math.inf) if width else least)
    place = chosen.reshape(-1, *[1] * (counted.ndim - 1))
    high = math.nextafter(least + width, math.inf) if width else least
    sure = np.take_along_axis(_at_least(array, high), place, axis=-1)
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
    """Return what `largest_certified` does, of the two arrays that `guarded` returns.

    Raises ValueError for arrays that `guarded` does not return.
    """
    counted, chosen = np.asarray(counted), np.asarray(chosen)
    if counted.dtype != np.uint8 or counted.ndim not in (3, 4) or 0 in counted.shape[1:]:
        raise ValueError(
            f"counted is {counted.dtype} of shape {counted.shape}: give the votes of guarded"
        )
    if chosen.shape != counted.shape[:1] or chosen.dtype != np.int64:
        raise ValueError(f"chosen has shape {chosen.shape}: give the answers of guarded")
    search = patch.largest_patch if counted.ndim == 3 else blocks.largest_patch
    largest: IntArray = np.where(_answers(counted) == chosen, search(counted, band, method), 0)
    return largest


def _answers(array: Votes) -> IntArray:
    flat = array.reshape(len(array), math.prod(array.shape[1:-1]), array.shape[-1])
    # Twice as fast as summing over the middle axis.
    chosen: IntArray = np.einsum("npk->nk", flat, dtype=np.int64).argmax(axis=1)
    return chosen

"""Votes of workers that exchange nothing: how many of them may be faulty before an answer changes.

Each worker has a model of its own, trained on data of its own. The class of most votes wins, the
smallest index among equals. A faulty worker's model answers anything, so f of them can take f votes
from the winner and give all of them to one rival.
Source: Levine and Feizi (2021), "Deep Partition Aggregation", with workers in the place of
partitions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import IntArray

BoolArray = npt.NDArray[np.bool_]


def certified(votes: npt.ArrayLike, faulty: int) -> BoolArray:
    """Whether no `faulty` voters can change the winner, bool [...]; exact.

    `votes`: integers [..., classes], the number of models whose answer is each class, one model per
    worker. With groups of workers for voters, `faulty` is the number of groups that hold a faulty
    worker, and the answer is safe, perhaps not exact.

    Raises ValueError for votes that are no whole numbers of at least 0, fewer than two classes, or
    a negative number of faulty voters.

    In the book: thm-fw-votes.
    """
    safe: BoolArray = largest(votes) >= arguments.integer("faulty", faulty)
    return safe


def largest(votes: npt.ArrayLike) -> IntArray:
    """Largest number of faulty voters that cannot change the winner, int64 [...]; exact.

    The least over the rivals c' of the winner c of floor((n_c - n_c' - [c' < c]) / 2). `votes` and
    errors as for `certified`.

    In the book: thm-fw-votes.
    """
    counts = arguments.integers("votes", votes)
    if counts.ndim == 0 or counts.shape[-1] < 2:
        raise ValueError(
            f"votes has shape {counts.shape}: give votes [..., classes] of two classes or more"
        )
    winner = counts.argmax(axis=-1)[..., None]
    own = np.take_along_axis(counts, winner, axis=-1)
    classes = np.arange(counts.shape[-1])
    room = (own - counts - (classes < winner)) // 2
    np.put_along_axis(room, winner, np.iinfo(np.int64).max, axis=-1)
    most: Any = room.min(axis=-1)
    return np.asarray(most, dtype=np.int64)[()]

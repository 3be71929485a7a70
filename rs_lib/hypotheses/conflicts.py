"""How many points can be right at once if some pairs of them cannot.

A graph of conflicts joins points that no hypothesis of the kind in question fits together. What it
fits is an independent set. A vertex cover is what is left out, and it needs at least the weight of
a fractional matching, which is found exactly: half the maximum matching of the double cover, a
bipartite graph with each point on both sides (Nemhauser and Trotter 1975).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from rs_lib.arguments import IntArray, integer, integers

MOST_POINTS = 10**7


def largest_fit(points: int, pairs: npt.ArrayLike) -> int:
    """Return an upper bound on the size of an independent set among `points` points.

    `pairs` has shape (M, 2) and joins indices below `points`; order and repetitions do not matter.
    The bound is floor(N - w) with w the largest fractional matching. It is attained if the graph
    is bipartite, as it is when there are only two classes (König 1931); it is never below N / 2.
    Raises ValueError for an index out of range or a pair that joins a point to itself.
    """
    count, edges = _checked(points, pairs)
    return count - (double_matching(count, edges) + 1) // 2


def double_matching(points: int, pairs: npt.ArrayLike) -> int:
    """Return twice the weight of the largest fractional matching, a whole number.

    Arguments and errors are those of `largest_fit`.
    """
    count, edges = _checked(points, pairs)
    if not len(edges):
        return 0
    ends = np.concatenate([edges, edges[:, ::-1]])
    ones = np.ones(len(ends), dtype=np.int8)
    graph = csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(count, count))
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def _checked(points: int, pairs: npt.ArrayLike) -> tuple[int, IntArray]:
    count = integer("points", points, most=MOST_POINTS)
    edges = integers("pairs", pairs)
    if edges.size and (edges.ndim != 2 or edges.shape[1] != 2):
        raise ValueError(f"pairs has shape {edges.shape}: give (M, 2)")
    edges = edges.reshape(-1, 2)
    if len(edges) and edges.max() >= count:
        raise ValueError(f"pairs is {edges.max()}: give indices below points = {count}")
    same = edges[:, 0] == edges[:, 1]
    if same.any():
        raise ValueError(f"pairs joins {edges[same][0, 0]} to itself: join different points")
    return count, edges

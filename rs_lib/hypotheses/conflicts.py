"""How many points can be right at once if some pairs of them cannot.

A graph of conflicts joins points that no hypothesis of the kind in question fits together. What it
fits is an independent set. A vertex cover is what is left out, and it needs at least the weight of
a fractional matching, which is found exactly: half the maximum matching of the double cover, a
bipartite graph with each point on both sides (Nemhauser and Trotter 1975).
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from rs_lib.arguments import IntArray, integers


def largest_fit(points: int, pairs: npt.ArrayLike) -> int:
    """Return an upper bound on the size of an independent set among `points` points.

    `pairs` has shape (M, 2) and joins indices below `points`; order and repetitions do not matter.
    The bound is floor(N - w) with w the largest fractional matching. It is attained if the graph
    is bipartite, as it is when there are only two classes (König 1931); it is never below N / 2.
    Raises ValueError for an index out of range or a pair that joins a point to itself.
    """
    edges = _checked(points, pairs)
    return points - (double_matching(points, edges) + 1) // 2


def double_matching(points: int, pairs: npt.ArrayLike) -> int:
    """Return twice the weight of the largest fractional matching, a whole number.

    Arguments and errors are those of `largest_fit`.
    """
    edges = _checked(points, pairs)
    if not len(edges):
        return 0
    ends = np.concatenate([edges, edges[:, ::-1]])
    ones = np.ones(len(ends), dtype=np.int8)
    graph = csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(points, points))
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def _checked(points: int, pairs: npt.ArrayLike) -> IntArray:
    edges = integers("pairs", pairs).reshape(-1, 2) if np.size(pairs) else np.zeros((0, 2), int)
    if len(edges) and edges.max() >= points:
        raise ValueError(f"pairs is {edges.max()}: give indices below points = {points}")
    same = edges[:, 0] == edges[:, 1]
    if same.any():
        raise ValueError(f"pairs joins {edges[same][0, 0]} to itself: join different points")
    return edges.astype(np.int64)

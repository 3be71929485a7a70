"""Which hypotheses and which labels smoothing leaves possible.

`cycle` enumerates all hypotheses on a cycle; `margin` finds the best smoothed hypothesis for labels
on the line; `separation` says how far apart opposite labels must lie, and what suffices;
`conflicts` bounds how many labels can be fitted at once.
"""

from rs_lib.hypotheses.conflicts import double_matching, largest_fit
from rs_lib.hypotheses.cycle import fixed_points, image_size, smoothed
from rs_lib.hypotheses.margin import Fit, best_fit, feasible_margin
from rs_lib.hypotheses.separation import lattice_margin, nearest_margin, pair_margin, separation

__all__ = [
    "Fit",
    "best_fit",
    "double_matching",
    "feasible_margin",
    "fixed_points",
    "image_size",
    "largest_fit",
    "lattice_margin",
    "nearest_margin",
    "pair_margin",
    "separation",
    "smoothed",
]

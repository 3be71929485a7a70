"""What the counts in a row of a log make of its other columns: a log is recomputed, not believed.

A row that was edited, or damaged, may state a radius that its counts do not support. `follow` turns
the settings of a log into a function that computes, from the columns that hold counts, all columns
that follow from them, and names the first row whose counts no run can have left.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib.commands.logs.endings import endings
from rs_lib.noise import Law, registry
from rs_lib.smoothing.certify import ABSTAIN, from_counts
from rs_lib.smoothing.plans import RadiusTable
from rs_lib.smoothing.predict import decided

Columns = Mapping[str, npt.NDArray[Any]]
Settings = Mapping[str, Any]
Follow = Callable[[Columns], Columns]
"""Takes the columns of a log and returns those that follow from the others; raises `RowFault`."""


class RowFault(Exception):  # noqa: N818 - the finding, which the log turns into an error
    """In row `row` (from 0) stands an entry of `column` that no run leaves; `expected` in words."""

    def __init__(self, row: int, column: str, expected: str) -> None:
        """Keep place and expectation."""
        super().__init__(f"row {row}: {column}, expected {expected}")
        self.row, self.column, self.expected = row, column, expected


def follow(settings: Settings) -> Follow:
    """Return the function for logs of these settings, as `certify` and `predict` write them.

    Raises KeyError, TypeError or ValueError if the settings are not theirs.
    """
    if "defence" in settings:
        return partial(_of_patches, settings)
    if settings["command"] == "predict":
        return partial(_of_predictions, settings)
    noise = registry.recorded(settings["noise"], settings["data"]["levels"])
    if "n" in settings:
        return partial(_of_fixed, settings, noise)
    plan = RadiusTable(settings["radii"], settings["max_samples"], settings["rule"])
    return partial(_of_sequences, settings, noise, plan)


def _require(column: str, fits: npt.ArrayLike, expected: Callable[[int], str]) -> None:
    """Raise RowFault at the first row that does not fit."""
    bad = np.flatnonzero(~np.asarray(fits, dtype=np.bool_))
    if bad.size:
        raise RowFault(int(bad[0]), column, expected(int(bad[0])))


def _require_range(columns: Columns, name: str, least: int, most: npt.ArrayLike) -> None:
    values = columns[name]
    limits = np.broadcast_to(np.asarray(most), values.shape)
    fits = (values >= least) & (values <= limits)
    _require(name, fits, lambda row: f"a whole number from {least} to {limits[row]}")


def _of_fixed(settings: Settings, noise: Law, columns: Columns) -> Columns:
    """CERTIFY with a fixed number of samples: everything follows from `selected`, `successes`."""
    n = settings["n"]
    _require_range(columns, "selected", 0, settings["model"]["classes"] - 1)
    _require_range(columns, "successes", 0, n)
    if settings.get("runner_up"):
        _require_runner_up(settings, columns, columns["successes"])
    made = from_counts(
        columns["selected"],
        columns["successes"],
        n0=settings["n0"],
        n=n,
        alpha=settings["alpha"],
        noise=noise,
        runner_up=columns["runner_up"] if settings.get("runner_up") else None,
        classes=settings["model"]["classes"],
    )
    return {
        "predict": made.predicted,
        "radius": made.radius,
        "correct": made.predicted == columns["label"],
        "samples": made.samples,
        "looks": made.looks,
        "undecided": made.undecided,
    }


def _require_runner_up(settings: Settings, columns: Columns, first: npt.NDArray[np.int64]) -> None:
    """Raise RowFault for a count of the most frequent other class that no `first` one leaves."""
    n, classes = settings["n"], settings["model"]["classes"]
    runner_up = columns["runner_up"]
    _require_range(columns, "runner_up", 0, n - first)
    least = -(-(n - first) // (classes - 1))
    _require("runner_up", runner_up >= least, lambda row: f"at least {least[row]}")


def _of_sequences(settings: Settings, noise: Law, plan: RadiusTable, columns: Columns) -> Columns:
    """CERTIFY look after look: `successes` must be a count that can end the run as it ended."""
    radii, table = plan.radii, plan.table(noise, settings["alpha"])
    rows, looks = table.accept.shape
    _require_range(columns, "selected", 0, settings["model"]["classes"] - 1)
    _require_range(columns, "looks", 1, looks)
    _require_range(columns, "undecided", 0, 1)
    samples = table.looks[columns["looks"] - 1]
    _require_range(columns, "successes", 0, samples)
    _require("radius", columns["radius"] <= radii[-1], lambda row: f"at most {radii[-1]}")
    # Radii are rounded down to the digits of the log, and keep their order.
    claimed = np.searchsorted(radii, columns["radius"]) + 1
    certified = np.where(columns["predict"] == ABSTAIN, 0, claimed)
    open_late = (columns["undecided"] == 1) & (columns["looks"] < looks)
    _require("undecided", ~open_late, lambda row: f"0 before look {looks}, the last one")
    states = (certified, columns["looks"], columns["undecided"], columns["successes"])
    fits = [_can_end(table, *map(int, state)) for state in zip(*states, strict=True)]

    def ending(row: int) -> str:
        made = f"{certified[row]} of {rows} radii certified" + (
            " and some undecided" if columns["undecided"][row] else ""
        )
        return f"a count of {samples[row]} that can end with {made}"

    _require("successes", fits, ending)
    predicted = np.where(certified > 0, columns["selected"], ABSTAIN)
    return {
        "predict": predicted,
        "radius": np.where(certified > 0, np.asarray(radii)[np.maximum(certified, 1) - 1], 0.0),
        "correct": predicted == columns["label"],
        "samples": samples,
    }


def _can_end(table: Any, certified: int, looks: int, undecided: int, count: int) -> bool:
    found = endings(table, certified)
    counts = found.undecided if undecided else found.decided[looks - 1]
    return any(low <= count <= high for low, high in counts)


def _of_predictions(settings: Settings, columns: Columns) -> Columns:
    """PREDICT: whether there is an answer follows from `top` and `runner_up`."""
    n, classes = settings["n"], settings["model"]["classes"]
    _require_range(columns, "top", 0, n)
    top, runner_up = columns["top"], columns["runner_up"]
    _require_range(columns, "runner_up", 0, np.minimum(top, n - top))
    # No other class has more samples than the second.
    least = -(-(n - top) // (classes - 1))
    _require("runner_up", runner_up >= least, lambda row: f"at least {least[row]}")
    answered = decided(top, runner_up, settings["alpha"])
    answer = f"a class from 0 to {classes - 1}"
    known = (columns["predict"] >= 0) & (columns["predict"] < classes)
    _require("predict", known | ~answered, lambda row: answer)
    predicted = np.where(answered, columns["predict"], ABSTAIN)
    return {"predict": predicted, "correct": predicted == columns["label"]}


def _of_patches(settings: Settings, columns: Columns) -> Columns:
    """Votes of views: `patch` is at most what the first two counts of votes can ever certify."""
    defence, (_, height, width) = settings["defence"], settings["data"]["shape"]
    shape = {"columns": (width,), "rows": (height,), "blocks": (height, width)}[defence["views"]]
    _require_range(columns, "predict", 0, settings["model"]["classes"] - 1)
    _require_range(columns, "votes", 0, prod(shape))
    _require_range(columns, "runner_up", 0, columns["votes"])
    margin = columns["votes"] - columns["runner_up"]
    most = np.zeros_like(margin)
    for size in range(1, min(shape) + 1):
        reach = [min(side, size + defence["band"] - 1) for side in shape]
        most[margin >= _least_margin(shape, reach, defence["method"])] = size
    _require_range(columns, "patch", 0, most)
    return {"correct": columns["predict"] == columns["label"]}


def _least_margin(shape: Sequence[int], reach: Sequence[int], method: str) -> float:
    """Return the least margin of votes at which a patch that meets `reach` views is certified.

    `shape` and `reach` along each side of the grid of views. By counts twice their number r. By
    positions the views that the patch meets hold at most margin - r of the lead, wherever it lies:
    k places without a view in common hold at most k (margin - r), the other views at most one each,
    so margin (k - 1) >= 2 k r - views; and the views not met must outnumber those met.
    """
    views, met = prod(shape), prod(reach)
    k = prod(side // part for side, part in zip(shape, reach, strict=True))
    if 2 * met > views:
        return inf
    if method == "counts":
        return 2 * met
    return (2 * k * met - views) / (k - 1) if k > 1 else 0

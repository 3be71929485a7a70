"""Mean samples per image of each stopping rule, over the p_A that published logs show.

The question is "is the radius at least r?" for r of .5, 1, 2 and 3 noise levels. Everything is
exact: the stored histograms of Phi^-1(k/n) are the distributions, and the means over the samples
come from the dynamic programme. Wald's bound is min(cap, log(1/alpha) / KL(p || p0)) per image; a
rule that leaves images undecided at the cap may need less.
"""

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib.record import places
from rs_lib.statistics import RULES, SequentialTest

ALPHA = 0.001
CAP = 10**5
RADII = (0.5, 1.0, 2.0, 3.0)  # in units of sigma
UNCALIBRATED = ("betting", "union")
ABSTAINED = 0.45  # the logs do not tell p_A there

Floats = npt.NDArray[np.float64]


def distribution(histogram: dict[str, Any]) -> tuple[Floats, Floats]:
    """Return success probabilities, at the middles of the bins, and their shares of the images."""
    bins = max(len(histogram["correct"]), len(histogram["wrong"]))
    rows = np.zeros(bins)
    for part in ("correct", "wrong"):
        rows[: len(histogram[part])] += histogram[part]
    unanimous = histogram["unanimous_correct"] + histogram["unanimous_wrong"]
    middles = (histogram["first"] + np.arange(bins) + 0.5) * histogram["width"]
    p = np.concatenate([special.ndtr(middles), [1.0, ABSTAINED, 0.5]])
    rows = np.concatenate([rows, [unanimous, histogram["abstained"], histogram["rest"]]])
    return p, rows / rows.sum()


def wald(p: Floats, p0: float) -> Floats:
    """Return Wald's bound on the mean number of samples, up to the cap."""
    divergence = special.rel_entr(p, p0) + special.rel_entr(1 - p, 1 - p0)
    return np.minimum(CAP, log(1 / ALPHA) / np.maximum(divergence, 1e-12))


def means(logs: list[dict[str, Any]], radius: float) -> Floats:
    """Return each rule's mean samples, Wald's bound and the undecided share of "calibrated",
    shape (logs, rules + 2)."""
    p0 = float(special.ndtr(radius))
    laws = [distribution(entry["histogram"]) for entry in logs]
    points = np.unique(np.concatenate([p for p, _ in laws]))
    tests = {rule: SequentialTest(p0, ALPHA, CAP, rule) for rule in RULES}
    costs = [test.expected_samples(points) for test in tests.values()]
    ours = tests["calibrated"]
    undecided = 1 - ours.power(points) - ours.give_up(points)
    table = np.stack([*costs, wald(points, p0), undecided])
    return np.stack([table[:, np.searchsorted(points, p)] @ share for p, share in laws])


RESULTS = places.HERE.results / "published-logs.full.json"


def measure(results: Path = RESULTS) -> list[dict[str, Any]]:
    """Return a row for each log and radius: mean samples of each rule, and ratios."""
    logs = json.loads(results.read_text())["content"]["values"]["logs"]
    rows = []
    for radius in RADII:
        for entry, row in zip(logs, means(logs, radius), strict=True):
            mean = dict(zip((*RULES, "wald"), row[:-1].tolist(), strict=True))
            best = min(mean[rule] for rule in UNCALIBRATED)
            rows.append(
                {
                    "log": entry["log"],
                    "radius_over_sigma": radius,
                    **mean,
                    "over_best": mean["calibrated"] / best,
                    "over_wald": mean["calibrated"] / mean["wald"],
                    "undecided": float(row[-1]),
                }
            )
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean, smallest and largest of each ratio over the rows."""
    return [
        {
            "ratio": name,
            "mean": float(np.mean([row[name] for row in rows])),
            "smallest": min(row[name] for row in rows),
            "largest": max(row[name] for row in rows),
        }
        for name in ("over_best", "over_wald", "undecided")
    ]

"""Published logs of certified confidence, scored anew with a better band for the same samples.

The logs are those of Kumar, Levine, Feizi and Goldstein (2020), repository aounon/cdf-smoothing.
They stay outside this repository; the profile "full" reads them from the folder in the environment
variable RS_LOGS, in which `kumar2020_cdf` is the authors' folder.

A row of a log prints, to three digits, lower bounds of a mean score at seven distances, made from
`thresholds` sorted samples X_0 <= X_1 <= ... with a band of constant width t: with q_i = 1 - i / m

    low + sum_i w_i psi_r(max(q_i - t, 0)),    w_i = X_i - X_(i-1) >= 0,    sum_i w_i <= the range;

and seven bounds from the mean score alone, which tell the mean. All are linear in the weights w,
and so is what another band certifies from the same samples at the same thresholds, with b_i in the
place of q_i - t. A linear programme bounds it from both sides, over all weights that print as the
row does. What is used of its solution are the multipliers y: for the least value of b w,

    sum_k (y_k lo_k if y_k > 0 else y_k hi_k) + range min_i (b_i - sum_k y_k a_ki)

is a lower bound for any y, with the minimum over all thresholds.
"""

import csv
import dataclasses
import io
import os
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, special

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.record import digests
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.statistics import bands

FOLDER = "kumar2020_cdf"
SETS = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}
SCORES = {"pred_score": ("score above 1/2", 0.0, 0.5), "margin": ("margin above 0", -1.0, 0.0)}
"""Folders of the logs: what was certified, the least value of the score, and the level."""

RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
TAGS = ("00", "25", "50", "75", "100", "125", "150")
"""Distances of the bounds in a row, and what their columns are called after."""

_CLOSE, _ROUNDS, _MORE = 1e-7, 8, 12
_DIGITS = 0.5000001e-2
"""Half a unit of the third digit, and a little for the floats that were printed."""


@dataclass(frozen=True)
class Parameters:
    """How the logs were made.

    `trials` samples at level `alpha`, every (trials / thresholds)-th of them a threshold. `made`
    lists pairs (mean, spread): in a log to make, each of `images` scores is Phi(c + N(0, 1)) with a
    centre c from N(mean, spread^2), under noise `sigma`; if it is empty, the published logs are
    read.
    """

    trials: int
    thresholds: int
    alpha: float
    made: tuple[tuple[float, float], ...]
    images: int
    sigma: float
    seed: int


PROFILES = {
    "quick": Parameters(
        trials=10_000,
        thresholds=1_000,
        alpha=0.001,
        made=((0.8, 1.0),),
        images=40,
        sigma=0.5,
        seed=2020,
    ),
    "full": Parameters(
        trials=100_000,
        thresholds=10_000,
        alpha=0.001,
        made=(),
        images=0,
        sigma=0.0,
        seed=2020,
    ),
}

# Logs that are made: the published ones are not to be had everywhere.
WITNESS = dataclasses.replace(PROFILES["quick"], thresholds=10_000, images=12)


@dataclass(frozen=True, eq=False)
class Table:
    """What does not depend on the row: what each weight adds to each bound.

    `printed` [8, m + 1]: the seven bounds of the band of constant width, then the mean; `band`
    [7, m + 1]: the bounds of the other band. The last column is what lies above all thresholds.
    """

    low: float
    width: float
    sigma: float
    printed: FloatArray
    band: FloatArray

    @property
    def span(self) -> float:
        """The range of the score, which ends at 1."""
        return 1.0 - self.low


def _kept(p: FloatArray, sigma: float) -> FloatArray:
    """psi at all distances, [7, ...]."""
    steps = np.array(RADII)[:, None] / sigma
    return np.asarray(special.ndtr(special.ndtri(p) - steps))


def table(parameters: Parameters, sigma: float, low: float) -> Table:
    """Return the coefficients of the weights for logs of that noise and range."""
    m, n = parameters.thresholds, parameters.trials
    share = 1 - np.arange(m + 1) / m
    width = sqrt(log(1 / parameters.alpha) / (2 * n))
    # No sample lies below the first threshold, n / m below the second, and so on.
    counts = np.array([0] + [n // m] * m)
    bounds = np.append(bands.survival_lower(counts, parameters.alpha)[1:], 0.0)
    printed = np.vstack([_kept(np.maximum(share - width, 0), sigma), share])
    return Table(low, width, sigma, printed, _kept(bounds, sigma))


def limits(row: dict[str, float], laws: Table, parameters: Parameters) -> tuple[FloatArray, ...]:
    """Return the least and largest values of `laws.printed` w that print as the row; [8] each."""
    sides = []
    for sign in (-1, 1):
        seen = np.array([row[f"exp_cdf_{tag}"] for tag in TAGS])
        mean = np.array([row[f"exp_{tag}"] for tag in TAGS])
        reach = sign * np.array([_half_digit(seen), _half_digit(mean)])
        bounds = np.clip(seen + reach[0] - laws.low, 0.0, laws.span)
        share = np.clip((mean + reach[1] - laws.low) / laws.span, 0.0, 1.0)
        # The mean at the point itself, as each of the seven bounds tells it.
        told = special.ndtr(special.ndtri(share) + np.array(RADII) / laws.sigma)
        best = (told.max() if sign < 0 else told.min()) + laws.width
        # Between two thresholds the survival is known up to 1 / m.
        slack = 1 / parameters.thresholds if sign < 0 else 0.0
        sides.append(np.append(bounds, laws.span * np.clip(best - slack, 0.0, 1.0)))
    return tuple(sides)


def _half_digit(values: FloatArray) -> FloatArray:
    """Return how far from three printed digits the number can be."""
    sizes = np.maximum(np.abs(values), 1e-300)
    return np.asarray(_DIGITS * 10.0 ** np.floor(np.log10(sizes)))


def least(goal: FloatArray, laws: Table, low: FloatArray, high: FloatArray, aim: float) -> float:
    """Lower bound of goal w over all weights w that print as the row; -inf if none are found.

    `goal` [m + 1]; `low` and `high` as from `limits`. Any multipliers give a bound; it is made
    better, by weights that they ask for, until it is above `aim` or the least value is not; with
    NaN for `aim`, until the two meet.
    """
    scale = 1 / np.maximum(high, 1e-12)
    rows, bottom, top = laws.printed * scale[:, None], low * scale, high * scale
    columns, best = beginning(len(goal) - 1), -np.inf
    for _ in range(_ROUNDS):
        part = rows[:, columns]
        solved = optimize.linprog(
            goal[columns],
            A_ub=np.vstack([part, -part]),
            b_ub=np.concatenate([top, -bottom]),
            A_eq=np.ones((1, len(columns))),
            b_eq=[laws.span],
            method="highs",
        )
        if solved.x is None:  # not in the witness: rows that cannot be, a test has one
            if len(columns) == len(goal):
                break
            # The weights that fit may lie between those that were tried.
            columns = np.arange(len(goal))
            continue
        pull = solved.ineqlin.marginals[:8] - solved.ineqlin.marginals[8:]
        left = goal - pull @ rows
        bound = np.where(pull > 0, pull * bottom, pull * top).sum() + laws.span * left.min()
        best = max(best, float(bound))
        found = float(goal[columns] @ solved.x)
        if best > aim or found <= aim or found - best < _CLOSE:
            break
        columns = np.union1d(columns, np.argsort(left)[:_MORE])
    return best


def beginning(thresholds: int) -> IntArray:
    """Return the weights to begin with: near full survival, and evenly."""
    fine = np.geomspace(1, thresholds, 120).astype(int) - 1
    return np.unique(np.concatenate([fine, np.linspace(0, thresholds, 120).astype(int)]))


def certified(
    row: dict[str, float], laws: Table, level: float, parameters: Parameters
) -> tuple[int, int] | None:
    """Return at how many of the distances the other band certifies the level: at least, at most.

    None if no weights print as the row does.
    """
    low, high = limits(row, laws, parameters)
    if least(laws.band[0], laws, low, high, -np.inf) == -np.inf:
        return None  # not in the witness: rows that cannot be, a test has one
    aim = level - laws.low

    def surely(place: int) -> bool:
        return least(laws.band[place], laws, low, high, aim) > aim

    def perhaps(place: int) -> bool:
        return least(-laws.band[place], laws, low, high, -aim) < -aim

    return _first_failing(surely), _first_failing(perhaps)


def _first_failing(holds: Any) -> int:
    """Return the first distance at which a statement fails that holds at all before it."""
    low, high = 0, len(RADII)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(middle) else (low, middle)
    return low


def facts(text: str, sigma: float, score: str, parameters: Parameters) -> dict[str, Any]:
    """Return what is stored of one log: how many images are certified at each distance."""
    _, low, level = SCORES[score]
    laws = table(parameters, sigma, low)
    lines = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    answered = [line for line in lines if int(line["predict"]) >= 0]
    rows = [{name: float(line[name]) for name in line if name.startswith("exp_")} for line in lines]
    right = [row for row, line in zip(rows, lines, strict=True) if int(line["correct"])]
    printed = {
        name: [sum(row[f"{column}_{tag}"] > level for row in right) for tag in TAGS]
        for name, column in (("published", "exp_cdf"), ("by the mean", "exp"))
    }
    found = [certified(row, laws, level, parameters) for row in right]
    explained = [each for each in found if each is not None]
    sides = {
        name: [sum(each[side] > place for each in explained) for place in range(len(RADII))]
        for side, name in enumerate(("least", "most"))
    }
    return {
        "sha256": digests.sha256(text.encode()),
        "images": len(lines),
        "answered": len(answered),
        "right": len(right),
        "unexplained": len(right) - len(explained),
        **printed,
        **sides,
    }


# not in the witness: the published logs are not to be had everywhere; a test reads copies
def _published(parameters: Parameters, context: Context) -> list[dict[str, Any]]:
    folder = os.environ.get("RS_LOGS")
    if not folder or not (Path(folder) / FOLDER).is_dir():
        raise ValueError(f"RS_LOGS is {folder!r}: name the folder that holds {FOLDER}")
    entries = []
    for name, told in SETS.items():
        for score, (meant, _, _) in SCORES.items():
            for path in sorted((Path(folder) / FOLDER / name / score).glob("noise_*")):
                sigma = float(path.name.partition("_")[2])
                context.tell(f"{told}, {meant}, sigma {sigma:g}")
                made = facts(path.read_text(), sigma, score, parameters)
                entries.append({"data": told, "score": meant, "sigma": sigma, **made})
    if not entries:
        raise ValueError(f"RS_LOGS is {folder!r}: its {FOLDER} holds no log")
    return entries


def sampled(mean: float, spread: float, parameters: Parameters, seed: int) -> FloatArray:
    """Return sorted scores of each image of a log to make, float64 [images, trials]."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(mean, spread, parameters.images)
    noise = rng.normal(size=(parameters.images, parameters.trials))
    return np.asarray(np.sort(special.ndtr(centres[:, None] + noise), axis=1))


def make_log(samples: FloatArray, parameters: Parameters) -> str:
    """Return the log of scores in [0, 1] that their authors' program would print."""
    laws = table(parameters, parameters.sigma, 0.0)
    cuts = samples[:, :: parameters.trials // parameters.thresholds]
    weights = np.diff(cuts, axis=1, prepend=0.0)
    bounds = weights @ laws.printed[:7, :-1].T
    naive = _kept(np.clip(samples.mean(axis=1) - laws.width, 0, 1), parameters.sigma).T
    columns = [f"{name}_{tag}" for name in ("exp_cdf", "exp") for tag in TAGS]
    text = ["\t".join(["idx", "label", "predict", *columns, "correct", "time"])]
    for image, values in enumerate(np.hstack([bounds, naive])):
        kept = values[0] >= SCORES["pred_score"][2]
        told = [f"{value:.3}" if kept else "0.0" for value in values]
        text.append("\t".join([str(image), "0", "0" if kept else "-1", *told, str(int(kept)), "0"]))
    return "\n".join(text) + "\n"


def _made(parameters: Parameters) -> list[dict[str, Any]]:
    entries = []
    for place, (mean, spread) in enumerate(parameters.made):
        samples = sampled(mean, spread, parameters, derive(parameters.seed, place))
        text = make_log(samples, parameters)
        made = facts(text, parameters.sigma, "pred_score", parameters)
        entries.append({"data": f"made {place}", "sigma": parameters.sigma, **made})
    return entries


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the facts about each log."""
    return {"logs": _made(parameters) if parameters.made else _published(parameters, context)}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

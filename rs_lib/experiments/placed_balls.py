"""Balls placed at random on a square: where training with noise and smoothing with noise err.

After the synthetic experiment in the released code of Pal and Sulam (2023), with draws of our own
and a second border: besides a square with nothing around it there is a torus, which has no border.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib.geometry import grids
from rs_lib.geometry.grids import BoolArray
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive


@dataclass(frozen=True)
class Parameters:
    """A square of `side` pixels with balls of `radius`, and the noise they are seen through.

    Centres of balls are at least 2 `radius` plus a gap in `gaps` apart in one coordinate; `tries`
    centres are thrown. `train` and `test` are scales of Gaussian noise in pixels. `draws` regions
    are drawn for each gap and each border (see `rs_lib.geometry.grids`).
    """

    side: int
    radius: int
    gaps: tuple[int, ...]
    tries: int
    train: tuple[int, ...]
    test: tuple[int, ...]
    borders: tuple[str, ...]
    draws: int
    seed: int


def _profile(draws: int) -> Parameters:  # not in the witness: makes the profiles, on import
    return Parameters(
        side=100,
        radius=10,
        gaps=(0, 1, 2, 3),
        tries=10_000,
        train=tuple(range(21)),
        test=(8, 11, 14),
        borders=grids.BORDERS,
        draws=draws,
        seed=2023,
    )


PROFILES = {"quick": _profile(10), "full": _profile(100)}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    side=40,
    radius=5,
    gaps=(0, 2),
    tries=300,
    train=(0, 1, 4),
    test=(0, 3, 6),
    draws=4,
)


def regions(parameters: Parameters, border: str, gap: int) -> BoolArray:
    """Return the drawn regions, of shape (draws, side, side)."""
    p = parameters
    drawn = []
    for number in range(p.draws):
        generator = np.random.default_rng(derive(p.seed, border, gap, number))
        centres = grids.separated(generator, p.side, 2 * p.radius + gap, p.tries, border)
        drawn.append(grids.balls(p.side, centres, p.radius, border))
    return np.array(drawn)


def _errors(parameters: Parameters, border: str, gap: int) -> dict[str, Any]:
    truth = regions(parameters, border, gap)
    trained = [grids.smoothed(truth, scale, border) for scale in parameters.train]
    wrong = [
        [
            (grids.smoothed(region, scale, border) != truth).sum(axis=(1, 2)).tolist()
            for region in trained
        ]
        for scale in parameters.test
    ]
    return {"pixels": truth.sum(axis=(1, 2)).tolist(), "wrong": wrong}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return, for each border and gap, the pixels of each region and those answered wrongly.

    `wrong` is nested by test noise, training noise and draw.
    """
    cases = []
    for border in parameters.borders:
        for gap in parameters.gaps:
            inputs = {"parameters": repr(parameters), "border": border, "gap": gap}
            stage = partial(_errors, parameters, border, gap)
            counts = context.stage("placed-balls", inputs, stage)
            cases.append({"border": border, "gap": gap, **counts})
    return {"cases": cases}


# not in the witness: for chapters, which read the values with it
def shares(result: dict[str, Any], side: int) -> dict[tuple[str, int], npt.NDArray[np.float64]]:
    """Return the share of wrong pixels by border and gap, of shape (test, train, draws).

    `result` are the values of a run on squares of `side` pixels.
    """
    return {
        (case["border"], case["gap"]): np.array(case["wrong"]) / side**2 for case in result["cases"]
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

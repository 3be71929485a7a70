"""How near a search gets to the robustness constants of rules that average, and what it finds.

Vectors of n workers are changed at random as long as the worst ratio grows: that of the squared
error of the rule's answer to the mean squared distance of the others from their mean, over all
choices of the f faulty workers. Where the constant is known it must not be exceeded; for Krum,
multi-Krum and Bulyan what is found is a bound from below.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import FloatArray
from rs_lib.machines import aggregation
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

_LEAST_SPREAD = 1e-5
"""Smallest variance, relative to the largest squared distance, that counts: far from rounding."""

_FARTHEST = 1e4


def lower_median(vectors: Tensor, faulty: int) -> Tensor:
    """Return the median of each coordinate as `torch.median` has it, the smaller of two."""
    return vectors.median(dim=0).values


RULES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "trimmed mean": aggregation.trimmed_mean,
    "median": aggregation.coordinate_median,
    "lower median": lower_median,
    "geometric median": aggregation.geometric_median,
    "Krum": aggregation.krum,
    "multi-Krum": aggregation.multi_krum,
    "Bulyan": aggregation.bulyan,
}


@dataclass(frozen=True)
class Parameters:
    """What is searched: each rule of `cases`, with workers and faulty ones, in `dimension`.

    There are `starts` beginnings for each case, and `steps` changes for each beginning.
    """

    cases: tuple[tuple[str, int, int], ...]
    dimension: int
    starts: int
    steps: int
    seed: int


_KNOWN = ("trimmed mean", "median", "lower median", "geometric median")
_SIZES = ((5, 1), (5, 2), (6, 1), (6, 2), (7, 2), (9, 4))

PROFILES = {
    "quick": Parameters(
        cases=(
            *((rule, n, f) for rule in _KNOWN for n, f in ((5, 1), (6, 2))),
            ("Krum", 5, 1),
        ),
        dimension=2,
        starts=3,
        steps=300,
        seed=2021,
    ),
}
PROFILES["full"] = dataclasses.replace(
    PROFILES["quick"],
    cases=(
        *((rule, n, f) for rule in _KNOWN for n, f in _SIZES),
        ("Krum", 5, 1),
        ("Krum", 7, 2),
        ("multi-Krum", 5, 1),
        ("Bulyan", 7, 1),
    ),
    starts=8,
    steps=1_000,
)

WITNESS = dataclasses.replace(PROFILES["quick"], starts=1, steps=40)


@lru_cache(maxsize=32)
def _choices(n: int, faulty: int) -> npt.NDArray[np.bool_]:
    """Return all choices of the n - f that are not faulty, a row for each."""
    return np.array([np.isin(range(n), out, invert=True) for out in combinations(range(n), faulty)])


def worst_ratio(vectors: FloatArray, faulty: int, answer: FloatArray) -> float:
    """Return the largest |answer - mean|^2 / V over all choices of the faulty among `vectors`.

    Choices whose V is almost 0 are passed over, where rounding would decide.
    """
    n = len(vectors)
    rows = _choices(n, faulty)
    means = rows @ vectors / (n - faulty)
    apart = ((vectors[None] - means[:, None]) ** 2).sum(axis=2)
    variances = (apart * rows).sum(axis=1) / (n - faulty)
    errors = ((answer - means) ** 2).sum(axis=1)
    kept = variances > _LEAST_SPREAD * max(apart.max(), _LEAST_SPREAD * (vectors**2).max())
    return float((errors[kept] / variances[kept]).max(initial=0.0))


def _start(draw: np.random.Generator, n: int, dimension: int) -> FloatArray:
    """Return vectors of two places, spread a little, or of one wide cloud."""
    if draw.random() < 0.5:
        vectors = 1e-3 * draw.normal(size=(n, dimension))
        vectors[draw.permutation(n)[: draw.integers(1, n)], 0] += 1
        return vectors
    cloud = draw.normal(size=(n, dimension)) * draw.standard_cauchy(size=(n, 1))
    return cloud.clip(-_FARTHEST, _FARTHEST)


def _changed(draw: np.random.Generator, vectors: FloatArray) -> FloatArray:
    """Return `vectors` with one of them moved: by a step of any size, or towards another one."""
    changed = vectors.copy()
    one, other = draw.choice(len(vectors), 2, replace=False)
    if draw.random() < 0.6:
        changed[one] += 10 ** draw.uniform(-4, 0.5) * draw.normal(size=vectors.shape[1])
    else:
        changed[one] += draw.choice((0.1, 0.5, 1.0, 2.0)) * (vectors[other] - vectors[one])
    return changed.clip(-_FARTHEST, _FARTHEST)


def search(
    rule: str, workers: int, faulty: int, dimension: int, steps: int, draw: np.random.Generator
) -> tuple[float, FloatArray]:
    """Return the largest ratio that one search finds, and the vectors [workers, dimension]."""

    def ratio(vectors: FloatArray) -> float:
        answer: npt.NDArray[Any] = RULES[rule](torch.from_numpy(vectors), faulty).numpy()
        return worst_ratio(vectors, faulty, answer)

    vectors = _start(draw, workers, dimension)
    best = ratio(vectors)
    for _ in range(steps):
        tried = _changed(draw, vectors)
        found = ratio(tried)
        if found >= best:
            best, vectors = found, tried
    return best, vectors


def _case(parameters: Parameters, case: tuple[str, int, int]) -> dict[str, Any]:
    found = []
    for start in range(parameters.starts):
        draw = np.random.default_rng(derive(parameters.seed, *case, start))
        found.append(search(*case, parameters.dimension, parameters.steps, draw))
    ratio, vectors = max(found, key=lambda pair: pair[0])
    return {"ratio": ratio, "vectors": vectors.tolist(), "starts": [pair[0] for pair in found]}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return for each case the largest ratio, its vectors, and the ratio of every start."""
    settled = {name: value for name, value in asdict(parameters).items() if name != "cases"}
    works = [
        ({**settled, "case": list(case)}, partial(_case, parameters, case))
        for case in parameters.cases
    ]
    return {"cases": context.stages("search", works)}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

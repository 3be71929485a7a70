"""Which radii of a table each image of a test set has, kept chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rs_lib.machines.data import Dataset
from rs_lib.record.stage import Context
from rs_lib.smoothing.certify import Certification, Certifier

CHUNK = 25
"""Images of a resumable stage, unless asked otherwise."""

STEP = 0.25
"""Radii are multiples of this, as published (Cohen et al. 2019)."""


def multiples(most: float) -> list[float]:
    """Return 0, `STEP`, 2 `STEP`, ... up to `most`, which may be missed by rounding alone."""
    return [STEP * place for place in range(int(most / STEP + 1e-9) + 1)]


def certified_table(
    certifier: Certifier,
    radii: list[float],
    dataset: Dataset,
    indices: npt.NDArray[np.int64],
    context: Context,
    inputs: Mapping[str, object],
    report: Callable[[int], object] = lambda done: None,
    chunk: int = CHUNK,
) -> dict[str, Any]:
    """Return what `certifier`, whose plan is a table of `radii`, finds at test images `indices`.

    "radii": the table; "certified": how many of its radii, from 0 on, "selected" has at each image
    (0: the answer is an abstention), by "successes" of "samples"; "undecided": images for which
    the samples ended first. Each `chunk` of images is a stage "table" of `context`, shared
    among processes; `inputs` says all that the counts depend on beside the images. `report` is told
    how many images are done.
    """
    parts = np.array_split(indices, max(1, len(indices) // chunk))
    works = [
        ({**inputs, "images": part.tolist()}, partial(_chunk, certifier, radii, dataset, part))
        for part in parts
    ]
    ends = np.cumsum([len(part) for part in parts]).tolist()
    made = context.stages("table", works, lambda done: report(ends[done - 1]))
    found: dict[str, Any] = {"radii": radii, "undecided": sum(part["undecided"] for part in made)}
    for name in ("selected", "certified", "successes", "samples"):
        found[name] = [value for part in made for value in part[name]]
    return found


def _chunk(
    certifier: Certifier, radii: list[float], dataset: Dataset, part: npt.NDArray[np.int64]
) -> dict[str, Any]:
    made: Certification = certifier.certify(dataset.test_images[torch.from_numpy(part)], part)
    certified = np.searchsorted(radii, made.radius, side="right")
    return {
        "selected": made.selected.tolist(),
        "certified": np.where(made.predicted < 0, 0, certified).tolist(),
        "successes": made.successes.tolist(),
        "samples": made.samples.tolist(),
        "undecided": int(made.undecided.sum()),
    }


def right_at(found: Mapping[str, Any], labels: npt.ArrayLike) -> list[int]:
    """Return how many images have their label certified at each radius of a `certified_table`.

    `labels` [images]; an abstention is not right.
    """
    right = np.asarray(found["selected"]) == np.asarray(labels)
    certified = np.asarray(found["certified"])
    return [int((right & (certified > place)).sum()) for place in range(len(found["radii"]))]

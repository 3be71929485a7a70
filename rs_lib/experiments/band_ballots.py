"""Votes of all bands, image by image: what a proof checks that the book's counts rest on.

The base classifiers and the choice of the threshold are those of `patch_bands`. Of the images that
are certified against some patch, some are drawn, and those whose certificate fails first are added.
The values are the votes themselves.
"""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rs_lib.experiments import patch_bands
from rs_lib.experiments.patch_bands import Base
from rs_lib.machines import data
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import votes


@dataclass(frozen=True)
class Parameters(patch_bands.Parameters):
    """Base classifiers, and how many images to keep: `drawn` at random, the `closest` calls."""

    drawn: int
    closest: int


_KEPT: dict[str, Any] = {
    "bases": (("column", "columns", 2),),
    "drawn": 200,
    "closest": 10,
}

PROFILES = {
    name: Parameters(**{**asdict(patch_bands.PROFILES[name]), **_KEPT})
    for name in ("quick", "full")
}

WITNESS = dataclasses.replace(
    PROFILES["quick"], column_epochs=2, thetas=(0.2, 0.3), drawn=5, closest=2
)


class Ballot(NamedTuple):
    """Votes of an image, 0 or 1, [positions, classes]: `patch` columns do not change `answer`."""

    image: int
    votes: npt.NDArray[np.uint8]
    answer: int
    band: int
    patch: int


def slack(ballot: Ballot) -> int:
    """Return the lead that the worst patch leaves, beyond what is needed; below 0 it turns.

    In the book: thm-dp-positions.
    """
    width, classes = ballot.votes.shape
    rivals = np.arange(classes) != ballot.answer
    leads = []
    for start in range(width - ballot.patch + 1):
        reached = np.arange(start - ballot.band + 1, start + ballot.patch) % width
        struck = np.unique(reached)
        rest = np.delete(ballot.votes, struck, axis=0).sum(axis=0, dtype=np.int64)
        lead = rest[ballot.answer] - rest - len(struck) - (np.arange(classes) < ballot.answer)
        leads.append(lead[rivals].min())
    return int(min(leads))


def _measured(
    parameters: Parameters, base: Base, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    model = patch_bands.base_classifier(parameters, base, dataset, context)
    scores = patch_bands.scores(model, base, dataset, context.device)
    labels = dataset.test_labels.numpy()

    def right(theta: float) -> int:
        tally = patch_bands.tallies(scores, theta, base.band, labels)["validation"]
        return int(tally["positions"][0])

    theta = max(parameters.thetas, key=right)
    counted, chosen = votes.guarded(scores, theta)
    largest = votes.largest_of_guarded(counted, chosen, base.band, "positions")
    certified = np.flatnonzero(largest > 0)
    cast = {
        int(image): Ballot(
            int(image), counted[image], int(chosen[image]), base.band, int(largest[image])
        )
        for image in certified
    }
    rng = np.random.default_rng(derive(parameters.seed, "ballots", *base))
    drawn = rng.choice(certified, min(parameters.drawn, len(certified)), replace=False).tolist()
    others = sorted(set(cast) - set(drawn), key=lambda image: (slack(cast[image]), image))
    kept = [cast[image] for image in (*sorted(drawn), *others[: parameters.closest])]
    return {
        "base": list(base),
        "theta": theta,
        "certified": len(certified),
        "ballots": [[b.image, b.answer, b.patch, _packed(b.votes)] for b in kept],
    }


def _packed(cast: npt.NDArray[np.uint8]) -> list[int]:
    """Return the votes at each position as one number, in which bit c is that for class c."""
    weights = 1 << np.arange(cast.shape[1], dtype=np.int64)
    found: list[int] = (cast.astype(np.int64) @ weights).tolist()
    return found


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the votes of some certified images of each base classifier."""
    dataset = data.load(parameters.dataset)
    runs = []
    for base in map(Base._make, parameters.bases):
        inputs = {**asdict(parameters), "base": base, "data": dataset.digest}
        work = partial(_measured, parameters, base, dataset, context)
        runs.append(context.stage("ballots", inputs, work))
    return {"classes": dataset.classes, "runs": runs}


# not in the witness: for proofs, which read the values with it
def read(values: dict[str, Any]) -> list[Ballot]:
    """Return all ballots of the `values` of a result."""
    classes = np.arange(values["classes"])
    return [
        Ballot(image, (np.array(packed)[:, None] >> classes & 1).astype(np.uint8), answer, band, m)
        for run in values["runs"]
        for band in [run["base"][2]]
        for image, answer, m, packed in run["ballots"]
    ]


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

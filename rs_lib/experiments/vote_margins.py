"""What the average certified radius rewards: published logs of training methods, scored twice.

The logs are those of Jeong, Kim and Shin (2023), CAT-RS, repository alinlab/smoothing-catrs: seven
training methods on the same test images. They stay outside this repository; the profile "full"
reads them from the folder in the environment variable RS_LOGS, in which `jeong2023_catrs` is the
authors' folder. Stored are facts about them: the average certified radius (ACR) and the vote margin
of each method, paired comparisons image by image, what other numbers of samples would have shown,
and who gains. The profile "quick" makes logs of known vote shares.
"""

import dataclasses
import os
import re
import tempfile
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from rs_lib import audit
from rs_lib.arguments import FloatArray
from rs_lib.audit.made import made_log
from rs_lib.record import digests
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.statistics import accuracy

FOLDER = "jeong2023_catrs"
METHODS = {
    "cohen": "Gaussian",
    "stab": "Stability",
    "salman": "SmoothAdv",
    "macer": "MACER",
    "consistency": "Consistency",
    "smoothmix": "SmoothMix",
    "cat-rs": "CAT-RS",
}
"""Folders of the logs, and what the methods in them are called."""

SETS = {"cifar10": "CIFAR-10", "fmnist": "Fashion-MNIST", "mnist": "MNIST"}
STEP = 0.25


@dataclass(frozen=True)
class Parameters:
    """How the logs were made, and for how many samples the ACR is asked.

    `trials` samples at level `alpha` made them; `budgets` are other numbers of samples. `made`
    lists pairs (mean, spread) of Φ⁻¹ of the vote share, one for each log to make, of `images` rows
    and with noise `sigma`; if it is empty, the published logs are read.
    """

    trials: int
    alpha: float
    budgets: tuple[int, ...]
    made: tuple[tuple[float, float], ...]
    images: int
    sigma: float
    seed: int


PROFILES = {
    "quick": Parameters(
        trials=100_000,
        alpha=0.001,
        budgets=(100, 1_000, 100_000),
        made=((0.8, 1.0), (0.6, 1.6)),
        images=500,
        sigma=0.5,
        seed=2023,
    ),
    "full": Parameters(
        trials=100_000,
        alpha=0.001,
        budgets=(100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000),
        made=(),
        images=0,
        sigma=0.0,
        seed=2023,
    ),
}

# Logs that are made: the published ones are not to be had everywhere.
WITNESS = dataclasses.replace(PROFILES["quick"], budgets=(100, 1_000), images=60)


@dataclass(frozen=True, eq=False)
class Scored:
    """A log image by image: radius, vote share from its least to its largest count, right or not.

    A share is 0 where the log abstains: there it does not tell the count.
    """

    name: str
    sha256: str
    radius: FloatArray
    low: FloatArray
    high: FloatArray
    correct: Any

    @property
    def share(self) -> FloatArray:
        """The middle of the shares that print as the radius does."""
        return (self.low + self.high) / 2


def scored(path: Path, name: str, sigma: float, parameters: Parameters) -> Scored:
    """Read a log; raise ValueError if its radii cannot be those of `trials` and `alpha`."""
    log = audit.read_log(path)
    manner = audit.Manner(audit.printing(log))
    counts = audit.infer_counts(log, sigma, [manner], parameters.trials, parameters.alpha)
    bad = log.certified & ~counts.matched
    if bad.any():  # not in the witness: a log of another make, a test has one
        raise ValueError(
            f"{path.name} prints {log.text[int(np.argmax(bad))]}, no radius of {parameters.trials} "
            f"samples at level {parameters.alpha}: say how it was made"
        )
    low, high = (
        np.maximum(side, 0) / parameters.trials for side in (counts.smallest, counts.largest)
    )
    return Scored(
        name,
        digests.sha256(path.read_bytes()),
        np.where(log.correct, log.radius, 0.0),
        np.where(log.correct, low, 0.0),
        np.where(log.correct, high, 0.0),
        log.correct,
    )


def expected_radii(log: Scored, sigma: float, trials: int, alpha: float) -> FloatArray:
    """Return the mean certified radius of each image if `trials` samples are drawn; [images].

    The share of the log stands for the probability. An image that is wrong, or on which the log
    abstains, counts 0.
    """
    radii = sigma * np.maximum(audit.radii(np.arange(trials + 1), trials, alpha), 0.0)
    shares, where = np.unique(log.share, return_inverse=True)
    means = np.zeros(shares.shape)
    for place, share in enumerate(shares):
        # Beyond nine standard deviations nothing is left that a float would show.
        reach = 9 * (trials * share * (1 - share)) ** 0.5 + 9
        least, most = int(max(0, trials * share - reach)), int(min(trials, trials * share + reach))
        counts = np.arange(least, most + 1)
        means[place] = stats.binom.pmf(counts, trials, share) @ radii[counts]
    return means[where]


def _method(log: Scored, sigma: float, parameters: Parameters) -> dict[str, Any]:
    """Return what is stored of one log."""
    certified = log.radius > 0
    bound = special.ndtr(log.radius / sigma)
    ceiling = sigma * float(audit.radii(parameters.trials, parameters.trials, parameters.alpha))
    # Three digits are printed.
    top = log.radius >= float(f"{ceiling:.3g}")
    mean_bound = float(bound[certified].mean())
    return {
        "method": log.name,
        "sha256": log.sha256,
        "images": len(log.radius),
        "correct": int(log.correct.sum()),
        "certified": int(certified.sum()),
        "right": [
            int((log.correct & (log.radius >= STEP * k)).sum())
            for k in range(int(ceiling / STEP) + 1)
        ],
        "acr": accuracy.average_certified_radius(log.radius, log.correct),
        "margin": [accuracy.vote_margin(side, log.correct) for side in (log.low, log.high)],
        "margin_bound": accuracy.vote_margin(np.where(certified, bound, 0.0), log.correct),
        "level": float(certified.mean() * sigma * special.ndtri(mean_bound)),
        "ceiling": [int(top.sum()), float(log.radius[top].sum() / log.radius.sum())],
        "errors": {"acr": _error(log.radius), "margin": _error(_margins(log))},
    }


def _margins(log: Scored) -> FloatArray:
    return np.maximum(2 * log.share - 1, 0.0)


def _error(values: FloatArray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def _pair(one: Scored, other: Scored) -> dict[str, Any]:
    """Compare two methods image by image, in ACR and in vote margin."""
    return {
        "methods": [one.name, other.name],
        "acr": list(accuracy.paired(one.radius, other.radius)),
        "margin": list(accuracy.paired(_margins(one), _margins(other))),
    }


def _gains(base: Scored, log: Scored) -> dict[str, Any]:
    """Return what each group of images adds to the gain in ACR over `base`.

    The groups: not certified by `base`, and the quarters of the others by their radius there.
    """
    certified = base.radius > 0
    order = np.argsort(base.radius[certified], kind="stable")
    groups = [np.flatnonzero(~certified)]
    groups += np.array_split(np.flatnonzero(certified)[order], 4)
    gain = (log.radius - base.radius) / len(log.radius)
    return {
        "method": log.name,
        "groups": [float(gain[group].sum()) for group in groups],
        "lost": int((certified & (log.radius == 0)).sum()),
        "won": int((~certified & (log.radius > 0)).sum()),
    }


def _budgets(logs: list[Scored], sigma: float, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the ACR to be expected at each budget, and the last two methods compared there."""
    rows = []
    for trials in parameters.budgets:
        radii = [expected_radii(log, sigma, trials, parameters.alpha) for log in logs]
        rows.append(
            {
                "n": trials,
                "acr": [float(each.mean()) for each in radii],
                "last_two": list(accuracy.paired(radii[-1], radii[-2])),
            }
        )
    return rows


def facts(name: str, sigma: float, logs: list[Scored], parameters: Parameters) -> dict[str, Any]:
    """Return what is stored of the logs of one data set and noise, in their order."""
    return {
        "data": name,
        "sigma": sigma,
        "methods": [_method(log, sigma, parameters) for log in logs],
        "pairs": [_pair(one, other) for other, one in combinations(logs, 2)],
        "gains": [_gains(logs[0], log) for log in logs[1:]],
        "budgets": _budgets(logs, sigma, parameters) if len(logs) > 1 else [],
    }


# not in the witness: the published logs are not to be had everywhere; a test reads copies
def _published(parameters: Parameters, context: Context) -> list[dict[str, Any]]:
    folder = os.environ.get("RS_LOGS")
    if not folder or not (Path(folder) / FOLDER).is_dir():
        raise ValueError(f"RS_LOGS is {folder!r}: name the folder that holds {FOLDER}")
    entries = []
    for name, told in SETS.items():
        for place in sorted((Path(folder) / FOLDER / name).glob("noise_*")):
            sigma = float(re.findall(r"\d+\.\d+", place.name)[0])
            context.tell(f"{told}, sigma {sigma:g}")
            found = {path.parent.name: path for path in place.rglob("*.tsv")}
            # MNIST's folders hold the authors' method alone, without a folder for it.
            logs = [
                scored(path, METHODS[method], sigma, parameters)
                for method in METHODS
                for path in [
                    found.get(method, found.get(place.name) if method == "cat-rs" else None)
                ]
                if path is not None
            ]
            entries.append(facts(told, sigma, logs, parameters))
    if not entries:
        raise ValueError(f"RS_LOGS is {folder!r}: its {FOLDER} holds no log")
    return entries


def make_log(mean: float, spread: float, parameters: Parameters, seed: int) -> str:
    """Return a made log of these parameters, see `audit.made.made_log`."""
    return made_log(
        mean,
        spread,
        parameters.images,
        trials=parameters.trials,
        alpha=parameters.alpha,
        sigma=parameters.sigma,
        seed=seed,
    )


def _made(parameters: Parameters) -> list[dict[str, Any]]:
    logs = []
    with tempfile.TemporaryDirectory() as folder:
        for place, (mean, spread) in enumerate(parameters.made):
            path = Path(folder) / f"made-{place}"
            path.write_text(make_log(mean, spread, parameters, derive(parameters.seed, place)))
            logs.append(scored(path, f"made {place}", parameters.sigma, parameters))
    return [facts("made", parameters.sigma, logs, parameters)]


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the facts about the logs of each data set and noise."""
    return {"sets": _made(parameters) if parameters.made else _published(parameters, context)}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

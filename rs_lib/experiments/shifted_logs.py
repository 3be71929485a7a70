"""The radii of published logs, from which accuracy under a shift of the test law follows.

The logs are those of Cohen, Rosenfeld and Kolter (2019), repository locuslab/smoothing, and of
Jeong, Kim and Shin (2023), CAT-RS, repository alinlab/smoothing-catrs. They stay outside this
repository; the profile "full" reads them from the folder in the environment variable RS_LOGS, in
which `cohen2019` and `jeong2023_catrs` are the authors' folders. Stored of each is how often each
radius is printed beside a right answer, and how it is printed; the knapsack of
`rs_lib.certificates.wasserstein` needs no more. The profile "quick" makes logs of known radii.
"""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rs_lib import audit
from rs_lib.arguments import FloatArray
from rs_lib.record import digests
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

COHEN, JEONG = "cohen2019/certify", "jeong2023_catrs"
METHODS = {
    "cohen": "Gaussian",
    "stab": "Stability",
    "salman": "SmoothAdv",
    "macer": "MACER",
    "consistency": "Consistency",
    "smoothmix": "SmoothMix",
    "cat-rs": "CAT-RS",
}
LOGS: tuple[tuple[str, str, str, float], ...] = (
    *(
        (f"{COHEN}/{net}/noise_{s:.2f}/test/sigma_{s:.2f}", f"Cohen et al., {told}", "Gaussian", s)
        for net, told, s in (
            ("cifar10/resnet110", "CIFAR-10", 0.25),
            ("cifar10/resnet110", "CIFAR-10", 0.5),
            ("cifar10/resnet110", "CIFAR-10", 1.0),
            ("imagenet/resnet50", "ImageNet", 0.5),
        )
    ),
    *(
        (f"{JEONG}/cifar10/noise_0.5/{folder}/noise_0.5.tsv", "CIFAR-10", method, 0.5)
        for folder, method in METHODS.items()
    ),
    (f"{JEONG}/mnist/noise_0.25/noise_0.25.tsv", "MNIST", "CAT-RS", 0.25),
)
"""Path below RS_LOGS, what the log is about, the method, and the noise."""


@dataclass(frozen=True)
class Parameters:
    """Which logs to make; if `made` is empty, the published ones are read.

    `made` lists pairs: the share of right answers, and the mean of their radii in units of `sigma`;
    each log has `images` rows.
    """

    made: tuple[tuple[float, float], ...]
    images: int
    sigma: float
    seed: int


PROFILES = {
    "quick": Parameters(made=((0.7, 1.0), (0.5, 2.0)), images=500, sigma=0.5, seed=2023),
    "full": Parameters(made=(), images=0, sigma=0.0, seed=2023),
}

# Logs that are made: the published ones are not to be had everywhere.
WITNESS = dataclasses.replace(PROFILES["quick"], images=60)


def facts(path: Path, told: str, method: str, sigma: float) -> dict[str, Any]:
    """Return what is stored of a log."""
    log = audit.read_log(path)
    style = audit.printing(log)
    radii, counts = np.unique(log.radius[log.correct & log.certified], return_counts=True)
    return {
        "about": told,
        "method": method,
        "sigma": sigma,
        "sha256": digests.sha256(path.read_bytes()),
        "images": len(log.radius),
        "digits": style.digits,
        "fixed": style.fixed,
        "radius": radii.tolist(),
        "count": counts.tolist(),
    }


# not in the witness: the published logs are not to be had everywhere; a test reads copies
def _published(logs: Sequence[tuple[str, str, str, float]]) -> list[dict[str, Any]]:
    folder = os.environ.get("RS_LOGS")
    missing = [path for path, *_ in logs if not folder or not (Path(folder) / path).is_file()]
    if not folder or missing:
        raise ValueError(f"RS_LOGS is {folder!r}: name the folder that holds {missing[0]}")
    return [facts(Path(folder) / path, told, method, sigma) for path, told, method, sigma in logs]


def make_log(share: float, mean: float, parameters: Parameters, seed: int) -> str:
    """Return a log in which that share of the answers is right, with exponential radii."""
    rng = np.random.default_rng(seed)
    rows = ["idx\tlabel\tpredict\tradius\tcorrect\ttime"]
    radii = parameters.sigma * rng.exponential(mean, parameters.images)
    right = rng.random(parameters.images) < share
    for image, (radius, good) in enumerate(zip(radii, right, strict=True)):
        rows.append(f"{image}\t0\t{int(not good)}\t{radius:.3}\t{int(good)}\t0:00:01.0")
    return "\n".join(rows) + "\n"


def _made(parameters: Parameters) -> list[dict[str, Any]]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for place, (share, mean) in enumerate(parameters.made):
            path = Path(folder) / f"made-{place}"
            path.write_text(make_log(share, mean, parameters, derive(parameters.seed, place)))
            found.append(facts(path, "made", str(place), parameters.sigma))
    return found


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the facts about each log."""
    return {"logs": _made(parameters) if parameters.made else _published(LOGS)}


# not in the witness: for chapters, which read the values with it
def radii(entry: dict[str, Any], *, printed: bool = False) -> FloatArray:
    """Return the radii of a stored log, one for each image, 0 for the others; float64 [images].

    They are the least numbers that print so, or with `printed` what is printed.
    """
    shown = np.array(entry["radius"])
    style = audit.Printing(entry["digits"], entry["fixed"], "nearest")
    values = shown if printed else style.cells(shown)[0]
    given = np.repeat(values, entry["count"])
    return np.concatenate([given, np.zeros(entry["images"] - len(given))])


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

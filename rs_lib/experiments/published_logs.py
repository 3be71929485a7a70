"""Audit of published certification logs: their (n, α), rounding, and tables certified anew.

The logs are those of Cohen, Rosenfeld and Kolter (2019), repository locuslab/smoothing, and of
Jeong, Kim and Shin (2023), CAT-RS, repository alinlab/smoothing-catrs. They stay outside this
repository; the profile "full" reads them from the folder in the environment variable RS_LOGS, in
which `cohen2019/certify` and `jeong2023_catrs` are the authors' folders. What is stored are facts
about them. The profile "quick" makes logs with known (n, α) and must recover these.
"""

import dataclasses
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rs_lib import audit
from rs_lib.audit.made import made_log
from rs_lib.record import digests
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

FOLDERS = ("cohen2019/certify", "jeong2023_catrs")


@dataclass(frozen=True)
class Parameters:
    """What is stated, what is tried, and what to audit.

    `trials` and `alpha` are what the papers state; `grid_trials` and `grid_levels` span the
    candidates. `made` lists pairs (n, α) of logs to make, of `images` rows each and with noise
    `sigma`; if it is empty, the published logs are read.
    """

    trials: int
    alpha: float
    grid_trials: tuple[int, ...]
    grid_levels: tuple[float, ...]
    made: tuple[tuple[int, float], ...]
    images: int
    sigma: float
    seed: int


PROFILES = {
    "quick": Parameters(
        trials=100_000,
        alpha=0.001,
        grid_trials=(1_000, 10_000, 100_000),
        grid_levels=(0.01, 0.001, 0.0001),
        made=((100_000, 0.001), (100_000, 0.01), (10_000, 0.001), (1_000, 0.01)),
        images=500,
        sigma=0.25,
        seed=2019,
    ),
    "full": Parameters(
        trials=100_000,
        alpha=0.001,
        grid_trials=(10_000, 50_000, 100_000, 1_000_000),
        grid_levels=(0.01, 0.005, 0.001, 0.0005, 0.0001),
        made=(),
        images=0,
        sigma=0.0,
        seed=2019,
    ),
}

# Logs that are made: the published ones are not to be had everywhere.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    grid_trials=(1_000, 10_000, 1_000_000),
    made=((100_000, 0.001), (100_000, 0.01), (1_000, 0.01)),
    images=60,
)


def _table(table: audit.Table) -> dict[str, Any]:
    """Return how many images are correct at each radius, and the ACR, as ranges."""
    return {
        "low": table.low.tolist(),
        "high": table.high.tolist(),
        "expected": np.round(table.expected, 2).tolist(),
        "acr": [round(table.acr_low, 6), round(table.acr_high, 6)],
    }


def _changed(before: audit.Table, after: audit.Table) -> dict[str, list[float]]:
    """Return the radii of the cells that differ, surely or by the expected number, to the
    decimals that the key ends in."""
    return {
        f"{name}_{decimals}": [
            cell.threshold for cell in audit.changes(before, after, decimals, surely=surely)
        ]
        for name, surely in (("surely", True), ("expected", False))
        for decimals in (2, 3)
    }


def _candidate(candidate: audit.Candidate) -> dict[str, Any]:
    return {
        "n": candidate.trials,
        "alpha": candidate.alpha,
        "off_lattice": candidate.off_lattice,
        "above_ceiling": candidate.above_ceiling,
        "telling": candidate.telling,
        "missed_by_chance": round(candidate.missed_by_chance, 3),
        "evidence": round(candidate.evidence, 3),
    }


def facts(path: Path, sigma: float, step: float, parameters: Parameters) -> dict[str, Any]:
    """Judge the pairs of the grid for one log, and return what is stored of it.

    Where several are left, or none, the counts are read with the stated pair, if it is among them,
    else with the best.
    """
    log = audit.read_log(path)
    manner = audit.Manner(audit.printing(log))
    stated = (parameters.trials, parameters.alpha)
    judged = audit.candidates(
        log,
        sigma,
        [manner],
        trials=sorted({*parameters.grid_trials, parameters.trials}),
        levels=sorted({*parameters.grid_levels, parameters.alpha}),
    )
    left = [(c.trials, c.alpha) for c in audit.plausible(judged)]
    reference = stated if stated in left else left[0]
    read = audit.reading(log, sigma, *reference, [manner], step=step, stated_alpha=parameters.alpha)
    printed = audit.printed_table(log, step)
    stated_trials = [c for c in judged if c.trials == parameters.trials]
    return {
        "sigma": sigma,
        "sha256": digests.sha256(path.read_bytes()),
        "rows": len(log.text),
        "correct": int(log.correct.sum()),
        "positive": int(log.certified.sum()),
        "distinct": judged[0].distinct,
        "digits": manner.style.digits,
        "plausible": [list(pair) for pair in left],
        "plausible_at_stated_n": [[c.trials, c.alpha] for c in audit.plausible(stated_trials)],
        "at_stated_n": [_candidate(c) for c in stated_trials if c.alpha in (0.01, 0.001)],
        "reference": list(reference),
        "off_lattice": [log.text[row] for row in read.off_lattice],
        "rounding": {name: round(value, 2) for name, value in vars(read.rounding).items()},
        "radii": printed.thresholds.tolist(),
        "printed": {
            "correct": printed.low.tolist(),
            "acr": round(printed.acr_low, 6),
        },
        "unrounded": _table(read.unrounded),
        "recertified": _table(read.recertified),
        "changed_by_rounding": _changed(printed, read.unrounded),
        "changed": _changed(printed, read.recertified),
        "histogram": audit.histogram(log, read.counts),
    }


# not in the witness: the published logs are not to be had everywhere; a test reads copies
def _published(parameters: Parameters, context: Context) -> list[dict[str, Any]]:
    folder = os.environ.get("RS_LOGS")
    if not folder:
        raise ValueError("RS_LOGS is not set: name the folder that holds " + " and ".join(FOLDERS))
    logs = [
        path
        for part in FOLDERS
        for path in sorted((Path(folder) / part).rglob("*_*"))
        if path.is_file()
    ]
    if not logs:
        raise ValueError(f"RS_LOGS is {folder!r}: put {' and '.join(FOLDERS)} there")
    entries = []
    for path in logs:
        name = path.relative_to(folder).as_posix()
        context.tell(name)
        # The last number of the name: sigma_0.50, noise_0.25.tsv; one file is called noist_0.25.
        sigma = float(re.findall(r"_(\d+\.\d+)", name)[-1])
        # Papers tabulate CIFAR-10 and MNIST in steps of 1/4 and ImageNet in steps of 1/2.
        step = 0.5 if "imagenet" in name else 0.25
        entries.append({"log": name, **facts(path, sigma, step, parameters)})
    return entries


def _made(parameters: Parameters) -> list[dict[str, Any]]:
    entries = []
    with tempfile.TemporaryDirectory() as folder:
        for trials, alpha in parameters.made:
            path = Path(folder) / f"n={trials}-alpha={alpha}"
            seed = derive(parameters.seed, trials, str(alpha))
            sigma = parameters.sigma
            text = made_log(
                2, 1.5, parameters.images, trials=trials, alpha=alpha, sigma=sigma, seed=seed
            )
            path.write_text(text)
            found = facts(path, sigma, 0.25, parameters)
            entries.append({"log": path.name, "made_with": [trials, alpha], **found})
    return entries


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the facts about each log, in the order of the files' names."""
    return {"logs": _made(parameters) if parameters.made else _published(parameters, context)}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

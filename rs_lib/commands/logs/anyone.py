"""Logs of certified radii, ours or anybody's, as report, plot and merge read them."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from rs_lib import audit
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit.logs import BoolArray
from rs_lib.commands.logs import log, own
from rs_lib.commands.selection import UNLABELLED

FOREIGN = "norm not told"

_UNITS = {"ablation": "pixels", "flips": "entries", "sparse": "bits"}
"""What radii in l0 count, by the law of the noise."""


@dataclass(frozen=True, eq=False)
class Certified:
    """Radii of N images: `images` their names, `label` int64, `radius` float64, `correct` and
    `abstained` bool [N]. `norm` is "l2", "l1", "l0" or `FOREIGN`, `dimension` the number of pixels
    where a log of ours tells it, `data` the digest of its images there. `remarks` are lines about
    what was skipped. Where a log is not `labelled`, `correct` says that there is an answer. `unit`
    is what radii in l0 count."""

    name: str
    images: tuple[str, ...]
    label: IntArray
    radius: FloatArray
    correct: BoolArray
    abstained: BoolArray
    norm: str
    dimension: int | None
    data: str | None
    remarks: tuple[str, ...]
    labelled: bool = True
    unit: str = ""

    @property
    def measure(self) -> str:
        """The norm, with the unit where it has one: what two logs must share to be compared."""
        return f"{self.norm}, {self.unit}" if self.unit else self.norm

    @property
    def quantity(self) -> str:
        """What the share of images within a radius is."""
        return "certified accuracy" if self.labelled else "certified"

    @property
    def counted(self) -> FloatArray:
        """The radii, 0 where the answer is not correct."""
        return np.where(self.correct, self.radius, 0.0)


def read(path: Path) -> Certified:
    """Return the radii of a log; one of ours is recomputed from its counts.

    Raises ValueError as `log.read` and `audit.read_log` do, and for logs of ours without radii;
    OSError where the file cannot be read.
    """
    if not own.is_own(path):
        found = audit.read_log(path)
        return Certified(
            path.stem or path.name,
            found.images,
            found.label,
            found.radius,
            found.correct,
            found.predicted == audit.ABSTAIN,
            FOREIGN,
            None,
            None,
            (*own.remarks(path), *audit.remarks(found.remarks)),
        )
    table = log.read(path)
    columns, settings = table.columns, table.header
    if "radius" not in columns:
        raise ValueError(f"{path} is a log without radii: give one of certify with noise")
    if not columns["idx"].size:
        raise ValueError(f"{path} has no complete row: give a log with at least one image")
    unlabelled = bool((columns["label"] == UNLABELLED).all())
    return Certified(
        path.stem,
        tuple(map(str, columns["idx"].tolist())),
        columns["label"],
        columns["radius"],
        columns["predict"] != audit.ABSTAIN if unlabelled else columns["correct"] == 1,
        columns["predict"] == audit.ABSTAIN,
        str(settings["noise"]["norm"]),
        prod(settings["data"]["shape"]),
        settings["data"].get("sha256"),
        tuple(filter(None, [log.incomplete(table)])),
        not unlabelled,
        _UNITS[settings["noise"]["law"]] if settings["noise"]["norm"] == "l0" else "",
    )


def named(paths: list[Path], names: list[str] | None) -> list[Certified]:
    """Return the logs, under `names` if they are given; those of one name get their folders'.

    Raises ValueError for another number of names than logs, or equal ones.
    """
    if names is not None and len(names) != len(paths):
        raise ValueError(
            f"names are {len(names)} but logs are {len(paths)}: give one name for each log"
        )
    found = [read(path) for path in paths]
    told = names or [one.name for one in found]
    if names is None and len(set(told)) < len(told):
        told = [path.as_posix() for path in paths]
    if len(set(told)) < len(told):
        raise ValueError(f"two logs are called {max(told, key=told.count)}: name each once")
    return [Certified(**{**vars(one), "name": name}) for one, name in zip(found, told, strict=True)]


def radii_asked(
    logs: list[Certified], radii: list[float] | None, step: float | None, most: int
) -> list[float]:
    """Return the radii of a table: those given, or multiples of `step` up to the largest radius.

    Raises ValueError for radii that are not at least 0, or more than `most`.
    """
    if radii is not None:
        bad = [radius for radius in radii if not 0 <= radius < float("inf")]
        if bad:
            raise ValueError(f"radii holds {bad[0]}: give finite numbers of at least 0")
        return sorted(set(radii))
    largest = max(float(one.counted.max()) for one in logs)
    if step is None:
        step = 0.25
        while largest / step > 20:
            step *= 2
    if not 0 < step < float("inf"):
        raise ValueError(f"step is {step}: give a positive finite number")
    if largest > most * step:
        raise ValueError(f"step is {step}: give at least {largest / most:.2g}, for {most} radii")
    return [round(number * step, 9) for number in range(int(largest / step + 1e-9) + 1)]

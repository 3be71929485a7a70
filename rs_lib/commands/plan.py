"""Which experiments are due on a device, in which order, and what fits into a budget of time."""

import re
from dataclasses import dataclass
from math import inf
from pathlib import Path

from rs_lib import experiments
from rs_lib.arguments import shown
from rs_lib.record import devices
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result, read

STATES = ("pending", "stale", "reduced", "of another device")
"""Why an experiment is due; in the first two states a page lacks its result."""

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class Task:
    """An experiment that is due: `state` of `STATES`.

    `seconds`: what its last run took on this kind of device, all stages together; None if there
    was none.
    """

    name: str
    profile: str
    state: str
    seconds: float | None

    @property
    def expected(self) -> float:
        """The seconds, infinite where unknown."""
        return inf if self.seconds is None else self.seconds

    def command(self, device: str) -> list[str]:
        """Return the arguments of `python -m rs_lib` that run it."""
        chosen = [] if device == "cpu" else ["--device", device]
        return ["run", self.name, "--profile", self.profile, *chosen]


def duration(text: str) -> float:
    """Return the seconds of a time such as 90s, 12m or 1h30m; ValueError for another text."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{shown(text)} is no time: give one such as 90s, 12m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds < inf:
        raise ValueError(f"{shown(text)} is no time to work in: give one such as 90s, 12m or 1h30m")
    return seconds


def told(seconds: float | None) -> str:
    """Return a time in words, such as 1 h 05 min; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def due(profile: str, device: str, out: Path | None = None) -> list[Task]:
    """Return the experiments that have `profile` and lack a good result of it, in their order.

    A result counts that lies in the folder `out`, or else in the book's record.

    First those without a result or with a stale one, then those that were run with less than the
    profile asks for, or on the CPU where a GPU is at hand. Among equals the shortest comes first:
    it gives most per minute; what was never run on such a device comes last. Raises ValueError if
    no experiment has the profile.
    """
    chosen = [
        found for found in map(experiments.find, experiments.names()) if profile in found.profiles
    ]
    if not chosen:
        known = sorted(
            {
                name
                for found in map(experiments.find, experiments.names())
                for name in found.profiles
            }
        )
        raise ValueError(f"profile is {shown(profile)}: give one of {', '.join(known)}")
    tasks = [task for one in chosen if (task := _task(one, profile, device, out))]
    return sorted(tasks, key=lambda task: (max(STATES.index(task.state), 1), task.expected))


def _task(experiment: Experiment, profile: str, device: str, out: Path | None) -> Task | None:
    places = [experiment.path(profile)]
    if out is not None:
        places.insert(0, out / places[0].name)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return Task(experiment.name, profile, "pending", None)
    stored = read(found)
    alike = devices.kind(stored.run["device"]) == devices.kind(devices.described(device))
    state = _state(experiment, stored, alike or device == "cpu")
    alone = None if stored.run["stages_reused"] else stored.run["wall_seconds"]
    seconds = stored.run.get("work_seconds", alone) if alike else None
    return Task(experiment.name, profile, state, seconds) if state else None


def _state(experiment: Experiment, stored: Result, alike: bool) -> str | None:
    if experiment.stale(stored):
        return "stale"
    if experiment.reductions(stored):
        return "reduced"
    return None if alike else "of another device"


def fitting(tasks: list[Task], seconds: float) -> Task | None:
    """Return the first of `tasks` that fits into `seconds`, else the first of all.

    What does not fit is begun all the same when nothing else is left: its stages are kept.
    """
    return next((task for task in tasks if task.expected <= seconds), tasks[0] if tasks else None)

"""What a page says of a stored result: when, where and with what it was recorded."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rs_lib.record import places


@dataclass(frozen=True)
class Note:
    """A line under a figure that was drawn from a stored result."""

    text: str
    stale: bool

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        kind = "rs-recorded rs-stale" if self.stale else "rs-recorded"
        page = f'<p class="{kind}">{html.escape(self.text)}</p>'
        return {"text/html": page, "text/plain": self.text}


def benchmarks(section: str) -> dict[str, Any]:
    """Return a section of the stored benchmarks: `run`, which tells where and when, and `rows`.

    Raises FileNotFoundError or KeyError that says how to make it.
    """
    path = places.HERE.benchmarks
    remedy = f"run `python -m benchmarks {section} --store`"
    if not path.is_file():
        raise FileNotFoundError(f"no stored benchmarks {path.name}: {remedy}")
    stored = json.loads(path.read_text())
    if section not in stored:
        raise KeyError(f"no section {section} in {path.name}: {remedy}")
    kept: dict[str, Any] = stored[section]
    return kept


def stored(experiment: Any, profile: str = "full") -> Note:
    """Return the note on the stored result of an experiment.

    Raises FileNotFoundError that says how to make it.
    """
    result = experiment.recorded(profile)
    stale = experiment.stale(result)
    return recorded(result.run, experiment.reductions(result), stale=stale)


def where(result: Any) -> str:
    """Return where and when a stored result was made, for a headline."""
    return f"{result.run['device']}, {result.run['started'][:10]}"


def recorded(
    run: Mapping[str, Any], reductions: Mapping[str, tuple[object, object]], *, stale: bool
) -> Note:
    """Return the note on a stored result, given its run record and its reductions.

    `reductions` maps a parameter to (used, asked for); `stale` says that the experiment
    would give other values now.
    """
    text = f"Recorded {run['started'][:10]} on {run['device']}"
    if run["stages_reused"]:
        text += ", in several sittings"
    else:
        text += f" in {run['wall_seconds'] / 60:.0f} min"
    text += f" (commit {run['commit']}, torch {run['versions'].get('torch', 'unknown')})."
    if reductions:
        short = "; ".join(
            f"{name} = {used}, not {asked}" for name, (used, asked) in reductions.items()
        )
        text += f" A reduced run: {short}. The whole run: make full."
    if stale:
        text = "STALE: the experiment gives other values now than when this was recorded. " + text
    return Note(text, stale)


def measured(run: Mapping[str, Any]) -> Note:
    """Return the note on stored benchmarks, given their run record."""
    threads = "one thread" if run["threads"] == 1 else f"{run['threads']} threads"
    text = f"Measured {run['started'][:10]} on {run['device']}, {threads}"
    return Note(f"{text} (commit {run['commit']}, torch {run['versions']['torch']}).", stale=False)

"""What the page *Run it yourself* takes from the record: the results, and ImageNet's hours."""

import json
import re

from rs_lib.book.house import House
from rs_lib.record import places, result


def parts(house: House) -> dict[str, str]:
    """Return what the page includes, as Markdown, by the names of the files."""
    return {"run-recorded": _recorded(house), "run-imagenet": _imagenet()}


def seconds(made: result.Result) -> float | None:
    """Return how long a run computed, None for an older one in several sittings, which is lost."""
    alone: float | None = None if made.run["stages_reused"] else made.run["wall_seconds"]
    return made.run.get("work_seconds", alone)


def at_scale(house: House, chapter: str) -> dict[str, float | None]:
    """Return the experiments that a chapter makes anew at the papers' scale, and their seconds.

    None for an experiment whose last run does not tell, or that has not run.
    """
    named = r"^from rs_lib\.experiments import ([\w, ]+)"
    match = re.search(named, house.source(chapter).read_text(), re.MULTILINE)
    modules = re.split(r",\s*", match.group(1)) if match else []
    found: dict[str, float | None] = {}
    for name in (module.replace("_", "-") for module in modules):
        path = house.results / f"{name}.full.json"
        found[name] = seconds(result.read(path)) if path.is_file() else None
    return found


def plan(house: House, chapter: str, profile: str) -> list[str]:
    """Return what a run of a chapter will do, a line each, before it does it."""
    if profile != "full":
        return [f"{chapter}: digits and what is recorded, a minute or two"]
    lines = [f"{chapter}: makes anew, keeps what is done, goes on where it stopped:"]
    for name, took in at_scale(house, chapter).items():
        told = "of unknown time" if took is None else f"{took / 60:.0f} min when last recorded"
        lines.append(f"  {name}: {told}")
    return lines


def _recorded(house: House) -> str:
    rows = ["* - Experiment", "  - Profile", "  - Device", "  - Date", "  - Time"]
    for path in sorted(house.results.glob("*.*.json")):
        made = result.read(path)
        took = seconds(made)
        rows += [
            f"* - `{made.content['experiment']}`",
            f"  - {made.content['profile']}",
            f"  - {made.run['device']}",
            f"  - {made.run['started'][:10]}",
            "  - –" if took is None else f"  - {took / 60:.0f} min",
        ]
    options = ":header-rows: 1\n:widths: 32 12 32 12 12\n:class: rs-stack"
    table = "\n".join(rows)
    return f"```{{list-table}}\n{options}\n\n{table}\n```\n"


def _imagenet() -> str:
    path = places.HERE.benchmarks
    stored = json.loads(path.read_text()) if path.is_file() else {}
    measure = "`python -m benchmarks imagenet` measures how long it takes on your device."
    if "imagenet" not in stored:
        return f"{measure}\n"
    run, rows = stored["imagenet"]["run"], stored["imagenet"]["rows"]
    fastest = max(rows, key=lambda row: float(row["samples_per_second"]))
    return (
        "How long? ResNet-50, 500 images and n = 100,000 are 50 million forward passes: "
        "50,000,000 / (3,600 v) hours at v images a second. "
        f"Measured on {run['device']}, one thread: {fastest['samples_per_second']:.1f} a second in "
        f"{fastest['precision']}, {fastest['hours']:,.0f} hours. No GPU has been measured for "
        f"this page; {measure}\n"
    )

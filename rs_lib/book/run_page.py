"""What the page *Run it yourself* takes from the record: the results, and ImageNet's hours."""

import json

from rs_lib.book import costs
from rs_lib.book.house import House
from rs_lib.record import places, result


def parts(house: House) -> dict[str, str]:
    """Return what the page includes, as Markdown, by the names of the files."""
    return {"run-recorded": _recorded(house), "run-imagenet": _imagenet()}


def plan(house: House, chapter: str, profile: str) -> list[str]:
    """Return what a run of a chapter will do, a line each, before it does it."""
    if profile != "full":
        last = costs.of_chapter(house, chapter)
        told = "a minute or two" if last is None else f"{last}, last time"
        return [f"{chapter}: digits and what is recorded; {told}"]
    due = costs.at_scale(house, chapter)
    if not due:
        return [f"{chapter}: has no experiment of its own at scale, and reads what is recorded"]
    lines = [f"{chapter}: makes anew, keeps what is done, goes on where it stopped:"]
    for name, took in due.items():
        lines.append(f"  {name}: {f'{took}, when last recorded' if took else 'not yet recorded'}")
    return lines


def _recorded(house: House) -> str:
    columns = ("Profile", "Device", "Date", "Time", "Memory")
    rows = ["* - Experiment", *(f"  - {column}" for column in columns)]
    for path in sorted(house.results.glob("*.*.json")):
        made = result.read(path)
        took = costs.of_result(made)
        rows += [
            f"* - `{made.content['experiment']}`",
            f"  - {made.content['profile']}",
            f"  - {made.run['device']}",
            f"  - {made.run['started'][:10]}",
            f"  - {took.time or '–'}",
            f"  - {took.space or '–'}",
        ]
    options = ":header-rows: 1\n:widths: 28 11 27 12 10 12\n:class: rs-stack"
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

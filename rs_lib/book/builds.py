"""What a build drew, beside the record: verdicts, what pages include, and taking it over.

The record in `book/figures` is what is cited. A build draws below `_build` and compares; only
`accept` writes the record.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rs_lib.arguments import shown
from rs_lib.book import citation, pictures, records
from rs_lib.book.house import House
from rs_lib.book.records import figure_ids, load
from rs_lib.book.snippets import bibtex, phone_kinds, snippet
from rs_lib.record import digests, files, machine

VERDICTS = ("identical", "within tolerance", "changed", "new")
AGREE = VERDICTS[:2]
FORMER = "former.json"


@dataclass(frozen=True)
class Verdict:
    """How a figure that was drawn again compares with the record, and why."""

    verdict: str
    reason: str

    @property
    def agrees(self) -> bool:
        """Whether the record's picture stands for what this build drew."""
        return self.verdict in AGREE


def compare(house: House) -> dict[str, Verdict]:
    """Compare every figure of the last build with the record; store and return the verdicts.

    `_build/verify.json` holds the counts and, for each figure, verdict and reason.
    """
    ids = sorted({*figure_ids(house.drawn), *figure_ids(house.figures)})
    found = {name: Verdict(*compared(house.figures, house.drawn, name)) for name in ids}
    content = {
        "counts": counts(found),
        "figures": {name: {"verdict": v.verdict, "reason": v.reason} for name, v in found.items()},
    }
    files.write_atomically(house.verdicts, digests.readable_json(content))
    return found


def counts(verdicts: dict[str, Verdict]) -> dict[str, int]:
    """Return how many figures got each verdict."""
    given = [verdict.verdict for verdict in verdicts.values()]
    return {name: given.count(name) for name in VERDICTS}


def write_snippets(house: House, verdicts: dict[str, Verdict]) -> None:
    """Write what the chapters include of each figure that this build drew.

    Where the build does not agree its own picture is shown, from a copy beside the chapters.
    """
    cited, wanted = citation.load(house), dict[str, bytes]()
    for name in figure_ids(house.drawn):
        verdict = verdicts[name]
        drawn = load(house.drawn, name)
        record = load(house.figures, name) if verdict.verdict != "new" else None
        frames = drawn.content.get("frames", {"labels": []})["labels"]
        narrow = phone_kinds(len(frames))
        phone = all((house.drawn / f"{name}.{kind}").is_file() for kind in narrow)
        for kind in narrow if phone else ():
            wanted[f"{name}.{kind}"] = (house.drawn / f"{name}.{kind}").read_bytes()
        if not verdict.agrees:
            for kind in ("json", *records.kinds(drawn.content)):
                wanted[f"{name}.{kind}"] = (house.drawn / f"{name}.{kind}").read_bytes()
            wanted[f"{name}.bib"] = bibtex(drawn, cited).encode()
        wanted[f"{name}.md"] = snippet(record, drawn, verdict.verdict, phone=phone).encode()
    folder = house.chapters / "figures"
    for old in folder.glob("fig-*"):
        if old.name not in wanted:
            old.unlink()
    for file, data in wanted.items():
        path = folder / file
        if not path.is_file() or path.read_bytes() != data:
            files.write_atomically(path, data)


def former(house: House) -> dict[str, dict[str, str]]:
    """Return for each figure the digests that were cited before, with a commit that holds them."""
    path = house.figures / FORMER
    kept: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.is_file() else {}
    return kept


def accept(house: House, names: Sequence[str], tell: Callable[[str], object] = print) -> None:
    """Take figures of the last build into the record, telling first what changes.

    Without `names` those that are changed or new and were drawn with the record's parameters.
    The citations of all others follow `CITATION.cff`, too.
    Raises ValueError for a name that the build did not draw.
    """
    drawn, cited = figure_ids(house.drawn), citation.load(house)
    for name in names:
        if name not in drawn:
            raise ValueError(f"figure is {shown(name)}: give one of {', '.join(drawn) or 'none'}")
    verdicts = compare(house)
    recorded = {name: load(house.figures, name) for name in figure_ids(house.figures)}
    made = {name: load(house.drawn, name) for name in names or drawn}
    if not names:
        made = {
            name: record
            for name, record in made.items()
            if not verdicts[name].agrees
            and (
                name not in recorded or recorded[name].run["parameters"] == record.run["parameters"]
            )
        }
    for name, record in made.items():
        before = recorded[name].digest if name in recorded else "none"
        verdict = verdicts[name]
        tell(f"{name}: {verdict.verdict} ({verdict.reason}); {before} -> {record.digest}")
    earlier = former(house)
    for name, record in made.items():
        if name in recorded and recorded[name].digest != record.digest:
            earlier.setdefault(name, {})[recorded[name].digest] = machine.commit().rstrip("+")
        parts: dict[str, bytes] = {
            kind: (house.drawn / f"{name}.{kind}").read_bytes()
            for kind in records.kinds(record.content)
        }
        records.write(house.figures, record, {**parts, "bib": bibtex(record, cited).encode()})
    if earlier:
        files.write_atomically(house.figures / FORMER, _table(earlier))
    tell(f"{len(made)} figures taken into the record")
    old = cited_otherwise(house)
    for name, entry in old.items():
        files.write_atomically(house.figures / f"{name}.bib", entry)
    if old:
        tell(f"the citations of {len(old)} figures follow CITATION.cff now")


def cited_otherwise(house: House) -> dict[str, str]:
    """Return the right citations of recorded figures whose BibTeX file says something else."""
    cited, right = citation.load(house), {}
    for name in figure_ids(house.figures):
        path, entry = house.figures / f"{name}.bib", bibtex(load(house.figures, name), cited)
        if not path.is_file() or path.read_text() != entry:
            right[name] = entry
    return right


def _table(earlier: dict[str, dict[str, str]]) -> str:
    return json.dumps(earlier, indent=1, sort_keys=True) + "\n"


def told(verdicts: dict[str, Verdict]) -> str:
    """Return one line for the end of a build, and one for each figure that does not agree."""
    total = counts(verdicts)
    lines = ["figures: " + ", ".join(f"{total[name]} {name}" for name in VERDICTS)]
    lines += [
        f"  {name}: {verdict.verdict} ({verdict.reason})"
        for name, verdict in verdicts.items()
        if not verdict.agrees
    ]
    return "\n".join(lines)


def compared(recorded: Path, again: Path, figure_id: str) -> tuple[str, str]:
    """Return the verdict on a figure drawn again and its reason.

    The verdict is "identical" (same numbers, pictures and words), "within tolerance" (as its
    record allows), "changed" or "new".
    """
    if figure_id not in figure_ids(again):
        return "changed", "the build does not publish it"
    if figure_id not in figure_ids(recorded):
        return "new", "it is not recorded"
    before, now = (load(folder, figure_id).content for folder in (recorded, again))
    words = [
        name for name in ("caption", "alt", "statistics", "chapter") if before[name] != now[name]
    ]
    if words:
        return "changed", f"another {' and '.join(words)}"
    if before["data"] == now["data"]:
        if before["pictures"] == now["pictures"]:
            if before.get("frames") != now.get("frames"):
                return "changed", "other words for its frames"
            return "identical", "data and picture, byte for byte"
        return "changed", "the same data make another picture"
    tolerance = before["tolerance"]
    if tolerance is None:
        return "changed", "its record allows no difference"
    old, new = (pictures.from_csv((f / f"{figure_id}.csv").read_text()) for f in (recorded, again))
    if list(old.columns) != list(new.columns) or len(old) != len(new):
        return "changed", "the data have another shape"
    for column in old.columns:
        numeric = [pd.api.types.is_numeric_dtype(side[column]) for side in (old, new)]
        if all(numeric):
            close = np.isclose(
                new[column],
                old[column],
                rtol=tolerance["rtol"],
                atol=tolerance["atol"],
                equal_nan=True,
            )
            if not close.all():
                return "changed", f"column {column} in {int((~close).sum())} rows"
        elif any(numeric) or not old[column].equals(new[column]):
            return "changed", f"column {column}"
    return "within tolerance", str(tolerance["reason"])

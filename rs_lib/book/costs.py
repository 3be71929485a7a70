"""What runs take: chapters in the last build, their experiments when they were last recorded."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass

from rs_lib.book import parameters
from rs_lib.book.house import House
from rs_lib.record import memory, result

_GIB = 2**30


@dataclass(frozen=True)
class Cost:
    """Seconds, None where lost; the most memory, as far as it is known; the device in words.

    `more`: whether something took time besides that is not told.
    """

    seconds: float | None
    memory: memory.Peak
    device: str
    more: bool = False

    @property
    def time(self) -> str:
        """The time in words, or nothing."""
        if self.seconds is None:
            return ""
        more = " and more" if self.more else ""
        if self.seconds < 60:
            return f"{10 * max(1, round(self.seconds / 10))} s{more}"
        return f"{self.seconds / 60:.0f} min{more}"

    @property
    def space(self) -> str:
        """The memory in words, or nothing."""
        parts = {"process": "", "device": " on the GPU"}
        told = [
            f"{_words(self.memory[name])}{where}"
            for name, where in parts.items()
            if name in self.memory
        ]
        return " and ".join(told)

    def __str__(self) -> str:
        """Time, memory, which may be unknown, and device."""
        told = (self.time or "unknown time", self.space, f"on {self.device}")
        return ", ".join(filter(None, told))


def _words(octets: int) -> str:
    return f"{octets / _GIB:.1f} GiB" if octets >= _GIB / 10 else f"{octets / 2**20:.0f} MiB"


def of_result(made: result.Result) -> Cost:
    """Return what a stored result took; the time of an older one in several sittings is lost."""
    alone: float | None = None if made.run["stages_reused"] else made.run["wall_seconds"]
    seconds = made.run.get("work_seconds", alone)
    return Cost(seconds, made.run.get("peak_memory", {}), made.run["device"])


def of_chapter(house: House, chapter: str) -> Cost | None:
    """Return what a chapter took when it was last executed for the book, None if it is not told."""
    try:
        kept = json.loads(house.key(chapter).read_text())["cost"]
        return Cost(float(kept["seconds"]), {"process": int(kept["memory"])}, str(kept["device"]))
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return None


def at_scale(house: House, chapter: str) -> dict[str, Cost | None]:
    """Return the experiments that a chapter makes anew at the papers' scale, and what they took.

    None for one that has not run.
    """
    notebook = parameters.read_source(house.source(chapter))
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found: dict[str, Cost | None] = {}
    for experiment, profile in anew(code):
        path = house.results / f"{experiment}.{profile}.json"
        label = experiment if profile == "full" else f"{experiment}, profile {profile}"
        found[label] = of_result(result.read(path)) if path.is_file() else None
    return found


def together(costs: dict[str, Cost | None]) -> Cost | None:
    """Return what runs take one after the other, None where none of them has run."""
    known = [cost for cost in costs.values() if cost is not None]
    if not known:
        return None
    seconds = [cost.seconds for cost in known if cost.seconds is not None]
    return Cost(
        sum(seconds) if seconds else None,
        memory.highest(cost.memory if cost else {} for cost in costs.values()),
        " and ".join(sorted({cost.device for cost in known})),
        more=bool(seconds) and len(seconds) < len(costs),
    )


def anew(code: str) -> list[tuple[str, str]]:
    """Return the experiments that a chapter's code runs with `profile="full"`, and which profile.

    They are named below `if profile == "full":`, with the profile as a text, or run with the
    chapter's own. Of a choice by the device the CPU's counts.
    """
    tree = ast.parse(code)
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "rs_lib.experiments"
        for alias in node.names
    }
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "profile == 'full'":
            inner = [part for line in node.body for part in _on_a_cpu(line)]
            names = [n.id for n in inner if isinstance(n, ast.Name) and n.id in modules]
            texts = [n.value for n in inner if isinstance(n, ast.Constant)]
            profiles = [text for text in texts if isinstance(text, str)]
            found += [(name, profile) for name in names for profile in profiles]
        elif isinstance(node, ast.Call) and [ast.unparse(a) for a in node.args] == ["profile"]:
            name, _, call = ast.unparse(node.func).partition(".")
            found += [(name, "full")] * (name in modules and call == "experiment.run")
    return [(name.replace("_", "-"), profile) for name, profile in dict.fromkeys(found)]


def _on_a_cpu(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it, but for what a choice in one line takes on a GPU."""
    if isinstance(node, ast.IfExp) and "'cuda'" in ast.unparse(node.test):
        node = node.orelse
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _on_a_cpu(child)

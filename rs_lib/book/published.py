"""Published values: one data file, each value with its citation and how far it is trusted."""

import difflib
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rs_lib.book.house import House

TRUST = {
    "read": "in the paper or its official code",
    "recomputed": "from logs that the authors published",
    "reported": "agrees with a second source",
    "not verified": "no value is shown",
}


@dataclass(frozen=True)
class Published:
    """One published quantity.

    `at` holds the abscissae (radii, say; empty for a single number) and `values` as many
    numbers, in the unit that `quantity` names; both are empty where `trust` is "not verified".
    `images` is the number of test images behind it, 0 where unknown.
    """

    id: str
    source: str
    quantity: str
    trust: str
    setting: str
    values: tuple[float, ...]
    at: tuple[float, ...] = ()
    images: int = 0
    note: str = ""

    @property
    def value(self) -> float | None:
        """The single value, or None where none may be shown."""
        return self.values[0] if self.values else None


def _numbers(values: object) -> bool:
    return isinstance(values, tuple) and all(
        type(value) in (int, float) and math.isfinite(value) for value in values
    )


def _entry(raw: dict[str, object]) -> Published:
    name = raw.get("id", "without id")
    try:
        entry = Published(
            **{key: tuple(v) if isinstance(v, list) else v for key, v in raw.items()}  # type: ignore[arg-type]
        )
    except TypeError as error:
        raise ValueError(f"published value {name}: {error}") from error
    for field in ("values", "at"):
        if not _numbers(getattr(entry, field)):
            raise ValueError(
                f"published value {name}: {field} is {raw[field]!r}: give a list of finite numbers"
            )
    if entry.trust not in TRUST:
        raise ValueError(
            f"published value {name}: trust is {entry.trust!r}: give one of {', '.join(TRUST)}"
        )
    if (entry.trust == "not verified") != (not entry.values):
        raise ValueError(f"published value {name}: only a value that is not verified has no values")
    if entry.at and len(entry.at) != len(entry.values):
        raise ValueError(
            f"published value {name}: {len(entry.at)} abscissae for {len(entry.values)} values"
        )
    return entry


def load(path: Path | None = None) -> dict[str, Published]:
    """Return all published values by id; ValueError names a malformed or double entry."""
    file = path or House().published
    entries: dict[str, Published] = {}
    for raw in tomllib.loads(file.read_text()).get("value", []):
        entry = _entry(raw)
        if entry.id in entries:
            raise ValueError(f"published value {entry.id}: the id stands twice in {file.name}")
        entries[entry.id] = entry
    return entries


def published(name: str) -> Published:
    """Return the published value `name`, or raise KeyError that offers similar names."""
    entries = load()
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3, cutoff=0.3)
        raise KeyError(f"no published value {name!r}: did you mean {', '.join(near) or 'none'}?")
    return entries[name]

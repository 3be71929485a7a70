"""Published values: one data file, each value with its citation and how far it is trusted."""

import difflib
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rs_lib.arguments import shown
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


def _is_number(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _are_numbers(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_number, value))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\w[\w.:+-]*", value, re.ASCII))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_name, "a name of letters, digits, - and ."),
    "source": (_is_name, "a key of the bibliography"),
    "quantity": (lambda value: _is_text(value) and bool(value.strip()), "a text on one line"),
    "trust": (
        lambda value: isinstance(value, str) and value in TRUST,
        f"one of {', '.join(TRUST)}",
    ),
    "setting": (_is_text, "a text on one line"),
    "values": (_are_numbers, "a list of finite numbers"),
    "at": (_are_numbers, "a list of finite numbers"),
    "images": (lambda value: type(value) is int and 0 <= value < 2**53, "how many, or 0"),
    "note": (_is_text, "a text on one line"),
}


def _entry(raw: object) -> Published:
    if not isinstance(raw, dict):
        raise ValueError(f"published value {shown(raw)}: give a table of id, source, …")
    name = (
        raw["id"] if _is_name(raw.get("id")) else shown(raw["id"]) if "id" in raw else "without id"
    )
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    try:
        entry = Published(**fields)
    except TypeError as error:
        raise ValueError(f"published value {name}: {error}") from error
    for field, value in raw.items():
        good, remedy = _FIELDS[field]
        if not good(getattr(entry, field)):
            raise ValueError(f"published value {name}: {field} is {shown(value)}: give {remedy}")
    if (entry.trust == "not verified") != (not entry.values):
        raise ValueError(f"published value {name}: only a value that is not verified has no values")
    if entry.at and len(entry.at) != len(entry.values):
        raise ValueError(
            f"published value {name}: {len(entry.at)} abscissae for {len(entry.values)} values"
        )
    return entry


def load(path: Path | None = None) -> dict[str, Published]:
    """Return all published values by id.

    Raises ValueError that names a malformed or double entry, or a file that is no TOML or holds
    anything but entries `[[value]]`.
    """
    file = path or House().published
    try:
        stored = tomllib.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} is no TOML ({error}): mend it") from error
    if set(stored) - {"value"} or not isinstance(stored.get("value", []), list):
        names = ", ".join(map(shown, stored))
        raise ValueError(f"{file.name} holds {names}: give nothing but entries [[value]]")
    entries: dict[str, Published] = {}
    for raw in stored.get("value", []):
        entry = _entry(raw)
        if entry.id in entries:
            raise ValueError(f"published value {entry.id}: the id stands twice in {file.name}")
        entries[entry.id] = entry
    return entries


def published(name: str) -> Published:
    """Return the published value `name`, or raise KeyError that offers similar names."""
    entries = load()
    if not isinstance(name, str) or name not in entries:
        near = difflib.get_close_matches(shown(name).strip("'"), entries, n=3, cutoff=0.3)
        raise KeyError(
            f"no published value {shown(name)}: did you mean {', '.join(near) or 'none'}?"
        )
    return entries[name]

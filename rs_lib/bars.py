"""Progress bars: those of tqdm, and none on a machine that lacks it."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any


class Silent:
    """Takes what a bar takes and shows nothing."""

    def __init__(self, iterable: Iterable[Any] = (), **_: object) -> None:
        """Remember what to go through."""
        self._iterable = iterable
        self.n: float = 0

    def __iter__(self) -> Iterator[Any]:
        """Go through the iterable."""
        return iter(self._iterable)

    def __enter__(self) -> "Silent":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def update(self, n: float = 1) -> None:
        """Count."""
        self.n += n

    def set_postfix(self, **_: object) -> None:
        """Do nothing."""

    def set_description_str(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


bar: Any = Silent
if find_spec("tqdm"):
    bar = import_module("tqdm").tqdm

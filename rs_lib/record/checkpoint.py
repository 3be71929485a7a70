"""The state of unfinished work: one file, replaced as a whole, gone when the work is done."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rs_lib.record import files


@dataclass(frozen=True)
class Checkpoint:
    """Where unfinished work keeps its state; without a `path` nothing is kept.

    A state is a dictionary of tensors, numbers, strings and containers of them. Of processes that
    work together one `writes`, and all read.
    """

    path: Path | None = None
    writes: bool = True

    def load(self) -> dict[str, Any] | None:
        """Return the state that was saved last, its tensors on the CPU; None if there is none."""
        return load(self.path) if self.path is not None and self.path.is_file() else None

    def save(self, state: dict[str, Any]) -> None:
        """Put `state` in the place of the last one, atomically."""
        if self.path is not None and self.writes:
            save(self.path, state)

    def remove(self) -> None:
        """Forget the state."""
        if self.path is not None and self.writes:
            self.path.unlink(missing_ok=True)


NOTHING = Checkpoint()
"""Keeps nothing."""


def load(path: Path) -> dict[str, Any]:
    """Return what `save` wrote, its tensors on the CPU."""
    kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return kept


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    files.write_atomically(path, buffer.getvalue())

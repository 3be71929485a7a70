"""The most memory that a process took: its own, or that of one that it started and waited for.

Meant is resident memory, the interpreter and its libraries included. Linux can lower the mark to
what is in use when a measurement begins; elsewhere a process that did something larger before
cannot tell what came later. No system lowers the mark of processes that ended: one counts if it
took more than every one that was waited for before.
"""

import re
import resource
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

Peak = dict[str, int]
"""Bytes by `process` and, with CUDA, `device`; what is not known is left out."""

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_UNIT = 1 if sys.platform == "darwin" else 1024
_lowered: list[int] = []
"""The marks of this process when they were lowered, so that no measurement loses another's."""


class Since:
    """Measures from its making on."""

    def __init__(self) -> None:
        """Begin to measure."""
        self._least = 0 if _lower() else _own()
        self._first, self._children = len(_lowered), _children()

    def most(self) -> int | None:
        """Return the most bytes that were taken since, None if that cannot be told."""
        own, children = max([*_lowered[self._first :], _own()]), _children()
        told = [own] * (own > self._least) + [children] * (children > self._children)
        return max(told, default=None)


def of_process() -> int:
    """Return the most bytes that this process took since it began."""
    return max([*_lowered, _own(), _children()])


def highest(peaks: Iterable[Mapping[str, int]]) -> Peak:
    """Return the highest of some peaks, without what one of them does not know."""
    every = list(peaks)
    known = set.intersection(*(set(peak) for peak in every)) if every else set()
    return {name: max(peak[name] for peak in every) for name in sorted(known, reverse=True)}


def _lower() -> bool:
    """Lower the mark of this process to what is in use; return whether that is possible."""
    mark = _own()
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    _lowered.append(mark)
    return True


def _own() -> int:
    # ru_maxrss also holds what the process was before it began its program: its parent's copy.
    mark = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text()) if _STATUS.is_file() else None
    if mark:
        return 1024 * int(mark[1])
    return _UNIT * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _children() -> int:
    return _UNIT * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

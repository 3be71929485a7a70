"""Ctrl-C and SIGTERM: both end a command where it stands, and it says what is kept."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

GO_ON = ("certify", "predict", "run", "train")
"""Commands that go on, given again, with what they had kept."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` inside, where nothing else handles it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        if before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # another thread than the main one, which gets no signals
        before = None
    try:
        yield
    finally:
        if before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def report(stop: KeyboardInterrupt, command: str | None) -> int:
    """Print what `stop` left of `command` to stderr, by its notes; return the exit status.

    As shells have it: 128 and the number of the signal. Of several processes the first one speaks.
    """
    told = "".join(f": {note}" for note in getattr(stop, "__notes__", []))
    if not told and command in GO_ON:
        told = "; the same command goes on where it stopped"
    if os.environ.get("RANK", "0") == "0":
        print(f"rs_lib: interrupted{told}", file=sys.stderr, flush=True)
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)

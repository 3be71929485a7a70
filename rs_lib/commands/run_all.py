"""`run --all`: what is due, one after the other, until it is done or the time is over."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from rs_lib.commands.plan import Task, due, fitting, told

GRACE = 10.0
"""Seconds that a run has to end once it is told to; then it is killed, which loses a stage."""


@dataclass
class Outcome:
    """What became of the tasks of a plan."""

    done: list[Task] = field(default_factory=list)
    failed: list[Task] = field(default_factory=list)
    left: list[Task] = field(default_factory=list)


def run_all(profile: str, device: str, budget: float, out: Path | None, *, dry: bool) -> int:
    """Show the plan, run it unless `dry`, and tell what remains; return the exit status.

    `budget`: seconds, infinite for no limit. The status is 1 if an experiment failed, 130 after an
    interruption, else 0, whether all was done or the time ended.
    """
    start = time.monotonic()
    tasks = due(profile, device, out)
    _show(tasks, profile, budget)
    if dry or not tasks:
        return 0
    outcome, interrupted = _worked(tasks, device, start + budget, out)
    for title, some in (("done", outcome.done), ("failed", outcome.failed)):
        if some:
            print(f"{title}: {', '.join(task.name for task in some)}")
    if outcome.left:
        print("what remains; a run that was begun goes on where it stopped:")
        for task in outcome.left:
            print(f"  {' '.join(_command(task, device, out))}   ({told(task.seconds)})")
    return 130 if interrupted else int(bool(outcome.failed))


def _show(tasks: list[Task], profile: str, budget: float) -> None:
    if not tasks:
        print(f"nothing is due: every experiment has its result of the profile {profile}")
        return
    limit = "" if budget == inf else f", within {told(budget)}"
    print(f"due, profile {profile}{limit}:")
    for task in tasks:
        print(f"  {task.name:20} {task.state:18} {told(task.seconds)}")
    known = [task.seconds for task in tasks if task.seconds is not None]
    unknown = len(tasks) - len(known)
    total = [f"in all {told(sum(known))}"] if known else []
    total += [f"{unknown} of a time that no run on such a device tells"] if unknown else []
    print(f"  {', and '.join(total)}", flush=True)


def _worked(tasks: list[Task], device: str, end: float, out: Path | None) -> tuple[Outcome, bool]:
    """Run tasks until the clock shows `end`; return what became of them, and if a user stopped."""
    outcome = Outcome(left=list(tasks))
    waiting = list(tasks)
    while waiting and time.monotonic() < end:
        task = fitting(waiting, end - time.monotonic())
        assert task is not None
        waiting.remove(task)
        print(f"\n{task.name}:", flush=True)
        try:
            status = _ran([sys.executable, "-m", *_command(task, device, out)[2:]], end)
        except KeyboardInterrupt:
            return outcome, True
        if status is None:
            break
        outcome.left.remove(task)
        (outcome.failed if status else outcome.done).append(task)
    return outcome, False


def _command(task: Task, device: str, out: Path | None) -> list[str]:
    target = [] if out is None else ["--out", str(out)]
    return ["python", "-m", "rs_lib", *task.command(device), *target]


def _ran(command: list[str], end: float) -> int | None:
    """Run `command` and return its status; None if it was stopped when the clock showed `end`."""
    with subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            return process.wait(None if end == inf else max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            _stop(process)
            return None
        except KeyboardInterrupt:
            _stop(process)
            raise


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt `process`, which leaves whole files, and kill it if it does not end."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()

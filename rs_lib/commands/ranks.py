"""Several processes at one log: torchrun starts them, one failure ends them all."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from rs_lib.commands import failures

T = TypeVar("T")
# Ranks meet soon or never, but wait for the slowest one as long as a chunk of images takes.
MEETING = timedelta(minutes=5)
PATIENCE = timedelta(days=2)


class StoppedError(Exception):
    """A run that ends with `status`, its reason having been told."""

    def __init__(self, status: int) -> None:
        """Keep the exit status."""
        super().__init__(status)
        self.status = status


def _done(work: Callable[[], T]) -> T:
    """Do `work`; what would end the process, and does not say that all is done, is an error."""
    try:
        return work()
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as end:
        raise ValueError(
            f"model fails with {failures.told(end)}: let it return its logits"
        ) from end


class Ranks:
    """The processes of this run: this one is number `rank` of `world`."""

    def __init__(
        self,
        rank: int,
        world: int,
        local: int = 0,
        group: Any = None,
    ) -> None:
        """Remember the numbers; `local` counts the processes on one machine."""
        self._group = group
        self.rank = rank
        self.world = world
        self.local = local

    def device(self, name: str) -> str:
        """Return the device of this rank: a GPU of its own where the ranks share `cuda`."""
        if self.world > 1 and name == "cuda":
            torch.cuda.set_device(self.local)
            return f"cuda:{self.local}"
        return name

    def agree(self, work: Callable[[], T]) -> list[T]:
        """Do `work` on every rank and return all results, by rank.

        If it fails on any rank, the lowest such rank says so, and all of them raise StoppedError
        with its status. A process that runs alone lets the failure pass.
        """
        if self.world == 1:
            return [_done(work)]
        result: T | None = None
        failure: Exception | None = None
        try:
            result = _done(work)
        except Exception as error:  # whatever it is, the others must hear of it
            failure = error
        answers = self._gather((failure is not None, result))
        failed = [rank for rank, (broken, _) in enumerate(answers) if broken]
        if failed:
            mine = failure is not None and self.rank == failed[0]
            # Nobody leaves before the message is out: torchrun ends the rest at the first exit.
            statuses = self._gather(failures.report(failure) if mine and failure else 0)
            raise StoppedError(max(statuses))
        return [answer for _, answer in answers]

    def each(self, work: Callable[[], T]) -> T:
        """As `agree`, but return the result of this rank only, which may be anything."""
        results: list[T] = []
        self.agree(lambda: results.append(work()))
        return results[0]

    def _gather(self, value: Any) -> list[Any]:
        gathered: list[Any] = [None] * self.world
        distributed.all_gather_object(gathered, value, group=self._group)
        return gathered


@contextmanager
def joined(meeting: timedelta = MEETING) -> Iterator[Ranks]:
    """Join the processes that torchrun started, or be the only one.

    Only counts travel between them, and gradients, so that gloo serves CPUs and GPUs alike.
    `meeting`: how long they wait for each other outside of `Ranks.agree`.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(0, 1)
        return
    distributed.init_process_group("gloo", timeout=meeting)
    try:
        group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        local = int(os.environ.get("LOCAL_RANK", "0"))
        yield Ranks(distributed.get_rank(), world, local, group)
    finally:
        distributed.destroy_process_group()

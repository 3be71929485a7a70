"""A training of `rs_lib.machines.workers` with one process for each worker, joined by gloo.

Every process sends its vector to all others, aggregates what it got and moves its own copy of the
weights: there is no server to be trusted. All n vectors are waited for. So a worker that sends
anything is borne, and one that sends nothing is not: if it is lost or hangs, the others end within
the timeout, each with one sentence and exit status 1.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch import Tensor, distributed

from rs_lib.machines import data
from rs_lib.machines.workers import Job, Work

_GRACE = 5.0
"""Seconds beyond the timeout after which a process that still hangs is ended."""

Body = Callable[[Job, int, str, float, int], None]


def body(job: Job, worker: int, folder: str, timeout: float, threads: int) -> None:
    """Be `worker`: take part in all steps and leave the weights in `folder`.

    The processes find each other by a file there. `timeout`: seconds to wait for the others in each
    step. Another one that is lost ends this process with status 1 and one sentence.
    """
    torch.set_num_threads(threads)
    work = Work(job, data.load(job.dataset))
    weights, step = work.start(), 0
    try:
        distributed.init_process_group(
            "gloo",
            init_method=Path(folder, "store").as_uri(),
            rank=worker,
            world_size=job.workers,
            timeout=timedelta(seconds=timeout),
        )
        for step in range(job.steps):
            own = work.sent(weights, worker, step)
            vectors = [torch.empty_like(own) for _ in range(job.workers)]
            distributed.all_gather(vectors, own)
            weights = work.moved(weights, torch.stack(vectors))
        distributed.barrier()
    except RuntimeError:  # gloo has no finer name for a connection that is closed or late
        told = f"worker {worker} of {job.workers} stops in step {step}: another worker was lost or "
        print(f"{told}silent for {timeout:g} s, start the job again", file=sys.stderr, flush=True)
        os._exit(1)  # what is left of gloo would wait for the lost one
    torch.save(weights, Path(folder, f"{worker}.pt"))
    distributed.destroy_process_group()


def started(target: Body, job: Job, worker: int, folder: str, timeout: float) -> BaseProcess:
    """Start `target`, such as `body`, in a process of its own, and return that."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "sklearn.datasets"])  # what takes long, once
    arguments = (job, worker, folder, timeout, torch.get_num_threads())
    process = context.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def ended(processes: Sequence[BaseProcess], timeout: float) -> list[int | None]:
    """Wait until all `processes` have ended and return their exit statuses.

    From the first failure on the rest have `timeout` and five seconds more; then they are killed.
    """
    deadline = None
    while any(process.is_alive() for process in processes):
        if deadline is None and any(process.exitcode for process in processes):
            deadline = time.monotonic() + timeout + _GRACE
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.02)
    return [process.exitcode for process in processes]


def run(job: Job, timeout: float = 60.0) -> list[Tensor]:
    """Return the weights [d] that each worker ends with, n of them.

    `timeout`: seconds that the workers wait for each other in a step. Raises RuntimeError that
    names the workers that did not end well.
    """
    with tempfile.TemporaryDirectory() as folder:
        processes = [started(body, job, k, folder, timeout) for k in range(job.workers)]
        statuses = ended(processes, timeout)
        failed = [str(worker) for worker, status in enumerate(statuses) if status != 0]
        if failed:
            raise RuntimeError(
                f"workers {', '.join(failed)} of {job.workers} did not end well: start the job "
                "again, with a longer timeout if the machine is busy"
            )
        return [torch.load(Path(folder, f"{k}.pt"), weights_only=True) for k in range(job.workers)]

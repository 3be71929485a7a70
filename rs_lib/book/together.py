"""The chapters of a build, two at a time."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tqdm import tqdm

from rs_lib.book import runner
from rs_lib.book.house import House

AT_ONCE = 2
"""Most chapters that run at once: each takes one core, and up to about 1.5 GiB."""


def run(house: House, names: Sequence[str]) -> list[str]:
    """Run the chapters that are not fresh, the longest source first; return their names.

    Raises the error of the first one that fails, once those that run beside it have ended; what
    they leave is kept, and the others do not begin.
    """
    chapters = [runner.prepare(house, name) for name in names]
    stale = [chapter for chapter in chapters if not runner.fresh(house, chapter)]
    order = [c.name for c in sorted(stale, key=lambda c: len(c.source), reverse=True)]
    at_once = min(AT_ONCE, len(order), len(os.sched_getaffinity(0)))
    if at_once < 2:
        return [name for name in order if runner.run(house, name)]
    waiting = list(order)
    # A kernel is started from its process's environment, which two chapters cannot share.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(at_once, mp_context=context) as pool,
        tqdm(total=len(order), desc="chapters", unit="chapter") as bar,
    ):
        running: dict[Future[bool], str] = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                running[pool.submit(runner.run, house, name, progress=False)] = name
            bar.set_postfix_str(", ".join(running.values()))
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                future.result()
                bar.update()
    return order

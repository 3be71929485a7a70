"""Going through the images of a log: finished rows are written, by one process or several."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rs_lib.arguments import IntArray
from rs_lib.commands import selection
from rs_lib.commands.logs import follows, log
from rs_lib.commands.logs import settings as log_settings
from rs_lib.commands.progress import Progress
from rs_lib.commands.ranks import Ranks
from rs_lib.smoothing.sampling import Due, Report

Columns = dict[str, npt.NDArray[Any]]
Parts = Iterator[tuple[IntArray, Columns]]
"""Positions of finished images among those that were given, and columns of their rows."""

Answer = Callable[[torch.Tensor, IntArray, Report, Due], Parts]
"""Makes rows of images, their ids, whom to report to, and when to hand over what is finished."""

EVERY = 10.0
"""Seconds after which the rows that are finished are asked for, and written."""


def _sharded(
    options: argparse.Namespace, chosen: selection.Selection, settings: dict[str, Any]
) -> tuple[selection.Selection, dict[str, Any]]:
    """Return the images of the shard that the options name, and the settings of its log.

    Without a shard all images and settings are returned. Raises ValueError for an empty shard.
    """
    if options.shard is None:
        return chosen, settings
    number, count = options.shard
    if number > len(chosen.ids):
        raise ValueError(
            f"shard is {number}/{count}, but there are {len(chosen.ids)} images: give fewer shards"
        )
    return chosen.every(count, number - 1), {**settings, "shard": f"{number}/{count}"}


class Session:
    """Goes through the images in chunks; the first rank writes the rows as they are finished."""

    _ordered = False
    """Whether rows are written in the order of the images only."""

    def __init__(
        self,
        options: argparse.Namespace,
        ranks: Ranks,
        chosen: selection.Selection,
        settings: dict[str, Any],
        *,
        columns: Sequence[str],
        per_image: int | None,
        continuous: bool,
        each: int | None = None,
        before: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """Keep what the run needs; raise ValueError for a shard without images.

        `per_image` is the number of samples where it is fixed; `continuous` asks for images in
        float32 instead of uint8. `each` images are worked on at a time unless `options.chunk` says
        otherwise (default: 10 of a fixed number of samples, else 100). `before` gives lines to
        tell before the first image, if there is one to do.
        """
        self._before = before
        self._out = options.out
        self._extend = options.extend
        self._shard = options.shard
        self._continuous = continuous
        self._ranks = ranks
        self._whole = chosen
        self._chosen, self._settings = _sharded(options, chosen, settings)
        self._columns = columns
        self._per_image = per_image
        each = options.chunk or each or (100 if per_image is None else 10)
        self._chunk = each * ranks.world
        self._writer: log.Writer | None = None
        self._clock = 0.0
        self._drawn = 0

    def run(self, answer: Answer) -> None:
        """Write the rows that the log lacks."""
        try:
            with ExitStack() as stack:
                self._run(answer, stack)
        except KeyboardInterrupt as stop:
            total, kept = len(self._chosen.ids), log.complete_rows(self._out)
            stop.add_note(
                f"{kept} of {total} images are in {self._out.resolve()}; the same command goes on"
            )
            raise
        if self._ranks.rank == 0:
            print(f"{self._out.resolve()}: the log, its settings beside it")

    def _run(self, answer: Answer, stack: ExitStack) -> None:
        there = self._ranks.agree(lambda: self._open(stack))[0]
        todo = np.flatnonzero(~np.isin(self._chosen.ids, there))
        self._ranks.agree(lambda: self._tell(todo))
        bar = stack.enter_context(
            Progress(
                self._settings["command"],
                len(self._chosen.ids),
                len(there),
                per_image=self._per_image,
                world=self._ranks.world,
                shown=self._ranks.rank == 0,
            )
        )
        ready = _Ready(todo, ordered=self._ordered)
        for start in range(0, len(todo), self._chunk):
            rows = todo[start : start + self._chunk]
            parts = self._parts(rows[self._ranks.rank :: self._ranks.world], answer, bar.report)
            going = True
            while going:
                clock = time.monotonic()
                made = self._ranks.agree(partial(self._part, parts))
                going = any(more for *_, more in made)
                drawn = sum(samples for _, samples, _ in made)
                columns = ready.take([found for found, _, _ in made])
                self._ranks.agree(partial(self._write_part, columns, drawn, clock))
                bar.part_done(drawn, len(columns[_ROW]) if columns else 0)
        self._ranks.agree(self._finish)

    def _tell(self, todo: IntArray) -> None:
        """Let the first rank say what is worth knowing before the rows `todo` are made."""
        if self._ranks.rank == 0 and todo.size:
            for line in self._before():
                print(line, file=sys.stderr, flush=True)

    def _open(self, stack: ExitStack) -> list[int]:
        """Open the log on the first rank and return the images that have a row there."""
        if self._ranks.rank > 0:
            return []
        chosen = self._chosen
        images = list(zip(chosen.ids.tolist(), chosen.labels.tolist(), strict=True))
        self._writer = stack.enter_context(
            log.writing(
                self._out,
                self._columns,
                self._settings,
                images,
                self._follow(),
                ordered=self._ordered,
                grown=self._require_part if self._extend else None,
            )
        )
        return self._writer.there

    def _require_part(self, stored: dict[str, Any]) -> None:
        """Raise ValueError unless a log of the settings `stored` is a part of that of this run."""
        wanted = log_settings.as_stored(self._settings, " ".join(self._columns))
        log_settings.require_equal_but_for_images(self._out, stored, wanted)
        old = stored["data"]
        ids = np.array(log_settings.chosen({"data": old}), dtype=np.int64)
        part = self._whole.those(ids)
        own = np.isin(log_settings.chosen(stored), self._chosen.ids)
        if part is None or not own.all():
            raise ValueError(
                f"the log {self._out} has {old['images']} images, every {old['skip']} of the data "
                "set, and not all of them are images of this command: give a --skip and a "
                "--max-images that take them too"
            )
        if part.digest != old["sha256"]:
            raise ValueError(
                f"the log {self._out} was made with other images or labels: its {len(ids)} images "
                "have another digest here (data.sha256); give the same --data"
            )
        if self._ordered and not (ids == self._chosen.ids[: len(ids)]).all():
            raise ValueError(
                f"the log {self._out} has histograms, which stay in their order: give the --skip "
                f"of the log, {old['skip']}, and more --max-images"
            )

    def _follow(self) -> follows.Follow:
        """Return what computes the rows of the log again from their counts."""
        return follows.follow(self._settings)

    def _write(self, columns: Columns, timing: Mapping[str, object]) -> None:
        if self._writer is not None:
            self._writer.append(columns, timing)

    def _write_part(self, columns: Columns, drawn: int, clock: float) -> None:
        """Write rows that are finished, if there are any."""
        if not columns:
            return
        rows = columns[_ROW]
        own = {name: values for name, values in columns.items() if name != _ROW}
        own |= {"idx": self._chosen.ids[rows], "label": self._chosen.labels[rows]}
        own["correct"] = own["predict"] == own["label"]
        timing = {
            "images": own["idx"].tolist(),
            "samples": drawn,
            "seconds": round(time.monotonic() - clock, 3),
            "device": self._settings["device"],
            "processes": self._ranks.world,
        }
        self._write(own, timing)

    def _finish(self) -> None:
        if self._writer is not None and not self._ordered:
            self._writer.finish()

    def _due(self) -> bool:
        return time.monotonic() - self._clock >= EVERY

    def _parts(self, mine: IntArray, answer: Answer, report: Report) -> Iterator[Columns]:
        """Yield columns of finished images of `mine`, and among them their rows."""
        if not mine.size:
            return
        images = self._chosen.pixels(mine, continuous=self._continuous)

        def counted(samples: int, decided: int) -> None:
            self._drawn += samples
            report(samples, decided)

        for places, columns in answer(images, self._chosen.ids[mine], counted, self._due):
            yield {_ROW: mine[places], **columns}

    def _part(self, parts: Iterator[Columns]) -> tuple[Columns | None, int, bool]:
        """Return what this rank finishes next, the samples drawn for it, and whether more comes."""
        self._clock, self._drawn = time.monotonic(), 0
        found = next(parts, None)
        return found, self._drawn, found is not None


_ROW = " row"
"""The name of the column of rows, which no log has."""


class _Ready:
    """Puts finished images of all ranks together; `ordered` ones wait for those before them."""

    def __init__(self, todo: IntArray, *, ordered: bool) -> None:
        """Begin with the rows `todo`, of which none is finished."""
        self._todo, self._ordered = todo, ordered
        self._waiting: Columns = {}

    def take(self, parts: Sequence[Columns | None]) -> Columns:
        """Take parts in, and return the columns of the rows to be written; empty if there are none.

        They are given away in increasing order.
        """
        found = [part for part in (self._waiting, *parts) if part]
        if not found:
            return {}
        joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
        order = np.argsort(joined[_ROW])
        joined = {name: values[order] for name, values in joined.items()}
        rows, ready = joined[_ROW], len(order)
        if self._ordered:
            ready = int(np.cumprod(rows == self._todo[: len(rows)]).sum())
        self._waiting = {name: values[ready:] for name, values in joined.items()}
        self._todo = self._todo[ready:]
        return {name: values[:ready] for name, values in joined.items()} if ready else {}

"""What certify and predict share: preparing, going through the images, writing the log."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rs_lib.arguments import IntArray, integers
from rs_lib.commands import classifier, selection
from rs_lib.commands import options as shared
from rs_lib.commands.logs import follows, log
from rs_lib.commands.progress import Progress
from rs_lib.commands.ranks import Ranks
from rs_lib.machines.preprocessing import Preprocessed
from rs_lib.noise import LAWS, Continuous, Law, Rounded
from rs_lib.record import devices, digests, machine
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.sampling import Report

Columns = dict[str, npt.NDArray[Any]]
Answer = Callable[[torch.Tensor, IntArray, Report], Columns]
"""Columns of the log from images, their ids, and whom to report to."""


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A model, its images, and what they are smoothed with."""

    model: nn.Module
    chosen: selection.Selection
    noise: Law
    classes: int
    device: str


def prepare(options: argparse.Namespace, ranks: Ranks) -> Task:
    """Return the task that the shared options name; raise ValueError where they cannot be used."""
    chosen, device = images_and_device(options, ranks)
    noise = _noise(options, chosen)
    seen = noise.seen(tuple(chosen.images.shape[1:]))
    model = _smoothed(options, seen, is_table=chosen.is_table)
    classes = classifier.classes_of(model, seen, binary=True)
    require_labels(chosen, classes)
    return Task(model, chosen, noise, classes, device)


def _smoothed(options: argparse.Namespace, seen: tuple[int, ...], *, is_table: bool) -> nn.Module:
    """Return the whole function that is smoothed: denoiser, preprocessing, classifier."""
    steps = shared.preprocessing(options, seen)
    model = classifier.load(
        options.model, dict(options.arguments), options.weights, options.fingerprint
    )
    if is_table:
        model = nn.Sequential(nn.Flatten(), model).eval()  # features are rows [N, d] to the model
    if not steps.is_nothing:
        model = Preprocessed(model, steps)
    if options.denoiser is None:
        if options.denoiser_weights is not None:
            raise ValueError("denoiser-weights is given without --denoiser: give both or none")
        return model
    return classifier.denoised(model, options.denoiser, options.denoiser_weights, seen)


def executed(options: argparse.Namespace, task: Task) -> Executed:
    """Return the model of the task as the options want it executed."""
    return Executed(
        task.model,
        classes=task.classes,
        device=task.device,
        precision=options.precision,
        compile_model=options.compile,
    )


def images_and_device(options: argparse.Namespace, ranks: Ranks) -> tuple[selection.Selection, str]:
    """Return the images that the options name, and the device of this rank."""
    if options.chunk is not None:
        integers("chunk", options.chunk, least=1)
    device = ranks.device(options.device)
    devices.check(device)
    chosen = selection.select(
        options.data,
        skip=options.skip,
        most=options.max_images,
        form=selection.Form(
            levels=options.levels,
            side=options.side,
            keys=None if options.keys is None else tuple(options.keys),
            labelled=not options.unlabelled,
            quantise=options.quantise,
            continuous=bool(options.continuous),
        ),
    )
    return chosen, device


def require_labels(chosen: selection.Selection, classes: int) -> None:
    """Raise ValueError unless a model of `classes` logits can be right about the images."""
    if chosen.classes not in (None, classes):
        raise ValueError(
            f"model gives {classes} logits, but {chosen.name} has {chosen.classes} classes: "
            "give a model for this data set"
        )
    if chosen.labels.max() >= classes:
        raise ValueError(
            f"labels in {chosen.name} hold {chosen.labels.max()}, but the model knows the classes "
            f"0 to {classes - 1}: give labels in that range"
        )


def _noise(options: argparse.Namespace, chosen: selection.Selection) -> Law:
    """Return the law that the options name, rounded to pixel levels unless it is to be continuous.

    Raises ValueError that names the option which is missing.
    """
    kind = LAWS[options.noise]
    value = getattr(options, kind.parameter.option)
    if value is None:
        raise ValueError(f"noise is {options.noise}: give --{kind.parameter.option}")
    law = kind.for_images(value, tuple(chosen.images.shape[1:]), chosen.levels)
    if isinstance(law, Continuous) and not options.continuous:
        try:
            return Rounded(law, chosen.levels)
        except ValueError as error:  # most often a scale in grey levels
            raise ValueError(f"{error}; --scale is in units where white is 1") from error
    return law


def noise_header(
    options: argparse.Namespace, task: Task, executed: Executed, plan: Mapping[str, object]
) -> dict[str, Any]:
    """Return all settings on which the rows of a log of noisy votes depend, as JSON holds them."""
    noise, shape = task.noise, task.noise.seen(tuple(task.chosen.images.shape[1:]))
    logits = executed.probe(shape)
    return {
        "command": options.command,
        "alpha": options.alpha,
        **plan,
        "noise": {"law": noise.name, **noise.settings(), "norm": noise.norm},
        "guarantee": noise.guarantee,
        "seed": options.seed,
        "model": described_model(options, task.model, logits, task.classes),
        "data": described_data(options, task.chosen),
        "device": described_device(executed.device),
        "precision": executed.precision,
        "compiled": executed.compiled,
        "tile": executed.tile,
        "rows": executed.rows(shape),
        "versions": versions(),
        "code": digests.code_digest(["rs_lib.smoothing"], without=digests.keeps_books),
    }


def agreed_header(ranks: Ranks, header: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the settings of the log; raise ValueError if they are not equal on all ranks."""
    headers = ranks.agree(header)

    def compare() -> None:
        for rank, other in enumerate(headers):
            differing = [name for name in other if other[name] != headers[0][name]]
            if differing:
                raise ValueError(
                    f"{' and '.join(differing)} differ between process 0 and process {rank}: "
                    "let each build the same model (give --weights) on the same kind of machine"
                )

    ranks.agree(compare)
    return headers[0]


def described_model(
    options: argparse.Namespace, model: nn.Module, logits: str, classes: int
) -> dict[str, Any]:
    """Return what the header says of the model; `logits` is the digest of a probe's."""
    steps = next(
        (part.steps.settings() for part in model.modules() if isinstance(part, Preprocessed)), {}
    )
    return {
        "function": options.model,
        "arguments": {name: repr(value) for name, value in options.arguments},
        **({"fingerprint": options.fingerprint} if options.fingerprint else {}),
        **({"denoiser": options.denoiser} if options.denoiser else {}),
        **({"preprocessing": steps} if steps else {}),
        "sha256": classifier.digest(model),
        "logits": logits,
        "classes": classes,
    }


def described_data(options: argparse.Namespace, chosen: selection.Selection) -> dict[str, Any]:
    """Return what the header says of the images."""
    return {
        "name": chosen.name,
        "images": len(chosen.ids),
        "skip": options.skip,
        "shape": list(chosen.images.shape[1:]),
        "levels": chosen.levels,
        **({"quantised": True} if options.quantise else {}),
        "sha256": chosen.digest,
    }


def sharded(
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


def versions() -> dict[str, str]:
    """Return the versions on which a log's numbers may depend."""
    return machine.versions("rs_lib", "torch", "numpy", "scipy")


def described_device(device: torch.device) -> str:
    """Return the device in words: the last digits of logits depend on its kind and make."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {torch.backends.cpu.get_cpu_capability()}"


class Session:
    """Goes through the images in chunks; the first rank writes the log."""

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
        """Keep what the run needs.

        `per_image` is the number of samples where it is fixed; `continuous` asks for images in
        float32 instead of uint8. `each` images are written at a time unless `options.chunk` says
        otherwise (default: 10 of a fixed number of samples, else 100). `before` gives lines to
        tell before the first image, if there is one to do.
        """
        self._before = before
        self._out = options.out
        self._continuous = continuous
        self._ranks = ranks
        self._chosen = chosen
        self._columns = columns
        self._settings = settings
        self._per_image = per_image
        each = options.chunk or each or (100 if per_image is None else 10)
        self._chunk = each * ranks.world
        self._writer: log.Writer | None = None

    def run(self, answer: Answer) -> None:
        """Write the rows that the log lacks."""
        total = len(self._chosen.ids)
        with ExitStack() as stack:
            done = self._ranks.agree(lambda: self._open(stack))[0]
            self._ranks.agree(lambda: self._tell(done))
            bar = stack.enter_context(
                Progress(
                    self._settings["command"],
                    total,
                    done,
                    per_image=self._per_image,
                    world=self._ranks.world,
                    shown=self._ranks.rank == 0,
                )
            )
            for start in range(done, total, self._chunk):
                clock = time.monotonic()
                rows = np.arange(start, min(start + self._chunk, total))
                columns = self._answers(rows, answer, bar.report)
                samples = int(columns.pop("drawn").sum())
                timing = {
                    "images": [int(rows[0]), int(rows[-1]) + 1],
                    "samples": samples,
                    "seconds": round(time.monotonic() - clock, 3),
                    "device": self._settings["device"],
                    "processes": self._ranks.world,
                }
                self._ranks.agree(lambda c=columns, t=timing: self._write(c, t))  # type: ignore[misc]
                bar.chunk_done(samples, len(rows))
        if self._ranks.rank == 0:
            print(f"{self._out.resolve()}: the log, its settings beside it")

    def _tell(self, done: int) -> None:
        """Let the first rank say what is worth knowing before the rows behind `done` are made."""
        if self._ranks.rank == 0 and done < len(self._chosen.ids):
            for line in self._before():
                print(line, file=sys.stderr, flush=True)

    def _open(self, stack: ExitStack) -> int:
        """Open the log on the first rank and return its number of rows."""
        if self._ranks.rank > 0:
            return 0
        chosen = self._chosen
        images = list(zip(chosen.ids.tolist(), chosen.labels.tolist(), strict=True))
        self._writer = stack.enter_context(
            log.writing(self._out, self._columns, self._settings, images, self._follow())
        )
        return self._writer.rows

    def _follow(self) -> follows.Follow:
        """Return what computes the rows of the log again from their counts."""
        return follows.follow(self._settings)

    def _write(self, columns: Columns, timing: Mapping[str, object]) -> None:
        if self._writer is not None:
            self._writer.append(columns, timing)

    def _answers(self, rows: IntArray, answer: Answer, report: Report) -> Columns:
        """Return the columns of the images at `rows`, each rank having taken every world-th."""
        chosen, world = self._chosen, self._ranks.world
        mine = rows[self._ranks.rank :: world]

        def work() -> Columns:
            if not mine.size:
                return {}
            images = chosen.pixels(mine, continuous=self._continuous)
            return answer(images, chosen.ids[mine], report)

        parts = self._ranks.agree(work)
        columns: Columns = {"idx": chosen.ids[rows], "label": chosen.labels[rows]}
        for name in parts[0]:
            shape = (len(rows), *parts[0][name].shape[1:])
            columns[name] = np.empty(shape, dtype=parts[0][name].dtype)
            for rank, part in enumerate(parts):
                if part:
                    columns[name][rank::world] = part[name]
        columns["correct"] = columns["predict"] == columns["label"]
        return columns

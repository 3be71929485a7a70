"""Stages: the parts of a long run that are kept, so that an interrupted one goes on.

A kept stage may stand for what the present code would give. What makes sure of that:

- *Other inputs.* A stage is found by its name, its inputs and the device. Inputs say what things
  are, not only what they are called: a data set and a network by their digests.
- *Other code.* It is found by the version of the experiment and by the values of its witness too,
  to the last bit: where the witness gives other values the stage is not found. Edited text with
  the same witness throws nothing away.
- *Code that the witness does not reach.* In the experiment's own module a test (`test_coverage`)
  fails on lines that the witness leaves out without a reason. Below it, such code (a reader of
  another data set, kernels of another device) has tests of its own; whoever changes what it
  computes raises the experiment's version.

Each stage tells the digest of the code that made it, and a result those of its stages.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout

from rs_lib.record import checkpoint, digests, parallel, places
from rs_lib.record.checkpoint import NOTHING, Checkpoint
from rs_lib.record.devices import Meter
from rs_lib.record.memory import Peak

Values = dict[str, Any]
"""Tensors, numbers, strings and containers of them."""


class Resumable(Protocol):
    """Work that keeps its state in a checkpoint, and begins with what it finds there."""

    def __call__(self, *, checkpoint: Checkpoint) -> Values:
        """Do the work."""


@dataclass(frozen=True)
class Origin:
    """The experiment that a stage belongs to: its version, its witness's values, its code.

    `folder` is where stages are shared, by `code` and versions in the place of a witness.
    """

    version: int
    witness: dict[str, Any]
    code: str
    folder: Path | None = None


@dataclass(frozen=True)
class Log:
    """The stages that a run made and those of earlier runs that it took.

    `codes`: the digests of the code that made the latter, where it is another than the present.
    `values`: the digest of what each stage gave, by the name of its file, in their order.
    `earlier`: the seconds that the stages of earlier runs took, NaN where they do not tell.
    `peaks`: the most memory that those runs had taken then, as far as it is told.
    """

    made: set[Path] = field(default_factory=set)
    reused: set[Path] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    earlier: dict[Path, float] = field(default_factory=dict)
    peaks: dict[Path, Peak] = field(default_factory=dict)

    def sample(self, most: int = 32) -> dict[str, str]:
        """Return the digests of at most so many stages, evenly spaced, the first one included."""
        step = -(-len(self.values) // most) or 1
        return dict(list(self.values.items())[::step])


@dataclass(frozen=True)
class Context:
    """Where an experiment runs: the device, progress bars, and what its stages are kept by.

    Without an `origin` nothing is kept. The `meter` tells how much memory the run takes.
    """

    device: str = "cpu"
    progress: bool = False
    origin: Origin | None = None
    log: Log = field(default_factory=Log)
    meter: Meter | None = None

    # not in the witness: shows how far it is
    def tell(self, line: str) -> None:
        """Print `line` at once, where progress is asked for."""
        if self.progress:
            print(line, flush=True)

    def stage(
        self, name: str, inputs: Mapping[str, object], compute: Callable[[], Values]
    ) -> Values:
        """Return `compute()`, or what an earlier, perhaps interrupted, run kept of it.

        `inputs`: all that `compute` depends on besides the code and the device.
        """
        return self.training(name, inputs, lambda checkpoint: compute())

    def stages(
        self,
        name: str,
        works: Sequence[tuple[Mapping[str, object], Callable[[], Values]]],
        report: Callable[[int], object] = lambda done: None,
    ) -> list[Values]:
        """Return what `stage` returns for each of `works`: inputs and what computes.

        Processes that run the same at the same time, as under torchrun, share them: what another
        one is computing is left to it, and waited for at the end. `report` is told how many this
        process has gone through.
        """
        if self.origin is not None:
            for place, (inputs, compute) in enumerate(works):
                path = self.path(name, inputs)
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(Timeout), FileLock(path.with_suffix(".lock"), timeout=0):
                    self._keep(path, lambda checkpoint, work=compute: work())
                report(place + 1)
        return [self.stage(name, inputs, compute) for inputs, compute in works]

    def training(
        self, name: str, inputs: Mapping[str, object], compute: Resumable, *, joint: bool = False
    ) -> Values:
        """As `stage`, of work that can go on where it was killed.

        `compute` gets the checkpoint to keep its state in, which is removed once it is done. With
        `joint` all processes that torchrun started do it together; their number is an input then,
        since sums are rounded in another order.
        """
        ranks = parallel.world() if joint else 1
        if self.origin is None:
            return compute(checkpoint=NOTHING)
        path = self.path(name, inputs if ranks == 1 else {**inputs, "processes": ranks})
        path.parent.mkdir(parents=True, exist_ok=True)
        if ranks > 1:
            self._keep_jointly(path, compute)
        else:
            # Whoever wants the same at the same time waits for it.
            with FileLock(path.with_suffix(".lock")):
                self._keep(path, compute)
        kept = checkpoint.load(path)
        if path not in self.log.made:
            self.log.reused.add(path)
            self.log.earlier[path] = kept.get("seconds", math.nan)
            self.log.peaks[path] = kept.get("memory", {})
        self.log.codes.update({kept["code"]} - {self.origin.code})
        value: Values = kept["value"]
        self.log.values[path.stem] = digest(value)
        return value

    def _keep(self, path: Path, compute: Resumable, *, writes: bool = True) -> None:
        """Compute what `path` is to hold, unless it holds it; only with the lock."""
        assert self.origin is not None
        unfinished = Checkpoint(path.with_suffix(".unfinished"), writes)
        if not path.is_file():
            start = time.monotonic()
            made = compute(checkpoint=unfinished)
            seconds = time.monotonic() - start
            self.log.made.add(path)
            if writes:
                done = {"value": made, "code": self.origin.code, "seconds": seconds}
                memory = self.meter.peak() if self.meter else {}
                checkpoint.save(path, {**done, "memory": memory})
        unfinished.remove()

    def _keep_jointly(self, path: Path, compute: Resumable) -> None:
        """Let all processes compute what `path` is to hold, and the first of them keep it."""
        first = parallel.rank() == 0
        with FileLock(path.with_suffix(".lock")) if first else nullcontext():
            parallel.barrier()
            if not path.is_file():
                self._keep(path, compute, writes=first)
            parallel.barrier()

    def path(self, name: str, inputs: Mapping[str, object]) -> Path:
        """Return where a stage is kept; only for a context with an `origin`."""
        assert self.origin is not None
        key = [name, dict(inputs), self.device, self.origin.version, self.origin.witness]
        mark = digests.sha256(digests.canonical_json(key))[:16]
        return (self.origin.folder or places.HERE.stages) / f"{name}-{mark}.pt"


def digest(values: Values) -> str:
    """Return 16 digits of the SHA-256 digest of what a stage gave, to the last bit."""
    return digests.sha256(digests.canonical_json(_hashed(values)))[:16]


def _hashed(value: Any) -> Any:
    """Return `value` with digests in the place of tensors."""
    if isinstance(value, torch.Tensor):
        octets = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return [str(value.dtype), list(value.shape), digests.sha256(octets)]
    if isinstance(value, dict):
        return {str(name): _hashed(part) for name, part in value.items()}
    return [_hashed(part) for part in value] if isinstance(value, list | tuple) else value

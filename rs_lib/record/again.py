"""One stage of a stored result, computed again: does the code still give what it gave then?

A stage can be computed alone where all before it are kept on this machine. It is compared with
what is kept of it, with its digest in the result, or with the values of the result among which
what it gives must stand: counts exactly, floats as `witness.agree` has it, digests to the bit.
"""

import random
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rs_lib.record import checkpoint, devices, machine, witness
from rs_lib.record.checkpoint import NOTHING
from rs_lib.record.result import Result
from rs_lib.record.stage import Context, Origin, Resumable, Values, digest

Compute = Callable[[Context], Any]


class _ComputedError(Exception):
    """Ends a replay: carries what the chosen stage gave."""


class _MissingError(Exception):
    """Ends a survey at the first stage that is not kept."""


class _LateError(BaseException):
    """The time is over: no handler of errors on the way, such as that of a model's, may take it."""


@dataclass(frozen=True)
class _Replay(Context):
    """Takes what is kept; without a `chosen` stage it ends where something is missing."""

    chosen: Path | None = None
    seen: list[Path] = field(default_factory=list)

    def stages(
        self,
        name: str,
        works: Sequence[tuple[Mapping[str, object], Callable[[], Values]]],
        report: Callable[[int], object] = lambda done: None,
    ) -> list[Values]:
        """Return what `stage` returns for each of `works`; none is computed ahead."""
        return [self.stage(name, inputs, compute) for inputs, compute in works]

    def training(
        self, name: str, inputs: Mapping[str, object], compute: Resumable, *, joint: bool = False
    ) -> Values:
        """Return what is kept of a stage, or compute it if it is the chosen one or within that."""
        path = self.path(name, inputs)
        self.seen.append(path)
        if path.is_file() and path != self.chosen:
            value: Values = checkpoint.load(path)["value"]
            return value
        if self.chosen is None:
            raise _MissingError
        made = compute(checkpoint=NOTHING)
        if path == self.chosen:
            raise _ComputedError(made)
        return made


def one_stage(
    compute: Compute,
    origin: Origin,
    stored: Result,
    *,
    device: str,
    seed: int,
    seconds: float,
    absent: type[Exception],
) -> str:
    """Compute one stage of the run `stored` again, drawn by `seed`, and say what came of it.

    `compute` runs the experiment with the parameters of `stored`. Drawn is from the stages kept
    here and the first one that is not. Nothing is stored. After about `seconds` it gives up, and
    says so, as where `absent` or an OSError tells that data are not to be had here. Raises
    ValueError if the stage gives something else now; what it fails with goes through.
    """
    try:
        with _limit(seconds):
            stages = _survey(compute, device, origin)
            if not stages:
                return "it keeps no stages"
            chosen = random.Random(seed).choice(stages)  # noqa: S311
            value = _computed(compute, device, origin, chosen)
    except _LateError:
        return f"no stage was computed again: none was done after {seconds:g} s"
    except (OSError, absent) as error:
        return f"no stage was computed again: {error}"
    agrees, beside = _compared(chosen, value, stored, device)
    if agrees is None:
        return f"stage {chosen.stem} was computed again, but {beside}"
    if not agrees:
        raise ValueError(
            f"stage {chosen.stem} gives other values now than {beside}: "
            f"run {stored.content['experiment']} again, or mend the code"
        )
    return f"stage {chosen.stem}, of {len(stages)}, agrees with {beside}"


def _survey(compute: Compute, device: str, origin: Origin) -> list[Path]:
    """Return the stages that can be computed alone: those kept, and the first that is not."""
    replay = _Replay(device, origin=origin)
    with suppress(_MissingError):
        compute(replay)
    return list(dict.fromkeys(replay.seen))


def _computed(compute: Compute, device: str, origin: Origin, chosen: Path) -> Values:
    try:
        compute(_Replay(device, origin=origin, chosen=chosen))
    except _ComputedError as done:
        value: Values = done.args[0]
        return value
    raise RuntimeError(f"stage {chosen.stem} was not reached: the run takes another way now")


def _compared(path: Path, value: Values, stored: Result, device: str) -> tuple[bool | None, str]:
    """Return whether `value` agrees, None if that cannot be told, and with what, or why not."""
    if path.is_file():
        kept = checkpoint.load(path)["value"]
        return witness.agree(_plain(kept), _plain(value)), "what is kept of it"
    here = machine.versions(*stored.run["versions"])
    if (stored.run["device"], stored.run["versions"]) != (devices.described(device), here):
        return None, "the result is of another machine or other versions, whose floats may differ"
    recorded = stored.run.get("stages", {}).get(path.stem)
    if recorded is not None:
        return digest(value) == recorded, "its digest in the result"
    share = {name: _plain(part) for name, part in value.items() if not _tensors(part)}
    found = stands_in(stored.values, share) if share else None
    if found is None:
        return None, "that is a step on the way: the result holds nothing to compare it with"
    return found, "the values of the result"


def stands_in(values: Any, share: Mapping[str, Any]) -> bool | None:
    """Return whether some dictionary within `values` holds what `share` does.

    That is each of its entries; of a list perhaps a longer one, of which it is a part in a row.
    None if no dictionary has entries of all these names.
    """
    named = [whole for whole in _dictionaries(values) if share.keys() <= whole.keys()]
    return any(_holds(whole, share) for whole in named) if named else None


def _dictionaries(values: Any) -> Iterator[dict[str, Any]]:
    if isinstance(values, dict):
        yield values
    if isinstance(values, dict | list):
        for part in values.values() if isinstance(values, dict) else values:
            yield from _dictionaries(part)


def _holds(whole: Any, part: Any) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and _holds(whole[name], part[name]) for name in part)
    if not (isinstance(whole, list) and isinstance(part, list)):
        return witness.agree(whole, part)
    if len(whole) == len(part) and all(map(_holds, whole, part)):
        return True
    starts = range(len(whole) - len(part) + 1)
    return any(witness.agree(whole[start : start + len(part)], part) for start in starts)


def _tensors(value: Any) -> bool:
    """Return whether `value` is a tensor, or a dictionary of tensors."""
    return isinstance(value, torch.Tensor) or (
        isinstance(value, dict) and all(_tensors(part) for part in value.values())
    )


def _plain(value: Any) -> Any:
    """Return `value` as lists, numbers and strings."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise _LateError within, about `seconds` from now."""

    def stop(*_: object) -> None:
        raise _LateError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""What an experiment is: typed parameters per profile, a witness, a stored result."""

import dataclasses
import importlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rs_lib.arguments import shown
from rs_lib.record import again, devices, digests, machine, memory, places, result, witness
from rs_lib.record.result import Content, Result, Run
from rs_lib.record.stage import Context, Origin

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn")


def _changed(parameters: Any, name: str, path: str, value: object) -> Any:
    """Return `parameters` with the (perhaps dotted) field `path` set to `value`."""
    head, _, rest = path.partition(".")
    known = [field.name for field in dataclasses.fields(parameters)]
    if head not in known:
        raise ValueError(f"parameter {name!r} is unknown: {head!r} is none of {', '.join(known)}")
    default = getattr(parameters, head)
    if rest and not dataclasses.is_dataclass(default):
        raise ValueError(f"parameter {name!r} is unknown: {head!r} has no parts")
    if rest:
        value = _changed(default, name, rest, value)
    if not _same_type(value, default):
        raise ValueError(
            f"parameter {name} is {shown(value)}: give a {type(default).__name__}, "
            f"such as {shown(default)}"
        )
    try:
        return dataclasses.replace(parameters, **{head: value})
    except ValueError as error:  # a part that checks itself knows its own field only
        raise ValueError(f"parameter {name.removesuffix(path)}{error}") from error


def _same_type(value: object, default: object) -> bool:
    if isinstance(value, tuple) and isinstance(default, tuple):
        return {type(part) for part in value} <= {type(part) for part in default}
    return type(value) is type(default)


@dataclass(frozen=True)
class Experiment:
    """A named computation.

    `module` is the defining module, whose last part with hyphens is the name; `profiles`
    maps a profile to a frozen dataclass of parameters; `compute` takes such parameters
    and a `Context` and returns a mapping that JSON can hold. `witness` holds parameters of a run
    of seconds through the same code; `version` is raised where results are meant to change.
    """

    module: str
    profiles: Mapping[str, Any]
    compute: Callable[[Any, Context], dict[str, Any]]
    witness: Any
    version: int = 1

    @property
    def name(self) -> str:
        """The experiment's name on the command line and in file names."""
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def code(self) -> str:
        """The digest of the text of the code that the result depends on."""
        return digests.code_digest([self.module], without=digests.keeps_books)

    def parameters(self, profile: str, changes: Mapping[str, object] | None = None) -> Any:
        """Return the profile's parameters with `changes`.

        Raises ValueError that names an unknown profile or parameter, a value of a wrong type, or
        one outside of its bounds.
        """
        if profile not in self.profiles:
            raise ValueError(f"profile is {profile!r}: give one of {', '.join(self.profiles)}")
        parameters = self.profiles[profile]
        for name, value in (changes or {}).items():
            parameters = _changed(parameters, name, name, value)
        if changes:
            # By name: bounds decide no value, so that no result depends on their code.
            bounds = importlib.import_module(f"{self.module.rpartition('.')[0]}.bounds")
            bounds.check(self.name, parameters)
        return parameters

    def run(
        self,
        profile: str,
        *,
        device: str = "cpu",
        changes: Mapping[str, object] | None = None,
        keep_stages: bool = False,
        progress: bool = False,
    ) -> Result:
        """Compute the experiment anew and return its result; nothing is stored.

        With `keep_stages` a run that was interrupted goes on where it stopped.
        """
        parameters = self.parameters(profile, changes)
        devices.check(device)
        # Before the work, since code may change meanwhile.
        code = self.code
        context = self.context(device, keep_stages=keep_stages, progress=progress)
        context = dataclasses.replace(context, meter=devices.Meter(device))
        started = datetime.now(UTC)
        clock = time.monotonic()
        values = self.compute(parameters, context)
        content: Content = {
            "experiment": self.name,
            "profile": profile,
            "parameters": dataclasses.asdict(parameters),
            "values": values,
        }
        # One pass through JSON: tuples become lists here as they do in a stored result.
        content = json.loads(digests.canonical_json(content))
        run = self._told(context, started, time.monotonic() - clock, code)
        if keep_stages and context.origin is not None and witness.possible():
            run["witness"] = context.origin.witness
        return Result(content, run)

    def _told(self, context: Context, started: datetime, wall: float, code: str) -> Run:
        """Return what is told of a run that took `wall` seconds, but for its witness."""
        run: Run = {
            "device": devices.described(context.device),
            "started": started.isoformat(timespec="seconds"),
            "wall_seconds": round(wall, 1),
            "stages_reused": len(context.log.reused),
            "stage_codes": sorted(context.log.codes),
            "stages": context.log.sample(),
            "commit": machine.commit(),
            "versions": machine.versions(*PACKAGES),
            "version": self.version,
            "code": code,
        }
        work = wall + sum(context.log.earlier.values())
        if not math.isnan(work):
            run["work_seconds"] = round(work, 1)
        own = context.meter.peak() if context.meter else {}
        peak = memory.highest([own, *context.log.peaks.values()])
        if peak:
            run["peak_memory"] = peak
        return run

    def context(
        self, device: str = "cpu", *, keep_stages: bool = False, progress: bool = False
    ) -> Context:
        """Return a context of this experiment; with `keep_stages` its witness runs if need be.

        Without, the chapters of a build share their stages, and nothing else is kept.
        """
        return Context(device, progress, self._origin() if keep_stages else self._shared())

    def within(self, context: Context) -> Context:
        """Return `context` for stages of this experiment, which another one needs.

        So both find them, and the witness of this experiment vouches for them.
        """
        if context.origin is None:
            return context
        origin = self._origin() if context.origin.folder is None else self._shared()
        return dataclasses.replace(context, origin=origin)

    def _shared(self) -> Origin | None:
        folder = os.environ.get(places.SHARED_VARIABLE)
        return Origin(self.version, self._text(), self.code, Path(folder)) if folder else None

    def _origin(self) -> Origin:
        values = self.witnessed() if witness.possible() else self._text()
        return Origin(self.version, values, self.code)

    def _text(self) -> dict[str, Any]:
        """Return what stages are known by where no witness runs: the code to the letter."""
        return {"code": self.code, "versions": machine.versions(*PACKAGES)}

    def witnessed(self) -> dict[str, Any]:
        """Return what the witness gives with the present code."""
        return witness.values(self.name, self.code)

    def path(self, profile: str) -> Path:
        """Return where the stored result of `profile` lies."""
        return places.HERE.results / f"{self.name}.{profile}.json"

    def store(self, made: Result, folder: Path | None = None, *, record: bool = False) -> Path:
        """Write the result `made` atomically and return the file's path.

        Without a `folder` the result of a profile becomes the recorded one. That of changed
        parameters gets a name of its own and goes to a place of its own, unless it is to be the
        `record`.
        """
        path = self.path(made.content["profile"])
        if self.reductions(made) and not record:
            mark = digests.sha256(digests.canonical_json(made.parameters))[:8]
            path = places.HERE.changed / f"{path.stem}.{mark}.json"
        path = path if folder is None else folder / path.name
        run: Run = {**made.run}
        if "witness" not in run and witness.possible():
            run["witness"] = self.witnessed()
        Result(made.content, run).write(path)
        return path

    def require_present(self, made: Result) -> None:
        """Raise ValueError unless the present code gives what `made`, of another machine, holds.

        It does if the code is the same to the letter, or its witness agrees with that of `made`;
        with a witness in `made` that disagrees it never does.
        """
        content, run = made.content, made.run
        self.parameters(content["profile"], self._used(made))
        told = made.run.get("witness")
        false = (
            told is not None and witness.possible() and not witness.agree(told, self.witnessed())
        )
        if self.stale(made) or false:
            raise ValueError(
                f"the result of {content['experiment']}, profile {content['profile']}, was made by "
                f"other code (commit {run['commit']}), whose witness gives other values: run it "
                "with this code"
            )

    def vouch(
        self,
        profile: str,
        *,
        device: str = "cpu",
        seed: int,
        seconds: float,
        absent: type[Exception],
    ) -> str:
        """Say of the stored result of `profile` that the present code would give it too.

        Its witness runs again, and one of its stages, if that takes no more than `seconds`: the
        text returned says what came of it (see `rs_lib.record.again`); `absent` is the error of
        data that are not to be had. Raises ValueError, and changes nothing, where the result is
        stale or the stage gives something else.
        """
        stored, origin = self.recorded(profile), self._origin()
        if self.stale(stored) or not witness.agree(stored.run.get("witness"), origin.witness):
            raise ValueError(
                f"{self.path(profile).name} is stale: run {self.name} again, or mend the code"
            )
        parameters = self.parameters(profile, self._used(stored))
        told = again.one_stage(
            lambda context: self.compute(parameters, context),
            origin,
            stored,
            device=device,
            seed=seed,
            seconds=seconds,
            absent=absent,
        )
        self.store(Result(stored.content, {**stored.run, "code": self.code}), record=True)
        return told

    def _used(self, stored: Result) -> dict[str, object]:
        """Return the parameters of `stored` that are not its profile's."""
        return {name: _tupled(value) for name, (value, _) in self.reductions(stored).items()}

    def recorded(self, profile: str = "full") -> Result:
        """Return the stored result of `profile`; FileNotFoundError says how to make it."""
        path = self.path(profile)
        if not path.is_file():
            raise FileNotFoundError(
                f"no stored result {path.name}: run "
                f"`python -m rs_lib run {self.name} --profile {profile}`"
            )
        return result.read(path)

    def stale(self, stored: Result) -> bool:
        """Return whether the experiment would give other values now.

        So it does if its version was raised since `stored` was computed, or its witness differs.
        Where no witness can run, other code counts as another result.
        """
        if stored.run["version"] != self.version:
            return True
        if stored.run["code"] == self.code:
            return False
        if not witness.possible():
            return True
        return not witness.agree(stored.run.get("witness"), self.witnessed())

    def reductions(self, made: Result) -> dict[str, tuple[object, object]]:
        """Return the parameters that differ from the profile's: name to (used, profile's).

        One that only one of the two has stands with None for the other.
        """
        profile = dataclasses.asdict(self.profiles[made.content["profile"]])
        asked = _flat(json.loads(digests.canonical_json(profile)))
        used = _flat(made.parameters)
        return {
            name: (used.get(name), asked.get(name))
            for name in asked | used
            if used.get(name) != asked.get(name)
        }


def _tupled(value: object) -> object:
    """Return `value` with tuples for the lists that JSON made of them."""
    return tuple(_tupled(part) for part in value) if isinstance(value, list) else value


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        inner = (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
        flat.update(inner)
    return flat

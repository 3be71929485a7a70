"""What an experiment is: typed parameters per profile, resumable stages, a stored result."""

import dataclasses
import importlib
import io
import json
import pkgutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rs_lib import provenance
from rs_lib.arguments import shown
from rs_lib.experiments import witness

RESULTS = provenance.ROOT / "book" / "results"
BOUNDS = "rs_lib.experiments.bounds"
STAGES = provenance.ROOT / "_build" / "stages"
CHANGED = provenance.ROOT / "_build" / "results"
"""Where results of changed parameters go: they never take the place of a recorded one."""

NO_EXPERIMENTS = ("experiment", "bounds", "witness")
# Modules that keep books and compute no value.
BOOKKEEPING = (
    *("rs_lib", "rs_lib.arithmetic", "rs_lib.provenance", "rs_lib.experiments"),
    *("rs_lib.experiments.witness", __name__),
)
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Context:
    """Where an experiment runs: the device, whether finished stages are kept, progress bars.

    `made` collects the stages that this run computed, `reused` those that an earlier one kept.
    """

    device: str = "cpu"
    keep_stages: bool = False
    progress: bool = False
    made: set[Path] = field(default_factory=set)
    reused: set[Path] = field(default_factory=set)

    def stage(
        self, name: str, inputs: Mapping[str, object], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return `compute()`, or what an earlier, perhaps interrupted, run kept of it.

        A kept stage is found by its name, `inputs`, the code that `compute` reaches and
        the kind of device; it holds tensors, numbers, strings and containers of them.
        """
        if not self.keep_stages:
            return compute()
        function = compute.func if isinstance(compute, partial) else compute
        code = provenance.code_digest([function.__module__], without=BOOKKEEPING)
        key = provenance.canonical_json([name, dict(inputs), code, self.device])
        path = STAGES / f"{name}-{provenance.sha256(key)[:16]}.pt"
        if path.is_file():
            self.reused.update({path} - self.made)
            kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return kept
        value = compute()
        self.made.add(path)
        buffer = io.BytesIO()
        torch.save(value, buffer)
        provenance.write_atomically(path, buffer.getvalue())
        return value


@dataclass(frozen=True)
class Result:
    """An experiment's outcome: `content` is equal on every re-run, `run` tells of this one."""

    content: dict[str, Any]
    run: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the run."""
        return dict(self.content["parameters"])

    @property
    def values(self) -> dict[str, Any]:
        """The measured values."""
        return dict(self.content["values"])

    @property
    def digest(self) -> str:
        """The SHA-256 digest of the content."""
        return provenance.sha256(provenance.canonical_json(self.content))


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
    return dataclasses.replace(parameters, **{head: value})


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
        return provenance.code_digest([self.module], without=BOOKKEEPING)

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
            # By name, as `find`: bounds decide no value, so that no result depends on their code.
            importlib.import_module(BOUNDS).check(self.name, parameters)
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
        check_device(device)
        # Before the work, since code may change meanwhile. What is to be stored keeps its stages.
        made: dict[str, Any] = {"version": self.version, "code": self.code}
        if keep_stages:
            made["witness"] = witness.values(self)
        started = datetime.now(UTC)
        clock = time.monotonic()
        context = Context(device, keep_stages, progress)
        values = self.compute(parameters, context)
        content = {
            "experiment": self.name,
            "profile": profile,
            "parameters": dataclasses.asdict(parameters),
            "values": values,
        }
        # One pass through JSON: tuples become lists here as they do in a stored result.
        content = json.loads(provenance.canonical_json(content))
        run = {
            "device": describe_device(device),
            "started": started.isoformat(timespec="seconds"),
            "wall_seconds": round(time.monotonic() - clock, 1),
            "stages_reused": len(context.reused),
            "commit": provenance.commit(),
            "versions": provenance.versions(*PACKAGES),
            **made,
        }
        return Result(content, run)

    def witnessed(self) -> dict[str, Any]:
        """Compute the witness here and now, in the form that JSON holds."""
        values = self.compute(self.witness, Context())
        found: dict[str, Any] = json.loads(provenance.canonical_json(values))
        return found

    def path(self, profile: str) -> Path:
        """Return where the stored result of `profile` lies."""
        return RESULTS / f"{self.name}.{profile}.json"

    def store(self, result: Result, folder: Path | None = None, *, record: bool = False) -> Path:
        """Write `result` atomically and return the file's path.

        Without a `folder` the result of a profile becomes the recorded one. That of changed
        parameters gets a name of its own and goes to `CHANGED`, unless it is to be the `record`.
        """
        path = self.path(result.content["profile"])
        if self.reductions(result) and not record:
            mark = provenance.sha256(provenance.canonical_json(result.parameters))[:8]
            path = CHANGED / f"{path.stem}.{mark}.json"
        path = path if folder is None else folder / path.name
        result = Result(result.content, {"witness": witness.values(self), **result.run})
        provenance.write_atomically(
            path, provenance.readable_json({"content": result.content, "run": result.run})
        )
        return path

    def vouch(self, profile: str) -> None:
        """Say of the stored result of `profile` that the present code would give it too.

        Raises ValueError, and changes nothing, where the result is stale.
        """
        result = self.recorded(profile)
        if self.stale(result):
            raise ValueError(
                f"{self.path(profile).name} is stale: run {self.name} again, or mend the code"
            )
        self.store(Result(result.content, {**result.run, "code": self.code}), record=True)

    def recorded(self, profile: str = "full") -> Result:
        """Return the stored result of `profile`; FileNotFoundError says how to make it."""
        path = self.path(profile)
        if not path.is_file():
            raise FileNotFoundError(
                f"no stored result {path.name}: run "
                f"`python -m rs_lib run {self.name} --profile {profile}`"
            )
        stored = json.loads(path.read_text())
        return Result(stored["content"], stored["run"])

    def stale(self, result: Result) -> bool:
        """Return whether the experiment would give other values now.

        So it does if its version was raised since `result` was computed, or its witness differs.
        """
        if result.run["version"] != self.version:
            return True
        if result.run["code"] == self.code:
            return False
        return not witness.agree(result.run.get("witness"), witness.values(self))

    def reductions(self, result: Result) -> dict[str, tuple[object, object]]:
        """Return the parameters that differ from the profile's: name to (used, profile's)."""
        profile = dataclasses.asdict(self.profiles[result.content["profile"]])
        asked = _flat(json.loads(provenance.canonical_json(profile)))
        used = _flat(result.parameters)
        return {
            name: (used.get(name), asked[name]) for name in asked if used.get(name) != asked[name]
        }


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        inner = (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
        flat.update(inner)
    return flat


def check_device(device: str) -> None:
    """Raise ValueError with the remedy if torch cannot use `device` here."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device is {device!r}: torch cannot use it here; "
            "give cpu, or cuda where there is a GPU"
        ) from error


def describe_device(device: str) -> str:
    """Return the device's name in words."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return provenance.processor()


def names() -> list[str]:
    """Return the names of all experiments."""
    import rs_lib.experiments

    modules = (module.name for module in pkgutil.iter_modules(rs_lib.experiments.__path__))
    return sorted(name.replace("_", "-") for name in modules if name not in NO_EXPERIMENTS)


def find(name: str) -> Experiment:
    """Return the experiment called `name`, or raise ValueError that lists the names."""
    if name not in names():
        raise ValueError(f"experiment is {name!r}: give one of {', '.join(names())}")
    module = importlib.import_module(f"rs_lib.experiments.{name.replace('-', '_')}")
    experiment: Experiment = module.experiment
    return experiment

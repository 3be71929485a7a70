"""The commands `list`, `run`, `collect`, `vouch` and `witness`: the book's experiments."""

import argparse
import binascii
import dataclasses
import os
import secrets
import tempfile
from json import JSONDecodeError
from lzma import LZMAError
from math import inf
from pathlib import Path
from typing import Any

import torch

from rs_lib import experiments
from rs_lib.arguments import positive, shown
from rs_lib.commands.given import assigned
from rs_lib.commands.options import assignment, place
from rs_lib.commands.plan import duration
from rs_lib.commands.ranks import PATIENCE, joined
from rs_lib.commands.run_all import run_all
from rs_lib.machines.data import DataError
from rs_lib.record import devices, digests, places, result
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result, Run
from rs_lib.record.stage import Context

_NO_RESULT = (
    *(KeyError, TypeError, AttributeError, UnicodeDecodeError, JSONDecodeError),
    *(binascii.Error, LZMAError, EOFError, RecursionError),
)


def add_to(commands: Any) -> None:
    """Add the commands to a parser's `commands`."""
    show = commands.add_parser("list")
    show.set_defaults(execute=_list)
    run = commands.add_parser(
        "run",
        description="Run an experiment and store its result as JSON. An interrupted run that is "
        "started again goes on where it stopped. With --all: run what is due, which is what has "
        "no result of the profile, a stale one, or one of less than the profile asks for.",
        epilog="examples: python -m rs_lib run certified-accuracy --profile full --device cuda; "
        "python -m rs_lib run --all --profile full --budget 12m",
    )
    run.set_defaults(execute=_run)
    run.add_argument("experiment", nargs="?", help="its name, as `list` shows it")
    run.add_argument("--all", action="store_true", help="run all experiments that are due")
    run.add_argument(
        "--budget",
        metavar="TIME",
        help="with --all: most time, such as 90s, 12m or 1h30m; what was begun then is kept",
    )
    run.add_argument("--dry-run", action="store_true", help="with --all: only print the plan")
    run.add_argument(
        "--profile",
        default="quick",
        help="quick: digits, about a minute; full: the paper's scale; others as list shows them",
    )
    run.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU")
    run.add_argument(
        "--set",
        dest="changes",
        metavar="NAME=VALUE",
        action="append",
        type=assignment,
        default=[],
        help="change one parameter of the profile; the result says so (repeatable)",
    )
    run.add_argument(
        "--out",
        type=place,
        metavar="FOLDER",
        help="where the result goes (default: the book's stored results; with --set a place and a "
        "name of its own below _build)",
    )
    run.add_argument(
        "--record",
        action="store_true",
        help="with --set: let it be the recorded result of the profile all the same",
    )
    collect = commands.add_parser(
        "collect",
        description="Check the results in a folder, which `run --out FOLDER` made on another "
        "machine, and store them as the book's: the present code must be the one that made them, "
        "or have a witness that agrees. If one of them fails, none is taken. That their values "
        "are what the code gives is believed; vouch computes a part of them again.",
    )
    collect.set_defaults(execute=_collect)
    collect.add_argument("folder", type=place, metavar="FOLDER")
    collect.add_argument(
        "--record",
        action="store_true",
        help="take results of less than their profile asks for, too",
    )
    vouch = commands.add_parser(
        "vouch",
        description="Run the witness of an experiment, a run of seconds, and compare its values "
        "with those that the stored results hold. Then compute one stage of each result again, "
        "drawn at random from those that are kept on this machine and the first that is not. "
        "Where all agrees, the results are stamped with the present code; else they are stale.",
    )
    vouch.set_defaults(execute=_vouch)
    vouch.add_argument("experiment", nargs="*", help="its name (default: all)")
    vouch.add_argument("--seed", type=int, help="of the draw (default: a new one, which is shown)")
    vouch.add_argument(
        "--seconds", type=float, default=60.0, help="most time for the stage of a result"
    )
    vouch.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU")
    show = commands.add_parser("witness")
    show.set_defaults(execute=_witness)
    show.add_argument("experiment", help="its name, as `list` shows it")


def _list(options: argparse.Namespace) -> None:
    for name in experiments.names():
        print(name)
        for profile, parameters in experiments.find(name).profiles.items():
            settings = dataclasses.asdict(parameters).items()
            print(f"  {profile}: " + ", ".join(f"{key}={value!r}" for key, value in settings))


def _run(options: argparse.Namespace) -> int:
    if options.all:
        return _run_all(options)
    if options.experiment is None:
        raise ValueError("experiment is missing: give its name, or --all")
    if options.budget is not None or options.dry_run:
        raise ValueError("budget and dry-run go with --all: leave them out")
    experiment = experiments.find(options.experiment)
    changes = assigned("set", options.changes)
    experiment.parameters(options.profile, changes)
    if options.record and not (changes and options.out is None):
        raise ValueError(
            "record is given: it goes with --set and without --out, leave --record out"
        )
    target = experiment.path(options.profile)
    _require_writable(options.out or target.parent, target.name)
    with joined(PATIENCE) as ranks:
        if ranks.world > 1 and options.device == "cuda":
            torch.cuda.set_device(ranks.local)
        made = experiment.run(
            options.profile,
            device=options.device,
            changes=changes,
            keep_stages=True,
            progress=ranks.rank == 0,
        )
        if ranks.rank == 0:
            path = experiment.store(made, options.out, record=options.record)
            took = f"{made.run['wall_seconds']} s on {made.run['device']}"
            print(f"{path.resolve()}: stored after {took}")
    return 0


def _run_all(options: argparse.Namespace) -> int:
    if options.experiment is not None:
        raise ValueError(f"experiment is {options.experiment!r}: with --all leave it out")
    if "WORLD_SIZE" in os.environ:
        raise ValueError("all is given: torchrun runs one experiment, name it")
    if options.changes or options.record:
        raise ValueError("set and record are for one experiment: with --all leave them out")
    devices.check(options.device)
    budget = inf if options.budget is None else duration(options.budget)
    _require_writable(options.out or places.HERE.results, "a.json")
    return run_all(options.profile, options.device, budget, options.out, dry=options.dry_run)


def _collect(options: argparse.Namespace) -> None:
    places.HERE.require_checkout("record of the book")
    paths = sorted(options.folder.glob("*.json"))
    if not paths:
        raise ValueError(f"folder is {str(options.folder)!r}: give one that holds results (*.json)")
    found = [(path, *_checked(path, options.record)) for path in paths]
    places_of: dict[Path, Path] = {}
    for path, experiment, made in found:
        other = places_of.setdefault(experiment.path(made.content["profile"]), path)
        if other != path:
            raise ValueError(f"{other.name} and {path.name} are results of one profile: leave one")
    for path, experiment, made in found:
        print(f"{path.name}: stored as {experiment.store(made, record=True)}")


def _checked(path: Path, record: bool) -> tuple[Experiment, Result]:
    """Return a result and its experiment; ValueError if it cannot be taken."""
    try:
        made = result.read(path)
        _require_storable(made)
        experiment = experiments.find(made.content["experiment"])
        experiment.parameters(made.content["profile"])
        if not made.values:
            raise KeyError("values")
        less = experiment.reductions(made)
    except _NO_RESULT as error:
        raise ValueError(f"{path.name} is no result: leave only those in the folder") from error
    experiment.require_present(made)
    if less and not record:
        name, (used, asked) = next(iter(less.items()))
        raise ValueError(
            f"{path.name} has {name} = {shown(used)} where its profile has {shown(asked)}: give "
            "--record to take it all the same"
        )
    return experiment, made


def _require_storable(made: Result) -> None:
    """Raise KeyError or TypeError for what `run` does not write."""
    missing = Run.__required_keys__ - made.run.keys()
    if missing:
        raise KeyError(*missing)
    if type(made.run["version"]) is not int:
        raise TypeError("version")
    try:
        digests.canonical_json([made.content, made.run])
    except ValueError as error:  # NaN or infinity
        raise TypeError("numbers") from error


def _vouch(options: argparse.Namespace) -> None:
    places.HERE.require_checkout("record of the book")
    chosen = [experiments.find(name) for name in options.experiment or experiments.names()]
    positive("seconds", options.seconds)
    devices.check(options.device)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"stages are drawn with --seed {seed}")
    given = {"device": options.device, "seed": seed, "seconds": options.seconds}
    for experiment in chosen:
        for profile in experiment.profiles:
            if experiment.path(profile).is_file():
                told = experiment.vouch(profile, **given, absent=DataError)
                print(f"{experiment.path(profile).name}: the witness agrees; {told}", flush=True)


def _witness(options: argparse.Namespace) -> None:
    experiment = experiments.find(options.experiment)
    print(digests.canonical_json(experiment.compute(experiment.witness, Context())))


def _require_writable(folder: Path, name: str) -> None:
    """Raise OSError or ValueError if the file `name` cannot be written into `folder`; make none.

    What cannot be stored is not to be computed first.
    """
    if (folder / name).is_dir():
        raise ValueError(f"out is {str(folder)!r}: give another folder, {name} is a folder in it")
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        for part in made:
            if part.is_dir():
                part.rmdir()

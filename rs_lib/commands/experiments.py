"""The commands `list` and `run`: the book's experiments."""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from rs_lib.commands.given import assigned
from rs_lib.commands.options import assignment, place
from rs_lib.experiments import experiment as experiments


def add_to(commands: Any) -> None:
    """Add both commands to a parser's `commands`."""
    show = commands.add_parser(
        "list", help="list the experiments with their profiles and parameters"
    )
    show.set_defaults(execute=_list)
    run = commands.add_parser(
        "run",
        help="run an experiment and store its result",
        description="Run an experiment and store its result as JSON. An interrupted run that is "
        "started again goes on where it stopped.",
        epilog="example: python -m rs_lib run certified-accuracy --profile full --device cuda",
    )
    run.set_defaults(execute=_run)
    run.add_argument("experiment", help="its name, as `list` shows it")
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
        default=experiments.RESULTS,
        metavar="FOLDER",
        help="where the result goes (default: the book's stored results)",
    )


def _list(options: argparse.Namespace) -> None:
    for name in experiments.names():
        print(name)
        for profile, parameters in experiments.find(name).profiles.items():
            settings = dataclasses.asdict(parameters).items()
            print(f"  {profile}: " + ", ".join(f"{key}={value!r}" for key, value in settings))


def _run(options: argparse.Namespace) -> None:
    experiment = experiments.find(options.experiment)
    changes = assigned("set", options.changes)
    experiment.parameters(options.profile, changes)
    _require_writable(options.out, experiment.path(options.profile).name)
    result = experiment.run(
        options.profile,
        device=options.device,
        changes=changes,
        keep_stages=True,
        progress=True,
    )
    path = experiment.store(result, options.out)
    print(f"{path.name}: stored after {result.run['wall_seconds']} s on {result.run['device']}")


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

"""The commands `list` and `run`: the book's experiments."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from rs_lib.commands.options import assignment
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
        type=Path,
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
    result = experiment.run(
        options.profile,
        device=options.device,
        changes=dict(options.changes),
        keep_stages=True,
        progress=True,
    )
    path = experiment.store(result, options.out)
    print(f"{path.name}: stored after {result.run['wall_seconds']} s on {result.run['device']}")

"""The library's command line: `python -m rs_lib run …`, on any machine that has torch."""

import argparse
import ast
import dataclasses
import sys
from pathlib import Path

from rs_lib.experiments import experiment as experiments
from rs_lib.machines.data import DataError


def _assignment(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is no assignment: write NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rs_lib",
        description="Run the book's experiments. The book itself: python -m rs_lib.book --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="list the experiments with their profiles and parameters")
    run = commands.add_parser(
        "run",
        help="run an experiment and store its result",
        description="Run an experiment and store its result as JSON. An interrupted run that is "
        "started again goes on where it stopped.",
        epilog="example: python -m rs_lib run certified-accuracy --profile full --device cuda",
    )
    run.add_argument("experiment", help="its name, as `list` shows it")
    run.add_argument(
        "--profile", default="quick", help="quick: digits, about a minute; full: the paper's scale"
    )
    run.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU")
    run.add_argument(
        "--set",
        dest="changes",
        metavar="NAME=VALUE",
        action="append",
        type=_assignment,
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
    return parser


def _list() -> None:
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 for data that cannot be had, 2 for bad input.

    Any other failure of an experiment keeps its traceback.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "list":
            _list()
        else:
            _run(options)
    except (ValueError, OSError, DataError) as error:
        print(f"rs_lib: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The library's command line: `rs-lib certify …`, or `python -m rs_lib certify …`."""

import argparse
import importlib
import sys
from pathlib import Path

from rs_lib.commands import signals

COMMANDS = {
    "certify": ("certify", "certify a classifier's answers: a radius for each image"),
    "predict": ("predict", "ask a smoothed classifier for its answers, without radii"),
    "train": ("train", "train a network under the noise that it is to be certified with"),
    "rescore": ("rescore", "ask the log of `certify --soft` for other levels and radii"),
    "audit": ("audit", "check a published log of certificates against what its authors state"),
    "report": ("report", "tables of one or several logs, and their comparison image by image"),
    "plot": ("plot", "draw certified accuracy against the radius, with bands"),
    "merge": ("merge", "put the logs of shards together"),
    "list": ("experiments", "list the experiments with their profiles and parameters"),
    "run": ("experiments", "run an experiment and store its result"),
    "collect": ("experiments", "take results that were made elsewhere into the book's record"),
    "vouch": (
        "experiments",
        "check by its witness and a stage that a stored result is what the code gives now",
    ),
    "witness": ("experiments", "print what the witness of an experiment gives"),
}
"""Each command with its module in `rs_lib.commands`, and its line in the help.

Only the module of the command that is given is loaded: most of them wait seconds for torch.
"""


def _parser(given: str | None) -> argparse.ArgumentParser:
    """Return the parser, whose command `given` knows its options; the others are only named."""
    called = Path(sys.argv[0]).name
    parser = argparse.ArgumentParser(
        prog="rs-lib" if called.startswith("rs-lib") else "python -m rs_lib",
        description="Certify a classifier by randomized smoothing, audit certificates, or run the "
        "book's experiments. The book itself: python -m rs_lib.book --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if given in COMMANDS:
        importlib.import_module(f"rs_lib.commands.{COMMANDS[given][0]}").add_to(commands)
    else:
        for name, (_, told) in COMMANDS.items():
            commands.add_parser(name, help=told)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, or what `failures.report` says.

    An interrupted command returns what `signals.report` says.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with signals.terminable():
        try:
            return _run(given)
        except KeyboardInterrupt as stop:
            return signals.report(stop, given[0] if given else None)


def _run(given: list[str]) -> int:
    options = _parser(given[0] if given else None).parse_args(given)
    from rs_lib.commands import failures
    from rs_lib.commands.ranks import StoppedError

    try:
        status: int | None = options.execute(options)
        sys.stdout.flush()
    except StoppedError as stop:
        return stop.status
    except Exception as failure:
        return failures.report(failure)
    return status or 0


if __name__ == "__main__":
    sys.exit(main())

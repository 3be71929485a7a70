"""The library's command line: `python -m rs_lib certify …`, on any machine that has torch."""

import argparse
import sys

from rs_lib.commands import audit, certify, experiments, failures, merge, plot, predict, report
from rs_lib.commands.ranks import StoppedError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rs_lib",
        description="Certify a classifier by randomized smoothing, audit certificates, or run the "
        "book's experiments. The book itself: python -m rs_lib.book --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (certify, predict, audit, report, plot, merge, experiments):
        command.add_to(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, or what `failures.report` says."""
    options = _parser().parse_args(arguments)
    try:
        status: int | None = options.execute(options)
        sys.stdout.flush()
    except StoppedError as stop:
        return stop.status
    except Exception as failure:
        return failures.report(failure)
    except KeyboardInterrupt:
        print("rs_lib: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return status or 0


if __name__ == "__main__":
    sys.exit(main())

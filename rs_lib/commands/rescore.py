"""The command `rescore`: other levels and distances from the histograms of a log, no sampling."""

import argparse
from dataclasses import replace
from typing import Any

from rs_lib import arguments
from rs_lib.commands import options as shared
from rs_lib.commands import soft, summary
from rs_lib.commands.logs import histograms, rows
from rs_lib.commands.logs import settings as log_settings
from rs_lib.record import files

_DESCRIPTION = """\
Compute certified mean scores at another level and other distances, from the histograms
beside a log of certify --soft: nothing is sampled, and no model is asked. All levels and
distances hold together with probability at least 1 - alpha for each image, so that they
may be chosen after a look at the log."""
_EXAMPLES = """\
example:
  python -m rs_lib rescore logs/scores.tsv --level 0.9 --at 0 0.1 0.2 --out logs/at-0.9.tsv
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "rescore",
        help="other levels and distances for a log of certify --soft",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute)
    parser.add_argument("log", type=shared.place, metavar="FILE.tsv", help="the log")
    parser.add_argument(
        "--level",
        type=float,
        metavar="P",
        help="radius: how far the mean score of the class stays above P (default: that of the log)",
    )
    soft.add_distances(parser, "those of the log")
    parser.add_argument(
        "--out",
        type=shared.place,
        metavar="FILE",
        help="write the rows to a new file, with the columns of the log",
    )


def _execute(options: argparse.Namespace) -> None:
    if options.out is not None and options.out.exists():
        raise ValueError(f"out is {str(options.out)!r}, which exists: name a new file")
    header = log_settings.stored(options.log)
    if header is not None and "soft" not in header:
        raise ValueError(f"{options.log} is no log of scores: give one of certify --soft")
    table = histograms.read(options.log)
    if not table.columns["idx"].size:
        raise ValueError(f"{options.log} has no rows: give a log that holds some")
    own = table.header["soft"]
    level = own["level"] if options.level is None else options.level
    level = arguments.single("level", arguments.level("level", level, rounding="up"))
    distances = soft.distances_of(options) or own["distances"]
    follower = histograms.follower(options.log, table.header, level, distances)
    made = replace(table, columns={**table.columns, **follower(table.columns)})
    if options.out is not None:
        names = histograms.columns(distances)
        entries = zip(*(rows.entries(name, made.columns) for name in names), strict=True)
        text = ["\t".join(row) + "\n" for row in (names, *entries)]
        files.write_atomically(options.out, "".join(text))
    print(summary.of_scores(made, level, distances))

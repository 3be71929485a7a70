"""The command `audit`."""

import argparse
from typing import Any

from rs_lib import audit as audits
from rs_lib.arguments import integer
from rs_lib.commands import shifted
from rs_lib.commands.options import place
from rs_lib.statistics import MAX_TRIALS

_DESCRIPTION = """\
Recover from the radii of a log, made with Gaussian noise, which number of samples
and which alpha they come from. Report radii that no count gives or that lie above
the ceiling, cells of the table that rounding pushed up, and the table as it should
be at the stated alpha."""
_EXAMPLES = """\
example:
  python -m rs_lib audit noise_0.50/test/sigma_0.50 --sigma 0.5 --wasserstein 1 2
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "audit",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute)
    parser.add_argument(
        "log", type=place, help="a table whose columns begin with idx label predict radius correct"
    )
    parser.add_argument(
        "--sigma", type=float, required=True, help="standard deviation of the noise"
    )
    stated = parser.add_argument_group("what the authors state")
    stated.add_argument(
        "--n", type=int, default=100_000, help="samples for each image (default: 100000)"
    )
    stated.add_argument(
        "--alpha", type=float, default=0.001, help="probability of error (default: 0.001)"
    )
    stated.add_argument(
        "--step",
        type=float,
        default=0.25,
        metavar="R",
        help="distance of the radii in their table (default: 0.25)",
    )
    stated.add_argument(
        "--rounding",
        choices=("nearest", "down"),
        default="nearest",
        help="how radii were printed (default: nearest; down for a log of `certify`)",
    )
    shifted.add_option(parser)


def _execute(options: argparse.Namespace) -> None:
    integer("n", options.n, least=1, most=MAX_TRIALS)
    orders = shifted.orders(options.wasserstein)
    found = audits.audit(
        options.log,
        options.sigma,
        trials=options.n,
        alpha=options.alpha,
        step=options.step,
        rounding=options.rounding,
    )
    print(audits.report(found), end="")
    if orders:
        print("\n" + shifted.table(found, orders), end="")

"""The command `audit`."""

import argparse
from collections.abc import Mapping
from typing import Any

from rs_lib import audit as audits
from rs_lib.arguments import integer, positive
from rs_lib.commands import shifted, summary
from rs_lib.commands.logs import log, own
from rs_lib.commands.options import place
from rs_lib.statistics import MAX_TRIALS

_TRIALS, _ALPHA = 100_000, 0.001
_DESCRIPTION = """\
Recover from the radii of a log, made with Gaussian noise, which number of samples
and which alpha they come from, or say that none of those tried explains them, or that
votes which all agree pile up at the radii of several sigmas.
Report radii that no count gives or that lie above the ceiling, cells of the table
that rounding pushed up, and the table as it should be at the stated alpha. A log
that certify or predict wrote, with its FILE.json beside it, is recomputed from its
counts instead.

Columns go by their names (radius, correct, label, predict, idx, a count) or else by
the customary order; what cannot be read is skipped and listed."""
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
        "log", type=place, help="a table with a radius and a flag, or two classes, for each image"
    )
    parser.add_argument(
        "--sigma",
        type=float,
        help="standard deviation of the noise, in the unit of the radii (default: what FILE.json "
        "says)",
    )
    stated = parser.add_argument_group("what the authors state")
    stated.add_argument("--n", type=int, help=f"samples for each image (default: {_TRIALS})")
    stated.add_argument("--alpha", type=float, help=f"probability of error (default: {_ALPHA})")
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
        help="how radii were printed (default: what explains them best)",
    )
    shifted.add_option(parser)


def _execute(options: argparse.Namespace) -> None:
    orders = shifted.orders(options.wasserstein)
    if options.n is not None:
        integer("n", options.n, least=1, most=MAX_TRIALS)
    positive("step", options.step)
    if own.is_own(options.log):
        table = log.read(options.log)
        if not table.lines:
            raise ValueError(f"{options.log} has no complete row: give a log with at least one")
        _require_stated(options, table.header)
        print(_recomputed(table, options.log.name, options.step))
        if orders and "radius" in table.columns:
            print("\n" + shifted.of_counts(table, options.step, orders), end="")
        return
    if options.sigma is None:
        raise ValueError(
            "sigma is missing: give the standard deviation of the noise as --sigma, for no file of "
            "settings beside the log tells it"
        )
    found = audits.audit(
        options.log,
        options.sigma,
        trials=_TRIALS if options.n is None else options.n,
        alpha=_ALPHA if options.alpha is None else options.alpha,
        step=options.step,
        rounding=options.rounding,
    )
    print(audits.report(found), end="")
    if not orders:
        return
    printing = audits.printing(found.log, options.rounding or "nearest")
    print("\n" + shifted.of_printed(found.log, printing, options.step, orders), end="")


def _require_stated(options: argparse.Namespace, settings: Mapping[str, Any]) -> None:
    """Raise ValueError if what is stated is not what the settings beside a log of ours say."""
    there = {**settings, "sigma": settings.get("noise", {}).get("sigma")}
    for name in ("sigma", "n", "alpha"):
        given = getattr(options, name)
        if given is not None and there.get(name) != given:
            told = "nothing of it" if there.get(name) is None else there[name]
            raise ValueError(
                f"{name} is {given}, but the settings beside the log say {told}: leave it out"
            )


def _recomputed(table: log.LogTable, name: str, step: float) -> str:
    """Return the summary of a log of ours, whose rows were compared with their counts."""
    settings, columns = table.header, table.columns
    head = (
        f"{name}: a log of {settings['command']}; all {len(columns['idx'])} rows agree with their "
        "counts and the settings\nbeside the log, which are as written, and so are the classes\n"
        + "".join(f"{line}\n" for line in filter(None, [log.incomplete(table)]))
        + "\n"
    )
    if "defence" in settings:
        return head + summary.of_patches(table)
    if settings["command"] == "predict":
        return head + summary.of_predictions(table)
    fixed = "n" in settings
    made = f"n = {settings['n']}" if fixed else f"at most {settings['max_samples']} samples"
    radius = columns["radius"]
    facts = (
        f"{made}, alpha = {summary.plain(settings['alpha'])}\n"
        f"  0 of {(radius > 0).sum()} positive radii match no count, 0 lie above the ceiling\n\n"
    )
    radii = summary.grid(float(radius.max(initial=0.0)), step) if fixed else settings["radii"]
    return head + facts + summary.of_certificates(table, radii, average=fixed)

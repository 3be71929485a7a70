"""The command `plot`."""

import argparse
import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rs_lib.arguments import FloatArray
from rs_lib.commands.logs.anyone import FOREIGN, Certified, named
from rs_lib.commands.options import place
from rs_lib.record.files import write_atomically
from rs_lib.statistics import binomial_interval, certified_accuracy

FORMATS = (".svg", ".pdf", ".png")
MOST_LOGS = 6
_DESCRIPTION = """\
Draw certified accuracy against the radius, one curve for each log, of certify or of
any other program. Bands are exact 95 % intervals at each radius (Clopper and
Pearson), not of the whole curve."""
_EXAMPLES = """\
example:
  python -m rs_lib plot ours.tsv theirs.tsv --names ours theirs -o accuracy.svg
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "plot",
        help="draw certified accuracy against the radius, with bands",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute)
    parser.add_argument("logs", type=place, nargs="+", metavar="LOG", help="a log of radii")
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="what the logs are called (default: their files)"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=place,
        required=True,
        metavar="FILE",
        help=f"the picture: {', '.join(FORMATS)}",
    )


def _execute(options: argparse.Namespace) -> None:
    out: Path = options.out
    if out.suffix not in FORMATS:
        raise ValueError(f"out is {str(out)!r}: end the name in one of {', '.join(FORMATS)}")
    if len(options.logs) > MOST_LOGS:
        raise ValueError(f"logs are {len(options.logs)}: give at most {MOST_LOGS} for one picture")
    if find_spec("matplotlib") is None:
        raise ValueError("matplotlib is not installed: pip install matplotlib, plot draws with it")
    logs = named(options.logs, options.names)
    measures = sorted({one.measure for one in logs} - {FOREIGN})
    if len(measures) > 1:
        raise ValueError(
            f"logs have radii in {' and in '.join(measures)}: draw those of one norm and unit "
            "together"
        )
    for one in logs:
        for line in one.remarks:
            print(f"{one.name}: {line}", file=sys.stderr)
    write_atomically(out, picture(logs, out.suffix))
    print(f"written to {out.resolve()}")


def curve(
    one: Certified, end: float = 0.0
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return radii, certified accuracy there, and its exact interval.

    The radii are those where the accuracy falls, from 0 on, and one behind both them and `end`.
    """
    steps = np.unique(one.radius[one.correct])
    last = max(float(steps.max(initial=0.0)), end)
    radii = np.concatenate([[0.0], steps, [last * 1.02 + 1e-6]])
    accuracy = certified_accuracy(one.radius, one.correct, radii)
    counts = np.round(accuracy * len(one.images)).astype(np.int64)
    low, high = binomial_interval(counts, len(one.images))
    return radii, accuracy, low, high


def picture(logs: list[Certified], suffix: str) -> bytes:
    """Return the picture as a file of this ending; equal logs make equal bytes."""
    # Imported here: other commands do without matplotlib.
    import matplotlib as mpl

    from rs_lib.book import style

    with mpl.rc_context({**style.RC, "svg.hashsalt": "rs_lib", "backend": "agg"}):
        figure = mpl.figure.Figure(figsize=(style.WIDTH, 3.6), layout="constrained")
        axes = figure.subplots()
        # All curves end at one radius: that of a log without certificates lies at 0 up to there.
        end = max(float(one.radius[one.correct].max(initial=0.0)) for one in logs)
        for number, one in enumerate(logs):
            radii, accuracy, low, high = curve(one, end)
            look = style.line(number)
            # The accuracy at a radius counts the images that reach it: it falls behind it.
            axes.step(radii, accuracy, where="pre", label=one.name, **look)
            axes.fill_between(
                radii, low, high, step="pre", color=look["color"], alpha=0.18, linewidth=0
            )
        # A log that does not tell its norm may have another one than those beside it.
        (norm, unit), *others = {(one.norm, one.unit) for one in logs}
        kind = {"l0": f"ℓ0 radius ({unit})", "l1": "ℓ1 radius", "l2": "ℓ2 radius"}
        axes.set(
            xlabel="radius" if others else kind.get(norm, "radius"),
            ylabel=f"{logs[0].quantity if len(logs) == 1 else 'certified accuracy'}, 95 % bands",
            xlim=(0, None),
            ylim=(0, 1),
        )
        figure.legend(loc="outside upper center", ncols=min(len(logs), 3))
        stream = io.BytesIO()
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[suffix]
        figure.savefig(stream, format=suffix[1:], metadata=metadata, dpi=200)
    return stream.getvalue()

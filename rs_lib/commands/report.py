"""The command `report`."""

import argparse
import math
from typing import Any

import numpy as np

from rs_lib.audit.logs import BoolArray
from rs_lib.commands import summary, tables
from rs_lib.commands.logs.anyone import FOREIGN, Certified, named, radii_asked
from rs_lib.commands.options import place
from rs_lib.statistics import (
    average_certified_radius,
    binomial_interval,
    binomial_test_two_sided,
    mean_interval,
    paired,
)

MOST_RADII = 1000
_DESCRIPTION = """\
Tell what logs of certified radii say, of certify or of any other program: certified
accuracy at each radius, accuracy with abstentions counted as wrong, the average
certified radius. Shares have exact 95 % intervals, means those of Student's t. Two
logs of the same images are compared image by image."""
_EXAMPLES = """\
examples:
  python -m rs_lib report logs/resnet.tsv --step 0.5 --per-class
  python -m rs_lib report ours.tsv theirs.tsv --names ours theirs --out table.tex
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "report",
        help="tables of one or several logs, and their comparison image by image",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute)
    parser.add_argument("logs", type=place, nargs="+", metavar="LOG", help="a log of radii")
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="what the logs are called (default: their files)"
    )
    radii = parser.add_mutually_exclusive_group()
    radii.add_argument("--radii", type=float, nargs="+", metavar="R", help="radii of the table")
    radii.add_argument(
        "--step", type=float, metavar="R", help="distance of the radii (default: 0.25 or more)"
    )
    parser.add_argument("--per-class", action="store_true", help="a table for each label too")
    parser.add_argument(
        "--linf",
        action="store_true",
        help="the l-infinity radius too: r over the root of the dimension for l2, over it for l1",
    )
    parser.add_argument(
        "--dimension",
        type=int,
        metavar="D",
        help="numbers in an image, such as 3072, for --linf with a log that does not tell it; its "
        "radii are then taken for l2 radii",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=place,
        metavar="FILE",
        help="write the numbers there too: .csv, .parquet, .tex or .md",
    )


def _execute(options: argparse.Namespace) -> None:
    if options.out is not None:
        tables.require_format(options.out)
    if options.dimension is not None and not (options.linf and 1 <= options.dimension < 2**53):
        raise ValueError(
            f"dimension is {options.dimension}: give a positive number, and --linf beside it"
        )
    logs = named(options.logs, options.names)
    radii = radii_asked(logs, options.radii, options.step, MOST_RADII)
    if options.linf:
        for one in logs:
            linf(one, 0.0, options.dimension)
    print("\n\n".join(_text(one, radii, options) for one in logs))
    if len(logs) == 2 and _same_images(logs[0], logs[1]):
        print("\n" + (_unlike(logs[0], logs[1]) or _compared(logs[0], logs[1], radii)))
    if options.out is not None:
        rows = [row for one in logs for row in _rows(one, radii, options.per_class)]
        tables.write(options.out, rows)
        print(f"\nwritten to {options.out.resolve()}")


def linf(one: Certified, radius: float, dimension: int | None) -> float:
    """Return the l-infinity radius within a ball of `radius`, rounded down.

    Raises ValueError for a log that does not tell its dimension, or of changed pixels.
    """
    size = dimension if one.norm == FOREIGN else one.dimension
    if size is None:
        raise ValueError(
            f"dimension is missing: {one.name} does not tell how many numbers an image has, give "
            "--dimension"
        )
    if one.norm == "l0":
        raise ValueError(f"{one.name} has radii of changed {one.unit}: leave --linf out")
    # The divisor is rounded up, and so is what the last division may have gained.
    divisor = float(size) if one.norm == "l1" else math.nextafter(math.sqrt(size), math.inf)
    return max(math.nextafter(radius / divisor, -math.inf), 0.0)


def _down(value: float) -> str:
    """Return five decimals of a number of at least 0, rounded down."""
    return f"{math.floor(value * 1e5) / 1e5:.5f}"


def _text(one: Certified, radii: list[float], options: argparse.Namespace) -> str:
    lines = [f"{one.name}: {len(one.images)} images, radii in {one.measure}"]
    if one.norm == FOREIGN:
        lines[0] = f"{one.name}: {len(one.images)} images"
    lines += [*one.remarks, ""]
    extra = ["l-inf"] if options.linf else []
    table = []
    for radius in radii:
        within = [_down(linf(one, radius, options.dimension))] if options.linf else []
        share = summary.share(one.correct & (one.radius >= radius))
        table.append((summary.plain(radius), *within, *share))
    lines += summary.aligned(("radius", *extra, one.quantity, "95 % interval"), table)
    facts = [
        ("correct" if one.labelled else "answered", *summary.share(one.correct)),
        ("abstained", *summary.share(one.abstained)),
        ("average certified radius", *summary.average_radius(one.radius, one.correct)),
    ]
    lines += ["", *summary.aligned(("all images", "", "95 % interval"), facts)]
    if options.per_class:
        lines += ["", *_classes(one, radii)]
    return "\n".join(lines)


def _classes(one: Certified, radii: list[float]) -> list[str]:
    head = (
        "label",
        "images",
        "ACR",
        "correct",
        *(f"r = {summary.plain(radius)}" for radius in radii[1:]),
    )
    rows = []
    for label in np.unique(one.label).tolist():
        own = one.label == label
        shares = [(one.correct[own] & (one.radius[own] >= radius)).mean() for radius in radii[1:]]
        acr = average_certified_radius(one.radius[own], one.correct[own])
        numbers = (acr, one.correct[own].mean(), *shares)
        rows.append((str(label), str(own.sum()), *(f"{number:.3f}" for number in numbers)))
    return summary.aligned(head, rows)


def _same_images(first: Certified, second: Certified) -> bool:
    return len(first.images) > 1 and set(first.images) == set(second.images)


def _unlike(first: Certified, second: Certified) -> str:
    """Return why two logs of images of the same names are not compared; nothing if they are."""
    names = f"{first.name} and {second.name} are not compared image by image:"
    if first.measure != second.measure and FOREIGN not in (first.norm, second.norm):
        return f"{names} radii in {first.measure} and in {second.measure}"
    if None not in (first.data, second.data) and first.data != second.data:
        return f"{names} their settings tell of other images (data.sha256)"
    return ""


def _compared(first: Certified, second: Certified, radii: list[float]) -> str:
    """Return the comparison of two logs of the same images."""
    places = {image: place for place, image in enumerate(second.images)}
    order = np.array([places[image] for image in first.images])
    if (first.label != second.label[order]).any():
        raise ValueError(
            f"labels of {first.name} and {second.name} differ on the same images: give logs of one "
            "data set"
        )
    other = second.counted[order]
    found = paired(first.counted, other)
    spread = "the same for every image"
    if np.unique(first.counted - other).size > 1:
        low, high = mean_interval(first.counted - other)
        spread = f"95 % interval {low:+.4f} to {high:+.4f} (Student's t), standard error "
        spread += f"{found.error:.4f}"
    lines = [
        f"{first.name} less {second.name}, image by image ({len(order)} images):",
        f"  average certified radius {found.difference:+.4f}, {spread}",
        "",
    ]
    rows = []
    for radius in radii:
        mine = first.correct & (first.radius >= radius)
        its = second.correct[order] & (second.radius[order] >= radius)
        only, lost = int((mine & ~its).sum()), int((its & ~mine).sum())
        p = float(binomial_test_two_sided(only, only + lost)) if only + lost else 1.0
        rows.append(
            (summary.plain(radius), str(only), str(lost), f"{p:.2g}" if p > 1e-16 else "< 1e-16")
        )
    head = ("radius", "only the first", "only the second", "p of the sign test")
    return "\n".join(lines + summary.aligned(head, rows))


def _rows(one: Certified, radii: list[float], per_class: bool) -> list[dict[str, Any]]:
    """Return the numbers of a log, unrounded but for the intervals, which are rounded outwards."""
    groups: list[int | None] = [None]
    groups += np.unique(one.label).tolist() if per_class else []
    rows = []
    for label in groups:
        own = np.ones(len(one.images), dtype=np.bool_) if label is None else one.label == label
        correct, radius = one.correct[own], one.radius[own]
        shares: list[tuple[str, float | None, BoolArray]] = [
            *((one.quantity, r, correct & (radius >= r)) for r in radii),
            ("correct" if one.labelled else "answered", None, correct),
            ("abstained", None, one.abstained[own]),
        ]
        for quantity, r, flags in shares:
            exact = map(float, binomial_interval(int(flags.sum()), flags.size))
            rows.append(_row(one, quantity, label, r, flags.size, flags.mean(), *exact))
        counted = np.where(correct, radius, 0.0)
        low, high = mean_interval(counted) if np.unique(counted).size > 1 else (None, None)
        acr = average_certified_radius(radius, correct)
        rows.append(
            _row(one, "average certified radius", label, None, counted.size, acr, low, high)
        )
    return rows


def _row(
    one: Certified,
    quantity: str,
    label: int | None,
    radius: float | None,
    images: int,
    value: float,
    low: float | None,
    high: float | None,
) -> dict[str, Any]:
    return {
        "log": one.name,
        "quantity": quantity,
        "class": label,
        "radius": radius,
        "images": images,
        "value": float(value),
        "low": low,
        "high": high,
    }

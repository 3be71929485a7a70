"""The command `merge`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rs_lib import audit
from rs_lib.commands.logs import log, own
from rs_lib.commands.logs import settings as log_settings
from rs_lib.commands.options import place
from rs_lib.record import digests, files

_DESCRIPTION = """\
Put logs of parts of one data set together. Logs of certify, with their settings
beside them, must have equal settings, apart from the shard; they give one log with
its settings, which must hold every image. Logs of other programs give a table of
the customary columns. An image that comes twice must have equal entries."""
_EXAMPLES = """\
example:
  python -m rs_lib merge part1.tsv part2.tsv part3.tsv --out whole.tsv
"""
_NAMES = ("idx", "label", "predict", "radius", "correct")

Rows = dict[str, tuple[str, ...]]
"""The entries of each image, by its name."""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "merge",
        help="put the logs of shards together",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute)
    parser.add_argument("logs", type=place, nargs="+", metavar="LOG", help="the log of a part")
    parser.add_argument("-o", "--out", type=place, required=True, metavar="FILE.tsv")


def _execute(options: argparse.Namespace) -> None:
    out: Path = options.out
    if out.suffix != ".tsv":
        raise ValueError(f"out is {str(out)!r}: give a file name that ends in .tsv")
    for taken in (out, out.with_suffix(".json")):
        if taken.exists():
            raise ValueError(f"out is {str(out)!r}, but {taken} is there: name another one")
    if len(options.logs) < 2:
        raise ValueError(f"logs are {len(options.logs)}: give two or more to merge")
    ours = [own.is_own(path) for path in options.logs]
    if any(ours) and not all(ours):
        stranger = options.logs[ours.index(False)]
        raise ValueError(
            f"{stranger} has no settings beside it, others have: merge logs of one kind"
        )
    count = _merge_own(options.logs, out) if all(ours) else _merge_foreign(options.logs, out)
    print(f"{count} images of {len(options.logs)} logs, written to {out.resolve()}")


def _merge_own(paths: Sequence[Path], out: Path) -> int:
    parts = [log.read(path) for path in paths]
    whole = _without_shard(parts[0].header)
    for path, part in zip(paths, parts, strict=True):
        log_settings.require_equal(path, _without_shard(part.header), whole)
    names = log_settings.columns(whole)
    rows: Rows = {}
    for path, part in zip(paths, parts, strict=True):
        texts = [tuple(line.split("\t")) for line in part.lines]
        _add(rows, path, {row[0]: row for row in texts})
    wanted = int(whole["data"]["images"])
    if len(rows) != wanted:
        raise ValueError(
            f"logs hold {len(rows)} of the {wanted} images: give the logs of all shards, run to "
            "their ends"
        )
    lines = [rows[image] for image in sorted(rows, key=int)]
    header = out.with_suffix(".json")
    files.write_atomically(header, digests.readable_json(whole))
    try:
        files.write_atomically(out, _table(names, lines))
    except BaseException:
        header.unlink(missing_ok=True)
        raise
    return len(rows)


def _without_shard(header: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in header.items() if name != "shard"}


def _merge_foreign(paths: Sequence[Path], out: Path) -> int:
    rows: Rows = {}
    for path in paths:
        found = audit.read_log(path)
        if found.words:
            raise ValueError(
                f"{path} has classes in words, such as {found.words[0]!r}: give numbers, which "
                "mean the same in each log"
            )
        if found.images[0].startswith("of line "):
            raise ValueError(f"{path} does not name its images: give a column idx")
        for line in own.remarks(path):
            print(f"In the file {path}: {line}")
        for line in audit.remarks(found.remarks):
            print(line if line.startswith(" ") else f"In the file {path}:")
        columns = zip(
            found.images,
            map(str, found.label.tolist()),
            map(str, found.predicted.tolist()),
            (text or "0.0" for text in found.text),
            (str(int(flag)) for flag in found.correct),
            strict=True,
        )
        _add(rows, path, {row[0]: row for row in columns})
    files.write_atomically(out, _table(_NAMES, list(rows.values())))
    return len(rows)


def _add(rows: Rows, path: Path, more: Rows) -> None:
    """Add the rows of another log; raise ValueError for an image with other entries."""
    for image, row in more.items():
        if rows.setdefault(image, row) != row:
            raise ValueError(
                f"image {image} has other entries in {path} than in a log before it: give logs of "
                "one run"
            )


def _table(names: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(line) + "\n" for line in (names, *lines))

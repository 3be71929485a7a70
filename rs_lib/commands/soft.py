"""The command `certify --soft`: mean scores, certified from histograms of integer scores."""

import argparse
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from rs_lib.arguments import IntArray, nonnegative, shown
from rs_lib.commands import options as shared
from rs_lib.commands import session, summary, writing
from rs_lib.commands.given import default
from rs_lib.commands.logs import follows, histograms
from rs_lib.commands.ranks import Ranks, joined
from rs_lib.smoothing import FixedSamples, Health, soft
from rs_lib.smoothing.sampling import Due, Report

MOST_DISTANCES = 100
COINS = "coins of the softmax"
"""What the header of a log says of votes that coins throw, with --soft and a sequential rule."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of soft scores."""
    group = parser.add_argument_group("mean scores (all but --soft: with --soft and --n)")
    group.add_argument(
        "--soft",
        action="store_true",
        default=None,
        help="certify mean scores, not votes: the softmax of the logits, averaged over the noise "
        "(log-probabilities are logits, too). With --n their histograms, under gaussian noise: all "
        "levels and distances cost one alpha. With --radii or --step each score becomes a vote by "
        "a coin, and within a radius the mean score stays above 0.5",
    )
    group.add_argument(
        "--level",
        type=float,
        metavar="P",
        help="radius: how far the mean score of the class stays above P; from 0.5 on no other "
        f"class can have as much {default('level')}",
    )
    add_distances(group, "up to where the level can be certified")
    group.add_argument(
        "--bins",
        type=int,
        metavar="L",
        help=f"steps of [0, 1] in which scores are counted, rounded down {default('bins')}",
    )
    group.add_argument(
        "--rivals",
        type=int,
        metavar="K",
        help="lead: how far the class keeps the largest mean score, from its lead over each of the "
        "K nearest rivals and over all others, for another alpha in all; more are never worse, "
        f"and take a histogram each {default('rivals')}",
    )


def add_distances(group: argparse._ActionsContainer, usual: str) -> None:
    """Add the distances for which confidence is told."""
    group.add_argument(
        "--at",
        type=float,
        nargs="+",
        metavar="R",
        help="distances within which the mean score is certified, a column for each "
        f"(default: {usual})",
    )


def execute(options: argparse.Namespace) -> None:
    """Certify the mean scores of the images that the options name."""
    with joined() as ranks:
        task, certifier = ranks.each(partial(_prepare, options, ranks))
        samples = certifier.samples
        plan = {
            **samples.settings(),
            "soft": {
                "score": "softmax",
                "level": certifier.level,
                "distances": list(certifier.distances),
                "bins": certifier.bins,
                "rivals": certifier.rivals,
            },
        }
        settings = session.agreed_header(
            ranks, partial(session.noise_header, options, task, certifier.executed, plan)
        )
        _Session(
            options,
            ranks,
            task.chosen,
            settings,
            columns=histograms.columns(certifier.distances),
            per_image=samples.n0 + samples.n,
            continuous=options.continuous,
        ).run(partial(_answer, certifier))
        if ranks.rank == 0:
            table = histograms.read(options.out)
            print(summary.of_scores(table, certifier.level, certifier.distances))


def _prepare(options: argparse.Namespace, ranks: Ranks) -> tuple[session.Task, soft.SoftCertifier]:
    if options.noise != "gaussian":
        raise ValueError(
            f"noise is {options.noise}: --soft with --n certifies under gaussian noise; give "
            "--radii or --step for other noise"
        )
    if options.shard is not None:
        number, count = options.shard
        raise ValueError(
            f"shard is {number}/{count}: the histograms of --soft with --n are not merged; let "
            "torchrun share the images"
        )
    shared.require_scale(options.scale)
    samples = FixedSamples(options.n, options.n0)
    distances = distances_of(options)
    task = session.prepare(options, ranks)
    certifier = soft.SoftCertifier(
        session.executed(options, task),
        task.noise,
        samples,
        seed=options.seed,
        distances=distances or (0.0,),
        bins=options.bins,
        rivals=options.rivals,
        alpha=options.alpha,
        level=options.level,
        health=Health(len(task.chosen.ids)) if options.health else None,
    )
    if distances is None:
        certifier.distances = tuple(_grid(certifier))
    return task, certifier


def distances_of(options: argparse.Namespace) -> list[float] | None:
    """Return the distances that were given; ValueError for those that cannot be columns."""
    if options.at is None:
        return None
    distances: list[float] = nonnegative("at", options.at).tolist()
    if len(distances) > MOST_DISTANCES or not (np.diff(distances) > 0).all():
        raise ValueError(
            f"at is {shown(distances)}: give 1 to {MOST_DISTANCES} distances that increase"
        )
    return distances


def _grid(certifier: soft.SoftCertifier) -> list[float]:
    """Return distances up to the radius that the samples can certify at the level."""
    _, most = soft.ceiling(
        certifier.samples.n,
        alpha=certifier.alpha,
        bins=certifier.bins,
        sigma=certifier.sigma,
        level=certifier.level,
    )
    return summary.grid(float(most))


def _answer(
    certifier: soft.SoftCertifier, images: Any, ids: IntArray, report: Report, due: Due
) -> writing.Parts:
    for rows, order, counted in certifier.parts(images, ids, report, due):
        made = certifier.certified(order[:, 0], counted)
        yield (
            rows,
            {
                **histograms.as_columns(made, certifier.distances),
                "samples": np.full(len(rows), certifier.samples.n),
                "order": order,
                "histograms": counted,
            },
        )


class _Session(writing.Session):
    """A session whose first rank writes the histograms of images before their rows."""

    _ordered = True  # as the lines of the histograms are, which are read side by side
    _histograms: histograms.Writer | None = None

    def _open(self, stack: ExitStack) -> list[int]:
        there = super()._open(stack)
        if self._writer is not None:
            classes, rivals = self._settings["model"]["classes"], self._settings["soft"]["rivals"]
            self._histograms = stack.enter_context(
                histograms.writing(self._out, len(there), classes, rivals)
            )
        return there

    def _follow(self) -> follows.Follow:
        return histograms.follow(self._out, self._settings)

    def _write(self, columns: writing.Columns, timing: Any) -> None:
        own = dict(columns)
        order, counted = own.pop("order"), own.pop("histograms")
        if self._histograms is not None:
            self._histograms.append(own["idx"], order, counted)
        super()._write(own, timing)

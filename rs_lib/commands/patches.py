"""The command `certify --defence patch`: derandomised smoothing, no noise and no samples."""

import argparse
import hashlib
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray
from rs_lib.certificates.patch import METHODS
from rs_lib.commands import classifier, selection, session, summary, writing
from rs_lib.commands.logs import log
from rs_lib.commands.ranks import Ranks, joined
from rs_lib.machines.band_classifier import BandClassifier, images_of_a_pass, probabilities
from rs_lib.machines.bands import KINDS, MaskedNetwork, masks
from rs_lib.record import digests
from rs_lib.smoothing import locality, votes
from rs_lib.smoothing.sampling import Due, Report

COLUMNS = ("idx", "label", "predict", "patch", "correct", "time", "votes", "runner_up")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the defence."""
    group = parser.add_argument_group("patches (with --defence patch)")
    group.add_argument(
        "--band", type=int, metavar="S", help="columns, rows or side of a block that a view shows"
    )
    group.add_argument(
        "--views", choices=KINDS, default="columns", help="what a view shows (default: columns)"
    )
    group.add_argument(
        "--theta",
        type=float,
        default=0.3,
        metavar="P",
        help="a view votes for each class of at least this probability (default: 0.3); choose it "
        "on other images than those you certify",
    )
    group.add_argument(
        "--method",
        choices=METHODS,
        default="positions",
        help="certificate: where the votes are, or only how many (default: positions)",
    )


def execute(options: argparse.Namespace) -> None:
    """Certify the images that the options name against patches."""
    with joined() as ranks:
        chosen, device, model = ranks.each(partial(_prepare, options, ranks))
        watched = locality.Watched(model, precision=options.precision)
        settings = session.agreed_header(ranks, partial(_header, options, chosen, device, watched))
        writing.Session(
            options,
            ranks,
            chosen,
            settings,
            columns=COLUMNS,
            per_image=model.positions,
            continuous=True,
            each=100,
        ).run(partial(_answer, options, device, watched))
        if ranks.rank == 0:
            print(summary.of_patches(log.read(options.out)))


def _prepare(
    options: argparse.Namespace, ranks: Ranks
) -> tuple[selection.Selection, str, BandClassifier]:
    """Return images, device and base classifier; raise ValueError where they cannot be used."""
    if options.band is None:
        raise ValueError("band is missing: give --band with --defence patch")
    if not 0 < options.theta <= 1:
        raise ValueError(f"theta is {options.theta:g}: give a probability above 0, at most 1")
    chosen, device = session.images_and_device(options, ranks)
    seen = masks(options.views, options.band, *chosen.images.shape[2:])
    network = classifier.load(
        options.model, dict(options.arguments), options.weights, options.fingerprint
    )
    model = network if isinstance(network, BandClassifier) else MaskedNetwork(network, seen).eval()
    shape = tuple(chosen.images.shape[1:])
    if model is network:
        classes = classifier.classes_of_bands(model, shape)
    else:
        classes = classifier.classes_of(network, (2 * shape[0], *shape[1:]))
    told = f"--views {options.views} --band {options.band}"
    locality.require_views(model, seen, shape, told)
    session.require_labels(chosen, classes)
    return chosen, device, model.to(device)


def _header(
    options: argparse.Namespace, chosen: selection.Selection, device: str, watched: locality.Watched
) -> dict[str, Any]:
    """Return all settings on which the rows depend, as JSON holds them."""
    model = watched.model
    shape = tuple(chosen.images.shape[1:])
    tile = images_of_a_pass(model, shape, torch.device(device).type)
    images = chosen.pixels(np.arange(min(tile, len(chosen.ids))), continuous=True)
    probed = watched.probe(images.to(device))
    fixed = torch.rand((tile, *shape), generator=torch.Generator().manual_seed(0))
    scores = probabilities(model, fixed.to(device), options.precision)
    return {
        "command": options.command,
        "defence": {
            "name": "patch",
            "views": options.views,
            "band": options.band,
            "theta": options.theta,
            "guard": votes.GUARDS[options.precision],
            "method": options.method,
            "probed": probed,
        },
        "model": session.described_model(
            options,
            model,
            hashlib.sha256(scores.numpy().tobytes()).hexdigest(),
            scores.shape[-1],
        ),
        "data": session.described_data(options, chosen),
        "device": session.described_device(torch.device(device)),
        "precision": options.precision,
        "tile": tile,
        "versions": session.versions(),
        "code": digests.code_digest(["rs_lib.smoothing.locality"], without=digests.keeps_books),
    }


def _answer(
    options: argparse.Namespace,
    device: str,
    watched: locality.Watched,
    images: Tensor,
    ids: IntArray,
    report: Report,
    due: Due,
) -> writing.Parts:
    start, size = 0, images_of_a_pass(watched.model, tuple(images.shape[1:]), device)
    while start < len(ids):
        rows = np.arange(start, min(start + size, len(ids)))
        start += size
        yield rows, _rows(options, watched, images[start - size : start].to(device), ids[rows])
        report(watched.model.positions * len(rows), len(rows))
        if not due():
            size *= 2  # each call probes a pass once more


def _rows(
    options: argparse.Namespace, watched: locality.Watched, images: Tensor, ids: IntArray
) -> writing.Columns:
    """Return the columns of some images."""
    scores = watched.scores(images, ids).numpy()
    if options.views == "blocks":
        scores = scores.reshape(len(scores), *images.shape[2:], -1)
    broken = np.flatnonzero(~np.isfinite(scores).reshape(len(scores), -1).all(axis=1))
    if broken.size:
        raise FloatingPointError(
            f"model gives NaN or infinite scores on views of image {ids[broken[0]]}: mend the model"
        )
    counts = votes.votes(scores, options.theta).reshape(len(scores), -1, scores.shape[-1]).sum(1)
    order = np.argsort(-counts.astype(np.int64), axis=1, kind="stable")
    return {
        "predict": order[:, 0],
        "patch": votes.largest_certified(
            scores,
            options.theta,
            options.band,
            options.method,
            guard=votes.GUARDS[options.precision],
        ),
        "votes": np.take_along_axis(counts, order[:, :1], axis=1)[:, 0],
        "runner_up": np.take_along_axis(counts, order[:, 1:2], axis=1)[:, 0],
    }

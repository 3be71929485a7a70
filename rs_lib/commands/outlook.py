"""What is told before a run: how the base classifier does, what the run takes, what looks wrong.

It goes to stderr, changes no byte of a log, and takes one forward pass of each image as it is and
one under noise of a stream of its own: at most one tile, or 2 / (n0 + least samples) of the run.
"""

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray
from rs_lib.commands.plan import told as duration
from rs_lib.commands.selection import Selection
from rs_lib.noise import Ablation, Law, noisy_images
from rs_lib.noise.words import is_compiled
from rs_lib.seeds import derive
from rs_lib.smoothing import ABSTAIN
from rs_lib.smoothing.executed import Executed

FEW = 10
"""Below so many images an accuracy says nothing."""
ABOVE_CHANCE = 0.1
"""Near chance is what lies within this share of the way from chance to no error."""
DARK = 4
"""Images are dark if their brightest pixel is at most the levels over this."""
MANY = 0.95
"""Nearly all images."""
LOUD = 3.0
"""Gaussian noise of this scale drowns any image with pixels in [0, 1]."""


def tell(
    options: argparse.Namespace,
    chosen: Selection,
    executed: Executed,
    noise: Law,
    samples: tuple[int, int],
) -> Iterator[str]:
    """Yield what is to be told of a run that takes from `samples[0]` to `samples[1]` an image."""
    known = _known(chosen, noise)
    right, seconds = _right(options, chosen, executed, noise, clean=known)
    count = len(chosen.ids)
    shares = [f"{share.mean():.3f} {kind}" for kind, share in right.items()]
    if chosen.is_labelled:
        told = f"accuracy of the base classifier on {count} images {', '.join(shares)}"
    else:
        told = f"{count} images without labels"
    yield f"before the run: {told}"
    least, most = (number * count for number in samples)
    wanted = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    spans = dict.fromkeys(duration(number * seconds) for number in (least, most))
    yield f"  expected: {wanted} samples, about {' to '.join(spans)}"
    warnings = [*_of_images(options, chosen)]
    if chosen.is_labelled:
        warnings[:0] = _of_accuracy(right, executed.classes, noise)
    if not is_compiled(executed.device) and executed.kind == "cpu":
        warnings.append("noise is drawn slowly: pip install numba compiles it on a CPU")
    yield from (f"  warning: {line}" for line in warnings)


def tell_abstained(predicted: IntArray) -> None:
    """Warn on stderr where nearly all of at least `FEW` images of a finished log abstained."""
    share = float(np.mean(predicted == ABSTAIN))
    if share >= MANY and len(predicted) >= FEW:
        print(
            f"warning: {share:.0%} of the images abstained: train the network with this noise, "
            "give less noise or more samples, or the --mean and --std that it was trained with",
            file=sys.stderr,
        )


def _known(chosen: Selection, noise: Law) -> bool:
    """Whether the classifier sees images without noise in the form of those with it."""
    return not isinstance(noise, Ablation) and noise.seen(tuple(chosen.images.shape[1:])) == tuple(
        chosen.images.shape[1:]
    )


@torch.inference_mode()
def _right(
    options: argparse.Namespace, chosen: Selection, executed: Executed, noise: Law, *, clean: bool
) -> tuple[dict[str, IntArray], float]:
    """Return for each kind of pass whether answers are labels, int64 [N]; seconds of a sample."""
    count = len(chosen.ids)
    kinds = [*(["without noise"] if clean else []), "under one draw of noise"]
    rows = np.tile(np.arange(count), len(kinds))
    drawn = np.repeat([kind != "without noise" for kind in kinds], count)
    key = derive(options.seed, "outlook")
    found = np.empty(len(rows), dtype=np.int64)
    # One sample first: code that draws noise may have to be compiled.
    _inputs(chosen, noise, rows[-1:], drawn[-1:], key, executed.device)
    clock = time.monotonic()
    for start in range(0, len(rows), executed.tile):
        part = np.arange(start, min(start + executed.tile, len(rows)))
        padded = np.minimum(np.arange(start, start + executed.tile), len(rows) - 1)
        inputs = _inputs(chosen, noise, rows[padded], drawn[padded], key, executed.device)
        found[part] = executed.answers(inputs).cpu().numpy()[: len(part)]
    right = (found == chosen.labels[rows]).astype(np.int64).reshape(len(kinds), count)
    seconds = (time.monotonic() - clock) / (-(-len(rows) // executed.tile) * executed.tile)
    return dict(zip(kinds, right, strict=True)), seconds


def _inputs(
    chosen: Selection,
    noise: Law,
    rows: IntArray,
    drawn: IntArray,
    key: int,
    device: torch.device,
) -> Tensor:
    """Return float32 [T, *seen]: image `rows[t]`, under noise where `drawn[t]`."""
    own = np.unique(rows)
    place = np.searchsorted(own, rows)
    images = chosen.pixels(own, continuous=noise.levels is None).to(device)
    ids = chosen.ids[rows]
    inputs = noisy_images(noise, images, place, ids, np.zeros(len(rows), dtype=np.int64), key=key)
    plain = np.flatnonzero(~drawn.astype(bool))
    if plain.size:
        pixels = images[torch.from_numpy(place[plain]).to(device)].to(torch.float32)
        inputs[torch.from_numpy(plain).to(device)] = pixels / (noise.levels or 1)
    return inputs


def _of_accuracy(right: dict[str, IntArray], classes: int, noise: Law) -> Iterator[str]:
    limit = 1 / classes + ABOVE_CHANCE * (1 - 1 / classes)
    for kind, flags in right.items():
        if len(flags) < FEW or flags.mean() > limit:
            continue
        if kind == "without noise":
            yield (
                f"accuracy {kind} is near chance (1 of {classes}): look at --weights, --mean and "
                "--std, --levels, and the order of the labels"
            )
        else:
            yield (
                f"accuracy {kind} is near chance (1 of {classes}), so nearly all images will "
                f"abstain: train with {noise.name.removeprefix('rounded-')} noise of this size"
            )
        return  # what is wrong without noise explains the rest


def _of_images(options: argparse.Namespace, chosen: Selection) -> Iterator[str]:
    if chosen.is_table:
        return  # features have units of their own
    low, brightest = (chosen.images.min().item(), chosen.images.max().item())
    if low < 0 or brightest > chosen.levels:
        yield (
            f"images reach from {low:.3g} to {brightest:.3g}, beyond [0, 1]: radii are in their "
            "units; give images before normalising, and --mean and --std"
        )
    elif chosen.images.dtype == torch.uint8 and brightest * DARK <= chosen.levels:
        yield (
            f"the brightest pixel is {brightest} of {chosen.levels}: if it stands for white, give "
            f"--levels {max(brightest, 1)}"
        )
    scale = getattr(options, "scale", None)
    if scale is not None and scale >= LOUD:
        yield (
            f"scale is {scale:g} in units where white is 1: for noise of {scale:g} in 255 grey "
            f"levels give --scale {scale / 255:.4g}"
        )

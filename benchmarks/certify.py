"""The certification engine beside the bare forward pass and the textbook loop, in one run.

Throughput: the same networks, the same number of samples; turns alternate, and the ratios are of
medians of CPU time on one thread, so that a busy machine changes them little. The bare pass
runs on inputs that are already there, at the best of several tiles. The textbook loop is that
of published certifiers: it repeats one image, adds torch.randn, and counts the answers in a
Python loop, with their customary batch and memory layout. The toolbox's loop is that of
adversarial-robustness-toolbox: normals in float64 by NumPy for all copies at once, cut to
float32, the logits brought back to NumPy. Both are written anew here.

End to end: the question "is the radius at least 1/2?" for images of MNIST, by the textbook
loop with 100,000 samples an image and by the engine, one look at a time.
"""

import copy
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.clock import alternate
from rs_lib import smoothing
from rs_lib.experiments import certified_accuracy
from rs_lib.machines import data, models
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.sampling import Tally

NETWORKS = {
    "mlp": ("mlp", (1, 28, 28)),
    "small-cnn": ("small-cnn", (1, 28, 28)),
    "lenet": ("lenet", (1, 28, 28)),
    "lenet, colour": ("lenet", (3, 32, 32)),
}
TILES = (64, 128, 512)
TEXTBOOK_BATCH, TOOLBOX_BATCH = 400, 64
SIGMA = 0.5


def bare_forward(model: nn.Module, image: Tensor, n: int, tile: int) -> None:
    """Run the network on n images that are already there: the limit."""
    batch = image.expand(tile, *image.shape).float() / 255
    batch = batch.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(n // tile):
            model(batch)


def textbook_counts(model: nn.Module, image: Tensor, n: int, batch: int) -> list[int]:
    """Count the classes of n noisy copies of a float `image` [C, H, W], as published code does."""
    counts = [0] * 10
    with torch.no_grad():
        for start in range(0, n, batch):
            copies = image.repeat(min(batch, n - start), 1, 1, 1)
            answers = model(copies + torch.randn_like(copies) * SIGMA).argmax(1)
            for answer in answers.numpy():
                counts[answer] += 1
    return counts


def toolbox_counts(model: nn.Module, image: Tensor, n: int, batch: int) -> npt.NDArray[np.int64]:
    """Count the classes of n noisy copies of an `image` [C, H, W] in NumPy, batch by batch."""
    copies = np.repeat(image.numpy()[None], n, axis=0)
    noise = np.random.default_rng(0).normal(scale=SIGMA, size=copies.shape)
    noisy = (copies + noise).astype(np.float32)
    logits = np.zeros((n, 10), dtype=np.float32)
    with torch.no_grad():
        for start in range(0, n, batch):
            part = torch.from_numpy(noisy[start : start + batch])
            logits[start : start + batch] = model(part).numpy()
    return np.bincount(logits.argmax(axis=1), minlength=10)


def _engine(model: nn.Module, image: Tensor, n: int, precision: str) -> Callable[[], object]:
    """Return a function that counts classes on n noisy copies; the probe is done, once for all."""
    executed = Executed(model, classes=10, precision=precision)
    executed.probe(tuple(image.shape))
    only = np.zeros(1, dtype=np.int64)

    def count() -> object:
        noise = Rounded(Gaussian(SIGMA))
        tally = Tally(executed, image[None], noise, only, seed=0, stream="bench")
        tally.draw(only, n)
        return tally.counts()

    return count


def throughput(samples: int, repeats: int) -> list[dict[str, Any]]:
    """Return samples per CPU second of the bare pass, the engine and the loops of others."""
    rows = []
    for name, (kind, shape) in NETWORKS.items():
        model = models.build(kind, shape, 10, seed=0)
        # The other loops know no channels-last layout.
        plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
        image = torch.randint(0, 256, shape, dtype=torch.uint8)
        bright = image.float() / 255
        ways: dict[str, Callable[[], object]] = {
            f"bare {tile}": (lambda tile=tile, m=model, i=image: bare_forward(m, i, samples, tile))
            for tile in TILES
        }
        ways["engine"] = _engine(model, image, samples, "float32")
        ways["bfloat16"] = _engine(model, image, samples, "bfloat16")
        ways["textbook"] = lambda m=plain, i=bright: textbook_counts(m, i, samples, TEXTBOOK_BATCH)
        ways["toolbox"] = lambda m=plain, i=bright: toolbox_counts(m, i, samples, TOOLBOX_BATCH)
        times = alternate(list(ways.values()), repeats)
        seconds = dict(zip(ways, map(statistics.median, times), strict=True))
        best = min((way for way in seconds if way.startswith("bare")), key=seconds.__getitem__)
        rows.append(
            {
                "network": name,
                "pixels": int(np.prod(shape)),
                "samples": samples,
                "best_tile": int(best.split()[1]),
                "bare_per_second": samples / seconds[best],
                "engine_per_second": samples / seconds["engine"],
                "textbook_per_second": samples / seconds["textbook"],
                "engine_over_bare": seconds[best] / seconds["engine"],
                "engine_over_textbook": seconds["textbook"] / seconds["engine"],
                "engine_over_toolbox": seconds["toolbox"] / seconds["engine"],
                "bfloat16_over_textbook": seconds["textbook"] / seconds["bfloat16"],
            }
        )
    return rows


def end_to_end(
    profile: str, *, images: int, n: int, timed: int, radius: float = 0.5
) -> dict[str, Any]:
    """Return seconds and decisions of the textbook procedure and of the engine for one radius.

    The network, the images and the textbook's decisions, from n samples each, are those of
    the experiment `certified-accuracy`, whose stages are used where they are kept. Its time
    is that of the published loop on `timed` of the images, times the rest.
    """
    parameters = dataclasses.replace(
        certified_accuracy.experiment.parameters(profile), images=images, n=n
    )
    context = certified_accuracy.experiment.context(keep_stages=True)
    dataset = data.load(parameters.dataset)
    noise = Rounded(Gaussian(SIGMA), dataset.levels)
    model, _ = base_classifier(parameters, Gaussian(SIGMA), dataset, context)
    counts = certified_accuracy.class_counts(parameters, SIGMA, dataset, context)
    fixed = smoothing.from_counts(
        counts["selected"],
        counts["successes"],
        n0=parameters.n0,
        n=n,
        alpha=parameters.alpha,
        noise=noise,
    )
    theirs = np.where(fixed.radius >= radius, fixed.predicted, smoothing.ABSTAIN)
    ids = evenly(len(dataset.test_labels), images)
    chosen = dataset.test_images[torch.from_numpy(ids)]

    start = time.process_time()
    ours = smoothing.certify(
        model,
        chosen,
        noise,
        smoothing.RadiusTable([radius], n),
        classes=dataset.classes,
        seed=parameters.seed,
        alpha=parameters.alpha,
        image_ids=ids,
    )
    seconds = time.process_time() - start
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    start = time.process_time()
    for image in dataset.as_float(chosen[:timed]):
        textbook_counts(plain, image, parameters.n0 + n, TEXTBOOK_BATCH)
    textbook_seconds = (time.process_time() - start) / timed * images

    decided, agree = ~ours.undecided, ours.predicted == theirs
    return {
        "data": parameters.dataset,
        "network": parameters.model,
        "images": images,
        "n": n,
        "radius": radius,
        "sigma": SIGMA,
        "alpha": parameters.alpha,
        "textbook_seconds": textbook_seconds,
        "engine_seconds": seconds,
        "ratio": textbook_seconds / seconds,
        "agreement": float(agree.mean()),
        "agreement_where_decided": float(agree[decided].mean()),
        "undecided": float(ours.undecided.mean()),
        "mean_samples": float(ours.samples.mean()),
        "textbook_certified": int((theirs >= 0).sum()),
        "engine_certified": int((ours.predicted >= 0).sum()),
    }

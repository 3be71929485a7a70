"""The certification engine beside the bare forward pass and the textbook loop, in one run.

Throughput: the same networks, the same number of samples; turns alternate, and the ratios are of
medians of CPU time on one thread, so that a busy machine changes them little. The bare pass
runs on inputs that are already there, at the best of several tiles. The textbook loop is that
of published certifiers: it repeats one image, adds torch.randn, and counts the answers in a
Python loop, with their customary batch and memory layout.

End to end: the question "is the radius at least 1/2?" for images of digits, by the textbook
loop with 100,000 samples an image and by the engine, one look at a time.
"""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.clock import alternate
from rs_lib import smoothing
from rs_lib.experiments import certified_accuracy
from rs_lib.experiments.experiment import Context
from rs_lib.machines import data, models
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing.sampling import count_classes
from rs_lib.statistics import clopper_pearson_lower

NETWORKS = {
    "mlp": ("mlp", (1, 28, 28)),
    "small-cnn": ("small-cnn", (1, 28, 28)),
    "lenet": ("lenet", (1, 28, 28)),
    "lenet, colour": ("lenet", (3, 32, 32)),
}
TILES = (64, 128, 512)
TEXTBOOK_BATCH = 400
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


def _ours(model: nn.Module, image: Tensor, n: int) -> None:
    count_classes(
        model,
        image[None],
        Rounded(Gaussian(SIGMA)),
        n,
        seed=0,
        stream="bench",
        image_ids=[0],
        classes=10,
    )


def throughput(samples: int, repeats: int) -> list[dict[str, Any]]:
    """Return samples per CPU second of the bare pass, the engine and the textbook loop."""
    rows = []
    for name, (kind, shape) in NETWORKS.items():
        model = models.build(kind, shape, 10, seed=0)
        # The textbook loop knows no channels-last layout.
        plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
        image = torch.randint(0, 256, shape, dtype=torch.uint8)
        bright = image.float() / 255
        ways: dict[str, Callable[[], object]] = {
            f"bare {tile}": (lambda tile=tile, m=model, i=image: bare_forward(m, i, samples, tile))
            for tile in TILES
        }
        ways["engine"] = lambda m=model, i=image: _ours(m, i, samples)
        ways["textbook"] = lambda m=plain, i=bright: textbook_counts(m, i, samples, TEXTBOOK_BATCH)
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
            }
        )
    return rows


def end_to_end(images: int, n: int, radius: float = 0.5, alpha: float = 0.001) -> dict[str, Any]:
    """Return seconds and decisions of the textbook loop and of the engine for one radius."""
    dataset = data.load("digits")
    parameters = certified_accuracy.experiment.parameters("quick")
    model, _ = certified_accuracy.base_classifier(parameters, SIGMA, dataset, Context())
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    chosen = dataset.test_images[:images]
    noise = Rounded(Gaussian(SIGMA), dataset.levels)

    def textbook() -> list[int]:
        torch.manual_seed(0)
        answers = []
        for image in dataset.as_float(chosen):
            selected = int(np.argmax(textbook_counts(plain, image, 100, TEXTBOOK_BATCH)))
            hits = textbook_counts(plain, image, n, TEXTBOOK_BATCH)[selected]
            p_lower = clopper_pearson_lower(hits, n, alpha)
            certified = p_lower > 0.5 and smoothing.certified_radius(noise, p_lower) >= radius
            answers.append(selected if certified else smoothing.ABSTAIN)
        return answers

    def engine() -> smoothing.Certification:
        return smoothing.certify(
            model,
            chosen,
            noise,
            classes=10,
            seed=0,
            radii=[radius],
            max_samples=n,
            alpha=alpha,
        )

    start = time.process_time()
    ours = engine()
    between = time.process_time()
    theirs = np.array(textbook())
    ours_seconds, theirs_seconds = between - start, time.process_time() - between
    decided = ~ours.undecided
    return {
        "images": images,
        "n": n,
        "radius": radius,
        "sigma": SIGMA,
        "alpha": alpha,
        "textbook_seconds": theirs_seconds,
        "engine_seconds": ours_seconds,
        "ratio": theirs_seconds / ours_seconds,
        "agreement": float((ours.predicted == theirs).mean()),
        "agreement_where_decided": float((ours.predicted == theirs)[decided].mean()),
        "undecided": float(ours.undecided.mean()),
        "mean_samples": float(ours.samples.mean()),
        "textbook_certified": int((theirs >= 0).sum()),
        "engine_certified": int((ours.predicted >= 0).sum()),
    }

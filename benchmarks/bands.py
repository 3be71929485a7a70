"""What a sweep over all bands costs, and what certificates of the stored scores cost.

The networks are untrained, for their weights do not change the work. The loop that they are set
beside is the published one (Levine & Feizi 2020): for each position a batch of images with all
else set to zero, one forward pass, thresholded votes; for one threshold.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.clock import alternate
from rs_lib.certificates import patch
from rs_lib.experiments import patch_bands
from rs_lib.machines import band_classifier, residual
from rs_lib.machines.band_classifier import BandClassifier

SHAPES = {"MNIST": ((1, 28, 28), 2), "CIFAR-10": ((3, 32, 32), 4)}
"""Shape of the images and columns of a band."""

# Images, network, images of a turn: whole passes each. First the paper's network, then others.
SETTINGS = (
    ("MNIST", "masked", 80),
    ("MNIST", "column", 320),
    ("CIFAR-10", "residual", 4),
    ("CIFAR-10", "residual column", 16),
    ("CIFAR-10", "column", 64),
)
THETAS = patch_bands.PROFILES["full"].thetas


def textbook_votes(network: nn.Module, images: Tensor, band: int, theta: float) -> Tensor:
    """Count the votes of `images` [N, C, H, W] at all positions, one after the other; [N, K]."""
    width = images.shape[-1]
    counts = 0
    for start in range(width):
        shown = torch.zeros_like(images)
        hidden = torch.zeros_like(images)
        for column in ((start + step) % width for step in range(band)):
            shown[..., column] = images[..., column]
            hidden[..., column] = 1 - images[..., column]
        scores = network(torch.cat((shown, hidden), dim=1)).softmax(dim=1)
        counts = counts + (scores >= theta).int()
    return counts


def _ways(model: BandClassifier, images: Tensor, band: int) -> dict[str, Callable[[], object]]:
    """Return the ways to sweep `images`: each precision, and the loop where the network fits it."""
    faster = residual.folded(model)
    ways: dict[str, Callable[[], object]] = {
        form: lambda form=form: band_classifier.probabilities(faster, images, form)
        for form in band_classifier.PRECISIONS
    }
    network = getattr(model, "network", None)
    if network is not None:
        plain = network.to(memory_format=torch.contiguous_format)
        ways["textbook"] = lambda: textbook_votes(plain, images, band, 0.3)
    return ways


@torch.inference_mode()
def sweep(repeats: int) -> list[dict[str, Any]]:
    """Return images per CPU second of each network, and of the loop on the paper's network."""
    rows, loops = [], {}
    for name, network, count in SETTINGS:
        shape, band = SHAPES[name]
        images = torch.rand((count, *shape), generator=torch.Generator().manual_seed(0))
        model = patch_bands.untrained(patch_bands.Base(network, "columns", band), shape, 10, 0)
        work = patch_bands.multiplications(model, images[0])
        ways = _ways(model, images, band)
        times = alternate(list(ways.values()), repeats)
        speed = {way: count / statistics.median(own) for way, own in zip(ways, times, strict=True)}
        loops.setdefault(name, speed.get("textbook"))
        rows.append(
            {
                "images": name,
                "network": network,
                "million_products": work / 1e6,
                "per_second": speed["float32"],
                "bfloat16_per_second": speed["bfloat16"],
                "textbook_per_second": loops[name],
                "over_textbook": speed["float32"] / loops[name],
                "products_per_ns": speed["float32"] * work / 1e9,
            }
        )
    return rows


def grid(images: int) -> dict[str, Any]:
    """Return CPU seconds for all certificates of stored scores: each θ, patch size and method."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 10, images)
    logits = 1.5 * draw.normal(size=(images, 28, 10))
    logits[np.arange(images), :, labels] += 2.5
    scores = np.exp(logits)
    scores = (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float32)
    start = time.process_time()
    kept = [patch_bands.tallies(scores, theta, 2, labels) for theta in THETAS]
    seconds = time.process_time() - start
    sizes = len(kept[0]["reported"]["counts"])
    return {
        "images": images,
        "bands": 28,
        "thresholds": len(THETAS),
        "patch_sizes": sizes,
        "methods": len(patch.METHODS),
        "seconds": seconds,
    }

"""Sound noise beside torch.randn of the same shape, and noisy images beside x + sigma · randn.

Turns alternate in one run on one thread; each ratio is the median over the turns of the ratio
of CPU times, so that a busy machine changes it little.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.clock import alternate
from rs_lib.noise import Gaussian, Rounded, noisy_images

TILE = 128
SHAPES = {"MNIST": (1, 28, 28), "CIFAR-10": (3, 32, 32)}
SIGMAS = (0.25, 0.5, 1.0)
IMAGES = 4
TURN = 5


def sound_noise(sigma: float, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that draws the noise of one tile, added to nothing and converted."""
    image = torch.zeros((1, *shape), dtype=torch.uint8)
    rows, samples = np.zeros(TILE, dtype=np.int64), np.arange(TILE)
    law = Rounded(Gaussian(sigma))
    return lambda: noisy_images(law, image, rows, rows, samples, key=1)


def float_noise(sigma: float, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that draws float noise for one tile."""
    return lambda: torch.randn(TILE, *shape)


def sound_images(sigma: float, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that makes a tile of noisy images, a quarter from each of four images."""
    images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8)
    rows = np.repeat(np.arange(IMAGES), TILE // IMAGES)
    samples = np.tile(np.arange(TILE // IMAGES), IMAGES)
    law = Rounded(Gaussian(sigma))
    return lambda: noisy_images(law, images, rows, rows, samples, key=1)


def float_images(sigma: float, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that makes the same tile with torch.randn."""
    images = torch.rand(IMAGES, *shape)
    rows = torch.arange(IMAGES).repeat_interleave(TILE // IMAGES)
    return lambda: images[rows] + torch.randn(TILE, *shape) * sigma


def measure(repeats: int) -> list[dict[str, Any]]:
    """Return nanoseconds a pixel and ratios for each shape and σ."""
    rows = []
    for name, shape in SHAPES.items():
        nanoseconds = 1e9 / (TURN * TILE * np.prod(shape))
        for sigma in SIGMAS:
            row = {"shape": name, "sigma": sigma}
            for what, ours, theirs in (
                ("noise", sound_noise, float_noise),
                ("images", sound_images, float_images),
            ):
                turns = alternate([ours(sigma, shape), theirs(sigma, shape)], repeats, TURN)
                mine, other = (statistics.median(times) * nanoseconds for times in turns)
                ratio = statistics.median(a / b for a, b in zip(*turns, strict=True))
                row |= {f"{what}_ns": mine, f"{what}_float_ns": other, f"{what}_ratio": ratio}
            rows.append(row)
    return rows

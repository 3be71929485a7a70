"""What the health test of the random words costs, as a share of what a sample costs.

The test is a small part of a run, less than runs differ by: so it is measured where it works, on
noise whose words are all counted beside noise whose words are not, and put together with the share
of samples that is watched.
"""

import statistics
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.clock import alternate
from rs_lib.machines import models
from rs_lib.noise import Gaussian, Rounded, noisy_images
from rs_lib.noise.watch import POSITIONS, Watch
from rs_lib.smoothing import Certifier, Executed, FixedSamples, Health

_NETWORKS = {
    "mlp, 28 x 28": ("mlp", (1, 28, 28)),
    "small-cnn, 28 x 28": ("small-cnn", (1, 28, 28)),
    "lenet, colour 32 x 32": ("lenet", (3, 32, 32)),
}
_BLOCK = 1_024
_NOISE = Rounded(Gaussian(0.5))


def _watched_share(pixels: int, n: int) -> float:
    """Return the share of 100 + n samples whose words are counted."""
    watcher = Health(1).watcher(np.zeros(1, np.int64), pixels, torch.device("cpu"))
    watched = 0
    for count in (100, n):
        zeros = np.zeros(count, np.int64)
        watched += int((watcher.watch(zeros, np.arange(count), count).slots == 0).sum())
    return watched / (100 + n)


def measure(samples: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Return what a sample costs, what counting its words adds, and both for a whole run."""
    rows = []
    for name, (kind, shape) in _NETWORKS.items():
        image = torch.randint(0, 256, (1, *shape), dtype=torch.uint8)
        zeros, numbers = np.zeros(_BLOCK, np.int64), np.arange(_BLOCK)

        def noise(watched: bool, image=image, zeros=zeros, numbers=numbers) -> object:
            ones, words = torch.zeros((1, POSITIONS), dtype=torch.int64), np.zeros(1, np.int64)
            watch = Watch(zeros, ones, words) if watched else None
            return noisy_images(_NOISE, image, zeros, zeros, numbers, key=1, watch=watch)

        executed = Executed(models.build(kind, shape, 10, seed=0).eval(), classes=10)
        certifier = Certifier(executed, _NOISE, FixedSamples(_BLOCK, 1), seed=1)
        ways = [partial(noise, False), partial(noise, True), partial(certifier.certify, image)]
        plain, counted, whole = map(statistics.median, alternate(ways, repeats))
        for n in samples:
            share = _watched_share(int(np.prod(shape)), n)
            rows.append(
                {
                    "network": name,
                    "samples": n,
                    "microseconds_per_sample": 1e6 * whole / _BLOCK,
                    "microseconds_counted": 1e6 * (counted - plain) / _BLOCK,
                    "watched": share,
                    "added": share * (counted - plain) / whole,
                }
            )
    return rows

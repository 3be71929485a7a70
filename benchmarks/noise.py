"""Sound noise beside torch.randn of the same shape, and noisy images beside x + sigma · randn.

Turns alternate in one run on one thread; each ratio is the median over the turns of the ratio
of CPU times, so that a busy machine changes it little.

    python -m benchmarks.noise [--repeats 60]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from rs_lib.noise import Gaussian, Rounded, noisy_images, philox
from rs_lib.noise.prefix_table import prefix_table

TILE = 128
SHAPES = {"MNIST": (1, 28, 28), "CIFAR-10": (3, 32, 32)}
SIGMAS = (0.25, 0.5, 1.0)
IMAGES = 4
TURN = 5


def sound_noise(sigma: float, shape: tuple[int, ...]) -> Callable[[], object]:
    """Return a function that draws integer noise for one tile."""
    table, pixels = prefix_table(Rounded(Gaussian(sigma))), int(np.prod(shape))
    count = table.words_per_sample(pixels)
    streams, blocks = np.zeros(TILE, dtype=np.int64), np.arange(TILE) * (count // 4)
    return lambda: table.draw(philox.words(1, streams, blocks, count), pixels)


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


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(TURN):
        work()
    return time.process_time() - start


def _beside(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int
) -> tuple[float, float, float]:
    """Return the median CPU seconds of a turn of each, and the median ratio."""
    for work in (ours, theirs):
        _cpu_seconds(work)
    turns = [(_cpu_seconds(ours), _cpu_seconds(theirs)) for _ in range(repeats)]
    mine, other = (statistics.median(times) for times in zip(*turns, strict=True))
    return mine, other, statistics.median(a / b for a, b in turns)


def main() -> None:
    """Print nanoseconds a pixel and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=60, help="turns of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"tiles of {TILE}, 1 thread, {options.repeats} turns; ns of CPU time a pixel")
    print(f"{'':10} {'σ':>5}   {'noise':>6} {'randn':>6} {'ratio':>6}   ", end="")
    print(f"{'images':>6} {'floats':>6} {'ratio':>6}")
    for name, shape in SHAPES.items():
        nanoseconds = 1e9 / (TURN * TILE * np.prod(shape))
        for sigma in SIGMAS:
            print(f"{name:10} {sigma:5.2f}", end="")
            for ours, theirs in ((sound_noise, float_noise), (sound_images, float_images)):
                mine, other, ratio = _beside(
                    ours(sigma, shape), theirs(sigma, shape), options.repeats
                )
                print(
                    f"   {mine * nanoseconds:6.2f} {other * nanoseconds:6.2f} {ratio:6.2f}", end=""
                )
            print()


if __name__ == "__main__":
    main()

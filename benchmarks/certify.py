"""Certification beside the textbook loop and the bare forward pass, in one run.

All three see the same network, batch size and number of samples; their turns alternate, and
the ratios are of medians of CPU time, so that a busy machine changes them little.

    python -m benchmarks.certify [--samples 20000] [--repeats 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from rs_lib.machines import models
from rs_lib.noise import Gaussian
from rs_lib.smoothing import sampling

NETWORKS = {"small-cnn": (1, 8, 8), "lenet": (1, 28, 28)}
BATCH = sampling.BATCH["cpu"]


def bare_forward(model: torch.nn.Module, image: torch.Tensor, n: int) -> None:
    """Run the network n times on images that are already there: the limit."""
    batch = image.repeat(BATCH, 1, 1, 1)
    with torch.inference_mode():
        for _ in range(n // BATCH):
            model(batch)


def textbook(model: torch.nn.Module, image: torch.Tensor, n: int) -> None:
    """Repeat the image, add torch.randn, count the answers in a Python loop over samples."""
    counts = [0] * 10
    with torch.no_grad():
        for _ in range(n // BATCH):
            batch = image.repeat(BATCH, 1, 1, 1)
            answers = model(batch + torch.randn_like(batch) * 0.5).argmax(1)
            for answer in answers.numpy():
                counts[answer] += 1


def ours(model: torch.nn.Module, image: torch.Tensor, n: int) -> None:
    """Count with the library."""
    whole = n // BATCH * BATCH
    sampling.count_classes(
        model, image, Gaussian(0.5), whole, seed=0, stream="bench", image_ids=[0], classes=10
    )


def _cpu_seconds(
    work: Callable[[torch.nn.Module, torch.Tensor, int], None], *args: object
) -> float:
    start = time.process_time()
    work(*args)  # type: ignore[arg-type]
    return time.process_time() - start


def main() -> None:
    """Print samples per CPU second and ratios for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000, help="per measurement")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = {"bare forward pass": bare_forward, "textbook loop": textbook, "this library": ours}
    for name, shape in NETWORKS.items():
        model = models.build(name, shape, 10, seed=0)
        image = torch.rand(1, *shape)
        for work in ways.values():
            work(model, image, 4 * BATCH)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.repeats):
            for way, work in ways.items():
                times[way].append(_cpu_seconds(work, model, image, options.samples))
        median = {way: statistics.median(seconds) for way, seconds in times.items()}
        print(f"{name}, batch {BATCH}, {options.samples:,} samples, 1 thread")
        for way, seconds in median.items():
            rate = options.samples / seconds
            against = seconds / median["bare forward pass"]
            print(f"  {way:18} {rate:12,.0f} samples/s   {against:5.2f} × the bare pass")


if __name__ == "__main__":
    main()

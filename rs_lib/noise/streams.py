"""Noisy images, each a function of (key, image id, sample number, pixel) and of nothing else."""

from torch import Tensor

from rs_lib.arguments import IntArray, shown
from rs_lib.noise.law import Law
from rs_lib.noise.watch import Watch
from rs_lib.noise.words import Draws, Generator, counter_based, require_int64


def noisy_images(
    law: Law,
    images: Tensor,
    rows: IntArray,
    image_ids: IntArray,
    samples: IntArray,
    *,
    key: int,
    generator: Generator = counter_based,
    watch: Watch | None = None,
) -> Tensor:
    """Return float32 [T, *`law.seen`]: row t is `images[rows[t]]` under a sample of `law`.

    The sample is number `samples[t]` of the stream (`key`, `image_ids[t]`): the same whatever
    the other rows are. `rows`, `image_ids`, `samples`: int64 [T]; samples of one stream that
    follow each other are drawn at once. `key`: 63 bits, from `rs_lib.seeds.derive`. `images`:
    [N, C, H, W] of `law.image_dtype`; each law says what of it is equal to the bit on every device,
    and where it is truncated. Random words come from `generator`; `watch` counts their bits.

    The result lies channels last in memory (views of `Ablation` do not), and pixels take their
    random numbers in that order (rows, columns, channels). Nothing waits for the device. Memory
    beside the result: a few kilobytes a thread for rounded noise on the CPU, else about 60 bytes a
    noisy pixel on a device, 20 for continuous laws.
    Raises ValueError for images, rows or samples that do not fit together, RuntimeError if a
    sample runs out of random words (probability below 2^-64).
    """
    if not isinstance(law, Law):
        raise ValueError(f"law is {shown(law)}: give a law of rs_lib.noise")
    if not isinstance(images, Tensor):
        raise ValueError(f"images is {shown(images)}: give a tensor [N, C, H, W]")
    law.require_form(images)
    draws = Draws(key, image_ids, samples, generator, watch)
    require_int64("rows", rows)
    if rows.shape != image_ids.shape:
        raise ValueError(
            f"rows has shape {rows.shape} and image_ids {image_ids.shape}: give two arrays [T] of "
            "one length"
        )
    if rows.min() < 0 or rows.max() >= len(images):
        raise ValueError(f"rows reach {rows.min()} and {rows.max()}: give 0 to {len(images) - 1}")
    return law.noisy(images, rows, draws)

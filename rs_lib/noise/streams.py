"""Noisy images, each a function of (key, image id, sample number, pixel) and of nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, shown
from rs_lib.noise import continuous, philox
from rs_lib.noise.ablation import Ablation, Law
from rs_lib.noise.device_table import device_table
from rs_lib.noise.laws import Gaussian, Laplace, NoiseLaw, Uniform
from rs_lib.noise.prefix_table import exhausted, prefix_table, prefix_words
from rs_lib.noise.rounded import Rounded

try:
    from rs_lib.noise import compiled
except ImportError:  # A GPU needs no Numba; a CPU without it takes torch's way, far slower.
    compiled = None  # type: ignore[assignment]


def noisy_images(
    law: Law,
    images: Tensor,
    rows: IntArray,
    image_ids: IntArray,
    samples: IntArray,
    *,
    key: int,
) -> Tensor:
    """Return float32 [T, C, H, W]: row t is `images[rows[t]]` plus a sample of `law`.

    The sample is number `samples[t]` of the stream (`key`, `image_ids[t]`): the same whatever
    the other rows are. `rows`, `image_ids`, `samples`: int64 [T]; samples of one stream that
    follow each other are drawn at once. `key`: 63 bits, from `rs_lib.seeds.derive`.

    For `Rounded` noise, `images` is uint8 [N, C, H, W] with pixels 0 … levels; the result is
    float32(k + j) · float32(1 / levels), bit by bit the same on every device. For a continuous
    law, `images` is float32 and the sum is made in float32: `Rounded` says what soundness
    takes, and `rs_lib.noise.continuous` where the law is truncated. For `Ablation`, `images` is
    uint8 and the result [T, 2 C, H, W], a view of each image.

    The result lies channels last in memory, and pixels take their random numbers in that order
    (rows, columns, channels). Nothing waits for the device. Memory beside the result: a few
    kilobytes a thread on the CPU, about 60 bytes a noisy pixel on a device, 20 for continuous
    laws.
    Raises ValueError for images, rows or samples that do not fit together, RuntimeError if a
    sample runs out of random words (probability below 2^-64).
    """
    _check(law, images, rows, image_ids, samples)
    integer("key", key, most=2**63 - 1)
    if isinstance(law, Ablation):
        return _ablated(law, images, rows, image_ids, samples, key)
    last = images.permute(0, 2, 3, 1)
    flat = last.flatten(1)
    if not isinstance(law, Rounded):
        sums = _continuous(law, flat, rows, image_ids, samples, key)
    elif _is_compiled(images.device):
        sums = _rounded(law, flat, rows, image_ids, samples, key)
    else:
        sums = _rounded_by_torch(law, flat, rows, image_ids, samples, key)
    return sums.view(-1, *last.shape[1:]).permute(0, 3, 1, 2)


def _ablated(
    law: Ablation, images: Tensor, rows: IntArray, ids: IntArray, samples: IntArray, key: int
) -> Tensor:
    """Return views of `images[rows]`."""
    words = _words(images.device, key, ids, samples, law.words_per_sample)
    bright = images[_to(images.device, rows)].to(torch.float32).mul_(float(_pixel_width(law)))
    return law.views(bright, words)


def _continuous(
    law: NoiseLaw, flat: Tensor, rows: IntArray, ids: IntArray, samples: IntArray, key: int
) -> Tensor:
    """Return `flat[rows]` plus continuous noise."""
    pixels = flat.shape[1]
    words = _words(flat.device, key, ids, samples, continuous.words_per_sample(pixels))
    return continuous.draw(law, words, pixels).add_(flat[_to(flat.device, rows)])


def _rounded(
    law: Rounded, flat: Tensor, rows: IntArray, ids: IntArray, samples: IntArray, key: int
) -> Tensor:
    """Return `flat[rows]` plus rounded noise, by compiled code on the CPU's threads."""
    table, pixels = prefix_table(law), flat.shape[1]
    count = table.words_per_sample(pixels)
    blocks = samples * (count // philox.WORDS_PER_BLOCK)
    result = np.empty((len(rows), pixels), dtype=np.float32)

    def add(part: slice) -> bool:
        drawn: bool = compiled.add_rounded(
            result[part],
            flat.numpy(),
            rows[part],
            np.uint64(key),
            ids[part].view(np.uint64),
            blocks[part].view(np.uint64),
            prefix_words(pixels),
            count,
            _pixel_width(law),
            (table.noise, table.first, table.rest, table.largest),
        )
        return drawn

    if not all(_on_threads(add, len(rows))):
        raise RuntimeError(exhausted(pixels))
    return torch.from_numpy(result)


def _on_threads(work: Callable[[slice], bool], count: int) -> list[bool]:
    """Do `work` on slices of 0 … count - 1, one for each of torch's threads."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        return [work(slice(0, count))]
    edges = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, map(slice, edges[:-1], edges[1:])))


def _rounded_by_torch(
    law: Rounded, flat: Tensor, rows: IntArray, ids: IntArray, samples: IntArray, key: int
) -> Tensor:
    """Return the same numbers by torch operations on the device of `flat`."""
    count = prefix_table(law).words_per_sample(flat.shape[1])
    words = _words_by_torch(flat.device, key, ids, samples, count)
    sums = device_table(law, flat.device).draw(words, flat.shape[1])
    sums.add_(flat[_to(flat.device, rows)])
    return sums.to(torch.float32).mul_(float(_pixel_width(law)))


def _words(device: torch.device, key: int, ids: IntArray, samples: IntArray, count: int) -> Tensor:
    """Return the words int64 [T, count] of samples that own `count` words each."""
    if not _is_compiled(device):
        return _words_by_torch(device, key, ids, samples, count)
    words = np.empty((len(ids), count), dtype=np.uint64)
    blocks = samples * (count // philox.WORDS_PER_BLOCK)
    compiled.fill_rows(words, np.uint64(key), ids.view(np.uint64), blocks.view(np.uint64))
    return torch.from_numpy(words.view(np.int64))


def _words_by_torch(
    device: torch.device, key: int, ids: IntArray, samples: IntArray, count: int
) -> Tensor:
    """Return the same words by torch operations on `device`."""
    blocks = samples * (count // philox.WORDS_PER_BLOCK)
    return philox.words(key, _to(device, ids), _to(device, blocks), count)


def _is_compiled(device: torch.device) -> bool:
    """Whether the noise for `device` is made by compiled code: on a CPU, where Numba is there."""
    return compiled is not None and device.type == "cpu"


def _to(device: torch.device, values: IntArray) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)


def _pixel_width(law: Rounded | Ablation) -> np.float32:
    return np.float32(1 / law.levels)


def _check(
    law: Law, images: Tensor, rows: IntArray, image_ids: IntArray, samples: IntArray
) -> None:
    """Raise ValueError unless the arguments fit together."""
    if not isinstance(law, Ablation | Rounded | Gaussian | Laplace | Uniform):
        raise ValueError(f"law is {shown(law)}: give a law of noise")
    if not isinstance(images, Tensor):
        raise ValueError(f"images is {shown(images)}: give a tensor [N, C, H, W]")
    for name, numbers in (("rows", rows), ("image_ids", image_ids), ("samples", samples)):
        # Other types would be read by their bits, as other numbers.
        if getattr(numbers, "dtype", None) != np.int64:
            raise ValueError(f"{name} is {shown(numbers)}: give an array of int64")
    dtype = torch.uint8 if isinstance(law, Rounded | Ablation) else torch.float32
    if images.ndim != 4 or images.dtype != dtype:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}: give {dtype} [N, C, H, W] "
            f"for {law.name} noise"
        )
    if isinstance(law, Ablation) and images[0, 0].numel() != law.pixels:
        raise ValueError(
            f"images have {images[0, 0].numel()} positions but the views are of {law.pixels}: "
            "let pixels be height times width"
        )
    if not rows.shape == image_ids.shape == samples.shape or rows.ndim != 1 or not rows.size:
        raise ValueError(
            f"rows, image_ids and samples have shapes {rows.shape}, {image_ids.shape} and "
            f"{samples.shape}: give three arrays [T] of one length, at least 1"
        )
    if rows.min() < 0 or rows.max() >= len(images):
        raise ValueError(f"rows reach {rows.min()} and {rows.max()}: give 0 to {len(images) - 1}")
    if samples.min() < 0:
        raise ValueError(f"samples hold {samples.min()}: give numbers of at least 0")

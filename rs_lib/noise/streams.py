"""Noisy images, each a function of (key, image id, sample number, pixel) and of nothing else."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import IntArray
from rs_lib.noise import continuous, philox
from rs_lib.noise.device_table import device_table
from rs_lib.noise.laws import NoiseLaw
from rs_lib.noise.prefix_table import prefix_table
from rs_lib.noise.rounded import Rounded


def noisy_images(
    law: NoiseLaw,
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
    takes, and `rs_lib.noise.continuous` where the law is truncated.

    Nothing waits for the device. Memory beside the result: about 20 bytes a noisy pixel on the
    CPU and 60 on a device, while few pixels are ambiguous (see `PrefixTable`; sigma <= 1).
    Raises ValueError for images, rows or samples that do not fit together, RuntimeError if a
    sample runs out of random words (probability below 2^-64).
    """
    _check(law, images, rows, image_ids, samples)
    if isinstance(law, Rounded):
        add = _rounded if images.device.type == "cpu" else _rounded_on_device
        return add(law, images, rows, image_ids, samples, key)
    pixels = images[0].numel()
    count = continuous.words_per_sample(pixels)
    if images.device.type == "cpu":
        words = torch.from_numpy(_words(key, image_ids, samples, count).view(np.int64))
    else:
        words = _words_on_device(images.device, key, image_ids, samples, count)
    noise = continuous.draw(law, words, pixels).view(-1, *images.shape[1:])
    return noise.add_(images[_to(images.device, rows)])


def _rounded(
    law: Rounded, images: Tensor, rows: IntArray, ids: IntArray, samples: IntArray, key: int
) -> Tensor:
    """Return `images[rows]` plus rounded noise, on the CPU."""
    table = prefix_table(law)
    flat = images.flatten(1)
    count = table.words_per_sample(flat.shape[1])
    sums = torch.from_numpy(table.draw(_words(key, ids, samples, count), flat.shape[1]))
    # One image for all rows is added without being copied.
    same = bool((rows == rows[0]).all())
    picked = flat[int(rows[0])] if same else flat.index_select(0, torch.from_numpy(rows))
    sums.add_(picked.to(torch.int16))
    result = sums.to(torch.float32).mul_(float(_pixel_width(law)))
    return result.view(-1, *images.shape[1:])


def _rounded_on_device(
    law: Rounded, images: Tensor, rows: IntArray, ids: IntArray, samples: IntArray, key: int
) -> Tensor:
    """Return the same numbers by torch operations on the device of `images`."""
    flat = images.flatten(1)
    count = prefix_table(law).words_per_sample(flat.shape[1])
    words = _words_on_device(images.device, key, ids, samples, count)
    sums = device_table(law, images.device).draw(words, flat.shape[1])
    sums.add_(flat[_to(images.device, rows)])
    result = sums.to(torch.float32).mul_(float(_pixel_width(law)))
    return result.view(-1, *images.shape[1:])


def _words(key: int, ids: IntArray, samples: IntArray, count: int) -> npt.NDArray[np.uint64]:
    """Return the words [T, count] of samples that own `count` words each."""
    return philox.words(key, ids, samples * (count // philox.WORDS_PER_BLOCK), count)


def _words_on_device(
    device: torch.device, key: int, ids: IntArray, samples: IntArray, count: int
) -> Tensor:
    """Return the same words as int64 on `device`."""
    blocks = samples * (count // philox.WORDS_PER_BLOCK)
    return philox.words_on_device(key, _to(device, ids), _to(device, blocks), count)


def _to(device: torch.device, values: IntArray) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)


def _pixel_width(law: Rounded) -> np.float32:
    return np.float32(1 / law.levels)


def _check(
    law: NoiseLaw, images: Tensor, rows: IntArray, image_ids: IntArray, samples: IntArray
) -> None:
    """Raise ValueError unless the arguments fit together."""
    dtype = torch.uint8 if isinstance(law, Rounded) else torch.float32
    if images.ndim != 4 or images.dtype != dtype:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}: give {dtype} [N, C, H, W] "
            f"for {law.name} noise"
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

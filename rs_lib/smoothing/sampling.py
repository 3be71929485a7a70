"""Class counts of a base classifier under noise: the Monte Carlo half of every certificate."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from rs_lib.arguments import IntArray, integers, one_of
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.noise import NoiseLaw
from rs_lib.seeds import derive

# Samples per forward pass. On a CPU small tiles stay in the cache; a GPU wants many at once.
BATCH = {"cpu": 128, "cuda": 4096}


def count_classes(
    model: nn.Module,
    images: Tensor,
    noise: NoiseLaw,
    n: int,
    *,
    seed: int,
    stream: str,
    image_ids: Sequence[int] | IntArray,
    classes: int,
    batch: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> IntArray:
    """Return how often `model` says each class on `n` noisy copies of each image.

    `images`: float32 [N, C, H, W]; `image_ids`: N integers; result: int64 [N, `classes`],
    rows summing to `n`. The noise of an image comes from a generator of its own, seeded by
    (`seed`, `stream`, image id): its counts depend neither on the other images nor on
    their order, and the first of 2n samples are the n samples. They do depend on `batch`
    (default: `BATCH` of the device), the number of samples per forward pass, and on the
    kind of device. torch's CPU generator keeps 32 bits of a seed, so that a given pair of
    streams coincides with probability 2**-32.

    Memory beyond the model's own: `batch` noisy images and their logits, whatever `n` is;
    one transfer from the device per image. `model` is moved to `device`.

    Raises ValueError for bad arguments or a model in training mode, FloatingPointError
    that names the image if a logit is NaN or infinite.
    """
    require_evaluation_mode(model)
    ids = _checked_ids(images, image_ids)
    integers("n", n, least=1)
    integers("classes", classes, least=2)
    kind = one_of("device", torch.device(device).type, list(BATCH))
    size = BATCH[kind] if batch is None else batch
    integers("batch", size, least=1)
    model.to(device)
    counts = np.zeros((len(ids), classes), dtype=np.int64)
    with (
        torch.inference_mode(),
        tqdm(
            total=len(ids) * n, desc=stream, unit="sample", unit_scale=True, disable=not progress
        ) as bar,
    ):
        for row, image_id in enumerate(ids.tolist()):
            generator = torch.Generator(device).manual_seed(derive(seed, stream, image_id))
            image = images[row].to(device)
            total = torch.zeros(classes + 1, dtype=torch.int64, device=device)
            for start in range(0, n, size):
                # A whole tile is drawn even where its end is not used: the stream stays the same.
                noisy = noise.sample((size, *image.shape), generator, device).add_(image)
                noisy = noisy[: n - start]
                total += _tally(model(noisy), classes)
                bar.update(len(noisy))
            *counted, broken = total.tolist()
            if broken:
                raise FloatingPointError(
                    f"model gives NaN or infinite logits on {broken} of {n} noisy copies of "
                    f"image {image_id}: train it anew with a smaller learning rate"
                )
            counts[row] = counted
    return counts


def _checked_ids(images: Tensor, image_ids: Sequence[int] | IntArray) -> IntArray:
    ids = integers("image_ids", image_ids)
    if images.ndim < 2 or ids.shape != images.shape[:1]:
        raise ValueError(
            f"images has shape {tuple(images.shape)} and image_ids {ids.shape}: "
            "give [N, C, H, W] and N ids"
        )
    if not images.is_floating_point():
        raise ValueError(f"images has type {images.dtype}: give floats, see Dataset.as_float")
    return ids


def _tally(logits: Tensor, classes: int) -> Tensor:
    """Return the number of rows won by each class, then the number of rows not finite."""
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise ValueError(
            f"classes is {classes} but the model's output has shape {tuple(logits.shape)}: "
            "give the number of its logits"
        )
    finite = logits.isfinite().all(dim=1)
    winner = torch.where(finite, logits.argmax(dim=1), classes)
    # A comparison instead of torch.bincount, which on a GPU waits for the result.
    return (winner[:, None] == torch.arange(classes + 1, device=logits.device)).sum(dim=0)

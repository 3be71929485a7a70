"""Backdoor triggers: a pattern of given l2 norm, added to some training examples and to a test one.

One pixel, four pixels in a square, or a blended pattern over the whole image. Patterns are added
without clipping, so that their norm is exactly the one asked for: the certificate speaks of norms.
Source: Weber, Xu, Karlas, Zhang and Li (2023), "RAB: Provable Robustness Against Backdoor Attacks",
and their code `attack_lib.py`: one pixel at (23, 23) of 28 x 28, which we scale to other sizes.
"""

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, nonnegative, one_of, single
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, noisy_images
from rs_lib.seeds import derive

TRIGGERS = ("one-pixel", "four-pixel", "blending")


def pattern(trigger: str, norm: float, image_shape: tuple[int, int, int]) -> Tensor:
    """Return the pattern of `trigger`, float32 of `image_shape`, with l2 norm `norm`.

    A pixel is bright in all channels alike. The blended pattern is one fixed Gaussian sample. In
    float32 the norm is off by rounding, at most 1e-6 of it. Raises ValueError for an unknown
    trigger, a negative norm, or images of fewer than 8 x 8 pixels.
    """
    one_of("trigger", trigger, TRIGGERS)
    length = single("norm", nonnegative("norm", norm))
    channels, height, width = image_shape
    if min(height, width) < 8:
        raise ValueError(f"image_shape is {image_shape}: give images of at least 8 x 8 pixels")
    shape = torch.zeros(1, channels, height, width)
    if trigger == "blending":
        zero = np.zeros(1, dtype=np.int64)
        shape = noisy_images(Gaussian(1.0), shape, zero, zero, zero, key=derive(0, "blending"))
    else:
        row, column = 23 * height // 28, 23 * width // 28
        side = 1 if trigger == "one-pixel" else 2
        shape[:, :, row : row + side, column : column + side] = 1
    bare = shape.view(image_shape).double()
    scaled: Tensor = bare * (length / bare.norm())
    return scaled.float()


def poisoned_examples(labels: Tensor, target: int, count: int) -> IntArray:
    """Return int64 [count], the examples to poison: spread evenly over those of other labels.

    Raises ValueError if there are fewer than `count`.
    """
    size = integer("count", count, least=1)
    others = np.flatnonzero(labels.numpy() != target)
    if size > len(others):
        raise ValueError(f"count is {count}: give at most {len(others)}, the examples not {target}")
    chosen: IntArray = others[evenly(len(others), size)]
    return chosen


def poisoned(
    features: Tensor, labels: Tensor, chosen: IntArray, added: Tensor, target: int
) -> tuple[Tensor, Tensor]:
    """Return copies of `features` [n, d] and `labels` [n] as the attacker leaves them.

    The `chosen` examples have `added` [d] on their features, and the label `target`.
    """
    moved, changed = features.clone(), labels.clone()
    index = torch.from_numpy(chosen)
    moved[index] += added
    changed[index] = target
    return moved, changed

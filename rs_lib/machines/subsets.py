"""Which images of a data set are taken: evenly spaced ones, and those of some classes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray


def evenly(total: int, most: int) -> IntArray:
    """Return the indices of `most` of `total` things, evenly spaced; all if there are fewer."""
    count = min(total, most)
    return np.arange(count) * total // max(count, 1)


def of_classes(images: Tensor, labels: Tensor, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the `images` [N, ...] whose `labels` [N] are among `classes`, in their order.

    Their labels, int64, are the places of their classes among `classes`.
    """
    places = labels[:, None] == torch.tensor(classes)
    kept = places.any(1)
    return images[kept], places[kept].long().argmax(1)

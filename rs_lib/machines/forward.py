"""What a forward pass of somebody's network failed with, in one sentence."""

import copy
import re
from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)
_OF_TYPES = re.compile(r"dtype|scalar type|Input type|not implemented for '|complex")


def copied(model: Network) -> Network:
    """Return a copy of a network; ValueError for one that cannot be copied."""
    try:
        return copy.deepcopy(model)
    except Exception as error:  # the network is the reader's own and may hold anything
        raise ValueError(
            f"model cannot be copied ({type(error).__name__}), as another precision asks for: "
            "give one whose weights have that precision"
        ) from error


def refused(error: Exception, shape: tuple[int, ...]) -> str:
    """Return a sentence with a remedy for a network that fails on images of `shape` [C, H, W]."""
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".:") if lines else type(error).__name__
    if _OF_TYPES.search(reason):
        return (
            f"model mixes number formats ({reason}): let all its layers compute in the format of "
            "their input, float32 or that of precision"
        )
    if not isinstance(error, RuntimeError | IndexError | TypeError | ValueError):
        return (
            f"model fails on images of shape {list(shape)} with {type(error).__name__} ({reason}): "
            "mend the model"
        )
    return (
        f"images have shape {list(shape)}, which the model does not take ({reason}): give images "
        "of the shape that it was trained on"
    )

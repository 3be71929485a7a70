"""A forward pass of somebody's network, and what it failed with in one sentence."""

import copy
import re
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from rs_lib.machines.called import tensor_of

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


def logits(network: Callable[[Tensor], object], images: Tensor) -> Tensor:
    """Return what `network` makes of `images`: a tensor of real floats, of any size.

    images : [N, C, H, W]. Raises ValueError for anything else, and if the network fails; lack of
    device memory stays what it is.
    """
    shape = tuple(images.shape[1:])
    try:
        found = tensor_of(network(images))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the network is the reader's own and may fail in any way
        raise ValueError(refused(error, shape)) from error
    if not isinstance(found, Tensor):
        raise ValueError(f"model returns a {type(found).__name__}: let it return its logits")
    if not found.is_floating_point():
        raise ValueError(f"model gives logits of type {found.dtype}: let them be real floats")
    return found


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

"""Classifiers that are no torch modules, and networks whose output is more than their logits."""

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

_DEPTH = 4
"""How deep a callable is searched: closures, attributes, arguments of partial, globals it names."""


class Called(nn.Module):
    """`function`, which maps images [N, C, H, W] to logits, as a module.

    Networks that it reaches are its parts: they follow `to` and `eval`, and one in training mode is
    found. Other tensors are only hashed. `fingerprint`, any text, stands for what cannot be found,
    such as weights inside of another library. `is_known` tells whether anything was, or was given.
    """

    def __init__(
        self, function: Callable[[Tensor], object], fingerprint: str | None = None
    ) -> None:
        """Search `function`."""
        super().__init__()
        self.training = False
        self._function = function
        found = list(_within(function, _DEPTH, set()))
        parts = [part for part in found if isinstance(part, nn.Module)]
        for number, part in enumerate(parts):
            self.add_module(f"part{number}", part)
        tensors = [part for part in found if isinstance(part, Tensor)]
        self.fingerprint = fingerprint
        self._tensors = _digest(tensors) if tensors else None
        self.is_known = bool(found) or fingerprint is not None

    def forward(self, images: Tensor) -> object:
        """Return what the function returns; it may read the memory of its images in order."""
        return self._function(images.contiguous())

    def extra_repr(self) -> str:
        """Return what names the function, for the digest of the model."""
        name = getattr(self._function, "__qualname__", type(self._function).__qualname__)
        return f"function={name}, tensors={self._tensors}, fingerprint={self.fingerprint!r}"


def as_module(model: nn.Module | Callable[[Tensor], object]) -> nn.Module:
    """Return `model`, wrapped as `Called` if it is no module."""
    return model if isinstance(model, nn.Module) else Called(model)


def tensor_of(output: object) -> object:
    """Return the logits in what a network gives, or that itself where no rule says which they are.

    These are `output.logits`, `output["logits"]`, or the only floats in a tuple that are not one
    number (a loss).
    """
    if isinstance(output, Tensor):
        return output
    named = output.get("logits") if isinstance(output, Mapping) else None
    named = getattr(output, "logits", None) if named is None else named
    if isinstance(named, Tensor):
        return named
    if isinstance(output, tuple | list):
        floats = [part for part in output if isinstance(part, Tensor) and part.is_floating_point()]
        many = [part for part in floats if part.ndim]
        if len(many) == 1:
            return many[0]
    return output


def is_one_logit(logits: Tensor, count: int) -> bool:
    """Whether these are one logit for each of `count` images: [N] or [N, 1]."""
    return tuple(logits.shape) in ((count,), (count, 1))


def two_classes(logits: Tensor) -> Tensor:
    """Return [N, 2] for one logit z an image: (0, z), so class 1 where z is above 0."""
    only = logits.reshape(-1)
    return torch.stack((torch.zeros_like(only), only), dim=1)


def _within(thing: object, depth: int, seen: set[int]) -> Iterator[nn.Module | Tensor]:
    """Go through the networks and tensors that `thing` reaches, each once."""
    if id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    if isinstance(thing, nn.Module | Tensor):
        yield thing
    elif depth:
        for part in _parts(thing):
            yield from _within(part, depth - 1, seen)


def _parts(thing: object) -> Iterator[object]:
    if isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple):
        yield from thing
    elif isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif inspect.ismethod(thing):
        yield from (thing.__self__, thing.__func__)
    elif hasattr(thing, "__code__"):
        for cell in getattr(thing, "__closure__", None) or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not filled yet
                continue
        names = {*thing.__code__.co_names}
        for name, value in getattr(thing, "__globals__", {}).items():
            if name in names and (isinstance(value, nn.Module | Tensor) or callable(value)):
                yield value
        yield from (getattr(thing, "__defaults__", None) or ())
    else:
        yield from getattr(thing, "__dict__", {}).values()
        yield vars(type(thing)).get("__call__")


def _digest(tensors: list[Tensor]) -> str:
    total = hashlib.sha256()
    for value in tensors:
        total.update(f"{value.dtype} {list(value.shape)}".encode())
        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        total.update(raw.numpy().tobytes())
    return total.hexdigest()

"""Weights from a file, whatever it is called and however the field has wrapped their names.

Contents decide, not the file's name. The names are tried as they stand; then the entries of
containers (`state_dict`, `model`, …), then names less the parts that wrappers add (`module.` of
DataParallel, `_orig_mod.` of torch.compile, a first part that all of them share), on the file's
side and on the model's. Nothing is taken unless torch's own strict load accepts all of it, with
the migrations that it makes of older files. Code in a file is never run.
"""

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rs_lib.commands.failures import told

CONTAINERS = (
    *("state_dict", "model", "net", "model_state_dict", "network", "module", "weights", "params"),
    *("ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "params_ema"),
)
"""Keys under which weights are looked for first, in this order; any other key comes behind."""

_WRAPPERS = ("module", "_orig_mod")
_COUNTERS = ("n_averaged", "num_batches_tracked")
"""Numbers that no forward pass in evaluation mode reads: an average's length, a batch's number."""

_MOST_STEPS = 3
_FOREIGN = re.compile(r"GLOBAL ([\w.]+)|<class '([\w.]+)'>")

Weights = Mapping[str, Any]
Rename = Callable[[str], str]


class _Found(NamedTuple):
    """State dict of a file: under which `keys`, and the `steps` that made its names."""

    weights: Weights
    keys: tuple[str, ...]
    steps: tuple[str, ...] = ()


def load_into(model: nn.Module, path: Path) -> str:
    """Give `model` the weights in the file `path`; return in words what was taken of it.

    The words are empty where the file is the model's own state dict, name by name. Raises
    ValueError if the file cannot be read, or if nothing in it fits the model wholly; the model's
    own weights may then be lost.
    """
    held = [*_held(_read(path))]
    if not held:
        raise ValueError(
            f"weights in {path} are no state dict: save model.state_dict(), bare or under "
            "a key such as state_dict"
        )
    own = list(model.state_dict())
    fitting = [found for found in held if _load(model, own, found) is not None]
    if not fitting:
        raise ValueError(_misfit(model, path, held))
    taken = _load(model, own, fitting[0])
    assert taken is not None
    return _in_words(taken, [found.keys for found in fitting[1:]])


def _held(content: object, keys: tuple[str, ...] = ()) -> Iterator[_Found]:
    """Go through what may be a state dict: `content` itself, then its entries, to two keys deep."""
    if not isinstance(content, Mapping):
        return
    if any(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        yield _Found(content, keys)
    if len(keys) < 2:
        order = (*CONTAINERS, *(key for key in content if key not in CONTAINERS))
        for key in order:
            if isinstance(key, str) and key in content:
                yield from _held(content[key], (*keys, key))


def _load(model: nn.Module, own: list[str], found: _Found) -> _Found | None:
    """Load `found` under the first names that torch accepts; None if it accepts none."""
    for renamed, wanted in product(_renamed(found), _renamed(_Found(dict.fromkeys(own), ()))):
        names = dict(zip(wanted.weights, own, strict=True))
        fits = _without_counters(names) == _without_counters(renamed.weights)
        # Without steps on the model's side torch may know names that we do not: it migrates some.
        if not fits and (wanted.steps or renamed.steps):
            continue
        candidate = _under(renamed.weights, names)
        if _accepted(model, candidate):
            added = tuple(f"+{step}" for step in wanted.steps)
            return renamed._replace(steps=(*renamed.steps, *added))
    return None


def _accepted(model: nn.Module, candidate: Weights) -> bool:
    """Whether torch's strict load takes `candidate` whole, numbers of one kind each."""
    own = model.state_dict()
    for name, value in candidate.items():
        known = own.get(name)
        if isinstance(value, Tensor) and isinstance(known, Tensor) and _kind(value) != _kind(known):
            return False
    try:
        model.load_state_dict(candidate, strict=True)
    except Exception:  # a module's own loading may fail in any way; the next names are tried
        return False
    return True


def _kind(value: Tensor) -> str:
    """Return what numbers these are: torch would copy 8-bit integers into floats, and drop i."""
    if value.is_quantized:
        return "quantised"
    if value.is_complex():
        return "complex"
    return "real" if value.is_floating_point() else "whole"


def _without_counters(names: Mapping[str, Any]) -> set[str]:
    return {name for name in names if name.rpartition(".")[2] not in _COUNTERS}


def _renamed(found: _Found) -> list[_Found]:
    """Return `found`, and what one, two, … steps make of its names; fewest steps first."""
    reached, newest = [found], [found]
    for _ in range(_MOST_STEPS):
        newest = [after for before in newest for after in _one_step(before)]
        known = {tuple(other.weights) for other in reached}
        newest = [after for after in newest if tuple(after.weights) not in known]
        reached += newest
    return reached


def _one_step(found: _Found) -> Iterator[_Found]:
    names = [name for name in found.weights if name != "n_averaged"]
    if not names or not all(isinstance(name, str) for name in names):
        return
    first = names[0].partition(".")[0]
    if all(name.startswith(f"{first}.") for name in names):
        yield _step(found, f"{first}.", lambda name: name.removeprefix(f"{first}."))
    for part in _WRAPPERS:
        if any(part in name.split(".") for name in names):
            inner = f".{part}."
            yield _step(found, inner, lambda name, p=part: _without(name, p))  # type: ignore[misc]


def _without(name: str, part: str) -> str:
    """Return a dotted name less the parts that are `part`."""
    return ".".join(piece for piece in name.split(".") if piece != part)


def _step(found: _Found, told_as: str, rename: Rename) -> _Found:
    made = OrderedDict(
        (rename(name), value) for name, value in found.weights.items() if name != "n_averaged"
    )
    if len(made) < len(found.weights) - ("n_averaged" in found.weights):
        return found  # two names fell together
    metadata = getattr(found.weights, "_metadata", None)
    if isinstance(metadata, Mapping):
        # torch's migrations ask the version of each module, by its name.
        made._metadata = {  # type: ignore[attr-defined]
            rename(f"{key}.").rstrip("."): value for key, value in metadata.items()
        }
    return found._replace(weights=made, steps=(*found.steps, told_as))


def _under(weights: Weights, names: Mapping[str, str]) -> Weights:
    """Return `weights` under the model's own names."""
    if all(name == own for name, own in names.items()):
        return weights
    made = OrderedDict((names.get(name, name), value) for name, value in weights.items())
    versions = getattr(weights, "_metadata", {})
    homes = {name.rpartition(".")[0]: own.rpartition(".")[0] for name, own in names.items()}
    made._metadata = {  # type: ignore[attr-defined]
        homes[key]: value for key, value in versions.items() if key in homes
    }
    return made


def _in_words(found: _Found, others: list[tuple[str, ...]]) -> str:
    parts = []
    if found.keys:
        parts.append(f"taken from the key {'.'.join(found.keys)}")
    less = [step for step in found.steps if not step.startswith("+")]
    more = [step.removeprefix("+") for step in found.steps if step.startswith("+")]
    if less:
        parts.append(f"names taken without {', '.join(less)}")
    if more:
        parts.append(f"names given {', '.join(more)} as the model has it")
    if any(step.rstrip(".").isdigit() for step in less):
        parts.append("a layer before it, such as one that normalises, is not in this model")
    if others:
        also = ", ".join(".".join(keys) or "the whole file" for keys in others)
        parts.append(f"{also} would fit too: save it alone to take it instead")
    return "; ".join(parts)


def _misfit(model: nn.Module, path: Path, held: list[_Found]) -> str:
    """Return a sentence on what keeps the entry that comes nearest from fitting."""
    own = model.state_dict()
    every = [renamed for found in held for renamed in _renamed(found)]
    near = max(every, key=lambda found: sum(name in own for name in found.weights))
    weights = near.weights
    problems = [
        *[f"{name} is missing" for name in own if name not in weights][:2],
        *[f"{name} is not in the model" for name in weights if name not in own][:2],
        *[
            f"{name} {problem}"
            for name, value in own.items()
            if name in weights and (problem := _difference(weights[name], value))
        ][:2],
    ] or ["torch's strict load refuses it"]
    return (
        f"weights in {path} do not fit the model: {'; '.join(problems)}: "
        "give the weights of this model"
    )


def _difference(there: Any, own: Any) -> str:
    if not (isinstance(there, Tensor) and isinstance(own, Tensor)):
        return ""
    if there.shape != own.shape:
        return f"has shape {list(there.shape)}, not {list(own.shape)}"
    return f"has numbers of type {there.dtype}" if _kind(there) != _kind(own) else ""


def _read(path: Path) -> Any:
    """Return what a file holds, by its first bytes; ValueError if it is none that can be read."""
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a file is told in our sentence
            if stream.read(9)[8:] == b"{":
                from safetensors.torch import load_file

                return load_file(path)
            stream.seek(0)
            # The stream, since by its path torch would look at the file's name.
            return torch.load(stream, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ValueError(
            f"weights is {str(path)!r}: reading it needs the package safetensors; install it"
        ) from error
    except Exception as error:  # readers fail in many ways on damaged files
        raise ValueError(_unread(path, error)) from error


def _unread(path: Path, error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return f"weights in {path} are a TorchScript program: load it in the function of --model"
    foreign = _FOREIGN.search(text)
    if foreign:
        name = foreign.group(1) or foreign.group(2)
        return (
            f"weights in {path} hold {name}, not tensors alone: save them anew "
            "with torch.save(model.state_dict(), …), or, if you trust it, name the class in "
            "torch.serialization.add_safe_globals in the model's module"
        )
    return (
        f"weights in {path} cannot be read ({told(error)}): "
        "give a file that torch.save or safetensors wrote, of tensors and nothing else"
    )

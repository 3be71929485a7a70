"""The classifier that a command line names: imported, given weights, probed, hashed."""

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rs_lib.arguments import integer, shown
from rs_lib.commands import checkpoints
from rs_lib.commands.failures import told
from rs_lib.machines.band_classifier import BandClassifier
from rs_lib.machines.called import Called, is_one_logit, tensor_of
from rs_lib.machines.forward import refused


def named(kind: str, target: str) -> Any:
    """Return what MODULE:NAME stands for; ValueError, for a `kind` of argument, if nothing does.

    The module is sought in the working directory too.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise ValueError(f"{kind} is {target!r}: write MODULE:FUNCTION, such as models:resnet")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with blaming(lambda error: f"{kind} is {target!r}: importing {module_name} fails with {error}"):
        module = importlib.import_module(module_name)
        found = getattr(module, name, None)
    if not (callable(found) or (kind == "data" and hasattr(found, "__getitem__"))):
        raise ValueError(f"{kind} is {target!r}: {module_name} has no function {name}")
    return found


_BATCHES = ("x", "batch", "image", "images", "input", "inputs", "pixels")
"""Names of the one argument by which a function is taken for a classifier itself."""


def build(
    target: str, arguments: Mapping[str, object], fingerprint: str | None = None
) -> nn.Module:
    """Return what the function `target`, MODULE:FUNCTION, makes of `arguments`, in evaluation mode.

    Or the target itself, where it is a model or a function of images. The working directory is
    searched too. What is no torch module is wrapped, see `Called`. Raises ValueError if there is
    no such function, it fails, or it returns nothing that can be called.
    """
    function = named("model", target)
    function_name = target.partition(":")[2]
    model = function
    if not isinstance(function, nn.Module) and not _takes_images(function, arguments):
        given = ", ".join(f"{name}={shown(value)}" for name, value in arguments.items())
        called = f"{function_name}({given})"
        with blaming(
            lambda error: f"model is {target!r}: {called} fails with {error}; see --arguments"
        ):
            model = function(**arguments)
    elif arguments:
        raise ValueError(f"model is {target!r}: it is the model itself, leave --arguments out")
    if isinstance(model, nn.Module):
        return model.eval()
    if not callable(model) or isinstance(model, type):
        raise ValueError(
            f"model is {target!r}: {function_name} returns {type(model).__name__}, no torch model "
            "and nothing that can be called"
        )
    wrapped = Called(model, fingerprint)
    if not wrapped.is_known:
        raise ValueError(
            f"model is {target!r}: no weights are found in it, so that a log could not tell it "
            "from another one: give --fingerprint and a text that names its version"
        )
    return wrapped.eval()


def _takes_images(function: Callable[..., Any], arguments: Mapping[str, object]) -> bool:
    """Whether `function` is a classifier of a batch, by the name or type of its one argument."""
    if arguments:
        return False
    try:
        taken = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [one for one in taken if one.default is one.empty and one.kind < one.VAR_POSITIONAL]
    return len(needed) == 1 and (
        needed[0].name in _BATCHES or needed[0].annotation in (Tensor, "Tensor", "torch.Tensor")
    )


@contextmanager
def blaming(sentence: Callable[[str], str]) -> Iterator[None]:
    """Raise ValueError with `sentence` of whatever the reader's own code fails with.

    Code that calls sys.exit would end our run as if all had been done.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(sentence(told(error))) from error


def load(
    target: str,
    arguments: Mapping[str, object],
    weights: Path | None,
    fingerprint: str | None = None,
) -> nn.Module:
    """Return the model that `build` makes, with the weights in a file if one is given.

    Weights of half or double precision become float32, from which `precision` starts. The first
    process tells on stderr what was taken of a file that is not the model's own state dict.
    """
    model = _alone(build(target, arguments, fingerprint))
    others = {str(p.dtype) for p in model.parameters() if p.is_floating_point()} - {"torch.float32"}
    with blaming(lambda error: f"model cannot be made float32 ({error}): give one that can"):
        model = model.float().cpu()
    if others:
        _tell(f"model: its weights are {' and '.join(sorted(others))}; they become float32 first")
    if weights is not None:
        with blaming(lambda error: f"model has no weights to be read ({error}): mend state_dict"):
            model.state_dict()
        words = checkpoints.load_into(model, weights)
        if words:
            _tell(f"weights in {weights}: {words}")
    # Loading may bring other numbers or modes along (a load_state_dict of the reader's own).
    return model.float().eval()


@torch.inference_mode()
def denoised(
    model: nn.Module, target: str, weights: Path | None, shape: tuple[int, ...]
) -> nn.Module:
    """Return `model` behind the denoiser that `target`, MODULE:FUNCTION, makes.

    It maps noisy images of `shape` [C, H, W] to images of the same shape (Salman et al. 2020).
    Raises ValueError for one that does not, and as `load` does.
    """
    try:
        denoiser = load(target, {}, weights)
    except ValueError as error:
        raise ValueError(f"denoiser: {error}") from error
    image = tensor_of(_answer(denoiser, shape))
    if not isinstance(image, Tensor) or tuple(image.shape) != (1, *shape):
        raise ValueError(
            f"denoiser gives {_described(image)} for one image: it should give {[1, *shape]}"
        )
    return nn.Sequential(denoiser, model).eval()


def _tell(line: str) -> None:
    """Print a line to stderr, once for all processes."""
    if os.environ.get("RANK", "0") == "0":
        print(line, file=sys.stderr)


def _alone(model: nn.Module) -> nn.Module:
    """Return `model` without DataParallel, within it too: a tile runs whole, on one device."""
    if isinstance(model, nn.DataParallel):
        return _alone(model.module)
    for name, child in model.named_children():
        alone = _alone(child)
        if alone is not child:
            setattr(model, name, alone)
    return model


@torch.inference_mode()
def classes_of(model: nn.Module, shape: tuple[int, ...], *, binary: bool = False) -> int:
    """Return how many logits `model` gives for one image of `shape` [C, H, W].

    With `binary` one logit stands for two classes. Raises ValueError if it does not take such an
    image or gives something else than logits.
    """
    logits = _answer(model, shape)
    if binary and isinstance(logits, Tensor) and is_one_logit(logits, 1):
        return 2
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        raise ValueError(
            f"model gives {_described(logits)} for one image: it should give logits [1, classes]"
        )
    return _checked_classes(logits)


@torch.inference_mode()
def classes_of_bands(model: BandClassifier, shape: tuple[int, ...]) -> int:
    """Return how many logits `model` gives at each position of one image of `shape` [C, H, W].

    Raises ValueError if it does not take such an image or gives something else than logits.
    """
    with blaming(lambda error: f"model has no positions ({error}): let it say how many there are"):
        positions = integer("positions", model.positions, least=1)
    logits = _answer(model, shape)
    if not isinstance(logits, Tensor) or logits.ndim != 3 or logits.shape[:2] != (1, positions):
        raise ValueError(
            f"model gives {_described(logits)} for one image: it should give logits "
            f"[1, {positions}, classes]"
        )
    return _checked_classes(logits)


def _answer(model: nn.Module, shape: tuple[int, ...]) -> Any:
    """Return what `model` gives for one black image of `shape`, or raise ValueError."""
    try:
        return tensor_of(model(torch.zeros((1, *shape))))
    except KeyboardInterrupt:
        raise
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(refused(error, shape)) from error
    except BaseException as error:
        raise ValueError(
            f"model fails on an image of shape {list(shape)} with {told(error)}: mend the model"
        ) from error


def _described(logits: object) -> str:
    return str(list(logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__


def _checked_classes(logits: Tensor) -> int:
    if logits.shape[-1] < 2:
        raise ValueError("model gives one logit for an image: it should give one for each class")
    if not logits.is_floating_point():
        raise ValueError(f"model gives logits of type {logits.dtype}: let them be real floats")
    return int(logits.shape[-1])


def digest(model: nn.Module) -> str:
    """Return the SHA-256 digest of the model's layers, as torch prints them, and its weights.

    Raises ValueError for a model of the reader's own that prints or holds neither.
    """
    with blaming(lambda error: f"model cannot be described ({error}): mend repr and state_dict"):
        total = hashlib.sha256(repr(model).encode())
        for name, value in model.state_dict().items():
            total.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            if isinstance(value, Tensor):
                raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                total.update(raw.numpy().tobytes())
        return total.hexdigest()

"""The classifier that a command line names: imported, given weights, probed, hashed."""

import hashlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def build(target: str, arguments: Mapping[str, object]) -> nn.Module:
    """Return what the function `target`, MODULE:FUNCTION, makes of `arguments`, in evaluation mode.

    The working directory is searched too. Raises ValueError if there is no such function, it
    fails, or it returns no torch model.
    """
    module_name, _, function_name = target.partition(":")
    if not (module_name and function_name):
        raise ValueError(f"model is {target!r}: write MODULE:FUNCTION, such as models:resnet")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module is the reader's own and may fail in any way
        raise ValueError(
            f"model is {target!r}: importing {module_name} fails with {_told(error)}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ValueError(f"model is {target!r}: {module_name} has no function {function_name}")
    try:
        model = function(**arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise ValueError(
            f"model is {target!r}: {function_name}({given}) fails with {_told(error)}; "
            "see --arguments"
        ) from error
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model is {target!r}: {function_name} returns {type(model).__name__}, no torch model"
        )
    return model.eval()


def load(target: str, arguments: Mapping[str, object], weights: Path | None) -> nn.Module:
    """Return the model that `build` makes, with the weights in a file if one is given."""
    model = build(target, arguments)
    if weights is not None:
        load_weights(model, weights)
    return model


def load_weights(model: nn.Module, path: Path) -> None:
    """Give `model` the weights in `path`, a .pt, .pth or .safetensors file.

    A state dict may stand under the key `state_dict`, and each of its names may begin with
    `module.`, as DataParallel writes them. Raises ValueError if the file cannot be read, or
    its names or shapes are not those of the model.
    """
    weights = _state_dict(path)
    if weights and all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
    own = model.state_dict()
    problems = [
        *(f"{name} is missing" for name in own if name not in weights),
        *(f"{name} is not in the model" for name in weights if name not in own),
        *(
            f"{name} has shape {list(weights[name].shape)}, not {list(own[name].shape)}"
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ),
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"weights in {path} do not fit the model: {'; '.join(problems[:3])}{more}: "
            "give the weights of this model"
        )
    model.load_state_dict(weights)


def _state_dict(path: Path) -> dict[str, Tensor]:
    if path.suffix not in (".pt", ".pth", ".safetensors"):
        raise ValueError(f"weights is {str(path)!r}: give a .pt, .pth or .safetensors file")
    try:
        content = _read(path)
    except ImportError as error:
        raise ValueError(
            f"weights is {str(path)!r}: reading it needs the package safetensors; install it"
        ) from error
    except Exception as error:  # readers fail in many ways on damaged files
        raise ValueError(
            f"weights in {path} cannot be read ({_told(error)}): "
            "give a file that holds tensors and nothing else"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise ValueError(
            f"weights in {path} are no state dict: save model.state_dict(), bare or under "
            "the key state_dict"
        )
    return dict(content)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


@torch.inference_mode()
def classes_of(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Return how many logits `model` gives for one image of `shape` [C, H, W].

    Raises ValueError if it does not take such an image or gives something else than logits.
    """
    try:
        logits = model(torch.zeros((1, *shape)))
    except Exception as error:
        raise ValueError(
            f"model fails on an image of shape {list(shape)} with {_told(error)}: "
            "give images of the shape that it was made for"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        given = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"model gives {given} for one image: it should give logits [1, classes]")
    if logits.shape[1] < 2:
        raise ValueError("model gives one logit for an image: it should give one for each class")
    return int(logits.shape[1])


def digest(model: nn.Module) -> str:
    """Return the SHA-256 digest of the model's layers, as torch prints them, and its weights."""
    total = hashlib.sha256(repr(model).encode())
    for name, value in model.state_dict().items():
        total.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        if isinstance(value, Tensor):
            raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            total.update(raw.numpy().tobytes())
    return total.hexdigest()


def _told(error: Exception) -> str:
    """Return type and first line of `error`."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.:')}" if lines else type(error).__name__

"""The classifier that a command line names: imported, given weights, probed, hashed."""

import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rs_lib.arguments import integer, shown
from rs_lib.commands.failures import told
from rs_lib.machines.band_classifier import BandClassifier
from rs_lib.machines.forward import refused


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
    with _blaming(lambda error: f"model is {target!r}: importing {module_name} fails with {error}"):
        module = importlib.import_module(module_name)
        function = getattr(module, function_name, None)
    if not callable(function):
        raise ValueError(f"model is {target!r}: {module_name} has no function {function_name}")
    given = ", ".join(f"{name}={shown(value)}" for name, value in arguments.items())
    called = f"{function_name}({given})"
    with _blaming(
        lambda error: f"model is {target!r}: {called} fails with {error}; see --arguments"
    ):
        model = function(**arguments)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model is {target!r}: {function_name} returns {type(model).__name__}, no torch model"
        )
    return model.eval()


@contextmanager
def _blaming(sentence: Callable[[str], str]) -> Iterator[None]:
    """Raise ValueError with `sentence` of whatever the reader's own code fails with.

    Code that calls sys.exit would end our run as if all had been done.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(sentence(told(error))) from error


def load(target: str, arguments: Mapping[str, object], weights: Path | None) -> nn.Module:
    """Return the model that `build` makes, with the weights in a file if one is given.

    Weights of half or double precision become float32, from which `precision` starts.
    """
    model = build(target, arguments)
    if weights is not None:
        load_weights(model, weights)
    with _blaming(lambda error: f"model cannot be made float32 ({error}): give one that can"):
        return model.float()


def load_weights(model: nn.Module, path: Path) -> None:
    """Give `model` the weights in `path`, a .pt, .pth or .safetensors file.

    A state dict may stand under the key `state_dict`, and each of its names may begin with
    `module.`, as DataParallel writes them. Raises ValueError if the file cannot be read, or
    its names or shapes are not those of the model.
    """
    weights = _state_dict(path)
    if weights and all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
    with _blaming(lambda error: f"model has no weights to be read ({error}): mend state_dict"):
        own = {name: (value, list(value.shape)) for name, value in model.state_dict().items()}
    problems = [
        *(f"{name} is missing" for name in own if name not in weights),
        *(f"{name} is not in the model" for name in weights if name not in own),
        *(
            f"{name} has shape {list(weights[name].shape)}, not {shape}"
            for name, (_, shape) in own.items()
            if name in weights and list(weights[name].shape) != shape
        ),
        *(
            f"{name} has numbers of type {weights[name].dtype}"
            for name, (value, _) in own.items()
            if name in weights and weights[name].is_complex() != value.is_complex()
        ),
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"weights in {path} do not fit the model: {'; '.join(problems[:3])}{more}: "
            "give the weights of this model"
        )
    with _blaming(lambda error: f"weights in {path} do not fit the model ({error}): give its own"):
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
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign:
            raise ValueError(
                f"weights in {path} hold {foreign.group(1)}, not tensors alone: save them anew "
                "with torch.save(model.state_dict(), …)"
            ) from error
        raise ValueError(
            f"weights in {path} cannot be read ({told(error)}): "
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
    logits = _answer(model, shape)
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
    with _blaming(lambda error: f"model has no positions ({error}): let it say how many there are"):
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
        return model(torch.zeros((1, *shape)))
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
    with _blaming(lambda error: f"model cannot be described ({error}): mend repr and state_dict"):
        total = hashlib.sha256(repr(model).encode())
        for name, value in model.state_dict().items():
            total.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            if isinstance(value, Tensor):
                raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                total.update(raw.numpy().tobytes())
        return total.hexdigest()

"""The classifier as it is executed: network, device, number format, and a fixed tile."""

import copy
import hashlib
from math import prod

import torch
from torch import Tensor, nn

from rs_lib.arguments import integers, one_of
from rs_lib.machines.models import require_evaluation_mode

TILE = {"cpu": 128, "cuda": 4096}
"""Most rows of a forward pass. On a CPU small tiles stay in the cache; a GPU wants many at once."""

PIXELS = {"cpu": 2**22, "cuda": 2**25}
"""Most pixels of a tile, which bounds the memory for large images."""

_MULTIPLE = 16  # the width of the kernels: other sizes take other paths at the ragged end

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def default_tile(kind: str, pixels: int) -> int:
    """Return the rows of a forward pass for images of `pixels` on a "cpu" or "cuda" device."""
    return max(_MULTIPLE, min(TILE[kind], PIXELS[kind] // pixels // _MULTIPLE * _MULTIPLE))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device is {name!r}: give one of {', '.join(TILE)}") from error
    one_of("device", device.type, list(TILE))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device is {name!r}, but torch sees {torch.cuda.device_count()} GPUs: give cpu, "
            "or install a torch built for your GPU"
        )
    return device


class Executed:
    """A base classifier that answers tiles of a fixed number of rows with classes.

    A certificate is about the function that was executed. Kernels choose their order of
    summation by the shape of the batch, so the same image may get other last digits in a
    batch of another size: every forward pass here has exactly `tile` rows, a multiple of 16
    (unless given, `default_tile` of the images first seen), and a shorter one is filled up by
    the caller.

    `model` maps [tile, C, H, W] to logits [tile, `classes`], each row by itself and the same way
    every time. It is moved to `device` and laid
    out channels-last; where it has numbers of another type than `precision`, a copy is converted
    instead. `compile_model` runs it through torch.compile.

    Raises ValueError for a model in training mode, an unknown device or precision, or a bad tile.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int,
        device: str = "cpu",
        precision: str = "float32",
        compile_model: bool = False,
        tile: int | None = None,
    ) -> None:
        """Check the arguments and put the model in place."""
        require_evaluation_mode(model)
        self.classes = int(integers("classes", classes, least=2))
        self._probed: dict[tuple[int, ...], str] = {}
        self.device = _device(device)
        self.kind = self.device.type
        self._tile = None if tile is None else int(integers("tile", tile, least=_MULTIPLE))
        if self._tile is not None and self._tile % _MULTIPLE:
            raise ValueError(f"tile is {tile}: give a multiple of {_MULTIPLE}")
        self.precision = one_of("precision", precision, list(PRECISIONS))
        self.compiled = compile_model
        self._dtype = PRECISIONS[precision]
        parameters = [*model.parameters(), *model.buffers()]
        foreign = any(p.is_floating_point() and p.dtype != self._dtype for p in parameters)
        network = (copy.deepcopy(model) if foreign else model).to(self.device, self._dtype)
        if all(parameter.ndim < 5 for parameter in parameters):
            network.to(memory_format=torch.channels_last)
        self._network = torch.compile(network, dynamic=False) if compile_model else network

    @property
    def tile(self) -> int:
        """The rows of every forward pass; settled by the first `probe`."""
        if self._tile is None:
            raise RuntimeError("the tile is not settled yet: probe an image's shape first")
        return self._tile

    def probe(self, shape: tuple[int, ...]) -> str:
        """Settle the tile; return the SHA-256 digest of the logits of a fixed tile of images.

        Equal digests speak for equal functions: the weights, the code around them, and the
        kernels that ran. Raises ValueError unless the model gives `classes` logits for images
        of `shape` [C, H, W], and unless those of a row stay when its companions change: only
        a function of each row by itself can be smoothed.
        """
        if shape not in self._probed:
            if self._tile is None:
                self._tile = default_tile(self.kind, prod(shape))
            draw = torch.Generator().manual_seed(0)
            images = torch.rand((self.tile, *shape), generator=draw).to(self.device)
            logits = self._tried(images)
            half = self.tile // 2
            images = torch.cat((torch.zeros_like(images[:half]), images[:half].flip(0)))
            again = self._tried(images)[half:].flip(0)
            # Rounding, of bfloat16 too, stays far below a twentieth of the largest logit.
            slack = 0.05 * float(logits[:half].nan_to_num(0, 0, 0).abs().max())
            if not torch.allclose(logits[:half], again, rtol=0, atol=slack, equal_nan=True):
                raise ValueError(
                    "model gives an image other logits in other company: give a deterministic "
                    "model that treats each image of a batch by itself"
                )
            self._probed[shape] = hashlib.sha256(logits.numpy().tobytes()).hexdigest()
        return self._probed[shape]

    def _tried(self, images: Tensor) -> Tensor:
        """Return the tile's logits as float32 on the CPU; ValueError if they are none."""
        try:
            logits = self._logits(images)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(
                f"images have shape {list(images.shape[1:])}, which the model does not take "
                f"({reason}): give images of the shape that it was trained on"
            ) from error
        if not isinstance(logits, Tensor):
            raise ValueError(f"model returns a {type(logits).__name__}: let it return its logits")
        if tuple(logits.shape) != (self.tile, self.classes):
            raise ValueError(
                f"classes is {self.classes} but the model gives logits of shape "
                f"{tuple(logits.shape)} for {self.tile} images: give the number of its logits"
            )
        # A copy: the model may write its next logits to the same buffer.
        return logits.to("cpu", torch.float32, copy=True)

    @torch.inference_mode()
    def answers(self, inputs: Tensor) -> Tensor:
        """Return the class of each of the rows of `inputs`, int64 [k tile].

        `inputs`: float32 [k tile, C, H, W]. The first of equal logits wins. A row whose largest
        logit is infinite, or that holds a NaN, which argmax would turn into an ordinary class,
        gets the number `classes`.
        """
        logits = torch.empty((len(inputs), self.classes), dtype=self._dtype, device=self.device)
        tiles = (torch.split(tensor, self.tile) for tensor in (inputs, logits))
        for part, kept in zip(*tiles, strict=True):
            # Copied before the next tile: a model may write its logits to one buffer.
            kept.copy_(self._logits(part))
        largest, answers = logits.max(dim=1)
        return answers.masked_fill_(~largest.isfinite(), self.classes)

    @torch.inference_mode()
    def _logits(self, inputs: Tensor) -> Tensor:
        if inputs.ndim == 4:
            inputs = inputs.to(self._dtype, memory_format=torch.channels_last)
        logits: Tensor = self._network(inputs.to(self._dtype))
        return logits

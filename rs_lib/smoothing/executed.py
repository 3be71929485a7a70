"""The classifier as it is executed: network, device, number format, and a fixed tile."""

import copy
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


class Executed:
    """A base classifier that answers tiles of a fixed number of rows with classes.

    A certificate is about the function that was executed. Kernels choose their order of
    summation by the shape of the batch, so the same image may get other last digits in a
    batch of another size: every forward pass here has exactly `tile` rows, a multiple of 16
    (unless given, `default_tile` of the images first seen), and a shorter one is filled up by
    the caller.

    `model` maps [tile, C, H, W] to logits [tile, `classes`]. It is moved to `device` and laid
    out channels-last; for "bfloat16" a copy is converted instead. `compile_model` runs it
    through torch.compile.

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
        integers("classes", classes, least=2)
        self.kind = one_of("device", torch.device(device).type, list(TILE))
        self._tile = None if tile is None else int(integers("tile", tile, least=_MULTIPLE))
        if self._tile is not None and self._tile % _MULTIPLE:
            raise ValueError(f"tile is {tile}: give a multiple of {_MULTIPLE}")
        self.classes = classes
        self.device = torch.device(device)
        self.precision = one_of("precision", precision, list(PRECISIONS))
        self.compiled = compile_model
        self._dtype = PRECISIONS[precision]
        network = model if self._dtype == torch.float32 else copy.deepcopy(model)
        network.to(self.device, self._dtype).to(memory_format=torch.channels_last)
        self._network = torch.compile(network, dynamic=False) if compile_model else network

    @property
    def tile(self) -> int:
        """The rows of every forward pass; settled by the first `probe`."""
        if self._tile is None:
            raise RuntimeError("the tile is not settled yet: probe an image's shape first")
        return self._tile

    def probe(self, shape: tuple[int, ...]) -> None:
        """Settle the tile; raise ValueError unless images of `shape` give `classes` logits each."""
        if self._tile is None:
            self._tile = default_tile(self.kind, prod(shape))
        try:
            logits = self._logits(torch.zeros((self.tile, *shape), device=self.device))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"images have shape {list(shape)}, which the model does not take ({reason}): "
                "give images of the shape that it was trained on"
            ) from error
        if tuple(logits.shape) != (self.tile, self.classes):
            raise ValueError(
                f"classes is {self.classes} but the model gives logits of shape "
                f"{tuple(logits.shape)} for {self.tile} images: give the number of its logits"
            )

    @torch.inference_mode()
    def answers(self, inputs: Tensor) -> Tensor:
        """Return the class of each of the rows of `inputs`, int64 [k tile].

        `inputs`: float32 [k tile, C, H, W]. The first of equal logits wins. A row whose largest
        logit is infinite, or that holds a NaN, which argmax would turn into an ordinary class,
        gets the number `classes`.
        """
        # Each tile is settled before the next: a model may write its logits to one buffer.
        tops = [self._logits(part).max(dim=1) for part in torch.split(inputs, self.tile)]
        largest, answers = (torch.cat(parts) for parts in zip(*tops, strict=True))
        return answers.masked_fill_(~largest.isfinite(), self.classes)

    @torch.inference_mode()
    def _logits(self, inputs: Tensor) -> Tensor:
        if inputs.ndim == 4:
            inputs = inputs.to(self._dtype, memory_format=torch.channels_last)
        logits: Tensor = self._network(inputs.to(self._dtype))
        return logits

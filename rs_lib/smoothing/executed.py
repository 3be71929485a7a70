"""The classifier as it is executed: network, device, number format, and a fixed tile."""

import hashlib
from collections.abc import Callable
from math import prod
from typing import TypedDict

import torch
from torch import Tensor, nn

from rs_lib.arguments import integer, one_of, shown
from rs_lib.machines import forward
from rs_lib.machines.called import as_module, is_one_logit, two_classes
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.smoothing import consistency

TILE = {"cpu": 128, "cuda": 4096}
"""Most rows of a forward pass. On a CPU small tiles stay in the cache; a GPU wants many at once."""

PIXELS = {"cpu": 2**22, "cuda": 2**25}
"""Most pixels of a tile, which bounds the memory for large images."""

_MULTIPLE = 16  # the width of the kernels: other sizes take other paths at the ragged end

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

SCORE_ERROR = 1e-10
"""Most by which a softmax in float64 errs, for up to 10^5 classes.

With u = 2^-53 a difference d of two logits errs by u |d|, so exp(d) by the share u (|d| + 3), and
the sum over C classes by the share u (C + log C + 3), as the mean of |d| under the scores is at
most log C; |d| exp(d) < 1. Together the scores err by less than u (2 C + 20), below 3e-11.
"""


def default_tile(kind: str, pixels: int) -> int:
    """Return the rows of a forward pass for images of `pixels` on a "cpu" or "cuda" device."""
    return max(_MULTIPLE, min(TILE[kind], PIXELS[kind] // pixels // _MULTIPLE * _MULTIPLE))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device is {shown(name)}: give one of {', '.join(TILE)}") from error
    one_of("device", device.type, list(TILE))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device is {name!r}, but torch sees {torch.cuda.device_count()} GPUs: give cpu, "
            "or install a torch built for your GPU"
        )
    return device


class Execution(TypedDict, total=False):
    """How a classifier is executed: the arguments of `Executed` by name."""

    device: str
    precision: str
    compile_model: bool
    tile: int | None


class Executed:
    """A base classifier that answers tiles of a fixed number of rows with classes.

    A certificate is about the function that was executed. Kernels choose their order of
    summation by the shape of the batch, so the same image may get other last digits in a
    batch of another size: every forward pass here has exactly `tile` rows, a multiple of 16
    (unless given, `default_tile` of the images first seen), and a shorter one is filled up by
    the caller.

    `model`, a module or any function, maps [tile, C, H, W] to logits [tile, `classes`], or to one
    logit for two classes, or to something that holds them (`rs_lib.machines.called`): each row by
    itself and the same way every time. It is moved to `device` and laid
    out channels-last; where it has numbers of another type than `precision`, a copy is converted
    instead. `compile_model` runs it through torch.compile.

    Raises ValueError for a model in training mode, an unknown device or precision, or a bad tile.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], object],
        *,
        classes: int,
        device: str = "cpu",
        precision: str = "float32",
        compile_model: bool = False,
        tile: int | None = None,
    ) -> None:
        """Check the arguments and put the model in place."""
        if not callable(model) or isinstance(model, type):
            raise ValueError(
                f"model is {shown(model)}: give a torch.nn.Module, or a function of images"
            )
        model = as_module(model)
        require_evaluation_mode(model)
        self.classes = integer("classes", classes, least=2)
        self._probed: dict[tuple[int, ...], tuple[str, float, float]] = {}
        self.device = _device(device)
        self.kind = self.device.type
        self._tile = None if tile is None else integer("tile", tile, least=_MULTIPLE)
        if self._tile is not None and self._tile % _MULTIPLE:
            raise ValueError(f"tile is {tile}: give a multiple of {_MULTIPLE}")
        self.precision = one_of("precision", precision, list(PRECISIONS))
        self._tolerance = consistency.TOLERANCE[self.kind, self.precision]
        self.compiled = compile_model
        self._dtype = PRECISIONS[precision]
        parameters = [*model.parameters(), *model.buffers()]
        if any(parameter.is_complex() for parameter in parameters):
            raise ValueError("model has complex weights: give a model of real weights")
        foreign = any(p.is_floating_point() and p.dtype != self._dtype for p in parameters)
        network = (forward.copied(model) if foreign else model).to(self.device, self._dtype)
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
        """Settle the tile; return the SHA-256 digest of the logits of two fixed tiles of images.

        Equal digests speak for equal functions: the weights, the code around them, and the
        kernels that ran. Raises ValueError unless the model gives `classes` logits for images
        of `shape` [C, H, W], and unless it is one function of each row by itself, as far as
        `consistency.probed` can tell, however its images lie in memory.
        """
        if shape not in self._probed:
            if self._tile is None:
                self._tile = default_tile(self.kind, prod(shape))
            logits, moved = consistency.probed(self._tried, self._fixed(shape), self._tolerance)
            beyond = self._beyond(shape)
            _require_no_probability(torch.cat((logits, beyond)))
            if len(shape) == 3 and shape[0] > 1:
                in_order = self._tried(self._fixed(shape), torch.contiguous_format)
                consistency.require_any_layout(logits, in_order, self.precision)
            usual = consistency.usual_lead(logits)
            self._probed[shape] = _digest(logits, beyond), moved, usual
        return self._probed[shape][0]

    def rows(self, shape: tuple[int, ...]) -> str:
        """Return in words how equal a row's logits stayed in other company, by `probe`."""
        self.probe(shape)
        return consistency.told(self._probed[shape][1])

    def watch(self, inputs: Tensor) -> None:
        """Raise ValueError if the rows of a tile that is being sampled move in other company.

        `inputs`: float32 [tile, C, H, W], real noisy images, where `probe` has made-up ones.
        """
        shape = tuple(inputs.shape[1:])
        self.probe(shape)
        first, usual = self._tried(inputs), self._probed[shape][2]
        consistency.in_company(self._tried, inputs, first, self._tolerance, usual)

    def require_unchanged(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if the fixed tiles of `probe` have other logits now than they had."""
        if _digest(self._tried(self._fixed(shape)), self._beyond(shape)) != self.probe(shape):
            raise ValueError(
                "model gives the same images other logits than before the run: give a "
                "deterministic model that keeps no state between calls"
            )

    def _fixed(self, shape: tuple[int, ...]) -> Tensor:
        draw = torch.Generator().manual_seed(0)
        return torch.rand((self.tile, *shape), generator=draw).to(self.device)

    def _beyond(self, shape: tuple[int, ...]) -> Tensor:
        """Return the logits of the second fixed tile, of images as noise makes them."""
        return self._tried(_as_noise_is(self._fixed(shape)))

    def _tried(self, images: Tensor, form: torch.memory_format | None = None) -> Tensor:
        """Return the tile's logits on the CPU, float32 or finer, in memory of their own."""
        # Copies: the model may work on its input in place, and write its logits to one buffer.
        logits = self._logits(images.clone(), form)
        return logits.to("cpu", torch.promote_types(logits.dtype, torch.float32), copy=True)

    @torch.inference_mode()
    def answers(self, inputs: Tensor) -> Tensor:
        """Return the class of each of the rows of `inputs`, int64 [k tile].

        `inputs`: float32 [k tile, C, H, W]. The first of equal logits wins. A row whose largest
        logit is infinite, or that holds a NaN, which argmax would turn into an ordinary class,
        gets the number `classes`.
        """
        largest, answers = self._all_logits(inputs).max(dim=1)
        return answers.masked_fill_(~largest.isfinite(), self.classes)

    @torch.inference_mode()
    def scores(self, inputs: Tensor) -> Tensor:
        """Return the softmax of the logits of each of the rows of `inputs`, float64 [k tile, C].

        It is that of the logits as they were computed, to within `SCORE_ERROR`; a row that
        `answers` would give the number `classes` is NaN.
        """
        logits = self._all_logits(inputs)
        broken = ~logits.max(dim=1).values.isfinite()
        scores = torch.softmax(logits.double(), dim=1)
        return scores.masked_fill_(broken[:, None], torch.nan)

    def _all_logits(self, inputs: Tensor) -> Tensor:
        """Return the logits of all tiles, [k tile, classes], in the model's own format."""
        # Copied before the next tile: a model may write its logits to one buffer.
        tiles = [self._logits(part).clone() for part in torch.split(inputs, self.tile)]
        return tiles[0] if len(tiles) == 1 else torch.cat(tiles)

    @torch.inference_mode()
    def _logits(self, inputs: Tensor, form: torch.memory_format | None = None) -> Tensor:
        """Return the network's logits [tile, classes]; ValueError if they are none.

        Images lie channels-last, or as `form` says.
        """
        if form is None:
            form = torch.channels_last if inputs.ndim == 4 else torch.preserve_format
        logits = forward.logits(self._network, inputs.to(self._dtype, memory_format=form))
        if self.classes == 2 and is_one_logit(logits, self.tile):
            logits = two_classes(logits)
        if tuple(logits.shape) != (self.tile, self.classes):
            raise ValueError(
                f"classes is {self.classes} but the model gives logits of shape "
                f"{tuple(logits.shape)} for {len(inputs)} images: give the number of its logits"
            )
        return logits


def _digest(logits: Tensor, beyond: Tensor) -> str:
    return hashlib.sha256(logits.numpy().tobytes() + beyond.numpy().tobytes()).hexdigest()


def _require_no_probability(logits: Tensor) -> None:
    """Raise ValueError if `logits` are those of two classes, from one number that a sigmoid made.

    Read as a logit it says class 1 for every image.
    """
    first, second = logits[:, 0], logits[:, 1]
    made = logits.shape[1] == 2 and bool((first == 0).all())
    if made and bool(((second >= 0) & (second <= 1)).all()) and bool((second > 0).any()):
        raise ValueError(
            "model gives one number from 0 to 1 for each image, as a sigmoid does: leave that "
            "layer out and let it return the logit, which is positive where class 1 is likelier"
        )


def _as_noise_is(images: Tensor) -> Tensor:
    """Return uniform `images` as noise makes them: far outside of [0, 1], of 0 and 1, or hidden."""
    inputs = 16 * images - 8
    inputs[1::3] = images[1::3].round()
    hidden = images[2::3, :1] < 0.75
    inputs[2::3] = images[2::3].masked_fill(hidden, 0)
    return inputs

"""Base classifiers that see one band or block of an image at a time: training and evaluation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from rs_lib.arguments import integer, one_of, require_channels_first
from rs_lib.machines import forward, training
from rs_lib.machines.augmentation import augmented
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.record.checkpoint import NOTHING, Checkpoint
from rs_lib.seeds import derive

PRECISIONS = ("float32", "bfloat16")
MOST_IMAGES = {"cpu": 16, "cuda": 256}
"""Most images of a forward pass on each kind of device."""

MOST_NUMBERS = {"cpu": 2**18, "cuda": 2**26}
"""Most numbers that a pass takes in, which bounds the memory; on a CPU they stay in the cache."""


class BandClassifier(nn.Module, ABC):
    """A network whose logits at a position depend on the pixels seen from there, and no others."""

    positions: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, positions, classes] of `images`, float32 [N, C, H, W] in [0, 1]."""

    def numbers(self, shape: tuple[int, ...]) -> int:
        """Return how many numbers the layers take in for one image of `shape` [C, H, W]."""
        return torch.Size(shape).numel()

    @abstractmethod
    def sees(self, height: int, width: int) -> Tensor:
        """Return the pixels of an image that each position sees; bool [positions, height, width].

        Raises ValueError for images that the network does not take.
        """

    @abstractmethod
    def lesson(self, labels: Tensor, draw: torch.Generator) -> tuple[nn.Module, Tensor]:
        """Return a module to train, which shares the weights, and its targets for `labels` [N].

        It maps images to logits and takes from `draw`, which is on their device, what is random.
        """


def initialise(model: nn.Module) -> None:
    """Draw the weights by He et al.'s rule from torch's default generator; biases are 0.

    Where most inputs are hidden, torch's own smaller weights leave training on a plateau.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def fit(
    model: BandClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    shift: int = 0,
    flip: bool = False,
    device: str = "cpu",
    progress: bool = False,
    checkpoint: Checkpoint = NOTHING,
) -> list[float]:
    """Train `model` in place on bands of `images` and return the mean loss of each epoch.

    `images`: float32 [N, C, H, W] in [0, 1]; `labels`: int64 [N]. With `shift` or `flip` each
    image of a batch is shifted at random by up to so many pixels, or reflected left to right in
    half of the cases, before bands are cut. Optimiser, schedule, checkpoint and errors are those of
    `training.train`. The result depends on the arguments only. `model` is left on `device`,
    in evaluation mode.
    """
    shift = integer("shift", shift)
    draw = torch.Generator(device).manual_seed(derive(seed, "bands", "positions"))
    lesson, targets = model.lesson(labels, draw)
    if shift or flip:
        lesson = _Augmented(lesson, shift, flip, draw)
    return training.train(
        lesson,
        images,
        targets,
        noise=None,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        progress=progress,
        checkpoint=checkpoint,
        generators=[draw],
    )


class _Augmented(nn.Module):
    """What `lesson` maps shifted and reflected images to."""

    def __init__(self, lesson: nn.Module, shift: int, flip: bool, draw: torch.Generator) -> None:
        super().__init__()
        self.lesson, self.shift, self.flip = lesson, shift, flip
        self._draw = draw

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.lesson(augmented(images, self.shift, self.flip, self._draw))
        return logits


def images_of_a_pass(model: BandClassifier, shape: tuple[int, ...], device: str = "cpu") -> int:
    """Return how many images of `shape` [C, H, W] a forward pass has; at least one.

    `device` is "cpu" or "cuda". Raises ValueError for a shape that looks like [H, W, C].
    """
    require_channels_first("images", (1, *shape))
    try:
        numbers = integer("numbers", model.numbers(shape), least=1)
    except Exception as error:  # the network is the reader's own and may fail in any way
        raise ValueError(
            f"model does not say how many numbers it takes in ({type(error).__name__}): mend its "
            "method numbers"
        ) from error
    return max(1, min(MOST_IMAGES[device], MOST_NUMBERS[device] // numbers))


def executed(model: BandClassifier, precision: str = "float32") -> BandClassifier:
    """Return `model`, or a copy whose numbers are converted where they are not of `precision`.

    Raises ValueError for a model in training mode or an unknown precision.
    """
    require_evaluation_mode(model)
    form = getattr(torch, one_of("precision", precision, PRECISIONS))
    weights = [*model.parameters(), *model.buffers()]
    if all(weight.dtype == form for weight in weights if weight.is_floating_point()):
        return model
    return forward.copied(model).to(form)


@torch.inference_mode()
def pass_of(network: BandClassifier, images: Tensor, precision: str = "float32") -> Tensor:
    """Return the logits of one pass of an `executed` network; float32 [N, positions, classes].

    `images`: float32 [N, C, H, W], on the network's device; the result is on the CPU, in memory of
    its own. Raises ValueError if the network does not take the images, or gives something else.
    """
    # A copy: the network may work on its input in place.
    logits = forward.logits(network, images.to(getattr(torch, precision), copy=True))
    places = network.positions
    if logits.ndim != 3 or tuple(logits.shape[:2]) != (len(images), places) or logits.shape[2] < 2:
        raise ValueError(
            f"model gives logits of shape {tuple(logits.shape)} for {len(images)} images of "
            f"{places} positions: let it give [images, positions, classes], two classes or more"
        )
    return logits.to("cpu", torch.float32, copy=True)


def passes(
    model: BandClassifier, images: Tensor, precision: str = "float32"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each pass its images [tile, C, H, W] and logits [tile, positions, classes].

    The last pass is filled up with black images: kernels choose their order of summation by
    shape. Arguments and errors as for `probabilities`.
    """
    network = executed(model, precision)
    tile = images_of_a_pass(model, tuple(images.shape[1:]), images.device.type)
    for some in torch.split(images, tile) if len(images) else ():
        whole = pad(some, (0, 0, 0, 0, 0, 0, 0, tile - len(some)))
        yield whole, pass_of(network, whole, precision)


def probabilities(model: BandClassifier, images: Tensor, precision: str = "float32") -> Tensor:
    """Return the softmax of every image at every position; float32 [N, positions, classes].

    `images`: float32 [N, C, H, W], on the model's device; the result is on the CPU. Each pass
    has `images_of_a_pass` images. With `precision` "bfloat16" a copy of the model computes the
    logits in that format, and the softmax is taken of these in float32. All thresholds, patch
    sizes and methods of certification follow from this one tensor.

    Raises ValueError for a model in training mode, an unknown precision, or logits that are none.
    """
    executed(model, precision)  # its errors, also where there are no images
    parts = [logits.softmax(dim=-1) for _, logits in passes(model, images, precision)]
    return torch.cat(parts)[: len(images)] if parts else torch.zeros(0)

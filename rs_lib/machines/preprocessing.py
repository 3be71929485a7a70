"""What a network was trained behind (resizing, cropping, normalising), as a layer in front of it.

The layer is part of the function that is certified: noise is added to pixels in [0, 1], then the
layer works on the noisy image. So radii are distances between images as they were given, whatever
the layer does to distances; normalising first and adding noise then would give radii in units of
`std`, one for each channel, and resizing first would give radii of other images.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rs_lib.arguments import integer, numbers, shown

STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Means and standard deviations by which public networks normalise, in units of [0, 1].

Those of CIFAR-10 as Cohen et al. (2019) and most repositories have them (the deviations are means
over images of an image's own); other CIFAR networks use those of ImageNet: look at the training.
"""


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image in [0, 1], in this order; None leaves a step out.

    `resize`: its shorter side becomes so long (bilinear, antialiased); `crop`: the middle of that
    side, squared; `mean`, `std`: (image - mean) / std, one number for each channel or for all.
    Raises ValueError for numbers that cannot be, or of another unit than [0, 1].
    """

    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that are none."""
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, integer(name, value, least=1, most=4096))
        if (self.mean is None) != (self.std is None):
            there, missing = ("mean", "std") if self.std is None else ("std", "mean")
            raise ValueError(f"{missing} is missing: give it beside {there}, both or none")
        for name, least in (("mean", 0.0), ("std", 1e-6)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, _per_channel(name, value, least))

    @property
    def is_nothing(self) -> bool:
        """Whether images stay as they are."""
        return not self.settings()

    def settings(self) -> dict[str, object]:
        """Return the steps that are taken, as JSON holds them."""
        steps = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in steps.items()}

    def require_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError for images [C, H, W] of a `shape` that these steps do not fit."""
        channels, *sides = shape
        for name in ("mean", "std"):
            count = len(getattr(self, name) or ())
            if count > 1 and count != channels:
                raise ValueError(
                    f"{name} has {count} numbers, but images have {channels} channels: "
                    "give one number, or one for each channel"
                )
        short = min(sides) if self.resize is None else self.resize
        if self.crop is not None and self.crop > short:
            raise ValueError(
                f"crop is {self.crop}, but images are only {short} pixels: crop less, "
                "or resize to more"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Return float `images` [N, C, H, W] after all steps but normalising."""
        if self.resize is not None:
            images = self._resized(images, self.resize)
        if self.crop is not None:
            top, left = (round((side - self.crop) / 2) for side in images.shape[2:])
            images = images[:, :, top : top + self.crop, left : left + self.crop]
        return images

    def _resized(self, images: Tensor, side: int) -> Tensor:
        height, width = images.shape[2:]
        short = min(height, width)
        size = (side * height // short, side * width // short)
        if size == (height, width):
            return images
        return functional.interpolate(
            images, size, mode="bilinear", align_corners=False, antialias=True
        )


class Preprocessed(nn.Module):
    """`model` behind the steps of a `Preprocessing`: one function of images [N, C, H, W]."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, steps: Preprocessing) -> None:
        """Keep both; mean and deviation are buffers, so that the model's digest holds them."""
        super().__init__()
        self.model = model
        self.steps = steps
        self.training = model.training  # and no part of the model is switched
        if steps.mean is not None and steps.std is not None:
            for name, values in (("mean", steps.mean), ("std", steps.std)):
                self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of `images` in [0, 1], float [N, C, H, W]."""
        images = self.steps(images)
        if self.steps.mean is not None:
            images = (images - self.mean) / self.std
        logits: Tensor = self.model(images)
        return logits

    def extra_repr(self) -> str:
        """Return the steps, which are then part of the model's digest."""
        return ", ".join(f"{name}={value}" for name, value in self.steps.settings().items())


def statistics(name: str, given: Sequence[str]) -> tuple[float, ...]:
    """Return the numbers of `given` words: numbers, or one name of `STATISTICS`.

    `name` is "mean" or "std". Raises ValueError for other words.
    """
    if len(given) == 1 and given[0] in STATISTICS:
        return STATISTICS[given[0]][("mean", "std").index(name)]
    try:
        return tuple(float(word) for word in given)
    except ValueError:
        raise ValueError(
            f"{name} is {shown(' '.join(given))}: give numbers in units of [0, 1], or one of "
            f"{', '.join(STATISTICS)}"
        ) from None


def _per_channel(name: str, values: Sequence[float], least: float) -> tuple[float, ...]:
    found = numbers(name, values)
    if found.ndim != 1 or not found.size:
        raise ValueError(f"{name} is {shown(values)}: give one number, or one for each channel")
    for value in found.tolist():
        if not least <= value <= 1:
            raise ValueError(
                f"{name} holds {shown(value)}: give numbers from {least:g} to 1, in units where "
                "white is 1 (of pixels up to 255, a 255th)"
            )
    return tuple(found.tolist())

"""What a law of noise has to bring: all that the engine, its statistics and its logs ask of it.

A law owns its distribution and its certificate together, so that no part of the engine asks which
law it has. A law that lacks a part cannot be constructed, and no law inherits from another: what
would be overridden in the child is what the parent's certificate rests on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import FloatArray, IntArray, nonnegative
from rs_lib.noise.words import Draws

Shape = tuple[int, ...]


class Law(ABC):
    """A law of noise that a base classifier is smoothed with.

    Images are [N, C, H, W] of `image_dtype`: float32, where white is 1, or uint8 from 0 to a
    number of `levels`. The classifier sees float32 images of shape `seen`.
    """

    def __init_subclass__(cls, **keywords: object) -> None:
        """Raise TypeError for a child of a law that is final."""
        super().__init_subclass__(**keywords)
        for parent in cls.__mro__[1:]:
            if parent.__dict__.get("__final__", False):
                raise TypeError(
                    f"{cls.__name__} derives from {parent.__name__}, whose certificate is that of "
                    "its own noise: write a law of its own"
                )

    @property
    @abstractmethod
    def name(self) -> str:
        """The law's name in lower case, as logs write it."""

    @property
    @abstractmethod
    def norm(self) -> str:
        """The norm of the certified ball: "l2", "l1" or "l0"."""

    @property
    @abstractmethod
    def guarantee(self) -> str:
        """In words, where the certificates hold, for summaries and the headers of logs."""

    @property
    @abstractmethod
    def levels(self) -> int | None:
        """The pixel value that is white in uint8 images; None for images of floats."""

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Return the law's numbers, as JSON holds them."""

    @abstractmethod
    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the radius certified where the top class has probability at least `p_lower`.

        In `norm`, float64 of the shape of `p_lower`, rounded down; 0 where p_lower <= 1/2.
        """

    def lead_radius(self, p_lower: npt.ArrayLike, p_upper: npt.ArrayLike) -> FloatArray:
        """Return the radius where no other class has a probability above `p_upper`, moreover.

        Float64 of the common shape, rounded down; 0 where nothing is certified. Raises ValueError
        if the certificate of this law uses one class only.
        """
        raise ValueError(
            f"noise is {self.name}, whose certificate uses one class only: leave runner_up out, or "
            "give Gaussian noise, ablation or flips"
        )

    @abstractmethod
    def _inverse(self, radii: FloatArray) -> FloatArray:
        """Return about the probability whose radius is each of `radii`."""

    @abstractmethod
    def seen(self, shape: Shape) -> Shape:
        """Return the shape of what the classifier sees of an image of `shape` [C, H, W]."""

    @abstractmethod
    def noisy(self, images: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return float32 [T, *`seen`]: row t is `images[rows[t]]` under sample t of `draws`.

        The same whatever the other rows are. Callers have checked the arguments.
        """

    @abstractmethod
    def corrupted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return float32 `images` [N, C, H, W] under fresh noise, [N, *`seen`], for training.

        `generator` is on the device of `images`. White is 1, for every law.
        """

    @property
    def image_dtype(self) -> torch.dtype:
        """The type of the images that noise is drawn on."""
        return torch.float32 if self.levels is None else torch.uint8

    def probability_for(self, radii: npt.ArrayLike) -> FloatArray:
        """Return for each radius a p0 such that a class of probability above p0 certifies it.

        The inverse of the radius, stepped up until `radius` of the float, which is rounded down,
        reaches it. `radii` are at least 0; the result lies in [1/2, 1] and is 1 where no float
        below suffices.
        """
        wanted = nonnegative("radii", radii, rounding="up")
        p0 = np.minimum(np.maximum(self._inverse(wanted), 0.5), 1.0)
        step = np.spacing(p0)
        while (short := (self.radius(p0) < wanted) & (p0 < 1)).any():
            p0 = np.where(short, np.minimum(p0 + step, 1.0), p0)
            step *= 2
        return p0

    def require_form(self, images: Tensor) -> None:
        """Raise ValueError unless `images` are [N, C, H, W] of this law's type."""
        if images.ndim != 4 or 0 in images.shape[1:] or images.dtype != self.image_dtype:
            kind = "uint8 pixels as they are stored" if self.levels else "see Dataset.as_float"
            raise ValueError(
                f"images are {images.dtype} of shape {tuple(images.shape)}: give "
                f"{self.image_dtype} [N, C, H, W] for {self.name} noise ({kind})"
            )

    def require_values(self, images: Tensor) -> None:
        """Raise ValueError for pixels that are brighter than white, or not finite floats."""
        if self.levels is None:
            if not bool(images.isfinite().all()):
                raise ValueError("images holds NaN or infinite pixels: give finite ones")
        elif images.numel() and int(images.max()) > self.levels:
            raise ValueError(
                f"images holds {int(images.max())} but noise has levels {self.levels}: "
                "give the value that stands for white"
            )


class Parameter(NamedTuple):
    """The number that chooses one law of a family, as the command line takes it."""

    option: str
    kind: Callable[[str], object]
    metavar: str
    told: str


class NamedLaw(Law):
    """A law that the command line and the headers of logs name, by its class."""

    parameter: ClassVar[Parameter]
    """The option that gives the law its number."""

    @classmethod
    @abstractmethod
    def for_images(cls, value: object, shape: Shape, levels: int) -> Self:
        """Return the law of that `parameter` for images of `shape` [C, H, W] and `levels`."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> Self:
        """Return the law whose `settings` these are."""
        return cls(**settings)


def flat(images: Tensor) -> Tensor:
    """Return [N, H W C]: pixels in the order in which they take their random numbers."""
    return images.permute(0, 2, 3, 1).flatten(1)


def unflattened(rows: Tensor, shape: Shape) -> Tensor:
    """Return [T, C, H, W], channels last in memory, from rows [T, H W C]; `shape` is [C, H, W]."""
    channels, height, width = shape
    return rows.view(-1, height, width, channels).permute(0, 3, 1, 2)

"""Random views of an image: a few of its pixels, the others marked as not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import (
    FloatArray,
    IntArray,
    integer,
    probabilities,
    require_channels_first,
)
from rs_lib.certificates import ablation
from rs_lib.noise.law import NamedLaw, Parameter, Shape
from rs_lib.noise.philox import WORDS_PER_BLOCK
from rs_lib.noise.words import Draws, to_device


@final
@dataclass(frozen=True)
class Ablation(NamedLaw):
    """A view keeps `kept` of `pixels` positions, uniformly at random (Levine and Feizi 2020).

    Images are uint8 [N, C, H, W] with H W = `pixels` and values up to `levels`. A view has 2 C
    channels: the image and its complement to 1, both 0 at a position that is not seen, so that
    no colour looks like "not seen". It is a function of the pixels seen and of their positions:
    the certificate, in changed positions (l0), holds in floating point as it stands.

    A sample orders the positions by 64-bit words and keeps those of the smallest; equal words
    bring the law within pixels^2 2^-65 of the uniform one, in total variation.

    Raises ValueError unless 1 <= kept <= pixels and 1 <= levels <= 255.
    """

    kept: int
    pixels: int
    levels: int = 255
    name = "ablation"
    norm = "l0"
    guarantee = "in floating point too; radii count changed pixels, all channels of one together"
    parameter = Parameter("kept", int, "K", "pixels that a view shows")

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that do not fit."""
        for field in ("kept", "pixels", "levels"):
            number = integer(field, getattr(self, field), least=1)
            object.__setattr__(self, field, number)
        if self.kept > self.pixels:
            raise ValueError(f"kept is {self.kept}: give at most the {self.pixels} pixels")
        if self.levels > 255:
            raise ValueError(f"levels is {self.levels}: give at most 255, images are uint8")

    @classmethod
    def for_images(cls, value: Any, shape: Shape, levels: int) -> Self:
        """Return views of `value` pixels of such images."""
        return cls(value, shape[1] * shape[2], levels)

    def settings(self) -> dict[str, object]:
        """Return `kept`, `pixels` and `levels`."""
        return {"kept": self.kept, "pixels": self.pixels, "levels": self.levels}

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the number of changed pixels of Levine and Feizi (2020), theorem 1."""
        found = ablation.radius(p_lower, self.pixels, self.kept)
        return np.maximum(found, 0).astype(np.float64)

    def lead_radius(self, p_lower: npt.ArrayLike, p_upper: npt.ArrayLike) -> FloatArray:
        """Return the number of changed pixels with p_lower - p_upper > 2 Delta (thm-ra-radius)."""
        low = probabilities("p_lower", p_lower, rounding="down")
        high = probabilities("p_upper", p_upper, rounding="up")
        lead = np.nextafter(low - high, -1.0)
        return self.radius(np.clip(np.nextafter(0.5 + lead / 2, 0.0), 0.0, 1.0))

    def _inverse(self, radii: FloatArray) -> FloatArray:
        return ablation.required_probability(np.ceil(radii), self.pixels, self.kept)

    def seen(self, shape: Shape) -> Shape:
        """Return [2 C, H, W]."""
        return (2 * shape[0], *shape[1:])

    def require_form(self, images: Tensor) -> None:
        """Raise ValueError unless `images` are uint8 [N, C, H, W] of `pixels` positions.

        Images that look like [N, H, W, C] are refused too.
        """
        super().require_form(images)
        require_channels_first("images", images.shape)
        positions = images.shape[2] * images.shape[3]
        if positions != self.pixels:
            raise ValueError(
                f"images have {positions} positions but the views are of {self.pixels}: "
                "let pixels be height times width"
            )

    def noisy(self, images: Tensor, rows: IntArray, draws: Draws) -> Tensor:
        """Return a view of each of `images[rows]`."""
        count = -(-self.pixels // WORDS_PER_BLOCK) * WORDS_PER_BLOCK
        words = draws.words(images.device, count)
        bright = images[to_device(images.device, rows)].to(torch.float32)
        return self.views(bright.mul_(float(np.float32(1 / self.levels))), words)

    def corrupted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return fresh views of `images`."""
        size = (len(images), self.pixels)
        return self.views(images, torch.rand(size, generator=generator, device=images.device))

    def views(self, images: Tensor, words: Tensor) -> Tensor:
        """Return float32 [T, 2 C, H, W]: row t is a view of `images[t]`, float32 [T, C, H, W].

        `words`: [T, at least `pixels`], numbers that order the positions of each row.
        """
        words = words[:, : self.pixels]
        seen = words.topk(self.kept, dim=1, largest=False, sorted=False).indices
        mask = torch.zeros(words.shape, device=images.device).scatter_(1, seen, 1.0)
        mask = mask.view(-1, 1, *images.shape[2:])
        own = images * mask
        return torch.cat((own, mask - own), dim=1)

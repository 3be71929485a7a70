"""Random views of an image: a few of its pixels, the others marked as not seen."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rs_lib.arguments import integer
from rs_lib.noise.laws import NoiseLaw
from rs_lib.noise.philox import WORDS_PER_BLOCK


@dataclass(frozen=True)
class Ablation:
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

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that do not fit."""
        for field in ("kept", "pixels", "levels"):
            number = integer(field, getattr(self, field), least=1)
            object.__setattr__(self, field, number)
        if self.kept > self.pixels:
            raise ValueError(f"kept is {self.kept}: give at most the {self.pixels} pixels")
        if self.levels > 255:
            raise ValueError(f"levels is {self.levels}: give at most 255, images are uint8")

    @property
    def words_per_sample(self) -> int:
        """The number of random words a sample owns, a multiple of 4."""
        return -(-self.pixels // WORDS_PER_BLOCK) * WORDS_PER_BLOCK

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


Law = NoiseLaw | Ablation
"""What a base classifier is smoothed with."""


def corrupted(law: Law, images: Tensor, generator: torch.Generator) -> Tensor:
    """Return `images`, float32 [N, C, H, W], under fresh noise of `law`, for training.

    `generator` is on the device of `images`. [N, 2 C, H, W] for `Ablation`.
    """
    if isinstance(law, Ablation):
        size = (len(images), law.pixels)
        return law.views(images, torch.rand(size, generator=generator, device=images.device))
    return images + law.sample(images.shape, generator, images.device)


def corrupted_shape(law: Law, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what the base classifier sees of an image of `shape` [C, H, W]."""
    return (2 * shape[0], *shape[1:]) if isinstance(law, Ablation) else shape

"""Views of an image through one band or block, and a full-image network that sees only them.

A pixel that is not seen is NULL, which no pixel value may equal: an image of C channels becomes
one of 2 C channels, x and 1 - x, both 0 where nothing is seen.
Source: Levine & Feizi (2020), "(De)Randomized Smoothing for Certifiable Defense against Patch
Attacks", section 3 and the official code.
"""

import torch
from torch import Tensor, nn

from rs_lib.arguments import integer, one_of
from rs_lib.machines.band_classifier import BandClassifier, initialise
from rs_lib.seeds import derive

KINDS = ("columns", "rows", "blocks")


def masks(kind: str, band: int, height: int, width: int) -> Tensor:
    """Return what is seen from each position; bool [positions, height, width].

    "columns": `band` adjacent columns from each column on, around the border; "rows" likewise;
    "blocks": squares of side `band` from each pixel (i, j) on, at the index i width + j.

    Raises ValueError for an unknown kind or a band that does not fit into the image.
    """
    one_of("kind", kind, KINDS)
    height, width = integer("height", height, least=1), integer("width", width, least=1)
    band = integer("band", band, least=1)
    limit = {"columns": width, "rows": height, "blocks": min(height, width)}[kind]
    if band > limit:
        raise ValueError(f"band is {band}: give at most {limit} for {kind} of this image")

    def around(size: int) -> Tensor:
        ring = torch.arange(size)
        return (ring - ring[:, None]) % size < band

    if kind == "columns":
        return around(width)[:, None, :].repeat(1, height, 1)
    if kind == "rows":
        return around(height)[:, :, None].repeat(1, 1, width)
    seen = around(height)[:, None, :, None] & around(width)[None, :, None, :]
    return seen.reshape(-1, height, width)


def views(images: Tensor, seen: Tensor) -> Tensor:
    """Return `images` [..., C, H, W] in [0, 1] as [..., 2 C, H, W], NULL outside `seen`.

    `seen`: bool [..., H, W], which broadcasts against the images without their channels.
    """
    mask = seen.unsqueeze(-3)
    return torch.cat((images * mask, (1 - images) * mask), dim=-3)


class MaskedNetwork(BandClassifier):
    """A network for full images that is shown one band or block at a time.

    `seen`: bool [positions, H, W], as `masks` returns it. Training shows each image of a batch
    through a position of its own, drawn uniformly.
    """

    seen: Tensor

    def __init__(self, network: nn.Module, seen: Tensor) -> None:
        """Wrap `network`, which maps [N, 2 C, H, W] to logits [N, classes]."""
        super().__init__()
        if seen.ndim != 3 or seen.dtype != torch.bool or not len(seen):
            raise ValueError(
                f"seen is {seen.dtype} of shape {tuple(seen.shape)}: give bool [positions, H, W]"
            )
        self.network = network
        self.positions = len(seen)
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, positions, classes]: one pass of the network for each position."""
        shown = views(images[:, None], self.seen).flatten(0, 1)
        logits: Tensor = self.network(shown)
        if logits.ndim != 2 or len(logits) != len(shown):
            raise ValueError(
                f"network gives {tuple(logits.shape)} for {len(shown)} views, not their logits"
            )
        return logits.view(len(images), self.positions, -1)

    def sees(self, height: int, width: int) -> Tensor:
        """Return `seen`; ValueError for images of another size."""
        if tuple(self.seen.shape[1:]) != (height, width):
            raise ValueError(
                f"images are {height}x{width}, but the model sees {self.seen.shape[1]}x"
                f"{self.seen.shape[2]}: give images of that size"
            )
        return self.seen

    def numbers(self, shape: tuple[int, ...]) -> int:
        """Return how many numbers the views of one image of `shape` [C, H, W] hold."""
        return 2 * self.positions * torch.Size(shape).numel()

    def lesson(self, labels: Tensor, draw: torch.Generator) -> tuple[nn.Module, Tensor]:
        """Return a module that shows each image through one random position."""
        return _RandomPositions(self, draw), labels


class _RandomPositions(nn.Module):
    """The logits [N, classes] of images, each seen through a position drawn uniformly."""

    def __init__(self, model: MaskedNetwork, draw: torch.Generator) -> None:
        super().__init__()
        self.model = model
        self._draw = draw

    def forward(self, images: Tensor) -> Tensor:
        place = torch.randint(
            self.model.positions, (len(images),), generator=self._draw, device=images.device
        )
        logits: Tensor = self.model.network(views(images, self.model.seen[place]))
        return logits


def masked_network(
    image_shape: tuple[int, int, int], classes: int, kind: str, band: int, seed: int
) -> MaskedNetwork:
    """Return a freshly initialised network for images [C, H, W], in evaluation mode.

    From 16x16 pixels on the paper's MNIST network: convolutions 4x4 of stride 2 with 64 and 128
    channels, then layers of 500 and 100. For smaller images a quarter of each. Equal arguments
    give equal weights, and the global generators stay untouched.

    Raises ValueError for an unknown kind or a bad size.
    """
    channels, height, width = image_shape
    integer("classes", classes, least=2)
    if min(height, width) < 4:
        raise ValueError(f"image_shape is {image_shape}: give images of at least 4x4 pixels")
    seen = masks(kind, band, height, width)
    share = 1 if min(height, width) >= 16 else 4
    first, second, hidden, last = (size // share for size in (64, 128, 500, 100))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initialisation", "masked", kind))
        network = nn.Sequential(
            nn.Conv2d(2 * channels, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * (height // 4) * (width // 4), hidden),
            nn.ReLU(),
            nn.Linear(hidden, last),
            nn.ReLU(),
            nn.Linear(last, classes),
        )
        initialise(network)
    return MaskedNetwork(network.to(memory_format=torch.channels_last), seen).eval()

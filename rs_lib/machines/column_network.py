"""A network that answers for every band of columns in one forward pass.

Its first convolution is `band` columns wide and all others are one column wide, so that the
logits at column q depend on the columns q, ..., q + band - 1, on q itself, and on nothing else. The
first columns are repeated behind the last, so that bands wrap around the border.
"""

import torch
from torch import Tensor, nn

from rs_lib.arguments import integer
from rs_lib.machines.band_classifier import BandClassifier, initialise
from rs_lib.machines.bands import masks
from rs_lib.seeds import derive


def ring(images: Tensor, band: int) -> Tensor:
    """Repeat the first columns of `images` [..., W] behind the last: [..., W + band - 1]."""
    return torch.cat((images, images[..., : band - 1]), dim=-1)


class ColumnClassifier(BandClassifier):
    """Answers for the bands from all columns of an image at once, and learns from all of them."""

    def __init__(self, width: int, band: int) -> None:
        """Raise ValueError for a band wider than the image."""
        super().__init__()
        width, band = integer("width", width, least=1), integer("band", band, least=1)
        if band > width:
            raise ValueError(f"band is {band}: give at most the width of the image, {width}")
        self.positions, self.band = width, band

    def sees(self, height: int, width: int) -> Tensor:
        """Return `band` columns from each column on; ValueError for images of another width."""
        if width != self.positions:
            raise ValueError(
                f"images are {width} columns wide, but the model sees {self.positions}: give "
                "images of that width"
            )
        return masks("columns", self.band, height, width)

    def lesson(self, labels: Tensor, draw: torch.Generator) -> tuple[nn.Module, Tensor]:
        """Return a module that answers for all bands at once; nothing is random."""
        return _AllBands(self), labels[:, None].expand(-1, self.positions)


class _AllBands(nn.Module):
    """The logits of all bands as cross-entropy takes them: [N, classes, positions]."""

    def __init__(self, model: ColumnClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits.transpose(1, 2)


class ColumnNetwork(ColumnClassifier):
    """Convolutions down the columns of a band, for all bands of an image at once.

    `channels` of the two convolutions of height 3 (the second halves the rows), and `hidden`
    units that see the whole height of the band, and have biases of their own at each position:
    where a stroke lies tells as much as its shape.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        band: int,
        channels: tuple[int, int],
        hidden: int,
    ) -> None:
        """Build the layers for images [C, H, W]; weights come from torch's default generator."""
        depth, height, width = image_shape
        super().__init__(width, band)
        self.band_layers = nn.Sequential(
            nn.Conv2d(depth, channels[0], (3, band), padding=(1, 0)),
            nn.ReLU(),
            nn.Conv2d(channels[0], channels[1], (3, 1), stride=(2, 1), padding=(1, 0)),
            nn.ReLU(),
            nn.Conv2d(channels[1], hidden, ((height + 1) // 2, 1)),
        )
        self.place = nn.Parameter(torch.zeros(hidden, 1, width))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(hidden, classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, W, classes]."""
        logits: Tensor = self.head(self.band_layers(ring(images, self.band)) + self.place)
        return logits.squeeze(2).transpose(1, 2)


def column_network(
    image_shape: tuple[int, int, int], classes: int, band: int, seed: int
) -> ColumnNetwork:
    """Return a freshly initialised network for images [C, H, W], in evaluation mode.

    Channels 32 and 64 and 256 hidden units, from 16 rows on; else 16, 32 and 64. Equal arguments
    give equal weights, and the global generators stay untouched. For rows, transpose the images.

    Raises ValueError for a bad size or a band wider than the image.
    """
    _, height, _ = image_shape
    integer("classes", classes, least=2)
    channels, hidden = ((32, 64), 256) if height >= 16 else ((16, 32), 64)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initialisation", "column network"))
        network = ColumnNetwork(image_shape, classes, band, channels, hidden)
        initialise(network)
    return network.to(memory_format=torch.channels_last).eval()

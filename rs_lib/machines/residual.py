"""Residual networks on bands, for colour images: the paper's, and one for all bands in one pass.

Both are ResNet-18 (He et al. 2016) with the stem for small images, a 3x3 convolution of stride 1
and no pooling, as in the official code of Levine & Feizi (2020). The first is shown one band at a
time. In the second every convolution behind the stem is one column wide, and so the logits at
column q depend on the columns q, ..., q + band - 1, on q itself, and on nothing else.
"""

import copy

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torchvision.models import ResNet, resnet18

from rs_lib.arguments import integer
from rs_lib.machines.band_classifier import BandClassifier
from rs_lib.machines.bands import MaskedNetwork, masks
from rs_lib.machines.column_network import ColumnClassifier, ring
from rs_lib.seeds import derive


def masked_residual(
    image_shape: tuple[int, int, int], classes: int, kind: str, band: int, seed: int
) -> MaskedNetwork:
    """Return a freshly initialised ResNet-18 for views of images [C, H, W], in evaluation mode.

    11.2 million parameters. Equal arguments give equal weights, and the global generators stay
    untouched. Raises ValueError for an unknown kind or a bad size.
    """
    channels, height, width = image_shape
    network = _resnet(2 * channels, classes, seed)
    return MaskedNetwork(network, masks(kind, band, height, width)).eval()


class ResidualColumns(ColumnClassifier):
    """ResNet-18 down the columns of a band, for all bands of an image at once.

    The stem has biases of its own at each position.
    """

    def __init__(self, network: ResNet, width: int, band: int) -> None:
        """Take over the layers of a network from `_resnet` with `band`, for `width` columns."""
        super().__init__(width, band)
        self.stem = nn.Sequential(network.conv1, network.bn1)
        self.place = nn.Parameter(torch.zeros(network.bn1.num_features, 1, width))
        self.layers = nn.Sequential(
            nn.ReLU(),
            *(network.layer1, network.layer2, network.layer3, network.layer4),
            nn.AdaptiveAvgPool2d((1, None)),
        )
        self.head = network.fc

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, W, classes]."""
        features: Tensor = self.layers(self.stem(ring(images, self.band)) + self.place)
        logits: Tensor = self.head(features.squeeze(2).transpose(1, 2))
        return logits


def residual_columns(
    image_shape: tuple[int, int, int], classes: int, band: int, seed: int
) -> ResidualColumns:
    """Return a freshly initialised network for images [C, H, W], in evaluation mode.

    3.8 million parameters for colour images and 4 columns. Equal arguments give equal weights,
    and the global generators stay untouched. For rows, transpose the images.

    Raises ValueError for a bad size or a band wider than the image.
    """
    channels, _, width = image_shape
    band = integer("band", band, least=1)
    network = _resnet(channels, classes, seed, band)
    columns = ResidualColumns(network, width, band)
    return columns.to(memory_format=torch.channels_last).eval()


def folded(model: BandClassifier) -> BandClassifier:
    """Return a copy for evaluation whose batch normalisations are folded into the convolutions.

    The same function up to rounding, and about a fifth less work on a CPU. Parts without a batch
    normalisation are copied as they are. Raises ValueError for a model in training mode.
    """
    if model.training:
        raise ValueError("model is in training mode: call model.eval() first")
    faster = copy.deepcopy(model)
    for name, part in model.named_children():
        if any(isinstance(layer, nn.BatchNorm2d) for layer in part.modules()):
            setattr(faster, name, fuse(part).to(memory_format=torch.channels_last))
    return faster.eval()


def _resnet(channels: int, classes: int, seed: int, band: int | None = None) -> ResNet:
    """Return torchvision's ResNet-18 with a 3x3 stem of stride 1 for `channels`, and no pooling.

    With `band` the stem is that many columns wide, and all other convolutions are one column wide
    and have strides down the rows only.
    """
    integer("classes", classes, least=2)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initialisation", "residual"))
        network = resnet18(num_classes=classes)
        if band is not None:
            for part in list(network.modules()):
                for name, layer in part.named_children():
                    if isinstance(layer, nn.Conv2d):
                        setattr(part, name, _narrow(layer))
        size, padding = ((3, 3), (1, 1)) if band is None else ((3, band), (1, 0))
        stem = nn.Conv2d(channels, 64, size, padding=padding, bias=False)
        network.conv1 = _initialised(stem)
    network.maxpool = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def _narrow(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a fresh convolution like `layer` that is one column wide."""
    height, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    return _initialised(
        nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            (height, 1),
            stride=(stride, 1),
            padding=(int(padding), 0),
            bias=False,
        )
    )


def _initialised(layer: nn.Conv2d) -> nn.Conv2d:
    """Draw the weights as torchvision does for this network."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer

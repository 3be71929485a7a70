"""Residual networks of about 0.3 million parameters for small images: what two cores can certify.

Nearly all of a forward pass goes into its convolutions, and these cost four times as much on an
image of twice the side. So the first convolution halves the image, and wide blocks follow.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torchvision.models.resnet import BasicBlock

from rs_lib.arguments import integer, integers
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.seeds import derive


def compact_residual(
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    *,
    widths: Sequence[int],
    blocks: Sequence[int],
) -> nn.Sequential:
    """Return a freshly initialised residual network for images [C, H, W], in evaluation mode.

    A 4x4 convolution of stride 2, then for each of `widths` so many of `blocks` (He et al. 2016,
    the basic block); each width but the first begins with stride 2. It maps float32 [N, C, H, W]
    to logits [N, classes]. Inputs are standardised by their running mean and variance, so that
    noise of any scale arrives at the same scale. Equal arguments give equal weights, and the
    global generators stay untouched.

    Raises ValueError for bad sizes or lists of unequal length.
    """
    require_sizes(image_shape, classes, widths, blocks)
    channels, _, _ = image_shape
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the generators of the GPUs as well.
        torch.default_generator.manual_seed(derive(seed, "initialisation", "compact residual"))
        network = _layers(channels, classes, widths, blocks)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network.to(memory_format=torch.channels_last).eval()


def require_sizes(
    image_shape: tuple[int, int, int], classes: int, widths: Sequence[int], blocks: Sequence[int]
) -> None:
    """Raise ValueError for bad sizes of a network, or lists of unequal length."""
    integers("image_shape", image_shape, least=1)
    integer("classes", classes, least=2)
    integers("widths", widths, least=1)
    integers("blocks", blocks, least=1)
    if len(widths) != len(blocks) or not widths:
        raise ValueError(
            f"widths is {tuple(widths)} and blocks {tuple(blocks)}: give one number of blocks for "
            "each width"
        )


def folded(network: nn.Module) -> nn.Module:
    """Return a copy for evaluation whose batch normalisations are folded into the convolutions.

    The same function up to rounding. Raises ValueError for a network in training mode.
    """
    require_evaluation_mode(network)
    faster: nn.Module = fuse(network)
    return faster.to(memory_format=torch.channels_last).eval()


def _layers(
    channels: int, classes: int, widths: Sequence[int], blocks: Sequence[int]
) -> nn.Sequential:
    before = widths[0]
    parts: list[tuple[str, nn.Module]] = [
        ("standardise", nn.BatchNorm2d(channels, affine=False)),
        ("stem", _convolution(channels, before, 4, 2)),
        ("active", nn.ReLU()),
    ]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for number in range(count):
            stride = 2 if stage and not number else 1
            shortcut = None
            if stride > 1 or width != before:
                shortcut = _convolution(before, width, 1, stride)
            block = BasicBlock(before, width, stride, shortcut)
            parts.append((f"stage{stage}block{number}", block))
            before = width
    parts += [
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("head", nn.Linear(before, classes)),
    ]
    return nn.Sequential(OrderedDict(parts))


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Sequential:
    padding = (size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False), nn.BatchNorm2d(outputs)
    )

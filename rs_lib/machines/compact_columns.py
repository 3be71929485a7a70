"""A residual network down the columns of a band, of a size that two cores train on photographs.

As in `column_network` the logits at column q depend on the columns q, ..., q + band - 1, on q
itself, and on nothing else. What makes a network of this kind learn slowly is that each image
counts once for each column; so it can be asked for a few columns of each image alone.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models.resnet import BasicBlock

from rs_lib.machines.column_network import ColumnClassifier, ring
from rs_lib.machines.compact_residual import require_sizes
from rs_lib.machines.fast_training import Goal, Step
from rs_lib.seeds import derive


class CompactColumns(ColumnClassifier):
    """Basic blocks of residual networks (He et al. 2016), one column wide, behind a wide stem.

    The stem halves the rows, and so does the first block of each width but the first. It has
    biases of its own at each position; the head weighs each row that is left by itself.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        band: int,
        widths: Sequence[int],
        blocks: Sequence[int],
    ) -> None:
        """Build the layers for images [C, H, W]; weights come from torch's default generator."""
        depth, height, width = image_shape
        super().__init__(width, band)
        self.stem = _convolution(depth, widths[0], (4, band), 2)
        self.place = nn.Parameter(torch.zeros(widths[0], 1, width))
        rows = (height - 2) // 2 + 1
        before, parts = widths[0], list[nn.Module]([nn.ReLU()])
        for stage, (channels, count) in enumerate(zip(widths, blocks, strict=True)):
            for number in range(count):
                stride = 2 if stage and not number else 1
                parts.append(_block(before, channels, stride))
                before, rows = channels, (rows - 1) // stride + 1
        self.layers = nn.Sequential(*parts)
        self.head = nn.Conv2d(before, classes, (rows, 1))

    def forward(self, images: Tensor, at: Tensor | None = None) -> Tensor:
        """Return logits [N, W, classes], or [N, m, classes] for the columns `at`, int64 [N, m]."""
        if at is None:
            features = self.stem(ring(images, self.band)) + self.place
            logits: Tensor = self.head(self.layers(features))
            return logits.squeeze(2).transpose(1, 2)
        bands = ring(images, self.band).unfold(3, self.band, 1)
        each = torch.arange(len(images), device=images.device)[:, None]
        views = bands[each, :, :, at].flatten(0, 1)  # [N * m, C, H, band]
        places = self.place[:, 0, at].permute(1, 2, 0).flatten(0, 1)[..., None, None]
        features = self.stem(views.contiguous(memory_format=torch.channels_last)) + places
        logits = self.head(self.layers(features))
        return logits.view(*at.shape, -1)


def compact_columns(
    image_shape: tuple[int, int, int],
    classes: int,
    band: int,
    seed: int,
    *,
    widths: Sequence[int],
    blocks: Sequence[int],
) -> CompactColumns:
    """Return a freshly initialised network for images [C, H, W], in evaluation mode.

    For each of `widths` so many of `blocks`. Equal arguments give equal weights, and the global
    generators stay untouched. For rows, transpose the images.

    Raises ValueError for bad sizes, lists of unequal length, or a band wider than the image.
    """
    require_sizes(image_shape, classes, widths, blocks)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initialisation", "compact columns"))
        network = CompactColumns(image_shape, classes, band, widths, blocks)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network.to(memory_format=torch.channels_last).eval()


def towards_votes(shown: int, smoothing: float) -> Goal:
    """Return the goal of a training for votes: each of `shown` columns of an image answers.

    The mean cross-entropy with labels smoothed by `smoothing`; the columns are drawn anew for each
    image. The model is a `CompactColumns`.
    """

    def goal(model: Callable[..., Tensor], inputs: Tensor, labels: Tensor, step: Step) -> Tensor:
        count, width = len(inputs), inputs.shape[3]
        order = torch.rand((count, width), generator=step.draw, device=inputs.device).argsort(dim=1)
        logits = model(inputs, order[:, :shown]).float().flatten(0, 1)
        return cross_entropy(logits, labels.repeat_interleave(shown), label_smoothing=smoothing)

    return goal


def _block(inputs: int, outputs: int, stride: int) -> BasicBlock:
    """Return a basic block whose convolutions are one column wide."""
    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = _convolution(inputs, outputs, (1, 1), stride)
    block = BasicBlock(inputs, outputs, downsample=shortcut)
    block.conv1 = _narrow(inputs, outputs, stride)
    block.conv2 = _narrow(outputs, outputs, 1)
    return block


def _narrow(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (3, 1), (stride, 1), (1, 0), bias=False)


def _convolution(inputs: int, outputs: int, size: tuple[int, int], stride: int) -> nn.Sequential:
    padding = ((size[0] - 1) // 2, 0)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, (stride, 1), padding, bias=False),
        nn.BatchNorm2d(outputs),
    )

"""Layers that do on a CPU what torch's do, in a fraction of the time.

On other devices they are torch's. Names of weights are the same.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

_AT_ONCE = 32  # images whose windows stay in the cache


class Pool(nn.MaxPool2d):
    """Largest of each 2x2 pixels. Without gradients it is several times faster.

    The network's channels lie innermost, and the larger of two rows, then of two columns, is a
    comparison of vectors. The numbers are the same to the last bit.
    """

    def __init__(self) -> None:
        """Pool without overlap; a last odd row or column is left out."""
        super().__init__(2)

    def forward(self, images: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, C, H // 2, W // 2]."""
        if torch.is_grad_enabled() or images.device.type != "cpu":
            pooled: Tensor = super().forward(images)
            return pooled
        height, width = (size // 2 * 2 for size in images.shape[2:])
        rows = torch.maximum(images[:, :, 0:height:2], images[:, :, 1:height:2])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class FirstConvolution(nn.Conv2d):
    """A convolution without padding or stride, for attacks on grey images.

    The gradient in an input of one channel is one product of matrices, shifted and added, in a
    third of the time of torch's. Nothing is gained for colours, which have torch's.
    """

    def __init__(self, channels: int, width: int, side: int) -> None:
        """Map `channels` to `width` by windows of `side` x `side`."""
        super().__init__(channels, width, side)

    def forward(self, images: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, width, H - side + 1, W - side + 1]."""
        grey = images.shape[1] == 1
        if images.device.type != "cpu" or not (grey and images.requires_grad):
            return super().forward(images)
        found: Tensor = _Convolution.apply(images, self.weight, self.bias)
        return found


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(images, weight)
        return conv2d(images, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        images, weight = ctx.saved_tensors
        weights, bias = None, None
        wanted = [False, *ctx.needs_input_grad[1:]]
        if any(wanted):
            fixed = ([len(weight)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
            made = torch.ops.aten.convolution_backward(slopes, images, weight, *fixed, wanted)
            weights, bias = made[1:]
        return _in_the_input(slopes, weight, images), weights, bias


def _in_the_input(slopes: Tensor, weight: Tensor, images: Tensor) -> Tensor:
    """Return the gradient, shaped as `images` [N, 1, H, W], from that of the output."""
    width, _, side, _ = weight.shape
    height, breadth = slopes.shape[2:]
    wide = weight.reshape(width, -1).T
    found = torch.zeros_like(images)
    for part, into in zip(torch.split(slopes, _AT_ONCE), torch.split(found, _AT_ONCE), strict=True):
        pixels = part.permute(0, 2, 3, 1).reshape(-1, width)
        windows = (wide @ pixels.T).view(side, side, len(part), height, breadth)
        for row in range(side):
            for column in range(side):
                place = into[:, 0, row : row + height, column : column + breadth]
                place += windows[row, column]
    return found

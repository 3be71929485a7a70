"""Random shifts and reflections of training images, each image by itself, on its device."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def augmented(images: Tensor, shift: int, flip: bool, draw: torch.Generator) -> Tensor:
    """Return `images` [N, C, H, W] shifted at random, and reflected left to right with `flip`.

    Each image moves by up to `shift` pixels down or up and to either side, and what enters is
    black; it is reflected with probability 1/2. `draw` is a generator on the images' device.
    """
    count, _, height, width = images.shape
    place = images.device
    down, right = (
        torch.randint(2 * shift + 1, (count, 1), generator=draw, device=place) for _ in range(2)
    )
    rows = down + torch.arange(height, device=place)
    columns = right + torch.arange(width, device=place)
    if flip:
        reflect = torch.randint(2, (count, 1), generator=draw, device=place) == 1
        columns = torch.where(reflect, columns.flip(1), columns)
    larger = pad(images, (shift, shift, shift, shift))
    each = torch.arange(count, device=place)[:, None, None]
    # Indices on both sides of the channels put these last, as channels-last kernels want them.
    return larger[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

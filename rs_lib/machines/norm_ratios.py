"""How often a network errs under random noise, measured in lengths of its shortest error.

For each image the search of `rs_lib.machines.minimal_norm` finds a length r; noise is then as long
as so many r. A single wall at distance r would give the flips of `rs_lib.geometry.halfspaces`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rs_lib.arguments import integers, positive
from rs_lib.machines.minimal_norm import nearest_errors
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.seeds import derive

_BATCH = 500


def errors(
    model: nn.Module,
    image: Tensor,
    label: int,
    lengths: Sequence[float],
    *,
    n: int,
    seed: int,
    sphere: bool,
) -> list[int]:
    """Return for each length how many of `n` noisy copies `model` does not give the label.

    `image`: float32 [C, H, W]. With `sphere` a perturbation is uniform on the sphere of that
    radius, else normal with that standard deviation in each entry. The same n directions serve all
    lengths. Works on the device of `image`.

    Raises ValueError for bad arguments or a model in training mode.
    """
    require_evaluation_mode(model)
    integers("n", n, least=1)
    positive("lengths", lengths)
    generator = torch.Generator().manual_seed(derive(seed, "directions"))
    counts = [0] * len(lengths)
    for first in range(0, n, _BATCH):
        size = (min(_BATCH, n - first), *image.shape)
        noise = torch.randn(size, generator=generator)
        if sphere:
            noise /= torch.linalg.vector_norm(noise.flatten(1), dim=1).view(-1, 1, 1, 1)
        noise = noise.to(image.device)
        for place, length in enumerate(lengths):
            with torch.inference_mode():
                answers = model(image + length * noise).argmax(1)
            counts[place] += int((answers != label).sum())
    return counts


def measured(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    ids: Sequence[int],
    *,
    ratios: Sequence[float],
    scales: Sequence[float],
    steps: int,
    starts: int,
    n: int,
    seed: int,
) -> dict[str, Any]:
    """Return what `model` does with images that it answers right, in counts.

    `images`: float32 [N, C, H, W]; `ids` [N] seed the noise of each. The values: "distance" [N],
    the shortest change found from all `starts`, and "first" [N], from the image alone; of `n` noisy
    copies the errors at "ratios" times the distance on the sphere, "flips" [N, ratios], and with
    normal noise of "scales" times the distance, "errors" [N, scales].

    Raises ValueError if no change of some image's class was found, or as `nearest_errors` does.
    """
    searched = {"steps": steps, "seed": derive(seed, "search")}
    _, first = nearest_errors(model, images, labels, starts=1, **searched)
    _, found = nearest_errors(model, images, labels, starts=starts, **searched)
    if not found.isfinite().all():
        raise ValueError(f"steps is {steps}: give more, for some image no error was found")
    flips, errs = [], []
    for image, label, own, r in zip(images, labels.tolist(), ids, found.tolist(), strict=True):
        # Of what was found the error itself has the rounding of a float: not below that.
        lengths = [[max(r, 1e-6) * part for part in parts] for parts in (ratios, scales)]
        sampled = {"n": n, "seed": derive(seed, "noise", int(own))}
        flips.append(errors(model, image, label, lengths[0], sphere=True, **sampled))
        errs.append(errors(model, image, label, lengths[1], sphere=False, **sampled))
    return {
        "first": first.tolist(),
        "distance": found.tolist(),
        "flips": flips,
        "errors": errs,
    }

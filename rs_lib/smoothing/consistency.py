"""Whether a classifier is one function of each image by itself: every time, in any company.

A certificate is about a function. The kernels that we measured (dense, convolutional and residual
networks, float32 and bfloat16, tiles of 16 and 128, one thread and two) give a row the same bits
wherever it stands in a tile and whatever stands beside it; a bare product with a matrix rounds a
row by its place. So bits are compared first; what such kernels may differ by is a few units of the
last place, and more is refused.
"""

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Logits = Callable[[Tensor], Tensor]
"""Maps a tile [T, C, H, W] to its logits [T, ..., classes] on the CPU, in memory of their own."""

TOLERANCE = {
    ("cpu", "float32"): 32 * torch.finfo(torch.float32).eps,
    ("cpu", "bfloat16"): 0.0,
    ("cpu", "float16"): 0.0,
    ("cuda", "float32"): 32 * torch.finfo(torch.float32).eps,
    ("cuda", "bfloat16"): 2 * torch.finfo(torch.bfloat16).eps,
    ("cuda", "float16"): 2 * torch.finfo(torch.float16).eps,
}
"""Most by which company may move a logit on a device, as a share of the lead that decides.

In float32 32 units of its last place, 4e-6: rounding in another order, layer after layer. In
bfloat16 and float16 nothing on a CPU, where a single unit would already hide a leak of up to a
hundredth; two units on GPUs, some of whose kernels split their sums by the place of a row: a logit
may be twice its lead, and moves by units of its own.
"""

BITWISE = "bitwise"
_ORDERS = 2023  # the seed of the orders in which rows stand
_STRANGERS = (0.0, 1.0, -8.0, 8.0)
_MOST = 2.0**-8  # of the leads of a tile: most by which company may move it, whatever is usual


def probed(logits: Logits, images: Tensor, tolerance: float) -> tuple[Tensor, float]:
    """Return the logits of the tile `images`, and by how much company moved them; five passes.

    The second is a share of the leads that decide, 0 where all bits stayed. The tile runs as it
    is, in other company (`in_company`), and again as it is. Raises ValueError for a model that
    draws from a global generator, answers the same tile in two ways, or whose logits move by more
    than `tolerance` in other company.
    """
    before = _global_states()
    first = logits(images)
    if _global_states() != before:
        raise ValueError(
            "model draws random numbers: give a deterministic model (no dropout, no noise)"
        )
    moved = in_company(logits, images, first, tolerance)
    require_same(first, logits(images))
    return first, moved


def in_company(
    logits: Logits, images: Tensor, first: Tensor, tolerance: float, usual: float = 0.0
) -> float:
    """Return by how much the logits `first` of `images` move with their places and companions.

    The tile runs in another order, in which no row keeps its neighbours; half of it, shuffled,
    among images that are black, white and far outside of [0, 1], as noise can be; and its first
    row among copies of itself. So what is computed of groups of rows shows, a largest value or a
    mean over the batch, and what the batch decides when its rows agree. `usual` is the lead that
    is usual for the model (`usual_lead`), in case all of the tile lies at a boundary. Raises
    ValueError as `company`.
    """
    half = len(images) // 2
    strangers = torch.zeros_like(images[half:])
    for place, value in enumerate(_STRANGERS):
        strangers[place :: len(_STRANGERS)] = value
    draw = torch.Generator().manual_seed(_ORDERS)
    order, mixed = (torch.randperm(len(images), generator=draw) for _ in range(2))
    shuffled = logits(images[order])[order.argsort()]
    among = logits(torch.cat((images[:half], strangers))[mixed])[mixed.argsort()][:half]
    copies = logits(images[:1].expand_as(images).contiguous())
    # Finer formats may go by what is usual, as their units are far below `_MOST`.
    wider = max(1.0, _MOST / tolerance) if tolerance else 1.0
    leads = _leads(first, usual, wider)
    return max(
        company(first, shuffled, leads, tolerance),
        company(first[:half], among, leads[:half], tolerance),
        company(first[:1].expand_as(copies), copies, leads[:1], tolerance),
    )


def require_same(first: Tensor, again: Tensor) -> None:
    """Raise ValueError unless two answers to one tile are equal to the last bit."""
    if not bool(_equal(first, again).all()):
        raise ValueError(
            "model gives the same images other logits the second time: give a deterministic model "
            "that keeps no state between calls"
        )


def require_any_layout(logits: Tensor, in_order: Tensor, precision: str) -> None:
    """Raise ValueError if a model takes the order of memory for that of the pixels.

    `logits` [T, classes] are those of images that lie channels-last, `in_order` those of the same
    images channel by channel. Kernels round them in two ways; who takes one pixel for another
    moves them as far as another image would.
    """
    first, again = _centred(logits), _centred(in_order)
    apart = (first - again).abs().amax(dim=1).median()
    images_apart = (first - first.roll(1, 0)).abs().amax(dim=1).median()
    # Trained residual networks give the same bits in both layouts. An eighth, and so much rounding,
    # are far above what kernels were seen to differ by, and far below what wrong pixels do.
    # The size is that of half of the classes: a few that are masked do not count.
    size = first.abs().sort(dim=1).values[:, first.shape[1] // 2].median()
    rounding = max(2.0**-12, 8 * torch.finfo(getattr(torch, precision)).eps)
    if float(apart) > max(float(images_apart) / 8, rounding * float(size)):
        raise ValueError(
            "model gives images other logits when they lie channels-last in memory: let it call "
            "contiguous() on its images before something reads their memory"
        )


def _centred(logits: Tensor) -> Tensor:
    """Return finite logits less the middle one of each row: without an offset of all classes."""
    finite = logits.double().nan_to_num(0, 0, 0)
    return finite - finite.median(dim=1, keepdim=True).values


def company(first: Tensor, again: Tensor, leads: Tensor, tolerance: float) -> float:
    """Return by how much the logits of the same images differ, as a share of the `leads` [T].

    Row by row, so that no single row hides what happens to the others. Raises ValueError above
    `tolerance`.
    """
    equal = _equal(first, again)
    if bool(equal.all()):
        return 0.0
    gaps = (first - again).masked_fill(equal, 0).abs().nan_to_num(torch.inf).flatten(1).amax(dim=1)
    moved = float((gaps / leads).max())
    if not moved <= tolerance:
        raise ValueError(
            "model gives an image other logits in other company: give a deterministic "
            "model that treats each image of a batch by itself"
        )
    return moved


def largest_lead(logits: Tensor) -> float:
    """Return the largest difference of the two largest `logits` [..., classes] of a row."""
    largest, second = logits.nan_to_num(0, 0, 0).topk(2, dim=-1).values.unbind(dim=-1)
    return float((largest - second).max())


def usual_lead(logits: Tensor) -> float:
    """Return the lead that half of the rows of `logits` [T, ..., classes] have."""
    return float(_own_leads(logits).median())


def _leads(logits: Tensor, usual: float, wider: float) -> Tensor:
    """Return the lead that decides in each row, [T], at least that of half of all rows.

    Or the `usual` one of the model, up to `wider` times that.

    Of leads, neither a class that is masked by -10^9 nor an offset that all logits have in common
    hides anything. A row that happens to stand at a boundary has next to none of its own, though
    its logits are rounded as those of others are.
    """
    own = _own_leads(logits)
    half = float(own.median())
    least = max(half, min(usual, wider * half), torch.finfo(torch.float32).tiny)
    return own.clamp(min=least)


def _own_leads(logits: Tensor) -> Tensor:
    largest, second = logits.nan_to_num(0, 0, 0).topk(2, dim=-1).values.unbind(dim=-1)
    return (largest - second).reshape(len(logits), -1).amax(dim=1)


def told(moved: float) -> str:
    """Return in words what `probed` measured, for the header of a log."""
    return BITWISE if moved == 0 else f"within {moved:.2g} of the lead that decides"


def _equal(first: Tensor, again: Tensor) -> Tensor:
    return (first == again) | (first.isnan() & again.isnan())


def _global_states() -> list[object]:
    """Return the states of the generators that a model can reach without being given one."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - a model may use it
    states: list[object] = [
        torch.get_rng_state().numpy().tobytes(),
        repr(numpy_state["state"]["pos"]) + numpy_state["state"]["key"].tobytes().hex(),
        random.getstate(),
    ]
    if torch.cuda.is_available():
        states += [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states

"""Whether a band classifier sees what it declares: pixels outside a view must not move its logits.

A certificate against patches counts the views that a patch meets. It is false of a network whose
view is wider than stated, however well the network is trained, so the pixels outside are changed,
of real and of made-up images, and the logits of the view must stay to the last bit: a pass of the
same shape, in which the view stands at the same place, is summed in the same order. A probe cannot
prove locality; it finds what a network shows of its width on the images tried.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rs_lib.arguments import IntArray
from rs_lib.machines.band_classifier import (
    BandClassifier,
    executed,
    images_of_a_pass,
    pass_of,
    passes,
)
from rs_lib.machines.bands import MaskedNetwork
from rs_lib.seeds import derive
from rs_lib.smoothing import consistency
from rs_lib.smoothing.votes import GUARDS

MOST_VIEWS = 64
"""Up to so many positions each view is probed by itself; of more, each row and column of pixels."""

_MASKED_PROBES = 4
_EXTRA_PROBES = 16
_MOST_TRIES = 64
"""Passes spent on naming the pixels that leak."""

_FILLS = ("opposite", "random", "white", "black")


class Watched:
    """A band classifier as it is executed, probed before a run and again in its course.

    `model` in evaluation mode, on its device; `precision` "float32" or "bfloat16"; `seed` draws
    what is random of the probes.
    """

    def __init__(self, model: BandClassifier, *, precision: str = "float32", seed: int = 0) -> None:
        """Raise ValueError for a model in training mode or an unknown precision."""
        self.model = executed(model, precision)
        self.precision = precision
        self._seed = seed
        self._fixed: tuple[Tensor, Tensor] | None = None

    def probe(self, images: Tensor) -> dict[str, str]:
        """Return in words how the model was probed; ValueError if it is not what it declares.

        `images`: float32 [N, C, H, W] in [0, 1], N > 0, some of those that are to be certified.
        First the model must be one function of each image (`consistency.probed`), where company
        may move its softmax by the guard of the votes at most. Then the pixels outside of views are
        changed, in random noise, white, black and their opposites. A model that leaks is named with
        a position and, where one suffices, a pixel. Where this library cuts the views itself, only
        a few are probed: what could leak there is the company.
        """
        rows, moved = self._company(images)
        self._fixed = rows, pass_of(self.model, rows, self.precision)
        draw = self._generator("probe")
        seen = declared(self.model, tuple(images.shape[1:]))
        changes = 0
        keeps = torch.stack(list(_keeps(self.model, seen, draw, alone=len(rows) == 1)))
        logits = self._fixed[1]
        for number, part in enumerate(torch.split(keeps, len(rows))):
            for fill in _FILLS[number % 2 :: 2]:
                self._compare(rows, logits, part, seen, fill, draw)
            changes += 2 * len(part)
        return {
            "images": consistency.told(moved),
            "views": f"bitwise: {changes} changes outside of views, and with each chunk one pass",
        }

    def scores(self, images: Tensor, ids: IntArray) -> Tensor:
        """Return the softmax as `band_classifier.probabilities`, one pass being probed again.

        The pass that `probe` began with must still give what it gave then. `ids` name the images
        and with them what is drawn. Raises ValueError as `probe` does.
        """
        seen = declared(self.model, tuple(images.shape[1:]))
        if self._fixed is not None:
            rows, before = self._fixed
            consistency.require_same(before, pass_of(self.model, rows, self.precision))
        draw = self._generator("run", *ids[:1].tolist())
        parts = list(passes(self.model, images, self.precision))
        if not parts:
            return torch.zeros(0)
        rows, logits = parts[int(torch.randint(len(parts), (1,), generator=draw))]
        places = torch.randint(len(seen), (len(rows),), generator=draw)
        fill = _FILLS[int(torch.randint(len(_FILLS), (1,), generator=draw))]
        self._compare(rows, logits, seen[places], seen, fill, draw)
        return torch.cat([part.softmax(dim=-1) for _, part in parts])[: len(images)]

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator().manual_seed(derive(self._seed, "locality", *names))

    def _company(self, images: Tensor) -> tuple[Tensor, float]:
        """Return a pass of real and random images, and by how much company moved its logits."""
        shape, device = tuple(images.shape[1:]), images.device
        tile = images_of_a_pass(self.model, shape, device.type)
        draw = self._generator("images")
        chosen = images[torch.randperm(len(images), generator=draw)[:tile].to(device)]
        rows = torch.rand((tile, *shape), generator=draw).to(device)
        # Every second one is real, while there are some; of a pass of one image, that one.
        rows[::2][: len(chosen)] = chosen[: -(-tile // 2)]
        first, moved = consistency.probed(
            lambda some: pass_of(self.model, some, self.precision),
            rows,
            consistency.TOLERANCE[device.type, self.precision],
        )
        # The softmax moves by at most half of what logits do, which is a share of the leads.
        gap = moved * consistency.largest_lead(first) / 2
        if gap > GUARDS[self.precision]:
            raise ValueError(
                f"model gives an image scores in other company that differ by {gap:.2g}, more than "
                f"the guard of the votes, {GUARDS[self.precision]:g}: give a model that treats "
                "each image of a batch by itself"
            )
        return rows, moved

    def _compare(
        self,
        rows: Tensor,
        logits: Tensor,
        keeps: Tensor,
        seen: Tensor,
        fill: str,
        draw: torch.Generator,
    ) -> None:
        """Change row r outside of `keeps[r]`; what is seen within must keep its `logits`."""
        changed = rows.clone()
        content = _content(rows[: len(keeps)], fill, draw)
        outside = ~keeps[:, None].to(rows.device)
        changed[: len(keeps)] = torch.where(outside, content, rows[: len(keeps)])
        after = pass_of(self.model, changed, self.precision)
        stays = _within(seen, keeps)
        moved = ((after != logits) & ~(after.isnan() & logits.isnan())).any(dim=-1)[: len(keeps)]
        for row, place in (moved & stays).nonzero()[:1].tolist():
            raise ValueError(self._named(rows, logits, changed[row], row, place))

    def _named(self, rows: Tensor, logits: Tensor, changed: Tensor, row: int, place: int) -> str:
        """Return a sentence with the fewest pixels of `changed` that bisection finds to matter."""

        def moves(pixels: Tensor) -> bool:
            some = rows.clone()
            top, left = pixels.T
            some[row, :, top, left] = changed[:, top, left]
            after = pass_of(self.model, some, self.precision)[row, place]
            return not torch.equal(after.nan_to_num(), logits[row, place].nan_to_num())

        pixels = (changed != rows[row]).any(dim=0).nonzero()
        if not moves(pixels):
            return (
                f"model's logits at position {place} of an image depend on the other images of "
                "the pass: give a model that treats each image of a batch by itself"
            )
        pixels = _fewest(pixels, moves)
        told = f"the pixel {tuple(pixels[0].tolist())}"
        if len(pixels) > 1:
            told = f"{len(pixels)} pixels together, {tuple(pixels[0].tolist())} among them"
        return (
            f"model's logits at position {place} change with {told} (row, column), outside of the "
            "view there: give a model whose positions see no more than they declare"
        )


def _fewest(pixels: Tensor, moves: Callable[[Tensor], bool]) -> Tensor:
    """Return few of `pixels` [n, 2] that still move the logits, parts being left out in turn."""
    size, tries = len(pixels), _MOST_TRIES
    while size > 1:
        size = -(-size // 2)
        start = 0
        while start < len(pixels) and tries:
            rest = torch.cat((pixels[:start], pixels[start + size :]))
            tries -= 1
            if len(rest) and moves(rest):
                pixels = rest
            else:
                start += size
    return pixels


def _keeps(
    model: BandClassifier, seen: Tensor, draw: torch.Generator, *, alone: bool
) -> Iterator[Tensor]:
    """Yield bool [H, W]: what stays of an image while all other pixels are changed.

    `alone` says that a pass has one image, whose views are then each other's only company.
    """
    order = torch.randperm(len(seen), generator=draw)
    if _cuts_itself(model) and not alone:
        yield from seen[order[:_MASKED_PROBES]]
        return
    if len(seen) <= MOST_VIEWS:
        yield from seen
        yield from ~seen
        return
    # A pixel outside of a band or block lies in a row or a column that it does not meet: with each
    # row and each column changed by itself, no single pixel is left out.
    for axis, size in enumerate(seen.shape[1:]):
        for place in range(size):
            keep = torch.ones(seen.shape[1:], dtype=torch.bool)
            keep.select(axis, place).fill_(False)
            yield keep
    yield from seen[order[:_EXTRA_PROBES]]
    yield from ~seen[order[-_EXTRA_PROBES:]]


def _cuts_itself(model: BandClassifier) -> bool:
    """Whether the views are cut by this library, with nothing hooked in before or behind."""
    hooked = model._forward_hooks or model._forward_pre_hooks or "forward" in vars(model)
    return type(model) is MaskedNetwork and not hooked


def _within(seen: Tensor, keeps: Tensor) -> Tensor:
    """Whether view p lies within `keeps[r]`; bool [r, p]."""
    hidden = (~keeps).flatten(1).float() @ seen.flatten(1).float().T
    return hidden == 0


def _content(rows: Tensor, fill: str, draw: torch.Generator) -> Tensor:
    """Return what the pixels of `rows` are replaced by."""
    if fill == "random":
        return torch.rand(rows.shape, generator=draw).to(rows.device)
    if fill == "opposite":
        return (rows < 0.5).to(rows.dtype)
    return torch.full_like(rows, float(fill == "white"))


def declared(model: BandClassifier, shape: tuple[int, ...]) -> Tensor:
    """Return what `model` says its positions see of images [C, H, W]: bool [positions, H, W].

    Raises ValueError if it says nothing of the kind.
    """
    try:
        seen = model.sees(*shape[1:])
        if isinstance(seen, Tensor):
            seen = seen.to_dense().cpu()
    except Exception as error:  # the network is the reader's own and may fail in any way
        raise ValueError(
            f"model does not declare its views ({type(error).__name__}): let sees return a mask, "
            "as machines.bands.masks does"
        ) from error
    wanted = (model.positions, *shape[1:])
    if not isinstance(seen, Tensor) or seen.dtype != torch.bool or tuple(seen.shape) != wanted:
        raise ValueError(
            f"model declares no mask of its views: let sees return bool {list(wanted)}, as "
            "machines.bands.masks does"
        )
    return seen


def require_views(model: BandClassifier, asked: Tensor, shape: tuple[int, ...], told: str) -> None:
    """Raise ValueError unless `model` declares the views `asked`, bool [positions, H, W].

    `told` is how the reader asked for them.
    """
    if model.positions != len(asked):
        raise ValueError(
            f"model answers for {model.positions} positions, but there are {len(asked)} for "
            f"{told}: give the views that it was made for"
        )
    different = (declared(model, shape) != asked).nonzero()
    if len(different):
        place, row, column = different[0].tolist()
        shows = "shows" if asked[place, row, column] else "does not show"
        raise ValueError(
            f"model is made for other views: {told} {shows} the pixel ({row}, {column}) (row, "
            f"column) at position {place}, the model declares otherwise: give the views that it "
            "was made for"
        )

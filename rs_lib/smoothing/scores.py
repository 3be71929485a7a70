"""Scores of noisy copies as whole numbers: their sums, their histograms, and coins in their place.

A score is the softmax of the logits, as the network was executed. It is rounded down to a whole
number of steps, by more than its floats err: a mean of such numbers is below that of the scores.
"""

from typing import Any

import torch
from torch import Tensor

from rs_lib.arguments import IntArray
from rs_lib.noise import Draws
from rs_lib.noise.philox import WORDS_PER_BLOCK
from rs_lib.noise.words import to_device
from rs_lib.seeds import derive
from rs_lib.smoothing.executed import SCORE_ERROR, Executed
from rs_lib.smoothing.sampling import Tally

MOST_CLASSES = 100_000

_SLIP = 2 * SCORE_ERROR
"""What scores and halves of their differences are lowered by: more than they err by."""

FINEST = 2**32
"""Most steps of a score; sums of them stay in int64 for as many samples as there can be."""


def require_few(executed: Executed) -> None:
    """Raise ValueError for so many classes that the errors of scores are not bounded."""
    if executed.classes > MOST_CLASSES:
        raise ValueError(
            f"model gives {executed.classes} scores: give one with at most {MOST_CLASSES}, for "
            "which their rounding is bounded"
        )


def rounded_down(values: Tensor, bins: int) -> Tensor:
    """Return float64 `values` in [0, 1] in steps of 1 / `bins`, int64 and never above.

    `bins` is at most `FINEST`.
    """
    return ((values - _SLIP) * bins).floor_().clamp_min_(0).long()


def groups(classes: int, rivals: int) -> int:
    """Return the number of histograms of an image: the score, each near rival, and the rest."""
    return 1 + min(rivals + 1, classes - 1)


class Sums(Tally):
    """Sums of the scores of all classes, in steps of 2^-32, for a pilot."""

    def _count(self, noisy: Tensor, rows: IntArray, samples: IntArray) -> None:
        scores = self._executed.scores(noisy)[: len(rows)]
        broken = scores.isnan().any(dim=1, keepdim=True)
        steps = rounded_down(scores.masked_fill(broken, 0), FINEST)
        numbers = torch.cat((steps, broken.long()), dim=1)
        self._table.index_add_(0, to_device(scores.device, rows), numbers)


class Histograms(Tally):
    """Histograms of the score of a class and of its leads over groups of rivals.

    `order` [N, C] has the class of each image first, then its rivals, the nearest first; `rivals`
    of them are a group each, and the others, if any, one more.
    """

    def __init__(
        self, order: IntArray, rivals: int, bins: int, *arguments: Any, **keywords: Any
    ) -> None:
        """Keep the order; the rest is for `Tally`."""
        self._rivals, self._bins = rivals, bins
        self._groups = groups(order.shape[1], rivals)
        super().__init__(*arguments, **keywords)
        self._order = torch.from_numpy(order).to(self._table.device)

    def _columns(self) -> int:
        return self._groups * self._bins

    def _count(self, noisy: Tensor, rows: IntArray, samples: IntArray) -> None:
        places = to_device(noisy.device, rows)
        scores = self._executed.scores(noisy)[: len(rows)].gather(1, self._order[places])
        own, others = scores[:, :1], scores[:, 1:]
        if self._groups > 1 + self._rivals:
            rest = others[:, self._rivals :].amax(dim=1, keepdim=True)
            others = torch.cat((others[:, : self._rivals], rest), dim=1)
        values = torch.cat((own, (own - others + 1) / 2), dim=1)
        broken = values.isnan().any(dim=1, keepdim=True)
        steps = rounded_down(values.masked_fill(broken, 0), self._bins)
        place = steps + torch.arange(self._groups, device=steps.device) * self._bins
        # A sample that gives no number is counted once, behind all histograms.
        place = place.masked_fill(broken, self._columns()) + places[:, None] * (self._columns() + 1)
        weight = torch.ones_like(place)
        weight[:, 1:].masked_fill_(broken, 0)
        self._table.view(-1).index_add_(0, place.flatten(), weight.flatten())

    def histograms(self) -> IntArray:
        """Return the histograms so far, int64 [N, G, bins]; errors as for `counts`."""
        return self.counts().reshape(-1, self._groups, self._bins)


class Coins(Tally):
    """Votes that are thrown: each sample votes for class c with its score as the probability.

    Thrown by 32 random bits of the sample's own, so that the votes for c are binomial with a chance
    that is below the mean score of c, by less than 10^-9; a few samples vote for no class.
    In the book: prop-cc-coin.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        """Derive the key of the coins; arguments are those of `Tally`."""
        super().__init__(*arguments, **keywords)
        require_few(self._executed)
        self._coins = derive(keywords["seed"], keywords["stream"], "coin")

    def _columns(self) -> int:
        return self._executed.classes + 1

    def _count(self, noisy: Tensor, rows: IntArray, samples: IntArray) -> None:
        scores = self._executed.scores(noisy)[: len(rows)]
        broken = scores.isnan().any(dim=1)
        ends = rounded_down(scores.nan_to_num(0.0), FINEST).cumsum(dim=1)
        words = Draws(self._coins, self._ids[rows], samples).words(ends.device, WORDS_PER_BLOCK)
        thrown = words[:, :1] & (FINEST - 1)
        votes = (ends <= thrown).sum(dim=1).masked_fill(broken, self._columns())
        place = votes + to_device(ends.device, rows) * (self._columns() + 1)
        self._table.view(-1).index_add_(0, place, torch.ones_like(place))

    def counts(self) -> IntArray:
        """Return the votes for each class, int64 [N, classes]; errors as for `Tally.counts`."""
        return super().counts()[:, :-1]

"""PREDICT: the smoothed classifier's class, or an abstention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from rs_lib import bars
from rs_lib.arguments import IntArray, integer, level, single
from rs_lib.noise import Law
from rs_lib.noise.words import Generator, counter_based
from rs_lib.seeds import derive
from rs_lib.smoothing.certify import ABSTAIN
from rs_lib.smoothing.executed import Executed, Execution
from rs_lib.smoothing.health import Health, looked_at
from rs_lib.smoothing.sampling import (
    Due,
    Images,
    Report,
    Tally,
    checked_images,
    ignore,
    never,
)
from rs_lib.smoothing.tables import frame
from rs_lib.statistics import binomial_test_two_sided


@dataclass(frozen=True, eq=False)
class Prediction:
    """Answers for N images.

    `predicted`: int64 [N], the class, or `ABSTAIN`; `top` and `runner_up`: int64 [N], how many
    of the `n` samples fell on the first two classes.
    """

    predicted: IntArray
    top: IntArray
    runner_up: IntArray
    n: int
    alpha: float

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row for each image; ImportError without pandas."""
        return frame(self)


class Predictor:
    """Predicts images in portions, by `n` samples each; the arguments as for `Certifier`."""

    def __init__(
        self,
        executed: Executed,
        noise: Law,
        n: int,
        *,
        seed: int,
        alpha: float = 0.001,
        health: Health | None = None,
        generator: Generator = counter_based,
    ) -> None:
        """Check the arguments."""
        self.n = integer("n", n, least=1)
        self.alpha = single("alpha", level("alpha", alpha))
        derive(seed)  # refuses what is no seed, before work starts
        if binomial_test_two_sided(self.n, self.n) > self.alpha:
            raise ValueError(
                f"n is {n}: at alpha = {alpha} even unanimous samples decide nothing; "
                f"give at least {_least_samples(self.alpha)}"
            )
        self.executed, self.noise, self.seed = executed, noise, seed
        self._health, self._generator = health, generator

    def predict(
        self,
        images: Images,
        image_ids: npt.ArrayLike | None = None,
        report: Report = ignore,
    ) -> Prediction:
        """Predict `images` [N, C, H, W]; errors as for `Certifier.certify`."""
        ((_, found),) = self.parts(images, image_ids, report)
        return found

    def parts(
        self,
        images: Images,
        image_ids: npt.ArrayLike | None = None,
        report: Report = ignore,
        due: Due = never,
    ) -> Iterator[tuple[IntArray, Prediction]]:
        """As `predict`, but yield positions and answers in parts; see `Certifier.parts`."""
        pixels, ids = checked_images(images, self.noise, image_ids)
        watcher, look = looked_at(self._health, pixels, ids, self.executed.device)
        tally = Tally(
            self.executed,
            pixels,
            self.noise,
            ids,
            seed=self.seed,
            stream="predict",
            generator=self._generator,
            watcher=watcher,
        )
        shape = self.noise.seen(tuple(pixels.shape[1:]))
        self.executed.probe(shape)
        for rows in tally.drawing(np.arange(len(ids)), self.n, report, due):
            look(rows)
            counts = tally.counts()[rows]
            report(0, len(rows))
            self.executed.require_unchanged(shape)
            order = np.argsort(-counts, axis=1, kind="stable")[:, :2]
            top, runner_up = np.take_along_axis(counts, order, axis=1).T
            predicted = np.where(decided(top, runner_up, self.alpha), order[:, 0], ABSTAIN)
            yield rows, Prediction(predicted, top, runner_up, self.n, self.alpha)


def decided(top: IntArray, runner_up: IntArray, alpha: float) -> npt.NDArray[np.bool_]:
    """Whether the two-sided binomial test at `alpha` tells the first two counts apart; bool [N]."""
    p_value = np.asarray(binomial_test_two_sided(top, top + runner_up))
    told_apart: npt.NDArray[np.bool_] = p_value <= alpha
    return told_apart


def _least_samples(alpha: float) -> int:
    """Smallest number of samples whose unanimous vote decides; the test itself is rounded up."""
    least = max(1, int(1 - np.log2(alpha)))
    while binomial_test_two_sided(least, least) > alpha:
        least += 1
    return least


def predict(
    model: nn.Module | Callable[[Tensor], object],
    images: Images,
    noise: Law,
    n: int,
    *,
    classes: int,
    seed: int,
    alpha: float = 0.001,
    image_ids: npt.ArrayLike | None = None,
    progress: bool = False,
    health: bool = True,
    **execution: Unpack[Execution],
) -> IntArray:
    """Return the smoothed class at each of `images` [N, C, H, W], or `ABSTAIN`: int64 [N].

    Cohen et al. 2019, PREDICT: the top two of `n` samples are compared by a two-sided
    binomial test at level `alpha`. An answer that is neither `ABSTAIN` nor the smoothed
    classifier's class comes with probability at most `alpha` for each image (proposition 1,
    after Hung and Fithian 2019); over M images the expected number is at most `alpha` M.
    `progress` shows a bar on stderr. The other arguments, `health` among them, and errors, as for
    `certify`.
    """
    executed = Executed(model, classes=classes, **execution)
    checked_images(images, noise, image_ids)
    tested = Health(len(images)) if health and len(images) else None
    predictor = Predictor(executed, noise, n, seed=seed, alpha=alpha, health=tested)
    with bars.bar(total=len(images), desc="predict", unit="image", disable=not progress) as bar:
        answers = predictor.predict(images, image_ids, lambda _, done: bar.update(done))
    return answers.predicted

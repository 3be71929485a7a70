"""CERTIFY: radii from a fixed number of samples, or decided one look at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from rs_lib import bars
from rs_lib.arguments import FloatArray, IntArray, integer, integers, level, shown, single
from rs_lib.noise import Law
from rs_lib.noise.words import Generator, counter_based
from rs_lib.seeds import derive
from rs_lib.smoothing.executed import Executed, Execution
from rs_lib.smoothing.health import Health, looked_at
from rs_lib.smoothing.plans import FixedSamples, Plan, RadiusTable
from rs_lib.smoothing.sampling import (
    Due,
    Images,
    Report,
    Tally,
    checked_images,
    ignore,
    never,
)
from rs_lib.smoothing.scores import Coins
from rs_lib.smoothing.tables import frame
from rs_lib.statistics import clopper_pearson_lower, lead_bounds
from rs_lib.statistics.sequential import SequentialTable

ABSTAIN = -1


@dataclass(frozen=True, eq=False)
class Certification:
    """Certificates of N images.

    `predicted`: int64 [N], the certified class, or `ABSTAIN`. `radius`: float64 [N], in the
    norm of the noise law, in pixel units of [0, 1]; 0 where abstained. `selected`: int64 [N],
    the class chosen from the `n0` samples. `successes` of `samples`: int64 [N], how many of the
    fresh samples fell on it. `looks`: int64 [N], how often the counts were looked at.
    `undecided`: bool [N], whether the budget ended before every radius asked for was either
    certified or given up. `runner_up`: int64 [N], how many of the samples fell on the most
    frequent other class, where the plan asks for it. For each image by itself, the statement
    "the smoothed classifier says `predicted` everywhere within `radius`" is false with probability
    at most `alpha`; of rounded noise and ablation that holds in floating point too, of continuous
    noise in exact arithmetic only: floats can be fooled (see `Law.guarantee`).
    """

    predicted: IntArray
    radius: FloatArray
    selected: IntArray
    successes: IntArray
    samples: IntArray
    looks: IntArray
    undecided: npt.NDArray[np.bool_]
    n0: int
    alpha: float
    runner_up: IntArray | None = None

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row for each image; ImportError without pandas."""
        return frame(self)


def from_counts(
    selected: npt.ArrayLike,
    successes: npt.ArrayLike,
    *,
    n0: int,
    n: int,
    alpha: float,
    noise: Law,
    runner_up: npt.ArrayLike | None = None,
) -> Certification:
    """Return the certificates that follow from stored counts (Cohen et al. 2019, CERTIFY).

    `selected`: classes [N], chosen from `n0` samples; `successes`: [N], how many of `n`
    other samples fell on them; `alpha`: the probability of error that is allowed per image.
    `runner_up`: [N], how many fell on the most frequent other class, for the radius from both
    (see `statistics.lead_bounds`). Raises ValueError for counts, numbers or a law that cannot be.
    """
    chosen = np.atleast_1d(integers("selected", selected))
    hits = np.atleast_1d(integers("successes", successes))
    n0, n = integer("n0", n0, least=1), integer("n", n, least=1)
    alpha = single("alpha", level("alpha", alpha))
    if chosen.shape != hits.shape:
        raise ValueError(
            f"selected has shape {chosen.shape} and successes {hits.shape}: give equal shapes"
        )
    if chosen.ndim > 1:
        raise ValueError(f"selected has shape {chosen.shape}: give one class for each image, [N]")
    radius = np.zeros(hits.shape)
    rivals = None
    if runner_up is None:
        p_lower = np.asarray(clopper_pearson_lower(hits, n, alpha))
        certified = p_lower > 0.5
        radius[certified] = noise.radius(p_lower[certified])
    else:
        rivals = _checked_others(hits, runner_up, n)
        p_lower, p_upper = map(np.asarray, lead_bounds(hits, rivals, n, alpha))
        certified = p_lower > p_upper
        radius[certified] = noise.lead_radius(p_lower[certified], p_upper[certified])
    return Certification(
        predicted=np.where(certified, chosen, ABSTAIN),
        radius=radius,
        selected=chosen,
        successes=hits,
        samples=np.full(hits.shape, n, dtype=np.int64),
        looks=np.ones(hits.shape, dtype=np.int64),
        undecided=np.zeros(hits.shape, dtype=bool),
        n0=n0,
        alpha=alpha,
        runner_up=rivals,
    )


def _checked_others(hits: IntArray, runner_up: npt.ArrayLike, n: int) -> IntArray:
    """Return the counts of runners-up; ValueError for those that `n` samples cannot have."""
    others = np.atleast_1d(integers("runner_up", runner_up))
    if others.shape != hits.shape:
        raise ValueError(
            f"successes has shape {hits.shape} and runner_up {others.shape}: give equal shapes"
        )
    if (hits + others > n).any():
        raise ValueError(f"successes and runner_up exceed n = {n} together: give counts of one run")
    if ((others == 0) & (hits < n)).any():
        raise ValueError(
            f"runner_up holds 0 where not all of the n = {n} samples fell on the class: give the "
            "count of the most frequent other class"
        )
    return others


class Certifier:
    """Certifies images in portions; everything that is equal for all is prepared once.

    `executed` is the classifier, whose answers are what is certified; `plan` says how many samples
    an image gets. Each certificate errs with probability at most `alpha`. With `coins` each sample
    votes as its softmax says, by a coin: the classes' shares of the votes are their mean scores,
    and within the radius that of the class stays above 1/2. The random words come from `generator`
    and stand the test of `health`, where that is given. Raises ValueError for bad arguments, among
    them a number of samples too small ever to certify.
    """

    def __init__(
        self,
        executed: Executed,
        noise: Law,
        plan: Plan,
        *,
        seed: int,
        alpha: float = 0.001,
        coins: bool = False,
        health: Health | None = None,
        generator: Generator = counter_based,
    ) -> None:
        """Check the arguments and compute the boundaries."""
        if not isinstance(executed, Executed):
            raise ValueError(f"executed is {shown(executed)}: give Executed(model, classes=…)")
        if not isinstance(noise, Law):
            raise ValueError(f"noise is {shown(noise)}: give a law of rs_lib.noise")
        if not isinstance(plan, FixedSamples | RadiusTable):
            raise ValueError(f"plan is {shown(plan)}: give FixedSamples or RadiusTable")
        self.alpha = single("alpha", level("alpha", alpha))
        derive(seed)  # refuses what is no seed, before work starts
        plan.require_enough(noise, self.alpha)
        self.executed, self.noise, self.plan, self.seed = executed, noise, plan, seed
        if coins and isinstance(plan, FixedSamples) and plan.runner_up:
            # A coin's chance is below the score: that bounds the class, and not its rivals.
            raise ValueError("runner_up is True: coins bound no rival, leave one out")
        self._tally = Coins if coins else Tally
        self._health, self._generator = health, generator
        self._table = plan.table(noise, self.alpha) if isinstance(plan, RadiusTable) else None

    @property
    def first_look(self) -> int:
        """The least samples that an image gets, beside those that select its class."""
        return self.plan.budget if self._table is None else int(self._table.looks[0])

    def certify(
        self,
        images: Images,
        image_ids: npt.ArrayLike | None = None,
        report: Report = ignore,
    ) -> Certification:
        """Certify `images` [N, C, H, W]; `image_ids` (default: the positions) name their noise.

        Raises ValueError for images that do not fit the noise or the model, and for a model that
        is not one function of each image, as far as probes can tell; FloatingPointError for logits
        that are not finite; UnhealthyNoiseError for images whose random words fail their test.
        """
        ((_, found),) = self.parts(images, image_ids, report)
        return found

    def parts(
        self,
        images: Images,
        image_ids: npt.ArrayLike | None = None,
        report: Report = ignore,
        due: Due = never,
    ) -> Iterator[tuple[IntArray, Certification]]:
        """As `certify`, but yield positions, int64 [M], and certificates of what is finished.

        A part comes when `due` says so, and may be empty; one more ends the run. Whatever comes has
        passed all tests, and is the same in every division into parts.
        """
        pixels, ids = checked_images(images, self.noise, image_ids)
        watcher, look = looked_at(self._health, pixels, ids, self.executed.device)

        def tally(stream: str) -> Tally:
            return self._tally(
                self.executed,
                pixels,
                self.noise,
                ids,
                seed=self.seed,
                stream=stream,
                generator=self._generator,
                watcher=watcher,
            )

        selection, estimation = tally("select"), tally("estimate")
        shape = self.noise.seen(tuple(pixels.shape[1:]))
        self.executed.probe(shape)
        every = np.arange(len(images))
        selection.draw(every, self.plan.n0, report)
        look(every)
        selected: IntArray = selection.counts().argmax(axis=1)
        decide = self._counted if self._table is None else partial(self._decided, self._table)
        for rows, found in decide(estimation, selected, report, look, due):
            # Before anybody relies on the counts: was it one function all the time?
            self.executed.require_unchanged(shape)
            yield rows, found

    def _counted(
        self,
        tally: Tally,
        selected: IntArray,
        report: Report,
        healthy: Callable[[IntArray], None],
        due: Due,
    ) -> Iterator[tuple[IntArray, Certification]]:
        """Yield rows whose fixed number of samples is counted, and what it certifies."""
        for rows in tally.drawing(np.arange(len(selected)), self.plan.budget, report, due):
            healthy(rows)
            report(0, len(rows))
            yield rows, self._from_votes(selected[rows], tally.counts()[rows])

    def _from_votes(self, selected: IntArray, counts: IntArray) -> Certification:
        """Return what the `counts` [N, C] of a fixed number of samples certify."""
        every = np.arange(len(selected))
        successes, runner_up = counts[every, selected], None
        if isinstance(self.plan, FixedSamples) and self.plan.runner_up:
            counts[every, selected] = -1
            runner_up = counts.max(axis=1)
        return from_counts(
            selected,
            successes,
            n0=self.plan.n0,
            n=self.plan.budget,
            alpha=self.alpha,
            noise=self.noise,
            runner_up=runner_up,
        )

    def _decided(
        self,
        table: SequentialTable,
        tally: Tally,
        selected: IntArray,
        report: Report,
        healthy: Callable[[IntArray], None],
        due: Due,
    ) -> Iterator[tuple[IntArray, Certification]]:
        """Look after look, go on with the images whose radii are not all decided."""
        radii, every = np.array(self.plan.settings()["radii"]), np.arange(len(selected))
        state = _State(selected, len(radii))
        active, finished = every, every[:0]
        for look, until in enumerate(table.looks.tolist()):
            rest = [every[:0]]
            last = look == len(table.looks) - 1
            for rows in tally.drawing(active, until, report, due):
                healthy(rows)
                state.take(table, look, rows, tally.counts()[rows, selected[rows]])
                going = state.is_open(rows) & (not last)
                report(0, int((~going).sum()))
                rest.append(rows[going])
                finished = np.concatenate((finished, rows[~going]))
                if due():
                    yield self._ended(state, np.sort(finished), radii)
                    finished = every[:0]
            active = np.concatenate(rest)
            if not active.size:
                break
        yield self._ended(state, np.sort(finished), radii)

    def _ended(
        self, state: _State, rows: IntArray, radii: FloatArray
    ) -> tuple[IntArray, Certification]:
        """Return `rows`, which are decided, and what that certifies."""
        certified = state.certified[rows]
        safe = certified > 0
        return rows, Certification(
            predicted=np.where(safe, state.selected[rows], ABSTAIN),
            radius=np.where(safe, radii[np.maximum(certified, 1) - 1], 0.0),
            selected=state.selected[rows],
            successes=state.successes[rows],
            samples=state.samples[rows],
            looks=state.looks[rows],
            undecided=state.is_open(rows),
            n0=self.plan.n0,
            alpha=self.alpha,
        )


class _State:
    """What is known of N images, look after look: arrays int64 [N]."""

    def __init__(self, selected: IntArray, radii: int) -> None:
        """Begin with nothing drawn."""
        self.selected = selected
        count = len(selected)
        self.successes, self.samples, self.looks, self.certified = np.zeros(
            (4, count), dtype=np.int64
        )
        self._refused = np.full(count, radii, dtype=np.int64)

    def take(self, table: SequentialTable, look: int, rows: IntArray, hits: IntArray) -> None:
        """Take in the counts of images at a look."""
        self.successes[rows], self.looks[rows] = hits, look + 1
        self.samples[rows] = table.looks[look]
        self.certified[rows], self._refused[rows] = table.decide(
            look, hits, self.certified[rows], self._refused[rows]
        )

    def is_open(self, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Whether some radius is neither certified nor given up, bool [rows]."""
        open_: npt.NDArray[np.bool_] = self.certified[rows] < self._refused[rows]
        return open_


def certify(
    model: nn.Module | Callable[[Tensor], object],
    images: Images,
    noise: Law,
    plan: Plan,
    *,
    classes: int,
    seed: int,
    alpha: float = 0.001,
    image_ids: npt.ArrayLike | None = None,
    progress: bool = False,
    health: bool = True,
    **execution: Unpack[Execution],
) -> Certification:
    """Certify the smoothed `model` at each of `images` [N, C, H, W].

    `images` are uint8 for rounded noise, whose certificates also hold in floating point, and
    float32 for continuous noise, whose certificates hold in exact arithmetic only: floats can be
    fooled, and have been (Voráček and Hein 2023). `plan` is `FixedSamples` or `RadiusTable`;
    `image_ids` (default: the positions) name the random streams: give each image its index in the
    data set. Images may be tensors or NumPy arrays; `model` a module in evaluation mode, or any
    function of a batch. `progress` shows a bar on stderr. `health`: whether the random words are
    tested as they are used, which stops a run of sound words with probability at most 2^-20.
    `execution`: `device`, `precision`, `compile_model`, `tile` of `Executed`.
    Each certificate is false with probability at most `alpha` (Cohen et al. 2019,
    proposition 2); of M images the expected number of false ones is at most `alpha` M.

    In the book: thm-certify.
    """
    executed = Executed(model, classes=classes, **execution)
    checked_images(images, noise, image_ids)
    tested = Health(len(images)) if health and len(images) else None
    certifier = Certifier(executed, noise, plan, seed=seed, alpha=alpha, health=tested)
    with bars.bar(total=len(images), desc="certify", unit="image", disable=not progress) as bar:
        return certifier.certify(images, image_ids, lambda _, done: bar.update(done))

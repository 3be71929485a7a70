"""Soft smoothing: certified confidence, and a certified lead, from histograms of integer scores.

The score F_c of class c is its softmax; the soft smoothed classifier answers the class A with the
largest mean score. A is chosen by a pilot of `n0` samples; everything else is counted on samples of
their own, so that, whatever the pilot chose, the counted scores are independent and have the law
that is certified. A score in [0, 1] is counted as the integer floor(bins F_A), and the lead
F_A - max_{B in G} F_B of A over a group G of rivals as floor(bins (lead + 1) / 2): rounded down
beyond any error of the floats, so that a mean of integers is below that of the scores of the
network as it was executed. Groups are some rivals that the pilot finds nearest, each by itself, and
all others together.

Two statements follow for each image, each false with probability at most alpha. The band of
`statistics.bands` bounds all levels of F_A together, hence the mean score at every distance and the
radius at every level: all of them are one statement, and may be asked for afterwards. The other:
within a radius no rival's mean score reaches that of A. It takes the least radius of all groups,
each bounded at alpha, and errs only if the bound of one of them does: of the group whose true
radius is the least. More groups cost no error.

Sources: Kumar, Levine, Feizi and Goldstein (2020), as coded, for the law of a score; pairs and band
are ours. In the book: thm-cc-law, thm-cc-pairs, thm-cc-band, prop-cc-groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray, shown
from rs_lib.certificates import confidence
from rs_lib.noise import Gaussian, Law, Rounded
from rs_lib.seeds import derive
from rs_lib.smoothing.certify import ABSTAIN
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.health import Health, looked_at
from rs_lib.smoothing.plans import FixedSamples
from rs_lib.smoothing.sampling import Due, Images, Report, checked_images, ignore, never
from rs_lib.smoothing.scores import Histograms, Sums, require_few
from rs_lib.statistics import bands

MOST_BINS = 2**16


@dataclass(frozen=True, eq=False)
class SoftCertification:
    """What histograms certify of N images; distances are l2, in pixel units of [0, 1].

    `selected`: int64 [N], the class A that the pilot chose. `confidence`: float64 [N, M], lower
    bounds of its mean score within each of M distances. `predicted`: int64 [N], A where its mean
    score is certified above the level at the point itself, else `ABSTAIN`; `radius`: float64 [N],
    within which it stays there, 0 where abstained. `lead`: float64 [N], within which A has the
    largest mean score, 0 where that is not certified. Confidence and radius together err with
    probability at most alpha, and so does the lead.
    """

    predicted: IntArray
    radius: FloatArray
    lead: FloatArray
    selected: IntArray
    confidence: FloatArray


def from_histograms(
    selected: npt.ArrayLike,
    histograms: npt.ArrayLike,
    *,
    alpha: float,
    sigma: float,
    level: float,
    distances: Sequence[float],
) -> SoftCertification:
    """Return the certificates that follow from stored histograms, at any level and distances.

    `selected`: classes [N]; `histograms`: whole numbers [N, G, L], G >= 2: how often the score of
    the class was in each of L equal steps of [0, 1], then how often its lead over each of G - 1
    groups of rivals was in each of L equal steps of [-1, 1], rounded down; `sigma`, one number, is
    that of the noise. Raises ValueError for other shapes, groups of an image with unequal numbers
    of samples, a level outside (0, 1), or distances below 0.
    """
    chosen = np.atleast_1d(arguments.integers("selected", selected))
    counts = arguments.integers("histograms", histograms)
    if counts.ndim != 3 or counts.shape[1] < 2 or counts.shape[2] < 2 or chosen.ndim != 1:
        raise ValueError(
            f"histograms has shape {counts.shape}: give [images, groups, bins], at least two of "
            "groups and bins"
        )
    if len(chosen) != len(counts):
        raise ValueError(
            f"selected has {len(chosen)} classes and histograms {len(counts)} images: give equal "
            "numbers"
        )
    samples = counts.sum(axis=2)
    if (samples != samples[:, :1]).any():
        uneven = samples[(samples != samples[:, :1]).any(axis=1)][0]
        raise ValueError(
            f"histograms has an image of {shown(uneven)} samples in its groups: give histograms of "
            "the same samples"
        )
    scale = arguments.single("sigma", arguments.positive("sigma", sigma, rounding="down"))
    aim = arguments.single("level", arguments.level("level", level, rounding="up"))
    where = _distances(distances)
    bins = counts.shape[2]
    steps = _quotients(np.arange(1, bins), bins)
    known = bands.survival_lower(counts[:, 0], alpha)[:, 1:]
    certified = confidence.lower(steps, known, scale, 0.0) > aim
    leads_from = _quotients(2 * np.arange(1, bins) - bins, bins)
    leads = [
        confidence.strict_radius(leads_from, bands.survival_lower(group, alpha)[:, 1:], scale, 0)
        for group in counts[:, 1:].swapaxes(0, 1)
    ]
    return SoftCertification(
        predicted=np.where(certified, chosen, ABSTAIN),
        radius=np.where(certified, confidence.radius(steps, known, scale, aim), 0.0),
        lead=np.min(leads, axis=0),
        selected=chosen,
        confidence=confidence.lower(steps, known[:, None], scale, where),
    )


def _distances(given: Sequence[float]) -> FloatArray:
    """Return a list of distances; ValueError for anything else."""
    where = arguments.nonnegative("distances", given, rounding="up")
    if where.ndim != 1:
        raise ValueError(f"distances is {shown(given)}: give a list of numbers")
    return where


def _quotients(numbers: IntArray, bins: int) -> FloatArray:
    """Return numbers / bins, rounded down."""
    quotients = numbers / bins
    exact = bins & (bins - 1) == 0
    return np.asarray(quotients if exact else np.nextafter(quotients, -np.inf))


def ceiling(n: int, *, alpha: float, bins: int, sigma: float, level: float) -> FloatArray:
    """Return the mean score and the radius at `level` that `n` samples in the top step certify."""
    top = np.zeros((1, 2, bins), dtype=np.int64)
    top[..., -1] = n
    made = from_histograms([0], top, alpha=alpha, sigma=sigma, level=level, distances=[0.0])
    return np.array([made.confidence[0, 0], made.radius[0]])


def sigma_of(noise: Law) -> float:
    """Return the standard deviation of Gaussian noise, rounded or not; ValueError for other."""
    law = noise.law if isinstance(noise, Rounded) else noise
    if not isinstance(law, Gaussian):
        raise ValueError(f"noise is {noise.name}: mean scores are certified under gaussian noise")
    return law.sigma


class SoftCertifier:
    """Counts scores of images in portions and certifies them; Gaussian noise, rounded or not.

    `executed` and `seed` as for `Certifier`; `samples` says how many choose the class and how many
    are counted, in `bins` steps. The `rivals` nearest rivals are compared one by one. The random
    words stand the test of `health`, where that is given. Raises
    ValueError for bad arguments, among them samples too few ever to certify `level`.
    """

    def __init__(
        self,
        executed: Executed,
        noise: Law,
        samples: FixedSamples,
        *,
        seed: int,
        alpha: float = 0.001,
        level: float = 0.5,
        distances: Sequence[float] = (0.0,),
        bins: int = 1024,
        rivals: int = 2,
        health: Health | None = None,
    ) -> None:
        """Check the arguments."""
        self.sigma = sigma_of(noise)
        self.alpha = arguments.single("alpha", arguments.level("alpha", alpha))
        self.level = arguments.single("level", arguments.level("level", level, rounding="up"))
        self.bins = arguments.integer("bins", bins, least=2, most=MOST_BINS)
        derive(seed)  # refuses what is no seed, before work starts
        require_few(executed)
        if samples.runner_up:
            raise ValueError("runner_up is True: that is for votes, rivals of scores have leads")
        wanted = arguments.integer("rivals", rivals, least=0)
        self.rivals = min(wanted, executed.classes - 1)
        self.distances = tuple(_distances(distances).tolist())
        self.executed, self.noise, self.samples, self.seed = executed, noise, samples, seed
        self._health = health
        most = ceiling(samples.n, alpha=self.alpha, bins=self.bins, sigma=1.0, level=self.level)
        if most[0] <= self.level:
            raise ValueError(
                f"n is {samples.n}: at alpha = {self.alpha} even unanimous samples certify a mean "
                f"score of no more than {most[0]:.4g}, and level is {shown(self.level)}: give more "
                "samples, more bins, or a lower level"
            )

    def count(
        self, images: Images, image_ids: npt.ArrayLike | None = None, report: Report = ignore
    ) -> tuple[IntArray, IntArray]:
        """Return the classes in the pilot's order, int64 [N, C], and histograms, int64 [N, G, L].

        `images` and errors as for `Certifier.certify`.
        """
        ((_, order, histograms),) = self.parts(images, image_ids, report)
        return order, histograms

    def parts(
        self,
        images: Images,
        image_ids: npt.ArrayLike | None = None,
        report: Report = ignore,
        due: Due = never,
    ) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """As `count`, but yield positions, orders and histograms; see `Certifier.parts`."""
        pixels, ids = checked_images(images, self.noise, image_ids)
        watcher, look = looked_at(self._health, pixels, ids, self.executed.device)
        where: dict[str, Any] = {"seed": self.seed, "watcher": watcher}
        what = (self.executed, pixels, self.noise, ids)
        pilot = Sums(*what, stream="select", **where)
        shape = self.noise.seen(tuple(pixels.shape[1:]))
        self.executed.probe(shape)
        every = np.arange(len(pixels))
        pilot.draw(every, self.samples.n0, report)
        look(every)
        order = np.argsort(-pilot.counts(), axis=1, kind="stable")
        found = Histograms(order, self.rivals, self.bins, *what, stream="estimate", **where)
        for rows in found.drawing(every, self.samples.n, report, due):
            look(rows)
            histograms = found.histograms()[rows]
            report(0, len(rows))
            self.executed.require_unchanged(shape)
            yield rows, order[rows], histograms

    def certified(self, selected: IntArray, histograms: IntArray) -> SoftCertification:
        """Return the certificates of counts."""
        return from_histograms(
            selected,
            histograms,
            alpha=self.alpha,
            sigma=self.sigma,
            level=self.level,
            distances=self.distances,
        )

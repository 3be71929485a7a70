"""CERTIFY: radii from a fixed number of samples, or decided one look at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from tqdm import tqdm

from rs_lib.arguments import FloatArray, IntArray, integer, integers, level, nonnegative, single
from rs_lib.noise import Law, corrupted_shape
from rs_lib.seeds import derive
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.radii import certified_radius, decision_table, required_probabilities
from rs_lib.smoothing.sampling import Report, Tally, checked_images, ignore
from rs_lib.statistics import MAX_TRIALS, clopper_pearson_lower
from rs_lib.statistics.boundaries import first_certifying
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
    certified or given up. For each image by itself, the statement "the smoothed classifier says
    `predicted` everywhere within `radius`" is false with probability at most `alpha`; of rounded
    noise and ablation that holds in floating point too, of continuous noise in exact arithmetic
    only: floats can be fooled (see `guarantee`).
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


def from_counts(
    selected: npt.ArrayLike,
    successes: npt.ArrayLike,
    *,
    n0: int,
    n: int,
    alpha: float,
    noise: Law,
) -> Certification:
    """Return the certificates that follow from stored counts (Cohen et al. 2019, CERTIFY).

    `selected`: classes [N], chosen from `n0` samples; `successes`: [N], how many of `n`
    other samples fell on them; `alpha`: the probability of error that is allowed per image.
    Raises ValueError for counts, numbers or a law that cannot be.
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
    p_lower = np.asarray(clopper_pearson_lower(hits, n, alpha))
    certified = p_lower > 0.5
    radius = np.zeros(hits.shape)
    radius[certified] = certified_radius(noise, p_lower[certified])
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
    )


class Certifier:
    """Certifies images in portions; everything that is equal for all is prepared once.

    Give either `n`, a fixed number of samples per image (Cohen et al. 2019, CERTIFY: the
    largest radius that they support), or `radii`, increasing, with `max_samples`: each image is
    sampled until every radius is certified or given up, or the budget is spent, by the nested
    boundaries of a `SequentialTable` with `rule`. Either way a class is selected by `n0` samples
    of its own first, and each certificate errs with probability at most `alpha`.

    `model`, `classes`, `device`, `precision`, `compile_model` and `tile` as in `Executed`, whose
    answers are what is certified. Raises ValueError for bad arguments, among them a number of
    samples too small ever to certify.
    """

    def __init__(
        self,
        model: nn.Module,
        noise: Law,
        *,
        classes: int,
        seed: int,
        n: int | None = None,
        radii: Sequence[float] | FloatArray | None = None,
        max_samples: int | None = None,
        rule: str = "calibrated",
        n0: int = 100,
        alpha: float = 0.001,
        device: str = "cpu",
        precision: str = "float32",
        compile_model: bool = False,
        tile: int | None = None,
    ) -> None:
        """Check the arguments and compute the boundaries."""
        self.n0 = integer("n0", n0, least=1)
        self.alpha = single("alpha", level("alpha", alpha))
        derive(seed)  # refuses what is no seed, before work starts
        self.seed = seed
        self.noise = noise
        self.radii = np.zeros(0)
        self._table: SequentialTable | None = None
        if (n is None) == (radii is None):
            raise ValueError("n and radii: give one of them, a fixed number of samples or radii")
        if n is not None:
            if max_samples is not None:
                raise ValueError(f"max_samples is {max_samples}: it goes with radii, not with n")
            self.budget = integer("n", n, least=1)
            _require_ceiling("n", self.budget, self.alpha)
        elif radii is not None:
            if max_samples is None:
                raise ValueError("max_samples is missing: give the most samples for an image")
            self.budget = integer("max_samples", max_samples, least=1)
            _require_ceiling("max_samples", self.budget, self.alpha)
            self.radii = _checked_radii(radii)
            p0s = required_probabilities(noise, self.radii)
            if p0s[-1] == 1 or first_certifying(float(p0s[-1]), self.alpha) > self.budget:
                raise ValueError(
                    f"radii holds {self.radii[-1]:.10g}, but {self.budget} samples certify no more "
                    f"than {self.ceiling:.4g} at alpha = {self.alpha}: leave it out or give "
                    "more samples"
                )
            self._table = decision_table(tuple(p0s.tolist()), self.alpha, self.budget, rule)
        self.executed = Executed(
            model,
            classes=classes,
            device=device,
            precision=precision,
            compile_model=compile_model,
            tile=tile,
        )

    @property
    def ceiling(self) -> float:
        """The radius that a full budget certifies if every sample agrees."""
        p_lower = clopper_pearson_lower(self.budget, self.budget, self.alpha)
        return float(certified_radius(self.noise, p_lower))

    def certify(
        self,
        images: Tensor,
        image_ids: npt.ArrayLike | None = None,
        report: Report = ignore,
    ) -> Certification:
        """Certify `images` [N, C, H, W]; `image_ids` (default: the positions) name their noise.

        Raises ValueError for images that do not fit the noise or the model, and for a model that
        is not one function of each image, as far as probes can tell; FloatingPointError for logits
        that are not finite.
        """

        def tally(stream: str) -> Tally:
            return Tally(
                self.executed, images, self.noise, image_ids, seed=self.seed, stream=stream
            )

        selection, estimation = tally("select"), tally("estimate")
        shape = corrupted_shape(self.noise, tuple(images.shape[1:]))
        self.executed.probe(shape)
        every = np.arange(len(images))
        selection.draw(every, self.n0, report)
        selected: IntArray = selection.counts().argmax(axis=1)
        if self._table is not None:
            found = self._decide(self._table, estimation, selected, report)
        else:
            estimation.draw(every, self.budget, report)
            report(0, len(every))
            found = from_counts(
                selected,
                estimation.counts()[every, selected],
                n0=self.n0,
                n=self.budget,
                alpha=self.alpha,
                noise=self.noise,
            )
        # Before anybody relies on the counts: was it one function all the time?
        self.executed.require_unchanged(shape)
        return found

    def _decide(
        self, table: SequentialTable, tally: Tally, selected: IntArray, report: Report
    ) -> Certification:
        """Look after look, go on with the images whose radii are not all decided."""
        count = len(selected)
        successes, samples, looks, certified = np.zeros((4, count), dtype=np.int64)
        refused = np.full(count, len(self.radii), dtype=np.int64)
        active = np.arange(count)
        for look, until in enumerate(table.looks.tolist()):
            tally.draw(active, until, report)
            hits = tally.counts()[active, selected[active]]
            successes[active], samples[active], looks[active] = hits, until, look + 1
            certified[active], refused[active] = table.decide(
                look, hits, certified[active], refused[active]
            )
            rest = active[certified[active] < refused[active]]
            report(0, len(active) - len(rest))
            active = rest
            if not active.size:
                break
        report(0, len(active))
        safe = certified > 0
        return Certification(
            predicted=np.where(safe, selected, ABSTAIN),
            radius=np.where(safe, self.radii[np.maximum(certified, 1) - 1], 0.0),
            selected=selected,
            successes=successes,
            samples=samples,
            looks=looks,
            undecided=certified < refused,
            n0=self.n0,
            alpha=self.alpha,
        )


def certify(
    model: nn.Module,
    images: Tensor,
    noise: Law,
    *,
    classes: int,
    seed: int,
    n: int | None = None,
    radii: Sequence[float] | FloatArray | None = None,
    max_samples: int | None = None,
    rule: str = "calibrated",
    n0: int = 100,
    alpha: float = 0.001,
    image_ids: npt.ArrayLike | None = None,
    device: str = "cpu",
    precision: str = "float32",
    compile_model: bool = False,
    progress: bool = False,
) -> Certification:
    """Certify the smoothed `model` at each of `images` [N, C, H, W].

    `images` are uint8 for rounded noise, whose certificates also hold in floating point, and
    float32 for continuous noise, whose certificates hold in exact arithmetic only: floats can be
    fooled, and have been (Voráček and Hein 2023). `image_ids` (default: the positions) name the
    random streams; give each image its index in the data set. The rest is explained at `Certifier`.
    Each certificate is false with probability at most `alpha` (Cohen et al. 2019,
    proposition 2); of M images the expected number of false ones is at most `alpha` M.
    """
    certifier = Certifier(
        model,
        noise,
        classes=classes,
        seed=seed,
        n=n,
        radii=radii,
        max_samples=max_samples,
        rule=rule,
        n0=n0,
        alpha=alpha,
        device=device,
        precision=precision,
        compile_model=compile_model,
    )
    checked_images(images, noise, image_ids)
    with tqdm(total=len(images), desc="certify", unit="image", disable=not progress) as bar:
        return certifier.certify(images, image_ids, lambda _, done: bar.update(done))


def _require_ceiling(name: str, samples: int, alpha: float) -> None:
    """Raise ValueError if `samples` that all agree would still not show a majority."""
    if samples > MAX_TRIALS:
        raise ValueError(f"{name} is {samples}: give at most {MAX_TRIALS}")
    if clopper_pearson_lower(samples, samples, alpha) > 0.5:
        return
    enough = samples
    while clopper_pearson_lower(enough, enough, alpha) <= 0.5:
        enough += 1
    raise ValueError(
        f"{name} is {samples}: at alpha = {alpha} even unanimous samples certify nothing; "
        f"give at least {enough}"
    )


def _checked_radii(radii: Sequence[float] | FloatArray) -> FloatArray:
    values = nonnegative("radii", np.atleast_1d(np.asarray(radii)))
    if values.ndim != 1 or not values.size or (np.diff(values) <= 0).any():
        raise ValueError(f"radii is {values.tolist()}: give one or more radii that increase")
    return values

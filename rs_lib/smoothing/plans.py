"""How many samples an image gets: a fixed number, or as many as a table of radii takes."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rs_lib.arguments import integer, nonnegative
from rs_lib.noise import Law
from rs_lib.statistics import MAX_TRIALS, clopper_pearson_lower
from rs_lib.statistics.boundaries import first_certifying
from rs_lib.statistics.sequential import SequentialTable


@dataclass(frozen=True)
class FixedSamples:
    """`n` samples for each image: the largest radius that they support (Cohen et al. 2019).

    The class is selected by `n0` samples of its own first. With `runner_up` the other classes are
    bounded too, at the same level together (see `two_sided`): longer radii where many classes share
    what the first one leaves. Raises ValueError unless both are whole numbers from 1 to
    `MAX_TRIALS`.
    """

    n: int
    n0: int = 100
    runner_up: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that are none."""
        object.__setattr__(self, "n", integer("n", self.n, least=1, most=MAX_TRIALS))
        object.__setattr__(self, "n0", integer("n0", self.n0, least=1, most=MAX_TRIALS))

    @property
    def budget(self) -> int:
        """The most samples for an image, beside those that select."""
        return self.n

    def settings(self) -> dict[str, object]:
        """Return the numbers as the header of a log holds them."""
        return {"n0": self.n0, "n": self.n, **({"runner_up": True} if self.runner_up else {})}

    def require_enough(self, noise: Law, alpha: float) -> None:
        """Raise ValueError if `n` samples that all agree would still certify nothing."""
        if self.runner_up:
            noise.radius_between(1.0, 0.0)  # refused by laws that know no runner-up
        _require_majority("n", self.n, alpha / 2 if self.runner_up else alpha)


@dataclass(frozen=True)
class RadiusTable:
    """Which of `radii` an image has: sampled until each is certified or given up.

    Or until `max_samples` are spent, by the nested boundaries of a `SequentialTable` with `rule`.
    The class is selected by `n0` samples of its own first. Raises ValueError unless `radii` are
    finite, at least 0 and increase, and for numbers that are not whole or exceed `MAX_TRIALS`.
    """

    radii: Sequence[float]
    max_samples: int
    rule: str = "calibrated"
    n0: int = 100

    def __post_init__(self) -> None:
        """Raise ValueError for radii or numbers that are none."""
        values = nonnegative("radii", np.atleast_1d(np.asarray(self.radii)))
        if values.ndim != 1 or not values.size or (np.diff(values) <= 0).any():
            raise ValueError(f"radii is {values.tolist()}: give one or more radii that increase")
        object.__setattr__(self, "radii", tuple(values.tolist()))
        most = integer("max_samples", self.max_samples, least=1, most=MAX_TRIALS)
        object.__setattr__(self, "max_samples", most)
        object.__setattr__(self, "n0", integer("n0", self.n0, least=1, most=MAX_TRIALS))

    @property
    def budget(self) -> int:
        """The most samples for an image, beside those that select."""
        return self.max_samples

    def settings(self) -> dict[str, object]:
        """Return the numbers as the header of a log holds them."""
        return {
            "n0": self.n0,
            "radii": list(self.radii),
            "max_samples": self.max_samples,
            "rule": self.rule,
        }

    def require_enough(self, noise: Law, alpha: float) -> None:
        """Raise ValueError if `max_samples` that all agree would not certify each radius."""
        _require_majority("max_samples", self.max_samples, alpha)
        last = float(noise.probability_for(self.radii[-1]))
        if last == 1 or first_certifying(last, alpha) > self.max_samples:
            raise ValueError(
                f"radii holds {self.radii[-1]:.10g}, but {self.max_samples} samples certify no "
                f"more than {ceiling(noise, self.max_samples, alpha):.4g} at alpha = {alpha}: "
                "leave it out or give more samples"
            )

    def table(self, noise: Law, alpha: float) -> SequentialTable:
        """Return the boundaries of all radii; errors as for `SequentialTable`."""
        p0s = tuple(noise.probability_for(self.radii).tolist())
        return _table(p0s, alpha, self.max_samples, self.rule)


Plan = FixedSamples | RadiusTable


def ceiling(noise: Law, samples: int, alpha: float) -> float:
    """Return the radius that `samples` certify at level `alpha` if all of them agree."""
    return float(noise.radius(clopper_pearson_lower(samples, samples, alpha)))


@functools.lru_cache(maxsize=4)
def _table(p0s: tuple[float, ...], alpha: float, most: int, rule: str) -> SequentialTable:
    """Return the table, kept: a run needs it to sample, and to check the rows of its log."""
    return SequentialTable(p0s, alpha, most, rule)


def _require_majority(name: str, samples: int, alpha: float) -> None:
    """Raise ValueError if `samples` that all agree would still not show a majority."""
    if clopper_pearson_lower(samples, samples, alpha) > 0.5:
        return
    enough = samples
    while clopper_pearson_lower(enough, enough, alpha) <= 0.5:
        enough += 1
    raise ValueError(
        f"{name} is {samples}: at alpha = {alpha} even unanimous samples certify nothing; "
        f"give at least {enough}"
    )

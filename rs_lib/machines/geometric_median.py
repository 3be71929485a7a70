"""The point with the least sum of distances from given points, and how exactly it is found.

Each point pulls with force 1. A place is the minimiser if and only if the pulls cancel, where the
points that lie on it may pull anywhere, each with a force of at most 1. The answer is one of the
points, where that holds to a force of 1e-9 and what rounding adds to it (more where points are near
beside how far they lie from 0); else a place where the sum of the pulls is that small, or from
which the next step would be lost in rounding. So no answer depends on sums of distances, which
would drown what is near beside what is far. Points that differ by rounding alone are one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FORCE = 1e-9
"""Largest sum of pulls that is taken for none, but for rounding."""

_STEPS = 1_000
_ROUNDING = 2.0**-48


def least_sum_of_distances(points: Tensor) -> Tensor:
    """Return the geometric median [d] of `points` [n, d], finite and in float64.

    Where several of the points minimise (on a line, or if points are equal), their mean, which
    minimises too. Raises ArithmeticError if the pulls do not cancel after 1,000 steps.
    """
    origin = points.sort(dim=0).values[(len(points) - 1) // 2]
    moved = points - origin
    blur = _ROUNDING * torch.linalg.vector_norm(points, dim=1)
    blur = blur + _ROUNDING * torch.linalg.vector_norm(origin)
    axes = None
    if moved.shape[1] > len(points):
        # The minimiser lies in the span of the points: as many dimensions as there are points.
        axes, spanned = torch.linalg.qr(moved.T)
        moved = spanned.T
    field = _Field(moved, blur)
    best = field.one_of_them()
    found = field.between() if best is None else best
    return origin + (found if axes is None else axes @ found)


@dataclass(frozen=True)
class _Field:
    """Points [n, d], and how far each of them is blurred by rounding [n]."""

    points: Tensor
    blur: Tensor

    def pulls(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors [n, d] towards the points, and the distances; 0 for those here."""
        towards = self.points - place
        distances = torch.linalg.vector_norm(towards, dim=1)
        here = distances <= self.blur
        units = towards / torch.where(here, 1.0, distances)[:, None]
        return torch.where(here[:, None], 0.0, units), torch.where(here, 0.0, distances)

    def nothing(self, distances: Tensor) -> float:
        """Return the sum of pulls that is taken for none, at these distances from the points."""
        return FORCE + float((self.blur[distances > 0] / distances[distances > 0]).sum())

    def one_of_them(self) -> Tensor | None:
        """Return the mean of the points that minimise, None if there are none."""
        minimise = []
        for place in self.points:
            units, distances = self.pulls(place)
            here = int((distances == 0).sum())
            most = here + self.nothing(distances)
            minimise.append(float(torch.linalg.vector_norm(units.sum(dim=0))) <= most)
        return self.points[minimise].mean(dim=0) if any(minimise) else None

    def between(self) -> Tensor:
        """Return where the pulls cancel, by Newton's steps, shortened, or Weiszfeld's."""
        place = self.points.sort(dim=0).values[len(self.points) // 2]
        for _ in range(_STEPS):
            units, distances = self.pulls(place)
            total = units.sum(dim=0)
            force = float(torch.linalg.vector_norm(total))
            if force <= self.nothing(distances):
                return place
            here = float((distances == 0).sum())
            weights = torch.where(distances > 0, 1 / distances, 0.0)
            # Weiszfeld's step, shortened where points lie here (Vardi and Zhang 2000).
            step = total / weights.sum() * max(0.0, 1 - here / force)
            if here == 0:
                step = self._shortened(place, _newton(units, weights, total), force, step)
            if float(torch.linalg.vector_norm(step)) <= float(self.blur.min()):
                return place
            place = place + step
        raise ArithmeticError(f"the pulls of {len(units)} vectors still add up to {force:.1e}")

    def _shortened(self, place: Tensor, step: Tensor, force: float, instead: Tensor) -> Tensor:
        """Return `step`, halved until the pulls do not turn back or lose half, or `instead`."""
        for _ in range(40):
            total = self.pulls(place + step)[0].sum(dim=0)
            if float(total @ step) >= 0 or float(torch.linalg.vector_norm(total)) <= force / 2:
                return step
            step = step / 2
        return instead


def _newton(units: Tensor, weights: Tensor, total: Tensor) -> Tensor:
    """Return the step at which the pulls would cancel if they changed linearly."""
    change = torch.eye(units.shape[1], dtype=units.dtype, device=units.device) * weights.sum()
    change = change - (units.T * weights) @ units
    step: Tensor = torch.linalg.lstsq(change, total[:, None]).solution[:, 0]
    return step

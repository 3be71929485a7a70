"""The point with the least sum of distances from given points, and how exactly it is found.

Each point pulls with force 1. A place is the minimiser if and only if the pulls cancel, where the
points that lie on it may pull anywhere, each with a force of at most 1. The answer is one of the
points, where that holds to a force of 1e-9; else a place where the sum of the pulls is that small
but for rounding, or below 1e-7 after 1,000 steps. It is measured from the point that comes nearest
to it: differences of points have all their digits, and so does what is near that point. No answer
depends on sums of distances, which would drown what is near beside what is far.
"""

import torch
from torch import Tensor

FORCE = 1e-9
"""Largest sum of pulls that is taken for none, but for rounding."""

_STEPS, _SETTLED = 1_000, 1e-7
_ROUNDING = 2.0**-48


def least_sum_of_distances(points: Tensor) -> Tensor:
    """Return the geometric median [d] of `points` [n, d], finite and in float64.

    Where several of the points minimise (on a line, or if points are equal), their mean, which
    minimises too. Raises ArithmeticError if the pulls do not cancel after 1,000 steps, to 1e-7.
    """
    excess = torch.tensor([_excess(points, place) for place in points])
    nearest: Tensor = points[excess.argmin()]
    moved = points - nearest
    if (excess <= FORCE).any():
        return moved[excess <= FORCE].mean(dim=0) + nearest
    if moved.shape[1] <= len(points):
        return _between(moved) + nearest
    # The minimiser lies in the span of the points: as many dimensions as there are points.
    axes, spanned = torch.linalg.qr(moved.T)
    found: Tensor = axes @ _between(spanned.T) + nearest
    return found


def _pulls(points: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Return unit vectors [n, d] towards the points, and distances [n]; 0 for those here."""
    towards = points - place
    distances = torch.linalg.vector_norm(towards, dim=1)
    return towards / torch.where(distances > 0, distances, 1.0)[:, None], distances


def _excess(points: Tensor, place: Tensor) -> float:
    """Return by how much the pulls at one of the points exceed what the points there can hold.

    Points that differ from it by rounding alone are there.
    """
    units, distances = _pulls(points, place)
    away = distances > _ROUNDING * torch.linalg.vector_norm(place)
    return float(torch.linalg.vector_norm(units[away].sum(dim=0))) - int((~away).sum())


def _between(points: Tensor) -> Tensor:
    """Return where the pulls cancel, near 0, by Newton's steps, shortened, or Weiszfeld's."""
    place = torch.zeros_like(points[0])
    blur = _ROUNDING * torch.linalg.vector_norm(points, dim=1)
    for _ in range(_STEPS):
        units, distances = _pulls(points, place)
        total = units.sum(dim=0)
        force = float(torch.linalg.vector_norm(total))
        here = distances == 0
        weights = torch.where(here, 0.0, 1 / distances)
        if not here.any() and force <= FORCE + float(blur @ weights):
            return place
        # Weiszfeld's step, shortened where points lie here (Vardi and Zhang 2000).
        step = total / weights.sum() * max(0.0, 1 - int(here.sum()) / force)
        if not here.any():
            newton = _newton(units, weights, total)
            # Where points are nearly on a line it may see nothing of the way along that line.
            if float(newton.norm()) > float(step.norm()):
                step = _shortened(points, place, newton, force, step)
        if float(step.norm()) <= _ROUNDING * float(place.norm()):
            return place
        place = place + step
    if not here.any() and force <= _SETTLED:
        return place
    raise ArithmeticError(f"the pulls of {len(points)} vectors still add up to {force:.1e}")


def _shortened(
    points: Tensor, place: Tensor, step: Tensor, force: float, instead: Tensor
) -> Tensor:
    """Return `step`, halved until the pulls do not turn back or lose half, or `instead`."""
    for _ in range(40):
        total = _pulls(points, place + step)[0].sum(dim=0)
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

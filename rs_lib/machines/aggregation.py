"""Rules that make one vector of many, some of which may be anything.

Every rule takes `vectors` [n, d], one for each worker, and `faulty`, the number f of them that need
not be trusted. It returns a tensor [d] of the dtype of `vectors` (float64 for integers and lists),
computed in float64.

A vector that holds NaN, an infinite number or one beyond 1e100 in size is *lost*: it must be a
faulty worker's. All rules but the mean answer as if it were infinitely far away: coordinates count
it as larger than all others, the rules of distances never choose it, nor as a neighbour. So what is
proved of a rule for all vectors holds with lost ones, and sums and squares do not overflow. More
than f lost vectors are refused, by a ValueError that counts them.

Vectors that tie are taken in their order.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import integer
from rs_lib.machines.geometric_median import least_sum_of_distances

_LARGEST = 1e100

Vectors = Tensor | npt.ArrayLike


def mean(vectors: Vectors, faulty: int) -> Tensor:
    """Return the plain mean, which one faulty worker can put anywhere: NaN and all.

    `faulty` is checked and has no other use. Raises ValueError unless 2 faulty < n.
    """
    given = _given(vectors)
    _require(len(given), faulty, least=2 * faulty + 1)
    return given.double().mean(dim=0).to(given.dtype)


def trimmed_mean(vectors: Vectors, faulty: int) -> Tensor:
    """Return the mean of each coordinate without its f largest and f smallest values.

    Raises ValueError unless 2 faulty < n. Source: Yin, Chen, Ramchandran and Bartlett (2018).

    In the book: thm-fw-trimmed.
    """
    given, found, _ = _checked(vectors, faulty, least=2 * faulty + 1)
    ordered = found.sort(dim=0).values
    return ordered[faulty : len(found) - faulty].mean(dim=0).to(given.dtype)


def coordinate_median(vectors: Vectors, faulty: int) -> Tensor:
    """Return the median of each coordinate; of an even number, the middle of the two in the middle.

    `torch.median` would take the smaller of them, at a price (`rs_lib.statistics.aggregation`).
    Raises ValueError unless 2 faulty < n.

    In the book: prop-fw-medians.
    """
    given, found, _ = _checked(vectors, faulty, least=2 * faulty + 1)
    ordered, n = found.sort(dim=0).values, len(found)
    return ordered[(n - 1) // 2 : n // 2 + 1].mean(dim=0).to(given.dtype)


def geometric_median(vectors: Vectors, faulty: int) -> Tensor:
    """Return the point with the least sum of distances from the vectors that are not lost.

    Where many points have it (on a line, between two vectors), one in their middle. How exactly,
    says `rs_lib.machines.geometric_median`. Raises ValueError unless 2 faulty < n.

    In the book: thm-fw-geometric.
    """
    given, found, lost = _checked(vectors, faulty, least=2 * faulty + 1)
    return least_sum_of_distances(found[~lost]).to(given.dtype)


def krum(vectors: Vectors, faulty: int) -> Tensor:
    """Return the vector with the least sum of squared distances from its n - f - 2 nearest others.

    Raises ValueError unless n >= 2 faulty + 3. Source: Blanchard, El Mhamdi, Guerraoui and Stainer
    (2017), section 4.

    In the book: prop-fw-krum, prop-fw-far.
    """
    given, found, lost = _checked(vectors, faulty, least=2 * faulty + 3)
    scores = _scores(_squared_distances(found, lost), len(found) - faulty - 2)
    return found[scores.argmin()].to(given.dtype)


def multi_krum(vectors: Vectors, faulty: int) -> Tensor:
    """Return the mean of the n - f - 2 vectors with the least scores, those of `krum`.

    Raises ValueError unless n >= 2 faulty + 3. Source: as `krum`, section 6.

    In the book: prop-fw-krum.
    """
    given, found, lost = _checked(vectors, faulty, least=2 * faulty + 3)
    count = len(found) - faulty - 2
    scores = _scores(_squared_distances(found, lost), count)
    return found[scores.sort(stable=True).indices[:count]].mean(dim=0).to(given.dtype)


def bulyan(vectors: Vectors, faulty: int) -> Tensor:
    """Return, in each coordinate, the mean of the n - 4f values that are nearest to the median.

    They are taken from n - 2f vectors: Krum's choice, then Krum's choice of the rest, and so on. Of
    r vectors that are left, r - f - 2 nearest count, but at least one. The median is that of
    `coordinate_median`; of two values equally near to it the smaller one is taken first. Raises
    ValueError unless n >= 4 faulty + 3.
    Source: El Mhamdi, Guerraoui and Rouault (2018), section 4.
    """
    given, found, lost = _checked(vectors, faulty, least=4 * faulty + 3)
    distances, n = _squared_distances(found, lost), len(found)
    left, chosen = list(range(n)), []
    for _ in range(n - 2 * faulty):
        among = distances[left][:, left]
        neighbours = min(max(len(left) - faulty - 2, 1), len(left) - 1)
        chosen.append(left.pop(int(_scores(among, neighbours).argmin())))
    ordered = found[chosen].sort(dim=0).values
    count = len(chosen)
    middle = ordered[(count - 1) // 2 : count // 2 + 1].mean(dim=0)
    nearest = (ordered - middle).abs().sort(dim=0, stable=True).indices[: n - 4 * faulty]
    return ordered.gather(0, nearest).mean(dim=0).to(given.dtype)


def _given(vectors: Vectors) -> Tensor:
    """Return `vectors` as a floating tensor [n, d]."""
    if not isinstance(vectors, Tensor):
        vectors = torch.from_numpy(np.array(vectors))
    if vectors.ndim != 2 or 0 in vectors.shape or vectors.is_complex():
        raise ValueError(f"vectors has shape {tuple(vectors.shape)}: give real numbers [n, d]")
    return vectors if vectors.is_floating_point() else vectors.double()


def _require(n: int, faulty: int, least: int) -> None:
    integer("faulty", faulty)
    if n < least:
        raise ValueError(f"faulty is {faulty} of {n} vectors: give at least {least} vectors")


def _checked(vectors: Vectors, faulty: int, least: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the vectors as given, in float64 with infinity for lost ones, and which are lost."""
    given = _given(vectors)
    _require(len(given), faulty, least)
    found = given.double()
    lost = ~(found.abs() <= _LARGEST).all(dim=1)
    if int(lost.sum()) > faulty:
        raise ValueError(
            f"vectors holds {int(lost.sum())} that are not finite or beyond {_LARGEST:g}, "
            f"faulty is {faulty}: mend the workers that are not faulty"
        )
    return given, torch.where(lost[:, None], torch.inf, found), lost


def _squared_distances(found: Tensor, lost: Tensor) -> Tensor:
    """Return all squared distances [n, n] but a vector's own: infinite there, and to lost ones."""
    n = len(found)
    # Differences, not inner products, which would lose what is near beside what is far.
    rows = [((found - found[i]) ** 2).sum(dim=1) for i in range(n)]
    apart = lost[:, None] | lost | torch.eye(n, dtype=torch.bool, device=found.device)
    return torch.where(apart, torch.inf, torch.stack(rows))


def _scores(distances: Tensor, neighbours: int) -> Tensor:
    """Return the sum of the `neighbours` least entries of each row [n]."""
    return distances.sort(dim=1).values[:, :neighbours].sum(dim=1)

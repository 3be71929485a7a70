"""The smoothed classifier: CERTIFY and PREDICT of Cohen et al. (2019) for several noise laws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from rs_lib.arguments import FloatArray, IntArray, integers, level
from rs_lib.certificates import gaussian, laplace, uniform
from rs_lib.noise import Gaussian, Laplace, NoiseLaw, Uniform
from rs_lib.smoothing.sampling import count_classes
from rs_lib.statistics import binomial_test_two_sided, clopper_pearson_lower

ABSTAIN = -1


@dataclass(frozen=True, eq=False)
class Certification:
    """Certificates of N images.

    `predicted`: int64 [N], the certified class, or `ABSTAIN`. `radius`: float64 [N], in the
    norm of the noise law, in pixel units of [0, 1]; 0 where abstained. `selected`: int64 [N],
    the class chosen from the `n0` samples. `successes`: int64 [N], how many of the `n` fresh
    samples fell on it. For each image by itself, the statement "the smoothed classifier says
    `predicted` everywhere within `radius`" is false with probability at most `alpha`.
    """

    predicted: IntArray
    radius: FloatArray
    selected: IntArray
    successes: IntArray
    n0: int
    n: int
    alpha: float


def certified_radius(noise: NoiseLaw, p_lower: npt.ArrayLike) -> FloatArray:
    """Return the radius certified where the top class has probability at least `p_lower` > 1/2.

    l2 for Gaussian noise (Cohen et al. 2019, theorem 1), l1 for uniform and Laplace noise.
    Raises ValueError for a noise law without a certificate.
    """
    match noise:
        case Gaussian(sigma=sigma):
            return gaussian.radius(p_lower, sigma)
        case Uniform(half_width=half_width):
            return uniform.radius_l1(p_lower, half_width)
        case Laplace(scale=scale):
            return laplace.radius_l1(p_lower, scale)
    raise ValueError(f"noise is {noise!r}: give Gaussian, Uniform or Laplace noise")


def from_counts(
    selected: npt.ArrayLike,
    successes: npt.ArrayLike,
    *,
    n0: int,
    n: int,
    alpha: float,
    noise: NoiseLaw,
) -> Certification:
    """Return the certificates that follow from stored counts (Cohen et al. 2019, CERTIFY).

    `selected`: classes [N], chosen from `n0` samples; `successes`: [N], how many of `n`
    other samples fell on them; `alpha`: the probability of error that is allowed per image.
    """
    chosen = integers("selected", selected)
    hits = integers("successes", successes)
    integers("n0", n0, least=1)
    level("alpha", alpha)
    if chosen.shape != hits.shape:
        raise ValueError(
            f"selected has shape {chosen.shape} and successes {hits.shape}: give equal shapes"
        )
    p_lower = np.asarray(clopper_pearson_lower(hits, n, alpha))
    certified = p_lower > 0.5
    radius = np.zeros(hits.shape)
    radius[certified] = certified_radius(noise, p_lower[certified])
    predicted = np.where(certified, chosen, ABSTAIN)
    return Certification(predicted, radius, chosen, hits, n0, n, alpha)


def certify(
    model: nn.Module,
    images: Tensor,
    noise: NoiseLaw,
    *,
    n0: int,
    n: int,
    alpha: float,
    seed: int,
    classes: int,
    image_ids: Sequence[int] | IntArray | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> Certification:
    """Certify the smoothed `model` at each of `images` [N, C, H, W] (Cohen et al. 2019, CERTIFY).

    `n0` samples select a class, `n` fresh ones bound its probability from below with
    confidence 1 - `alpha`; where the bound is at most 1/2 the answer is `ABSTAIN`. Each
    certificate is false with probability at most `alpha` (proposition 2); of M images the
    expected number of false ones is at most `alpha` M. `image_ids` (default: the positions)
    name the random streams; give each image its index in the data set.

    Raises what `count_classes` raises.
    """
    level("alpha", alpha)
    ids = np.arange(len(images)) if image_ids is None else image_ids

    def counts(stream: str, samples: int) -> IntArray:
        return count_classes(
            model,
            images,
            noise,
            samples,
            seed=seed,
            stream=stream,
            image_ids=ids,
            classes=classes,
            device=device,
            progress=progress,
        )

    selected = counts("select", n0).argmax(axis=1)
    estimated = counts("estimate", n)
    successes = np.take_along_axis(estimated, selected[:, None], axis=1)[:, 0]
    return from_counts(selected, successes, n0=n0, n=n, alpha=alpha, noise=noise)


def predict(
    model: nn.Module,
    images: Tensor,
    noise: NoiseLaw,
    *,
    n: int,
    alpha: float,
    seed: int,
    classes: int,
    image_ids: Sequence[int] | IntArray | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> IntArray:
    """Return the smoothed classifier's class at each of `images`, or `ABSTAIN`: int64 [N].

    Cohen et al. 2019, PREDICT: the top two of `n` samples are compared by a two-sided
    binomial test at level `alpha`. An answer that is neither `ABSTAIN` nor the smoothed
    classifier's class comes with probability at most `alpha` for each image (proposition 1,
    after Hung and Fithian 2019); over M images the expected number is at most `alpha` M.

    Raises what `count_classes` raises.
    """
    level("alpha", alpha)
    counts = count_classes(
        model,
        images,
        noise,
        n,
        seed=seed,
        stream="predict",
        image_ids=np.arange(len(images)) if image_ids is None else image_ids,
        classes=classes,
        device=device,
        progress=progress,
    )
    order = np.argsort(-counts, axis=1, kind="stable")[:, :2]
    top = np.take_along_axis(counts, order, axis=1)
    p_value = np.asarray(binomial_test_two_sided(top[:, 0], top.sum(axis=1)))
    return np.where(p_value <= alpha, order[:, 0], ABSTAIN)

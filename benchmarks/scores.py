"""How long certificates of stored scores and of embeddings take, beside a loop over roots."""

from typing import Any

import numpy as np
from scipy import optimize, stats

from benchmarks import clock
from rs_lib.certificates import confidence, embedding
from rs_lib.statistics.bands import survival_lower

ALPHA, SIGMA = 0.001, 0.5


def histograms(images: int, bins: int, samples: int) -> np.ndarray:
    """Integer scores of beta laws, from doubtful to sure; int64 [images, bins]."""
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0.3, 8, images), rng.uniform(0.1, 3, images)
    rows = (
        np.bincount((rng.beta(a, b, samples) * bins).astype(int).clip(0, bins - 1), minlength=bins)
        for a, b in zip(first, second, strict=True)
    )
    return np.stack(list(rows))


def law_radii(counts: np.ndarray) -> np.ndarray:
    """Radii at which the mean score stays above 1/2, from the histograms."""
    bins = counts.shape[1]
    return confidence.radius(np.arange(bins) / bins, survival_lower(counts, ALPHA), SIGMA, 0.5)


def textbook_law_radii(survival: np.ndarray) -> list[float]:
    """The same from survivals, without directed rounding: a root for each image."""
    bins = survival.shape[1]
    radii = []
    for row in survival:
        z = stats.norm.ppf(row[1:])

        def excess(r: float, z: np.ndarray = z) -> float:
            return float(stats.norm.cdf(z - r).sum() / bins - 0.5)

        radii.append(SIGMA * optimize.brentq(excess, 0, 50) if excess(0) > 0 else 0.0)
    return radii


def law(images: int, bins: int, samples: int, repeats: int, textbook_images: int) -> dict[str, Any]:
    """CPU seconds of the law radii of all images, bands included."""
    counts = histograms(images, bins, samples)
    few = survival_lower(counts[:textbook_images], ALPHA)
    np.testing.assert_allclose(
        textbook_law_radii(few), law_radii(counts[:textbook_images]), rtol=1e-6, atol=1e-9
    )
    times = clock.alternate([lambda: law_radii(counts), lambda: textbook_law_radii(few)], repeats)
    seconds, textbook = (float(np.median(kept)) for kept in times)
    return _row("images", images, seconds, textbook * images / textbook_images) | {"bins": bins}


def queries(count: int, ways: int, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of embeddings [count, dims] around unit prototypes [ways, dims]."""
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(ways, dims))
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    g = prototypes[rng.integers(0, ways, count)] * rng.uniform(0.2, 0.8, (count, 1))
    g += rng.normal(size=g.shape) * 0.3 / dims**0.5
    return g / np.maximum(np.linalg.norm(g, axis=1, keepdims=True) / 0.9, 1), prototypes


def textbook_vector_radius(inner: float, rest: float) -> float:
    """Root in r of the dual's maximum by BFGS, on 2000 equidistant nodes; offset 0."""
    z = np.linspace(-9, 13, 2000)
    weight = stats.norm.pdf(z) * (z[1] - z[0])

    def least(r: float) -> float:
        ratio = np.exp(r * z - r * r / 2)

        def minus_dual(m: np.ndarray) -> float:
            away = np.hypot(ratio - m[0], m[1])
            return float(weight @ away - m[0] * inner - m[1] * rest)

        return -float(optimize.minimize(minus_dual, [1.0, 0.2], tol=1e-10).fun)

    low = float(embedding.radius_lipschitz(inner, 0.0, 1.0))
    return optimize.brentq(least, low * 0.9, 6.0, xtol=1e-8)


def vector(count: int, ways: int, repeats: int, textbook_pairs: int) -> dict[str, Any]:
    """CPU seconds of the nearest prototypes of all queries with their vector radii."""
    g, prototypes = queries(count, ways, 64)
    rng = np.random.default_rng(1)
    pairs = rng.uniform([0.1, 0.1], [0.5, 0.7], (textbook_pairs, 2))
    np.testing.assert_allclose(
        [textbook_vector_radius(*pair) for pair in pairs],
        embedding.radius_vector(pairs[:, 0], pairs[:, 1], 0.0, 1.0),
        rtol=1e-4,
    )
    times = clock.alternate(
        [
            lambda: embedding.nearest_prototype(g, prototypes, SIGMA),
            lambda: [textbook_vector_radius(*pair) for pair in pairs],
        ],
        repeats,
    )
    seconds, textbook = (float(np.median(kept)) for kept in times)
    all_pairs = count * (ways - 1)
    return _row("queries", count, seconds, textbook * all_pairs / textbook_pairs) | {"ways": ways}


def _row(unit: str, count: int, seconds: float, textbook: float) -> dict[str, Any]:
    return {
        unit: count,
        "seconds": seconds,
        "textbook_seconds": textbook,
        "ratio": textbook / seconds,
    }

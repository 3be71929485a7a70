"""Tampered generators: the law of their normals, what a certifier makes of them, who notices.

The values are moments and counts; radii and detection limits follow from them.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from rs_lib.arguments import FloatArray
from rs_lib.noise import tampering, ziggurat
from rs_lib.noise.ziggurat import WordArray
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive

# Tampered layers and places are rejected more often than the 1.2 % of sound words, at most 4 %.
_WORDS_PER_NORMAL = 1.08
_FEWEST_WORDS = 1_000

TAMPER: dict[str, Callable[[WordArray, float], WordArray]] = {
    "none": lambda words, _: words,
    "alpha": tampering.negative_kurtosis,
    "beta": lambda words, strength: tampering.skewness(words, int(strength)),
    "gamma": lambda words, strength: tampering.positive_kurtosis(words, int(strength)),
}
"""The attacks of Dahiya, Shumailov and Anderson (2024) by the names of their parameters."""


@dataclass(frozen=True)
class Parameters:
    """Which attacks to run, and how large.

    `attacks` pairs a name in `TAMPER` with its strength. `normals` variables give the moments.
    A linear classifier with equal weights on `pixels` pixels gets `n` samples at each margin in
    `margins` (distance to its boundary in σ, along the weights); `alpha` is the level that the
    counts are meant for. Each of the tests sees `streams` streams of every size in `sizes`,
    and rejects below `p_value`.
    """

    attacks: tuple[tuple[str, float], ...]
    normals: int
    pixels: int
    n: int
    alpha: float
    margins: tuple[float, ...]
    streams: int
    sizes: tuple[int, ...]
    p_value: float
    seed: int


_ATTACKS = (
    ("none", 0.0),
    *(("alpha", float(strength)) for strength in (1, 2, 4)),
    *(("beta", float(strength)) for strength in (0, 1, 4, 16)),
    *(("gamma", float(strength)) for strength in (0, 1, 4)),
)
_MARGINS = tuple(float(margin) for margin in np.round(np.geomspace(0.02, 3.0, 12), 3))

PROFILES = {
    "quick": Parameters(
        attacks=_ATTACKS,
        normals=500_000,
        pixels=64,
        n=10_000,
        alpha=0.001,
        margins=_MARGINS,
        streams=11,
        sizes=tuple(2**k for k in range(6, 17)),
        p_value=0.01,
        seed=2024,
    ),
    "full": Parameters(
        attacks=_ATTACKS,
        normals=10_000_000,
        pixels=784,
        n=100_000,
        alpha=0.001,
        margins=_MARGINS,
        streams=51,
        sizes=tuple(2**k for k in range(6, 21)),
        p_value=0.01,
        seed=2024,
    ),
}

# Every attack, and a last chunk of samples that is not full.
WITNESS = dataclasses.replace(
    PROFILES["quick"],
    normals=20_000,
    n=1_500,
    margins=(0.02, 0.5, 2.0),
    streams=3,
    sizes=(64, 4_096),
)


def tampered(attack: str, strength: float, count: int, seed: int) -> tuple[WordArray, FloatArray]:
    """Return `count` normals made by an attacked PCG64, and the tampered words behind them."""
    words = np.random.PCG64(seed).random_raw(int(count * _WORDS_PER_NORMAL) + _FEWEST_WORDS)
    stream = TAMPER[attack](words, strength)
    return stream, ziggurat.standard_normals(stream)[:count]


def monobit(words: WordArray) -> float:
    """Return the p-value of the monobit test on all bits of `words` (NIST SP 800-22, test 1)."""
    bits = 64 * len(words)
    surplus = 2 * int(np.bitwise_count(words).sum(dtype=np.int64)) - bits
    return float(special.erfc(abs(surplus) / np.sqrt(2 * bits)))


def p_values(words: WordArray, normals: FloatArray) -> dict[str, float]:
    """Return p-values by test: of the words, and of the standard normals that they became."""
    count = len(normals)
    mean = np.sqrt(count) * normals.mean()
    variance = ((normals**2).sum() - count) / np.sqrt(2 * count)
    return {
        "monobit, raw words": monobit(words[:count]),
        "mean": float(special.erfc(abs(mean) / np.sqrt(2))),
        "variance": float(special.erfc(abs(variance) / np.sqrt(2))),
        "skewness": float(stats.skewtest(normals).pvalue),
        "kurtosis": float(stats.kurtosistest(normals).pvalue),
        "Kolmogorov–Smirnov": float(stats.kstest(normals, "norm").pvalue),
    }


def _moments(normals: FloatArray) -> dict[str, float]:
    return {
        "mean": float(normals.mean()),
        "variance": float(normals.var()),
        "skewness": float(stats.skew(normals)),
        "excess_kurtosis": float(stats.kurtosis(normals)),
        "negative": float((normals < 0).mean()),
    }


def _successes(parameters: Parameters, attack: str, strength: float) -> list[int]:
    """Count, for each margin, the samples that stay on the right side of a linear boundary."""
    chunk = 1_000
    sums = []
    for start in range(0, parameters.n, chunk):
        rows = min(chunk, parameters.n - start)
        seed = derive(parameters.seed, "certify", attack, str(strength), start)
        _, normals = tampered(attack, strength, rows * parameters.pixels, seed)
        sums.append(normals.reshape(rows, -1).sum(axis=1))
    along = np.concatenate(sums) / np.sqrt(parameters.pixels)
    return [int((margin + along > 0).sum()) for margin in parameters.margins]


def _rejections(parameters: Parameters, attack: str, strength: float) -> dict[str, list[int]]:
    """Count by test and size the streams that a test rejects."""
    counts: dict[str, list[int]] = {}
    for stream in range(parameters.streams):
        seed = derive(parameters.seed, "test", attack, str(strength), stream)
        words, normals = tampered(attack, strength, max(parameters.sizes), seed)
        for place, size in enumerate(parameters.sizes):
            for test, value in p_values(words, normals[:size]).items():
                row = counts.setdefault(test, [0] * len(parameters.sizes))
                row[place] += value < parameters.p_value
    return counts


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return per attack: moments, successes per margin, and rejecting streams by test and size."""
    runs = []
    for attack, strength in parameters.attacks:
        seed = derive(parameters.seed, "moments", attack, str(strength))
        runs.append(
            {
                "attack": attack,
                "strength": strength,
                "moments": _moments(tampered(attack, strength, parameters.normals, seed)[1]),
                "successes": _successes(parameters, attack, strength),
                "rejections": _rejections(parameters, attack, strength),
            }
        )
    return {"runs": runs}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

"""Logs that are made, of images with known counts, as Cohen et al. (2019) would print them."""

import numpy as np
from scipy import special

from rs_lib.audit import lattice
from rs_lib.audit.logs import ABSTAIN


def made_log(
    mean: float, spread: float, images: int, *, trials: int, alpha: float, sigma: float, seed: int
) -> str:
    """Return the log of `images` images of class 0, each with `trials` samples at level `alpha`.

    The quantile Φ⁻¹(p) of the share p of class 0 is drawn from N(`mean`, `spread`²); with mean 2
    and spread 1.5 radii reach from abstentions to the ceiling.
    """
    rng = np.random.default_rng(seed)
    counts = rng.binomial(trials, special.ndtr(rng.normal(mean, spread, images)))
    lines = ["idx\tlabel\tpredict\tradius\tcorrect\ttime"]
    for image, value in enumerate(sigma * lattice.radii(counts, trials, alpha)):
        predicted = int(value < 0) * ABSTAIN
        lines.append(f"{image}\t0\t{predicted}\t{max(value, 0.0):.3}\t{predicted + 1}\t0:00:01.0")
    return "\n".join(lines) + "\n"

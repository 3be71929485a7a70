"""Many certificates of a classifier whose probabilities are known: how many are false?

A half-space, whose edge lies midway between two grey levels, under rounded Gaussian noise: the
probability p_A is known, and the true radius is the distance to the edge. The number of false
certificates has a binomial law, whose parameter follows from the integer boundaries alone.
"""

from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from rs_lib import smoothing
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import FixedSamples, RadiusTable
from rs_lib.smoothing.plans import Plan
from rs_lib.statistics import SequentialTable, clopper_pearson_lower

SIGMA, ALPHA, SAMPLES, STEPS = 0.7, 0.05, 100, 50.5
RARE = 1e-6


class Edge(nn.Module):
    """Class 0 where the first pixel exceeds `height`, else class 1."""

    def __init__(self, height: float) -> None:
        super().__init__()
        self.height = height

    def forward(self, images: Tensor) -> Tensor:
        above = images.flatten(1)[:, 0] - self.height
        return torch.stack([above, -above], dim=1)


def measure(certificates: int) -> list[dict[str, Any]]:
    """Return for each procedure the number of false certificates and its exact 1 - 1e-6 band."""
    model = Edge((100 - STEPS) / 255).eval()
    noise, true = Rounded(Gaussian(SIGMA)), STEPS / 255
    images = torch.full((certificates, 1, 1, 1), 100, dtype=torch.uint8)
    chance = float(stats.norm.cdf(true / SIGMA))
    slightly_more = true * (1 + 1e-9)
    plans: dict[str, Plan] = {
        "fixed n": FixedSamples(SAMPLES, n0=101),
        "sequential": RadiusTable([slightly_more], SAMPLES, n0=101),
    }
    rows = []
    for name, plan in plans.items():
        made = smoothing.certify(model, images, noise, plan, classes=2, seed=1, alpha=ALPHA)
        right = made.selected == 0
        if name == "fixed n":
            hits = np.arange(SAMPLES + 1)
            claimed = clopper_pearson_lower(hits, SAMPLES, ALPHA) > chance
            error = float(stats.binom.pmf(hits, SAMPLES, chance)[claimed].sum())
        else:
            p0 = noise.probability_for([slightly_more])
            error = float(SequentialTable(p0, ALPHA, SAMPLES).type_one_errors()[0])
        false = int((right & (made.radius > true)).sum())
        low, high = stats.binom.interval(1 - RARE, int(right.sum()), error)
        rows.append(
            {
                "procedure": name,
                "certificates": int(right.sum()),
                "alpha": ALPHA,
                "exact_error": error,
                "false": false,
                "low": int(low),
                "high": int(high),
                "inside": bool(low <= false <= high),
            }
        )
    return rows

"""Statistics of certification: exact bounds, sequential tests, summaries over images."""

from rs_lib.statistics.accuracy import (
    average_certified_radius,
    average_certified_radius_bounds,
    certified_accuracy,
    mean_interval,
    paired,
    vote_margin,
)
from rs_lib.statistics.binomial import (
    LEAST_LEVEL,
    MAX_TRIALS,
    binomial_interval,
    binomial_test_two_sided,
    clopper_pearson_lower,
    clopper_pearson_upper,
    lead_bounds,
    randomized_clopper_pearson_lower,
)
from rs_lib.statistics.sequential import RULES, SequentialTable, SequentialTest

__all__ = [
    "LEAST_LEVEL",
    "MAX_TRIALS",
    "RULES",
    "SequentialTable",
    "SequentialTest",
    "average_certified_radius",
    "average_certified_radius_bounds",
    "binomial_interval",
    "binomial_test_two_sided",
    "certified_accuracy",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "lead_bounds",
    "mean_interval",
    "paired",
    "randomized_clopper_pearson_lower",
    "vote_margin",
]

"""The certification engine: PREDICT and CERTIFY for smoothed classifiers."""

from rs_lib.smoothing.certify import (
    ABSTAIN,
    Certification,
    Certifier,
    certify,
    from_counts,
)
from rs_lib.smoothing.predict import Prediction, Predictor, predict
from rs_lib.smoothing.radii import certified_radius, required_probabilities

__all__ = [
    "ABSTAIN",
    "Certification",
    "Certifier",
    "Prediction",
    "Predictor",
    "certified_radius",
    "certify",
    "from_counts",
    "predict",
    "required_probabilities",
]

"""The certification engine: PREDICT and CERTIFY for smoothed classifiers."""

from rs_lib.smoothing.certify import (
    ABSTAIN,
    Certification,
    Certifier,
    certify,
    from_counts,
)
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.health import Health, UnhealthyNoiseError
from rs_lib.smoothing.plans import FixedSamples, RadiusTable
from rs_lib.smoothing.predict import Prediction, Predictor, predict
from rs_lib.smoothing.soft import SoftCertification, SoftCertifier

__all__ = [
    "ABSTAIN",
    "Certification",
    "Certifier",
    "Executed",
    "FixedSamples",
    "Health",
    "Prediction",
    "Predictor",
    "RadiusTable",
    "SoftCertification",
    "SoftCertifier",
    "UnhealthyNoiseError",
    "certify",
    "from_counts",
    "predict",
]

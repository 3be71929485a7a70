"""The certification engine: PREDICT and CERTIFY for smoothed classifiers."""

from rs_lib.smoothing.certify import (
    ABSTAIN,
    Certification,
    certified_radius,
    certify,
    from_counts,
    predict,
)

__all__ = ["ABSTAIN", "Certification", "certified_radius", "certify", "from_counts", "predict"]

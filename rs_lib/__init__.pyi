from rs_lib import certificates as certificates
from rs_lib.noise import Ablation as Ablation
from rs_lib.noise import Flip as Flip
from rs_lib.noise import Gaussian as Gaussian
from rs_lib.noise import Laplace as Laplace
from rs_lib.noise import Rounded as Rounded
from rs_lib.noise import Sparse as Sparse
from rs_lib.noise import Uniform as Uniform
from rs_lib.smoothing import ABSTAIN as ABSTAIN
from rs_lib.smoothing import FixedSamples as FixedSamples
from rs_lib.smoothing import RadiusTable as RadiusTable
from rs_lib.smoothing import certify as certify
from rs_lib.smoothing import predict as predict

__all__ = [
    "ABSTAIN",
    "Ablation",
    "FixedSamples",
    "Flip",
    "Gaussian",
    "Laplace",
    "RadiusTable",
    "Rounded",
    "Sparse",
    "Uniform",
    "certificates",
    "certify",
    "predict",
]

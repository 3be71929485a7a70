"""Noise laws that a base classifier is smoothed with, and their streams of samples."""

from rs_lib.noise.ablation import Ablation
from rs_lib.noise.additive import Additive, Continuous
from rs_lib.noise.flips import Flip
from rs_lib.noise.gaussian import Gaussian
from rs_lib.noise.laplace import Laplace
from rs_lib.noise.law import Law
from rs_lib.noise.registry import LAWS
from rs_lib.noise.rounded import Rounded
from rs_lib.noise.sparse import Sparse
from rs_lib.noise.streams import noisy_images
from rs_lib.noise.uniform import Uniform
from rs_lib.noise.words import Draws

__all__ = [
    "LAWS",
    "Ablation",
    "Additive",
    "Continuous",
    "Draws",
    "Flip",
    "Gaussian",
    "Laplace",
    "Law",
    "Rounded",
    "Sparse",
    "Uniform",
    "noisy_images",
]

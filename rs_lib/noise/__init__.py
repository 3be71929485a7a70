"""Noise laws that a base classifier is smoothed with, and their streams of samples."""

from rs_lib.noise.ablation import Ablation, Law, corrupted, corrupted_shape
from rs_lib.noise.laws import LAWS, Additive, Gaussian, Laplace, NoiseLaw, Uniform
from rs_lib.noise.rounded import Rounded
from rs_lib.noise.streams import noisy_images

__all__ = [
    "LAWS",
    "Ablation",
    "Additive",
    "Gaussian",
    "Laplace",
    "Law",
    "NoiseLaw",
    "Rounded",
    "Uniform",
    "corrupted",
    "corrupted_shape",
    "noisy_images",
]

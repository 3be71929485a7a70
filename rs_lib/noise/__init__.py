"""Noise laws that a base classifier is smoothed with, and their streams of samples."""

from rs_lib.noise.laws import Gaussian, Laplace, NoiseLaw, Uniform
from rs_lib.noise.rounded import Rounded
from rs_lib.noise.streams import noisy_images

__all__ = ["Gaussian", "Laplace", "NoiseLaw", "Rounded", "Uniform", "noisy_images"]

"""Noise laws that a base classifier is smoothed with."""

from rs_lib.noise.laws import Gaussian, Laplace, NoiseLaw, Uniform

__all__ = ["Gaussian", "Laplace", "NoiseLaw", "Uniform"]

"""Regions of the input space and what Gaussian smoothing makes of them."""

from rs_lib.geometry.balls import smoothed_ball_radius, vanishing_sigma
from rs_lib.geometry.cones import cone_shift

__all__ = ["cone_shift", "smoothed_ball_radius", "vanishing_sigma"]

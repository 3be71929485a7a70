"""Regions of the input space and what noise makes of them."""

from rs_lib.geometry import caps, halfspaces
from rs_lib.geometry.balls import smoothed_ball_radius, vanishing_sigma
from rs_lib.geometry.cones import cone_shift

__all__ = ["caps", "cone_shift", "halfspaces", "smoothed_ball_radius", "vanishing_sigma"]

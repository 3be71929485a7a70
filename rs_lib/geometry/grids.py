"""Regions of the plane on a grid of unit pixels: blurred by Gaussian noise, cut at one half.

Beyond the border there is either nothing of the region ("constant") or the other side of the
square ("wrap", a torus): the names are those of `scipy.ndimage`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from rs_lib import arguments
from rs_lib.arguments import FloatArray

BoolArray = npt.NDArray[np.bool_]
BORDERS = ("constant", "wrap")
MOST_SIDE = 10_000
LEAST_SIGMA = 1e-3
MOST_TRIES = 10**6


def blur(side: int, sigma: float, border: str) -> FloatArray:
    """Return the matrix, of shape (side, side), that blurs the columns of a square.

    It is SciPy's `gaussian_filter1d`: Gaussian weights at whole pixels, cut at 4σ, that add up to
    one. `sigma` is in pixels.

    Raises ValueError for a scale that is not positive or an unknown border.
    """
    scale = arguments.single("sigma", arguments.positive("sigma", sigma))
    if not LEAST_SIGMA <= scale <= MOST_SIDE:
        raise ValueError(f"sigma is {scale}: give pixels from {LEAST_SIGMA} to {MOST_SIDE}")
    arguments.one_of("border", border, BORDERS)
    mode: Literal["wrap", "constant"] = "wrap" if border == "wrap" else "constant"
    wide = arguments.integer("side", side, least=1, most=MOST_SIDE)
    matrix: FloatArray = ndimage.gaussian_filter1d(np.eye(wide), scale, axis=0, mode=mode)
    return matrix


def smoothed(regions: BoolArray, sigma: float, border: str) -> BoolArray:
    """Return the pixels that see at least half under Gaussian noise; shape (..., side, side).

    `sigma` 0 changes nothing. Raises ValueError if the regions are no squares of truth values.
    """
    arguments.one_of("border", border, BORDERS)
    if not isinstance(regions, np.ndarray):
        raise ValueError(f"regions is {arguments.shown(regions)}: give an array of truth values")
    shape = regions.shape
    if regions.dtype != np.bool_ or len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(
            f"regions have shape {shape} and type {regions.dtype}: give squares of truth values"
        )
    if sigma == 0:
        return regions.copy()
    matrix = blur(shape[-1], sigma, border)
    seen: BoolArray = matrix @ regions.astype(np.float64) @ matrix.T >= 0.5
    return seen


def balls(side: int, centres: npt.ArrayLike, radius: float, border: str) -> BoolArray:
    """Return the union of discs around pixel corners, of shape (side, side).

    `centres` has shape (count, 2); a pixel belongs to a disc if its middle does. With "constant"
    a disc is cut at the border, with "wrap" it goes on at the other side.
    """
    arguments.one_of("border", border, BORDERS)
    side = arguments.integer("side", side, least=1, most=MOST_SIDE)
    radius = arguments.single("radius", arguments.nonnegative("radius", radius))
    corners = arguments.numbers("centres", centres)
    if corners.size and (corners.ndim != 2 or corners.shape[1] != 2):
        raise ValueError(f"centres has shape {corners.shape}: give (count, 2)")
    corners = corners.reshape(-1, 2)
    apart = np.abs(np.arange(side) + 0.5 - corners[:, :, None])  # (count, 2, side)
    if border == "wrap":
        apart = np.minimum(apart, side - apart)
    squares = apart[:, 0, :, None] ** 2 + apart[:, 1, None, :] ** 2
    covered: BoolArray = (squares <= radius**2).any(axis=0)
    return covered


def separated(
    generator: np.random.Generator, side: int, apart: float, tries: int, border: str
) -> npt.NDArray[np.int64]:
    """Return centres thrown one by one and kept if far from those kept before; shape (count, 2).

    Far means at least `apart` pixels in one of the two coordinates; `tries` are thrown.
    """
    arguments.one_of("border", border, BORDERS)
    side = arguments.integer("side", side, least=1, most=MOST_SIDE)
    tries = arguments.integer("tries", tries, most=MOST_TRIES)
    apart = arguments.single("apart", arguments.positive("apart", apart))
    thrown = generator.integers(0, side, size=(tries, 2))
    kept = []
    while len(thrown):
        kept.append(thrown[0])
        distance = np.abs(thrown - thrown[0])
        if border == "wrap":
            distance = np.minimum(distance, side - distance)
        thrown = thrown[distance.max(axis=1) >= apart]
    return np.array(kept, dtype=np.int64).reshape(-1, 2)

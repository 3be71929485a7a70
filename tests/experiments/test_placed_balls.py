"""Regions on a grid, and the experiment with balls that are placed at random."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from rs_lib.experiments import placed_balls
from rs_lib.geometry import grids
from rs_lib.geometry.balls import smoothed_ball_radius
from rs_lib.record.stage import Context


@pytest.mark.parametrize("border", grids.BORDERS)
def test_smoothing_is_scipys_filter_and_a_threshold(border):
    rng = np.random.default_rng(1)
    regions = ndimage.gaussian_filter(rng.normal(size=(5, 40, 40)), (0, 3, 3)) > 0
    for sigma in (0.7, 3.0, 9.0):
        for region, after in zip(regions, grids.smoothed(regions, sigma, border), strict=True):
            blurred = ndimage.gaussian_filter(region.astype(float), sigma, mode=border)
            sure = np.abs(blurred - 0.5) > 1e-12
            assert sure.mean() > 0.99
            assert np.array_equal(after[sure], (blurred >= 0.5)[sure])
    assert np.array_equal(grids.smoothed(regions, 0, border), regions)


@pytest.mark.parametrize("sigma", [5.0, 15.0, 25.0])
def test_a_disc_on_the_grid_shrinks_as_a_ball_does(sigma):
    disc = grids.balls(200, [[100, 100]], 40, "constant")
    after = grids.smoothed(disc, sigma, "constant")
    expected = float(smoothed_ball_radius(40.0, sigma, 2))
    assert np.sqrt(after.sum() / np.pi) == pytest.approx(expected, abs=0.25)


def test_a_half_torus_does_not_move():
    half = np.zeros((60, 60), dtype=bool)
    half[:30] = True
    assert np.array_equal(grids.smoothed(half, 8.0, "wrap"), half)
    assert not grids.smoothed(half, 8.0, "constant")[0, 0]  # outside there is nothing


def test_balls_are_cut_or_go_on_at_the_other_side():
    cut, whole = (grids.balls(30, [[0, 0]], 6, border) for border in grids.BORDERS)
    assert whole.sum() == 4 * cut.sum()
    assert np.array_equal(np.roll(whole, (15, 15), (0, 1)), grids.balls(30, [[15, 15]], 6, "wrap"))
    assert grids.balls(30, np.empty((0, 2)), 6, "wrap").sum() == 0


@pytest.mark.parametrize("border", grids.BORDERS)
def test_centres_keep_their_distance_and_leave_little_room(border):
    centres = grids.separated(np.random.default_rng(2), 50, 11, 5_000, border)
    apart = np.abs(centres[:, None] - centres)
    if border == "wrap":
        apart = np.minimum(apart, 50 - apart)
    apart = apart.max(axis=2)
    assert apart[~np.eye(len(centres), dtype=bool)].min() >= 11
    assert len(centres) >= 9


def test_bad_grids():
    with pytest.raises(ValueError, match="border is 'reflect'"):
        grids.blur(10, 1.0, "reflect")
    with pytest.raises(ValueError, match="sigma is 0"):
        grids.blur(10, 0.0, "wrap")
    with pytest.raises(ValueError, match="squares of truth values"):
        grids.smoothed(np.zeros((3, 4), dtype=bool), 1.0, "wrap")
    with pytest.raises(ValueError, match="squares of truth values"):
        grids.smoothed(np.zeros((4, 4)), 1.0, "wrap")


SMALL = dataclasses.replace(
    placed_balls.PROFILES["quick"],
    side=40,
    radius=5,
    gaps=(0, 2),
    tries=500,
    train=(0, 2),
    test=(4, 6),
    draws=3,
)


def test_the_experiment_counts_what_it_says():
    values = placed_balls.compute(SMALL, Context())
    shares = placed_balls.shares(values, SMALL.side)
    assert list(shares) == [(border, gap) for border in grids.BORDERS for gap in (0, 2)]
    truth = placed_balls.regions(SMALL, "wrap", 2)
    after = grids.smoothed(grids.smoothed(truth, 2, "wrap"), 6, "wrap")
    assert np.array_equal(shares["wrap", 2][1, 1], (after != truth).mean(axis=(1, 2)))
    assert values["cases"][3]["pixels"] == truth.sum(axis=(1, 2)).tolist()


def test_more_draws_begin_with_the_same():
    more = dataclasses.replace(SMALL, draws=5)
    few, many = (placed_balls.regions(p, "constant", 0) for p in (SMALL, more))
    assert np.array_equal(many[:3], few)
    assert not np.array_equal(few[0], few[1])

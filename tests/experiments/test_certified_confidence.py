"""Scores under noise: histograms hold every sample, and certificates are in their order.

Seeded; the comparisons hold for every seed but that of coins, whose probability stands there.
"""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from rs_lib.certificates import confidence
from rs_lib.experiments import certified_confidence
from rs_lib.machines import data, models
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import Executed
from rs_lib.statistics import bands

ASKED = dataclasses.replace(certified_confidence.WITNESS, images=20, n=1_000)
CHANGES = {
    name: getattr(ASKED, name)
    for name in ("epochs", "sigmas", "images", "n0", "n", "levels", "rivals", "alpha")
}


@pytest.fixture(scope="module")
def result():
    return certified_confidence.experiment.run("quick", changes=CHANGES)


@pytest.fixture(scope="module")
def run(result):
    (only,) = result.values["runs"]
    return only


def test_samples_are_the_same_in_tiles_that_are_not_full():
    dataset = data.load("digits")
    network = models.build("small-cnn", dataset.image_shape, dataset.classes, 1).eval()
    noise = Rounded(Gaussian(0.5), dataset.levels)
    base = Executed(network, classes=dataset.classes, tile=32)
    few, many = (
        certified_confidence.scores(base, dataset.test_images[:3], 1, n, noise, key=5)
        for n in (7, 35)
    )
    assert few.shape == (7, dataset.classes)
    assert many.shape == (35, dataset.classes)
    np.testing.assert_array_equal(few, many[:7])
    np.testing.assert_allclose(many.sum(axis=1), 1, rtol=1e-12)
    assert len(np.unique(many[:, 0])) == len(many)


def test_every_histogram_holds_every_sample(run):
    for entry in run["images"]:
        every = [entry["score"], entry["margin"], *entry["groups"]]
        assert len(every) == 2 + ASKED.rivals + 1
        counts = certified_confidence.histograms(every, ASKED.levels)
        assert (counts.sum(axis=1) == ASKED.n).all()
        assert sum(entry["votes"]) == ASKED.n


def test_the_mean_lies_within_a_step_of_the_histogram(run):
    counts = certified_confidence.histograms([e["score"] for e in run["images"]], ASKED.levels)
    floor = counts @ np.arange(ASKED.levels + 1) / ASKED.levels / ASKED.n
    mean = np.array([entry["mean"] for entry in run["images"]])
    assert (floor <= mean + 1e-12).all()
    assert (mean <= floor + 1 / ASKED.levels).all()


def test_coins_have_the_mean_of_the_scores(run):
    """A new seed fails with probability below 1e-8 for each of 20 images, by Hoeffding."""
    width = np.sqrt(np.log(2 / 1e-8) / (2 * ASKED.n))
    for entry in run["images"]:
        assert abs(entry["coins"] / ASKED.n - entry["mean"]) < width


def test_a_margin_is_the_least_of_the_groups():
    rng = np.random.default_rng(1)
    drawn = rng.dirichlet(np.ones(10) / 3, size=400)
    entry = certified_confidence.counted(drawn[:50], drawn, ASKED, key=3)
    own = drawn[:, entry["chosen"]]
    others = np.delete(drawn, entry["chosen"], axis=1)
    assert entry["chosen"] == drawn[:50].mean(axis=0).argmax()
    steps = np.floor((own - others.max(axis=1) + 1) / 2 * ASKED.levels)
    found = certified_confidence.histograms([entry["margin"]], ASKED.levels)[0]
    assert found.tolist() == np.bincount(steps.astype(int), minlength=len(found)).tolist()
    assert entry["mean"] == pytest.approx(own.mean())


def test_bounds_of_constant_width_are_below_the_share_and_hold_together():
    """2000 rows at alpha 0.2: more than 505 misses have probability below 1e-8 if they hold."""
    rng = np.random.default_rng(2)
    masses = rng.dirichlet(np.ones(64) / 4)
    truth = np.cumsum(masses[::-1])[::-1]
    counts = rng.multinomial(300, masses, size=2000)
    found = certified_confidence.constant_width_lower(counts, 0.2)
    missed = (found[:, 1:] > truth[1:] * (1 + 1e-12)).any(axis=1).sum()
    assert stats.binom.sf(505, 2000, 0.2) < 1e-8
    assert missed <= 505
    assert (found[:, 0] == 1).all()
    assert (np.diff(found, axis=1) <= 0).all()


def test_radii_are_those_of_the_library_for_right_answers(result, run):
    found = certified_confidence.radii(result, run)
    labels = np.array(result.values["labels"])
    right = np.array([entry["chosen"] for entry in run["images"]]) == labels
    for name, own in found.items():
        if not name.startswith("votes"):
            assert (own[~right] == 0).all(), name
    steps = np.arange(1, ASKED.levels + 1) / ASKED.levels
    for entry, kept, radius in zip(run["images"], right, found["rivals, our band"], strict=True):
        laws = [
            (
                2 * steps - 1,
                bands.survival_lower(
                    certified_confidence.histograms([group], ASKED.levels)[0], ASKED.alpha
                )[1:],
            )
            for group in entry["groups"]
        ]
        alone = confidence.pairs_radius(laws, run["sigma"])
        assert radius == (alone if kept else 0)
    assert right.any()
    assert (found["rivals, our band"] > 0).any()


def test_the_mean_alone_never_beats_the_law_where_both_are_known(run):
    counts = certified_confidence.histograms([e["score"] for e in run["images"]], ASKED.levels)
    reached = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] / ASKED.n
    steps = np.arange(1, ASKED.levels + 1) / ASKED.levels
    law = confidence.radius(steps, reached[:, 1:], 1.0, 0.5)
    for own, shares in zip(law, reached, strict=True):
        mean = shares[1:].mean()
        alone = confidence.mean_lower(mean, 1.0, np.minimum(own, 30.0))
        assert alone <= 0.5 + 1e-9


def test_a_level_above_one_half_is_refused():
    with pytest.raises(ValueError, match=r"parameter alpha is 0.6: give a level of at most 0.5"):
        certified_confidence.experiment.parameters("quick", {"alpha": 0.6})

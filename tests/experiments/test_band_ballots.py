"""Votes that are kept image by image: those of the library, and the closest calls among them."""

import numpy as np
import pytest

from rs_lib.certificates import patch
from rs_lib.experiments import band_ballots, patch_bands
from rs_lib.machines import data
from rs_lib.record.stage import Context
from rs_lib.smoothing import votes


@pytest.fixture(scope="module")
def asked():
    return band_ballots.WITNESS


@pytest.fixture(scope="module")
def values(asked):
    return band_ballots.compute(asked, Context())


def test_kept_votes_are_those_of_the_network_and_certified(asked, values):
    digits = data.load("digits")
    base = band_ballots.Base(*asked.bases[0])
    model = patch_bands.base_classifier(asked, base, digits, Context())
    scores = patch_bands.scores(model, base, digits, "cpu")
    (run,) = values["runs"]
    counted, chosen = votes.guarded(scores, run["theta"])
    largest = votes.largest_of_guarded(counted, chosen, base.band, "positions")
    kept = band_ballots.read(values)
    assert run["certified"] == (largest > 0).sum() > len(kept) == asked.drawn + asked.closest
    for ballot in kept:
        assert (ballot.votes == counted[ballot.image]).all()
        assert (ballot.answer, ballot.patch) == (chosen[ballot.image], largest[ballot.image])
        assert band_ballots.slack(ballot) >= 0
        assert patch.certified(ballot.votes[None], ballot.patch, ballot.band)[0]
    closest = [band_ballots.slack(ballot) for ballot in kept[asked.drawn :]]
    drawn = {ballot.image for ballot in kept[: asked.drawn]}
    others = [
        band_ballots.slack(
            band_ballots.Ballot(k, counted[k], int(chosen[k]), base.band, int(largest[k]))
        )
        for k in set(np.flatnonzero(largest > 0).tolist()) - drawn
    ]
    assert closest == sorted(others)[: asked.closest]


def test_slack_is_below_zero_exactly_where_the_certificate_is_not():
    rng = np.random.default_rng(19)
    seen = set()
    for number in range(2_000):
        width, classes, band, size = 7, 3, int(rng.integers(1, 4)), int(rng.integers(1, 4))
        cast = (rng.random((width, classes)) < [0.2, 0.85, 0.2]).astype(np.uint8)
        answer = int(patch.answers(cast[None])[0])
        ballot = band_ballots.Ballot(number, cast, answer, band, size)
        certified = bool(patch.certified(cast[None], size, band)[0])
        assert certified == (band_ballots.slack(ballot) >= 0)
        seen.add(certified)
    assert seen == {False, True}

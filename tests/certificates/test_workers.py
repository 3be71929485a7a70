"""Votes of workers: exact, by all that faulty ones can answer."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from rs_lib.certificates import workers


def _winners(counts, faulty):
    """Return the winners of all votes that `faulty` voters of these can make."""
    found = set()
    for taken in product(*(range(count + 1) for count in counts)):
        if sum(taken) != faulty:
            continue
        for given in combinations_with_replacement(range(len(counts)), faulty):
            changed = np.array(counts) - taken + np.bincount(given, minlength=len(counts))
            found.add(int(changed.argmax()))
    return found


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_exact_by_all_that_faulty_voters_can_answer(classes):
    for counts in product(range(6), repeat=classes):
        total = sum(counts)
        if not 1 <= total <= 6:
            continue
        for faulty in range(min(total, 3) + 1):
            stays = len(_winners(counts, faulty)) == 1
            assert workers.certified(counts, faulty) == stays, (counts, faulty)


def test_largest_agrees_with_certified_and_takes_any_shape():
    votes = np.random.default_rng(5).integers(0, 12, size=(7, 5, 10))
    most = workers.largest(votes)
    assert most.shape == (7, 5)
    assert most.dtype == np.int64
    assert workers.certified(votes, 0).all()
    for faulty in range(8):
        assert (workers.certified(votes, faulty) == (most >= faulty)).all()
    # The smallest index wins ties, so it need not lead by one vote more.
    assert workers.largest([5, 3]) == 1
    assert workers.largest([3, 5]) == 0
    assert workers.largest([0, 0]) == 0


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([3.5, 1], "votes is 3.5: give whole numbers"),
        ([-1, 3], "votes is -1: give whole numbers"),
        ([3], r"votes has shape \(1,\): give votes"),
        (3, r"votes has shape \(\): give votes"),
        ([np.nan, 1], "votes holds NaN"),
    ],
)
def test_what_is_no_vote_is_refused(votes, message):
    with pytest.raises(ValueError, match=message):
        workers.largest(votes)
    with pytest.raises(ValueError, match="faulty is -1"):
        workers.certified([3, 1], -1)

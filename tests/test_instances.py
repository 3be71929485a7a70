"""The numbers that Coq checks are the library's own, to the last bit; tampering moves them."""

import importlib.util
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_lib.certificates import discrete, patch
from rs_lib.experiments import band_ballots
from rs_lib.record import places
from rs_lib.statistics import SequentialTable, clopper_pearson_lower

_SPEC = importlib.util.spec_from_file_location(
    "instances", places.HERE.root / "proofs" / "instances.py"
)
instances = importlib.util.module_from_spec(_SPEC)
sys.modules["instances"] = instances  # dataclasses look their module up
_SPEC.loader.exec_module(instances)
ALPHA = instances.ALPHA


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_to_the_last_bit(value):
    above, below = instances.Ratio.of(value)
    assert Fraction(above, below) == Fraction(value)
    assert below & (below - 1) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "x", None])
def test_what_is_no_number_is_not_written(value):
    with pytest.raises(ValueError, match="give a finite number"):
        instances.Ratio.of(value)


def test_bounds_are_those_of_the_library():
    low = clopper_pearson_lower(np.arange(4), 3, 0.001).tolist()
    text = instances.bounds_table(3, ALPHA, low)
    for value in low:
        assert f"({Fraction(value).numerator}, {Fraction(value).denominator})" in text
    assert "table_ok 3 table 1 1000" in text
    assert "Pr p 3 (fun w => p < entry R table (Binomial.votes w)) <= Zr R 1 / Zr R 1000" in text
    assert {n for n, _ in instances.BOUNDS} <= set(range(100_001))
    assert len(instances.BOUNDS) == 20


def test_boundaries_are_those_of_the_table_and_p0_is_exact():
    table = SequentialTable([0.5, 0.7], 0.05, 60)
    tests = instances.tests_of(table, Fraction(1, 20))
    for row, test in enumerate(tests):
        entries = [
            tuple(map(int, entry.strip("()").split(", "))) for entry in test.entries().split("; ")
        ]
        assert np.cumsum([step for step, _, _ in entries]).tolist() == table.looks.tolist()
        assert [a for _, a, _ in entries] == table.accept[row].tolist()
        assert [r - 1 for _, _, r in entries] == table.reject[row].tolist()
        p0 = Fraction(float(table.p0s[row]))
        assert f"seq_ok {p0.numerator} {p0.denominator} looks" in test.check("looks")
    lowered = tests[0].lowered(2)
    assert np.subtract(tests[0].accept, lowered.accept).tolist() == [
        int(place == 2) for place in range(len(table.looks))
    ]


def test_the_outcomes_of_changed_coordinates_are_two_laws_with_the_threshold_of_the_library():
    for keep, others, radius in ((Fraction(4, 5), 1, 3), (Fraction(3, 4), 2, 2)):
        problem = instances.changed(radius, keep, others)
        assert sum(p for p, _ in problem.rows) == problem.total == sum(q for _, q in problem.rows)
        # The dual value at the threshold is one half: the check is as sharp as the certificate.
        p = discrete.threshold(radius, keep, others)
        surplus = sum(max(Fraction(0), problem.price * a - b) for a, b in problem.rows)
        assert problem.price * p - surplus / problem.total == Fraction(1, 2)


def certified(ballot):
    return bool(patch.certified(ballot.votes[None], ballot.patch, ballot.band)[0])


def test_a_moved_vote_turns_what_is_certified():
    votes = np.zeros((6, 3), dtype=np.uint8)
    votes[:5, 1] = votes[5, 2] = 1
    ballot = band_ballots.Ballot(7, votes, 1, 1, 2)
    assert certified(ballot) == (band_ballots.slack(ballot) >= 0)
    assert band_ballots.slack(ballot) == 0
    moved = instances.moved(ballot)
    assert band_ballots.slack(moved) < 0
    assert not certified(moved)
    assert moved.votes.sum() == votes.sum()
    assert "= false" in instances.votes_check("a", moved, False)
    with pytest.raises(ValueError, match="image 7: no single vote decides"):
        instances.moved(ballot._replace(votes=np.eye(3, dtype=np.uint8)[[1] * 12]))


def test_the_closest_call_of_each_set_is_told():
    sure = np.eye(3, dtype=np.uint8)[[1] * 6]
    near = sure.copy()
    near[0] = [1, 0, 0]
    cast = {
        name: band_ballots.Ballot(0, votes, 1, 1, 1)
        for name, votes in (("a_1", sure), ("b_1", near), ("a_2", near), ("b_2", sure))
    }
    assert sorted(instances.closest_of_each(cast)) == ["a_2", "b_1"]


def test_files_are_written_where_they_changed_and_removed_where_they_are_gone(tmp_path):
    instances.write(tmp_path, [("A", "one"), ("B", "two")])
    before = (tmp_path / "A.v").stat().st_mtime_ns
    instances.write(tmp_path, [("A", "one")])
    assert (tmp_path / "A.v").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["A.v"]

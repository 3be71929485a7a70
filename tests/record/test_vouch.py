"""A stored result is vouched for: its witness, and one stage of it that is computed again."""

import dataclasses
import json
import time
from random import Random

import pytest

from rs_lib import __main__ as command_line
from rs_lib import experiments
from rs_lib.machines.data import DataError
from rs_lib.record import places
from rs_lib.record.again import stands_in
from rs_lib.record.result import Result


@pytest.fixture
def stored(toy):
    """The toy experiment with a stored result whose five stages are kept."""
    toy.experiment.store(toy.experiment.run("full", keep_stages=True))
    toy.CALLS.clear()
    return toy


def _vouched(toy, seed=0, seconds=60.0, absent=DataError):
    return toy.experiment.vouch("full", seed=seed, seconds=seconds, absent=DataError)


def test_one_of_the_kept_stages_is_computed_again_and_another_seed_draws_another(stored):
    drawn = set()
    for seed in range(8):
        told = _vouched(stored, seed)
        assert told == _vouched(stored, seed)
        assert told.endswith(", of 5, agrees with what is kept of it")
        drawn.add(told)
    assert len(stored.CALLS) == 16
    assert len(drawn) > 2  # eight draws among five give one or two with probability below 4e-3


def test_a_stage_that_the_witness_does_not_reach_is_found_out(stored, monkeypatch):
    right = stored._square
    monkeypatch.setattr(
        stored, "_square", lambda term: right(term) | {"square": term**2 + (term == 4)}
    )
    before = stored.experiment.path("full").read_bytes()
    draws = {Random(seed).choice(range(5)): seed for seed in range(40)}  # noqa: S311
    assert "agrees" in _vouched(stored, draws[0])
    with pytest.raises(ValueError, match="other values now than what is kept of it: run toy-sum"):
        _vouched(stored, draws[4])
    assert stored.experiment.path("full").read_bytes() == before


def _forget_stages():
    for path in places.HERE.stages.iterdir():
        path.unlink()


def test_what_is_not_kept_is_compared_with_its_digest(stored, monkeypatch):
    _forget_stages()
    assert _vouched(stored).endswith(", of 1, agrees with its digest in the result")
    assert list(places.HERE.stages.iterdir()) == []
    monkeypatch.setattr(stored, "_square", lambda term: {"square": 7})
    with pytest.raises(ValueError, match="gives other values now than its digest in the result"):
        _vouched(stored)


def _edit(toy, **changes):
    result = toy.experiment.recorded("full")
    run = {key: value for key, value in (result.run | changes).items() if value is not None}
    Result(result.content, run).write(toy.experiment.path("full"))


def test_what_cannot_be_compared_is_said(stored):
    _forget_stages()
    _edit(stored, stages=None)
    assert _vouched(stored).endswith(
        "again, but that is a step on the way: the result holds nothing to compare it with"
    )
    _edit(stored, device="another")
    assert "but the result is of another machine or other versions" in _vouched(stored)


def _slow(term):
    time.sleep(30)


def _slow_and_careful(term):
    """As code around a model does, which takes each of its errors for the model's."""
    try:
        time.sleep(30)
    except Exception as error:
        raise ValueError("mend the model") from error


@pytest.mark.parametrize("work", [_slow, _slow_and_careful])
def test_what_takes_too_long_is_given_up(stored, monkeypatch, work):
    monkeypatch.setattr(stored, "_square", work)
    start = time.monotonic()
    told = _vouched(stored, seconds=0.3)
    assert told == "no stage was computed again: none was done after 0.3 s"
    assert time.monotonic() - start < 20


def test_a_result_of_changed_parameters_is_computed_again_with_these(toy):
    changes = {"terms": 2, "inner.levels": (0.25,)}
    made = toy.experiment.run("full", changes=changes, keep_stages=True)
    toy.experiment.store(made, record=True)
    assert ", of 2, agrees" in _vouched(toy)
    assert dataclasses.asdict(toy.experiment.parameters("full", toy.experiment._used(made)))[
        "inner"
    ]["levels"] == (0.25,)


VALUES = {"data": "x", "runs": [{"sigma": 0.5, "losses": [2.0, 1.0]}, {"right": [1, 0, 1, 1]}]}


@pytest.mark.parametrize(
    ("share", "found"),
    [
        ({"losses": [2.0, 1.0 + 1e-12]}, True),
        ({"losses": [2.0, 1.1]}, False),
        ({"right": [0, 1]}, True),
        ({"right": [1, 1, 1]}, False),
        ({"right": [1, 0, 1, 1, 0]}, False),
        ({"sigma": 0.5, "right": [1]}, None),
        ({"runs": [{"losses": [1.0]}, {"right": [1, 1]}]}, True),
        ({"answers": [1]}, None),
    ],
)
def test_a_share_of_the_values_is_recognised(share, found):
    assert stands_in(VALUES, share) is found


@pytest.mark.parametrize("name", ["placed-balls", "certified-accuracy", "label-flips"])
def test_stages_of_real_experiments_stand_in_their_values(name, tmp_path, monkeypatch):
    """Of experiments whose stored results lack digests of their stages."""
    found = experiments.find(name)
    shares = []

    class Listening(type(found.context())):
        def stage(self, name, inputs, compute):
            value = compute()
            shares.append(value)
            return value

    values = json.loads(json.dumps(found.compute(found.witness, Listening())))
    plain = [{key: part for key, part in share.items() if key != "places"} for share in shares]
    assert shares
    assert {stands_in(values, share) for share in plain if share} == {True}


def test_the_command_shows_the_seed(stored, capsys):
    assert command_line.main(["vouch", "toy-sum", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stages are drawn with --seed 3"
    assert lines[1].startswith("toy-sum.full.json: the witness agrees; stage square-")
    assert command_line.main(["vouch", "toy-sum", "--seconds", "-1"]) == 2
    assert "seconds is -1.0" in capsys.readouterr().err


def test_data_that_are_not_to_be_had_leave_the_witness_and_other_failures_do_not(stored):
    failure = DataError

    def compute(parameters, context):
        raise failure("cifar10 could not be downloaded: connect to the network")

    apart = dataclasses.replace(stored.experiment, compute=compute)
    told = apart.vouch("full", seed=0, seconds=60.0, absent=DataError)
    assert told == (
        "no stage was computed again: cifar10 could not be downloaded: connect to the network"
    )
    before = stored.experiment.path("full").read_bytes()
    for failure in (RuntimeError, ValueError):
        with pytest.raises(failure, match="cifar10 could not"):
            apart.vouch("full", seed=0, seconds=60.0, absent=DataError)
    assert stored.experiment.path("full").read_bytes() == before

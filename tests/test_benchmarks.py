"""The benchmarks run, and their tables say what they claim; no time is tested.

Seeded; a new seed puts a number of false certificates outside its band with probability 2e-6.
"""

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import certify, clock, imagenet, noise, scores, sequential, soundness, training


def test_false_certificates_stay_in_their_exact_band():
    rows = soundness.measure(certificates=3000)
    assert {row["procedure"] for row in rows} == {"fixed n", "sequential"}
    for row in rows:
        assert row["inside"]
        assert row["false"] > 0
        assert row["exact_error"] <= row["alpha"]


def test_the_calibrated_rule_meets_its_targets_on_published_distributions():
    rows = sequential.measure()
    assert len({row["log"] for row in rows}) >= 10
    best, wald, _ = sequential.summary(rows)
    assert best["mean"] <= 0.90
    assert best["largest"] <= 1.0
    assert wald["mean"] <= 1.3


def test_the_engine_decides_as_the_textbook_loop_does():
    row = certify.end_to_end("quick", images=60, n=2_000, timed=2)
    assert row["agreement_where_decided"] >= 0.9
    assert row["mean_samples"] < 2_000
    assert row["ratio"] > 0


def test_training_is_set_beside_the_bare_passes():
    rows = training.measure(batches=1, repeats=1)
    assert [row["precision"] for row in rows] == ["float32", "bfloat16"] * 2
    for row in rows:
        assert row["images"] == training.FULL.batch_size
        assert row["training_over_bare"] == row["training_per_second"] / row["bare_per_second"] > 0


def test_objectives_are_set_beside_as_many_bare_passes():
    rows = training.objectives(batch_size=4, repeats=1)
    assert [row["passes"] for row in rows] == [1, 2, 44, 16, 2, 24, 24]
    for row in rows:
        speeds = row["objective_per_second"], row["bare_per_second"]
        assert row["objective_over_bare"] == speeds[0] / speeds[1] > 0


def test_imagenet_is_estimated_by_the_speed_of_the_engine():
    for row in imagenet.measure(tiles=1, device="cpu"):
        assert row["hours"] * 3600 * row["samples_per_second"] == pytest.approx(500 * 100_000)


def test_radii_of_scores_agree_with_the_loop_over_roots():
    law = scores.law(20, 64, samples=200, repeats=1, textbook_images=20)
    vector = scores.vector(10, ways=3, repeats=1, textbook_pairs=2)
    assert (law["images"], law["bins"], vector["queries"], vector["ways"]) == (20, 64, 10, 3)
    for row in (law, vector):
        assert row["ratio"] == row["textbook_seconds"] / row["seconds"] > 0


def test_turns_alternate():
    turns = []
    ways = [lambda: turns.append("a"), lambda: turns.append("b")]
    times = clock.alternate(ways, repeats=2, calls=2)
    assert turns == ["a", "a", "b", "b"] * 3
    assert [len(kept) for kept in times] == [2, 2]


def test_tables_are_aligned_and_named(capsys):
    rows = noise.measure(repeats=1)
    benchmarks.show("Noise", rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Noise"
    assert len({len(line) for line in lines[2:]}) == 1
    assert len(rows) == 6


def test_a_wrong_section_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "speed"])
    with pytest.raises(SystemExit):
        benchmarks.main()
    assert "section is 'speed'" in capsys.readouterr().err

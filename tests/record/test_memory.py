"""The memory of a run: measured, of this run, of its stages; absent where it cannot be told."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from rs_lib.record import checkpoint, memory, places, result
from rs_lib.record.devices import Meter

MIB = 2**20


def _take(size):
    """Touch `size` bytes, and give them back: an array of this size is a mapping of its own."""
    np.ones(size, np.uint8)


def test_what_is_taken_is_measured_and_what_was_taken_before_is_not():
    """400 MiB, then 100 MiB: the second measurement sees less than the first, and the first all."""
    first = memory.Since()
    _take(400 * MIB)
    high = first.most()
    second = memory.Since()
    _take(100 * MIB)
    low = second.most()
    if not memory._lower():
        pytest.skip("this system cannot lower the mark")
    assert high - low > 200 * MIB
    assert first.most() == high
    assert low > 100 * MIB
    assert memory.of_process() >= high


def test_where_the_mark_cannot_be_lowered_only_a_higher_one_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_RESET", tmp_path / "no" / "such")
    _take(300 * MIB)
    monkeypatch.setattr(memory, "_own", lambda: 300 * MIB)
    since = memory.Since()
    assert since.most() is None
    monkeypatch.setattr(memory, "_own", lambda: 301 * MIB)
    assert since.most() == 301 * MIB


CHILD = """
import subprocess, sys
from rs_lib.record import memory
since = memory.Since()
before = since.most()
subprocess.run([sys.executable, "-c", "import numpy; numpy.ones(500 << 20, 'u1')"], check=True)
print(before, since.most(), memory.of_process())
"""


def test_a_process_that_was_waited_for_counts():
    """Asked in a process of its own, which has waited for no larger one before."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=places.HERE.root, capture_output=True, check=True
    )
    before, after, whole = map(int, done.stdout.split())
    assert before < 200 * MIB
    assert after >= 500 * MIB
    assert whole == after


@pytest.mark.parametrize(
    ("peaks", "highest"),
    [
        ([], {}),
        ([{"process": 3}], {"process": 3}),
        ([{"process": 3, "device": 9}, {"process": 5}], {"process": 5}),
        ([{"process": 3, "device": 9}, {"process": 5, "device": 2}], {"process": 5, "device": 9}),
        ([{"process": 3}, {}], {}),
    ],
)
def test_the_highest_of_peaks_is_told_where_all_tell(peaks, highest):
    assert memory.highest(peaks) == highest


def test_a_run_tells_the_memory_of_all_its_sittings_or_nothing(toy):
    run = toy.experiment.run("full", keep_stages=True).run
    assert set(run["peak_memory"]) == {"process"}
    stages = sorted(places.HERE.stages.glob("*.pt"))
    for path in stages:
        kept = checkpoint.load(path)
        assert 0 < kept["memory"]["process"] <= run["peak_memory"]["process"]
        checkpoint.save(path, {**kept, "memory": {"process": 2**50}})
    again = toy.experiment.run("full", keep_stages=True).run
    assert again["peak_memory"] == {"process": 2**50}
    kept = checkpoint.load(stages[0])
    del kept["memory"]  # as a stage of November 2026
    checkpoint.save(stages[0], kept)
    assert "peak_memory" not in toy.experiment.run("full", keep_stages=True).run


def test_a_result_without_memory_is_as_good_as_before(toy):
    made = toy.experiment.run("full", keep_stages=True)
    less = result.Result(made.content, {k: v for k, v in made.run.items() if k != "peak_memory"})
    assert less.digest == made.digest
    toy.experiment.store(less)
    assert toy.experiment.recorded("full").run == less.run
    assert not toy.experiment.stale(toy.experiment.recorded("full"))
    toy.experiment.require_present(less)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_what_torch_held_there_is_told():
    meter = Meter("cuda")
    before = meter.peak()["device"]
    torch.ones(64 * MIB, dtype=torch.uint8, device="cuda")
    assert meter.peak()["device"] >= max(before, 64 * MIB)
    assert Meter("cuda").peak()["device"] < 64 * MIB

"""Workers: what they send, and a real job of processes beside its simulation, whole and broken.

Deterministic but for the order in which processes end.
"""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rs_lib.machines import data, worker_processes, workers

JOB = workers.Job(
    dataset="digits",
    model="linear",
    workers=5,
    faulty=1,
    rule="trimmed mean",
    attack="against",
    steps=20,
    batch_size=32,
    learning_rate=0.5,
    seed=7,
)


def _work(**changes):
    return workers.Work(dataclasses.replace(JOB, **changes), data.load("digits"))


def test_five_processes_end_with_the_weights_of_one_to_the_last_byte():
    """Each of the five, a faulty one among them; by the plain mean they are ruined, and equal."""
    found = {}
    for rule in ("trimmed mean", "mean"):
        work = _work(rule=rule)
        alone = workers.simulate(work)
        for weights in worker_processes.run(work.job):
            assert weights.numpy().tobytes() == alone.numpy().tobytes()
        found[rule] = work.correct(alone)
    assert found["mean"] < 150 < 300 < found["trimmed mean"]


def _broken(how):
    """Return a body whose last worker gets the signal `how` in step 5."""

    class Broken(workers.Work):
        def sent(self, weights, worker, step):
            if worker == JOB.workers - 1 and step == 5:
                os.kill(os.getpid(), how)
            return super().sent(weights, worker, step)

    return Broken


def _told_in(folder, worker):
    """Let this process say in a file what it says: the server of forks has its own output."""
    sys.stderr = Path(folder, f"{worker}.told").open("w")  # noqa: SIM115 (until the process ends)


def killed(job, worker, folder, *rest):
    """Be a worker of a job whose last one dies."""
    _told_in(folder, worker)
    worker_processes.Work = _broken(signal.SIGKILL)
    worker_processes.body(job, worker, folder, *rest)


def stopped(job, worker, folder, *rest):
    """Be a worker of a job whose last one hangs."""
    _told_in(folder, worker)
    worker_processes.Work = _broken(signal.SIGSTOP)
    worker_processes.body(job, worker, folder, *rest)


@pytest.mark.parametrize(("target", "timeout"), [(killed, 20.0), (stopped, 3.0)])
def test_the_others_end_when_one_is_lost_or_hangs(target, timeout, tmp_path):
    """With one sentence each, status 1, within the timeout, and no weights."""
    begun = time.monotonic()
    processes = [
        worker_processes.started(target, JOB, worker, str(tmp_path), timeout) for worker in range(5)
    ]
    *others, last = worker_processes.ended(processes, timeout)
    assert others == [1] * 4
    assert last == -signal.SIGKILL  # its own, or that which ends a process that hangs
    for worker in range(4):
        assert (tmp_path / f"{worker}.told").read_text() == (
            f"worker {worker} of 5 stops in step 5: another worker was lost or silent for "
            f"{timeout:g} s, start the job again\n"
        )
    assert not (tmp_path / "4.told").read_text()
    assert not list(tmp_path.glob("*.pt"))
    # Starting takes seconds on a busy machine; waiting for ever would take longer than all of it.
    assert time.monotonic() - begun < 120


def test_a_job_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(worker_processes, "body", killed)
    with pytest.raises(RuntimeError, match="workers 0, 1, 2, 3, 4 of 5 did not end well"):
        worker_processes.run(JOB, timeout=20.0)


@pytest.mark.parametrize("attack", workers.NAMES)
def test_one_process_sends_what_each_worker_would(attack):
    work = _work(attack=attack, faulty=2)
    weights = work.start()
    together = work.all_sent(weights, 3)
    for worker in range(5):
        alone = work.sent(weights, worker, 3)
        assert alone.numpy().tobytes() == together[worker].numpy().tobytes()


def test_attacks_are_what_they_say():
    honest = _work(faulty=2).all_sent(_work().start(), 0)[:3].double()
    mean = honest.mean(dim=0)
    sent = {name: attack(honest, 2) for name, attack in workers.ATTACKS.items()}
    assert torch.equal(sent["against"], -10 * mean)
    assert torch.equal(sent["half against"], -mean / 2)
    assert torch.equal(sent["mimic"], honest[0])
    assert sent["not a number"].isnan().all()
    # Of nine others and two faulty ones, five ninths lie below z.
    nine = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = (nine.mean(dim=0) - workers.ATTACKS["a little"](nine, 2)) / nine.std(dim=0, correction=0)
    assert z.numpy() == pytest.approx(0.1397102989)


def test_the_share_of_each_worker_is_its_own():
    shares = _work().shares
    assert sorted(np.concatenate(shares)) == list(range(1297))
    work = _work(attack="labels")
    weights = work.start()
    assert not torch.equal(work.gradient(weights, 4, 0), work.sent(weights, 4, 0))
    assert torch.equal(work.gradient(weights, 3, 0), work.sent(weights, 3, 0))


def test_rules_say_how_many_workers_they_need():
    for name, rule in workers.RULES.items():
        for faulty in range(4):
            need = workers.NEEDS[name](faulty)
            rule(torch.zeros(need, 2), faulty)
            if need > 1:
                with pytest.raises(ValueError, match=f"give at least {need} vectors"):
                    rule(torch.zeros(need - 1, 2), faulty)

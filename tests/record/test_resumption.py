"""A run that is killed in a training goes on from its last epoch, to the same bits."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from rs_lib.machines import band_classifier, bands, data, models, training
from rs_lib.machines.epochs import Epochs
from rs_lib.noise import Gaussian
from rs_lib.record import places
from rs_lib.record.checkpoint import NOTHING, Checkpoint
from rs_lib.record.stage import Context, Origin

EPOCHS = 8
RUN = f"""
import dataclasses, json, sys
from pathlib import Path
from rs_lib.experiments import certified_accuracy
from rs_lib.machines import epochs
from rs_lib.record import places

finish, trained = epochs.Epochs.finish, []

def told(self, loss):
    trained.append(loss)
    finish(self, loss)

epochs.Epochs.finish = told

class Elsewhere(places.Places):
    stages = Path(sys.argv[1])

places.HERE = Elsewhere()
changes = {{"sigmas": (0.5,), "epochs": {EPOCHS}, "images": 20, "n0": 10, "n": 50}}
changes |= {{"attack_radii": (0.0,), "attack_steps": 1}}
made = certified_accuracy.experiment.run("quick", changes=changes, keep_stages=True)
print(json.dumps([made.digest, made.values, len(trained), made.run["stages_reused"]]))
"""


def _started(stages):
    environment = {**os.environ, "PYTHONPATH": str(places.HERE.root)}
    command = [sys.executable, "-c", RUN, str(stages)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def _whole(stages):
    with _started(stages) as process:
        told, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(told)


def _epochs(path):
    return len(Checkpoint(path).load()["losses"]) if path.is_file() else 0


def test_a_run_that_is_killed_in_a_training_gives_the_same_values(tmp_path):
    """Killed (SIGKILL) in a middle epoch, started again, and compared with a run in one go."""
    stages = tmp_path / "killed"
    with _started(stages) as process:
        end, reached = time.monotonic() + 300, 0
        while process.poll() is None and reached < 3 and time.monotonic() < end:
            reached = max(map(_epochs, stages.glob("*.unfinished")), default=0)
        process.send_signal(signal.SIGKILL)
    (unfinished,) = stages.glob("*.unfinished")
    done = _epochs(unfinished)
    assert 3 <= done < EPOCHS, "it was not killed in the middle"
    assert list(stages.glob("*.pt")) == []
    resumed, whole = _whole(stages), _whole(tmp_path / "whole")
    assert resumed[:2] == whole[:2]
    # Two networks: the one that was interrupted, and the undefended one.
    assert (resumed[2], whole[2]) == (2 * EPOCHS - done, 2 * EPOCHS)
    assert len(list(stages.glob("*.pt"))) == 3
    assert not list(stages.glob("*.unfinished"))
    assert _whole(stages)[2:] == [0, 3]


class StoppedError(Exception):
    """Raised where a test stops a training."""


class Stopping(Checkpoint):
    """A checkpoint that stops the training after it has kept two epochs."""

    def save(self, state):
        super().save(state)
        if len(state["losses"]) == 2:
            raise StoppedError


def _state(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def _plain(digits, checkpoint):
    model = models.build("small-cnn", digits.image_shape, 10, seed=1)
    losses = training.train(
        model,
        digits.as_float(digits.train_images[:200]),
        digits.train_labels[:200],
        noise=Gaussian(0.3),
        epochs=4,
        batch_size=64,
        learning_rate=0.1,
        seed=3,
        checkpoint=checkpoint,
    )
    return losses, _state(model)


def _banded(digits, checkpoint):
    model = bands.masked_network(digits.image_shape, 10, "columns", 2, 1)
    losses = band_classifier.fit(
        model,
        digits.as_float(digits.train_images[:200]),
        digits.train_labels[:200],
        epochs=4,
        batch_size=64,
        learning_rate=0.1,
        seed=3,
        shift=1,
        flip=True,
        checkpoint=checkpoint,
    )
    return losses, _state(model)


@pytest.mark.parametrize("train", [_plain, _banded])
def test_a_training_that_stops_goes_on_to_the_same_bits(digits, tmp_path, train):
    """Also where the model itself draws: shifts, reflections and the positions of bands."""
    path = tmp_path / "training.unfinished"
    with pytest.raises(StoppedError):
        train(digits, Stopping(path))
    resumed, whole = train(digits, Checkpoint(path)), train(digits, NOTHING)
    assert resumed[0] == whole[0]
    assert torch.equal(resumed[1], whole[1])
    # Nothing is left to do, and the state is that of the end.
    assert torch.equal(train(digits, Checkpoint(path))[1], whole[1])


def test_a_loss_that_is_no_number_is_not_kept(tmp_path):
    checkpoint = Checkpoint(tmp_path / "kept")
    epochs = Epochs(checkpoint, draw=torch.Generator().manual_seed(0))
    epochs.finish(1.0)
    with pytest.raises(FloatingPointError, match="nan after epoch 2: give a smaller"):
        epochs.finish(float("nan"))
    assert Epochs(checkpoint, draw=torch.Generator()).losses == [1.0]
    checkpoint.remove()
    assert checkpoint.load() is None


def test_processes_share_the_stages_that_none_of_them_has(tmp_path, monkeypatch):
    """While one process computes a stage another one takes the next, and waits at the end."""
    monkeypatch.setattr(places, "HERE", places.Places(tmp_path))
    order = []
    context = Context(origin=Origin(1, {}, "code"))
    other = Context(origin=Origin(1, {}, "code"))
    begun, may_end = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert may_end.wait(20)
        order.append("slow")
        return {"value": 0}

    def quick(value):
        order.append(value)
        may_end.set()
        return {"value": value}

    inputs = [{"part": value} for value in range(3)]
    works = [(given, partial(quick, given["part"])) for given in inputs]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(context.stages, "part", [(inputs[0], slow)])
        assert begun.wait(20)
        reports = []
        made = other.stages("part", works, reports.append)
        assert first.result() == [{"value": 0}]
    assert made == [{"value": 0}, {"value": 1}, {"value": 2}]
    assert order.index(1) < order.index("slow")
    assert 0 not in order
    assert reports == [1, 2, 3]
    assert len(other.log.made) == 2
    assert len(other.log.reused) == 1

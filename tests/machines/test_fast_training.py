"""Fast training: the same bits after a kill, batches that keep their range, noise of the law.

Seeded; a new seed fails the test of the noise with probability 1e-9, that of the reflections with
2e-9, and no other.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from scipy import stats
from torch import nn

from rs_lib.machines import data, fast_training
from rs_lib.machines.compact_residual import compact_residual, folded
from rs_lib.noise import Gaussian
from rs_lib.record import places
from rs_lib.record.checkpoint import Checkpoint

RECIPE = fast_training.Recipe(
    epochs=4, batch_size=32, learning_rate=0.2, weight_decay=5e-4, shift=1, flip=True, average=0.9
)
KILLED = """
import sys
from pathlib import Path

import torch
from tests.machines import test_fast_training as tests
from rs_lib.machines import fast_training
from rs_lib.record.checkpoint import Checkpoint

torch.set_num_threads(int(sys.argv[2]))
kept = Checkpoint(Path(sys.argv[1]))
fast_training.run(tests.training(), kept, lambda line: print(line, flush=True))
"""


def training(noise=Gaussian(0.25), **changes):  # noqa: B008 - a frozen value
    digits = data.load("digits")
    return fast_training.Training(
        compact_residual(digits.image_shape, 10, 1, widths=(8, 16), blocks=(1, 1)),
        digits.train_images,
        digits.train_labels,
        levels=digits.levels,
        noise=noise,
        recipe=dataclasses.replace(RECIPE, **changes),
        seed=3,
    )


def _bits(outcome):
    return torch.cat([weight.double().flatten() for weight in outcome["weights"].values()])


@pytest.fixture(scope="module")
def whole():
    return fast_training.run(training())


def test_training_learns_and_says_so(whole):
    assert len(whole["losses"]) == RECIPE.epochs
    assert whole["losses"][-1] < whole["losses"][0] * 0.8


def test_a_training_killed_in_the_middle_ends_in_the_same_bits(whole, tmp_path):
    kept = tmp_path / "kept.pt"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(kept), str(torch.get_num_threads())],
        cwd=places.HERE.root,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        line = process.stdout.readline()
        time.sleep(0.05)  # into the second epoch
        os.kill(process.pid, signal.SIGKILL)
    assert line.startswith("epoch 1 of 4: loss ")
    assert process.returncode == -signal.SIGKILL
    told = []
    again = fast_training.run(training(), Checkpoint(kept), told.append)
    assert 1 <= len(told) < RECIPE.epochs
    assert again["losses"] == whole["losses"]
    assert torch.equal(_bits(again), _bits(whole))
    assert [path.name for path in tmp_path.iterdir()] == ["kept.pt"]


def test_a_finished_training_is_not_repeated(whole, tmp_path):
    kept = Checkpoint(tmp_path / "kept.pt")
    fast_training.run(training(epochs=1), kept)
    told = []
    again = fast_training.run(training(epochs=1), kept, told.append)
    assert told == []
    assert not torch.equal(_bits(again), _bits(whole))


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    made = training(epochs=20, batch_size=1297)
    rates = []
    for number in range(20):
        rates.append(made.schedule.get_last_lr()[0])
        made.epoch(number)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(RECIPE.learning_rate, rel=0.05)
    assert rates[-1] < RECIPE.learning_rate / 1000


def test_batches_keep_shape_and_range_and_follow_their_generator():
    made = training(noise=None, shift=3)
    chosen = torch.arange(200)
    one, same, other = (
        made.batch(chosen, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one.shape == (200, 1, 8, 8)
    assert one.dtype == torch.float32
    assert 0 <= one.min() < one.max() <= 1
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_without_shift_half_of_the_images_are_reflected():
    made = training(noise=None, shift=0)
    plain = made.images.float() / 16
    batch = made.batch(torch.arange(1297), torch.Generator().manual_seed(1))
    reflected = (batch == plain.flip(3)).all(dim=(1, 2, 3))
    assert ((batch == plain).all(dim=(1, 2, 3)) | reflected).all()
    # No digit of these scans is its own mirror image.
    assert stats.binomtest(int(reflected.sum()), 1297).pvalue > 2e-9


def test_the_noise_is_that_of_the_law():
    noisy, plain = training(shift=0, flip=False), training(noise=None, shift=0, flip=False)
    chosen = torch.arange(1000)
    noise = noisy.batch(chosen, torch.Generator().manual_seed(1)) - plain.batch(
        chosen, torch.Generator().manual_seed(1)
    )
    assert stats.kstest(noise.double().flatten().numpy(), stats.norm(0, 0.25).cdf).pvalue > 1e-9


class _Slow(nn.Module):
    """A network that takes its time in one of the two precisions."""

    def __init__(self, slow_half):
        super().__init__()
        self.head, self.slow_half = nn.Linear(64, 10), slow_half

    def forward(self, images):
        if torch.is_autocast_enabled("cpu") == self.slow_half:
            time.sleep(0.1)
        return self.head(images.flatten(1))


@pytest.mark.parametrize(("slow_half", "faster"), [(True, "float32"), (False, "bfloat16")])
def test_the_faster_precision_is_measured(slow_half, faster):
    model = _Slow(slow_half)
    before = model.head.weight.clone()
    found = fast_training.faster_precision(
        model, torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.int64)
    )
    assert found == faster
    assert torch.equal(model.head.weight, before)
    assert model.head.weight.grad is None


def test_bfloat16_learns_too(whole):
    half = fast_training.run(training(precision="bfloat16"))
    assert {weight.dtype for weight in half["weights"].values()} == {torch.float32, torch.int64}
    assert half["losses"][-1] < half["losses"][0] * 0.8
    assert half["losses"] != whole["losses"]


def test_bad_training_is_named():
    with pytest.raises(ValueError, match="batch_size is 1298: give at most the 1297 images"):
        training(batch_size=1298)
    with pytest.raises(ValueError, match="epochs is 0"):
        training(epochs=0)
    with pytest.raises(ValueError, match="precision is 'float16'"):
        training(precision="float16")
    with pytest.raises(ValueError, match=r"images is torch.float32 .* give uint8"):
        fast_training.Training(
            nn.Flatten(),
            torch.rand(2, 1, 8, 8),
            torch.zeros(2),
            levels=16,
            noise=None,
            recipe=RECIPE,
            seed=0,
        )
    with pytest.raises(FloatingPointError, match="give a smaller learning_rate"):
        fast_training.run(training(learning_rate=1e30))


def test_no_global_generator_is_touched():
    before = torch.get_rng_state()
    fast_training.run(training(epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_network_has_its_size_and_its_seed():
    builds = [
        compact_residual((3, 32, 32), 10, seed, widths=(48, 72, 96), blocks=(2, 1, 1))
        for seed in (1, 1, 2)
    ]
    assert 250_000 < sum(weight.numel() for weight in builds[0].parameters()) < 350_000
    stems = [network.stem[0].weight for network in builds]
    assert torch.equal(stems[0], stems[1])
    assert not torch.equal(stems[0], stems[2])
    assert builds[0](torch.rand(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"widths is \(8,\) and blocks \(1, 1\)"):
        compact_residual((3, 32, 32), 10, 0, widths=(8,), blocks=(1, 1))


def test_folding_changes_no_answer_beyond_rounding(whole):
    network = training().model
    network.load_state_dict(whole["weights"])
    images = data.load("digits").test_images.float() / 16
    with pytest.raises(ValueError, match="training mode"):
        folded(network)
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(folded(network)(images), network(images), rtol=0, atol=1e-4)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded(network).stem.modules())


class _Plain(nn.Module):
    """A network whose batch does not matter to its rows, unlike that of batch normalisations."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.inner = nn.Linear(64, 24)
        self.outer = nn.Linear(24, 10)
        for weight in self.parameters():
            weight.data = 0.1 * torch.randn(weight.shape, generator=generator)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x.flatten(1))))


def plain_training():
    digits = data.load("digits")
    return fast_training.Training(
        _Plain(),
        digits.train_images,
        digits.train_labels,
        levels=digits.levels,
        noise=None,
        recipe=dataclasses.replace(RECIPE, shift=0, flip=False),
        seed=3,
    )


def _torchrun(program, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(places.HERE.root)}
    return subprocess.run(
        [*command, "--nproc-per-node", "2", str(program), *map(str, arguments)],
        cwd=places.HERE.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_processes_train_as_one_does_on_the_same_batches(tmp_path):
    """Gradients of the shares are those of the whole batch, up to rounding; losses as well."""
    program = tmp_path / "program.py"
    program.write_text(SHARED)
    done = _torchrun(program, tmp_path / "made.pt")
    assert done.returncode == 0, done.stderr
    together = torch.load(tmp_path / "made.pt", weights_only=True)
    alone = fast_training.run(plain_training())
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    torch.testing.assert_close(together["weights"], alone["weights"], rtol=1e-3, atol=1e-5)
    assert together["made"] == 2 * [True]
    assert together["again"] == 2 * [False]


SHARED = """
import sys
from pathlib import Path

import torch
from torch import distributed

from rs_lib.commands.ranks import PATIENCE, joined
from rs_lib.machines import fast_training
from rs_lib.record import places
from rs_lib.record.stage import Context, Origin
from tests.machines import test_fast_training as tests


class Elsewhere(places.Places):
    stages = Path(sys.argv[1]).parent / "stages"


places.HERE = Elsewhere()
with joined(PATIENCE) as ranks:
    work = lambda checkpoint: fast_training.run(tests.plain_training(), checkpoint)
    found = []
    for _ in range(2):
        context = Context(origin=Origin(1, {}, "code"))
        outcome = context.training("train", {}, work, joint=True)
        found.append(ranks.agree(lambda: bool(context.log.made)))
    if ranks.rank == 0:
        assert [path.suffix for path in sorted(places.HERE.stages.iterdir())] == [".lock", ".pt"]
        torch.save({**outcome, "made": found[0], "again": found[1]}, sys.argv[1])
"""


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(fast_training.parallel, "world", lambda: 3)
    with pytest.raises(ValueError, match="batch_size is 32: give a multiple of the 3 processes"):
        training()

"""The health test inside the engine: sound words pass, tampered ones stop before a certificate.

Words are tampered with where they are made: the generator is an argument of the noise source.
"""

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib.experiments.weak_generators import TAMPER
from rs_lib.machines import data
from rs_lib.noise import Ablation, Flip, Gaussian, Rounded, Uniform, noisy_images
from rs_lib.noise.watch import POSITIONS, Watch
from rs_lib.noise.words import counter_based
from rs_lib.seeds import derive
from rs_lib.smoothing import (
    Certifier,
    Executed,
    FixedSamples,
    Health,
    RadiusTable,
    UnhealthyNoiseError,
    certify,
)
from rs_lib.smoothing.health import EVERY

SCANS = data.load("digits")
GREY = SCANS.test_images
LAWS = [
    Rounded(Gaussian(0.5), 16),
    Rounded(Uniform(0.5), 16),
    Gaussian(0.5),
    Ablation(12, 64, 16),
    Flip("0.8", 16),
]


class Linear(nn.Module):
    """Ten classes by fixed weights of whatever the classifier sees."""

    def __init__(self, numbers):
        super().__init__()
        draw = torch.Generator().manual_seed(3)
        self.weights = nn.Parameter(torch.randn((numbers, 10), generator=draw))

    def forward(self, z):
        return z.flatten(1) @ self.weights


def _images(law, count):
    own = GREY[:count]
    return own if law.levels else own.float() / 16


def _certifier(law, plan, images, generator, error=2.0**-20):
    shape = law.seen((1, 8, 8))
    executed = Executed(Linear(int(np.prod(shape))).eval(), classes=10)
    health = Health(images, error)
    return Certifier(executed, law, plan, seed=5, health=health, generator=generator)


def tampered(attack, strength, since=0, ids=None):
    """Return a generator whose words are attacked, a sample at a time."""

    def words(device, key, streams, blocks, count):
        made = counter_based(device, key, streams, blocks, count).numpy().view(np.uint64).copy()
        for row, stream in enumerate(streams.tolist()):
            if stream >= since if ids is None else stream in ids:
                made[row] = TAMPER[attack](made[row], strength)
        return torch.from_numpy(made.view(np.int64))

    return words


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("strength", [0, 1, 4])
@pytest.mark.parametrize("attack", ["alpha", "beta", "gamma"])
def test_every_attack_stops_before_the_first_image_is_certified(attack, strength, law):
    # Alpha begins at 1/2, its strongest.
    words = tampered(attack, max(strength, 0.5) if attack == "alpha" else strength)
    decided = []
    certifier = _certifier(law, FixedSamples(1_000), 3, words)
    with pytest.raises(UnhealthyNoiseError, match="random words of image"):
        certifier.certify(_images(law, 3), [7, 8, 9], lambda _, done: decided.append(done))
    assert sum(decided) == 0


def test_an_attack_on_one_image_names_it():
    words = tampered("beta", 1, ids={11, 12})
    certifier = _certifier(LAWS[0], RadiusTable([0.0, 0.25], 2_000), 5, words)
    with pytest.raises(UnhealthyNoiseError, match=r"images 11, 12 are not.*bit 8 of image 11"):
        certifier.certify(GREY[:5], [10, 11, 12, 13, 14])


@pytest.mark.parametrize("plan", [FixedSamples(3_000), RadiusTable([0.0, 0.25], 20_000)])
def test_what_is_handed_over_early_has_passed_the_test(plan):
    """Bad words of image 12 come in its second stream only, when others may be finished."""

    def words(device, key, streams, blocks, count):
        bad = {12} if key == derive(5, "estimate") else set()
        return tampered("beta", 0, ids=bad)(device, key, streams, blocks, count)

    whole = _certifier(LAWS[0], plan, 4, counter_based).certify(GREY[:4], [10, 11, 12, 13])
    certifier, given = _certifier(LAWS[0], plan, 4, words), []

    def take():
        for rows, found in certifier.parts(GREY[:4], [10, 11, 12, 13], due=lambda: True):
            given.extend(rows.tolist())
            np.testing.assert_array_equal(found.successes, whole.successes[rows])
            np.testing.assert_array_equal(found.radius, whole.radius[rows])

    with pytest.raises(UnhealthyNoiseError, match="image 12 are not"):
        take()
    assert 2 not in given
    if isinstance(plan, FixedSamples):
        assert given == [0, 1]


@pytest.mark.parametrize("plan", [FixedSamples(1_000), RadiusTable([0.0, 0.25], 2_000)])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_sound_words_pass_and_change_nothing(law, plan):
    if isinstance(plan, RadiusTable) and law.norm == "l0":
        plan = RadiusTable([0.0, 1.0], 2_000)
    images, shape = _images(law, 20), law.seen((1, 8, 8))
    model = Linear(int(np.prod(shape))).eval()
    tested, plain = (
        certify(model, images, law, plan, classes=10, seed=5, health=health)
        for health in (True, False)
    )
    for name in ("predicted", "radius", "selected", "successes", "samples", "looks", "undecided"):
        np.testing.assert_array_equal(getattr(tested, name), getattr(plain, name))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_watched_bits_are_those_of_the_words(law):
    images, rows = _images(law, 3), np.array([0, 0, 1, 2, 2, 1])
    samples, slots = np.arange(6), np.array([0, -1, 1, 2, 2, -1])
    seen = []

    def recorded(*names):
        seen.append(counter_based(*names))
        return seen[-1]

    counts = []
    for generator in (counter_based, recorded):
        watch = Watch(slots, torch.zeros((3, POSITIONS), dtype=torch.int64), np.zeros(3, np.int64))
        noisy = noisy_images(
            law, images, rows, rows, samples, key=9, generator=generator, watch=watch
        )
        counts.append((watch.ones.numpy(), watch.words, noisy))
    for left, right in zip(*counts, strict=True):
        np.testing.assert_array_equal(left, right)
    ones, words, _ = counts[0]
    used = seen[0].numpy().view(np.uint64)[:, : words[0]]
    for slot, own in enumerate(([0], [2], [3, 4])):
        stream = used[own].ravel()
        for bit in (0, 8, 31, 63):
            assert ones[slot, bit] == int(((stream >> np.uint64(bit)) & np.uint64(1)).sum())
        assert words[slot] == stream.size


def test_padding_and_samples_between_are_not_watched():
    watcher = Health(2).watcher(np.array([4, 5]), 2**14, torch.device("cpu"))
    rows, samples = np.zeros(100, np.int64), np.arange(100)
    slots = watcher.watch(rows, samples, 90).slots
    assert (slots[:16] == 0).all()
    assert np.flatnonzero(slots[16:] == 0).tolist() == list(range(0, 74, EVERY))


def test_honest_runs_raise_alarms_no_more_often_than_stated():
    # 2,000 images with words of a level so high that alarms come; union bounds are not tight.
    law, error = LAWS[0], 0.5
    certifier = _certifier(law, FixedSamples(20), 1, counter_based, error)
    alarms = 0
    for image in range(400):
        try:
            certifier.certify(GREY[:1], [image])
        except UnhealthyNoiseError:
            alarms += 1
    # Two looks: 0.5 / 2 and 0.5 / 6 are spent, less what whole counts leave.
    assert 0 < alarms < 0.5 * 400

"""Certificates err no more often than they may, and counts depend on nothing but their keys.

Random tests are seeded. Those that compare counts with a law accept a central range that the
law leaves with probability below 2e-9 each, so a new seed fails somewhere below 5e-8.
"""

import functools
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from rs_lib import smoothing
from rs_lib.machines import data, models, training
from rs_lib.noise import Ablation, Gaussian, Laplace, Rounded, Uniform
from rs_lib.smoothing import Executed, FixedSamples, RadiusTable
from rs_lib.smoothing.executed import default_tile
from rs_lib.smoothing.plans import ceiling
from rs_lib.smoothing.sampling import Tally, count_classes
from rs_lib.statistics import SequentialTable, binomial_test_two_sided, clopper_pearson_lower

RARE = 1e-9
CONTINUOUS = [Gaussian(0.7), Uniform(0.7), Laplace(0.7)]
LAWS = [*CONTINUOUS, *(Rounded(law) for law in CONTINUOUS)]
SHAPE = (1, 2, 2)


class HalfSpace(nn.Module):
    """Class 0 where the inner product with `normal` exceeds `height`, else class 1."""

    def __init__(self, normal, height=0.0):
        super().__init__()
        self.register_buffer("normal", torch.tensor(normal, dtype=torch.float32))
        self.height = height

    def forward(self, images):
        above = images.flatten(1) @ self.normal - self.height
        return torch.stack([above, -above], dim=1)


def _cdf(law, x):
    exact = {
        "gaussian": stats.norm(0, 0.7),
        "uniform": stats.uniform(-0.7, 1.4),
        "laplace": stats.laplace(0, 0.7),
    }
    return exact[law.name.removeprefix("rounded-")].cdf(x)


def _half_space(law, steps, repeats):
    """A half-space, equal images `steps` / 255 from its edge, the chance of class 0.

    The edge lies midway between two grid points, so that rounding the noise changes no answer:
    the certified radius of the true probability equals the distance, for rounded noise too.
    """
    if isinstance(law, Rounded):
        model = HalfSpace([1.0, 0, 0, 0], (100 - steps) / 255)
        images = torch.full((repeats, *SHAPE), 100, dtype=torch.uint8)
    else:
        normal = [0.6, 0.8, 0, 0] if law.norm == "l2" else [1.0, 0, 0, 0]
        model = HalfSpace(normal)
        image = steps / 255 * torch.tensor(normal).view(SHAPE)
        images = image.expand(repeats, *SHAPE)
    return model.eval(), images, float(_cdf(law, steps / 255))


def _assert_binomial(count, trials, chance):
    low, high = stats.binom.isf([1 - RARE, RARE], trials, chance)
    assert low <= count <= high, f"{count} of {trials} at probability {chance}"


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_certificates_are_false_as_often_as_the_binomial_law_says(law):
    repeats, n0, n, alpha, steps = 2000, 3, 100, 0.05, 50.5
    model, images, chance = _half_space(law, steps, repeats)
    result = smoothing.certify(
        model, images, law, FixedSamples(n, n0=n0), alpha=alpha, seed=5, classes=2
    )
    # Exact probability of a false certificate: too large a radius, or the wrong class.
    hits = np.arange(n + 1)
    radius = np.zeros(n + 1)
    p_lower = clopper_pearson_lower(hits, n, alpha)
    radius[p_lower > 0.5] = law.radius(p_lower[p_lower > 0.5])
    right = stats.binom.sf(n0 // 2, n0, chance)
    too_large = stats.binom.pmf(hits, n, chance)[radius > steps / 255].sum()
    wrong = stats.binom.pmf(hits, n, 1 - chance)[p_lower > 0.5].sum()
    false_chance = right * too_large + (1 - right) * wrong
    assert alpha / 10 < false_chance <= alpha
    false = (result.predicted == 1) | ((result.predicted == 0) & (result.radius > steps / 255))
    _assert_binomial(false.sum(), repeats, false_chance)
    _assert_binomial((result.selected == 0).sum(), repeats, right)
    on_zero = np.where(result.selected == 0, result.successes, n - result.successes)
    _assert_binomial(on_zero.sum(), repeats * n, chance)
    assert (result.samples == n).all()
    assert not result.undecided.any()


@pytest.mark.parametrize("rule", ["calibrated", "betting", "union", "three-stage", "fixed"])
def test_sequential_certificates_err_as_often_as_the_programme_says(rule):
    repeats, alpha, budget, law = 2000, 0.05, 300, Rounded(Gaussian(0.7))
    model, images, chance = _half_space(law, 50.5, repeats)
    # The middle radius is barely false: it and all above may be claimed with chance alpha.
    result = smoothing.certify(
        model,
        images,
        law,
        RadiusTable([0.1, 50.5 / 255 + 1e-9, 0.3], budget, rule=rule, n0=25),
        classes=2,
        seed=6,
        alpha=alpha,
    )
    right = stats.binom.sf(12, 25, chance)
    p0s = law.probability_for([0.1, 50.5 / 255 + 1e-9, 0.3])
    table = SequentialTable(p0s, alpha, budget, rule)
    claim, larger = _claim_chances(table, chance)
    assert claim <= alpha
    assert larger <= claim
    chosen = result.selected == 0
    _assert_binomial(chosen.sum(), repeats, right)
    _assert_binomial((chosen & (result.radius > 50.5 / 255)).sum(), repeats, right * claim)
    assert ((result.radius == 0) == (result.predicted == smoothing.ABSTAIN)).all()
    decided = ~result.undecided
    assert (result.samples[~decided] == budget).all()
    assert (result.samples == table.looks[result.looks - 1]).all()


def _claim_chances(table, p):
    """Chances that the second and the third radius of `table` are claimed at probability p."""
    states = {(0, 0, len(table.accept)): 1.0}
    done = np.zeros(len(table.accept) + 1)
    previous = 0
    for look, until in enumerate(table.looks.tolist()):
        steps = np.arange(until - previous + 1)
        mass = stats.binom.pmf(steps, until - previous, p)
        following = {}
        for (count, certified, refused), chance in states.items():
            hits = count + steps
            size = len(hits)
            sure, lost = table.decide(look, hits, np.full(size, certified), np.full(size, refused))
            columns = (hits.tolist(), sure.tolist(), lost.tolist(), (mass * chance).tolist())
            for h, c, r, m in zip(*columns, strict=True):
                if c < r:
                    following[h, c, r] = following.get((h, c, r), 0.0) + m
                else:
                    done[c] += m
        states, previous = following, until
    for (_, certified, _), chance in states.items():
        done[certified] += chance
    return done[2:].sum(), done[3:].sum()


def test_predictions_are_wrong_as_often_as_the_binomial_law_says():
    repeats, n, alpha, law = 2000, 100, 0.05, Rounded(Gaussian(0.7))
    model, images, chance = _half_space(law, 1.5, repeats)
    predicted = smoothing.predict(model, images, law, n, alpha=alpha, seed=6, classes=2)
    hits = np.arange(n + 1)
    decided = binomial_test_two_sided(hits, n) <= alpha
    mass = stats.binom.pmf(hits, n, chance)
    wrong = mass[decided & (hits < n / 2)].sum()
    assert alpha / 10 < wrong <= alpha
    _assert_binomial((predicted == 1).sum(), repeats, wrong)
    _assert_binomial((predicted == smoothing.ABSTAIN).sum(), repeats, mass[~decided].sum())


def test_counts_give_the_certificates_by_the_textbook_formula():
    sigma, n, alpha = 0.5, 1000, 0.001
    selected, successes = np.array([3, 1, 2, 0]), np.array([1000, 990, 500, 0])
    result = smoothing.from_counts(
        selected, successes, n0=100, n=n, alpha=alpha, noise=Gaussian(sigma)
    )
    np.testing.assert_array_equal(result.predicted, [3, 1, -1, -1])
    np.testing.assert_array_equal(result.radius[2:], 0)
    p = stats.beta.ppf(alpha, successes[:2], n - successes[:2] + 1)
    np.testing.assert_allclose(result.radius[:2], sigma * stats.norm.ppf(p), rtol=1e-8)
    assert Uniform(0.5).radius(0.9) == pytest.approx(0.4)
    assert Laplace(0.5).radius(0.9) == pytest.approx(0.5 * np.log(5))
    assert Rounded(Laplace(0.5)).radius(0.9) == pytest.approx(0.5 * np.log(5))


def test_nothing_is_certified_by_no_images():
    empty = smoothing.from_counts([], [], n0=1, n=10, alpha=0.1, noise=Gaussian(1))
    assert empty.predicted.shape == empty.radius.shape == (0,)
    images = torch.zeros((0, *SHAPE), dtype=torch.uint8)
    model, law = HalfSpace([1.0, 0, 0, 0]).eval(), Rounded(Gaussian(1))
    for plan in (FixedSamples(10), RadiusTable([0.1], 50)):
        result = smoothing.certify(model, images, law, plan, classes=2, seed=1, alpha=0.1)
        assert result.radius.shape == (0,)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_required_probability_certifies_its_radius_and_little_less_does_not(law):
    wanted = np.linspace(0, 0.6, 400)
    p0 = law.probability_for(wanted)
    assert (law.radius(p0) >= wanted).all()
    short = law.radius(np.maximum(p0 - 1e-12, 0.5))[1:]
    assert (short < wanted[1:]).all()
    assert p0[0] == 0.5


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def trained(digits):
    """Networks trained for two epochs on clean digits: enough to waver under noise."""

    def build(name):
        model = models.build(name, digits.image_shape, 10, seed=1)
        training.train(
            model,
            digits.as_float(digits.train_images),
            digits.train_labels,
            noise=None,
            epochs=2,
            batch_size=64,
            learning_rate=0.1,
            seed=2,
        )
        return model

    return functools.cache(build)


def _counts(executed, images, ids, n=150, seed=4, stream="estimate"):
    executed.probe(tuple(images.shape[1:]))
    tally = Tally(executed, images, Rounded(Gaussian(0.5), 16), ids, seed=seed, stream=stream)
    tally.draw(np.arange(len(ids)), n)
    return tally.counts()


@pytest.mark.parametrize("name", ["linear", "mlp", "small-cnn"])
def test_counts_depend_neither_on_tiles_nor_on_companions(name, trained, digits):
    model, images, ids = trained(name), digits.test_images[:24], np.arange(24)
    counts = _counts(Executed(model, classes=10), images, ids)
    np.testing.assert_array_equal(counts.sum(axis=1), 150)
    for tile in (16, 48, 64, 256):
        again = _counts(Executed(model, classes=10, tile=tile), images, ids)
        np.testing.assert_array_equal(again, counts)
    order = np.array([7, 2, 23, 11, 0])
    some = _counts(Executed(model, classes=10), images[order], order)
    np.testing.assert_array_equal(some, counts[order])


def test_counts_depend_on_seed_stream_and_image_id(trained, digits):
    executed = Executed(trained("small-cnn"), classes=10)
    images = digits.test_images[[0, 0]]
    first = _counts(executed, images, np.array([0, 99]))
    assert (first[0] != first[1]).any()
    assert (_counts(executed, images, np.array([0, 99]), seed=5) != first).any()
    assert (_counts(executed, images, np.array([0, 99]), stream="select") != first).any()


def test_ids_beyond_the_whole_numbers_of_floats_have_noise_of_their_own(trained, digits):
    executed = Executed(trained("small-cnn"), classes=10)
    images = digits.test_images[[0, 0, 0]]
    counts = _counts(executed, images, np.array([2**53, 2**53 + 1, 2**63 - 1]))
    assert (counts[0] != counts[1]).any()
    assert (counts[1] != counts[2]).any()


def test_no_sample_is_counted_twice(trained, digits):
    executed = Executed(trained("small-cnn"), classes=10)
    executed.probe(digits.image_shape)
    law = Rounded(Gaussian(0.5), 16)
    tally = Tally(executed, digits.test_images[:3], law, None, seed=4, stream="estimate")
    tally.draw(np.arange(3), 20)
    for rows, samples, told in (
        ([0, 0], 30, "rows names an image twice"),
        ([0, 3], 30, "rows reach 0 and 3"),
        ([-1], 30, "rows reach -1"),
        ([1], 10, "samples is 10, but 20 are drawn"),
    ):
        with pytest.raises(ValueError, match=told):
            tally.draw(np.array(rows), samples)
    assert (tally.counts().sum(axis=1) == 20).all()


def test_drawing_in_portions_changes_nothing(trained, digits):
    executed = Executed(trained("small-cnn"), classes=10)
    images, ids, law = digits.test_images[:5], np.arange(5), Rounded(Gaussian(0.5), 16)
    executed.probe(digits.image_shape)
    tally = Tally(executed, images, law, ids, seed=4, stream="estimate")
    for rows, until in (([0, 3], 7), ([1, 2, 3, 4], 50), ([0, 1, 2, 3, 4], 150)):
        tally.draw(np.array(rows), until)
    np.testing.assert_array_equal(tally.counts(), _counts(executed, images, ids))


class Recorder(nn.Module):
    """Keeps the images that it is asked about."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images.flatten(1).clone())
        return images.flatten(1)[:, :2]


def test_every_sample_has_noise_of_its_own_and_every_tile_its_size():
    model = Recorder().eval()
    smoothing.certify(
        model,
        torch.zeros(2, *SHAPE),
        Gaussian(1),
        FixedSamples(500, n0=500),
        alpha=0.1,
        seed=1,
        classes=2,
    )
    assert {len(seen) for seen in model.seen} == {128}
    # Probes look at made-up images in [0, 1], at a tile with bits in every third row, or again at
    # samples. Selection and estimation of two images make 2000 rows, none twice.
    samples = [
        seen
        for seen in model.seen
        if seen.min() < 0 and seen.abs().max() < 8 and (seen[1::3] != seen[1::3].round()).any()
    ]
    assert len(torch.cat(samples).unique(dim=0)) == 2000


def test_sequential_and_fixed_runs_see_the_same_samples(trained, digits):
    model = trained("small-cnn")
    images, law = digits.test_images[:20], Rounded(Gaussian(0.5), 16)
    options = {"classes": 10, "seed": 3, "alpha": 0.01}
    sequential = smoothing.certify(
        model, images, law, RadiusTable([0.0, 0.2], 400, n0=20), **options
    )
    assert len(set(sequential.samples.tolist())) > 1
    for n in set(sequential.samples.tolist()):
        fixed = smoothing.certify(model, images, law, FixedSamples(n, n0=20), **options)
        same = sequential.samples == n
        np.testing.assert_array_equal(fixed.successes[same], sequential.successes[same])
        np.testing.assert_array_equal(fixed.selected, sequential.selected)


COMPILER = pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a compiler")


@pytest.mark.parametrize(
    "options",
    [{"precision": "bfloat16"}, pytest.param({"compile_model": True}, marks=COMPILER)],
)
def test_other_executions_answer_alike(options, trained, digits):
    model = trained("small-cnn")
    before = [weight.clone() for weight in model.parameters()]
    images, ids = digits.test_images[:5], np.arange(5)
    plain = _counts(Executed(model, classes=10), images, ids)
    other = _counts(Executed(model, classes=10, **options), images, ids)
    assert np.abs(plain - other).sum() <= 0.1 * plain.sum()
    for weight, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, old)


def test_a_model_may_write_its_logits_to_one_buffer(digits):
    class Reuses(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 10)
            self.buffer = torch.empty(128, 10)

        def forward(self, images):
            return self.buffer.copy_(self.linear(images.flatten(1)))

    model = Reuses().eval()
    plain = nn.Sequential(nn.Flatten(), model.linear).eval()
    images, ids = digits.test_images[:6], np.arange(6)
    counts = [_counts(Executed(each, classes=10), images, ids, n=300) for each in (model, plain)]
    np.testing.assert_array_equal(*counts)


def test_tiles_shrink_for_large_images():
    assert default_tile("cpu", 784) == 128
    assert default_tile("cpu", 3 * 224 * 224) == 16
    assert default_tile("cuda", 3 * 224 * 224) == 208
    with pytest.raises(ValueError, match="tile is 100: give a multiple of 16"):
        Executed(HalfSpace([1.0]).eval(), classes=2, tile=100)


def test_batch_normalisation_in_training_mode_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    images, law = torch.zeros((1, *SHAPE), dtype=torch.uint8), Rounded(Gaussian(1))
    with pytest.raises(ValueError, match=r"training mode: call model\.eval\(\)"):
        smoothing.certify(model, images, law, FixedSamples(100), classes=2, seed=0)
    smoothing.certify(model.eval(), images, law, FixedSamples(100), classes=2, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plan": lambda: FixedSamples(0)}, "n is 0"),
        ({"plan": lambda: FixedSamples(9)}, "n is 9: at alpha = 0.001 .* at least 10"),
        ({"plan": lambda: 100}, "plan is 100: give FixedSamples or RadiusTable"),
        ({"plan": lambda: RadiusTable([0.2, 0.1], 100)}, "radii that increase"),
        ({"plan": lambda: RadiusTable([], 100)}, "radii that increase"),
        ({"plan": lambda: RadiusTable([-0.1], 100)}, "radii is -0.1"),
        (
            {"plan": lambda: RadiusTable([9.0], 100)},
            r"radii holds 9, but 100 samples certify no more than 1\.5",
        ),
        ({"plan": lambda: RadiusTable([0.1], 5)}, "max_samples is 5: .* at least 10"),
        ({"plan": lambda: RadiusTable([0.1], 100, "luck")}, "'luck'"),
        ({"alpha": 1.0}, "alpha is 1"),
        ({"plan": lambda: FixedSamples(100, n0=0)}, "n0 is 0"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"classes": 3}, r"classes is 3 but .*\(128, 2\)"),
        ({"classes": 1}, "classes is 1"),
        ({"image_ids": [1, 1]}, "image_ids names an image twice"),
        ({"image_ids": [1, 2, 3]}, "one for each of 2"),
        ({"images": torch.zeros((2, *SHAPE))}, "give torch.uint8 .*as they are stored"),
        ({"images": torch.full((2, *SHAPE), 17, dtype=torch.uint8)}, "17 but noise has levels 16"),
        ({"noise": Gaussian(1)}, "give torch.float32"),
        ({"precision": "float8"}, "precision is 'float8'"),
        ({"device": "tpu"}, "device is 'tpu': give one of cpu, cuda"),
        ({"device": "xla"}, "device is 'xla': give one of cpu, cuda"),
        ({"device": "cuda:99"}, "device is 'cuda:99', but torch sees"),
        ({"images": None}, "images is a NoneType: give a torch"),
        ({"images": torch.zeros((2, *SHAPE), device="meta")}, "images is a tensor on meta"),
        ({"images": torch.zeros((2, *SHAPE)).to_sparse()}, "of layout torch.sparse_coo"),
        ({"images": torch.zeros((2, *SHAPE), dtype=torch.complex64)}, "are torch.complex64"),
        ({"noise": "gaussian"}, "noise is 'gaussian': give a law of rs_lib.noise"),
        ({"noise": Ablation(2, 9, 16)}, "images have 4 positions but the views are of 9"),
        ({"image_ids": np.array([0, 2**63], np.uint64)}, "image_ids is 9223372036854775808: give"),
        ({"seed": np.int64(3)}, "seed is"),
        ({"plan": lambda: FixedSamples([100])}, r"n is \[100\]: give one whole number"),
        ({"alpha": [0.1]}, r"alpha is \[0.1"),
        ({"device": 5.5}, "device is 5.5: give one of cpu, cuda"),
        ({"images": torch.zeros((2, 1, 0, 2), dtype=torch.uint8)}, r"shape \(2, 1, 0, 2\)"),
        (
            {"plan": lambda: FixedSamples(2 * 10**7)},
            "n is 20000000: give whole numbers of at most 10000000",
        ),
    ],
)
def test_bad_input_is_named_before_any_sample_is_drawn(changes, message):
    model = Recorder().eval()
    options = {
        "images": torch.zeros((2, *SHAPE), dtype=torch.uint8),
        "noise": Rounded(Gaussian(1), 16),
        "classes": 2,
        "seed": 0,
        "plan": lambda: FixedSamples(100),
    } | changes
    images, noise, plan = (options.pop(name) for name in ("images", "noise", "plan"))
    with pytest.raises(ValueError, match=message):
        smoothing.certify(model, images, noise, plan(), **options)
    # The model may have been probed, with pixels in [0, 1].
    assert len(model.seen) <= 4
    assert all(0 <= seen.min() <= seen.max() <= 1 for seen in model.seen)


def test_an_image_that_does_not_fit_the_model_is_named():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    images = torch.zeros((2, 1, 3, 3), dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"\[1, 3, 3\], which the model does not take \(mat1"):
        smoothing.certify(model, images, Rounded(Gaussian(1)), FixedSamples(100), classes=2, seed=0)


def test_a_model_of_another_type_is_copied_and_converted():
    model = HalfSpace([1.0, 0, 0, 0]).eval().double()
    images, law = torch.full((3, *SHAPE), 9, dtype=torch.uint8), Rounded(Gaussian(0.5), 16)
    found = smoothing.certify(model, images, law, FixedSamples(100), classes=2, seed=0)
    single = HalfSpace([1.0, 0, 0, 0]).eval()
    assert np.array_equal(
        found.successes,
        smoothing.certify(single, images, law, FixedSamples(100), classes=2, seed=0).successes,
    )
    assert model.normal.dtype == torch.float64


def test_weights_of_five_dimensions_are_no_obstacle():
    model = nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 2, (1, 2, 2)), nn.Flatten())
    images = torch.zeros((1, *SHAPE), dtype=torch.uint8)
    smoothing.certify(
        model.eval(), images, Rounded(Gaussian(1)), FixedSamples(100), classes=2, seed=0
    )


def test_numbers_of_numpy_make_the_same_law():
    law = Rounded(Gaussian(np.float32(0.5)), levels=16.0)
    assert law == Rounded(Gaussian(0.5), 16)
    assert type(law.levels) is int
    assert type(law.law.sigma) is float


def test_the_probe_tells_functions_apart_that_share_their_weights():
    digests = [
        Executed(HalfSpace([1.0, 0, 0, 0], height).eval(), classes=2).probe(SHAPE)
        for height in (0.0, 0.0, 0.1)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "edited",
    [
        lambda x: x.clamp(min=0),
        lambda x: x.clamp(max=1),
        lambda x: torch.where((x == 0).all(dim=1, keepdim=True), 0.5, x),
        lambda x: torch.where(x == 1, 0.5, x),
    ],
)
@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 8, 8)])
def test_the_probe_sees_what_a_model_does_with_noise(edited, shape):
    """Outside of [0, 1], at hidden positions, at values of bits: a log goes on by the digest."""
    pixels = int(np.prod(shape))

    def digest(change):
        model = HalfSpace([1.0] * pixels, 0.0).eval()
        return Executed(lambda images: model(change(images)), classes=2).probe(shape)

    assert digest(torch.clone) == digest(torch.clone) != digest(edited)


def test_the_ceiling_itself_is_no_radius_for_the_table():
    executed = Executed(HalfSpace([1.0, 0, 0, 0]).eval(), classes=2)
    plan = RadiusTable([ceiling(Gaussian(1), 1000, 0.001)], 1000)
    with pytest.raises(ValueError, match=r"radii holds .*, but 1000 samples certify no more"):
        smoothing.Certifier(executed, Gaussian(1), plan, seed=0)


def test_too_few_samples_to_predict_are_refused():
    images, law = torch.zeros((1, *SHAPE), dtype=torch.uint8), Rounded(Gaussian(1))
    model = HalfSpace([1.0, 0, 0, 0]).eval()
    # At 2^-9 ten votes would do in exact arithmetic, but the test is rounded outwards.
    for alpha in (0.001, 2.0**-9):
        with pytest.raises(ValueError, match=r"n is 10: .* at least 11"):
            smoothing.predict(model, images, law, 10, classes=2, seed=0, alpha=alpha)
        smoothing.predict(model, images, law, 11, classes=2, seed=0, alpha=alpha)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_name_the_image(value):
    class Breaks(nn.Module):
        def forward(self, images):
            flat = images.flatten(1)
            return torch.where(flat.mean(1, keepdim=True) > 50, value, flat[:, :2])

    images = torch.zeros(3, *SHAPE)
    images[1] = 100
    with pytest.raises(FloatingPointError, match=r"300 of 300 .*image 41"):
        count_classes(
            Executed(Breaks().eval(), classes=2),
            images,
            Gaussian(0.5),
            300,
            seed=4,
            stream="estimate",
            image_ids=[40, 41, 42],
        )


MEMORY = """
import resource, sys, torch
from torch import nn
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.sampling import count_classes

torch.set_num_threads(1)
model = nn.Sequential(nn.AvgPool2d(224), nn.Flatten(), nn.Linear(3, 10)).eval()
image = torch.full((1, 3, 224, 224), 128, dtype=torch.uint8)
count_classes(
    Executed(model, classes=10), image, Rounded(Gaussian(0.5)), int(sys.argv[1]),
    seed=0, stream="m", image_ids=[0],
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_bounded_by_the_tile_whatever_the_number_of_samples():
    def peak(n):
        command = [sys.executable, "-c", MEMORY, str(n)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    # Kilobytes; the further samples would take 460 MB as floats alone.
    assert peak(1024) - peak(256) < 50_000

"""Every law of the registry: what it draws, what it certifies, and that the two belong together.

A new law fails here until its oracle is written: its distribution in the exact form, and the worst
classifier against it. Random tests are seeded; each compares counts with binomial tails at 1e-9 in
all, so a new seed fails somewhere below 1e-7.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from rs_lib import smoothing
from rs_lib.certificates import ablation, discrete, gaussian, laplace, sparse, uniform
from rs_lib.noise import (
    LAWS,
    Ablation,
    Continuous,
    Flip,
    Gaussian,
    Laplace,
    Rounded,
    Sparse,
    Uniform,
    noisy_images,
    registry,
)
from rs_lib.noise import words as random_words
from rs_lib.noise.law import Law
from rs_lib.smoothing import FixedSamples

KEY = 0x0123456789ABCDEF
SHAPE = (1, 2, 3)
EXAMPLES = {
    "gaussian": [Gaussian(0.5), Rounded(Gaussian(0.5), 16)],
    "uniform": [Uniform(0.7), Rounded(Uniform(0.7))],
    "laplace": [Laplace(0.3), Rounded(Laplace(0.3), 16)],
    "ablation": [Ablation(2, 6), Ablation(5, 6, 16)],
    "flips": [Flip("0.8"), Flip("0.6", 3)],
    "sparse": [Sparse("0.1", "0.3"), Sparse("0.4", "0.02")],
}
ALL = [law for laws in EXAMPLES.values() for law in laws]


def test_each_law_of_the_registry_has_its_examples():
    assert EXAMPLES.keys() == LAWS.keys()
    for name, laws in EXAMPLES.items():
        assert all(name in law.name for law in laws)
        assert type(laws[0]) is LAWS[name]


def _images(law, count=1, value=None):
    top = law.levels or 255
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, top + 1, (count, *SHAPE)) if value is None else value
    images = torch.from_numpy(np.broadcast_to(pixels, (count, *SHAPE)).astype(np.uint8))
    return images if law.levels else images.float() / 255


def _samples(law, images, count):
    rows = np.zeros(count, dtype=np.int64)
    return noisy_images(law, images, rows, rows, np.arange(count), key=KEY)


# What is drawn


def _chances(law):
    """The exact distribution of one pixel that is 0, as {what the classifier sees: chance}."""
    if isinstance(law, Ablation):
        share = law.kept / law.pixels
        return {(0.0, 1.0): share, (0.0, 0.0): 1 - share}
    if isinstance(law, Flip):
        others = float((1 - law.keep) / law.levels)
        return {(0.0,): float(law.keep)} | {
            (float(np.float32(k) * np.float32(1 / law.levels)),): others
            for k in range(1, law.levels + 1)
        }
    if isinstance(law, Sparse):
        return {(0.0,): float(1 - law.add), (1.0,): float(law.add)}
    cdf = _cdf(law.law)
    edge = lambda j: cdf((j + 0.5) / law.levels)  # noqa: E731
    return {
        (float(np.float32(j) * np.float32(1 / law.levels)),): edge(j) - edge(j - 1)
        for j in range(-400, 401)
    }


def _cdf(law):
    if isinstance(law, Gaussian):
        return stats.norm(scale=law.sigma).cdf
    if isinstance(law, Uniform):
        return stats.uniform(-law.half_width, 2 * law.half_width).cdf
    return stats.laplace(scale=law.scale).cdf


@pytest.mark.parametrize("law", ALL, ids=str)
def test_a_law_draws_what_it_says(law):
    """On a black image each pixel has the law's distribution, whatever the drawing path."""
    count = 40_000
    seen = _samples(law, _images(law, value=0), count)
    assert seen.shape == (count, *law.seen(SHAPE))
    if isinstance(law, Continuous):
        values = np.sort(seen.numpy().ravel().astype(np.float64))
        ranks = np.arange(len(values) + 1) / len(values)
        gap = max((ranks[1:] - _cdf(law)(values)).max(), (_cdf(law)(values) - ranks[:-1]).max())
        assert gap < math.sqrt(math.log(2 / 1e-9) / (2 * len(values)))  # DKW
        return
    pixels = seen.reshape(count, -1, 1, *SHAPE[1:])[:, :, 0].permute(0, 2, 3, 1)
    # One pixel at a time: the pixels of a view are not independent.
    found, times = np.unique(pixels[:, 0, 1].numpy(), axis=0, return_counts=True)
    chances = _chances(law)
    for value, hits in zip(map(tuple, found.tolist()), times.tolist(), strict=True):
        low, high = stats.binom.isf([1 - 1e-12, 1e-12], count, chances.pop(value))
        assert low <= hits <= high
    assert max(chances.values(), default=0) * count < 28  # what is missing is rare: e^-28


@pytest.mark.parametrize("law", ALL, ids=str)
def test_a_law_draws_the_same_bits_by_compiled_code_and_by_torch(law, monkeypatch):
    images, rng = _images(law, 3), np.random.default_rng(2)
    rows = rng.integers(0, 3, 50)
    ids, samples = rows * 7 + 1, np.arange(50)
    assert random_words.is_compiled(torch.device("cpu"))
    here = noisy_images(law, images, rows, ids, samples, key=KEY)
    monkeypatch.setattr(random_words, "compiled", None)
    assert torch.equal(here, noisy_images(law, images, rows, ids, samples, key=KEY))


@pytest.mark.parametrize("law", ALL, ids=str)
def test_training_sees_what_certification_sees(law):
    """The same shape, and per pixel the same mean and mean square within twelve errors."""
    pixels = _images(law, 1)
    white = pixels.float() / law.levels if law.levels else pixels
    trained = law.corrupted(white.expand(20_000, -1, -1, -1), torch.Generator().manual_seed(3))
    certified = _samples(law, pixels, 20_000)
    assert trained.shape == certified.shape
    for power in (1, 2):
        one, other = trained.double() ** power, certified.double() ** power
        error = ((one.var(0) + other.var(0)) / 20_000).sqrt()
        assert ((one.mean(0) - other.mean(0)).abs() <= 12 * error + 1e-6).all()


# What is certified


def _worst(law, p, radius):
    """What the worst classifier of probability p at x keeps at that distance from x."""
    law = law.law if isinstance(law, Rounded) else law
    match law:
        case Gaussian(sigma=sigma):
            return gaussian.worst_case(p, radius, sigma)
        case Uniform(half_width=width):
            return uniform.worst_case(p, uniform.overlap([radius], width))
        case Laplace(scale=scale):
            return laplace.worst_case(p, radius, scale)
        case Ablation(kept=kept, pixels=pixels):
            return p - ablation.delta(pixels, kept, min(int(radius), pixels))
        case Flip(keep=keep, levels=levels):
            return discrete.worst_case(p, int(radius), keep, levels)
        case Sparse(add=add, delete=delete):
            splits = ((added, int(radius) - added) for added in range(int(radius) + 1))
            return min(sparse.worst_case(p, *split, add, delete) for split in splits)
    raise AssertionError(f"write the worst case of {law}")


@pytest.mark.parametrize("law", ALL, ids=str)
def test_the_worst_classifier_keeps_its_majority_within_the_radius_and_not_beyond(law):
    exact = law.norm == "l0"
    for p in (0.501, 0.6, 0.75, 0.9, 0.99, 1 - 1e-6):
        radius = float(law.radius(p))
        kept = _worst(law, Fraction(p) if exact else p, radius)
        assert kept > Fraction(1, 2) if exact else kept >= 0.5 - 1e-12
        if exact and radius + 1 <= getattr(law, "pixels", 10):
            assert _worst(law, Fraction(p), radius + 1) <= Fraction(1, 2)
        if not exact:
            assert _worst(law, p, radius * (1 + 1e-6)) < 0.5
    assert law.radius([0.0, 0.3, 0.5]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("law", ALL, ids=str)
def test_the_probability_is_the_inverse_of_the_radius(law):
    exact = law.norm == "l0"
    wanted = np.arange(0.0, 4.0) if exact else np.linspace(0, 0.6, 200)
    p0 = law.probability_for(wanted)
    assert p0[0] >= 0.5
    assert (np.diff(p0) >= 0).all()
    reached = p0 < 1
    above = np.nextafter(p0[reached], 1)
    assert (law.radius(above) >= wanted[reached]).all()
    less = np.maximum(p0[reached] - 1e-12, 0.5)
    assert (law.radius(less)[1:] < wanted[reached][1:]).all()
    assert law.probability_for(1e9) == 1


@pytest.mark.parametrize("start", [(0, 0, 0, 0), (1, 0, 1, 0), (1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize(
    "law",
    [Flip("0.8"), Flip("0.7", 2), Ablation(2, 4), Sparse("0.1", "0.3"), Sparse("0.4", "0.02")],
    ids=str,
)
def test_no_classifier_of_few_entries_breaks_an_l0_certificate(law, start):
    """All laws of the noise around two images, exactly: the largest loss of any classifier."""
    entries, top = 4, law.levels if isinstance(law, Flip) else 1

    def outcomes(image):
        if isinstance(law, Ablation):
            for seen in itertools.combinations(range(entries), law.kept):
                yield tuple((i, image[i]) for i in seen), Fraction(1, math.comb(4, law.kept))
            return
        for noisy in itertools.product(range(top + 1), repeat=entries):
            if isinstance(law, Sparse):
                kinds = {
                    (0, 0): 1 - law.add,
                    (0, 1): law.add,
                    (1, 0): law.delete,
                    (1, 1): 1 - law.delete,
                }
                pairs = zip(image, noisy, strict=True)
                yield noisy, math.prod((kinds[pair] for pair in pairs), start=Fraction(1))
                continue
            same = sum(a == b for a, b in zip(noisy, image, strict=True))
            other = (1 - law.keep) / law.levels
            yield noisy, law.keep**same * other ** (entries - same)

    for changed in range(entries + 1):
        moved = tuple(1 - bit if i < changed else bit for i, bit in enumerate(start))
        at, beyond = dict(outcomes(start)), dict(outcomes(moved))
        assert sum(at.values()) == sum(beyond.values()) == 1
        ratios = {z: beyond.get(z, 0) / at[z] if z in at else math.inf for z in {*at, *beyond}}
        order = sorted(ratios, key=ratios.get)
        for size in range(1, len(order) + 1):
            # The classifier that says "yes" on the outcomes that grow rarest.
            p = sum(at.get(z, Fraction(0)) for z in order[:size])
            kept = sum(beyond.get(z, Fraction(0)) for z in order[:size])
            low = float(p) if Fraction(float(p)) <= p else math.nextafter(float(p), 0)
            if law.radius(low) >= changed and low > 0.5:
                assert kept > Fraction(1, 2)


class Reads(torch.nn.Module):
    """Class 0 unless more than half of the entries that it sees are above one half."""

    def forward(self, images):
        own = images.flatten(1)
        above = (own > 0.5).sum(1) - own.shape[1] / 2
        return torch.stack((-above, above), dim=1)


@pytest.mark.parametrize("law", ALL, ids=str)
def test_the_engine_certifies_each_law_as_its_counts_say(law):
    images = _images(law, 4)
    found = smoothing.certify(
        Reads().eval(), images, law, FixedSamples(200, n0=20), classes=2, seed=3, alpha=0.01
    )
    again = smoothing.from_counts(
        found.selected, found.successes, n0=20, n=200, alpha=0.01, noise=law
    )
    np.testing.assert_array_equal(found.radius, again.radius)
    p_lower = stats.beta.ppf(0.01, found.successes, 201 - found.successes)
    sure = found.predicted != smoothing.ABSTAIN
    assert (found.radius[sure] <= law.radius(np.minimum(p_lower[sure] + 1e-9, 1))).all()


# What is no law


def test_a_law_that_lacks_a_part_cannot_be_constructed():
    parts = sorted(Law.__abstractmethods__ | Continuous.__abstractmethods__)
    assert {"radius", "noisy", "tail", "name", "norm", "seen", "corrupted"} <= set(parts)
    whole = {part: vars(Gaussian).get(part) or getattr(Gaussian, part) for part in parts}
    for missing in Continuous.__abstractmethods__:
        lacks = type("Lacks", (Continuous,), {k: v for k, v in whole.items() if k != missing})
        with pytest.raises(TypeError, match=missing):
            lacks()


@pytest.mark.parametrize("parent", [Gaussian, Uniform, Laplace, Rounded, Ablation, Flip, Sparse])
def test_no_law_inherits_the_certificate_of_another(parent):
    with pytest.raises(TypeError, match="whose certificate is that of its own noise"):
        type("Heavier", (parent,), {"tail": lambda self, edge: 0})


def test_tails_that_no_law_has_are_refused():
    class Rising(Continuous):
        name, norm = "rising", "l2"
        scale = 1.0
        sample = radius = _inverse = from_halves = Gaussian.sample

        def __init__(self):
            pass

        def tail(self, edge):
            return math.floor(2**78 * min(edge, 1 / edge**9)) if edge < 100 else 0

    with pytest.raises(ValueError, match="give one whose tails fall from one half"):
        noisy_images(
            Rounded(Rising(), 4),
            torch.zeros((1, 1, 1, 1), dtype=torch.uint8),
            *np.zeros((3, 1), dtype=np.int64),
            key=1,
        )


@pytest.mark.parametrize("law", ALL, ids=str)
def test_the_header_of_a_log_gives_the_law_back(law):
    header = {"law": law.name, **law.settings(), "norm": law.norm}
    assert registry.recorded(header, law.levels or 255) == law


@pytest.mark.parametrize(
    ("name", "bad", "told"),
    [
        *(
            (name, bad, "(sigma|half_width|scale) (is|holds)")
            for name in ("gaussian", "uniform", "laplace")
            for bad in (0.0, -1.0, math.inf, math.nan, "0.5", None)
        ),
        ("ablation", 7, "kept is 7: give at most the 6 pixels"),
        ("ablation", 0.5, "kept is 0.5"),
        ("flips", "0.5", "keep is '0.5': give a probability above 1/2"),
        ("flips", "1", "keep is '1': give"),
        ("flips", "much", "keep is 'much'"),
        ("flips", "1e-1000000000", "keep is '1e-1000000000'"),
        ("sparse", "0.1", "rates is '0.1': give two, as 0.01,0.4"),
        ("sparse", "0.1,0.2,0.3", "give two"),
        ("sparse", 0.1, "rates is 0.1: give two"),
        ("sparse", "0,0.5", "add is 0: give a probability above 0"),
        ("sparse", "0.5,1", "delete is 1: give a probability above 0"),
        ("sparse", "0.1,much", "delete is 'much'"),
        ("sparse", "0.5,0.5", "give probabilities whose sum is below 1"),
    ],
)
def test_a_bad_number_is_named(name, bad, told):
    with pytest.raises(ValueError, match=told):
        LAWS[name].for_images(bad, SHAPE, 1)
    assert issubclass(LAWS[name], Law)


def test_deleted_bits_have_the_laws_rate():
    law, count = Sparse("0.1", "0.3"), 40_000
    seen = _samples(law, _images(law, value=1), count)
    low, high = stats.binom.isf([1 - 1e-12, 1e-12], count, 0.3)
    assert low <= int((seen[:, 0, 0, 1] == 0).sum()) <= high


def test_sparse_noise_is_for_bits():
    with pytest.raises(ValueError, match="levels is 255: sparse noise is for bits, give --levels"):
        Sparse.for_images("0.1,0.2", SHAPE, 255)


@pytest.mark.parametrize("law", ALL, ids=str)
def test_images_of_another_kind_are_refused(law):
    images = _images(law, 2)
    other = images.float() if law.levels else images.to(torch.uint8)
    one = np.zeros(1, dtype=np.int64)
    for wrong in (other, images[0], images[:, :, :0]):
        with pytest.raises(ValueError, match=r"images are .*: give torch"):
            noisy_images(law, wrong, one, one, one, key=1)
    bad = torch.full_like(images, 255) if law.levels and law.levels < 255 else None
    bad = torch.full_like(images, math.nan) if law.levels is None else bad
    if bad is not None:
        with pytest.raises(ValueError, match=r"noise has levels|NaN or infinite"):
            smoothing.certify(Reads().eval(), bad, law, FixedSamples(50), classes=2, seed=0)

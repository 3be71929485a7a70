"""Rounded noise follows its law to 2^-80, and every sample is a function of its own name."""

import itertools
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from flint import arb, ctx
from scipy import stats

from rs_lib.noise import (
    Ablation,
    Gaussian,
    Laplace,
    Rounded,
    Uniform,
    compiled,
    noisy_images,
    philox,
    rounded,
)
from rs_lib.noise import words as random_words
from rs_lib.noise.prefix_table import AMBIGUOUS, PrefixTable, prefix_words
from rs_lib.noise.rounded import device_table, prefix_table, thresholds

LAWS = [
    Rounded(Gaussian(0.5)),
    Rounded(Gaussian(1.0)),
    Rounded(Gaussian(0.25), levels=16),
    Rounded(Uniform(0.7)),
    Rounded(Laplace(0.3)),
    Rounded(Gaussian(3.0)),  # hundreds of thresholds in the outer cells
    Rounded(Gaussian(0.02), levels=16),  # nearly always 0
]
SETTLED = Rounded(Uniform(0.5), levels=16)
"""Its thresholds are ends of cells: no prefix is ambiguous."""
KEY = 0x0123456789ABCDEF
CPU = torch.device("cpu")


def _exact_tail(law, edge):
    """P(Z > edge) as a ball."""
    edge = arb(edge.numerator) / edge.denominator
    if isinstance(law, Gaussian):
        return (edge / (arb(law.sigma) * arb(2).sqrt())).erfc() / 2
    if isinstance(law, Laplace):
        return (-edge / arb(law.scale)).exp() / 2
    inside = (arb(law.half_width) - edge) / (2 * arb(law.half_width))
    return inside.max(arb(0))


def _case(law, count, seed, shape=(3, 5, 7)):
    """Images, and `count` rows that are partly consecutive samples."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, (law.levels or 255) + 1, (4, *shape)).astype(np.uint8)
    rows = np.sort(rng.integers(0, 4, count))
    samples = np.arange(count) + 10 * rng.integers(0, 2, count)
    return torch.from_numpy(images), rows, rows * 1000 - 5, samples


def _words(table, pixels, prefixes, rests):
    """The words of one sample with these prefixes and these rests of its ambiguous pixels."""
    words = np.zeros((1, table.words_per_sample(pixels)), dtype=np.uint64)
    words.view("<u2")[0, :pixels] = prefixes
    place = prefix_words(pixels)
    words[0, place : place + len(rests)] = rests
    return words


def _philox(key, streams, blocks, count):
    """The words of the compiled generator, uint64 [T, count]."""
    words = np.empty((len(streams), count), dtype=np.uint64)
    compiled.fill_rows(words, np.uint64(key), streams.view(np.uint64), blocks.view(np.uint64))
    return words


def _compiled(noise, words, pixels):
    """The noise of samples with these words."""
    table = prefix_table(noise)
    parts = (table.noise, table.first, table.rest, table.largest)
    drawn = np.empty((len(words), pixels), dtype=np.int16)
    places = np.empty(pixels, dtype=np.int64)
    for row, own in zip(drawn, words, strict=True):
        prefixes = own.view(np.uint16)
        hits = compiled.look_up(row, places, prefixes, parts)
        compiled.refine(row, places[:hits], prefixes, own[prefix_words(pixels) :], parts)
    return drawn


def _on_device(noise, words, pixels):
    drawn = device_table(noise, CPU).draw(torch.from_numpy(words.view(np.int64)), pixels)
    return drawn.numpy()


# The generator


def test_philox_gives_the_words_of_the_known_answer_tests():
    zero = np.zeros(1, dtype=np.int64)
    assert [f"{word:016x}" for word in _philox(0, zero, zero, 4)[0].tolist()] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]


def test_philox_words_are_those_of_numpy_at_the_same_counter():
    streams, blocks = np.array([3, 3, -7, 2**62]), np.array([1, 4, 2**40, 2**62])
    drawn = _philox(KEY, streams, blocks, 12)
    for row, stream, block in zip(drawn, streams.tolist(), blocks.tolist(), strict=True):
        key = np.array([KEY, stream % 2**64], dtype=np.uint64)
        assert np.array_equal(np.random.Philox(key=key, counter=block - 1).random_raw(12), row)


def test_philox_in_torch_gives_the_bits_of_numpy():
    rng = np.random.default_rng(1)
    streams, blocks = rng.integers(-(2**62), 2**62, 50), rng.integers(0, 2**62, 50)
    blocks[:2] = 0
    for key in (0, KEY, 2**63 - 1, 2**64 - 1):
        expected = _philox(key, streams, blocks, 20).view(np.int64)
        drawn = philox.words(key, torch.from_numpy(streams), torch.from_numpy(blocks), 20)
        assert np.array_equal(drawn.numpy(), expected)


# The law


@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_thresholds_are_the_distribution_function_rounded_at_80_bits(noise):
    before, ctx.prec = ctx.prec, 300
    try:
        exact = thresholds(noise)
        largest = len(exact) // 2
        for place, threshold in enumerate(exact):
            j = place - largest + 1  # the smallest noise at or above the threshold
            edge = Fraction(abs(2 * j - 1), 2 * noise.levels)
            tail = threshold if j <= 0 else 2**80 - threshold
            gap = _exact_tail(noise.law, edge) * arb(2) ** 80 - tail
            assert -1e-40 < gap < 1
        beyond = _exact_tail(noise.law, Fraction(2 * largest + 1, 2 * noise.levels))
        assert beyond * arb(2) ** 80 < 1
    finally:
        ctx.prec = before


def test_probabilities_are_differences_of_the_distribution_function():
    noise = Rounded(Gaussian(0.5), levels=16)
    exact = [0, *thresholds(noise), 2**80]
    j = np.arange(-(len(exact) // 2 - 1), len(exact) // 2)
    drawn = np.array([(b - a) / 2**80 for a, b in itertools.pairwise(exact)])
    cdf = stats.norm(scale=0.5).cdf
    stated = cdf((2 * j + 1) / 32) - cdf((2 * j - 1) / 32)
    assert len(j) == len(drawn)
    assert np.abs(drawn - stated).max() < 1e-15
    assert drawn.sum() == pytest.approx(1, abs=1e-14)


def test_the_defect_counts_every_threshold_and_both_tails():
    noise = Rounded(Gaussian(0.5))
    assert noise.defect == (len(thresholds(noise)) + 2) / 2**80
    assert 3072 * noise.defect < 1e-17
    assert (noise.name, noise.norm) == ("rounded-gaussian", "l2")
    assert Rounded(Laplace(1.0)).norm == "l1"


# The sampler


@pytest.mark.parametrize("noise", [*LAWS, SETTLED], ids=str)
def test_every_prefix_is_settled_by_the_table_or_else_ambiguous(noise):
    exact = np.array(thresholds(noise), dtype=object)
    table, largest = prefix_table(noise).noise, len(exact) // 2
    starts = np.arange(2**16).astype(object) * 2**64
    lowest = np.searchsorted(exact, starts, side="right") - largest
    highest = np.searchsorted(exact, starts + (2**64 - 1), side="right") - largest
    expected = np.where(lowest == highest, lowest, AMBIGUOUS).astype(np.int16)
    assert np.array_equal(table, expected)
    assert prefix_table(noise).ambiguous == np.mean(table == AMBIGUOUS)
    assert (prefix_table(noise).ambiguous == 0) == (noise == SETTLED)


@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_the_comparison_is_exact_at_and_one_below_each_threshold(noise):
    table, exact = prefix_table(noise), thresholds(noise)
    numbers = {t + step for t in exact for step in (-1, 0, 1) if 0 <= t + step < 2**80}
    numbers |= {0, 2**80 - 1}
    hard = [x for x in sorted(numbers) if table.noise[x >> 64] == AMBIGUOUS]
    rows = [_words(table, 1, [x >> 64], [x & (2**64 - 1)]) for x in hard]
    words = np.concatenate(rows)
    expected = np.searchsorted(
        np.array(exact, dtype=object), np.array(hard, dtype=object), side="right"
    )
    expected = (expected - len(exact) // 2).astype(np.int16)[:, None]
    assert len(hard) > len(exact)
    assert np.array_equal(_compiled(noise, words, 1), expected)
    assert np.array_equal(_on_device(noise, words, 1), expected)


@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_ambiguous_pixels_take_the_spare_words_in_order(noise):
    table, exact, rng = prefix_table(noise), thresholds(noise), np.random.default_rng(2)
    hard, easy = (np.flatnonzero((table.noise == AMBIGUOUS) == kind) for kind in (True, False))
    spare = min(12, table.words_per_sample(201) - prefix_words(201))
    chosen = np.sort(rng.choice(201, spare, replace=False))
    prefixes = rng.choice(easy, 201)
    prefixes[chosen] = rng.choice(hard, spare)
    ambiguous = np.flatnonzero(table.noise[prefixes] == AMBIGUOUS)
    rests = rng.integers(0, 2**64, len(ambiguous), dtype=np.uint64)
    words = _words(table, 201, prefixes, rests)
    rest = dict(zip(ambiguous.tolist(), rests.tolist(), strict=True))
    numbers = [(int(p) << 64) + rest.get(i, 0) for i, p in enumerate(prefixes)]
    places = np.searchsorted(
        np.array(exact, dtype=object), np.array(numbers, dtype=object), "right"
    )
    expected = (places - len(exact) // 2)[None]
    assert np.array_equal(_compiled(noise, words, 201), expected)
    assert np.array_equal(_on_device(noise, words, 201), expected)


def test_a_sample_without_spare_words_is_an_error_on_both_paths(monkeypatch):
    noise = LAWS[0]
    table = PrefixTable(thresholds(noise))
    words = _words(table, 784, np.full(784, np.flatnonzero(table.noise == AMBIGUOUS)[0]), [])
    with pytest.raises(RuntimeError, match="spare random words"):
        _on_device(noise, words, 784)
    table.noise[:] = AMBIGUOUS
    monkeypatch.setattr(rounded, "prefix_table", lambda _: table)
    with pytest.raises(RuntimeError, match="spare random words"):
        noisy_images(noise, *_case(noise, 3, seed=8), key=KEY)


@pytest.mark.parametrize("noise", [*LAWS, SETTLED], ids=str)
@pytest.mark.parametrize("pixels", [1, 3, 64, 784, 3072, 150528])
def test_spare_words_run_out_with_probability_below_2_to_the_minus_64(noise, pixels):
    table = prefix_table(noise)
    count = table.words_per_sample(pixels)
    spare = count - prefix_words(pixels)
    assert count % 4 == 0
    assert spare >= pixels or stats.binom.sf(spare, pixels, table.ambiguous) <= 2.0**-64
    if pixels == 3072 and noise.law == Gaussian(0.5):
        assert count < 0.3 * pixels


@pytest.mark.parametrize("noise", [*LAWS, SETTLED], ids=str)
def test_frequencies_agree_with_the_law(noise):
    """Counts of each value and of all values up to it are binomial; union over them: 1e-9 a law."""
    samples = 100
    images = torch.zeros((1, 3, 32, 32), dtype=torch.uint8)
    rows = np.zeros(samples, dtype=np.int64)
    noisy = noisy_images(noise, images, rows, rows, np.arange(samples), key=KEY)
    exact = [0, *thresholds(noise), 2**80]
    j = np.rint(noisy.numpy().ravel() * noise.levels).astype(np.int64) + len(exact) // 2 - 1
    seen = np.bincount(j, minlength=len(exact) - 1)
    law = np.array([(b - a) / 2**80 for a, b in itertools.pairwise(exact)])
    below = np.array([threshold / 2**80 for threshold in exact[1:-1]])
    counts = np.concatenate((seen, np.cumsum(seen)[:-1]))
    binomial = stats.binom(noisy.numel(), np.concatenate((law, below)))
    tails = np.minimum(binomial.cdf(counts), binomial.sf(counts - 1))
    assert seen.sum() == noisy.numel()
    assert tails.min() > 1e-9 / (2 * len(tails))


# The streams


@pytest.mark.parametrize(
    "law", [*LAWS, SETTLED, Ablation(5, 35), Gaussian(0.5), Laplace(0.5)], ids=str
)
def test_without_the_compiler_torch_gives_the_same_bits(law, monkeypatch):
    images, rows, ids, samples = _case(law, 300, seed=3)
    if isinstance(law, Gaussian | Laplace):
        images = images / 255
    here = noisy_images(law, images, rows, ids, samples, key=KEY)
    monkeypatch.setattr(random_words, "compiled", None)
    there = noisy_images(law, images, rows, ids, samples, key=KEY)
    assert here.dtype == there.dtype == torch.float32
    assert here.shape == there.shape == (300, *law.seen((3, 5, 7)))
    if law.name != "ablation":
        assert here.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(here, there)


def test_threads_share_the_work_and_change_no_bit():
    images, rows, ids, samples = _case(LAWS[0], 301, seed=3)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            torch.set_num_threads(threads)
            results.append(noisy_images(LAWS[0], images, rows, ids, samples, key=KEY))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_a_gpu_gives_the_bits_of_the_cpu(noise):
    images, rows, ids, samples = _case(noise, 300, seed=4, shape=(3, 32, 32))
    here = noisy_images(noise, images, rows, ids, samples, key=KEY)
    there = noisy_images(noise, images.cuda(), rows, ids, samples, key=KEY)
    assert torch.equal(here, there.cpu())


@pytest.mark.parametrize(
    "law", [*LAWS[:5], Ablation(9, 35), Gaussian(0.5), Uniform(0.5), Laplace(0.5)], ids=str
)
def test_a_row_does_not_depend_on_the_other_rows(law):
    images, rows, ids, samples = _case(law, 120, seed=5)
    if isinstance(law, Gaussian | Uniform | Laplace):
        images = images / 255
    whole = noisy_images(law, images, rows, ids, samples, key=KEY)
    order = np.random.default_rng(6).permutation(120)
    for part in (np.arange(120)[::-1], order[:7], order[7:8], np.array([5, 5]), np.arange(33, 90)):
        again = noisy_images(law, images, rows[part], ids[part], samples[part], key=KEY)
        assert torch.equal(again, whole[part.copy()])


@pytest.mark.parametrize("law", [LAWS[0], Gaussian(0.5)], ids=str)
def test_key_image_id_and_sample_each_change_the_noise(law):
    images = torch.zeros((2, 1, 4, 4), dtype=torch.uint8 if isinstance(law, Rounded) else None)
    one = np.zeros(1, dtype=np.int64)
    base = noisy_images(law, images, one, one, one, key=1)
    assert torch.equal(base, noisy_images(law, images, one + 1, one, one, key=1))
    for ids, samples, key in ((one + 1, one, 1), (one, one + 1, 1), (one, one, 2)):
        assert not torch.equal(base, noisy_images(law, images, one, ids, samples, key=key))


@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_a_noisy_pixel_is_a_function_of_the_integer_sum(noise):
    """All sums of pixel and noise that occur: equal sums are equal floats, others differ."""
    largest, levels = prefix_table(noise).largest, noise.levels
    assert largest + 255 < 2**15
    sums = np.arange(-largest, levels + largest + 1)
    floats = np.float32(sums) * np.float32(1 / levels)
    assert len(np.unique(floats)) == len(sums)

    images, rows, ids, samples = _case(noise, 200, seed=7)
    blank = torch.zeros_like(images)
    noisy = noisy_images(noise, images, rows, ids, samples, key=KEY)
    drawn = noisy_images(noise, blank, rows, ids, samples, key=KEY)
    j = np.rint(drawn.numpy().astype(np.float64) * levels).astype(np.int64)
    assert np.array_equal(noisy.numpy(), floats[j + images.numpy()[rows] + largest])


def test_memory_is_bounded_by_the_tile():
    noise, count = LAWS[0], 128
    images = torch.zeros((1, 3, 32, 32), dtype=torch.uint8)
    rows = np.zeros(count, dtype=np.int64)
    noisy_images(noise, images, rows, rows, rows, key=KEY)
    tracemalloc.start()
    noisy_images(noise, images, rows, rows, np.arange(count), key=KEY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * count * 3072


# Continuous laws


@pytest.mark.parametrize(
    ("law", "exact", "bound"),
    [
        (Gaussian(2.0), stats.norm(scale=2.0), 2 * 6.661),
        (Uniform(0.5), stats.uniform(-0.5, 1), 0.5),
        (Laplace(0.3), stats.laplace(scale=0.3), 0.3 * 21.5),
    ],
)
def test_continuous_noise_has_its_law_and_its_truncation(law, exact, bound):
    """Kolmogorov's distance, by DKW at level 1e-9."""
    words = torch.from_numpy(_philox(KEY, np.arange(50), np.zeros(50, int), 2000).view("i8"))
    values = np.sort(law.from_halves(words.view(torch.int32)).numpy().ravel().astype(np.float64))
    ranks = np.arange(len(values) + 1) / len(values)
    cdf = exact.cdf(values)
    distance = max((ranks[1:] - cdf).max(), (cdf - ranks[:-1]).max())
    assert distance < math.sqrt(math.log(2 / 1e-9) / (2 * len(values)))

    halves = torch.tensor([[-(2**31)] * 2, [2**31 - 1] * 2, [0, -1], [-(2**31), 0]])
    ends = law.from_halves(halves.to(torch.int32))
    assert torch.isfinite(ends).all()
    assert 0.9 * bound < ends.abs().max() <= bound


def test_continuous_noise_is_added_in_float32():
    images = torch.rand((2, 3, 5, 7), generator=torch.Generator().manual_seed(0))
    rows = np.array([1, 0])
    noisy = noisy_images(Gaussian(0.5), images, rows, rows, rows, key=KEY)
    noise = noisy_images(Gaussian(0.5), 0 * images, rows, rows, rows, key=KEY)
    assert torch.equal(noisy, noise + images[rows])


# Bad input


def test_laws_that_do_not_fit_sixteen_bits_are_refused():
    with pytest.raises(ValueError, match=r"sigma=40.*levels=255.*narrower"):
        Rounded(Gaussian(40.0))
    widest = Rounded(Uniform(127.5))
    assert prefix_table(widest).largest + 255 == 2**15 - 1
    with pytest.raises(ValueError, match="does not fit 16 bits"):
        Rounded(Uniform(np.nextafter(127.5, 128)))
    with pytest.raises(ValueError, match="levels is 256"):
        Rounded(Gaussian(0.5), levels=256)
    with pytest.raises(ValueError, match="levels is 0"):
        Rounded(Gaussian(0.5), levels=0)


def test_arguments_that_do_not_fit_are_refused():
    images, one = torch.zeros((2, 1, 4, 4), dtype=torch.uint8), np.zeros(1, dtype=np.int64)
    noise = LAWS[0]
    cases = [
        (noise, images / 255, one, one, one, "uint8"),
        (Gaussian(0.5), images, one, one, one, "float32"),
        (noise, images[0], one, one, one, "N, C, H, W"),
        (noise, images, one + 2, one, one, "rows reach 2"),
        (noise, images, one - 1, one, one, "rows reach -1"),
        (noise, images, one, one, one - 1, "samples hold -1"),
        (noise, images, one, np.zeros(2, dtype=np.int64), one, "one length"),
        (noise, images, one[:0], one[:0], one[:0], "at least 1"),
    ]
    for law, pictures, rows, ids, samples, message in cases:
        with pytest.raises(ValueError, match=message):
            noisy_images(law, pictures, rows, ids, samples, key=1)


def test_rounded_noise_for_training_lies_on_the_grid():
    generator = torch.Generator().manual_seed(0)
    noise = Rounded(Gaussian(0.5), levels=16).sample((1000,), generator) * 16
    assert torch.equal(noise, noise.round())
    assert 0.4 * 16 < noise.std() < 0.6 * 16  # 15 standard errors either way


# Views


def test_views_show_the_kept_pixels_and_their_complement_and_nothing_else():
    law, rng = Ablation(5, 12, levels=16), np.random.default_rng(1)
    images = torch.from_numpy(rng.integers(0, 17, (2, 3, 3, 4)).astype(np.uint8))
    rows = np.repeat([0, 1], 200)
    views = noisy_images(law, images, rows, rows, np.arange(400), key=KEY)
    assert law.seen((3, 3, 4)) == tuple(views.shape[1:]) == (6, 3, 4)
    own, complement = views[:, :3], views[:, 3:]
    seen = (own + complement)[:, 0] == 1
    assert (seen.flatten(1).sum(1) == 5).all()
    bright = images[torch.from_numpy(rows)] * np.float32(1 / 16)
    assert torch.equal(own, bright * seen[:, None])
    assert torch.equal(complement, (1 - bright) * seen[:, None])


def test_all_sets_of_pixels_are_equally_likely():
    """2 of 5 pixels: ten sets, 20,000 samples; union of binomial tails, 1e-9."""
    law, count = Ablation(2, 5), 20_000
    rows = np.zeros(count, dtype=np.int64)
    black = torch.zeros((1, 1, 1, 5), dtype=torch.uint8)
    seen = noisy_images(law, black, rows, rows, np.arange(count), key=KEY)[:, 1, 0]
    codes, times = np.unique(seen.numpy() @ (2 ** np.arange(5)), return_counts=True)
    assert len(codes) == 10
    tails = np.minimum(stats.binom.cdf(times, count, 0.1), stats.binom.sf(times - 1, count, 0.1))
    assert tails.min() > 1e-9 / 20


def test_training_sees_fresh_views_of_the_same_law():
    law = Ablation(5, 12)
    images = torch.rand((50, 1, 3, 4), generator=torch.Generator().manual_seed(1))
    views = law.corrupted(images, torch.Generator().manual_seed(2))
    seen = views.sum(1).flatten(1)
    assert (seen.sum(1) == 5).all()
    assert len(seen.unique(dim=0)) > 40
    assert torch.equal(views[:, 0], images[:, 0] * seen.view(50, 3, 4))


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((13, 12), "kept is 13: give at most the 12 pixels"),
        ((0, 12), "kept is 0"),
        ((1, 0), "pixels is 0"),
        ((1, 12, 256), "levels is 256: give at most 255"),
    ],
)
def test_views_that_cannot_be_are_refused(numbers, told):
    with pytest.raises(ValueError, match=told):
        Ablation(*numbers)


def test_views_of_other_images_are_refused():
    images, one = torch.zeros((1, 1, 2, 2), dtype=torch.uint8), np.zeros(1, dtype=np.int64)
    with pytest.raises(ValueError, match="images have 4 positions but the views are of 12"):
        noisy_images(Ablation(5, 12), images, one, one, one, key=KEY)


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (1, 28, 28, 1), (1, 16, 16, 9)])
def test_views_of_images_with_the_channels_last_are_refused(shape):
    """A position would be a column in one colour: one changed pixel would change C of them."""
    images, one = torch.zeros(shape, dtype=torch.uint8), np.zeros(1, dtype=np.int64)
    with pytest.raises(ValueError, match=r"which looks like \[N, H, W, C\]: give \[N, C, H, W\]"):
        noisy_images(Ablation(5, shape[2] * shape[3]), images, one, one, one, key=KEY)


def test_a_law_that_is_not_known_draws_no_noise_of_another():
    """The tail of a wrong law would certify falsely."""

    class Foreign:
        sigma = scale = half_width = 0.5
        name, norm = "foreign", "l2"

    for law in (Foreign(), 0.12, None, "gaussian", Rounded(Gaussian(0.1))):
        with pytest.raises(ValueError, match="law is"):
            Rounded(law)


@pytest.mark.parametrize("scale", [5e-324, 1e-155, 1e-6])
@pytest.mark.parametrize("law", [Gaussian, Uniform, Laplace])
def test_noise_finer_than_the_grid_is_none(law, scale):
    assert thresholds(Rounded(law(scale))) == ()

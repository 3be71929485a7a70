"""Ablation certificates against enumeration, exhaustive attacks and exact rationals."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_lib.certificates import ablation, patch

# Sparse changes


def test_delta_counts_the_views_that_meet_a_changed_pixel():
    for pixels in range(1, 9):
        for kept, changed in itertools.product(range(1, pixels + 1), range(pixels + 1)):
            views = list(itertools.combinations(range(pixels), kept))
            meet = sum(min(view) < changed for view in views)
            assert ablation.delta(pixels, kept, changed) == Fraction(meet, len(views))


def test_the_caption_of_the_papers_first_figure():
    """8x8 pixels, a 3x3 patch, 4 pixels seen (Levine & Feizi 2020, patches, figure 1)."""
    assert float(ablation.delta(64, 4, 9)) == pytest.approx(0.4632, abs=5e-5)


@settings(deadline=None)
@given(st.integers(1, 40), st.data())
def test_the_radius_is_that_of_exact_rationals(pixels, data):
    kept = data.draw(st.integers(1, pixels))
    p = data.draw(st.floats(0, 1) | st.floats(0.5, 0.5 + 1e-9) | st.sampled_from([0.5, 0.75, 1.0]))
    exact = [
        rho
        for rho in range(pixels + 1)
        if Fraction(p) - ablation.delta(pixels, kept, rho) > Fraction(1, 2)
    ]
    assert ablation.radius(p, pixels, kept) == (exact[-1] if exact else -1)


@pytest.mark.parametrize(("pixels", "kept"), [(784, 45), (1024, 75), (50176, 1000), (97, 1)])
def test_the_required_probability_is_the_smallest_float_that_suffices(pixels, kept):
    rho = np.arange(ablation.radius(1.0, pixels, kept) + 1)
    least = ablation.required_probability(rho, pixels, kept)
    assert np.array_equal(ablation.radius(least, pixels, kept), rho)
    assert np.array_equal(ablation.radius(np.nextafter(least, 0), pixels, kept), rho - 1)
    for count, p in zip(rho.tolist(), least.tolist(), strict=True):
        needed = Fraction(1, 2) + ablation.delta(pixels, kept, count)
        assert Fraction(math.nextafter(p, 0)) <= needed < Fraction(p)
    assert ablation.required_probability(rho[-1] + 1, pixels, kept) == 1


def test_a_view_of_everything_certifies_no_change():
    assert ablation.radius([0.5, 0.51, 1.0], 5, 5).tolist() == [-1, 0, 0]
    assert ablation.delta(5, 5, 1) == 1


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ablation.delta(4, 5, 1), "kept is 5: give at most the number of pixels, 4"),
        (lambda: ablation.delta(4, 0, 1), "kept is 0"),
        (lambda: ablation.delta(0, 1, 1), "pixels is 0"),
        (lambda: ablation.delta(4, 2, 5), "changed is 5: give at most"),
        (lambda: ablation.radius(1.5, 4, 2), "p_lower is 1.5"),
        (lambda: ablation.radius(0.9, 4, 2.5), "kept is 2.5"),
        (lambda: ablation.required_probability(-1, 4, 2), "changed is -1"),
    ],
)
def test_bad_numbers_of_pixels_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


# How many bands a patch meets


def _meets(width, band, size, start, place):
    covered = {(start + i) % width for i in range(band)}
    return bool(covered & set(range(place, place + size)))


def test_affected_counts_the_bands_that_meet_the_worst_patch():
    for width in range(1, 17):
        for band, size in itertools.product(range(1, width + 1), repeat=2):
            meets = np.array(
                [
                    [_meets(width, band, size, q, p) for q in range(width)]
                    for p in range(width - size + 1)
                ]
            )
            assert patch.affected(width, band, size) == min(width, size + band - 1)
            assert (meets.sum(1) == min(width, size + band - 1)).all()
            for stride in range(1, width + 1):
                every = meets[:, ::stride].sum(1).max()
                inside = meets[:, : width - band + 1 : stride].sum(1).max()
                assert patch.affected(width, band, size, stride) == every
                assert patch.affected(width, band, size, stride, wrap=False) == inside


def test_a_stride_that_divides_the_width_keeps_the_formula():
    for width in range(2, 33):
        for stride in (t for t in range(1, width + 1) if width % t == 0):
            for band, size in itertools.product(range(1, width + 1), range(1, width - stride + 2)):
                formula = min(width // stride, -(-(size + band - 1) // stride))
                assert patch.affected(width, band, size, stride) == formula


@pytest.mark.parametrize(
    ("band", "size", "stride", "formula", "truth"),
    [(19, 32, 10, 5, 6), (19, 39, 10, 6, 7), (37, 24, 10, 6, 7), (19, 24, 10, 5, 5)],
)
def test_published_strides_count_too_few(band, size, stride, formula, truth):
    """Bands and strides of Salman et al. (2022) on 224 columns: ceil((m + s - 1) / t)."""
    assert math.ceil((size + band - 1) / stride) == formula
    assert patch.affected(224, band, size, stride) == truth


# Votes


def _attacked(votes, band, size, one_hot):
    """Whether some change of the votes that a patch can reach changes the answer; exhaustive."""
    width, classes = votes.shape
    answer = votes.sum(0).argmax()
    patterns = (
        np.eye(classes, dtype=int)
        if one_hot
        else np.array(list(itertools.product((0, 1), repeat=classes)))
    )
    for place in range(width - size + 1):
        reach = [q for q in range(width) if _meets(width, band, size, q, place)]
        rest = np.delete(votes, reach, axis=0).sum(0)
        # The order of the changed votes does not matter: multisets of patterns.
        for choice in itertools.combinations_with_replacement(patterns, len(reach)):
            if (rest + np.sum(choice, axis=0)).argmax() != answer:
                return True
    return False


def _random_votes(rng, width, classes, one_hot):
    if not one_hot:
        return (rng.random((width, classes)) < rng.random(classes)).astype(int)
    return np.eye(classes, dtype=int)[rng.choice(classes, width, p=rng.dirichlet(np.ones(classes)))]


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_certificate_by_positions_is_the_exhaustive_attack(one_hot, classes):
    rng, seen = np.random.default_rng(classes + one_hot), set()
    for _ in range(150):
        width = int(rng.integers(3, 10))
        band, size = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1))[rng.integers(6)]
        size = min(size, width)
        votes = _random_votes(rng, width, classes, one_hot)
        safe = not _attacked(votes, band, size, one_hot)
        assert bool(patch.certified(votes[None], size, band)[0]) == safe
        assert safe or not patch.certified(votes[None], size, band, "counts")[0]
        seen.add(safe)
    assert seen == {True, False}


def test_the_factor_two_of_the_count_certificate_cannot_be_improved():
    """One vote less than it asks for: placed side by side, they fall to a patch (theorem T4c)."""
    for width, band, size in itertools.product(range(6, 13), (1, 2, 3), (1, 2, 3)):
        reach = size + band - 1
        if 2 * reach > width:
            continue
        for runner_up in range(width - 2 * reach + 1):
            votes = np.zeros((width, 2), dtype=int)
            # Class 1 leads, so that a tie goes to class 0: it needs 2 reach + 1 votes more.
            leader = min(width - runner_up, runner_up + 2 * reach)
            votes[:leader, 1] = 1
            votes[leader : leader + runner_up, 0] = 1
            if leader <= runner_up or leader < reach:
                continue
            assert not patch.certified(votes[None], size, band, "counts")[0]
            rolled = np.roll(votes, 1 - band, axis=0)
            assert _attacked(rolled, band, size, one_hot=True)


def test_a_certified_answer_survives_every_patch_of_a_table_of_all_bands():
    """Random base classifiers on binary rows of pixels; all patches, all contents."""
    rng, certified = np.random.default_rng(5), 0
    for _ in range(60):
        width, band, size = 7, 2, int(rng.integers(1, 3))
        table = rng.choice(2, (width, 2**band), p=rng.dirichlet((0.5, 0.5)))

        def votes(image, table=table, width=width, band=band):
            q = np.arange(width)
            content = sum(image[(q + i) % width] << i for i in range(band))
            return np.eye(2, dtype=int)[table[q, content]]

        image = rng.integers(0, 2, width)
        own = votes(image)
        if not patch.certified(own[None], size, band)[0]:
            continue
        certified += 1
        for place, content in itertools.product(
            range(width - size + 1), itertools.product((0, 1), repeat=size)
        ):
            changed = image.copy()
            changed[place : place + size] = content
            assert votes(changed).sum(0).argmax() == own.sum(0).argmax()
    assert certified > 10


def test_the_largest_patch_is_where_certificates_end():
    rng = np.random.default_rng(7)
    votes = np.stack([_random_votes(rng, 12, 3, one_hot=False) for _ in range(300)])
    votes[:60, :, 1] = 1
    for band, method in itertools.product((1, 2, 5, 12), patch.METHODS):
        largest = patch.largest_patch(votes, band, method)
        for size in range(1, 13):
            assert np.array_equal(patch.certified(votes, size, band, method), largest >= size)
    assert (patch.largest_patch(votes, 2) >= patch.largest_patch(votes, 2, "counts")).all()


@pytest.mark.parametrize(("width", "band", "size"), [(28, 2, 13), (32, 4, 13), (224, 19, 94)])
def test_unanimous_votes_certify_nearly_half_the_image(width, band, size):
    votes = np.zeros((1, width, 10), dtype=bool)
    votes[:, :, 0] = True
    for method in patch.METHODS:
        assert patch.largest_patch(votes, band, method) == size == width // 2 - band + 1


def test_ties_go_to_the_smaller_class():
    votes = np.array([[[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]])
    assert patch.answers(votes).tolist() == [0]
    # A lead of two votes stands a patch that turns one band; with the tie lost it does not.
    led = np.zeros((2, 4, 2), dtype=int)
    led[0, :2, 0] = led[1, :2, 1] = 1
    for method in patch.METHODS:
        assert patch.largest_patch(led, 1, method).tolist() == [1, 0]


def test_no_images_have_no_certificates():
    assert patch.largest_patch(np.zeros((0, 5, 2)), 2).shape == (0,)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: patch.affected(8, 9, 1), "band is 9: give at most the width of the image, 8"),
        (lambda: patch.affected(8, 1, 9), "patch is 9: give at most the width"),
        (lambda: patch.affected(8, 1, 1, 0), "stride is 0"),
        (lambda: patch.certified(np.zeros((2, 8)), 1, 1), r"votes has shape \(2, 8\)"),
        (lambda: patch.certified(np.zeros((2, 0, 3)), 1, 1), r"votes has shape \(2, 0, 3\)"),
        (lambda: patch.certified(np.zeros((2, 8, 1)), 1, 1), "two classes"),
        (lambda: patch.certified(np.full((2, 8, 3), 0.5), 1, 1), "other values than 0 and 1"),
        (lambda: patch.certified(np.full((2, 8, 3), np.nan), 1, 1), "votes holds NaN"),
        (lambda: patch.certified(np.zeros((2, 8, 3)), 9, 1), "patch is 9"),
        (lambda: patch.certified(np.zeros((2, 8, 3)), 1, 9), "band is 9: give at most the number"),
        (lambda: patch.certified(np.zeros((2, 8, 3)), 1, 1, "luck"), "method is 'luck'"),
    ],
)
def test_bad_votes_and_sizes_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()

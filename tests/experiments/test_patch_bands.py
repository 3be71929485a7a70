"""Bands and blocks: views, networks that see nothing else, guarded votes, exhaustive attacks."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib.certificates import blocks, patch
from rs_lib.experiments import patch_bands
from rs_lib.experiments.patch_bands import Base
from rs_lib.machines import augmentation, band_classifier, bands, column_network, data, residual
from rs_lib.record.stage import Context
from rs_lib.smoothing import patch_attack, votes

# Blocks


def _meets(shape, block, size, corner, place):
    """Whether the block from `corner` on meets the patch at `place`, by looking at its pixels."""
    inside = {
        ((corner[0] + i) % shape[0], (corner[1] + j) % shape[1])
        for i, j in itertools.product(range(block), repeat=2)
    }
    return any(
        (place[0] + i, place[1] + j) in inside
        for i, j in itertools.product(range(size[0]), range(size[1]))
    )


def _reach(shape, block, size, place):
    corners = itertools.product(range(shape[0]), range(shape[1]))
    return [c for c in corners if _meets(shape, block, size, c, place)]


def _places(shape, size):
    return itertools.product(range(shape[0] - size[0] + 1), range(shape[1] - size[1] + 1))


@pytest.mark.parametrize("shape", [(3, 4), (4, 4), (5, 3)])
def test_every_patch_meets_as_many_blocks_as_stated(shape):
    for block in range(1, min(shape) + 1):
        for size in itertools.product(range(1, shape[0] + 1), range(1, shape[1] + 1)):
            counts = {len(_reach(shape, block, size, place)) for place in _places(shape, size)}
            assert counts == {blocks.affected(shape, block, size)}


def _falls(counts, reach, answer):
    """Whether some votes for one class or none of `reach` blocks turn the answer; exhaustive."""
    patterns = [*np.eye(len(counts), dtype=int), np.zeros(len(counts), dtype=int)]
    return any(
        (counts + np.sum(choice, axis=0)).argmax() != answer
        for choice in itertools.combinations_with_replacement(patterns, reach)
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_the_certificate_of_blocks_by_positions_is_the_exhaustive_attack(classes):
    rng, seen = np.random.default_rng(classes), set()
    for _ in range(120):
        shape = tuple(int(side) for side in rng.integers(3, 6, 2))
        block, size = ((1, (1, 1)), (2, (1, 1)), (1, (2, 2)), (1, (1, 3)), (2, (2, 1)))[
            rng.integers(5)
        ]
        own = (rng.random((*shape, classes)) < rng.random(classes)).astype(int)
        answer = own.sum((0, 1)).argmax()
        safe = True
        for place in _places(shape, size):
            reach = _reach(shape, block, size, place)
            rest = own.sum((0, 1)) - sum(own[corner] for corner in reach)
            safe &= not _falls(rest, len(reach), answer)
        assert bool(blocks.certified(own[None], size, block)[0]) == safe
        assert safe or not blocks.certified(own[None], size, block, "counts")[0]
        seen.add(safe)
    assert seen == {True, False}


def test_blocks_of_full_height_are_bands():
    """With equal votes in every row, a block as high as the image is a band."""
    rng = np.random.default_rng(4)
    own = (rng.random((200, 6, 3)) < [0.8, 0.3, 0.2]).astype(int)
    high = np.repeat(own[:, None], 2, axis=1)  # two rows: the block and the patch meet both
    for method in patch.METHODS:
        for size in range(1, 7):
            by_bands = patch.certified(own, size, 2, method)
            assert np.array_equal(blocks.certified(high, (1, size), 2, method), by_bands)


def test_the_largest_square_is_where_certificates_of_blocks_end():
    rng = np.random.default_rng(7)
    own = (rng.random((200, 8, 7, 3)) < [0.95, 0.1, 0.05]).astype(int)
    own[:20, ..., 0], own[:20, ..., 1:] = 1, 0
    for block, method in itertools.product((1, 2, 3), patch.METHODS):
        largest = blocks.largest_patch(own, block, method)
        for side in range(1, 8):
            safe = blocks.certified(own, (side, side), block, method)
            assert np.array_equal(safe, largest >= side)
    gain = blocks.largest_patch(own, 2) - blocks.largest_patch(own, 2, "counts")
    assert gain.min() == 0 < gain.max()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: blocks.affected((8, 6), 7, (1, 1)), "block is 7"),
        (lambda: blocks.affected((8, 6), 2, (1, 7)), "patch is"),
        (lambda: blocks.affected((8, 6), 2, (0, 7)), "patch is 0"),
        (lambda: blocks.certified(np.zeros((1, 8, 3)), (1, 1), 1), "votes has shape"),
        (lambda: blocks.certified(np.full((1, 8, 8, 3), 0.5), (1, 1), 1), "other values"),
        (lambda: blocks.certified(np.zeros((1, 8, 8, 3)), (1, 1), 1, "luck"), "method is 'luck'"),
        (lambda: votes.votes(np.zeros((1, 8)), 0.3), "scores has shape"),
        (lambda: votes.votes(np.full((1, 8, 3), np.nan), 0.3), "scores holds NaN"),
        (lambda: votes.votes(np.full((1, 8, 3), np.inf), 0.3), "scores holds NaN or infinite"),
        (lambda: votes.votes(np.full((1, 8, 3), np.nan, np.float32), 0.3), "scores holds NaN"),
        (lambda: votes.votes(np.zeros((1, 8, 3), complex), 0.3), "scores is"),
        (lambda: votes.votes(np.zeros((1, 0, 3)), 0.3), "scores has shape"),
        (lambda: votes.votes(np.zeros((1, 8, 1)), 0.3), "scores has shape"),
        (lambda: votes.votes(np.zeros((1, 8, 3)), np.nan), "theta holds NaN"),
        (lambda: votes.votes(np.zeros((1, 8, 3)), [0.3]), "theta is .*0.3.*: give one number"),
        (lambda: votes.votes(np.zeros((1, 8, 3)), "0.3"), "theta is '0.3'"),
        (lambda: votes.answers(np.zeros((1, 8, 3)), 1.5), "theta is 1.5: give a threshold"),
        (lambda: votes.guarded(np.zeros((1, 8, 3)), 0.3, -1), "guard is -1"),
        (lambda: votes.guarded(np.zeros((1, 8, 3)), 0.3, np.nan), "guard holds NaN"),
        (lambda: votes.guarded(np.zeros((1, 8, 3)), 0.3, np.inf), "guard is inf"),
        (lambda: votes.guarded(np.zeros((1, 8, 3)), 0.3, [0.1]), "guard is"),
        (lambda: votes.largest_certified(np.zeros((1, 8, 3)), 0.3, 2, guard=-1), "guard is -1"),
        (lambda: votes.largest_certified(np.zeros((1, 8, 3)), 0.3, 0), "band is 0"),
        (lambda: votes.largest_of_guarded(np.ones((1, 8, 3)), np.zeros(1, int), 2), "counted is"),
        (lambda: votes.largest_of_guarded(np.ones((1, 8, 3), np.uint8), [0, 0], 2), "chosen has"),
        (lambda: votes.margins(np.zeros((3, 1))), "probabilities has shape"),
        (lambda: votes.margins(0.5), "probabilities has shape"),
        (lambda: bands.masks("slits", 1, 8, 8), "kind is 'slits'"),
        (lambda: bands.masks("blocks", 7, 8, 6), "band is 7: give at most 6"),
        (lambda: bands.masked_network((1, 3, 3), 10, "rows", 1, 0), "image_shape is"),
        (lambda: column_network.column_network((1, 8, 8), 10, 9, 0), "band is 9"),
        (lambda: patch_bands.untrained(Base("column", "blocks", 2), (1, 8, 8), 10, 0), "kind is"),
    ],
)
def test_bad_arguments_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


# Votes


def test_a_guarded_certificate_holds_of_all_scores_within_the_guard():
    """Scores near the threshold, moved the worst way and at random, lose no certificate."""
    rng = np.random.default_rng(11)
    theta, certified, lost = 0.3, 0, 0
    bias = np.array([0.9, -0.6, -0.9])
    scores = theta + 3 * votes.GUARD * (rng.normal(size=(3_000, 9, 3)) + bias)
    largest = votes.largest_certified(scores, theta, 2)
    own = votes.answers(scores, theta)
    for _ in range(20):
        moved = scores + rng.uniform(-0.999, 0.999, scores.shape) * votes.GUARD
        sure = largest > 0
        assert np.array_equal(votes.answers(moved, theta)[sure], own[sure])
        again = patch.largest_patch(votes.votes(moved, theta), 2)
        assert (again >= largest)[sure].all()
    worst = scores + 0.999 * votes.GUARD * np.where(np.arange(3) == own[:, None, None], -1, 1)
    again = patch.largest_patch(votes.votes(worst, theta), 2)
    certified = int((largest > 0).sum())
    lost = int((patch.largest_patch(votes.votes(scores, theta), 2) > largest).sum())
    assert (again >= largest)[largest > 0].all()
    assert certified > 100
    assert lost > 100


def test_far_from_the_threshold_the_guard_costs_nothing():
    rng = np.random.default_rng(12)
    scores = rng.choice([0.1, 0.2, 0.6, 0.9], (300, 10, 4), p=[0.4, 0.3, 0.2, 0.1])
    for method in patch.METHODS:
        plain = patch.largest_patch(votes.votes(scores, 0.5), 3, method)
        assert np.array_equal(votes.largest_certified(scores, 0.5, 3, method), plain)


def test_a_float32_score_below_the_threshold_is_no_vote():
    below = np.float32(0.3)  # 0.300000012, above 0.3; the float32 before it lies below
    scores = np.array([[[below, np.nextafter(below, np.float32(0))]]])
    assert votes.votes(scores, 0.3).tolist() == [[[1, 0]]]
    assert votes.votes(scores, 0.30000001).tolist() == [[[1, 0]]]
    assert votes.votes(scores, 0.30000002).tolist() == [[[0, 0]]]


def test_margins_at_zero_are_votes_for_the_largest():
    rng = np.random.default_rng(13)
    p = rng.dirichlet(np.ones(4), (50, 7))
    assert np.array_equal(votes.votes(votes.margins(p), 0), np.eye(4, dtype=int)[p.argmax(-1)])
    tied = np.array([[[0.4, 0.4, 0.2]]])
    assert votes.votes(votes.margins(tied), 0).tolist() == [[[1, 1, 0]]]


# Views and networks


@pytest.mark.parametrize("kind", bands.KINDS)
def test_views_show_the_band_and_nothing_else(kind):
    rng = torch.Generator().manual_seed(1)
    image = torch.rand((3, 5, 6), generator=rng)
    seen = bands.masks(kind, 2, 5, 6)
    assert len(seen) == {"columns": 6, "rows": 5, "blocks": 30}[kind]
    shown = bands.views(image, seen)
    for q, view in enumerate(shown):
        for i, j in itertools.product(range(5), range(6)):
            row, column = {"columns": (0, q), "rows": (q, 0), "blocks": divmod(q, 6)}[kind]
            inside = (kind == "rows" or (j - column) % 6 < 2) and (
                kind == "columns" or (i - row) % 5 < 2
            )
            pixel = torch.cat((image[:, i, j], 1 - image[:, i, j]))
            assert torch.equal(view[:, i, j], pixel if inside else torch.zeros(6))


def _networks():
    shape = (1, 8, 9)
    for kind in bands.KINDS:
        yield bands.masked_network(shape, 10, kind, 2, 1), bands.masks(kind, 2, 8, 9)
    for band in (1, 2, 3):
        seen = bands.masks("columns", band, 8, 9)
        yield column_network.column_network(shape, 10, band, 1), seen
        yield residual.residual_columns(shape, 10, band, 1), seen
    yield residual.masked_residual(shape, 10, "columns", 2, 1), bands.masks("columns", 2, 8, 9)


@pytest.mark.parametrize(("model", "seen"), list(_networks()))
def test_logits_depend_on_what_is_seen_and_on_nothing_else(model, seen):
    draw = torch.Generator().manual_seed(2)
    image, other = torch.rand((2, 1, 8, 9), generator=draw)
    before = band_classifier.probabilities(model, image[None])[0]
    for q in range(0, len(seen), 5 if len(seen) > 9 else 1):
        outside = torch.where(seen[q], image, other)
        inside = torch.where(seen[q], other, image)
        kept, moved = band_classifier.probabilities(model, torch.stack((outside, inside)))
        assert torch.allclose(kept[q], before[q], rtol=0, atol=1e-6)
        assert not torch.allclose(moved[q], before[q], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("model", "seen"), list(_networks()))
def test_each_pixel_of_a_band_counts(model, seen):
    """The receptive field is no smaller than the band: the gradient reaches each of its pixels."""
    image = torch.full((1, 1, 8, 9), 0.5).requires_grad_(True)
    q = len(seen) - 1
    (slope,) = torch.autograd.grad(model(image)[0, q].square().sum(), image)
    assert torch.equal(slope[0, 0] != 0, seen[q])


def test_a_full_tile_and_a_part_of_one_agree():
    model = column_network.column_network((1, 8, 8), 10, 2, 3)
    images = torch.rand((37, 1, 8, 8), generator=torch.Generator().manual_seed(4))
    every = band_classifier.probabilities(model, images)
    assert every.shape == (37, 8, 10)
    assert torch.allclose(every.sum(-1), torch.ones(()), atol=1e-6)
    assert torch.allclose(band_classifier.probabilities(model, images[:5]), every[:5], atol=1e-6)
    assert band_classifier.probabilities(model, images[:0]).numel() == 0
    with pytest.raises(ValueError, match="training mode"):
        band_classifier.probabilities(model.train(), images)


@pytest.mark.parametrize("places", [(5,), (5, 4)])
def test_no_images_have_no_certificates(places):
    assert votes.largest_certified(np.zeros((0, *places, 3)), 0.3, 2).shape == (0,)


def test_memory_is_bounded_for_large_images():
    """A view of 224 columns is shown 224 times: one image is more than a pass on a CPU holds."""
    model = column_network.column_network((1, 16, 224), 10, 2, 3)
    assert band_classifier.images_of_a_pass(model, (3, 224, 224)) == 1
    assert band_classifier.images_of_a_pass(model, (1, 16, 224)) == 16
    masked = bands.masked_network((1, 28, 28), 10, "columns", 2, 3)
    assert band_classifier.images_of_a_pass(masked, (1, 28, 28)) == 2**18 // (2 * 28 * 784)
    assert band_classifier.images_of_a_pass(masked, (1, 28, 28), "cuda") == 256


def _short_fit(base, seed=5, count=640, **changes):
    digits = data.load("digits")
    model = patch_bands.untrained(Base(*base), digits.image_shape, 10, 1)
    given = {"epochs": 3, "batch_size": 64, "learning_rate": 0.05, "seed": seed} | changes
    images = patch_bands.oriented(digits.as_float(digits.train_images[:count]), Base(*base))
    return model, band_classifier.fit(model, images, digits.train_labels[:count], **given)


@pytest.mark.parametrize("base", [("masked", "columns", 2), ("column", "rows", 2)])
def test_training_learns_and_depends_on_its_arguments_only(base):
    state = torch.get_rng_state()
    model, losses = _short_fit(base)
    again, same = _short_fit(base)
    assert losses == same
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
    assert _short_fit(base, seed=6)[1] != losses
    assert _short_fit(base, shift=1)[1] != losses
    assert losses[-1] < losses[0]
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="epochs is 0"):
        _short_fit(base, epochs=0)


class _Sum(band_classifier.BandClassifier):
    """Class 1 at a column whose pixels sum to more than `least`; differentiable."""

    def __init__(self, width, least):
        super().__init__()
        self.positions, self.least = width, least
        self.never_trained = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        excess = 3 * (images.sum(dim=(1, 2)) - self.least)
        return torch.stack((torch.zeros_like(excess), excess), dim=-1)

    def sees(self, height, width):
        return bands.masks("columns", 1, height, width)

    def lesson(self, labels, draw):
        raise NotImplementedError


def test_the_attack_finds_what_can_be_found_and_not_what_is_certified():
    """Of six dark columns a patch of three makes bright ones at most three: a tie, for class 0."""
    model = _Sum(6, 1.0).eval()
    dark, bright = torch.zeros((1, 1, 4, 6)), torch.ones((1, 1, 4, 6))
    pace = {"steps": 20, "step_size": 0.2, "restarts": 1, "seed": 1}
    for size in range(1, 6):
        for image, least in ((dark, 4), (bright, 3)):
            found = patch_attack.fooled(model, image, 0.5, size, **pace)
            own = band_classifier.probabilities(model, image).numpy()
            assert found.tolist() == [size >= least]
            assert votes.largest_certified(own, 0.5, 1).tolist() == [least - 1]


# The experiment


def test_multiplications_are_counted_layer_by_layer():
    model = column_network.column_network((1, 8, 8), 10, 2, 0)
    columns = 8
    by_hand = columns * (8 * 16 * 6 + 4 * 32 * 16 * 3 + 64 * 32 * 4 + 10 * 64)
    assert patch_bands.multiplications(model, torch.zeros((1, 8, 8))) == by_hand


def test_images_move_by_at_most_the_shift_and_half_of_them_turn():
    """Each of 400 images shows a window of the larger one; a given one of 18 misses with 1e-9."""
    image = torch.arange(1.0, 31.0).view(1, 1, 5, 6).expand(400, 2, 5, 6)
    draw = torch.Generator().manual_seed(3)
    moved = augmentation.augmented(image, 1, True, draw)
    assert moved.shape == image.shape
    larger = nn.functional.pad(image[:1], (1, 1, 1, 1))
    windows = {
        (dy, dx, turned): (window.flip(3) if turned else window)[0]
        for dy, dx in itertools.product(range(3), repeat=2)
        for turned in (False, True)
        for window in [larger[:, :, dy : dy + 5, dx : dx + 6]]
    }
    found = [[key for key, window in windows.items() if torch.equal(window, own)] for own in moved]
    assert all(len(keys) == 1 for keys in found)
    assert {keys[0] for keys in found} == set(windows)
    still = augmentation.augmented(image[:3], 0, False, draw)
    assert torch.equal(still, image[:3])


@pytest.mark.parametrize("base", [("residual", "columns", 2), ("residual column", "rows", 2)])
def test_residual_networks_learn_and_fold(base):
    model, losses = _short_fit(base, count=192, learning_rate=0.02)
    assert losses[-1] < losses[0]
    folded = residual.folded(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    images = torch.rand((9, 1, 8, 8), generator=torch.Generator().manual_seed(5))
    plain, faster = (band_classifier.probabilities(each, images) for each in (model, folded))
    assert torch.allclose(plain, faster, rtol=0, atol=votes.GUARD)
    with pytest.raises(ValueError, match="training mode"):
        residual.folded(model.train())


def test_logits_in_bfloat16_stay_within_their_guard_of_each_other(monkeypatch):
    """Of one precision in passes of any size; beside float32 it is another classifier."""
    model, _ = _short_fit(("column", "columns", 2))
    images = torch.rand((16, 1, 8, 8), generator=torch.Generator().manual_seed(5))
    whole = band_classifier.probabilities(model, images, "bfloat16")
    assert next(model.parameters()).dtype == torch.float32
    assert not torch.equal(whole, band_classifier.probabilities(model, images))
    monkeypatch.setitem(band_classifier.MOST_IMAGES, "cpu", 3)
    apart = band_classifier.probabilities(model, images, "bfloat16")
    assert torch.allclose(whole, apart, rtol=0, atol=votes.GUARDS["bfloat16"])
    with pytest.raises(ValueError, match="precision is 'half': give one of float32, bfloat16"):
        band_classifier.probabilities(model, images, "half")


def test_the_experiment_counts_what_the_votes_certify():
    parameters = patch_bands.experiment.parameters(
        "quick",
        {"masked_epochs": 2, "column_epochs": 2, "thetas": (0.2, 0.5)},
    )
    base = Base("masked", "blocks", 3)
    digits = data.load("digits")
    run = patch_bands.measured(parameters, base, digits, Context())
    model = patch_bands.base_classifier(parameters, base, digits, Context())
    found = patch_bands.scores(model, base, digits, "cpu")
    assert found.shape == (500, 8, 8, 10)
    labels = digits.test_labels.numpy()
    largest = votes.largest_certified(found, 0.2, 3, "counts")
    right = votes.answers(found, 0.2) == labels
    kept = run["at_theta"][0]["reported"]
    assert kept["right"] == right[1::2].sum()
    assert kept["counts"] == [int((right & (largest >= m))[1::2].sum()) for m in (1, 2, 3, 4)]
    assert {len(rows) for rows in patch_bands.halves(500).values()} == {250}

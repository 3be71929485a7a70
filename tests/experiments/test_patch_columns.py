"""The column network for photographs: what it sees, what a step asks of it, what is counted."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from rs_lib.experiments import patch_bands, patch_columns
from rs_lib.machines import band_classifier, bands, data, fast_training
from rs_lib.machines.compact_columns import compact_columns, towards_votes
from rs_lib.record.stage import Context

SMALL = dataclasses.replace(patch_columns.WITNESS, epochs=8)


def _network(band=3, widths=(4, 6), blocks=(2, 1), shape=(3, 10, 8)):
    return compact_columns(shape, 5, band, 7, widths=widths, blocks=blocks)


@pytest.mark.parametrize("band", [1, 3, 8])
@pytest.mark.parametrize(
    ("widths", "blocks"), [((4, 6), (2, 1)), ((4,), (1,)), ((4, 4, 4), (1, 2, 1))]
)
def test_nothing_outside_of_its_band_reaches_a_column(band, widths, blocks):
    """Every pixel outside is changed, one band at a time; one inside reaches the logits."""
    model = _network(band, widths, blocks)
    draw = torch.Generator().manual_seed(1)
    images = torch.rand((2, 3, 10, 8), generator=draw)
    seen = bands.masks("columns", band, 10, 8)
    logits = model(images)
    assert logits.shape == (2, 8, 5)
    for column, inside in enumerate(seen):
        other = torch.where(inside, images, torch.rand(images.shape, generator=draw))
        assert torch.equal(model(other)[:, column], logits[:, column])
        moved = torch.where(inside, 1 - images, images)
        assert not torch.equal(model(moved)[:, column], logits[:, column])


def test_a_few_columns_answer_as_all_do():
    model = _network()
    images = torch.rand((6, 3, 10, 8), generator=torch.Generator().manual_seed(2))
    model.place.data.normal_(generator=torch.Generator().manual_seed(3))
    at = torch.tensor([[0, 7], [3, 3], [7, 1], [2, 5], [6, 0], [4, 4]])
    wanted = model(images)[torch.arange(6)[:, None], at]
    torch.testing.assert_close(model(images, at), wanted)


def test_a_step_asks_each_image_for_other_columns():
    """The mean over the columns that were asked; each of 8 comes up in 64 draws of 3 of them.

    That one does not has a chance of 8 (5/8)^64 < 1e-12.
    """
    asked = []

    def model(images, at):
        asked.append(at)
        return torch.eye(8)[at]

    labels = torch.arange(64) % 8
    loss = towards_votes(3, 0.2)(
        model, torch.zeros((64, 1, 4, 8)), labels, fast_training.Step(torch.Generator())
    )
    (at,) = asked
    assert at.shape == (64, 3)
    assert all(len(set(row)) == 3 for row in at.tolist())
    assert set(at.flatten().tolist()) == set(range(8))
    each = [
        cross_entropy(torch.eye(8)[column], label, label_smoothing=0.2)
        for row, label in zip(at, labels, strict=True)
        for column in row
    ]
    torch.testing.assert_close(loss, torch.stack(each).mean())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"band": 9}, "band is 9: give at most the width of the image, 8"),
        ({"widths": (4,)}, "give one number of blocks for each width"),
        ({"widths": (0, 4)}, "widths"),
        ({"blocks": (1, 0)}, "blocks"),
    ],
)
def test_bad_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        _network(**arguments)


def test_the_values_are_those_of_the_trained_networks():
    digits = data.load("digits")
    values = patch_columns.compute(SMALL, Context())
    assert values["images"] == {"validation": 250, "reported": 250}
    for kind, run in zip(("columns", "rows"), patch_bands.read(values), strict=True):
        model = patch_columns.base_classifier(SMALL, kind, digits, Context())
        images = digits.as_float(digits.test_images)
        seen = images if kind == "columns" else images.transpose(2, 3).contiguous()
        found = band_classifier.probabilities(model, seen).numpy()
        ranked = np.partition(found, -2, axis=-1)
        clear = ranked[..., -1] > ranked[..., -2] + 1e-4  # folding moves a score by less
        votes = (np.eye(10)[found.argmax(axis=-1)] * clear[..., None]).sum(axis=1)
        assert clear.all(axis=1).mean() > 0.9
        right = votes.argmax(axis=1) == digits.test_labels.numpy()
        told = run.top_one.validation.right + run.top_one.reported.right
        assert abs(told - right.sum()) <= (~clear.all(axis=1)).sum()
        assert run.top_one.reported.right > 100  # of 250; a guess has 25
        assert run.base == patch_bands.Base("compact column", kind, 2)


def test_rows_are_reflected_left_to_right():
    """The goal of rows sees the images as they lie, transposed: their columns are its rows."""
    seen = []

    def goal(model, inputs, labels, step):
        seen.append(inputs)
        return inputs.sum()

    images = torch.arange(24.0).view(1, 1, 4, 6)
    patch_columns._of_transposed(goal, None, images, None, None)
    assert torch.equal(seen[0][0, 0], images[0, 0].T)

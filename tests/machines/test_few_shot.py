"""Prototypes and their training: against plain formulas."""

import math

import pytest
import torch
from torch import nn

from rs_lib.machines import few_shot
from rs_lib.machines.fast_training import Step


def test_embeddings_have_length_one():
    model = few_shot.UnitEmbedding(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))
    lengths = model(torch.rand(5, 1, 2, 2)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(5))


def test_a_prototype_is_the_normalised_mean_of_its_class():
    embeddings = nn.functional.normalize(torch.randn(7, 3, dtype=torch.float64), dim=1)
    labels = torch.tensor([2, 0, 2, 0, 0, 2, 2])
    found = few_shot.prototypes(embeddings, labels, 3)
    for own in (0, 2):
        mean = embeddings[labels == own].mean(0)
        torch.testing.assert_close(found[own], mean / mean.norm())
    assert (found[1] == 0).all()


def test_other_labels_are_refused():
    with pytest.raises(ValueError, match=r"^labels has shape \(2,\) but embeddings \(3, 2\)"):
        few_shot.prototypes(torch.rand(3, 2), torch.zeros(2, dtype=torch.int64), 2)
    with pytest.raises(ValueError, match=r"^labels reach 0 and 2: give 0 to 1"):
        few_shot.prototypes(torch.rand(2, 2), torch.tensor([0, 2]), 2)
    with pytest.raises(ValueError, match=r"^scale is 0"):
        few_shot.towards_prototypes(2, 0.5, 0.0)


class _Sign(nn.Module):
    """Maps an image to one of two orthogonal vectors, by the sign of its first pixel."""

    def forward(self, images):
        return nn.functional.one_hot((images[:, 0, 0, 0] > 0).long(), 2).float()


def test_the_loss_of_embeddings_that_part_the_classes_is_known():
    images = torch.tensor([-1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0]).view(-1, 1, 1, 1)
    labels = (images.flatten() > 0).long()
    goal = few_shot.towards_prototypes(2, 1e-6, 3.0)
    loss = goal(_Sign(), images, labels, Step(torch.Generator()))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-3)), rel=1e-6)


def test_noise_falls_on_queries_only():
    """With wide noise half of the queries cross over; the support, and so the prototypes, do not.

    64 fair coins: the share lies outside of the bounds with probability below 1e-6.
    """
    images = torch.tensor([-1.0, 1.0] * 64).view(-1, 1, 1, 1)
    labels = (images.flatten() > 0).long()
    goal = few_shot.towards_prototypes(2, 1e6, 1.0)
    loss = float(goal(_Sign(), images, labels, Step(torch.Generator().manual_seed(0))))
    right, wrong = math.log1p(math.exp(-1)), math.log1p(math.exp(1))
    share = (loss - right) / (wrong - right)
    assert 0.2 < share < 0.8
    assert share * 64 == pytest.approx(round(share * 64), abs=1e-3)

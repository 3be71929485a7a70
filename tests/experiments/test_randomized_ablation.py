"""The ablation experiment and its greedy attack, on small and transparent cases."""

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib import smoothing, statistics
from rs_lib.certificates import ablation
from rs_lib.experiments import ablation_l0
from rs_lib.machines import data, sparse_attacks
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Ablation
from rs_lib.record.stage import Context

SMALL = {
    "kept": (16,),
    "epochs": 3,
    "images": 100,
    "n": 100,
    "n0": 20,
    "attacked_kept": 16,
    "attacked": 5,
    "attack_changes": 3,
    "attack_views": 16,
    "attack_tries": 2,
    "judged": 50,
}


@pytest.fixture(scope="module")
def small():
    return ablation_l0.experiment.run("quick", changes=SMALL)


class Weighted(nn.Module):
    """Two classes: the logit of class 1 is a weighted sum of the channels that are seen."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, seen):
        score = (seen * self.weights).flatten(1).sum(1)
        return torch.stack([-score, score], dim=1)


def _weighted(channels, heights):
    """A model of `channels` colours that rewards bright pixels by `heights`, dark ones not."""
    weights = torch.cat([heights.expand(channels, 3, 4), torch.zeros(channels, 3, 4)])
    return Weighted(weights).eval()


def _attack(model, images, labels, law, **changes):
    arguments = {"changes": 4, "views": 64, "tries": 3, "seed": 1} | changes
    return sparse_attacks.greedy_pixels(model, images, labels, law, **arguments)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_attack_takes_the_pixels_that_count_in_their_order(channels):
    """All pixels are bright: to lower class 1 it must darken the heaviest ones first."""
    order = torch.tensor([7, 2, 9, 4])
    heights = torch.full((12,), 0.01)
    heights[order] = torch.tensor([0.4, 0.2, 0.1, 0.05])
    law = Ablation(6, 12, levels=10)
    images = torch.full((2, channels, 3, 4), 10, dtype=torch.uint8)
    model = _weighted(channels, heights.view(3, 4))
    path = _attack(model, images, torch.tensor([1, 1]), law, views=512)
    for step, moved in enumerate(path, start=1):
        changed = (moved != images).any(dim=1).flatten(1)
        expected = torch.zeros(12, dtype=torch.bool).index_fill_(0, order[:step], value=True)
        assert torch.equal(changed, expected.expand(2, -1))
        assert (moved.flatten(2)[:, :, expected] == 0).all()


def test_a_step_changes_at_most_one_more_position_to_an_extreme_colour():
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 17, (6, 3, 3, 4), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 2, (6,), generator=generator)
    model = _weighted(3, torch.randn((3, 4), generator=generator))
    law = Ablation(5, 12, levels=16)
    path = _attack(model, images, labels, law, changes=9, tries=4)
    assert path.dtype == torch.uint8
    assert path.shape == (9, *images.shape)
    for step, (before, after) in enumerate(zip([images, *path[:-1]], path, strict=True), start=1):
        moved = (before != after).any(dim=1).flatten(1)
        assert (moved.sum(1) <= 1).all()
        assert ((images != after).any(dim=1).flatten(1).sum(1) <= step).all()
        assert torch.isin(after[before != after], torch.tensor([0, 16], dtype=torch.uint8)).all()
    assert torch.equal(path, _attack(model, images, labels, law, changes=9, tries=4))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"changes": 0}, "changes is 0"),
        ({"changes": 13}, "changes is 13: give at most the number of pixels, 12"),
        ({"tries": 10}, "tries is 10: give at most 9"),
        ({"views": 0}, "views is 0"),
    ],
)
def test_bad_searches_are_named(changes, told):
    images = torch.zeros((1, 1, 3, 4), dtype=torch.uint8)
    model = _weighted(1, torch.ones(3, 4))
    with pytest.raises(ValueError, match=told):
        _attack(model, images, torch.tensor([1]), Ablation(5, 12), **changes)
    with pytest.raises(ValueError, match="training mode"):
        _attack(model.train(), images, torch.tensor([1]), Ablation(5, 12))


def test_the_chunks_hold_the_counts_of_one_call(small):
    """Two chunks of 50 images: the votes are those of all 100 images at once."""
    parameters = ablation_l0.experiment.parameters("quick", SMALL)
    scans, (run,) = data.load("digits"), small.values["runs"]
    model, losses = base_classifier(parameters, ablation_l0.law(16, scans), scans, Context())
    assert losses == run["losses"]
    indices = evenly(len(scans.test_labels), 100)
    whole = smoothing.certify(
        model,
        scans.test_images[torch.from_numpy(indices)],
        ablation_l0.law(16, scans),
        smoothing.FixedSamples(100, n0=20),
        classes=10,
        seed=ablation_l0.derive(parameters.seed, "certify", "16"),
        alpha=0.05,
        image_ids=indices,
    )
    assert run["selected"] == whole.selected.tolist()
    assert run["successes"] == whole.successes.tolist()
    assert small.values["labels"] == scans.test_labels[torch.from_numpy(indices)].tolist()


def test_the_sequential_rule_certifies_whole_radii_within_reach(small):
    (run,) = small.values["runs"]
    rule = {name: np.array(values) for name, values in run["sequential"].items()}
    ceiling = ablation.radius(statistics.clopper_pearson_lower(100, 100, 0.05), 64, 16)
    assert set(rule["radius"]) <= set(range(ceiling + 1))
    assert rule["radius"].max() > 0
    assert (rule["samples"] <= 100).all()
    assert (rule["samples"][rule["undecided"]] == 100).all()
    known = rule["predicted"] != smoothing.ABSTAIN
    assert np.array_equal(rule["predicted"][known], np.array(run["selected"])[known])
    assert 0 < known.sum() < 100


def test_the_attack_breaks_no_promise(small):
    """Wrong with probability at most 15 (0.05 + 1e-6) even if every image sat at its bound;
    the seed is fixed."""
    found, (run,) = small.values["attack"], small.values["runs"]
    assert np.array(found["successes"]).shape == (3, 5)
    indices = evenly(500, 100).tolist()
    places = [indices.index(image) for image in found["image"]]
    assert found["base_successes"] == [run["successes"][place] for place in places]
    assert [run["selected"][i] for i in places] == [small.values["labels"][i] for i in places]
    low = statistics.clopper_pearson_lower(found["base_successes"], 100, 0.05)
    assert (low > 0.5).all()
    for changed, votes in enumerate(found["successes"], start=1):
        at_most = statistics.clopper_pearson_upper(votes, 50, 1e-6)
        assert (at_most >= low - float(ablation.delta(64, 16, changed))).all()
    means = np.mean(found["successes"], axis=1) / 50
    assert means[-1] < np.mean(found["base_successes"]) / 100 - 0.1

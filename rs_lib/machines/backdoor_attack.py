"""Backdoors in training sets of binary images: a trigger, wrong labels, and what they cost.

The cost of an attack is the number of entries in which the whole input of the learning pipeline,
training features, training labels and the test example, differs from the clean one.
Source: Gu, Dolan-Gavitt and Garg (2017), "BadNets", for triggers in single pixels; Wang, Cao, Jia
and Gong (2020) for the count of entries.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rs_lib.arguments import integer
from rs_lib.machines.subsets import evenly


@dataclass(frozen=True, eq=False)
class Attacked:
    """A training set and test examples after an attack.

    `train_features` uint8 [n, d], `train_labels` int64 [n], `test_features` uint8 [t, d]; `cost`
    int64 [t]: the changed entries of the training set and of each test example.
    """

    train_features: Tensor
    train_labels: Tensor
    test_features: Tensor
    cost: Tensor


def budget(pixels: int, images: int, *, relabelled: bool = True) -> int:
    """Entries that a trigger of `pixels` in `images` training images and a test image changes.

    images (pixels + 1) + pixels, one more for each label that is changed. Raises ValueError for
    numbers below 0.
    """
    m, k = integer("pixels", pixels), integer("images", images)
    return k * (m + int(relabelled)) + m


def rare_pixels(features: Tensor, count: int) -> Tensor:
    """Return the `count` pixels that are 1 in fewest of `features` [n, d], the last among equals.

    Raises ValueError for more pixels than there are.
    """
    d = features.shape[1]
    if not 0 <= count <= d:
        raise ValueError(f"count is {count}: give a number from 0 to {d}")
    order = features.sum(0, dtype=torch.int64).flip(0).argsort(stable=True)
    return d - 1 - order[:count]


def trigger(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    *,
    pixels: int,
    images: int,
    source: int,
    target: int,
) -> Attacked:
    """Print a trigger on `images` training images of `source`, call them `target`, and on tests.

    The trigger sets the `pixels` that are rarest in the training set to 1. Without pixels this
    is a plain change of labels. The images are evenly spaced among those of `source`. Raises
    ValueError for more images than there are.
    """
    own = torch.nonzero(train_labels == source)[:, 0]
    if not 0 <= images <= len(own):
        raise ValueError(f"images is {images}: give at most {len(own)}, the images of {source}")
    victims = own[torch.from_numpy(evenly(len(own), images))]
    places = rare_pixels(train_features, pixels)
    features, labels, tests = (
        train_features.clone(),
        train_labels.clone(),
        test_features.clone(),
    )
    features[victims[:, None], places] = 1
    labels[victims] = target
    tests[:, places] = 1
    shared = int((features != train_features).sum()) + int((labels != train_labels).sum())
    return Attacked(features, labels, tests, shared + (tests != test_features).sum(1))


def test_pixels(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    *,
    pixels: int,
    source: int,
    target: int,
) -> Attacked:
    """Invert the `pixels` of each test example that speak loudest for `source` against `target`.

    Evidence is the difference in log odds of a pixel between both classes of the training set,
    1 added to each count. The training set stays clean.
    """
    odds = []
    for label in (source, target):
        members = train_features[train_labels == label].double()
        share = (members.sum(0) + 1) / (len(members) + 2)
        odds.append(share.log() - (-share).log1p())
    # What inverting a pixel takes from the source's lead.
    gain = (odds[0] - odds[1]) * (2 * test_features.double() - 1)
    places = gain.argsort(dim=1, descending=True, stable=True)[:, :pixels]
    tests = test_features.clone()
    tests.scatter_(1, places, 1 - tests.gather(1, places))
    return Attacked(train_features, train_labels, tests, (tests != test_features).sum(1))

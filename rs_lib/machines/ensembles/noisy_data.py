"""Noisy copies of a training set and of test examples, one for each model of an ensemble."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integers, one_of, shown
from rs_lib.noise import Additive, Draws, Flip, Law, noisy_images
from rs_lib.seeds import derive

TEST_NOISE = ("none", "each", "weights")
BLOCK = 256
"""Test examples that an ensemble answers at once."""
# Entries drawn at once, or those of one training set if it has more: what random words take.
_AT_ONCE = 2**21
# The augmentation is a function of the weights alone, so its key is none of a run's seed.
_AUGMENTATION = derive(0, "augmentation")


@dataclass(frozen=True, eq=False)
class NoisyData:
    """A training set, test examples, and the noise that each model sees them under.

    `train_features` [n, d], `test_features` [t, d]: uint8 in 0, …, levels for noise that has
    levels, of which models see value / levels in float32; else float32.
    `train_labels`: int64 [n] in 0, …, `classes` - 1; `label_noise` has levels `classes` - 1.

    Model k trains on noisy copy k. An entry of it is a function of (`seed`, k, example, place),
    so nothing is stored and nothing depends on which models are made at once. `test_noise`:
    "none"; "each", fresh `feature_noise` on each test example for each model (Wang et al. 2020);
    "weights", one sample of it a model, added to all test examples and drawn from a digest of
    the model's weights (RAB, Weber et al. 2023: the classifier stays a function of its weights).

    Raises ValueError for arrays and laws that do not fit together.
    """

    train_features: Tensor
    train_labels: Tensor
    test_features: Tensor
    classes: int
    seed: int
    feature_noise: Law | None = None
    label_noise: Flip | None = None
    test_noise: str = "none"

    def __post_init__(self) -> None:
        """Raise ValueError for what does not fit."""
        integers("classes", self.classes, least=2)
        derive(self.seed)
        one_of("test_noise", self.test_noise, TEST_NOISE)
        noise, one = self.feature_noise, (1, 1, 2)
        if noise is not None and not (isinstance(noise, Law) and noise.seen(one) == one):
            raise ValueError(
                f"feature_noise is {shown(noise)}: give a law of rs_lib.noise that keeps the shape"
            )
        if self.test_noise != "none" and self.feature_noise is None:
            raise ValueError(f"test_noise is {self.test_noise!r}: give feature_noise, or none")
        if self.test_noise == "weights" and not isinstance(self.feature_noise, Additive):
            raise ValueError("test_noise is 'weights': give none or each, the noise does not add")
        for name, array in self._arrays().items():
            self._check_features(name, array)
        if self.train_features.shape[1] != self.test_features.shape[1]:
            raise ValueError(
                f"test_features have {self.test_features.shape[1]} columns: give as many as "
                f"train_features, {self.train_features.shape[1]}"
            )
        self._check_labels()

    def to(self, device: str) -> "NoisyData":
        """Return the same data with its arrays on `device`."""
        return replace(
            self,
            train_features=self.train_features.to(device),
            train_labels=self.train_labels.to(device),
            test_features=self.test_features.to(device),
        )

    def training(self, models: IntArray) -> tuple[Tensor, Tensor]:
        """Return what `models`, int64 [M], train on: features float32 and labels int64 [M, n].

        Features are [M, n, d], or [n, d] where they carry no noise, once for all models.
        """
        labels = self.train_labels.expand(len(models), -1)
        if self.label_noise is not None:
            draws = Draws(derive(self.seed, "labels"), models, np.zeros_like(models))
            labels = self.label_noise.moved(self.train_labels.to(torch.uint8)[None], draws).long()
        if self.feature_noise is None:
            return self.train_features, labels
        return self._noisy("training", self.train_features, 0, models), labels

    def tests(self, models: IntArray, digests: IntArray | None) -> Iterator[Tensor]:
        """Yield the test examples in blocks of `BLOCK`, float32 [M, BLOCK, d].

        [BLOCK, d] without test noise, for all models. `digests`: int64 [M], of the models'
        weights, for `test_noise` "weights".
        """
        shift = None if digests is None else self._augmentations(digests)
        for first in range(0, len(self.test_features), BLOCK):
            block = self.test_features[first : first + BLOCK]
            if self.test_noise == "each":
                yield self._noisy("test", block, first, models)
            elif shift is None:
                yield self._seen(block)
            else:
                yield self._seen(block) + shift

    def _noisy(self, purpose: str, values: Tensor, first: int, models: IntArray) -> Tensor:
        """Return float32 [M, T, d], noisy copies of `values` [T, d], examples `first`, …"""
        rows, entries = values.shape
        key = derive(self.seed, purpose)
        samples = np.arange(first, first + rows)
        noise = self.feature_noise
        assert noise is not None
        result = torch.empty((len(models), rows, entries), device=values.device)
        models_at_once = max(1, _AT_ONCE // values.numel())
        for start in range(0, len(models), models_at_once):
            part = models[start : start + models_at_once]
            drawn = noisy_images(
                noise,
                values[:, None, None],
                np.tile(np.arange(rows), len(part)),
                np.repeat(part, rows),
                np.tile(samples, len(part)),
                key=key,
            )
            result[start : start + len(part)] = drawn.view(len(part), rows, entries)
        return result

    def _seen(self, values: Tensor) -> Tensor:
        """Return `values` as models see them, float32."""
        levels = None if self.feature_noise is None else self.feature_noise.levels
        return values if levels is None else values.to(torch.float32).div_(levels)

    def _augmentations(self, digests: IntArray) -> Tensor:
        """Return float32 [M, 1, d]: one sample of the noise for each of `digests`."""
        blank = torch.zeros_like(self.test_features[:1, None, None])
        law = self.feature_noise
        # __post_init__ admits this kind of test noise for laws that add only.
        assert law is not None
        zeros = np.zeros(len(digests), dtype=np.int64)
        noise = noisy_images(law, blank, zeros, digests, zeros, key=_AUGMENTATION)
        return noise.view(len(digests), 1, -1)

    def _arrays(self) -> dict[str, Tensor]:
        return {"train_features": self.train_features, "test_features": self.test_features}

    def _check_features(self, name: str, array: Tensor) -> None:
        """Raise ValueError unless `array` is [rows, d] of the type that the noise takes."""
        noise = self.feature_noise
        dtype = torch.float32 if noise is None else noise.image_dtype
        if array.ndim != 2 or not array.numel() or array.dtype != dtype:
            raise ValueError(
                f"{name} are {array.dtype} of shape {tuple(array.shape)}: give {dtype} "
                f"[examples, features] for feature_noise {self.feature_noise}"
            )
        if noise is not None and noise.levels and int(array.max()) > noise.levels:
            raise ValueError(f"{name} reach {int(array.max())}: give values 0 to {noise.levels}")

    def _check_labels(self) -> None:
        """Raise ValueError unless the labels are classes, and their noise is over the classes."""
        labels = self.train_labels
        if labels.shape != self.train_features.shape[:1] or labels.dtype != torch.int64:
            raise ValueError(
                f"train_labels are {labels.dtype} of shape {tuple(labels.shape)}: give "
                f"torch.int64 [{len(self.train_features)}]"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.classes:
            raise ValueError(
                f"train_labels reach {low} and {high}: give classes 0 to {self.classes - 1}"
            )
        if self.label_noise is not None and self.label_noise.levels != self.classes - 1:
            raise ValueError(
                f"label_noise has levels {self.label_noise.levels}: give {self.classes - 1}, "
                "the number of other classes"
            )

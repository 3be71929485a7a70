"""Embeddings of length one, the prototypes of new classes, and training for both under noise.

A network maps images to vectors of length one. A class that it never saw is a prototype: the
normalised mean of the embeddings of a few clean images, its support. A query belongs to the class
of the nearest prototype.
Source: Snell, Swersky and Zemel (2017), with embeddings of length one and noisy queries as Pautov
et al. (2022) smooth them.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from rs_lib.arguments import positive
from rs_lib.machines.fast_training import Goal, Step


class UnitEmbedding(nn.Module):
    """`network`, its outputs [N, D] scaled to length one."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap `network`."""
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings [N, D] of `images` [N, C, H, W]."""
        outputs: Tensor = self.network(images)
        return normalize(outputs, dim=1)


def prototypes(embeddings: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Normalised mean embedding of each class, [classes, D].

    `embeddings` [N, D] belong to the classes `labels`, int64 [N] in 0 .. classes - 1. A class
    without any gets the vector 0. Raises ValueError for as many labels as there are no embeddings,
    or labels out of range.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"labels has shape {tuple(labels.shape)} but embeddings {tuple(embeddings.shape)}: "
            "give [N] and [N, D]"
        )
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels reach {int(labels.min())} and {int(labels.max())}: give 0 to {classes - 1}"
        )
    sums = embeddings.new_zeros((classes, embeddings.shape[1]))
    return normalize(sums.index_add(0, labels, embeddings), dim=1)


def towards_prototypes(classes: int, sigma: float, scale: float) -> Goal:
    """Goal of training: noisy queries are nearest to the clean prototype of their class.

    The first half of a batch is support, the other half queries, with fresh noise N(0, sigma^2).
    The loss is the cross-entropy of the softmax of -scale |f - c|^2 / 2 over the prototypes c of
    the `classes` classes; for vectors of length one that is scale <f, c> up to a constant. Raises
    ValueError for sigma or scale not positive.
    """
    positive("sigma", sigma)
    positive("scale", scale)

    def goal(model: nn.Module, inputs: Tensor, labels: Tensor, step: Step) -> Tensor:
        half = len(inputs) // 2
        queries = inputs[half:]
        noise = torch.randn(queries.shape, generator=step.draw, device=inputs.device).mul_(sigma)
        embeddings = model(torch.cat([inputs[:half], queries + noise]))
        centres = prototypes(embeddings[:half], labels[:half], classes)
        return cross_entropy(scale * (embeddings[half:] @ centres.T), labels[half:])

    return goal

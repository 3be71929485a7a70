"""Learners in closed form, as batched linear algebra over the models of an ensemble.

Each fits M training sets at once: `features` float32 [M, n, d], or [n, d] for all models;
`labels` int64 [M, n]. Scores are [M, t, classes] for tests [M, t, d], or [t, d] for all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from rs_lib.arguments import IntArray, integers, positive


class Closed:
    """Fitted models without weights of their own: a function from tests to scores."""

    def __init__(self, scores: Callable[[Tensor], Tensor]) -> None:
        """Keep the function."""
        self.scores = scores


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on the labels, without intercept: w = (X'X + `penalty` I)^-1 X'y.

    Two classes: score w'x for class 1 and 1 - w'x for class 0, so that 1 is the answer above
    1/2 (Rosenfeld et al. 2020, section 4). More: one regression on each class's indicator.
    In float64, by the smaller of the two Gram matrices; where the features carry no noise,
    one factor serves all label vectors. Memory of a tile: 8 bytes times `tile` times
    (n d + min(n, d)^2), or times (n + d) times classes without feature noise.

    Raises ValueError for bad sizes.
    """

    penalty: float
    tile: int = 64
    probabilistic = False

    def __post_init__(self) -> None:
        """Raise ValueError for bad sizes."""
        positive("penalty", self.penalty)
        integers("tile", self.tile, least=1)

    def fit(self, features: Tensor, labels: Tensor, classes: int, _: IntArray) -> Closed:
        """Solve for the weights, float64 [M, d, classes or 1]."""
        inputs = features.double()
        targets = labels[..., None].double() if classes == 2 else one_hot(labels, classes).double()
        if features.ndim == 2:
            # All columns of all models on the right of one system.
            columns = targets.permute(1, 0, 2)
            found = self._solve(inputs, columns.flatten(1))
            weights = found.view(-1, *columns.shape[1:]).permute(1, 0, 2)
        else:
            weights = self._solve(inputs, targets)

        def scores(tests: Tensor) -> Tensor:
            found = tests.double() @ weights
            return torch.cat((1 - found, found), dim=-1) if classes == 2 else found

        return Closed(scores)

    def _solve(self, inputs: Tensor, targets: Tensor) -> Tensor:
        n, d = inputs.shape[-2:]
        wide = n < d
        gram = inputs @ inputs.mT if wide else inputs.mT @ inputs
        gram.diagonal(dim1=-2, dim2=-1).add_(self.penalty)
        factor = torch.linalg.cholesky(gram)
        if wide:
            return inputs.mT @ torch.cholesky_solve(targets, factor)
        return torch.cholesky_solve(inputs.mT @ targets, factor)


@dataclass(frozen=True)
class NearestNeighbour:
    """The label of the nearest training example (Euclid), of the first among equals.

    Squared distances are |x|^2 + |z|^2 - 2 x'z in float32, the first of them left out: exact
    for features 0 and 1, where they are Hamming distances. Memory of a tile: 4 bytes times
    `tile` times n (d + 256). Raises ValueError for bad sizes.
    """

    tile: int = 16
    probabilistic = True

    def __post_init__(self) -> None:
        """Raise ValueError for bad sizes."""
        integers("tile", self.tile, least=1)

    def fit(self, features: Tensor, labels: Tensor, classes: int, _: IntArray) -> Closed:
        """Keep the training sets."""
        lengths = features.square().sum(-1).unsqueeze(-2)

        def scores(tests: Tensor) -> Tensor:
            distances = lengths - 2 * (tests @ features.mT)
            nearest = distances.argmin(-1).expand(len(labels), -1)
            return one_hot(labels.gather(1, nearest), classes).float()

        return Closed(scores)


@dataclass(frozen=True)
class NaiveBayes:
    """Bernoulli naive Bayes on features 0 and 1, `smoothing` added to each count.

    Scores are posterior probabilities, from counts (exact) and logarithms in float64; a class
    that no label names has none. Memory of a tile: 4 bytes times `tile` times n d.
    Raises ValueError for bad sizes or features.
    """

    smoothing: float = 1.0
    tile: int = 16
    probabilistic = True

    def __post_init__(self) -> None:
        """Raise ValueError for bad sizes."""
        positive("smoothing", self.smoothing)
        integers("tile", self.tile, least=1)

    def fit(self, features: Tensor, labels: Tensor, classes: int, _: IntArray) -> Closed:
        """Count the ones of each feature in each class."""
        members = one_hot(labels, classes).float()
        size = members.sum(1).double()[..., None]
        ones = (members.mT @ features).double()
        share = (ones + self.smoothing) / (size + 2 * self.smoothing)
        # log P(x | class) = sum of log(1 - share), plus log odds where x is 1.
        odds = share.log() - (-share).log1p()
        base = (size / labels.shape[1]).log() + (-share).log1p().sum(-1, keepdim=True)

        def scores(tests: Tensor) -> Tensor:
            return (tests.double() @ odds.mT + base.mT).softmax(-1)

        return Closed(scores)

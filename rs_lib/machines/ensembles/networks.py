"""Many networks of one architecture, trained at once on training sets of their own."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from rs_lib.arguments import IntArray, integers, positive
from rs_lib.seeds import derive

# Modules draw their weights from torch's global generator, and tiles run on several threads.
_BUILDING = threading.Lock()


def multilayer_perceptron(
    features: int, hidden: tuple[int, ...], classes: int, seed: int
) -> nn.Sequential:
    """Return a network of ReLU layers of widths `hidden`, initialised from `seed`.

    Without hidden layers it is softmax regression. It maps float32 [N, `features`] to logits
    [N, `classes`]; the global generators stay untouched. Raises ValueError for bad sizes.
    """
    integers("features", features, least=1)
    integers("hidden", hidden, least=1)
    integers("classes", classes, least=2)
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initialisation", "perceptron"))
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU()]
            features = width
        layers.append(nn.Linear(features, classes))
    return nn.Sequential(*layers)


@dataclass(frozen=True, eq=False)
class Network:
    """Cross-entropy by Adam (Kingma and Ba 2015) in minibatches, for `tile` networks at once.

    `build(seed)` returns a network that maps float32 [N, d] to logits [N, classes], without
    dropout or batch statistics: of one architecture, its weights drawn from the seed, which is
    each model's own. All models see the examples in the same order, drawn from `seed` anew for
    each epoch. So, given `seed`, a model's answers depend on its own noise and initial weights
    alone and the votes of different models are independent, as binomial bounds demand. (With an
    order of each tile's own they would not be.)

    A tile shares one pass through each layer (`torch.func.vmap`). On a CPU, tiles of 25 to 100
    perceptrons of 50,000 weights were equally fast, smaller ones slower, and convolutions
    gained nothing: let `tile` be 1 for those. On a GPU take some hundreds. A tile takes about
    4 `tile` bytes times 5 weights + the training set + what one batch activates.

    Raises ValueError for bad sizes.
    """

    build: Callable[[int], nn.Module]
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    tile: int = 25
    probabilistic = True

    def __post_init__(self) -> None:
        """Raise ValueError for bad sizes."""
        for field in ("epochs", "batch_size", "tile"):
            integers(field, getattr(self, field), least=1)
        positive("learning_rate", self.learning_rate)
        derive(self.seed)

    def check(self, features: int, classes: int) -> None:
        """Raise ValueError unless `build` gives networks of `features` numbers and `classes`."""
        try:
            with torch.no_grad():
                found = tuple(self.build(0)(torch.zeros(2, features)).shape)
        except RuntimeError as error:
            raise ValueError(
                f"build: the network fails on examples of {features} features: give one for them"
            ) from error
        if found != (2, classes):
            raise ValueError(
                f"build: the network answers {found} to 2 examples: give one for {classes} classes"
            )

    def fit(
        self, features: Tensor, labels: Tensor, classes: int, models: IntArray
    ) -> "TrainedNetworks":
        """Train the networks number `models`, int64 [M], each on its own training set.

        `features`: float32 [M, n, d], or [n, d] for all; `labels`: int64 [M, n]. Nothing waits
        for the device.
        """
        networks = TrainedNetworks(self._initial(models), features.device)
        optimiser = torch.optim.Adam(networks.weights.values(), lr=self.learning_rate, fused=True)
        features = features.expand(len(labels), -1, -1)
        # cuDNN's fastest backward passes add in no fixed order.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            for order in self._orders(labels.shape[1]).to(features.device):
                for batch in order.split(self.batch_size):
                    inputs, targets = features.index_select(1, batch), labels.index_select(1, batch)
                    logits = networks.logits(inputs).flatten(0, 1)
                    # A sum over networks leaves to each the gradient of its own mean.
                    total = cross_entropy(logits, targets.flatten(), reduction="sum")
                    optimiser.zero_grad()
                    torch.autograd.backward(total / len(batch))
                    optimiser.step()
        return networks

    def _initial(self, models: IntArray) -> list[nn.Module]:
        """Return networks with the initial weights of `models`."""
        with _BUILDING:
            return [self.build(derive(self.seed, "initial", int(model))) for model in models]

    def _orders(self, examples: int) -> Tensor:
        """Return int64 [epochs, examples], a permutation in each row."""
        draw = torch.Generator().manual_seed(derive(self.seed, "order"))
        return torch.stack([torch.randperm(examples, generator=draw) for _ in range(self.epochs)])


class TrainedNetworks:
    """M networks; `weights` holds each parameter of all of them, stacked.

    Matrices lie transposed, [M, in, out]: so the product that makes their gradient writes it in
    the layout of the parameter, and no step copies it.
    """

    def __init__(self, networks: list[nn.Module], device: torch.device) -> None:
        """Stack the weights of `networks` on `device`."""
        stacked, _ = stack_module_state(networks)
        self.weights = {
            name: _turned(value.detach().to(device)).contiguous().requires_grad_()
            for name, value in stacked.items()
        }
        # The skeleton: calls put weights into it, so each tile, perhaps a thread, has its own.
        self._model = networks[0].to("meta")

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [M, N, classes] of `features` [M, N, d]."""
        found: Tensor = vmap(self._one)(self.weights, features)
        return found

    def scores(self, tests: Tensor) -> Tensor:
        """Return the softmax [M, t, classes] on `tests`, [M, t, d] or [t, d] for all."""
        with torch.no_grad():
            tests = tests.expand(len(next(iter(self.weights.values()))), -1, -1)
            return self.logits(tests).softmax(-1)

    def digests(self) -> IntArray:
        """Return int64 [M], 63 bits of the BLAKE2b digest of each network's float32 weights."""
        stacked = [_turned(value.detach()).flatten(1) for value in self.weights.values()]
        rows = torch.cat(stacked, dim=1).cpu().numpy()
        heads = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
        return np.array([int.from_bytes(head, "big") >> 1 for head in heads], dtype=np.int64)

    def _one(self, weights: dict[str, Tensor], features: Tensor) -> Tensor:
        """Return the logits of one network, [N, classes]."""
        own = {name: value.mT if value.ndim == 2 else value for name, value in weights.items()}
        logits: Tensor = functional_call(self._model, own, (features,))
        return logits


def _turned(stacked: Tensor) -> Tensor:
    """Return stacked matrices transposed, and other parameters as they are."""
    return stacked.mT if stacked.ndim == 3 else stacked

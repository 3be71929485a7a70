"""Base classifiers that see one band or block of an image at a time: training and evaluation."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from tqdm import tqdm

from rs_lib.arguments import integers, positive
from rs_lib.machines.models import require_evaluation_mode
from rs_lib.seeds import derive

MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
TILE = 16
"""Images of a forward pass, always as many: kernels choose their order of summation by shape."""


class BandClassifier(nn.Module, ABC):
    """A network whose logits at a position depend on the pixels seen from there, and no others."""

    positions: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, positions, classes] of `images`, float32 [N, C, H, W] in [0, 1]."""

    @abstractmethod
    def loss(self, images: Tensor, labels: Tensor, draw: torch.Generator) -> Tensor:
        """Return the mean cross-entropy on bands of `images`, drawn from `draw` where random."""


def initialise(model: nn.Module) -> None:
    """Draw the weights by He et al.'s rule from torch's default generator; biases are 0.

    Where most inputs are hidden, torch's own smaller weights leave training on a plateau.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def fit(
    model: BandClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
) -> list[float]:
    """Train `model` in place on its own loss and return the mean loss of each epoch.

    `images`: float32 [N, C, H, W] in [0, 1]; `labels`: int64 [N]. SGD with Nesterov momentum,
    weight decay 5e-4 (Levine & Feizi 2020) and a one-cycle schedule whose largest rate is
    `learning_rate`. The result depends on the arguments only. `model` is left on `device`, in
    evaluation mode.

    Raises ValueError for bad sizes, FloatingPointError if the loss is no longer finite.
    """
    if images.ndim != 4 or len(images) == 0 or len(images) != len(labels):
        raise ValueError(
            f"images has shape {tuple(images.shape)} and labels {tuple(labels.shape)}: "
            "give [N, C, H, W] and [N] with equal N > 0"
        )
    integers("epochs", epochs, least=1)
    integers("batch_size", batch_size, least=1)
    positive("learning_rate", learning_rate)
    model.to(device).train()
    images, labels = images.to(device), labels.to(device)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=learning_rate,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=WEIGHT_DECAY,
    )
    steps = epochs * -(-len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=steps, cycle_momentum=False
    )
    shuffle = torch.Generator().manual_seed(derive(seed, "bands", "order"))
    draw = torch.Generator(device).manual_seed(derive(seed, "bands", "positions"))
    losses = []
    bar = tqdm(range(epochs), desc="training", unit="epoch", disable=not progress)
    # cuDNN's fastest backward passes add in no fixed order.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for epoch in bar:
            total = torch.zeros((), device=device, dtype=torch.float64)
            order = torch.randperm(len(images), generator=shuffle).to(device)
            for batch in torch.split(order, batch_size):
                loss = model.loss(images[batch], labels[batch], draw)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
                total += loss.detach().double() * len(batch)
            losses.append(total.item() / len(images))
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
            if not losses[-1] < float("inf"):
                raise FloatingPointError(
                    f"the loss is {losses[-1]} after epoch {epoch + 1}: "
                    f"give a learning_rate below {learning_rate}"
                )
    model.eval()
    return losses


@torch.inference_mode()
def probabilities(model: BandClassifier, images: Tensor) -> Tensor:
    """Return the softmax of every image at every position; float32 [N, positions, classes].

    `images`: float32 [N, C, H, W], on the model's device; the result is on the CPU. Each pass
    has `TILE` images, the last one filled up with black ones. All thresholds, patch sizes and
    methods of certification follow from this one tensor.

    Raises ValueError for a model in training mode.
    """
    require_evaluation_mode(model)
    parts = [torch.zeros(0)]
    for tile in torch.split(images, TILE):
        whole = pad(tile, (0, 0, 0, 0, 0, 0, 0, TILE - len(tile)))
        parts.append(model(whole)[: len(tile)].softmax(dim=-1).cpu())
    return torch.cat(parts[1:] or parts)

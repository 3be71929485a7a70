"""Training of base classifiers under noise."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rs_lib import bars
from rs_lib.arguments import integers, positive
from rs_lib.machines import models
from rs_lib.machines.data import Dataset
from rs_lib.machines.epochs import Epochs
from rs_lib.machines.fast_training import Goal, Step, plain
from rs_lib.noise import Law
from rs_lib.record.checkpoint import NOTHING, Checkpoint
from rs_lib.seeds import derive

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    noise: Law | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
    checkpoint: Checkpoint = NOTHING,
    generators: Sequence[torch.Generator] = (),
    goal: Goal = plain,
) -> list[float]:
    """Train `model` in place and return the mean loss of each epoch.

    `images`: float32 [N, C, H, W] in [0, 1]; `labels`: int64 [N], or more as cross-entropy
    takes them; both are moved to `device` as a whole. Cross-entropy on images with fresh
    `noise` in every batch (Cohen et al. 2019, section 3.3; with None, on clean images), by SGD
    with Nesterov momentum, weight decay and a one-cycle schedule whose largest rate is
    `learning_rate`. The result depends on the arguments only: batches and noise come from
    generators of their own. `model` is left on `device`, in evaluation mode. A training that was
    killed goes on from the last epoch in `checkpoint`; `generators` are those that `model` draws
    from, if it does. `goal` is another loss of a batch, such as `fast_training.towards` makes of an
    objective; with noise of its own it wants `noise` None.

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
    model.to(device)
    images, labels = images.to(device), labels.to(device)
    steps = -(-len(images) // batch_size)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=learning_rate,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=WEIGHT_DECAY,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=epochs * steps, cycle_momentum=False
    )
    shuffle = torch.Generator().manual_seed(derive(seed, "training", "order"))
    draw = torch.Generator(device).manual_seed(derive(seed, "training", "noise"))
    draws = {f"draw {place}": own for place, own in enumerate((shuffle, draw, *generators))}
    done = Epochs(checkpoint, model=model, optimiser=optimiser, schedule=schedule, **draws)
    model.train()
    first = len(done.losses)
    bar = bars.bar(
        range(first, epochs),
        initial=first,
        total=epochs,
        desc="training",
        unit="epoch",
        disable=not progress,
    )
    # cuDNN's fastest backward passes add in no fixed order.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for epoch in bar:
            total = torch.zeros((), device=device, dtype=torch.float64)
            order = torch.randperm(len(images), generator=shuffle).to(device)
            for place, batch in enumerate(torch.split(order, batch_size)):
                inputs = images[batch]
                if noise is not None:
                    inputs = noise.corrupted(inputs, draw)
                step = Step(draw, (epoch + place / steps) / epochs)
                loss = goal(model, inputs, labels[batch], step)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
                total += loss.detach().double() * len(batch)
            loss_of_epoch = total.item() / len(images)
            bar.set_postfix(loss=f"{loss_of_epoch:.3f}")
            done.finish(loss_of_epoch)
    model.eval()
    return done.losses


def trained_weights(
    dataset: Dataset,
    *,
    model: str,
    noise: Law | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
    checkpoint: Checkpoint = NOTHING,
) -> dict[str, Any]:
    """Build the network `model` and train it under `noise`, or on clean images.

    Returns its state dict, on the CPU, as "weights", and its mean loss per epoch as "losses".
    Networks of equal `seed` and shape begin with equal weights, whatever the noise. Raises what
    `train` and `models.build` raise.
    """
    channels, *size = dataset.image_shape
    if noise is not None:
        channels, *_ = noise.seen(dataset.image_shape)
    shape = (channels, size[0], size[1])
    network = models.build(model, shape, dataset.classes, derive(seed, "model"))
    losses = train(
        network,
        dataset.as_float(dataset.train_images),
        dataset.train_labels,
        noise=noise,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=derive(seed, "train", str(noise)),
        device=device,
        progress=progress,
        checkpoint=checkpoint,
    )
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    return {"weights": weights, "losses": losses}

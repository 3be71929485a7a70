"""Training that goes on after the last epoch that it finished."""

import math
from typing import Any, Protocol

import torch

from rs_lib.record.checkpoint import Checkpoint


class Stateful(Protocol):
    """A model, an optimiser, a schedule, an average of weights."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that a step changes: tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take over what `state_dict` returned."""


class Epochs:
    """The finished epochs of a training, and in `checkpoint` all that the next one needs.

    `parts`, by name: everything that an epoch changes, generators of randomness included. They
    are put into the state of the last finished epoch, if one was kept, so that the training then
    gives what an uninterrupted one gives, bit for bit on the same machine. `losses` holds the mean
    loss of each finished epoch.

        epochs = Epochs(checkpoint, model=model, optimiser=optimiser, draw=draw)
        for _ in range(len(epochs.losses), wanted):
            ...  # one epoch
            epochs.finish(loss)
    """

    def __init__(self, checkpoint: Checkpoint, **parts: Stateful | torch.Generator) -> None:
        """Restore the `parts`."""
        self._checkpoint, self._parts = checkpoint, parts
        kept = checkpoint.load()
        self.losses: list[float] = kept["losses"] if kept else []
        for name, state in kept["parts"].items() if kept else ():
            part = parts[name]
            if isinstance(part, torch.Generator):
                part.set_state(state)
            else:
                part.load_state_dict(state)

    def finish(self, loss: float) -> None:
        """Keep the state after an epoch of mean `loss`.

        Raises FloatingPointError if the loss is not finite; then nothing is kept.
        """
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} after epoch {len(self.losses) + 1}: "
                "give a smaller learning_rate"
            )
        self.losses.append(loss)
        state = {
            name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            for name, part in self._parts.items()
        }
        self._checkpoint.save({"losses": self.losses, "parts": state})

"""How often each bit of the random words is set, counted as the words are used."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray

POSITIONS = 64


@dataclass(frozen=True, eq=False)
class Watch:
    """Where the words of T samples are counted: those of sample t in row `slots[t]`, -1: nowhere.

    `slots`: int64 [T]. `ones`: int64 [slots, 64], set bits by position (lowest first), on the
    device where the noise is made; `words`: int64 [slots], on the CPU.
    """

    slots: IntArray
    ones: Tensor
    words: IntArray

    def see(self, words: Tensor) -> None:
        """Count the words int64 [T, count] of the samples that are watched, without waiting."""
        chosen = np.flatnonzero(self.slots >= 0)
        if not chosen.size:
            return
        rows = words[torch.from_numpy(chosen).to(words.device, non_blocking=True)]
        # Bit b of byte j is position 8 j + b.
        octets = rows.contiguous().view(torch.uint8).view(*rows.shape, 8)
        bits = [((octets >> bit) & 1).sum(dim=1, dtype=torch.int64) for bit in range(8)]
        self._add(chosen, torch.stack(bits, dim=-1).flatten(1), words.shape[1])

    def add(self, ones: IntArray, words: int) -> None:
        """Add `ones` [T, 64] of `words` words of each sample that is watched."""
        chosen = np.flatnonzero(self.slots >= 0)
        self._add(chosen, torch.from_numpy(ones[chosen]), words)

    def _add(self, chosen: IntArray, ones: Tensor, words: int) -> None:
        slots = self.slots[chosen]
        np.add.at(self.words, slots, words)
        places = torch.from_numpy(slots).to(ones.device, non_blocking=True)
        self.ones.index_add_(0, places, ones)

"""The prefix table on a device: the same noise from the same words, by torch operations."""

import torch
from torch import Tensor

from rs_lib.noise.prefix_table import AMBIGUOUS, PrefixTable, exhausted, prefix_words

_SIGN = -(2**63)


class DeviceTable:
    """A `PrefixTable` in tensors on one device. Its work has fixed shapes: no wait for counts."""

    def __init__(self, table: PrefixTable, device: torch.device) -> None:
        """Copy the table to `device`."""
        self._largest = table.largest
        self._steps = table.steps
        self._noise = torch.from_numpy(table.noise).to(device)
        self._first = torch.from_numpy(table.first).to(device, torch.int64)
        # With the upper bit turned, signed numbers compare as the unsigned words do.
        self._rest = torch.from_numpy(table.rest.view("int64")).to(device) ^ _SIGN

    def draw(self, words: Tensor, pixels: int) -> Tensor:
        """Return the noise int16 [T, pixels] of samples whose words are the rows of `words`.

        If a sample has more ambiguous pixels than spare words, RuntimeError: on a GPU from a
        check on the device, raised by the next call that waits for it.
        """
        spare = words[:, prefix_words(pixels) :]
        slots = spare.shape[1]
        prefixes = (words.view(torch.int16)[:, :pixels].to(torch.int32)) & 0xFFFF
        noise = self._noise[prefixes]
        ambiguous = noise == AMBIGUOUS
        rank = ambiguous.cumsum(1)
        torch._assert_async((rank[:, -1] <= slots).all(), exhausted(pixels))
        # Column r of `place` is the r-th ambiguous pixel; the last column collects all others,
        # and slots that are not taken point past the last pixel.
        rank = torch.where(ambiguous, rank - 1, slots).clamp_(max=slots)
        pixel = torch.arange(pixels, device=words.device).expand_as(rank)
        place = torch.full((len(words), slots + 1), pixels, device=words.device)
        place = place.scatter_(1, rank, pixel)[:, :slots]
        cell = prefixes.gather(1, place.clamp(max=pixels - 1)).to(torch.int64)
        padded = torch.cat((noise, noise.new_empty((len(words), 1))), dim=1)
        return padded.scatter_(1, place, self._refine(cell, spare ^ _SIGN))[:, :pixels]

    def _refine(self, cell: Tensor, rest: Tensor) -> Tensor:
        """Return int16 noise: thresholds <= (cell, rest), counted by bisection in the cell."""
        low, high = self._first[cell], self._first[cell + 1]
        for _ in range(self._steps):
            middle = (low + high) >> 1
            above = (low < high) & (self._rest[middle] <= rest)
            low, high = torch.where(above, middle + 1, low), torch.where(above, high, middle)
        return (low - self._largest).to(torch.int16)

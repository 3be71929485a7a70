"""The device that a run computes on, and the memory that it takes there."""

import torch

from rs_lib.record import machine, memory


def check(device: str) -> None:
    """Raise ValueError with the remedy if torch, or this library, cannot use `device` here."""
    if device.partition(":")[0] == "mps":
        raise ValueError(
            f"device is {device!r}, which has no float64, and sums of losses and scores are "
            "float64: give cpu, or cuda where there is a GPU"
        )
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device is {device!r}: torch cannot use it here; "
            "give cpu, or cuda where there is a GPU"
        ) from error


def described(device: str) -> str:
    """Return the device's name in words."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return machine.processor()


def kind(described: str) -> str:
    """Return "cpu" or "cuda" for what `described` returned."""
    return "cpu" if described.endswith(" cores") else "cuda"


class Meter:
    """Measures the memory that a run takes from the making of the meter on."""

    def __init__(self, device: str) -> None:
        """Begin to measure; `device` is one that torch can use."""
        self._device = torch.device(device)
        self._process = memory.Since()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> memory.Peak:
        """Return the most bytes of the process and, with CUDA, those that torch held there."""
        found, most = memory.Peak(), self._process.most()
        if most is not None:
            found["process"] = most
        if self._device.type == "cuda":
            found["device"] = torch.cuda.max_memory_allocated(self._device)
        return found

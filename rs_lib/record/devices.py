"""The device that a run computes on."""

import torch

from rs_lib.record import machine


def check(device: str) -> None:
    """Raise ValueError with the remedy if torch cannot use `device` here."""
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

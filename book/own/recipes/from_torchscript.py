"""A program that torch.jit.save wrote, weights and all."""

import torch


def network():
    """Return it; it is brought into evaluation mode."""
    return torch.jit.load("network.ts", map_location="cpu")

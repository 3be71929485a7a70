"""The images: scanned digits, each pixel as four, and the last 500 kept for the test."""

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
grey = np.round(digits.images / 16 * 255).astype(np.uint8)  # white is 255
pixels = grey[:, None].repeat(2, axis=2).repeat(2, axis=3)  # uint8 [N, 1, 16, 16]


def train():
    """Return what a network may learn from."""
    return pixels[:-500], digits.target[:-500]


def test():
    """Return what is certified."""
    return pixels[-500:], digits.target[-500:]

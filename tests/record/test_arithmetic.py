"""The arithmetic of chapters does not follow the processor: a network trained twice, bit by bit."""

import os
import platform
import subprocess
import sys

import pytest

from rs_lib.record import arithmetic

TRAINED = """
import hashlib, sys
import numpy as np
import torch
from scipy import linalg
from rs_lib.machines import data, models, training

digits = data.load("digits")
images, labels = digits.train_images[:128].float() / 16, digits.train_labels[:128].long()
total = hashlib.sha256()
for name in ("small-cnn", "mlp"):
    network = models.build(name, (1, 8, 8), 10, 0)
    training.train(network, images, labels, noise=None, epochs=2, batch_size=64,
                   learning_rate=0.1, seed=0)
    for value in network.state_dict().values():
        total.update(value.numpy().tobytes())
numbers = np.random.default_rng(0).normal(size=(200, 120))
for value in (np.exp(numbers), np.sin(numbers), numbers.T @ numbers, linalg.svdvals(numbers)):
    total.update(np.ascontiguousarray(value).tobytes())
print(total.hexdigest(), torch.backends.cpu.get_cpu_capability())
"""


def _digest(**variables):
    kept = {key: value for key, value in os.environ.items() if key not in arithmetic.FIXED}
    done = subprocess.run(
        [sys.executable, "-c", TRAINED],
        env=kept | variables,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variables are those of x86-64")
def test_wider_vectors_change_nothing_where_the_arithmetic_is_fixed():
    """This value was found with AVX-512, and with an emulated processor that ends at AVX2."""
    digest, capability = _digest(**arithmetic.environment())
    assert capability == "AVX2"
    assert digest == "74c026fd609b3947f43a4ac60d6736a994e41f64a52f72505927a43c2b378604"

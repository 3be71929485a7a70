"""What certifying ImageNet would take: ResNet-50 on the device at hand, by its measured speed."""

import time
from typing import Any

import numpy as np
import torch
from torchvision.models import resnet50

from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import Executed
from rs_lib.smoothing.executed import default_tile
from rs_lib.smoothing.sampling import count_classes

IMAGES, SAMPLES = 500, 100_000
"""The published setting: every 100th validation image, n samples of each (Cohen et al. 2019)."""


def measure(tiles: int, device: str | None = None) -> list[dict[str, Any]]:
    """Return for each precision samples per second of the engine, and hours for the whole.

    So many full `tiles` are timed after as many to warm up: wall time, which wants an idle
    machine. Weights are random; the work does not depend on them.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = resnet50(weights=None).eval().to(device, memory_format=torch.channels_last)
    image = torch.randint(256, (1, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    samples = tiles * default_tile(torch.device(device).type, image.numel())
    rows = []
    for precision in ("float32", "bfloat16"):
        executed = Executed(model, classes=1000, device=device, precision=precision)
        for stream in ("warm", "timed"):
            start = time.perf_counter()
            count_classes(
                executed,
                image.to(torch.uint8),
                Rounded(Gaussian(0.5), 255),
                samples,
                seed=0,
                stream=stream,
                image_ids=np.array([0]),
            )
            seconds = time.perf_counter() - start
        rows.append(
            {
                "network": "ResNet-50",
                "precision": precision,
                "samples": samples,
                "samples_per_second": samples / seconds,
                "hours": IMAGES * SAMPLES * seconds / samples / 3600,
            }
        )
    return rows

"""Spambase (Hopkins et al. 1999): word frequencies of 4,601 messages, spam or not, always checked.

The file `spambase/spambase.data` lies under the data root: the folder named by the environment
variable RS_DATA, else a cache folder of the user.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rs_lib.machines.data import DataError

SHA256 = "b1ef93de71f97714d3d7d4f58fc9f718da7bbc8ac8a150eff2778616a8097b12"
ADDRESS = "https://archive.ics.uci.edu/dataset/94/spambase"
FEATURES = 57


@dataclass(frozen=True, eq=False)
class Spambase:
    """Standardised messages: mean 0 and variance 1 of each feature over the training examples.

    `train_features` [3681, 57], `test_features` [920, 57]: float64; labels int64, 1 for spam.
    Every fifth message of the file is a test example. The file's order is kept, and it has all
    spam first. `digest`: SHA-256 of the file.
    """

    train_features: Tensor
    train_labels: Tensor
    test_features: Tensor
    test_labels: Tensor
    digest: str


def load(root: str | Path | None = None) -> Spambase:
    """Return the data found under `root`; DataError says what is wrong and the remedy."""
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = os.environ.get("RS_DATA") or Path(cache) / "rs_lib"
    path = Path(root).expanduser() / "spambase" / "spambase.data"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"spambase: {path} cannot be read ({error.strerror}): get spambase.data from {ADDRESS} "
            "and put it there, or set RS_DATA to a folder with spambase/spambase.data"
        ) from error
    digest = hashlib.sha256(text).hexdigest()
    if digest != SHA256:
        raise DataError(
            f"spambase: {path} has other content than this book was written with (SHA-256 "
            f"{digest[:12]}, not {SHA256[:12]}): remove it and get it anew from {ADDRESS}"
        )
    table = np.array([line.split(",") for line in text.decode().split()], dtype=np.float64)
    features, labels = table[:, :FEATURES], table[:, FEATURES].astype(np.int64)
    test = np.arange(len(table)) % 5 == 4
    mean, deviation = features[~test].mean(axis=0), features[~test].std(axis=0)
    scaled = (features - mean) / deviation
    return Spambase(
        train_features=torch.from_numpy(scaled[~test]),
        train_labels=torch.from_numpy(labels[~test]),
        test_features=torch.from_numpy(scaled[test]),
        test_labels=torch.from_numpy(labels[test]),
        digest=digest,
    )

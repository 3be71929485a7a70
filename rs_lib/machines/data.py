"""Image data sets as uint8 tensors, found under one root folder or downloaded, always checked."""

import gzip
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import one_of
from rs_lib.seeds import derive

NAMES = ("digits", "mnist", "fashion-mnist", "cifar10")
DIGITS_TEST_IMAGES = 500
# Class in torchvision.datasets and the folder that it keeps under the root.
_TORCHVISION = {
    "mnist": ("MNIST", "MNIST"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
}
# SHA-256 of the decoded arrays, as `content_digest` computes it.
DIGESTS = {
    "digits": "ba3a61025c3254d344f929fecade8ea88954d28bf6588a3e620fda200477e084",
    "mnist": "7ea4b60ae284dd6359a4172ef4aae04c62afcbff9a2216f9d9dcef92d9e6e65a",
    "fashion-mnist": "0d4cb3481198bde1be79772ffc4d10b0dd7b433838f2f169b80790157532b427",
    "cifar10": "58faef7e467ee0860a93acdc9dcf6e90f83e3f55e8d4b7818f77d70931960668",
}


class DataError(RuntimeError):
    """A data set could not be had or is not what it should be; the message gives the remedy."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set for image classification, its images in whole grey or colour levels.

    `train_images`, `test_images`: uint8 [N, C, H, W] with values 0, ..., `levels`.
    `train_labels`, `test_labels`: int64 [N] with values 0, ..., `classes` - 1.
    `digest`: SHA-256 of all four arrays in hexadecimal.
    """

    name: str
    classes: int
    levels: int
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    digest: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    def as_float(self, images: Tensor) -> Tensor:
        """Return uint8 `images` of this data set as float32 in [0, 1] (four times the memory)."""
        return images.to(torch.float32).div_(self.levels)


def load(name: str, root: str | Path | None = None) -> Dataset:
    """Return the data set `name`: one of digits, mnist, fashion-mnist, cifar10.

    "digits" comes with scikit-learn. The others are sought under `root`, else under the
    folder named by the environment variable RS_DATA, else under a cache folder of the user,
    laid out as torchvision does it; what is not there is downloaded with a progress bar.
    MNIST and Fashion-MNIST may lie there as gz files only, also in a read-only folder: they
    are unpacked into a temporary folder at each call, which takes about a second.

    Raises ValueError for an unknown name, DataError if the data cannot be had or fail a check.
    """
    one_of("name", name, NAMES)
    if name == "digits":
        arrays, levels, place = _digits(), 16, "scikit-learn's bundled copy"
    else:
        folder = _root(root)
        arrays, levels, place = _found(name, folder), 255, f"the copy in {folder}"
    digest = content_digest(arrays)
    if digest != DIGESTS[name]:
        raise DataError(
            f"{name}: {place} has other content than this book was written with "
            f"(SHA-256 {digest[:12]}, not {DIGESTS[name][:12]}): remove it and install it anew"
        )
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    train_images, train_labels, test_images, test_labels = tensors
    return Dataset(
        name=name,
        classes=10,
        levels=levels,
        train_images=train_images,
        train_labels=train_labels.to(torch.int64),
        test_images=test_images,
        test_labels=test_labels.to(torch.int64),
        digest=digest,
    )


def content_digest(arrays: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> str:
    """Return the SHA-256 digest of the shapes and bytes of uint8 `arrays`."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
    return digest.hexdigest()


def _root(root: str | Path | None) -> Path:
    """Return the root folder that holds or will hold the data sets."""
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = os.environ.get("RS_DATA") or Path(cache) / "rs_lib"
    folder = Path(root).expanduser()
    if folder.exists() and not folder.is_dir():
        raise DataError(
            f"the data root {folder} is a file: give a folder as root or in the "
            "environment variable RS_DATA"
        )
    return folder


def _digits() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return scikit-learn's digits as train and test images and labels, split once for all."""
    # Imported here: scikit-learn and torchvision are slow to import and rarely both needed.
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images = bundle.images.astype(np.uint8)[:, None]
    labels = bundle.target.astype(np.uint8)
    # Ordered by hash, since neither NumPy nor torch promises its permutations across releases.
    order = np.array(sorted(range(len(labels)), key=lambda index: derive(0, "digits", index)))
    test, train = order[:DIGITS_TEST_IMAGES], order[DIGITS_TEST_IMAGES:]
    return [images[train], labels[train], images[test], labels[test]]


def _found(name: str, root: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return the arrays of a torchvision data set under `root`, downloaded if it is not there."""
    class_name, folder_name = _TORCHVISION[name]
    folder = root / folder_name
    if not folder.exists():
        _download(name, root)
    try:
        packed = _packed_files(class_name, folder / "raw")
        if not packed:
            return _arrays(class_name, root)
        with tempfile.TemporaryDirectory() as temporary:
            _stage(name, packed, Path(temporary) / folder_name / "raw")
            return _arrays(class_name, Path(temporary))
    except DataError:
        raise
    except Exception as error:  # torchvision's readers fail in many ways on damaged files
        raise DataError(
            f"{name}: the files in {folder} are incomplete or corrupt ({_first_line(error)}): "
            "remove that folder and load again, which downloads them"
        ) from error


def _packed_files(class_name: str, raw: Path) -> list[tuple[Path, str]]:
    """Return the gz files with their MD5 if `raw` holds these but not what is in them."""
    from torchvision import datasets

    resources = getattr(getattr(datasets, class_name), "resources", [])
    packed = [(raw / file_name, md5) for file_name, md5 in resources]
    if all(path.with_suffix("").is_file() for path, _ in packed):
        return []
    return packed


def _stage(name: str, packed: list[tuple[Path, str]], raw: Path) -> None:
    """Unpack checked gz files into the folder `raw`."""
    from torchvision.datasets.utils import check_integrity

    raw.mkdir(parents=True)
    for path, md5 in packed:
        if not check_integrity(path, md5):
            state = "fails its MD5 checksum" if path.is_file() else "is missing"
            raise DataError(
                f"{name}: the file {path} {state}: remove the folder {path.parent.parent} and "
                "load again, which downloads it"
            )
        with gzip.open(path) as source, (raw / path.stem).open("wb") as target:
            shutil.copyfileobj(source, target)


def _arrays(class_name: str, root: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return train and test images [N, C, H, W] and labels, read by torchvision."""
    from torchvision import datasets

    arrays = []
    for train in (True, False):
        part = getattr(datasets, class_name)(root, train=train)
        images = np.asarray(part.data)
        # MNIST comes as [N, H, W], CIFAR-10 as [N, H, W, C].
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        arrays += [np.ascontiguousarray(images), np.asarray(part.targets, dtype=np.uint8)]
    return arrays


def _download(name: str, root: Path) -> None:
    """Let torchvision download into a folder beside the final place, then move it there at once."""
    from torchvision import datasets

    class_name, folder_name = _TORCHVISION[name]
    with _temporary_beside(name, root) as temporary:
        try:
            getattr(datasets, class_name)(temporary, download=True)
        except Exception as error:  # no network, a broken mirror, a full disk
            raise DataError(
                f"{name} is not in {root} and could not be downloaded ({_first_line(error)}): "
                "connect to the network, or set RS_DATA to a folder that holds it"
            ) from error
        try:
            (temporary / folder_name).replace(root / folder_name)
        except OSError:
            # Another process may have put the same data there meanwhile.
            if not (root / folder_name).is_dir():
                raise


@contextmanager
def _temporary_beside(name: str, root: Path) -> Iterator[Path]:
    """Yield a new folder inside `root`, which is removed with all that is still in it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=root, prefix=".download-")
    except OSError as error:
        raise DataError(
            f"{name} is not in {root} and cannot be downloaded to there ({error.strerror}): "
            "set RS_DATA to a folder that holds it or can be written to"
        ) from error
    with temporary as path:
        yield Path(path)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":.")

"""The images that a command line names."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, integers, require_channels_first
from rs_lib.commands.failures import told
from rs_lib.machines import data


@dataclass(frozen=True, eq=False)
class Selection:
    """M labelled images: `images` uint8 [M, C, H, W] with values up to `levels`, `labels` [M],
    `ids` [M], their positions in the data set, which name their noise.

    `classes` is None where the data set does not say it.
    """

    name: str
    images: Tensor
    labels: IntArray
    ids: IntArray
    levels: int
    classes: int | None

    @property
    def digest(self) -> str:
        """SHA-256 of images, labels and positions."""
        total = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for array in (self.images.numpy(), self.labels, self.ids):
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def every(self, count: int, start: int) -> "Selection":
        """Return every `count`-th of the images, from the one at `start` on."""
        return dataclasses.replace(
            self,
            images=self.images[start::count],
            labels=self.labels[start::count],
            ids=self.ids[start::count],
        )

    def pixels(self, rows: IntArray, *, continuous: bool) -> Tensor:
        """Return the images at `rows`, as uint8, or as float32 in [0, 1] if `continuous`."""
        images = self.images[torch.from_numpy(rows)]
        return images.to(torch.float32).div_(self.levels) if continuous else images


def select(
    name: str, *, levels: int | None, skip: int, most: int | None, side: int | None = None
) -> Selection:
    """Return every `skip`-th image of the data set, .npz file or folder `name`, at most `most`.

    `side` is that of the images of a folder (default: 224). Raises ValueError for a file or
    numbers that cannot be used, DataError as `data.load` does.
    """
    skip = integer("skip", skip, least=1)
    if most is not None:
        most = integer("max-images", most, least=1)
    if name not in data.NAMES and Path(name).is_dir():
        return _of_folder(Path(name), levels, skip, most, 224 if side is None else side)
    if side is not None:
        raise ValueError(f"side is {side}: it goes with a folder of images, leave it out")
    if name in data.NAMES:
        dataset = data.load(name)
        if levels not in (None, dataset.levels):
            raise ValueError(f"levels is {levels}: {name} has {dataset.levels}, leave it out")
        images, labels = dataset.test_images, dataset.test_labels.numpy()
        white, classes = dataset.levels, dataset.classes
    else:
        white = 255 if levels is None else integer("levels", levels, least=1, most=255)
        pixels, labels = _from_file(Path(name))
        if int(pixels.max()) > white:
            raise ValueError(
                f"images in {name} hold {pixels.max()}: give the value that stands for 1.0 "
                "as --levels"
            )
        images, classes = torch.from_numpy(pixels), None
    ids = np.arange(0, len(labels), skip, dtype=np.int64)[:most]
    return Selection(
        Path(name).name, images[torch.from_numpy(ids)], labels[ids], ids, white, classes
    )


def _of_folder(root: Path, levels: int | None, skip: int, most: int | None, side: int) -> Selection:
    if levels not in (None, 255):
        raise ValueError(f"levels is {levels}: images in folders have 255, leave it out")
    # Imported here: torchvision is slow to import, and other data do without it.
    from rs_lib.machines.image_folder import Folder

    folder = Folder(root, side)
    ids = np.arange(0, len(folder.labels), skip, dtype=np.int64)[:most]
    images, labels = folder.images(ids), folder.labels[ids]
    return Selection(root.resolve().name, images, labels, ids, 255, len(folder.classes))


def _from_file(path: Path) -> tuple[npt.NDArray[np.uint8], IntArray]:
    if path.suffix != ".npz":
        raise ValueError(
            f"data is {str(path)!r}: give one of {', '.join(data.NAMES)}, a .npz file, or a folder "
            "of images"
        )
    try:
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream) as file:
            arrays = {name: file[name] for name in ("images", "labels")}
    except MemoryError as error:
        raise ValueError(f"data in {path} do not fit into the memory: give fewer images") from error
    except KeyError as error:
        raise ValueError(
            f"data in {path} lack an array: give images and labels, as numpy.savez("
            "file, images=..., labels=...) stores them"
        ) from error
    except Exception as error:  # readers fail in many ways on damaged files
        raise ValueError(
            f"data in {path} cannot be read ({told(error)}): give a file that numpy.savez wrote"
        ) from error
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise ValueError(
            f"images in {path} have type {images.dtype} and shape {images.shape}: "
            "give uint8 [N, C, H, W] or [N, H, W]"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"labels in {path} have shape {labels.shape}: give one for each of {len(images)} images"
        )
    if images.ndim == 3:
        images = images[:, None]
    require_channels_first(f"images in {path}", images.shape)
    return np.ascontiguousarray(images), integers(f"labels in {path}", labels, most=2**63 - 1)

"""The images that a command line names."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rs_lib.arguments import IntArray, integer, require_channels_first
from rs_lib.commands import loaders
from rs_lib.machines import data

UNLABELLED = -2
"""Stands in the place of a label where there is none: no answer equals it, nor an abstention."""


@dataclass(frozen=True, eq=False)
class Selection:
    """M images: `images` uint8 [M, C, H, W] with values up to `levels`, `labels` [M], `ids` [M],
    their positions in the data set, which name their noise.

    Images that were given as floats stay float32, with `levels` 1. `classes` is None where the data
    set does not say it; without labels all of them are `UNLABELLED`. `is_table`: an image is a row
    of d features, [1, 1, d].
    """

    name: str
    images: Tensor
    labels: IntArray
    ids: IntArray
    levels: int
    classes: int | None
    is_table: bool = False

    @property
    def is_labelled(self) -> bool:
        """Whether anything is known that answers could be compared with."""
        return bool((self.labels != UNLABELLED).any())

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

    def those(self, ids: IntArray) -> "Selection | None":
        """Return the images at the positions `ids`, in order; None if one is not among these."""
        rows = np.searchsorted(self.ids, ids)
        if not np.array_equal(self.ids[np.minimum(rows, len(self.ids) - 1)], ids):
            return None
        return dataclasses.replace(
            self,
            images=self.images[torch.from_numpy(rows)],
            labels=self.labels[rows],
            ids=self.ids[rows],
        )

    def pixels(self, rows: IntArray, *, continuous: bool) -> Tensor:
        """Return the images at `rows`, as uint8, or as float32 in [0, 1] if `continuous`."""
        images = self.images[torch.from_numpy(rows)]
        return images.to(torch.float32).div_(self.levels) if continuous else images


@dataclass(frozen=True)
class Form:
    """How a source is read: see the options of the command line of these names.

    Raises ValueError for settings that contradict each other.
    """

    levels: int | None = None
    side: int | None = None
    keys: tuple[str, str] | None = None
    labelled: bool = True
    quantise: bool = False
    continuous: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a contradiction."""
        if self.quantise and self.continuous:
            raise ValueError("quantise is given beside continuous: leave one of them out")


_PLAIN = Form()


def select(name: str, *, skip: int, most: int | None, form: Form = _PLAIN) -> Selection:
    """Return every `skip`-th image of what `name` stands for, at most `most`.

    That is a data set, a file, a folder or a function (see `rs_lib.commands.loaders`).

    Raises ValueError for a file or numbers that cannot be used, DataError as `data.load` does.
    """
    skip = integer("skip", skip, least=1)
    if most is not None:
        most = integer("max-images", most, least=1)

    def pick(count: int) -> IntArray:
        return np.arange(0, count, skip, dtype=np.int64)[:most]

    if name not in data.NAMES and Path(name).is_dir():
        return _of_folder(Path(name), form, pick)
    if form.side is not None:
        raise ValueError(f"side is {form.side}: it goes with a folder of images, leave it out")
    if name in data.NAMES:
        return _of_data_set(name, form, pick)
    found = loaders.load(name, loaders.Wanted(form.keys, form.labelled, pick))
    return _of_rows(name, found, form)


def _of_data_set(name: str, form: Form, pick: loaders.Pick) -> Selection:
    dataset = data.load(name)
    if form.levels not in (None, dataset.levels):
        raise ValueError(f"levels is {form.levels}: {name} has {dataset.levels}, leave it out")
    if form.keys is not None or form.quantise:
        given = "keys" if form.keys is not None else "quantise"
        raise ValueError(f"{given} is given: it goes with a file of your own, leave it out")
    ids = pick(len(dataset.test_labels))
    images, labels = dataset.test_images[torch.from_numpy(ids)], dataset.test_labels.numpy()[ids]
    labels = labels if form.labelled else np.full_like(labels, UNLABELLED)
    return Selection(name, images, labels, ids, dataset.levels, dataset.classes)


def _of_rows(name: str, found: loaders.Loaded, form: Form) -> Selection:
    """Return rows of a file or function as images, in the form that noise is drawn on."""
    images, is_table = _as_images(name, found.images), found.images.ndim == 2
    if images.dtype == np.uint8:
        levels = 255 if form.levels is None else integer("levels", form.levels, least=1, most=255)
        if int(images.max()) > levels:
            raise ValueError(
                f"images in {name} hold {images.max()}: give the value that stands for 1.0 "
                "as --levels"
            )
        if form.quantise:
            raise ValueError("quantise is given, but images are whole numbers: leave it out")
    else:
        kind = f"images in {name} have type {images.dtype} and shape {found.images.shape}"
        images, levels = _of_floats(name, kind, images, form)
    labels: IntArray = np.full(len(images), UNLABELLED, dtype=np.int64)
    if found.labels is not None and form.labelled:
        labels = found.labels
    return Selection(
        Path(name).name,
        torch.from_numpy(np.ascontiguousarray(images)),
        labels,
        found.ids,
        levels,
        None,
        is_table,
    )


def _as_images(name: str, found: loaders.Array) -> loaders.Array:
    """Return [M, C, H, W] of rows [M, C, H, W], [M, H, W] or [M, d]; ValueError for others."""
    if found.ndim not in (2, 3, 4) or not found.size or found.dtype.kind not in "uf":
        kind = f"have type {found.dtype} and shape {found.shape}"
        raise ValueError(f"images in {name} {kind}: give {_FORMS}")
    if found.ndim == 2:
        return found[:, None, None]
    images = found[:, None] if found.ndim == 3 else found
    require_channels_first(f"images in {name}", images.shape)
    return images


_FORMS = (
    "uint8 [N, C, H, W] or [N, H, W], or rows [N, d], or floats with --continuous or --quantise"
)


def _of_floats(
    name: str, kind: str, images: loaders.Array, form: Form
) -> tuple[loaders.Array, int]:
    """Return floats as float32 with levels 1, or brought to whole levels if that is asked for."""
    if images.dtype.kind != "f" or not (form.continuous or form.quantise or form.levels):
        raise ValueError(f"{kind}: give {_FORMS}")
    if not np.isfinite(images).all():
        raise ValueError(f"images in {name} hold NaN or infinite numbers: give finite ones")
    if form.continuous:
        if form.levels is not None:
            raise ValueError(f"levels is {form.levels}: floats have none, leave it out")
        with np.errstate(over="ignore"):
            single = images.astype(np.float32)
        if not np.isfinite(single).all():
            raise ValueError(f"images in {name} hold numbers beyond float32: scale them")
        return single, 1
    levels = 255 if form.levels is None else integer("levels", form.levels, least=1, most=255)
    scale = levels if form.quantise else 1
    whole = np.rint(images.astype(np.float64) * scale)
    if not form.quantise and not (whole == images).all():
        raise ValueError(f"{kind}, which are not whole: give {_FORMS}")
    low, high = images.min(), images.max()
    if whole.min() < 0 or whole.max() > levels:
        white = "1" if form.quantise else str(levels)
        raise ValueError(
            f"images in {name} reach from {low:g} to {high:g}: give pixels from 0 to {white}, "
            "before any normalising (that is --mean and --std)"
        )
    return whole.astype(np.uint8), levels


def _of_folder(root: Path, form: Form, pick: loaders.Pick) -> Selection:
    if form.levels not in (None, 255):
        raise ValueError(f"levels is {form.levels}: images in folders have 255, leave it out")
    if form.keys is not None or form.quantise:
        given = "keys" if form.keys is not None else "quantise"
        raise ValueError(f"{given} is given: it does not go with a folder, leave it out")
    # Imported here: torchvision is slow to import, and other data do without it.
    from rs_lib.machines.image_folder import Folder

    side = 224 if form.side is None else form.side
    folder = Folder(root, side, labelled=form.labelled)
    ids = pick(len(folder.labels))
    images = folder.images(ids)
    labels = folder.labels[ids] if form.labelled else np.full(len(ids), UNLABELLED)
    classes = len(folder.classes) if form.labelled else None
    return Selection(root.resolve().name, images, labels, ids, 255, classes)

"""Images, feature tables and labels, from files and from functions of the reader's own.

A loader finds what a name stands for, and gives the rows that are asked for, unconverted. It is
chosen by what the file is called; `module:function` returns a torch Dataset or two arrays.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from rs_lib.arguments import IntArray, integers, shown
from rs_lib.commands import classifier
from rs_lib.commands.failures import told

Array = npt.NDArray[Any]
Pick = Callable[[int], IntArray]
"""Tells, of so many rows, which are wanted."""

KEYS = (
    *(("images", "labels"), ("x_test", "y_test"), ("x", "y"), ("X", "y"), ("data", "labels")),
    *(("embeddings", "labels"), ("features", "labels"), ("test_images", "test_labels")),
)
"""Names of arrays that are known for images and labels."""
LABELS = ("label", "labels", "class", "target", "y")
"""Names of columns that are known for labels, in any case."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """Rows as they were found: `images` [M, ...]; `labels` [M], class numbers, None without them.

    `ids` [M] are their positions in the whole.
    """

    images: Array
    labels: IntArray | None
    ids: IntArray


@dataclass(frozen=True)
class Wanted:
    """What of a source is wanted: `keys`, names of images and labels; whether it has labels."""

    keys: tuple[str, str] | None
    labelled: bool
    pick: Pick


def load(name: str, wanted: Wanted) -> Loaded:
    """Return the rows that are `wanted` of a file or a function; ValueError if there are none."""
    if ":" in name and not Path(name).exists():
        return _of_function(name, wanted)
    path = Path(name)
    loader = _LOADERS.get(path.suffix.lower())
    if loader is None:
        raise ValueError(
            f"data is {name!r}: give one of digits, mnist, fashion-mnist, cifar10, a .npz file, or "
            "a folder of images; or a .npy, .csv or .parquet file, or MODULE:FUNCTION"
        )
    try:
        images, labels = loader(path, wanted)
    except MemoryError as error:
        raise ValueError(f"data in {path} do not fit into the memory: give fewer images") from error
    except (ImportError, _RefusedError):
        raise
    except Exception as error:  # readers fail in many ways on damaged files
        raise ValueError(
            f"data in {path} cannot be read ({told(error)}): give a whole file of that kind"
        ) from error
    return _picked(name, images, labels, wanted)


class _RefusedError(ValueError):
    """A sentence of our own, not to be taken for a damaged file."""


def _require_labels(name: str, images: Array, labels: Array | None, wanted: Wanted) -> None:
    if not images.ndim or not images.size:
        raise ValueError(
            f"images in {name} have type {images.dtype} and shape {images.shape}: give uint8 "
            "[N, C, H, W] or [N, H, W], or rows [N, d]"
        )
    if labels is None and wanted.labelled:
        raise ValueError(
            f"data in {name} lack an array: give images and labels, as numpy.savez("
            "file, images=..., labels=...) stores them, or say --unlabelled"
        )
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(
            f"labels in {name} have shape {labels.shape}: give one for each of {len(images)} images"
        )


def _picked(name: str, images: Array, labels: Array | None, wanted: Wanted) -> Loaded:
    """Return the rows that are wanted; all labels are looked at."""
    _require_labels(name, images, labels, wanted)
    numbers = None if labels is None else class_numbers(name, labels)
    ids = wanted.pick(len(images))
    return Loaded(images[ids], None if numbers is None else numbers[ids], ids)


def _of_npz(path: Path, wanted: Wanted) -> tuple[Array, Array | None]:
    with path.open("rb") as stream, np.lib.npyio.NpzFile(stream) as file:
        there = [pair for pair in KEYS if pair[0] in file and pair[1] in file]
        alone = [pair for pair in KEYS if pair[0] in file]
        pair = wanted.keys or next(iter(there or alone), None)
        missing = [key for key in wanted.keys or () if key not in file]
        if wanted.keys and (wanted.keys[0] in missing or (missing and wanted.labelled)):
            held = ", ".join(list(file)[:8])
            raise _RefusedError(
                f"keys is {' '.join(wanted.keys)}: {path} holds no {missing[0]}, but {held}"
            )
        if pair is None:
            if not wanted.labelled and len(list(file)) == 1:
                return file[next(iter(file))], None
            raise _RefusedError(
                f"data in {path} lack an array: give images and labels, as numpy.savez("
                "file, images=..., labels=...) stores them, or name its arrays by --keys"
            )
        labels = file[pair[1]] if wanted.labelled and pair[1] in file else None
        return file[pair[0]], labels


def _of_npy(path: Path, wanted: Wanted) -> tuple[Array, Array | None]:
    return np.load(path, allow_pickle=False), None


def _of_csv(path: Path, wanted: Wanted) -> tuple[Array, Array | None]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        start = stream.readline()
        stream.seek(0)
        rows = [row for row in csv.reader(stream, delimiter=_delimiter(start)) if row]
    if not rows:
        raise _RefusedError(f"data in {path} hold no row: give a table of numbers")
    head = rows[0] if any(not _is_number(entry) for entry in rows[0]) else None
    body = rows[1:] if head else rows
    for number, row in enumerate(body, 1 + bool(head)):
        if len(row) != len(rows[0]):
            raise _RefusedError(
                f"data in {path} have {len(row)} columns in line {number}, not {len(rows[0])}: "
                "give a whole table"
            )
    names = [name.strip() for name in head] if head else [str(n) for n in range(len(rows[0]))]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _RefusedError(f"data in {path} have two columns {twice}: give each its own name")
    columns = {name: [row[place] for row in body] for place, name in enumerate(names)}
    return _of_columns(path, columns, wanted)


def _of_parquet(path: Path, wanted: Wanted) -> tuple[Array, Array | None]:
    path.open("rb").close()  # a file that is missing is told before a package is
    pandas = import_module("pandas")
    try:
        table = pandas.read_parquet(path)
    except ImportError as error:
        raise ModuleNotFoundError("parquet needs pyarrow", name="pyarrow") from error
    return _of_columns(path, {str(name): table[name].to_numpy() for name in table}, wanted)


def _of_columns(
    path: Path, columns: Mapping[str, Sequence[Any]], wanted: Wanted
) -> tuple[Array, Array | None]:
    """Split a table into features [n, d], all columns but that of the labels, and labels [n]."""
    if wanted.keys and wanted.keys[1] not in columns:
        raise _RefusedError(
            f"keys is {' '.join(wanted.keys)}: {path} has no column {wanted.keys[1]}, but "
            f"{', '.join([*columns][:8])}"
        )
    named = [name for name in columns if name.lower() in LABELS]
    if len(named) > 1 and not wanted.keys:
        raise _RefusedError(
            f"data in {path} have columns {' and '.join(named)}: name the column of the labels by "
            "--keys features NAME"
        )
    label = wanted.keys[1] if wanted.keys else next(iter(named), None)
    features = [values for name, values in columns.items() if name != label]
    try:
        table = np.array(features, dtype=np.float64).T
    except ValueError:
        bad = next(
            (name, entry)
            for name, values in columns.items()
            if name != label
            for entry in values
            if not _is_number(entry)
        )
        raise _RefusedError(
            f"data in {path} hold {shown(bad[1])} in the column {bad[0]}: give numbers, and name "
            "the column of the labels by --keys features NAME"
        ) from None
    if label is None or not wanted.labelled:
        return table, None
    labels = np.asarray(columns[label])
    if labels.dtype.kind in "US" and all(map(_is_number, labels)):
        labels = labels.astype(np.float64)
    return table, labels


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _is_number(entry: object) -> bool:
    try:
        float(entry)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _of_function(name: str, wanted: Wanted) -> Loaded:
    """Rows of what MODULE:FUNCTION returns: a Dataset of images and labels, or two arrays."""
    function = classifier.named("data", name)
    with classifier.blaming(lambda error: f"data is {name!r}: it fails with {error}; mend it"):
        made = (
            function() if callable(function) and not hasattr(function, "__getitem__") else function
        )
    if isinstance(made, tuple | list) and len(made) == 2 and hasattr(made[0], "shape"):
        images, labels = (_as_array(part) for part in made)
        return _picked(name, images, labels if wanted.labelled else None, wanted)
    if not (hasattr(made, "__getitem__") and hasattr(made, "__len__")) or not len(made):
        raise ValueError(
            f"data is {name!r}: it gives a {type(made).__name__}, give a torch Dataset with a "
            "length, or a pair of arrays"
        )
    ids = wanted.pick(len(made))
    with classifier.blaming(lambda error: f"data is {name!r}: an item fails with {error}; mend it"):
        items = [_item(made[place]) for place in ids.tolist()]
    shapes = {image.shape for image, _ in items}
    if len(shapes) > 1:
        sizes = " and ".join(map(str, sorted(shapes)[:2]))
        raise ValueError(f"data is {name!r}: its images have shapes {sizes}, give them one shape")
    given = [label for _, label in items]
    if wanted.labelled and any(label is None for label in given):
        raise ValueError(f"data is {name!r}: its items have no labels, give some or --unlabelled")
    found = np.array([_as_array(label) for label in given]) if wanted.labelled else None
    numbers = None if found is None else class_numbers(name, found)
    return Loaded(np.stack([image for image, _ in items]), numbers, ids)


def _item(item: Any) -> tuple[Array, Any]:
    """Return image and label of an item: a pair, a mapping, or an image alone."""
    if isinstance(item, Mapping):
        image = next(item[key] for key in ("image", "pixel_values", "images") if key in item)
        return _picture(image), next((item[key] for key in LABELS if key in item), None)
    if isinstance(item, tuple | list):
        return _picture(item[0]), item[1] if len(item) > 1 else None
    return _picture(item), None


def _picture(image: Any) -> Array:
    """Return [C, H, W] of an image as PIL has it; tensors and arrays stay as they are."""
    if isinstance(image, Tensor | np.ndarray):
        return _as_array(image)
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels


def _as_array(part: Any) -> Array:
    return part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)


_LOADERS: dict[str, Callable[[Path, Wanted], tuple[Array, Array | None]]] = {
    ".npz": _of_npz,
    ".npy": _of_npy,
    ".csv": _of_csv,
    ".tsv": _of_csv,
    ".parquet": _of_parquet,
}


def class_numbers(name: str, labels: Array) -> IntArray:
    """Return labels as class numbers; ValueError for words, and what is no whole number."""
    if labels.dtype.kind in "US" or (labels.dtype == object and isinstance(labels.flat[0], str)):
        raise ValueError(
            f"labels in {name} are words, such as {shown(labels.flat[0])}: give class numbers from "
            "0, in the order of the model's logits"
        )
    return integers(f"labels in {name}", labels, most=2**63 - 1)

"""Data sets load from every layout that a root may have, and each failure names its remedy."""

import gzip
import hashlib
import pickle
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision import datasets

from rs_lib.machines import data
from rs_lib.machines.data import DataError

MNIST_NAMES = [name for name, _ in datasets.MNIST.resources]


def _idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A folder of four small gz files that torchvision and the pinned digest are told to expect."""
    rng = np.random.default_rng(7)
    arrays = [
        rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 30, dtype=np.uint8),
        rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 20, dtype=np.uint8),
    ]
    raw = tmp_path / "origin" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for name, array in zip(MNIST_NAMES, arrays, strict=True):
        (raw / name).write_bytes(gzip.compress(_idx(array), mtime=0))
        resources.append((name, _md5(raw / name)))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    shaped = [array[:, None] if array.ndim == 3 else array for array in arrays]
    monkeypatch.setitem(data.DIGESTS, "mnist", data.content_digest(shaped))
    _no_network(monkeypatch)
    return raw, shaped


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A root with CIFAR-10 of four images a batch, and the arrays in it."""
    rng = np.random.default_rng(8)
    folder = tmp_path / "origin" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    files, pixels, labels = [], [], []
    for name, _ in datasets.CIFAR10.train_list + datasets.CIFAR10.test_list:
        pixels.append(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8))
        labels.append(rng.integers(0, 10, 4, dtype=np.uint8))
        entry = {"data": pixels[-1].reshape(4, -1), "labels": labels[-1].tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
        files.append([name, _md5(folder / name)])
    meta = folder / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", files[:-1])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", files[-1:])
    entry = {"filename": meta.name, "key": "label_names", "md5": _md5(meta)}
    monkeypatch.setattr(datasets.CIFAR10, "meta", entry)
    arrays = [np.concatenate(pixels[:-1]), np.concatenate(labels[:-1]), pixels[-1], labels[-1]]
    monkeypatch.setitem(data.DIGESTS, "cifar10", data.content_digest(arrays))
    _no_network(monkeypatch)
    return folder, arrays


def _md5(path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise URLError("Temporary failure in name resolution")

    for module in (datasets.mnist, datasets.cifar):
        monkeypatch.setattr(module, "download_and_extract_archive", refuse)


def _network_with(monkeypatch, raw):
    """Let torchvision's download deliver the files of `raw`."""

    def deliver(url, download_root, filename, md5):
        target = Path(download_root) / filename
        shutil.copy(raw / filename, target)
        target.with_suffix("").write_bytes(gzip.decompress(target.read_bytes()))

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", deliver)


def _tensors(dataset):
    return [
        dataset.train_images,
        dataset.train_labels,
        dataset.test_images,
        dataset.test_labels,
    ]


def _assert_holds(dataset, arrays):
    for tensor, array in zip(_tensors(dataset), arrays, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)


def test_digits_are_split_once_for_all():
    digits = data.load("digits")
    assert digits.digest == data.DIGESTS["digits"]
    assert digits.image_shape == (1, 8, 8)
    assert len(digits.test_labels) == 500
    assert digits.train_images.dtype == torch.uint8
    assert digits.train_labels.dtype == torch.int64
    parts = zip(
        torch.cat([digits.train_images, digits.test_images]).numpy(),
        torch.cat([digits.train_labels, digits.test_labels]).tolist(),
        strict=True,
    )
    bundle = load_digits()
    whole = zip(bundle.images.astype(np.uint8), bundle.target.tolist(), strict=True)
    assert sorted((x.tobytes(), y) for x, y in parts) == sorted((x.tobytes(), y) for x, y in whole)
    # Each class is about as frequent in both parts (the split is fixed, so this cannot flake).
    assert torch.bincount(digits.test_labels, minlength=10).min() >= 35


def test_floats_are_levels_over_their_number(mnist):
    raw, _ = mnist
    for dataset in (data.load("digits"), data.load("mnist", raw.parent.parent)):
        floats = dataset.as_float(dataset.test_images)
        assert floats.dtype == torch.float32
        assert floats.min() == 0
        assert floats.max() == 1
        torch.testing.assert_close((floats * dataset.levels).round().byte(), dataset.test_images)


def test_packed_files_are_read_without_touching_their_folder(mnist):
    raw, arrays = mnist
    _assert_holds(data.load("mnist", raw.parent.parent), arrays)
    assert sorted(path.name for path in raw.rglob("*")) == sorted(MNIST_NAMES)
    assert sorted(path.name for path in raw.parents[1].iterdir()) == ["MNIST"]


def test_unpacked_files_are_read(mnist):
    raw, arrays = mnist
    for path in list(raw.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    _assert_holds(data.load("mnist", raw.parent.parent), arrays)


def test_colour_images_come_channels_first(cifar):
    folder, arrays = cifar
    _assert_holds(data.load("cifar10", folder.parent), arrays)


def test_the_root_is_the_argument_then_rs_data_then_the_cache(mnist, monkeypatch, tmp_path):
    raw, arrays = mnist
    root, empty = raw.parent.parent, tmp_path / "empty"
    monkeypatch.setenv("RS_DATA", str(empty))
    _assert_holds(data.load("mnist", root), arrays)
    with pytest.raises(DataError, match="empty"):
        data.load("mnist")
    monkeypatch.setenv("RS_DATA", str(root))
    _assert_holds(data.load("mnist"), arrays)
    monkeypatch.delenv("RS_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"cache/rs_lib"):
        data.load("mnist")


def test_a_download_appears_whole_and_is_found_again(mnist, monkeypatch, tmp_path):
    raw, arrays = mnist
    root = tmp_path / "new" / "root"
    _network_with(monkeypatch, raw)
    _assert_holds(data.load("mnist", root), arrays)
    assert [path.name for path in root.iterdir()] == ["MNIST"]
    _no_network(monkeypatch)
    _assert_holds(data.load("mnist", root), arrays)


def test_two_downloads_at_once_do_no_harm(mnist, monkeypatch, tmp_path):
    raw, arrays = mnist
    root = tmp_path / "root"
    _network_with(monkeypatch, raw)
    deliver = datasets.mnist.download_and_extract_archive

    def deliver_late(*args, **kwargs):
        deliver(*args, **kwargs)
        shutil.copytree(raw.parent, root / "MNIST", dirs_exist_ok=True)

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", deliver_late)
    _assert_holds(data.load("mnist", root), arrays)
    assert [path.name for path in root.iterdir()] == ["MNIST"]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_without_network_nothing_is_left_behind(name, monkeypatch, tmp_path):
    _no_network(monkeypatch)
    with pytest.raises(DataError, match=rf"{name} is not in .*root .*set RS_DATA"):
        data.load(name, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    "failure", [URLError("reset"), ConnectionError("reset"), KeyboardInterrupt]
)
def test_a_download_cut_short_leaves_nothing_behind(failure, mnist, monkeypatch, tmp_path):
    def half(url, download_root, filename, md5):
        (Path(download_root) / filename).write_bytes(b"half")
        raise failure

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", half)
    expected = KeyboardInterrupt if failure is KeyboardInterrupt else DataError
    with pytest.raises(expected):
        data.load("mnist", tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def _flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [_flip_a_byte, _truncate, Path.unlink])
@pytest.mark.parametrize("name", MNIST_NAMES)
def test_a_damaged_packed_file_is_named(damage, name, mnist):
    raw, _ = mnist
    damage(raw / name)
    with pytest.raises(DataError, match=rf"mnist: the file .*{name} .*load again"):
        data.load("mnist", raw.parent.parent)


def test_a_packed_file_truncated_at_its_source_is_an_error(mnist, monkeypatch):
    raw, _ = mnist
    _truncate(raw / MNIST_NAMES[0])
    resources = [(name, _md5(raw / name)) for name in MNIST_NAMES]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    with pytest.raises(DataError, match=r"incomplete or corrupt .*load again"):
        data.load("mnist", raw.parent.parent)


@pytest.mark.parametrize("damage", [_flip_a_byte, _truncate])
@pytest.mark.parametrize("name", MNIST_NAMES)
def test_a_damaged_unpacked_file_is_an_error(damage, name, mnist):
    raw, _ = mnist
    for path in list(raw.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    damage((raw / name).with_suffix(""))
    with pytest.raises(DataError, match=r"mnist: .*(other content|corrupt).*(anew|load again)"):
        data.load("mnist", raw.parent.parent)


@pytest.mark.parametrize("damage", [_flip_a_byte, _truncate, Path.unlink])
def test_a_damaged_batch_file_is_an_error(damage, cifar):
    folder, _ = cifar
    damage(folder / "data_batch_3")
    with pytest.raises(DataError, match=r"cifar10: .*cifar-10-batches-py .*load again"):
        data.load("cifar10", folder.parent)


def test_other_content_than_pinned_is_an_error(mnist, monkeypatch):
    raw, _ = mnist
    monkeypatch.setitem(data.DIGESTS, "mnist", "0" * 64)
    with pytest.raises(DataError, match=r"mnist: .*not 000000000000.*install it anew"):
        data.load("mnist", raw.parent.parent)
    monkeypatch.setitem(data.DIGESTS, "digits", "0" * 64)
    with pytest.raises(DataError, match="scikit-learn"):
        data.load("digits")


def test_the_digest_sees_shapes_and_bytes():
    array = np.arange(12, dtype=np.uint8)
    other = array.copy()
    other[3] = 0
    variants = [[array], [other], [array.reshape(3, 4)], [array[:6], array[6:]], []]
    assert len({data.content_digest(arrays) for arrays in variants}) == len(variants)


def test_a_root_that_cannot_be_a_folder_is_an_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match=r"root .*file is a file: give a folder"):
        data.load("mnist", file)
    with pytest.raises(DataError, match=r"cannot be downloaded to there .*set RS_DATA"):
        data.load("mnist", file / "below")


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match=r"name is 'imagenet': give one of digits, mnist"):
        data.load("imagenet")

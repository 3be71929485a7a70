"""Images and labels of a file: what they are not is told, with the remedy for that."""

import numpy as np
import pytest

from rs_lib.commands import selection

IMAGES = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 1, 8, 8)


def _saved(place, images=IMAGES, labels=(0, 1)):
    path = place / "own.npz"
    np.savez(path, images=images, labels=labels)
    return str(path)


def _selected(path, **changes):
    skip, most = changes.pop("skip", 1), changes.pop("most", None)
    return selection.select(path, skip=skip, most=most, form=selection.Form(**changes))


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 28, 28, 1), (2, 8, 8, 4), (2, 16, 16, 9)])
def test_channels_last_are_refused_with_the_remedy(tmp_path, shape):
    images = np.zeros(shape, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"looks like \[N, H, W, C\]: give \[N, C, H, W\]"):
        _selected(_saved(tmp_path, images))
    mended = _selected(_saved(tmp_path, images.transpose(0, 3, 1, 2)))
    assert mended.images.shape == (2, shape[3], *shape[1:3])


@pytest.mark.parametrize(
    "shape", [(2, 3, 32, 32), (2, 1, 8, 1), (2, 4, 8, 3), (2, 8, 8, 8), (2, 3, 3)]
)
def test_channels_first_are_taken(tmp_path, shape):
    assert len(_selected(_saved(tmp_path, np.zeros(shape, dtype=np.uint8))).images) == 2


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (IMAGES.astype(np.float32), "have type float32"),
        (IMAGES.astype(np.complex64), "have type complex64"),
        (IMAGES.astype(np.int8), "have type int8"),
        (IMAGES.astype(np.uint16), "have type uint16"),
        (IMAGES > 5, "have type bool"),
        (IMAGES.astype(object), "cannot be read"),
        (IMAGES[0, 0], "give one for each of 8 images"),
        (IMAGES[:0], "give uint8"),
    ],
)
def test_images_of_other_types_are_refused(tmp_path, images, told):
    with pytest.raises(ValueError, match=told):
        _selected(_saved(tmp_path, images))


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog"],
        [b"0", b"1"],
        [0, 0.5],
        [0, float("nan")],
        [0, float("inf")],
        [0, 1j],
        [0, -1],
        np.array([0, 2**63], dtype=np.uint64),
        np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
        np.array([0, None], dtype=object),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match=r"(labels|data) in .*own\.npz") as refusal:
        _selected(_saved(tmp_path, labels=labels))
    assert "give" in str(refusal.value)


def test_large_labels_are_compared_as_integers(tmp_path):
    large = [2**53 + 1, 2**63 - 1]
    assert _selected(_saved(tmp_path, labels=large)).labels.tolist() == large


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"skip": 0}, "skip is 0"),
        ({"skip": 10**30}, "skip is 1000000000000000000000000000000"),
        ({"most": 0}, "max-images is 0"),
        ({"levels": 0}, "levels is 0"),
        ({"levels": 256}, "levels is 256: give whole numbers of at most 255"),
        ({"levels": 5}, "give the value that stands for 1.0 as --levels"),
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path, changes, told):
    with pytest.raises(ValueError, match=told):
        _selected(_saved(tmp_path), **changes)

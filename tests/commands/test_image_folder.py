"""A folder of images, one folder a class, certified as ImageNet would be."""

import numpy as np
import pytest
from PIL import Image

from rs_lib import __main__ as command_line
from rs_lib.commands import selection


@pytest.fixture
def folder(tmp_path):
    """Two classes; sizes, modes and formats as they come."""
    draw = np.random.default_rng(3)
    for name, shape, mode in (
        ("n02/b.png", (32, 32, 3), "RGB"),
        ("n02/a.JPEG", (40, 64, 3), "RGB"),
        ("n01/c.png", (70, 36), "L"),
        ("n01/d.png", (48, 48, 4), "RGBA"),
    ):
        path = tmp_path / "val" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8), mode).save(path)
    return tmp_path / "val"


def _selected(path, **changes):
    skip = changes.pop("skip", 1)
    form = selection.Form(**{"side": 32, **changes})
    return selection.select(str(path), skip=skip, most=None, form=form)


def test_classes_and_files_are_in_the_order_of_their_names(folder):
    found = _selected(folder)
    assert found.images.shape == (4, 3, 32, 32)
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert (found.classes, found.levels, found.name) == (2, 255, "val")
    # n01/c.png is grey, n02/b.png has the size that is asked for
    assert (found.images[0, 0] == found.images[0, 2]).all()
    np.testing.assert_array_equal(
        found.images[3].permute(1, 2, 0).numpy(), np.asarray(Image.open(folder / "n02" / "b.png"))
    )


def test_the_middle_is_cut_out_of_what_was_made_smaller(tmp_path):
    """Left half black and right half white, twice as wide as high: the edge stays in the middle."""
    pixels = np.zeros((256, 512, 3), dtype=np.uint8)
    pixels[:, 256:] = 255
    (tmp_path / "val" / "a").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "val" / "a" / "x.png")
    [image] = _selected(tmp_path / "val", side=56).images
    assert (image[:, :, :27] == 0).all()
    assert (image[:, :, 29:] == 255).all()


def test_images_are_chosen_before_they_are_read(folder):
    (folder / "n01" / "d.png").write_bytes(b"no image")
    found = _selected(folder, skip=2)
    assert found.ids.tolist() == [0, 2]
    assert len(found.images) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"side": 0}, "side is 0"),
        ({"levels": 16}, "levels is 16: images in folders have 255"),
        ({}, "d.png cannot be read as an image"),
    ],
)
def test_what_cannot_be_used_is_told(folder, changes, told):
    (folder / "n01" / "d.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=told):
        _selected(folder, **changes)


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="give a folder that holds a folder of images for each"):
        _selected(tmp_path)
    with pytest.raises(ValueError, match="side is 32: it goes with a folder of images"):
        _selected("digits")


MODEL = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)).eval()
"""


def test_a_folder_is_certified_from_the_command_line(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    command = ["certify", "--model", "own_model:build", "--data", str(folder), "--side", "32"]
    command += ["--scale", "0.25", "--n", "200", "--out", str(tmp_path / "log.tsv")]
    assert command_line.main(command) == 0, capsys.readouterr().err
    rows = [line for line in (tmp_path / "log.tsv").read_text().splitlines() if line[:1].isdigit()]
    assert len(rows) == 4

"""Data of every kind, on files that the tests make: read as they are, or refused in a sentence."""

import csv
import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from rs_lib import __main__ as command_line
from rs_lib.commands import selection
from rs_lib.commands.logs import log

DRAW = np.random.default_rng(0)
PIXELS = DRAW.integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
FEATURES = DRAW.normal(size=(6, 5))
BITS = DRAW.integers(0, 2, (6, 9))
SOURCE = """
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, TensorDataset

pixels = np.load("pixels.npy")
labels = [0, 1, 2, 0, 1, 2]


class Pictures(Dataset):
    def __init__(self, how):
        self.how = how

    def __len__(self):
        return len(labels)

    def __getitem__(self, place):
        image = pixels[place]
        kind = {
            "pil": lambda: (Image.fromarray(image.transpose(1, 2, 0)), labels[place]),
            "tensor": lambda: (torch.from_numpy(image), torch.tensor(labels[place])),
            "array": lambda: [image, np.int64(labels[place])],
            "mapping": lambda: {"image": image, "label": labels[place]},
            "float": lambda: (torch.from_numpy(image) / 255, labels[place]),
            "normal": lambda: (torch.from_numpy(image) / 255 - 0.5, labels[place]),
            "alone": lambda: image,
            "uneven": lambda: (image[:, : 3 + place], labels[place]),
            "failing": lambda: {}["missing"],
            "words": lambda: (image, "cat"),
        }
        return kind[self.how]()


def pil(): return Pictures("pil")
def tensor(): return Pictures("tensor")
def array(): return Pictures("array")
def mapping(): return Pictures("mapping")
def floats(): return Pictures("float")
def normal(): return Pictures("normal")
def alone(): return Pictures("alone")
def uneven(): return Pictures("uneven")
def failing(): return Pictures("failing")
def words(): return Pictures("words")
def pair(): return pixels, np.array(labels)
def tensors(): return TensorDataset(torch.from_numpy(pixels), torch.tensor(labels))
def number(): return 5
def empty(): return []
def broken(): raise RuntimeError("no data today")


instance = Pictures("tensor")
value = 7


def linear(size=5, classes=3):
    torch.manual_seed(0)
    return nn.Linear(size, classes)


def images():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a module `source` and one file of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "source.py").write_text(SOURCE)
    np.save("pixels.npy", PIXELS)
    np.save("features.npy", FEATURES)
    np.savez("a.npz", images=PIXELS, labels=LABELS)
    np.savez("named.npz", scans=PIXELS, truth=LABELS, other=np.zeros(3))
    np.savez("bare.npz", images=PIXELS)
    np.savez("floats.npz", x=PIXELS / 255, y=LABELS)
    np.savez("single.npz", x=(PIXELS / 255).astype(np.float32), y=LABELS)
    np.savez("embedded.npz", embeddings=FEATURES.astype(np.float32), labels=LABELS)
    np.savez("normalised.npz", x=PIXELS / 255 - 0.5, y=LABELS)
    np.savez("broken.npz", x=np.full((2, 4), np.nan), y=[0, 1])
    table("table.csv", FEATURES, LABELS, ",", head=True)
    table("table.tsv", FEATURES, LABELS, "\t", head=True)
    table("semicolons.csv", FEATURES, LABELS, ";", head=True)
    table("bare.csv", FEATURES, None, ",", head=False)
    table("bits.csv", BITS, LABELS, ",", head=True)
    frame = pd.DataFrame(FEATURES, columns=[*"abcde"])
    pd.concat([frame, pd.Series(LABELS, name="Target")], axis=1).to_csv("pandas.csv", index=False)
    yield tmp_path
    sys.modules.pop("source", None)


def table(name, rows, labels, delimiter, head):
    with open(name, "w", newline="") as stream:  # noqa: PTH123
        writer = csv.writer(stream, delimiter=delimiter)
        if head:
            writer.writerow([*(f"f{n}" for n in range(rows.shape[1])), "label"])
        for number, row in enumerate(rows.tolist()):
            writer.writerow([*map(repr, row), *([labels[number]] if labels is not None else [])])


def chosen(name, skip=1, most=None, **form):
    return selection.select(name, skip=skip, most=most, form=selection.Form(**form))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.npz", {}),
        ("named.npz", {"keys": ("scans", "truth")}),
        *((f"source:{kind}", {}) for kind in ("pil", "tensor", "array", "mapping", "pair")),
        *((f"source:{kind}", {}) for kind in ("tensors", "instance")),
        ("floats.npz", {"quantise": True}),
        ("single.npz", {"quantise": True}),
        ("source:floats", {"quantise": True}),
    ],
)
def test_every_source_of_pictures_gives_the_same(place, name, form):
    found = chosen(name, **form)
    assert found.images.dtype == torch.uint8
    assert (found.images.numpy() == PIXELS).all()
    assert (found.labels == LABELS).all()
    part = chosen(name, skip=2, most=2, **form)
    assert (part.images.numpy() == PIXELS[[0, 2]]).all()
    assert part.ids.tolist() == [0, 2]


@pytest.mark.parametrize(
    "name", ["table.csv", "table.tsv", "semicolons.csv", "pandas.csv", "embedded.npz"]
)
def test_every_table_gives_the_same_features(place, name):
    found = chosen(name, continuous=True)
    assert found.images.shape == (6, 1, 1, 5)
    assert (found.images.numpy()[:, 0, 0] == FEATURES.astype(np.float32)).all()
    assert (found.labels == LABELS).all()
    assert found.is_table
    assert (found.pixels(np.arange(6), continuous=True) == found.images).all()


def test_parquet_is_read_by_pandas_and_its_absence_told(place, monkeypatch, capsys):
    frame = pd.DataFrame(FEATURES, columns=[*"abcde"]).assign(label=LABELS)
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    (place / "a.parquet").touch()
    found = chosen("a.parquet", continuous=True)
    assert (found.images.numpy()[:, 0, 0] == FEATURES.astype(np.float32)).all()
    monkeypatch.setitem(sys.modules, "pandas", None)
    command = ["certify", "--model", "source:linear", "--data", "a.parquet", "--continuous"]
    assert command_line.main([*command, "--scale", "0.5", "--n", "50"]) == 1
    assert "this needs the package pandas, which is missing" in capsys.readouterr().err


def test_a_parquet_file_is_read_for_real(place):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(FEATURES, columns=[*"abcde"]).assign(label=LABELS)
    frame.to_parquet(place / "real.parquet")
    frame.to_csv(place / "real.csv", index=False)
    found, same = (chosen(name, continuous=True) for name in ("real.parquet", "real.csv"))
    assert (found.images.numpy()[:, 0, 0] == FEATURES.astype(np.float32)).all()
    assert (found.labels == LABELS).all()
    assert found.digest == same.digest


def test_bits_of_a_table_are_whole(place):
    found = chosen("bits.csv", levels=1)
    assert found.images.dtype == torch.uint8
    assert (found.images.numpy()[:, 0, 0] == BITS).all()
    assert found.levels == 1


def test_a_folder_without_classes_is_read_without_labels(place):
    (place / "photos" / "deep").mkdir(parents=True)
    for name, pixels in zip(("b.png", "deep/a.PNG", "c.bmp"), PIXELS, strict=False):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(place / "photos" / name)
    (place / "photos" / "notes.txt").write_text("no image")
    found = chosen("photos", side=8, labelled=False)
    assert (found.images.numpy() == PIXELS[[0, 2, 1]]).all()
    assert not found.is_labelled


RUN = ["certify", "--scale", "0.25", "--n", "200"]


def test_features_reach_the_model_as_rows(place):
    words = ["--model", "source:linear", "--data", "table.csv", "--continuous", "--out", "a.tsv"]
    assert command_line.main([*RUN, *words]) == 0
    header = log.read("a.tsv").header
    assert header["data"]["shape"] == [1, 1, 5]
    assert header["noise"] == {"law": "gaussian", "sigma": 0.25, "norm": "l2"}
    laplace = [*RUN, *words[:-1], "b.tsv", "--noise", "laplace"]
    assert command_line.main(laplace) == 0
    flips = ["--model", "source:linear", "--arguments", "size=9", "--data", "bits.csv"]
    run = ["certify", "--n", "200", *flips, "--levels", "1", "--noise", "flips", "--keep", "0.9"]
    assert command_line.main([*run, "--out", "c.tsv"]) == 0
    assert log.read("c.tsv").header["noise"]["norm"] == "l0"
    run[run.index("flips") :] = ["sparse", "--rates", "0.01,0.2"]
    assert command_line.main([*run, "--out", "d.tsv"]) == 0
    assert log.read("d.tsv").header["noise"]["law"] == "sparse"
    assert command_line.main([*run, "--out", "d.tsv"]) == 0  # read back, row by row


def test_without_labels_answers_count_and_nothing_is_called_right(place, capsys):
    words = ["--model", "source:images", "--data", "bare.npz", "--unlabelled", "--out", "a.tsv"]
    assert command_line.main([*RUN, *words]) == 0
    told = capsys.readouterr()
    columns = log.read("a.tsv").columns
    assert (columns["label"] == selection.UNLABELLED).all()
    assert (columns["correct"] == 0).all()
    answered = (columns["predict"] >= 0).mean()
    assert re.search(rf"radius +certified +95 .*\n +0.00 +{answered:.3f} ", told.out)
    assert "accuracy" not in told.out
    assert "6 images without labels" in told.err
    assert command_line.main([*RUN, *words]) == 0  # the rows follow from their counts


def test_quantised_images_are_recorded_as_such(place):
    words = ["--model", "source:images", "--data", "floats.npz", "--quantise", "--out", "a.tsv"]
    assert command_line.main([*RUN, *words]) == 0
    assert json.loads((place / "a.json").read_text())["data"]["quantised"] is True
    plain = ["--model", "source:images", "--data", "a.npz", "--out", "b.tsv"]
    assert command_line.main([*RUN, *plain]) == 0
    assert (place / "a.tsv").read_bytes() == (place / "b.tsv").read_bytes()


def test_floats_outside_of_the_unit_interval_are_warned_of(place, capsys):
    words = ["--model", "source:images", "--data", "normalised.npz", "--continuous"]
    assert command_line.main([*RUN, *words, "--out", "a.tsv"]) == 0
    assert "images reach from -0.5 to 0.5, beyond [0, 1]" in capsys.readouterr().err


def write(name, text):
    with open(name, "w") as stream:  # noqa: PTH123
        stream.write(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "bare.npz"], "data in bare.npz lack an array"),
        (["--data", "pixels.npy"], "data in pixels.npy lack an array"),
        (["--data", "named.npz"], "name its arrays by --keys"),
        (["--data", "named.npz", "--keys", "scans", "none"], "holds no none, but scans, truth"),
        (["--data", "named.npz", "--keys", "none", "truth"], "holds no none, but scans, truth"),
        (
            ["--data", "named.npz", "--keys", "scans", "other"],
            "labels in named.npz have shape",
        ),
        (["--data", "floats.npz"], "have type float64 and shape (6, 3, 8, 8): give uint8"),
        (["--data", "normalised.npz", "--quantise"], "reach from -0.5 to 0.5: give pixels from 0"),
        (["--data", "broken.npz", "--continuous"], "hold NaN or infinite numbers: give finite"),
        (["--data", "broken.npz", "--quantise"], "hold NaN or infinite numbers: give finite"),
        (["--data", "a.npz", "--quantise"], "quantise is given, but images are whole numbers"),
        (["--data", "a.npz", "--levels", "9"], "give the value that stands for 1.0 as --levels"),
        (["--data", "a.npz", "--levels", "0"], "levels is 0"),
        (["--data", "a.npz", "--levels", "300"], "levels is 300"),
        (["--data", "floats.npz", "--levels", "255"], "which are not whole: give uint8"),
        (["--data", "floats.npz", "--quantise", "--continuous"], "quantise is given beside contin"),
        (
            ["--data", "floats.npz", "--continuous", "--levels", "9"],
            "levels is 9: floats have",
        ),
        (
            ["--data", "digits", "--keys", "a", "b"],
            "keys is given: it goes with a file of",
        ),
        (["--data", "digits", "--quantise"], "quantise is given: it goes with a file of your own"),
        (["--data", "digits", "--side", "9"], "side is 9: it goes with a folder of images"),
        (["--data", "table.csv"], "have type float64 and shape (6, 5): give uint8"),
        (["--data", "table.csv", "--keys", "f", "none"], "table.csv has no column none, but f0"),
        (["--data", "table.csv", "--levels", "1"], "which are not whole"),
        (["--data", "bare.csv", "--continuous"], "data in bare.csv lack an array"),
        (["--data", "words.csv", "--continuous"], "hold 'red' in the column b: give numbers"),
        (["--data", "torn.csv", "--continuous"], "have 1 columns in line 3, not 3: give a whole"),
        (["--data", "empty.csv", "--continuous"], "data in empty.csv hold no row"),
        (
            ["--data", "twice.csv", "--continuous"],
            "data in twice.csv have two columns a: give each",
        ),
        (["--data", "axes.csv", "--continuous"], "have columns y and label: name the column of"),
        (["--data", "names.csv", "--continuous"], "labels in names.csv are words, such as 'cat'"),
        (["--data", "junk.npy"], "data in junk.npy cannot be read"),
        (["--data", "objects.npy"], "data in objects.npy cannot be read"),
        (["--data", "scalar.npy", "--unlabelled"], "have type int64 and shape (): give uint8"),
        (["--data", "none.csv"], "data in none.csv cannot be read"),
        (["--data", "none.parquet"], "data in none.parquet cannot be read"),
        (["--data", "a.txt"], "data is 'a.txt': give one of digits, mnist"),
        (["--data", "nothing"], "data is 'nothing': give one of digits, mnist"),
        (["--data", "source:none"], "data is 'source:none': source has no function none"),
        (["--data", "source:value"], "data is 'source:value': source has no function value"),
        (["--data", "nowhere:data"], "data is 'nowhere:data': importing nowhere fails with"),
        (["--data", ":data"], "data is ':data': write MODULE:FUNCTION"),
        (["--data", "source:number"], "it gives a int, give a torch Dataset with a length"),
        (["--data", "source:empty"], "it gives a list, give a torch Dataset with a length"),
        (["--data", "source:broken"], "it fails with RuntimeError: no data today; mend it"),
        (["--data", "source:failing"], "an item fails with KeyError: 'missing'; mend it"),
        (["--data", "source:uneven"], "its images have shapes (3, 3, 8) and (3, 4, 8), give them"),
        (["--data", "source:alone"], "its items have no labels, give some or --unlabelled"),
        (["--data", "source:words"], "labels in source:words are words, such as 'cat'"),
        (["--data", "source:floats"], "have type float32 and shape (6, 3, 8, 8): give uint8"),
        (["--data", "source:normal", "--quantise"], "give pixels from 0 to 1, before any normal"),
        (["--data", "a.npz", "--skip", "0"], "skip is 0"),
        (["--data", "a.npz", "--max-images", "0"], "max-images is 0"),
        (["--data", "empty", "--unlabelled"], "data is 'empty': give a folder that holds images"),
        (["--data", "empty"], "data is 'empty': give a folder that holds a folder of images for"),
        (["--data", "empty", "--quantise"], "quantise is given: it does not go with a folder"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_leaves_nothing(place, words, told, capsys):
    write("words.csv", "a,b,label\n1,2,0\n3,red,1\n")
    write("torn.csv", "a,b,label\n1,2,0\n3\n")
    write("empty.csv", "")
    write("twice.csv", "a,a,b,label\n1,2,3,0\n4,5,6,1\n")
    write("axes.csv", "x,y,label\n1,2,0\n3,4,1\n")
    write("names.csv", "a,label\n1,cat\n2,dog\n")
    write("a.txt", "1,2,3\n")
    write("junk.npy", "precious")
    np.save("objects.npy", np.array([None, 1], dtype=object))
    np.save("scalar.npy", np.array(5))
    (place / "empty").mkdir()
    before = sorted(path for path in place.iterdir() if path.name != "__pycache__")
    assert command_line.main([*RUN, "--model", "source:images", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    after = sorted(path for path in place.iterdir() if path.name != "__pycache__")
    assert before == after

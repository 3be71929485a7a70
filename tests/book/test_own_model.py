"""The page *Certify your own model*: its commands, what they print, and the recipes below them."""

import json
import re
import shlex
import shutil
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from bs4 import BeautifulSoup
from PIL import Image
from torchvision.models import resnet18

from rs_lib import __main__ as command_line
from rs_lib.book import contents, own_model, paper
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.record import places

HOUSE = House()
PAGE = HOUSE.book / "own-model.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
RECIPES = BLOCKS[len(own_model.steps(HOUSE)) :]
STAND_INS = ("timm", "transformers", "onnxruntime")


# The steps, in a house of their own


SHOW = """import sys

print("here", __file__)
print("\\r 10%\\r100% done", file=sys.stderr)
print("certify 3/10 images, 12k samples, 4k/s, 0:00:09 left")
print("  expected: 100 samples, about 3 s to 2 min", flush=True)
open("line.svg", "w").write("<svg/>")
"""
STEPS = """# Own

```sh
python show.py
```

```{include} chapters/figures/own-one.md
```

% says: here show.py
% says: expected: 100 samples

```sh
not run
```

```sh
rs-lib report a.tsv
test -f line.svg && echo '[ 1,  2 ] ``` and on'
```

```{include} chapters/figures/own-two.md
```
"""
LOG = """
table = "idx label predict radius correct\\n0 1 1 0.5 1\\n"
open("a.tsv", "w").write(table.replace(" ", "\\t"))
"""


@pytest.fixture
def own(tmp_path):
    """A house that has this page alone."""
    house = House(tmp_path / "house")
    (house.book / "own").mkdir(parents=True)
    house.lock.write_text("numpy==2.0\n")
    (house.book / "own-model.md").write_text(STEPS)
    (house.book / "own" / "show.py").write_text(SHOW + LOG)
    return house


def test_steps_are_run_in_order_and_kept(own, monkeypatch):
    made = own_model.parts(own)
    assert list(made) == ["own-one", "own-two"]
    lines = made["own-one"].splitlines()
    assert lines[3:-1] == ["here show.py", "  expected: 100 samples, about …"]
    assert "a: 1 images" in made["own-two"]
    assert made["own-two"].startswith("````{code-block} text\n")
    assert made["own-two"].endswith("[ 1,  2 ] ``` and on\n````\n")
    picture = own.chapters / "figures" / "own-line.svg"
    assert picture.read_text() == "<svg/>"
    picture.unlink()
    monkeypatch.setattr(own_model, "run", lambda house: pytest.fail("it was run again"))
    assert own_model.parts(own) == made
    assert picture.read_text() == "<svg/>"


@pytest.mark.parametrize("file", ["own-model.md", "own/show.py"])
def test_what_a_step_depends_on_is_in_the_key(own, file):
    before = own_model.key(own)
    path = own.book / file
    path.write_text(path.read_text().replace("show.py", "show.py ").replace("3 s", "4 s"))
    assert own_model.key(own) != before


def test_prose_alone_runs_nothing(own):
    before = own_model.key(own)
    (own.book / "own-model.md").write_text(STEPS.replace("# Own", "# Other\n\nWords."))
    assert own_model.key(own) == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("python show.py", "python none.py", r"step one fails:\n.*none\.py"),
        ("python show.py\n", "false\npython show.py\n", "step one fails"),
        ("says: here", "says: there", "step one does not print 'there show.py'"),
    ],
)
def test_a_page_that_is_not_true_is_not_built(own, old, new, told):
    (own.book / "own-model.md").write_text(STEPS.replace(old, new))
    with pytest.raises(SiteError, match=rf"(?s)^book/own-model\.md: {told}"):
        own_model.parts(own)
    assert own_model.kept(own) is None


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', "{"])
def test_another_file_in_the_place_of_what_is_kept_counts_for_nothing(own, text):
    own.built.mkdir(parents=True)
    (own.built / "own-model.json").write_text(text)
    assert own_model.kept(own) is None


def test_a_house_without_the_page_has_no_parts(tmp_path):
    assert own_model.parts(House(tmp_path)) == {}


# The book's page


def test_the_page_is_listed_where_readers_look():
    assert "own-model" in contents.pages(HOUSE)
    assert "own-model" in paper.LEFT_OUT
    assert "(own-model.md)" in (HOUSE.book / "intro.md").read_text()
    assert "*Certify your own model*" in (places.HERE.root / "README.md").read_text()


def test_every_block_is_a_step_or_a_recipe():
    steps = own_model.steps(HOUSE)
    assert [step.commands for step in steps] == BLOCKS[: len(steps)]
    recipes = PAGE.read_text().partition("## Where your model comes from\n")[2]
    assert all(block in recipes for block in RECIPES)
    assert len(RECIPES) == recipes.count("```sh\n") > 0


def test_the_page_shows_what_the_commands_of_today_print():
    found = own_model.kept(HOUSE)
    assert found is not None, "the page is older than its commands: run `make book` first"
    outputs, pictures = found
    page = BeautifulSoup((HOUSE.html / "own-model.html").read_text(), "html.parser")
    shown = [block.get_text().strip("\n") for block in page.select(".rs-printed pre")]
    assert shown == [outputs[step.name].strip("\n") for step in own_model.steps(HOUSE)]
    assert list(pictures) == ["accuracy.svg"]
    [figure] = page.select("article figure img")
    assert (HOUSE.html / figure["src"]).read_text() == pictures["accuracy.svg"]
    known = (HOUSE.book / "own").glob("*.py")
    listed = [block.get_text() for block in page.select(".highlight-python pre")]
    assert {path.read_text() for path in known} <= set(listed)


def test_nothing_on_the_page_differs_from_run_to_run():
    outputs, pictures = own_model.kept(HOUSE) or ({}, {})
    assert outputs
    assert pictures
    times = re.compile(r"(?<!\S)/\w|\r|\b\d+ (?:s|min|h)\b|\d+k?/s")
    assert [output for output in outputs.values() if times.search(output)] == []
    assert [picture for picture in pictures.values() if "<dc:date>" in picture] == []


# The recipes


TIMM = """from torchvision.models import resnet18


def create_model(name, pretrained, num_classes):
    assert (name, pretrained) == ("resnet18", False)
    return resnet18(weights=None, num_classes=num_classes)
"""
TRANSFORMERS = """from collections import OrderedDict

import torch
from torch import nn


class ImageClassifierOutput(OrderedDict):
    @property
    def logits(self):
        return self["logits"]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 10)

    def forward(self, pixel_values=None, labels=None, return_dict=None):
        logits = self.linear(pixel_values.mean((2, 3)))
        return ImageClassifierOutput(logits=logits, hidden_states=(pixel_values,))


class AutoModelForImageClassification:
    @classmethod
    def from_pretrained(cls, folder, local_files_only):
        assert folder == "classifier" and local_files_only
        return Classifier()
"""
ONNXRUNTIME = """import numpy as np


class Input:
    name = "pixel_values"


class InferenceSession:
    def __init__(self, path, providers):
        assert (path, providers) == ("network.onnx", ["CPUExecutionProvider"])

    def get_inputs(self):
        return [Input()]

    def run(self, names, feed):
        assert names is None
        images = feed["pixel_values"]
        assert images.dtype == np.float32 and images.ndim == 4
        means = images.mean(axis=(2, 3))
        return [np.concatenate([means] * 3 + [means[:, :1]], axis=1)]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with what the recipes name: photos, weights, and the stand-ins."""
    draw = np.random.default_rng(0)
    for name in "abcdefghij":
        (tmp_path / "photos" / "val" / name).mkdir(parents=True)
        pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / "val" / name / "1.png")
    torch.manual_seed(0)
    network = resnet18(weights=None, num_classes=10).eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pt")
    for name in ("resnet18", "timm"):
        safetensors.torch.save_file(network.state_dict(), tmp_path / f"{name}.safetensors")
    torch.jit.trace(network, torch.zeros(2, 3, 16, 16)).save(str(tmp_path / "network.ts"))
    for path in (HOUSE.book / "own" / "recipes").glob("*.py"):
        shutil.copy(path, tmp_path)
    sources = (TIMM, TRANSFORMERS, ONNXRUNTIME)
    for name, source in zip(STAND_INS, sources, strict=True):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_stand_ins_are_for_what_the_book_does_not_install():
    lock = HOUSE.lock.read_text()
    assert not [name for name in STAND_INS if re.search(rf"^{name}==", lock, re.MULTILINE)]
    text = PAGE.read_text()
    heads = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert sum("tested with a stand-in" in head for head in heads) == len(STAND_INS)
    assert len(heads) == len(RECIPES)


def test_every_recipe_certifies(place):
    """Small pictures and few samples; the rest of each command is as it is printed."""
    small = ["--side", "16", "--max-images", "2", "--max-samples", "100", "--n0", "4"]
    logs = {}
    for block in RECIPES:
        program, *words = shlex.split(block.replace("\\\n", " "))
        assert program == "rs-lib"
        assert command_line.main([*words, *small]) == 0
        out = place / words[words.index("--out") + 1]
        assert json.loads(out.with_suffix(".json").read_text())["model"]["classes"] == 10
        logs[out.stem] = out.read_bytes()
        assert len(logs[out.stem].splitlines()) == 3
    one_network = {logs.pop(name) for name in ("torchvision", "safetensors", "torchscript", "timm")}
    assert len(one_network) == 1
    assert set(logs) == {"transformers", "onnx"}

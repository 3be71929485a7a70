"""Tiny houses: a checkout of one short chapter, made in a temporary folder; a toy experiment."""

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.figure import Figure
from toys import TOY

from rs_lib import experiments
from rs_lib.book import builds, runner
from rs_lib.book.house import House
from rs_lib.experiments import bounds
from rs_lib.experiments.bounds import kinds
from rs_lib.record import digests, places

HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""

CHAPTER = (
    HEAD
    + """# A tiny chapter

```{code-cell} ipython3
:tags: [parameters]

profile: str = "quick"  # the only one
device: str = "cpu"  # where
points: int = 3  # how many
share: float = 0.5  # of what
loud: bool = False
```

```{code-cell} ipython3
import sys
import time

import pandas as pd

from rs_lib.book import claims, figures
from rs_lib.book.drawings import neyman_pearson as drawings
from rs_lib.book.published import published

if loud:  # counts as used, and costs no time
    from rs_lib.experiments import attack_in_ball
```

```{prf:theorem} Squares
:label: thm-square

$(a+b)^2 = a^2 + 2ab + b^2$.
```

$$
x = 1
$$ (eq-one)

```{code-cell} ipython3
import sympy as sp

a, b = sp.symbols("a b")
claims.symbolic("thm-square", ((a + b) ** 2, a**2 + 2 * a * b + b**2), how="expanded")
```

```{code-cell} ipython3
claims.definition("eq-one")
```

```{code-cell} ipython3
print("first", flush=True)
time.sleep(0.3)
print("a warning", file=sys.stderr, flush=True)
print("second", flush=True)
```

```{code-cell} ipython3
figures.publish(
    drawings.ceiling,
    "fig-tiny",
    data=pd.DataFrame({"series": "one", "n": [10, 100, 1000][:points], "radius": [1.0, 2.0, 3.0]}),
    caption="A line.",
    alt="A line that rises from left to right.",
)
```

```{include} figures/fig-tiny.md
```

```{code-cell} ipython3
:tags: [remove-cell]

from rs_lib.book import scoreboard

theirs = published("jeong2021-mnist-gaussian-0.25-acr")
scoreboard.headline("mean radius", theirs, 0.9, interval=(0.88, 0.92), digits=2)
```
"""
)

CARDS = """[tiny]
theorem = "thm-square"
line = "A square of a sum has $2ab$ in it."
new = "Nothing."
source = ["cohen2019"]
read = "all of it"
after = []
knows = "sums"
"""

SYMBOLS = """[everywhere]
'$x\\in\\mathbb R$' = 'a number'

[tiny]
'$a$, $b$' = 'two numbers, whose sum is squared'
"""

CONTENTS = """format: jb-book
root: intro
chapters:
  - file: chapters/tiny
  - file: chapters/claims
  - file: chapters/figures
  - file: chapters/published
"""

STORED = """{
  "content": {"experiment": "NAME", "profile": "full", "parameters": {}, "values": {}},
  "run": {"device": "A processor, 2 cores", "started": "2026-01-02T03:04:05+00:00",
          "wall_seconds": 5.0, "work_seconds": 600.0, "stages_reused": 3}
}
"""

PUBLISHED = """[[value]]
id = "someone2020-accuracy"
source = "cohen2019"
quantity = "accuracy at radii"
trust = "read"
setting = "a setting"
values = [0.5, 0.25]
at = [0.0, 1.0]
"""


def build_house(root: Path, **chapters: str) -> House:
    """Write a checkout with these chapters (name to MyST text) and return its house."""
    house = House(root)
    for folder in (house.notebooks, house.chapters, house.figures, house.results):
        folder.mkdir(parents=True)
    for name, text in chapters.items():
        (house.notebooks / f"{name}.md").write_text(text)
    (house.book / "_toc.yml").write_text(CONTENTS)
    (house.book / "cards.toml").write_text(CARDS)
    (house.book / "symbols.toml").write_text(SYMBOLS)
    (house.book / "intro.md").write_text("# Tiny\n\nA book.\n\n{cite:t}`cohen2019`\n")
    house.lock.write_text("numpy==2.0\n")
    house.published.write_text(PUBLISHED)
    shutil.copy(House().bibliography, house.bibliography)
    for name in ("_config.yml", "CITATION.cff"):
        shutil.copy(places.HERE.root / name, root)
    shutil.copytree(House().book / "_static", house.book / "_static")
    for name in ("attack-in-ball", "certified-accuracy"):
        (house.results / f"{name}.full.json").write_text(STORED.replace("NAME", name))
    return house


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """The tiny house after one run of its chapter, recorded: copy it, never change it."""
    house = build_house(tmp_path_factory.mktemp("pristine") / "house", tiny=CHAPTER)
    assert runner.run(house, "tiny")
    builds.accept(house, [], tell=lambda line: None)
    return house


@pytest.fixture
def tiny(pristine, tmp_path):
    """A copy, free to be changed, of the tiny house with its executed chapter."""
    shutil.copytree(pristine.root, tmp_path / "house")
    return House(tmp_path / "house")


@pytest.fixture
def library_copy(tmp_path, monkeypatch):
    """The library's source in a checkout of its own, which is `places.HERE` meanwhile."""
    copied = places.Places(tmp_path / "checkout")
    package, ignored = digests.PACKAGE, shutil.ignore_patterns("__pycache__")
    shutil.copytree(places.HERE.root / package, copied.root / package, ignore=ignored)
    monkeypatch.setattr(places, "HERE", copied)
    digests._direct_imports.cache_clear()
    yield copied.root / package
    digests._direct_imports.cache_clear()


@pytest.fixture
def toy(monkeypatch, library_copy):
    """The module of a toy experiment, in a copy of the library, with folders of its own."""
    folder = library_copy / "experiments"
    (folder / "toy_sum.py").write_text(TOY)
    monkeypatch.setattr(experiments, "__path__", [str(folder)])
    inner = {"levels": kinds.each(kinds.real(0, 9), least=0), "name": lambda *_: None}
    fields = {"terms": kinds.whole(0, 99), "rate": kinds.real(0, 1), "exact": kinds.truth}
    monkeypatch.setitem(bounds.FIELDS, "toy-sum", {"inner": kinds.part(inner), **fields})
    monkeypatch.setitem(bounds.RULES, "toy-sum", lambda _: None)
    name = "rs_lib.experiments.toy_sum"
    importlib.invalidate_caches()
    yield importlib.import_module(name)
    del sys.modules[name], experiments.toy_sum


@pytest.fixture
def draw(monkeypatch):
    """A drawing function that `redraw` can find by its name."""

    def line(data):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot(data["x"], data["y"])
        axes.set_title("μ and $x^2$")
        return figure

    module = ModuleType("rs_lib.book.drawings.toy")
    line.__module__, line.__qualname__, line.__name__ = module.__name__, "line", "line"
    module.line = line
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return line

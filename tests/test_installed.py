"""The wheel in a folder of its own: what users get who have no checkout, and none of its extras."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pytest

import rs_lib
from rs_lib.record import places

ROOT = places.HERE.root
EXTRAS = ("matplotlib", "numba", "pandas", "PIL", "safetensors", "sklearn", "torchvision")
MODEL = """
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
"""


def listing(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what git tracks, in which nothing may be left."""
    source = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "rs_lib", source / "rs_lib", ignore=ignored)
    before = listing(source)
    target = tmp_path_factory.mktemp("wheel")
    command = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([sys.executable, *command, "--wheel-dir", target, source], check=True)
    assert listing(source) == before
    [made] = target.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run a program of the installed wheel in a folder: (words, folder) to what it did."""
    prefix = tmp_path_factory.mktemp("prefix")
    command = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    subprocess.run(
        [sys.executable, *command, "--ignore-installed", "--prefix", prefix, wheel], check=True
    )
    [package] = prefix.rglob("rs_lib")
    blocked = prefix / "blocked"
    blocked.mkdir()
    lines = "".join(f"sys.modules[{name!r}] = None\n" for name in EXTRAS)
    (blocked / "sitecustomize.py").write_text(f"import sys\n\n{lines}")
    [script] = prefix.rglob("rs-lib")

    def run(words, folder):
        path = os.pathsep.join(map(str, (blocked, package.parent)))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        start = [script] if words[0] == "rs-lib" else [sys.executable]
        return subprocess.run(
            [*start, *words[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    run.package = package
    return run


def test_the_wheel_holds_the_library_and_its_types_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = (name for name in names if name.endswith("METADATA"))
        told = message_from_bytes(archive.read(metadata))
    assert {"rs_lib/py.typed", "rs_lib/__init__.pyi", "rs_lib/certificates/gaussian.py"} <= {*names}
    assert {Path(name).parts[0].partition("-")[0] for name in names} == {"rs_lib"}
    needed = [line for line in told.get_all("Requires-Dist") if "extra ==" not in line]
    assert {re.match(r"[\w-]+", line).group() for line in needed} == {
        *("mpmath", "numpy", "scipy", "torch", "tqdm")
    }
    assert set(told.get_all("Provides-Extra")) == {"book", "experiments", "test"}


def test_the_console_script_certifies_from_another_folder(installed, tmp_path):
    (tmp_path / "mine.py").write_text(MODEL)
    images = np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4)
    np.savez(tmp_path / "mine.npz", images=images, labels=np.zeros(2, dtype=int))
    before = listing(installed.package)
    words = (
        "rs-lib certify --model mine:net --data mine.npz --scale 0.1 --n 100 --n0 16 --out a.tsv"
    )
    done = installed(words.split(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "a.tsv") in done.stdout
    assert len((tmp_path / "a.tsv").read_text().splitlines()) == 3
    new = (path for path in listing(installed.package) if path not in before)
    assert all("__pycache__" in path.parts for path in new)


def test_results_of_experiments_go_to_the_working_directory(installed, tmp_path):
    code = (
        "from rs_lib.record.places import HERE; from rs_lib.record.machine import commit;"
        "print(HERE.results, HERE.stages, HERE.changed, commit())"
    )
    done = installed(["python", "-c", code], tmp_path)
    inside = [tmp_path, tmp_path / "_build/stages", tmp_path / "_build/results"]
    assert done.stdout.split() == [*map(str, inside), "unknown"], done.stderr


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["python", "-m", "rs_lib.book", "build"], 2, "there is no book beside this installed"),
        (["rs-lib", "vouch"], 2, "there is no record of the book beside this installed"),
        (["rs-lib", "run", "certified-accuracy"], 1, "this needs the package scikit-learn"),
    ],
)
def test_what_an_installation_lacks_is_one_sentence(installed, words, status, sentence, tmp_path):
    done = installed(words, tmp_path)
    assert done.returncode == status
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_importing_the_library_loads_no_torch(installed, tmp_path):
    code = (
        "import sys, rs_lib, rs_lib.__main__ as cli; assert 'torch' not in sys.modules;"
        "assert all(getattr(rs_lib, name) is not None for name in rs_lib.__all__);"
        "assert rs_lib.certificates.gaussian.radius(0.5, 1.0) == 0; print(rs_lib.__file__)"
    )
    done = installed(["python", "-c", code], tmp_path)
    assert done.stdout.strip() == str(installed.package / "__init__.py"), done.stderr
    helped = installed(["rs-lib", "--help"], tmp_path)
    assert helped.returncode == 0
    assert "usage: rs-lib" in helped.stdout


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'rs_lib' has no attribute 'nothing'"):
        _ = rs_lib.nothing
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = rs_lib.certificates.nothing

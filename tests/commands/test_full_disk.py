"""A disk that is really full: one sentence, a valid log, and after making room the same bytes."""

import os
import shutil
import subprocess
import sys

import pytest

from rs_lib.record import places

MODEL = """
import torch
from torch import nn


def linear():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
RUN = "-m rs_lib certify --model line:linear --data digits --scale 0.25 --n 20 --chunk 25"
# A file system of 8 pages of its own, one of which the filler leaves free at first.
SCRIPT = f"""
set -u
mount -t tmpfs -o size=32k tmpfs disk || exit 77
head -c $FILL /dev/zero > disk/filler
"$PYTHON" {RUN} --out disk/run.tsv > first.out 2> first.err
echo $? > first.status
ls -A disk > first.files
cp disk/run.tsv first.tsv 2> /dev/null
rm disk/filler
"$PYTHON" {RUN} --out disk/run.tsv > second.out 2> second.err
echo $? > second.status
cp disk/run.tsv disk/run.json .
"""


def _mounted(place, fill):
    """Run the script with a file system of its own; skip where none can be mounted."""
    (place / "line.py").write_text(MODEL)
    (place / "disk").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(places.HERE.root),
        "PYTHON": sys.executable,
        "FILL": str(fill),
    }
    for launcher in (["unshare", "--map-root-user", "--mount"], ["unshare", "--mount"]):
        if shutil.which("unshare") is None:
            break
        done = subprocess.run(
            [*launcher, "sh", "-c", SCRIPT],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        if (place / "second.status").exists():
            return
        told = done.stderr
    pytest.skip(f"no file system can be mounted here: {told if launcher else 'no unshare'}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Table and header of an uninterrupted run."""
    place = tmp_path_factory.mktemp("whole")
    (place / "line.py").write_text(MODEL)
    environment = {**os.environ, "PYTHONPATH": str(places.HERE.root)}
    command = [sys.executable, *RUN.split(), "--out", "run.tsv"]
    subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    return {suffix: (place / f"run.{suffix}").read_bytes() for suffix in ("tsv", "json")}


@pytest.mark.parametrize("pages_left", [0, 1, 3])
def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(tmp_path, whole, pages_left):
    _mounted(tmp_path, (8 - pages_left) * 4096)
    *before, told = (tmp_path / "first.err").read_text().splitlines(keepends=True)
    assert not any(line.startswith("rs_lib: ") for line in before)
    assert (tmp_path / "first.status").read_text() == "1\n"
    assert told.startswith("rs_lib: ")
    assert told.count("\n") == 1
    assert "No space left on device" in told
    assert "[Errno" not in told
    assert "run.tsv" in told or "run.times.jsonl" in told
    files = (tmp_path / "first.files").read_text().split()
    if (tmp_path / "first.tsv").exists():
        content = (tmp_path / "first.tsv").read_bytes()
        assert content.endswith(b"\n")  # no part of a row
        assert set(content.splitlines()) < set(whole["tsv"].splitlines())
        assert "run.json" in files
    else:
        assert files == ["filler"]
    assert (tmp_path / "second.status").read_text() == "0\n", (tmp_path / "second.err").read_text()
    for suffix in ("tsv", "json"):
        assert (tmp_path / f"run.{suffix}").read_bytes() == whole[suffix]

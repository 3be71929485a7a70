"""Files are written whole, and digests of code see what computes and nothing else."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rs_lib.record import digests, files, machine, places

WRITER = """
import itertools, sys
from pathlib import Path
from rs_lib.record.files import write_atomically
for letter in itertools.cycle("ab"):
    write_atomically(Path(sys.argv[1]), letter * 3_000_000)
"""


def test_readers_and_killed_writers_see_the_old_file_or_the_new_one(tmp_path):
    moments = np.random.default_rng(7)
    path = tmp_path / "result.json"
    for _ in range(6):
        path.write_text("old")
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
            sizes = {3}
            while sizes == {3} and writer.poll() is None:
                sizes.add(path.stat().st_size)
            end = time.monotonic() + moments.uniform(0.1, 0.3)
            while time.monotonic() < end:
                sizes.add(path.stat().st_size)
            writer.send_signal(signal.SIGKILL)
        assert sizes == {3, 3_000_000}
        assert path.read_text() in ("a" * 3_000_000, "b" * 3_000_000)
    assert [found.name for found in tmp_path.glob("*.json")] == ["result.json"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        files.write_atomically(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_text_is_written_as_given(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    files.write_atomically(path, "σ\r\n")
    assert path.read_bytes() == "σ\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_canonical_json_is_the_same_for_equal_values_and_refuses_nan():
    one, other = (
        {"b": (1, 2), "a": {"y": 0.1, "x": None}},
        {"a": {"x": None, "y": 0.1}, "b": [1, 2]},
    )
    assert digests.canonical_json(one) == digests.canonical_json(other)
    with pytest.raises(ValueError, match="JSON"):
        digests.canonical_json({"a": float("nan")})


def test_readable_json_keeps_every_value_and_lists_of_numbers_on_a_line():
    value = {"numbers": [1, -2.5e-7, 3], "words": ["[1, 2]", "σ"], "deep": [[1, 2], [3]], "no": []}
    text = digests.readable_json(value)
    assert json.loads(text) == value
    assert "[1, -2.5e-07, 3]" in text
    with pytest.raises(ValueError, match="JSON"):
        digests.readable_json(float("inf"))


SOURCE = '''"""Module."""
# a comment

def double(x):
    """Double it."""
    return 2 * x  # twice

text = "a # is no comment"
'''


def test_comments_docstrings_and_blank_lines_mean_nothing():
    changed = SOURCE.replace("a comment", "another").replace(
        "Double it.", "Twice.\n\n    More.\n    "
    )
    changed = changed.replace("  # twice", "").replace("\n\n", "\n\n\n")
    assert digests.meaningful_source(changed) == digests.meaningful_source(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"), [("2 * x", "3 * x"), ("# is", "# was"), ("def double", "def twice")]
)
def test_code_means_something(old, new):
    assert digests.meaningful_source(SOURCE.replace(old, new)) != digests.meaningful_source(SOURCE)


def test_imports_are_found_in_every_form():
    source = (
        "import rs_lib.seeds\nimport os\nfrom rs_lib import statistics as s\n"
        "def f():\n    from rs_lib.certificates.gaussian import radius\n"
    )
    assert digests.imported_modules(source) == {
        "rs_lib",
        "rs_lib.seeds",
        "rs_lib.statistics",
        "rs_lib.certificates.gaussian",
    }


def test_the_library_has_no_relative_imports_which_digests_would_miss():
    for path in (places.HERE.root / digests.PACKAGE).rglob("*.py"):
        assert "\nfrom ." not in path.read_text(), path.name


def test_digests_follow_imports_and_ignore_the_rest(library_copy):
    def digest(without=None):
        digests._direct_imports.cache_clear()
        return digests.code_digest(["rs_lib.certificates.gaussian"], without=without)

    def is_reached(module):
        return module == "rs_lib.statistics"

    before = digest()
    assert "rs_lib.statistics" in digests.module_closure(["rs_lib.certificates.gaussian"])
    unrelated = library_copy / "book" / "tables.py"
    unrelated.write_text(unrelated.read_text() + "\nx = 1\n")
    assert digest() == before
    reached = library_copy / "statistics/__init__.py"
    reached.write_text("# a remark\n" + reached.read_text())
    assert digest() == before
    bare = digest(is_reached)
    reached.write_text(reached.read_text() + "\nx = 1\n")
    assert digest() != before
    assert digest(is_reached) == bare


def test_what_keeps_books_is_told_from_what_computes_or_draws():
    def kept(*modules):
        return {digests.keeps_books(module) for module in modules}

    assert kept("rs_lib.record", "rs_lib.record.stage", "rs_lib.book", "rs_lib.book.claims") == {
        True
    }
    drawn = ("rs_lib.book.drawings", "rs_lib.book.drawings.rab", "rs_lib.book.style")
    assert kept(*drawn, "rs_lib.recorder", "rs_lib.seeds", "rs_lib.experiments.rab") == {False}


def test_an_unknown_module_is_refused():
    with pytest.raises(ValueError, match=r"'rs_lib\.nowhere'"):
        digests.code_digest(["rs_lib.nowhere"])


def test_the_machine_is_described():
    assert machine.versions("numpy", "no-such-package").keys() == {"python", "numpy"}
    assert machine.processor().endswith("cores")
    assert machine.commit() != ""


def test_outside_a_repository_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "HERE", places.Places(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.commit() == "unknown"

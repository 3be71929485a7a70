"""Chapters run two at a time, and a chapter that fails costs no other its work."""

import json

import pytest
from conftest import CHAPTER, HEAD, build_house

from rs_lib.book import records, runner, together
from rs_lib.book.runner import ChapterError

MEETING = """
```{code-cell} ipython3
:tags: [parameters]

profile: str = "quick"  # the only one
```

```{code-cell} ipython3
import pathlib, time

pathlib.Path("%s").touch()
for _ in range(600):
    if pathlib.Path("%s").exists():
        break
    time.sleep(0.1)
else:
    raise RuntimeError("nobody came")
```
"""


def _house(root, **chapters):
    return build_house(
        root, **{name: HEAD + f"# {name}\n" + text for name, text in chapters.items()}
    )


@pytest.mark.skipif(together.AT_ONCE < 2, reason="one at a time")
def test_two_chapters_run_at_once(tmp_path, monkeypatch):
    """Each waits for a file that the other one makes."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    house = _house(tmp_path / "house", one=MEETING % ("a", "b"), other=MEETING % ("b", "a"))
    assert sorted(together.run(house, ["one", "other"])) == ["one", "other"]
    assert together.run(house, ["one", "other"]) == []


def test_a_chapter_that_fails_is_told_and_what_ran_beside_it_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    fails = '\n```{code-cell} ipython3\nraise RuntimeError("of its own")\n```\n' + "long " * 400
    house = build_house(tmp_path / "house", tiny=CHAPTER, wrong=HEAD + "# Wrong\n" + fails)
    with pytest.raises(ChapterError, match="wrong: cell 1 failed: RuntimeError: of its own"):
        together.run(house, ["tiny", "wrong"])
    assert runner.fresh(house, runner.prepare(house, "tiny"))
    assert records.figure_ids(house.drawn) == ["fig-tiny"]
    assert json.loads((house.chapters / "tiny.key.json").read_text())["figures"]
    assert not house.executed("wrong").exists()

"""A build compares what it draws with the record and never edits it; `accept` does, on purpose."""

import json
import shutil

import pytest

from rs_lib.book import __main__ as command_line
from rs_lib.book import builds, generated, records, runner


def _files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _draw(tiny, caption="A line.", radius="[1.0, 2.0, 3.0]", tolerance=""):
    """Run the tiny chapter with another caption, data or tolerance."""
    source = tiny.source("tiny")
    text = source.read_text().replace('"A line."', f'"{caption}"')
    text = text.replace("[1.0, 2.0, 3.0]", radius)
    source.write_text(text.replace('to right.",', f'to right.",{tolerance}'))
    assert runner.run(tiny, "tiny")


def _include(tiny):
    return (tiny.chapters / "figures" / "fig-tiny.md").read_text()


def test_what_agrees_is_shown_from_the_record(tiny):
    before = _files(tiny.figures)
    generated.write(tiny)
    stored = json.loads(tiny.verdicts.read_text())
    assert stored["counts"] == {"identical": 1, "within tolerance": 0, "changed": 0, "new": 0}
    assert stored["figures"]["fig-tiny"]["verdict"] == "identical"
    assert "{figure} ../figures/fig-tiny.svg" in _include(tiny)
    assert "this build drew the same" in _include(tiny)
    left = {path.name for path in (tiny.chapters / "figures").glob("fig-*")}
    assert left == {"fig-tiny.md", "fig-tiny.phone.svg"}
    assert _files(tiny.figures) == before


@pytest.mark.parametrize("change", [{"caption": "Another line."}, {"radius": "[1.0, 2.0, 4.0]"}])
def test_what_differs_is_shown_from_the_build_marked_with_both(tiny, change, capsys):
    before = _files(tiny.figures)
    _draw(tiny, **change)
    generated.write(tiny)
    assert _files(tiny.figures) == before
    page = _include(tiny)
    assert "{figure} figures/fig-tiny.svg" in page
    assert (
        "**changed in this build.** The record: {download}`SVG <../figures/fig-tiny.svg>`" in page
    )
    drawn = records.load(tiny.drawn, "fig-tiny")
    assert drawn.digest in page
    assert records.load(tiny.figures, "fig-tiny").digest in page
    offered = tiny.chapters / "figures" / "fig-tiny.svg"
    assert offered.read_bytes() == (tiny.drawn / "fig-tiny.svg").read_bytes()
    assert builds.told(builds.compare(tiny)).splitlines()[0] == (
        "figures: 0 identical, 0 within tolerance, 1 changed, 0 new"
    )
    # Drawn as recorded once more, the build's own copies are gone.
    shutil.copytree(tiny.figures, tiny.drawn, dirs_exist_ok=True)
    generated.write(tiny)
    left = {path.name for path in (tiny.chapters / "figures").glob("fig-*")}
    assert left == {"fig-tiny.md", "fig-tiny.phone.svg"}


def test_within_its_tolerance_the_record_stands(tiny):
    loose = ' tolerance=figures.Tolerance(0.0, 0.5, "votes differ"),'
    _draw(tiny, tolerance=loose)
    builds.accept(tiny, ["fig-tiny"], tell=lambda line: None)
    _draw(tiny, radius="[1.0, 2.0, 3.25]")
    assert builds.compare(tiny)["fig-tiny"] == builds.Verdict("within tolerance", "votes differ")
    builds.accept(tiny, [], tell=lambda line: None)
    assert (tiny.figures / "fig-tiny.csv").read_text().count("3.25") == 0


def test_accept_tells_what_changes_takes_it_over_and_keeps_the_former_digest(tiny, monkeypatch):
    monkeypatch.setattr(builds.machine, "commit", lambda: "abc123+")
    old = records.load(tiny.figures, "fig-tiny")
    _draw(tiny, caption="Another line.")
    new = records.load(tiny.drawn, "fig-tiny")
    lines = []
    builds.accept(tiny, [], tell=lines.append)
    assert lines == [
        f"fig-tiny: changed (another caption); {old.digest} -> {new.digest}",
        "1 figures taken into the record",
    ]
    assert records.load(tiny.figures, "fig-tiny") == new
    assert builds.former(tiny) == {"fig-tiny": {old.digest: "abc123"}}
    assert new.digest in (tiny.figures / "fig-tiny.bib").read_text()
    generated.write(tiny)
    page = (tiny.chapters / "figures.md").read_text()
    assert f"`{old.digest}` in commit `abc123`" in page
    builds.accept(tiny, [], tell=lines.append)
    assert lines[-1] == "0 figures taken into the record"


def test_a_new_figure_is_shown_and_taken(tiny):
    for path in tiny.figures.iterdir():
        path.unlink()
    generated.write(tiny)
    assert "**new in this build.**" in _include(tiny)
    builds.accept(tiny, [], tell=lambda line: None)
    assert builds.compare(tiny)["fig-tiny"].verdict == "identical"


def test_a_run_of_the_other_profile_is_taken_by_name_only(tiny):
    source = tiny.source("tiny")
    values = '[1.0, 2.0, 4.0 if profile == "full" else 3.0]'
    source.write_text(source.read_text().replace("[1.0, 2.0, 3.0]", values))
    runner.run(tiny, "tiny", {"profile": "full"})
    assert builds.compare(tiny)["fig-tiny"].verdict == "changed"
    before = _files(tiny.figures)
    builds.accept(tiny, [], tell=lambda line: None)
    assert _files(tiny.figures) == before
    builds.accept(tiny, ["fig-tiny"], tell=lambda line: None)
    assert _files(tiny.figures) != before


def test_the_command_refuses_what_was_not_drawn(tiny, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    assert command_line.main(["accept", "../fig-tiny"]) == 2
    assert "figure is '../fig-tiny': give one of fig-tiny" in capsys.readouterr().err
    assert command_line.main(["accept"]) == 0
    assert capsys.readouterr().out == "0 figures taken into the record\n"

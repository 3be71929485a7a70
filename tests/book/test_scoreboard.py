"""Headlines and cards: verdicts follow from numbers, and differences need a reason."""

import dataclasses

import nbformat
import pytest

from rs_lib.book import cards, scoreboard
from rs_lib.book.contents import SiteError
from rs_lib.book.published import Published
from rs_lib.book.scoreboard import headline

ENTRY = Published("a", "someone2020", "accuracy", "read", "", (0.5, 0.25), (0.0, 1.0))
NOTHING = dataclasses.replace(ENTRY, trust="not verified", values=(), at=())


@pytest.mark.parametrize(
    ("published", "ours", "more", "verdict"),
    [
        (ENTRY, 0.4, {"interval": (0.3, 0.5)}, "reproduced"),
        (ENTRY, 0.5, {}, "reproduced"),
        (ENTRY, 0.4, {"interval": (0.3, 0.49), "because": "b", "near": 0.1}, "close"),
        (ENTRY, 0.4, {"interval": (0.3, 0.49), "because": "b"}, "differs"),
        (ENTRY, None, {}, "pending"),
        (NOTHING, 0.4, {}, "not verified"),
        ("someone2020", 0.4, {}, "ours"),
    ],
)
def test_a_verdict_follows_from_the_numbers(published, ours, more, verdict):
    made = headline("accuracy", published, ours, **more)
    assert made.verdict == verdict
    assert made.source == "someone2020"
    assert made.because == ("b" if verdict in ("close", "differs") else "")


def test_numbers_are_told_in_the_unit_asked_for():
    made = headline("a", ENTRY, 0.25, at=1.0, interval=(0.2, 0.301), percent=True)
    assert (made.published, made.ours) == ("25.0 %", "25.0 % (20.0 % to 30.1 %)")
    assert headline("a", "k", -1234.5, digits=0).ours == "−1,234"
    assert headline("a", NOTHING, 1.0).published == "–"


@pytest.mark.parametrize(
    ("ours", "more", "message"),
    [
        (0.4, {}, "because is empty"),
        (0.4, {"interval": (0.41, 0.6)}, "interval is"),
        (float("nan"), {}, "ours holds NaN"),
        (0.4, {"at": 2.0}, "at is 2.0"),
        (0.4, {"near": -1.0}, "near is -1"),
    ],
)
def test_what_proves_nothing_is_refused(ours, more, message):
    with pytest.raises(ValueError, match=message):
        headline("accuracy", ENTRY, ours, **more)


def test_headlines_are_read_back_from_a_chapter(tiny):
    notebook = nbformat.read(tiny.executed("tiny"), as_version=4)
    (made,) = scoreboard.collect(notebook)
    assert made.verdict == "reproduced"
    assert made.ours == "0.90 (0.88 to 0.92)"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if scoreboard.METADATA in output.get("metadata", {}):
                output.metadata[scoreboard.METADATA]["verdict"] = "excellent"
    with pytest.raises(ValueError, match="run the chapter again"):
        scoreboard.collect(notebook)


def test_a_card_tells_theorem_verdict_and_time(tiny):
    made = cards.parts(tiny)
    card = made["card-tiny"]
    assert "A square of a sum has $2ab$ in it. ({prf:ref}`thm-square`)" in card
    assert "| reproduced" not in card
    assert "**reproduced**" in card
    assert "about 5 minutes" in card
    assert "chapters/tiny.ipynb" in made["scoreboard"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("thm-square", "thm-other", "give a label of it"),
        ("after = []", 'after = ["other"]', "give chapters"),
        ("[tiny]", "[other]", "give each one card"),
        ('knows = "sums"\n', "", "give theorem, line"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tiny, old, new, message):
    path = tiny.book / "cards.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SiteError, match=message):
        cards.load(tiny)


def test_the_time_to_read_counts_words_and_formulas_before_the_exercises():
    assert cards.minutes("word " * 1_300) == 10
    assert cards.minutes("word " * 1_300 + "$$\nx\n$$\n" * 40) == 20
    code = "```{code-cell} ipython3\n" + "x = 1\n" * 3_000 + "```\n"
    assert cards.minutes("word " * 1_300 + "\n" + code + "\n## Exercises\n" + "w " * 9_000) == 10

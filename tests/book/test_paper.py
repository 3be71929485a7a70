"""What the PDF is made of, without TeX: outputs as Markdown, what stays out, what a log tells."""

import shutil

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from rs_lib.book import contents, paper, pdf, site
from rs_lib.book.claims import Claim
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.book.notes import Note
from rs_lib.book.tables import Table
from rs_lib.record import places

LOG = r"""This is XeTeX
[1] [2]
Overfull \hbox (9.5pt too wide) in paragraph at lines 1--2
LaTeX Font Warning: Font shape `TU/x' undefined
LaTeX Warning: There were undefined references.
"""


def test_a_table_keeps_its_cells_on_paper():
    frame = pd.DataFrame({"a | b": ["<1>", "*2*"], "σ": [0.25, 10.5]})
    text = paper.markdown(Table(frame, digits=2)._repr_html_())
    rows = [row for row in MarkdownIt().enable("table").parse(text) if row.type == "inline"]
    shown = ["".join(part.content for part in row.children) for row in rows]
    assert shown == ["a | b", "σ", "<1>", "0.25", "*2*", "10.50"]


@pytest.mark.parametrize(
    "output",
    [
        Note("Recorded *then* <there> & so on", stale=False)._repr_mimebundle_(),
        Claim("thm-a", "exact", "1 < 2 | [x]", 3).page()[0],
    ],
)
def test_a_line_keeps_its_words_on_paper(output):
    page, told = output["text/html"], output["text/plain"]
    [line] = [part for part in MarkdownIt().parse(paper.markdown(page)) if part.type == "inline"]
    shown = "".join(part.content for part in line.children)
    assert shown.endswith(told.rpartition(": ")[2])


@pytest.mark.parametrize("page", ["<p>open", "<ul><li>a list</li></ul>", "words alone", ""])
def test_html_that_is_not_ours_is_refused(page):
    with pytest.raises(ValueError, match="an output is"):
        paper.markdown(page)


def test_pages_for_the_screen_stay_out_of_the_contents(tiny):
    assert set(paper.LEFT_OUT) < set(contents.pages(House()))
    listed = {
        "root": "intro",
        "parts": [{"caption": "One", "chapters": [{"file": "a"}, {"file": paper.LEFT_OUT[0]}]}],
    }
    kept = {"root": "intro", "parts": [{"caption": "One", "chapters": [{"file": "a"}]}]}
    assert paper.contents(listed) == kept


def test_a_log_without_trouble_tells_nothing():
    assert pdf.problems(LOG) == []


@pytest.mark.parametrize(
    "line",
    [
        "! Undefined control sequence.",
        "./randomized-smoothing.tex:7331: Missing { inserted.",
        "Missing character: There is no ✓ (U+2713) in font [lmroman10-regular]:mapping=tex-text;!",
        "LaTeX Warning: Hyper reference `chapters/rab:fig-x' on page 3 undefined on input line 9.",
        "LaTeX Warning: Reference `eq-x' on page 3 undefined on input line 9.",
        "LaTeX Warning: Label `eq-x' multiply defined.",
        r"Overfull \hbox (10.1pt too wide) in paragraph at lines 1--2",
    ],
)
def test_what_tex_complains_of_is_told(line):
    assert pdf.problems(LOG + line + "\n") == [line]


@pytest.fixture
def rendered(tiny, monkeypatch):
    """A tiny house whose pages are taken for fresh."""
    shutil.copy(places.HERE.root / "CITATION.cff", tiny.root)
    monkeypatch.setattr(site, "fresh", lambda house: True)
    return tiny


def test_without_tex_one_sentence_says_what_to_install(rendered, monkeypatch):
    monkeypatch.setenv("PATH", "")
    told = r"^there is no `xelatex` on PATH: install TeX, on Debian by `apt-get install .*xetex.*`$"
    with pytest.raises(SiteError, match=told):
        pdf.render(rendered)


def test_pages_of_other_sources_make_no_pdf(tiny):
    shutil.copy(places.HERE.root / "CITATION.cff", tiny.root)
    with pytest.raises(SiteError, match="run `make book` first"):
        pdf.render(tiny)
    assert not pdf.made(tiny).exists()

"""The PDF of the book against its pages: the same numbers, whole pictures, links that lead on.

Compared is what a page shows unasked, with the solutions, which open: prose, tables, captions,
visible code and its output. Each number of them stands in the same chapter of the PDF at least as
often; each digit, those of the formulas and the line of a folded check too, just as often.
"""

import copy
import os
import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from rs_lib.book import citation, contents, paper, pdf, records
from rs_lib.book.house import House

HOUSE = House()
PDF = pdf.made(HOUSE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
PAGES = [page for page in contents.pages(HOUSE) if page not in paper.LEFT_OUT]
CHAPTERS = [page for page in PAGES if page.removeprefix("chapters/") in HOUSE.chapter_names()]
# What a page shows only when asked, or around its text: folded code, downloads, other pictures,
# the map of the front page.
ASIDE = (
    "details.hide > :not(summary), details.hide p.expanded, .rs-downloads, .rs-frames, .rs-phone, "
    "a.headerlink, .rs-theorem-links > a:last-child, .rs-buttons, #the-way-through"
)
BODY = ("-x", "0", "-y", "62", "-W", "596", "-H", "715")  # points: no head, no foot


@pytest.fixture(scope="module", autouse=True)
def _there(request):
    needs = [name for name in ("pdftotext", "pdfinfo", "pdfimages") if shutil.which(name) is None]
    told = ""
    if needs:
        told = f"there is no `{needs[0]}` on PATH: install Debian's poppler-utils to read the PDF"
    elif not PDF.is_file():
        told = "there is no PDF of these pages: run `make pdf` (needs TeX) to look at it"
    if told:
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)


def _asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@cache
def _places() -> dict[str, int]:
    """Return the page of every named place in the PDF."""
    found = re.findall(r'^ *(\d+) \[.*\] "(.*)"$', _asked("pdfinfo", "-dests", str(PDF)), re.M)
    return {name: int(page) for page, name in found}


@cache
def _text(page: str) -> str:
    """Return the text of a page's leaves in the PDF."""
    heads = sorted(
        (leaf, name) for name, leaf in _places().items() if re.fullmatch(r"chapter\*?\.\d+", name)
    )
    assert len(heads) == 1 + len(PAGES)  # the contents come first
    parts = [leaf for name, leaf in _places().items() if re.fullmatch(r"part\*\.\d+", name)]
    first = heads[1 + PAGES.index(page)][0]
    later = [leaf - 1 for leaf in (*(leaf for leaf, _ in heads), *parts) if leaf > first]
    until = ("-l", str(min(later))) if later else ()
    return _asked("pdftotext", "-raw", "-f", str(first), *until, *BODY, str(PDF), "-")


@cache
def _page(page: str) -> Tag:
    """Return a page without what stands aside, with the numbers of its lists."""
    text = (HOUSE.html / f"{page}.html").read_text()
    article = BeautifulSoup(text, "html.parser").select_one("article.bd-article")
    assert article is not None
    for part in article.select(ASIDE):
        part.decompose()
    for row in article.select("ol"):
        first = int(str(row.get("start", 1)))
        for number, item in enumerate(row.find_all("li", recursive=False), start=first):
            item.insert(0, f" {number} ")
    return article


def _prose(page: str) -> str:
    """Return the text of a page but for its formulas."""
    prose = copy.copy(_page(page))
    for formula in prose.select(".math"):
        formula.replace_with(" ")
    return prose.get_text()


def _figures(page: str) -> list[str]:
    return [str(figure["id"]) for figure in _page(page).select("figure[id]")]


def _picture(figure_id: str) -> Path:
    return pdf.folder(HOUSE) / f"{figure_id}.pdf"


def _digits(text: str) -> Counter[str]:
    return Counter(re.findall("[0-9]", unicodedata.normalize("NFKC", text)))


def _words(text: str) -> str:
    """Return text on one line, without ligatures, hyphens at line ends and other spaces."""
    whole = re.sub(r"(?<=[a-z])[-\u2010]\n(?=[a-z])", "", text)
    return " ".join(unicodedata.normalize("NFKC", whole).split())


@pytest.mark.parametrize("page", PAGES)
def test_every_number_of_a_page_stands_in_the_pdf_as_often(page):
    wanted = Counter(NUMBER.findall(_prose(page)))
    assert sum(wanted.values()) > 3
    lacking = wanted - Counter(NUMBER.findall(_text(page)))
    assert not lacking, f"the PDF lacks {dict(lacking)}"


@pytest.mark.parametrize("page", PAGES)
def test_page_and_pdf_hold_each_digit_equally_often(page):
    # Formulas too, whose numbers stand apart in TeX; the pictures' own text is in the PDF alone.
    drawn = (_asked("pdftotext", "-raw", str(_picture(name)), "-") for name in _figures(page))
    found = _digits(_text(page))
    found.subtract(_digits("".join(drawn)))
    assert found == _digits(_page(page).get_text())


@pytest.mark.parametrize("page", CHAPTERS)
def test_statements_and_figures_bear_the_numbers_of_the_pages(page):
    text = _words(_text(page))
    heads = [title.get_text() for title in _page(page).select(".admonition-title")]
    # Up to a formula in the title.
    statements = [_words(head.partition(r"\(")[0]) for head in heads]
    statements = [head for head in statements if re.match(r"[A-Z]\w+ \d", head)]
    assert len(statements) > 3
    lacking = [head for head in statements if head not in text]
    captions = _page(page).select("figcaption")
    for caption in captions:
        number = caption.select_one(".caption-number").get_text().strip()
        words = _words(next(caption.select_one(".caption-text").stripped_strings))
        start = f"{number}: {' '.join(words.split()[:4])}"
        lacking += [start] if start not in text else []
    assert not lacking


def test_equations_and_figures_have_one_number_in_both():
    told = (pdf.folder(HOUSE) / f"{paper.NAME}.aux").read_text()
    found = dict(
        re.findall(r"^\\newlabel\{(?:equation:)?(chapters/[\w:-]+)\}\{\{([\d.]+)\}", told, re.M)
    )
    for page in CHAPTERS:
        wanted = {
            f"{page}:{str(place['id']).removeprefix('equation-')}": _number(place)
            for place in _page(page).select("div.math[id^=equation-], figure")
        }
        assert wanted
        assert {label: found.get(label) for label in wanted} == wanted


def _number(place: Tag) -> str:
    return re.search(r"\d+\.\d+", place.select_one(".eqno, .caption-number").get_text())[0]


def test_every_figure_is_there_as_drawn():
    figures = [name for page in CHAPTERS for name in _figures(page)]
    assert set(figures) == set(records.figure_ids(HOUSE.figures))
    text = (pdf.folder(HOUSE) / f"{paper.NAME}.tex").read_text()
    assert sorted(re.findall(r"\\sphinxincludegraphics\{\{(.*?)\}\.pdf\}", text)) == sorted(figures)
    assert text.count(r"\sphinxincludegraphics{") == len(figures)
    # Images within a picture, such as scans of digits, and no others.
    assert _rasters(PDF) == sum(_rasters(_picture(name)) for name in figures)


def _rasters(path: Path) -> int:
    return len(_asked("pdfimages", "-list", str(path)).splitlines()) - 2


def test_every_link_leads_somewhere():
    log = (pdf.folder(HOUSE) / f"{paper.NAME}.log").read_text(errors="replace")
    assert pdf.problems(log) == []
    text = (pdf.folder(HOUSE) / f"{paper.NAME}.tex").read_text()
    cited = set(re.findall(r"\\hyperlink\{(.*?)\}", text))
    assert cited <= set(_places())
    assert len(cited) > 40
    assert not re.search(r"\?\?", _asked("pdftotext", str(PDF), "-"))
    outside = _asked("pdfinfo", "-url", str(PDF)).splitlines()[1:]
    assert {line.split()[-1].partition(":")[0] for line in outside} <= {"http", "https"}


def test_every_font_is_embedded():
    rows = _asked("pdffonts", str(PDF)).splitlines()[2:]
    assert rows
    assert all(row.split()[-5] == "yes" for row in rows)


def test_the_title_page_is_the_citation_files():
    first = _words(_asked("pdftotext", "-l", "1", str(PDF), "-"))
    cited = citation.load(HOUSE)
    for told in (cited.title, cited.names, cited.version, cited.released):
        assert _words(told) in first


def test_the_front_page_offers_the_pdf_once():
    page = (HOUSE.html / f"{contents.pages(HOUSE)[0]}.html").read_text()
    buttons = BeautifulSoup(page, "html.parser").select(".rs-buttons a")
    assert [str(button["href"]) for button in buttons].count(pdf.FILE) == 1

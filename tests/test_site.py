"""The rendered book: sources that name each other, pages made from the records, no dead links."""

import re
import shutil

import pytest
import yaml

from rs_lib.book import site
from rs_lib.book.house import House
from rs_lib.book.site import SiteError


def test_the_sources_of_a_house_in_order_are_accepted(tiny):
    site.check_sources(tiny)
    assert site.pages(tiny) == [
        "intro",
        "chapters/tiny",
        "chapters/claims",
        "chapters/figures",
        "chapters/published",
    ]


def test_what_sources_do_not_say_of_each_other_is_told_at_once(tiny):
    (tiny.notebooks / "other.md").write_text("# Other\n")
    contents = tiny.book / "_toc.yml"
    contents.write_text(contents.read_text() + "  - file: chapters/lost\n")
    for path in sorted(tiny.figures.glob("fig-tiny.*")):
        shutil.copy(path, path.with_name(path.name.replace("tiny", "orphan")))
    with pytest.raises(SiteError) as error:
        site.check_sources(tiny)
    assert str(error.value).splitlines() == [
        "chapter other is not in book/_toc.yml",
        "book/_toc.yml names chapters/lost, but notebooks/lost.md does not exist",
        "figure fig-orphan is recorded, but tiny does not publish it: remove it",
    ]


def test_a_figure_whose_chapter_is_gone_is_an_orphan(tiny):
    tiny.source("tiny").unlink()
    with pytest.raises(SiteError, match="fig-tiny is recorded, but tiny does not publish it"):
        site.check_sources(tiny)


def test_nested_contents_are_read(tiny):
    contents = {
        "root": "intro",
        "parts": [
            {"chapters": [{"file": "a", "sections": [{"file": "b"}]}]},
            {"chapters": [{"file": "c"}]},
        ],
    }
    (tiny.book / "_toc.yml").write_text(yaml.safe_dump(contents))
    assert site.pages(tiny) == ["intro", "a", "b", "c"]


def test_missing_pages_are_found(tiny):
    assert site.missing_pages(tiny) == site.pages(tiny)
    for page in site.pages(tiny):
        (tiny.html / page).parent.mkdir(parents=True, exist_ok=True)
        (tiny.html / f"{page}.html").write_text("")
    assert site.missing_pages(tiny) == []
    (tiny.html / "chapters" / "claims.html").unlink()
    assert site.missing_pages(tiny) == ["chapters/claims"]


def test_generated_pages_list_the_records_and_are_written_once(tiny):
    site.write_generated_pages(tiny)
    claims, figures, published = (
        tiny.chapters / f"{name}.md" for name in ("claims", "figures", "published")
    )
    ledger = claims.read_text()
    assert "## A tiny chapter\n\n2 checks." in ledger
    assert "{prf:ref}`thm-square`\n  - symbolic\n  - expanded" in ledger
    assert "{eq}`eq-one`\n  - definition" in ledger
    record = figures.read_text()
    for kind in ("svg", "pdf", "csv", "json", "bib"):
        assert f"<../figures/fig-tiny.{kind}>" in record
    values = published.read_text()
    assert "{cite:t}`cohen2019`" in values
    assert re.search(r"(?is)accuracy at radii.*a setting.*0\.5.*0\.25.*read", values)
    before = [path.stat().st_mtime_ns for path in (claims, figures, published)]
    site.write_generated_pages(tiny)
    assert [path.stat().st_mtime_ns for path in (claims, figures, published)] == before


@pytest.mark.parametrize("file", ["_config.yml", "book/intro.md", "book/figures/fig-tiny.svg"])
def test_the_key_of_the_pages_sees_every_source(tiny, file):
    before = site.key(tiny)
    (tiny.chapters / "tiny.key.json").write_text("{}")
    assert site.key(tiny) == before
    path = tiny.root / file
    path.write_text(path.read_text() + " ")
    assert site.key(tiny) != before


def test_a_dead_cross_reference_stops_the_build_and_is_named(tiny):
    intro = tiny.book / "intro.md"
    intro.write_text(intro.read_text() + "\nSee {ref}`sec-nowhere`.\n")
    stamp = tiny.html.parent / "site.key"
    stamp.parent.mkdir()
    stamp.write_text("of an earlier build")
    with pytest.raises(SiteError, match=r"(?s)Sphinx did not accept the book:.*sec-nowhere"):
        site.render(tiny)
    assert not stamp.exists()


def test_the_sources_of_the_book_are_in_order():
    site.check_sources(House())
    for page in site.pages(House()):
        if not page.startswith("chapters/"):
            assert (House().book / f"{page}.md").is_file(), page

"""The rendered book: sources that name each other, pages made from the records, no dead links."""

import html
import json
import re
import shutil
import zipfile

import nbformat
import pytest
import yaml
from conftest import CONTENTS, PUBLISHED

from rs_lib.book import builds, claims, contents, generated, site
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House


def test_the_sources_of_a_house_in_order_are_accepted(tiny):
    site.check_sources(tiny)
    assert contents.pages(tiny) == [
        "intro",
        "chapters/tiny",
        "chapters/claims",
        "chapters/figures",
        "chapters/published",
    ]


def test_what_sources_do_not_say_of_each_other_is_told_at_once(tiny):
    (tiny.notebooks / "other.md").write_text("# Other\n")
    table = tiny.book / "_toc.yml"
    table.write_text(table.read_text() + "  - file: chapters/lost\n")
    record = (tiny.figures / "fig-tiny.json").read_text()
    (tiny.figures / "fig-orphan.json").write_text(record.replace("fig-tiny", "fig-orphan"))
    with pytest.raises(SiteError) as error:
        site.check_sources(tiny)
    assert str(error.value).splitlines() == [
        "chapter other is not in book/_toc.yml",
        "book/_toc.yml names chapters/lost, but notebooks/lost.md does not exist",
        "figure fig-orphan is recorded, but tiny does not publish it: remove it",
    ]


def test_the_record_of_another_figure_is_refused(tiny):
    shutil.copy(tiny.figures / "fig-tiny.json", tiny.figures / "fig-copy.json")
    with pytest.raises(ValueError, match=r"fig-copy\.json is no record .*of fig-tiny"):
        site.check_sources(tiny)


@pytest.mark.parametrize(
    "entry",
    ["../evil", "/etc/passwd", "chapters/../../x", "a b", "a\0", "https://a.b", "''", "3", "[a]"],
)
def test_contents_that_lead_out_of_the_book_are_refused(tiny, entry):
    text = entry if entry in ("''", "3", "[a]") else f'"{entry}"'.replace("\0", "\\0")
    (tiny.book / "_toc.yml").write_text(CONTENTS + f"  - file: {text}\n")
    with pytest.raises(SiteError, match=r"book/_toc\.yml names .*: give a page of the book"):
        site.check_sources(tiny)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- x", "!!python/object:os.system {}"])
def test_contents_that_are_no_yaml_are_one_sentence(tiny, text):
    (tiny.book / "_toc.yml").write_text(text)
    with pytest.raises(SiteError, match=r"^book/_toc\.yml is no YAML .*$"):
        contents.pages(tiny)


def test_a_figure_whose_chapter_is_gone_is_an_orphan(tiny):
    tiny.source("tiny").unlink()
    with pytest.raises(SiteError, match="fig-tiny is recorded, but tiny does not publish it"):
        site.check_sources(tiny)


def test_nested_contents_are_read(tiny):
    nested = {
        "root": "intro",
        "parts": [
            {"chapters": [{"file": "a", "sections": [{"file": "b"}]}]},
            {"chapters": [{"file": "c"}]},
        ],
    }
    (tiny.book / "_toc.yml").write_text(yaml.safe_dump(nested))
    assert contents.pages(tiny) == ["intro", "a", "b", "c"]


def test_missing_pages_are_found(tiny):
    assert site.missing_pages(tiny) == contents.pages(tiny)
    for page in contents.pages(tiny):
        (tiny.html / page).parent.mkdir(parents=True, exist_ok=True)
        (tiny.html / f"{page}.html").write_text("")
    assert site.missing_pages(tiny) == []
    (tiny.html / "chapters" / "claims.html").unlink()
    assert site.missing_pages(tiny) == ["chapters/claims"]


def test_the_page_on_running_it_lists_what_is_recorded(tiny):
    generated.write(tiny)
    page = (tiny.chapters / "figures" / "run-recorded.md").read_text()
    row = "* - `attack-in-ball`\n  - full\n  - A processor, 2 cores\n  - 2026-01-02\n  - 10 min"
    assert row in page


def test_generated_pages_list_the_records_and_are_written_once(tiny):
    generated.write(tiny)
    claims, figures, published = (
        tiny.chapters / f"{name}.md" for name in ("claims", "figures", "published")
    )
    ledger = claims.read_text()
    assert "## A tiny chapter\n\n2 checks." in ledger
    line = "{prf:ref}`thm-square`\n  - symbolic, 1 identity\n  - expanded\n  - <a href="
    assert f'{line}"tiny.html#check-thm-square">check</a>' in ledger
    assert "{eq}`eq-one`\n  - definition" in ledger
    assert "(figure/fig-tiny.md)" in figures.read_text()
    record = (tiny.chapters / "figure" / "fig-tiny.md").read_text()
    for kind in ("svg", "pdf", "csv", "json", "bib"):
        assert f"<../../figures/fig-tiny.{kind}>" in record
    values = published.read_text()
    assert "{cite:t}`cohen2019`" in values
    assert re.search(r"(?is)accuracy at radii.*a setting.*0\.5.*0\.25.*read", values)
    (tiny.chapters / "figure" / "fig-gone.md").write_text("# Gone\n")
    before = [path.stat().st_mtime_ns for path in (claims, figures, published)]
    generated.write(tiny)
    assert [path.stat().st_mtime_ns for path in (claims, figures, published)] == before
    assert not (tiny.chapters / "figure" / "fig-gone.md").exists()


@pytest.mark.parametrize("file", ["_config.yml", "book/intro.md", "book/figures/fig-tiny.svg"])
def test_the_key_of_the_pages_sees_every_source(tiny, file):
    before = site.key(tiny)
    (tiny.chapters / "tiny.key.json").write_text("{}")
    assert site.key(tiny) == before
    path = tiny.root / file
    path.write_text(path.read_text() + " ")
    assert site.key(tiny) != before


EVIL = '<script>alert(1)</script> &lt;b&gt; | * `x` ``` {y} $z :::{note} # "q"'


def _with_evil_words(tiny):
    """Put EVIL wherever a record, a stored claim or a published value holds words."""
    stored = json.loads((tiny.figures / "fig-tiny.json").read_text())
    words = f"Evil words that say nothing\n\n```\n:name: evil\n{EVIL}"
    stored["content"] |= {"caption": f"{words}. {words}", "alt": words, "statistics": EVIL}
    stored["content"]["frames"] = {"column": EVIL, "labels": [f"a = {EVIL}", f"b\n```\n{EVIL}"]}
    stored["content"]["pictures"] |= {f"{k:02d}.svg": "0" * 64 for k in range(2)}
    for folder in (tiny.figures, tiny.drawn):
        (folder / "fig-tiny.json").write_text(json.dumps(stored))
        for index in range(2):
            shutil.copy(folder / "fig-tiny.svg", folder / f"fig-tiny.{index:02d}.svg")
    for name, entry in builds.cited_otherwise(tiny).items():
        (tiny.figures / f"{name}.bib").write_text(entry)
    notebook = nbformat.read(tiny.executed("tiny"), as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if claims.METADATA in output.get("metadata", {}):
                output.metadata[claims.METADATA]["how"] = f"{EVIL}\n* - {EVIL}"
    nbformat.write(notebook, tiny.executed("tiny"))
    setting = json.dumps(f"1. {EVIL}")
    published = PUBLISHED.replace('"a setting"', setting).replace(
        '"accuracy', json.dumps(EVIL)[:-1]
    )
    tiny.published.write_text(published)
    source = tiny.source("tiny")
    source.write_text(source.read_text().replace("# A tiny", "# <script>alert(2)</script> tiny"))
    intro = tiny.book / "intro.md"
    intro.write_text(intro.read_text() + "\n```{bibliography}\n```\n")


def test_words_of_the_records_are_shown_on_the_pages_and_bring_no_html(tiny):
    _with_evil_words(tiny)
    site.render(tiny)  # Sphinx finds nothing to warn of
    shown = html.escape(EVIL, quote=False)
    for name, least in (("tiny", 2), ("figures", 1), ("claims", 2), ("published", 2)):
        page = (tiny.html / "chapters" / f"{name}.html").read_text()
        article = page[page.index("<article") : page.index("</article>")]
        assert "<script>alert" not in page
        assert article.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= least, name
        assert 'id="evil"' not in page
        if name in ("claims", "published"):
            text = re.sub("<[^>]+>", "", article).translate({0x201C: '"', 0x201D: '"'})
            assert text.count(shown) >= least, name
    chapter = (tiny.html / "chapters" / "tiny.html").read_text()
    alts = re.findall(r'<img alt="([^"]*)"', chapter)
    assert sum(html.unescape(alt).endswith(EVIL) for alt in alts) == 3


def test_a_page_shows_a_figure_once_and_offers_a_notebook_that_shows_it(tiny):
    intro = tiny.book / "intro.md"
    intro.write_text(intro.read_text() + "\n```{bibliography}\n```\n")
    assert "image/png" in tiny.executed("tiny").read_text()
    site.render(tiny)
    page = (tiny.html / "chapters" / "tiny.html").read_text()
    assert page.count("<figure") == 1
    assert page.count("<img alt=") == 2  # of which a screen shows one: for wide pages, for phones
    assert page.count("A line.</span>") == 1
    link = re.search(r'href="([^"]+\.ipynb)"', page).group(1)
    offered = nbformat.read((tiny.html / "chapters" / link).resolve(), as_version=4)
    bundle = zipfile.ZipFile(tiny.html / "notebooks.zip")
    assert bundle.namelist() == ["notebooks/tiny.ipynb"]
    assert nbformat.reads(bundle.read("notebooks/tiny.ipynb").decode(), 4) == offered
    outputs = [out for cell in offered.cells for out in cell.get("outputs", [])]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 1
    texts = [cell.source for cell in offered.cells if cell.cell_type == "markdown"]
    assert "> **Theorem 1.1 (Squares).**" in "\n".join(texts)
    assert "x = 1 \\tag{1.1}" in "\n".join(texts)


def test_a_dead_cross_reference_stops_the_build_and_is_named(tiny):
    intro = tiny.book / "intro.md"
    intro.write_text(intro.read_text() + "\nSee {ref}`sec-nowhere`.\n")
    stamp = tiny.html.parent / "site.key"
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text("of an earlier build")
    with pytest.raises(SiteError, match=r"(?s)Sphinx did not accept the book:.*sec-nowhere"):
        site.render(tiny)
    assert not stamp.exists()


def test_the_sources_of_the_book_are_in_order():
    site.check_sources(House())
    for page in contents.pages(House()):
        if not page.startswith("chapters/"):
            assert (House().book / f"{page}.md").is_file(), page

"""Authors, title and address stand in one place, and every place that names them follows."""

import html
import re

import pytest
import yaml
from pybtex.database import parse_string

from rs_lib.book import builds, citation, records, site, snippets
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House

PEOPLE = [
    {"given-names": "Ada", "name-particle": "of", "family-names": "Example", "name-suffix": "II"},
    {"name": "The Society & Sons"},
]


def _set(path, **changes):
    stored = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**stored, **changes}, allow_unicode=True))


def test_every_place_follows_the_citation_file(tiny):
    """Pages, their titles, entries of figures and of the book, and the record once it is taken."""
    intro = tiny.book / "intro.md"
    include = "```{include} chapters/figures/front-cite.md\n```\n\n```{bibliography}\n```\n"
    intro.write_text(f"{intro.read_text()}\n{include}")
    address = "https://example.org/book"
    _set(tiny.citation, authors=PEOPLE, title="Another Title", version="7.0", url=address)
    with pytest.raises(SiteError, match=r"the citation of fig-tiny does not follow CITATION\.cff"):
        site.check_sources(tiny)
    told = []
    builds.accept(tiny, [], tell=told.append)
    assert told[-1] == "the citations of 1 figures follow CITATION.cff now"
    site.render(tiny)
    entry = (tiny.figures / "fig-tiny.bib").read_text()
    for text in (entry, citation.bibtex(citation.load(tiny))):
        (parsed,) = parse_string(text, "bibtex").entries.values()
        first, second = parsed.persons["author"]
        assert (first.last_names, first.prelast_names) == (["Example"], ["of"])
        assert (first.first_names, first.lineage_names) == (["Ada"], ["II"])
        assert second.last_names == [r"{The Society \& Sons}"]
        assert parsed.fields["url"] == address
        assert "Another Title" in text
    pages = {
        name: html.unescape(re.sub(r"<(?!/?title)[^>]+>", "", path.read_text()))
        for name in ("intro", "chapters/tiny", "chapters/figure/fig-tiny")
        for path in [tiny.html / f"{name}.html"]
    }
    for page in pages.values():
        assert re.search(r"By Ada of Example II and The Society & Sons", page)
        assert re.search(r"<title>[^<]*Another Title</title>", page)
    assert entry.strip() in pages["chapters/figure/fig-tiny"]
    assert citation.bibtex(citation.load(tiny)).strip() in pages["intro"]
    before = citation.load(House())
    for path in tiny.html.rglob("*.html"):
        for old in (before.names, before.title):
            assert old not in path.read_text(), path


def test_the_citation_names_no_digest_so_that_names_change_no_content(tiny):
    record = records.load(tiny.figures, "fig-tiny")
    before = snippets.bibtex(record, citation.load(tiny))
    _set(tiny.citation, authors=PEOPLE)
    after = snippets.bibtex(record, citation.load(tiny))
    assert before.splitlines()[0] == after.splitlines()[0]
    assert before != after


def test_the_repository_is_the_address_where_the_citation_file_has_none(tiny):
    assert citation.repository(tiny) is None
    assert citation.load(tiny).address == ""
    assert "url" not in citation.bibtex(citation.load(tiny))
    _set(tiny.config, repository={"url": "https://example.org/o/r.git"})
    assert citation.load(tiny).address == "https://example.org/o/r"
    _set(tiny.citation, url="https://example.org/book")
    assert citation.load(tiny).address == "https://example.org/book"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"authors": []}, "has no authors: name one"),
        ({"authors": ["Ada"]}, "an author is 'Ada': give a name"),
        ({"authors": [{"given-names": "Ada"}]}, "give name, or family-names"),
        ({"title": ""}, "has no title: give it"),
        ({"version": None}, "has no version: give it"),
        ({"url": "javascript:alert(1)"}, "url is 'javascript.*: give an https address"),
    ],
)
def test_a_citation_file_that_lacks_something_is_one_sentence(tiny, changes, told):
    _set(tiny.citation, **changes)
    with pytest.raises(SiteError, match=rf"^CITATION\.cff.*{told}$"):
        citation.load(tiny)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "git@example.org:o/r"),
        ("url", 'https://a.b/"><script>'),
        ("branch", "a b"),
        ("notebooks", "../x y"),
    ],
)
def test_a_repository_that_is_no_address_is_one_sentence(tiny, field, value):
    _set(tiny.config, repository={"url": "https://example.org/o/r", field: value})
    with pytest.raises(SiteError, match=rf"^_config\.yml: repository\.{field} is .*: give"):
        citation.repository(tiny)


def test_a_missing_citation_file_is_one_sentence(tiny):
    tiny.citation.unlink()
    with pytest.raises(SiteError, match=r"^CITATION\.cff cannot be read: No such file"):
        citation.load(tiny)

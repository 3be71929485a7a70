"""Links that open a chapter elsewhere: with a repository at the right address, else absent."""

import re
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
import yaml

from rs_lib.book import builds, launch, site
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.record import places


def _set(house, **repository):
    stored = yaml.safe_load(house.config.read_text())
    house.config.write_text(yaml.safe_dump({**stored, "repository": repository}))
    builds.accept(house, [], tell=lambda line: None)  # entries tell the address, too


def _page(tiny):
    intro = tiny.book / "intro.md"
    text = intro.read_text()
    if "bibliography" not in text:
        intro.write_text(text + "\n```{bibliography}\n```\n")
        (tiny.book / "notation.md").write_text("---\norphan: true\n---\n\n# Notation\n")
        executed = nbformat.read(tiny.executed("tiny"), as_version=4)
        card = "```{include} figures/card-tiny.md\n```"
        executed.cells.append(nbformat.v4.new_markdown_cell(card, id="card"))
        nbformat.write(executed, tiny.executed("tiny"))
    site.render(tiny)
    return (tiny.html / "chapters" / "tiny.html").read_text()


def _outside(page):
    links = re.findall(r'href="(https://[^"]+)"', page)
    return [link for link in links if re.search("binder|colab|github", link)]


def test_pages_link_to_binder_and_colab_only_where_the_repository_is_named(tiny):
    assert _outside(_page(tiny)) == []
    url = "https://github.com/someone/a-book"
    _set(tiny, url=url)
    binder, *rest = _outside(_page(tiny))
    assert rest == []
    parts = urlsplit(binder)
    assert (parts.netloc, parts.path) == ("mybinder.org", "/v2/gh/someone/a-book/HEAD")
    opened = parse_qs(parts.query)["urlpath"][0].removeprefix("lab/tree/")
    assert (tiny.root / opened).read_text() == tiny.source("tiny").read_text()
    _set(tiny, url=f"{url}.git", branch="main", notebooks="gh-pages/_sources/chapters")
    again, colab = _outside(_page(tiny))
    assert again == binder.replace("HEAD", "main")
    base = "https://colab.research.google.com/github/someone/a-book/blob/gh-pages/"
    assert colab.startswith(base)
    # Where the rendered book is published as it is, the notebook lies there.
    assert (tiny.html / colab.removeprefix(base)).is_file()


def test_another_host_is_named_in_full_and_has_no_colab(tiny):
    _set(tiny, url="https://example.org/group/a-book", notebooks="pages/notebooks")
    with pytest.raises(SiteError, match=r"_config\.yml: repository\.notebooks .*: leave it out$"):
        launch.links(tiny, "tiny")
    _set(tiny, url="https://example.org/group/a-book")
    told = launch.links(tiny, "tiny")
    assert "/v2/git/https%3A%2F%2Fexample.org%2Fgroup%2Fa-book/HEAD?urlpath=lab%2Ftree%2F" in told


def test_what_binder_reads_is_there():
    """One Python that it understands, the library installed, text opened as notebooks."""
    environment = yaml.safe_load((places.HERE.root / "environment.yml").read_text())
    python, *_ = environment["dependencies"]
    assert re.fullmatch(r"python\s*=+\s*([\d.]+)", python)
    after = House().root / "postBuild"
    assert after.stat().st_mode & 0o111
    assert re.search(r"pip install .*--no-deps .*\.$", after.read_text(), re.MULTILINE)

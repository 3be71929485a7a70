"""The gallery of figures, and a page for each at an address that stays."""

import html
import json
from collections.abc import Mapping

from rs_lib.book import builds, cards, citation, contents, markup, records
from rs_lib.book.builds import Verdict
from rs_lib.book.cards import Card
from rs_lib.book.house import House
from rs_lib.book.records import Record
from rs_lib.book.snippets import bibtex

FOLDER = "figure"
"""Where the pages of the figures lie, beside the chapters."""
_FILES = {"svg": "SVG", "pdf": "PDF", "csv": "data (CSV)", "json": "record", "bib": "BibTeX"}
_DATA = ("digits", "Fashion-MNIST", "MNIST", "CIFAR-10", "ImageNet", "spambase")


def in_order(house: House) -> list[Record]:
    """Return the records in the order in which a reader meets the figures."""
    read = contents.pages(house)

    def place(record: Record) -> tuple[int, int]:
        chapter = record.content["chapter"]
        text = house.source(chapter).read_text()
        return read.index(f"chapters/{chapter}"), text.find(f'"{record.content["id"]}"')

    ids = records.figure_ids(house.figures)
    return sorted((records.load(house.figures, name) for name in ids), key=place)


def title(record: Record) -> str:
    """Return the first sentence of a caption, as Markdown without its full stop."""
    return markup.inline(record.content["caption"].split(". ")[0].rstrip("."))


def pages(house: House, verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Return the gallery and the pages of the figures, as Markdown, by their names."""
    every, told = in_order(house), cards.load(house)
    made = {"figures": _gallery(house, every, told, verdicts)}
    for record in every:
        name = record.content["id"]
        made[f"{FOLDER}/{name}"] = _page(house, record, verdicts[name].verdict)
    return made


def _words(house: House, record: Record, card: Card) -> str:
    """Return what a figure is found by: id, chapter, sources, data sets and caption."""
    content = record.content
    text = f"{content['caption']} {content['alt']} {content['statistics']}"
    data = [name for name in _DATA if name.lower() in text.lower()]
    chapter = contents.chapter_title(house, content["chapter"])
    return " ".join([content["id"], chapter, *card.source, *data, text])


def _gallery(
    house: House, every: list[Record], told: Mapping[str, Card], verdicts: Mapping[str, Verdict]
) -> str:
    rows, words = [], {}
    for record in every:
        name, chapter = record.content["id"], record.content["chapter"]
        words[name] = _words(house, record, told[chapter])
        rows.append(
            f"* - ```{{image}} ../figures/{name}.svg\n    :alt: "
            f"{markup.option(record.content['alt'])}\n    ```\n"
            f"  - [{title(record)}]({FOLDER}/{name}.md)\n\n"
            f"    {{numref}}`{name}` in [{contents.chapter_title(house, chapter)}]({chapter}.ipynb)"
            f"\n\n    `{name}` · content `{record.digest}` · drawn by this build: "
            f"{verdicts[name].verdict}"
        )
    table = "\n".join(["* - Figure", "  - What it shows", *rows])
    found = html.escape(json.dumps(words), quote=True)
    return (
        "# The figure record\n\nEach figure has a permanent id and a page of its own with picture, "
        "data, record and citation. A citation names what is seen: its digest is that of numbers, "
        "picture and caption. `python -m rs_lib.book redraw <id>` draws a figure again from the "
        "data alone.\n\n"
        f'```{{raw}} html\n<p class="rs-find" data-words="{found}" hidden><label>Find a figure by '
        'chapter, paper, data set or word <input type="search" name="figure"></label> '
        '<output aria-live="polite"></output></p>\n```\n\n'
        "````{list-table}\n:header-rows: 1\n:widths: 36 64\n:class: rs-figures rs-stack\n\n"
        f"{table}\n````\n{_earlier(builds.former(house))}"
    )


def _earlier(former: Mapping[str, Mapping[str, str]]) -> str:
    """Return a section on digests that were cited before, each with a commit that holds them."""
    rows = [
        f"* - `{name}`\n  - "
        + ", ".join(f"`{digest}` in commit `{commit}`" for digest, commit in versions.items())
        for name, versions in former.items()
    ]
    if not rows:
        return ""
    table = "\n".join(["* - Figure", "  - Content", *rows])
    return (
        "\n## Earlier versions\n\nA citation of a version that is no longer shown names a digest "
        "below; the commit beside it holds picture, data and record.\n\n"
        "````{dropdown} Digests that were cited before\n"
        "```{list-table}\n:header-rows: 1\n:widths: 24 76\n:class: rs-stack\n\n"
        f"{table}\n```\n````\n"
    )


def _page(house: House, record: Record, verdict: str) -> str:
    content, run = record.content, record.run
    name, chapter = content["id"], content["chapter"]
    links = " · ".join(
        f"{{download}}`{text} <../../figures/{name}.{kind}>`" for kind, text in _FILES.items()
    )
    facts = {
        "Content": f"`{record.digest}`; drawn by this build: {verdict}",
        "Statistics": markup.plain(content["statistics"]) or "–",
        "Data, SHA-256": f"`{content['data']}`",
        "Drawn by": f"`{content['draw']}`",
        "Recorded": f"{run['time'][:10]}, {markup.plain(run['device'])}, commit `{run['commit']}`",
        "Stored results": ", ".join(f"`{key}`" for key in run["inputs"]) or "none",
    }
    rows = "\n".join(f"* - {key}\n  - {text}" for key, text in facts.items())
    versions = builds.former(house).get(name, {})
    earlier = ", ".join(f"`{digest}` (commit `{commit}`)" for digest, commit in versions.items())
    entry = bibtex(record, citation.load(house))
    return (
        f"---\norphan: true\n---\n\n# Figure `{name}`\n\n"
        f"```{{image}} ../../figures/{name}.svg\n:alt: {markup.option(content['alt'])}\n```\n\n"
        f"{markup.inline(content['caption'])}\n\n"
        f"{_button('Copy BibTeX', entry)} {_button('Copy link', '')} {links}\n\n"
        f"**What is seen.** {markup.plain(content['alt'])}\n\n"
        f"**In the book.** {{numref}}`{name}` of "
        f"[{contents.chapter_title(house, chapter)}](../{chapter}.ipynb)\n\n"
        f"```bibtex\n{entry}```\n\n"
        "Draw it again from its data, or make it anew with its chapter:\n\n"
        f"```sh\npython -m rs_lib.book redraw {name}\nmake chapter C={chapter}\n```\n\n"
        f"```{{list-table}}\n:widths: 20 80\n:class: rs-stack rs-facts\n\n{rows}\n```\n"
        + (f"\n**Earlier versions.** {earlier}\n" if earlier else "")
    )


def _button(label: str, text: str) -> str:
    """Return a button that copies `text`, or the address of the page; hidden without a script."""
    kept = html.escape(json.dumps(text), quote=True)
    return (
        f'<button type="button" class="rs-copy" data-text="{kept}" hidden>'
        f"{html.escape(label)}</button>"
    )

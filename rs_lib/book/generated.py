"""Pages that the build writes: the ledger of claims, the gallery of figures, published values."""

import re

import nbformat

from rs_lib.book import builds, claims, contents, markup, records, run_page
from rs_lib.book.house import House
from rs_lib.book.published import TRUST, load
from rs_lib.record import files


def write(house: House) -> None:
    """Write what is made from the records: claims, figures, published values, and includes."""
    verdicts = builds.compare(house)
    builds.write_snippets(house, verdicts)
    for name, text in (
        ("claims", _claims_page(house)),
        ("figures", _figures_page(house, verdicts)),
        ("published", _published_page(house)),
        *((f"figures/{name}", text) for name, text in run_page.parts(house).items()),
    ):
        path = house.chapters / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            files.write_atomically(path, text)


def _claims_page(house: House) -> str:
    kinds = "\n".join(f"- **{kind}**: {meaning}." for kind, meaning in claims.KINDS.items())
    parts = [
        "# The claims ledger\n\nEvery labelled theorem and equation of the book, and how the build "
        "checked it. A check that fails stops the build, so each line below held when these pages "
        f"were made.\n\n{kinds}\n"
    ]
    for name in house.chapter_names():
        notebook = nbformat.read(house.executed(name), as_version=4)
        rows = [
            f"* - {_reference(claim.label)}\n  - {claim.kind}\n  - {markup.plain(claim.how) or '—'}"
            for claim in claims.collect(notebook)
        ]
        table = "\n".join(["* - Claim", "  - Kind", "  - How", *rows])
        parts.append(
            f"## {contents.chapter_title(house, name)}\n\n{len(rows)} checks.\n\n"
            "```{list-table}\n:header-rows: 1\n:widths: 22 14 64\n:class: rs-ledger rs-stack\n\n"
            f"{table}\n```\n"
        )
    return "\n".join(parts)


def _reference(label: str) -> str:
    if not re.fullmatch(r"[\w:.-]+", label):
        return markup.plain(label)
    return f"{{eq}}`{label}`" if label.startswith("eq-") else f"{{prf:ref}}`{label}`"


def _figures_page(house: House, verdicts: dict[str, builds.Verdict]) -> str:
    rows = []
    for record in _figures_in_order(house):
        name = record.content["id"]
        links = " · ".join(
            f"{{download}}`{kind} <../figures/{name}.{kind}>`"
            for kind in ("svg", "pdf", "csv", "json", "bib")
        )
        caption = markup.inline(record.content["caption"].split(". ")[0].rstrip("."))
        alt = markup.option(record.content["alt"])
        rows.append(
            f"* - ```{{image}} ../figures/{name}.svg\n    :alt: {alt}\n    ```\n"
            f"  - {{numref}}`{name}`. {caption}.\n\n"
            f"    {links}\n\n    `{name}`, content `{record.digest}`; drawn by this build: "
            f"{verdicts[name].verdict}"
        )
    table = "\n".join(["* - Figure", "  - What it shows, files, content", *rows])
    return (
        "# The figure record\n\nEach figure has a permanent id. Its picture, its data and the "
        "record of what made it can be downloaded, and a citation names what is seen: the digest "
        "is that of numbers, picture and caption. `python -m rs_lib.book redraw <id>` draws it "
        "again from the data alone.\n\n"
        "````{list-table}\n:header-rows: 1\n:widths: 36 64\n:class: rs-figures rs-stack\n\n"
        f"{table}\n````\n{_earlier_versions(house)}"
    )


def _earlier_versions(house: House) -> str:
    """Return a section on digests that were cited before, each with a commit that holds them."""
    rows = [
        f"* - `{name}`\n  - "
        + ", ".join(f"`{digest}` in commit `{commit}`" for digest, commit in versions.items())
        for name, versions in builds.former(house).items()
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


def _figures_in_order(house: House) -> list[records.Record]:
    """Return the records in the order in which a reader meets the figures."""
    read = contents.pages(house)

    def place(record: records.Record) -> tuple[int, int]:
        chapter = record.content["chapter"]
        text = house.source(chapter).read_text()
        return read.index(f"chapters/{chapter}"), text.find(f'"{record.content["id"]}"')

    ids = records.figure_ids(house.figures)
    return sorted((records.load(house.figures, name) for name in ids), key=place)


def _published_page(house: House) -> str:
    rows = []
    for entry in load(house.published).values():
        # Whole numbers in full: thresholds are stored as integers of twenty digits.
        values = [str(v) if isinstance(v, int) else f"{v:g}" for v in entry.values]
        if entry.at:
            values = [f"{value} at {at:g}" for value, at in zip(values, entry.at, strict=True)]
        quantity = entry.quantity[:1].upper() + entry.quantity[1:]
        rows.append(
            f"* - {{cite:t}}`{entry.source}`\n  - {markup.plain(quantity)}.\n\n"
            f"    {markup.plain(entry.setting)}\n"
            f"  - {', '.join(values) or '—'}\n  - {entry.trust}"
        )
    trust = "\n".join(f"- **{name}**: {meaning}." for name, meaning in TRUST.items())
    table = "\n".join(["* - Source", "  - Quantity", "  - Values", "  - Trust", *rows])
    return (
        "# Published values\n\nThe values of others that this book sets beside its own. "
        "Each carries "
        f"its source and how far we trust it.\n\n{trust}\n\n"
        "```{list-table}\n:header-rows: 1\n:widths: 16 38 32 14\n:class: rs-stack\n\n"
        f"{table}\n```\n"
    )

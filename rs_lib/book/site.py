"""The rendered book: generated pages, the Sphinx build, and the check that every page is there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

from rs_lib.arguments import shown
from rs_lib.book import builds, claims, markup, records
from rs_lib.book.house import House
from rs_lib.book.published import TRUST, load
from rs_lib.record import digests, files


class SiteError(RuntimeError):
    """A book that cannot be published: the message says what is missing or wrong."""


def pages(house: House) -> list[str]:
    """Return the documents that the table of contents names.

    Raises SiteError for a file that is no such table, or an entry that leads out of the book.
    """
    try:
        contents = yaml.safe_load((house.book / "_toc.yml").read_text())
    except (yaml.YAMLError, ValueError) as error:
        raise SiteError(f"book/_toc.yml is no YAML ({' '.join(str(error).split())})") from error

    def walk(node: object) -> list[str]:
        if isinstance(node, list):
            return [name for item in node for name in walk(item)]
        if isinstance(node, dict):
            own = [node[key] for key in ("root", "file") if key in node]
            return own + [
                name for key in ("parts", "chapters", "sections") for name in walk(node.get(key))
            ]
        return []

    named = walk(contents)
    for page in named:
        if not (isinstance(page, str) and re.fullmatch(r"[\w-]+(/[\w-]+)*", page, re.ASCII)):
            raise SiteError(f"book/_toc.yml names {shown(page)}: give a page of the book")
    return named


def check_sources(house: House) -> None:
    """Raise SiteError unless contents, chapters and figure records name each other."""
    listed = {
        page.removeprefix("chapters/") for page in pages(house) if page.startswith("chapters/")
    }
    written = set(house.chapter_names())
    generated = {"claims", "figures", "published"}
    wrong = [f"chapter {name} is not in book/_toc.yml" for name in sorted(written - listed)]
    wrong += [
        f"book/_toc.yml names chapters/{name}, but notebooks/{name}.md does not exist"
        for name in sorted(listed - written - generated)
    ]
    for figure_id in records.figure_ids(house.figures):
        chapter = records.load(house.figures, figure_id).content["chapter"]
        source = house.notebooks / f"{chapter}.md"
        if not source.is_file() or f'"{figure_id}"' not in source.read_text():
            wrong.append(
                f"figure {figure_id} is recorded, but {chapter} does not publish it: remove it"
            )
    if wrong:
        raise SiteError("\n".join(wrong))


def write_generated_pages(house: House) -> None:
    """Write what is made from the records: claims, figures, published values, and includes."""
    verdicts = builds.compare(house)
    builds.write_snippets(house, verdicts)
    for name, text in (
        ("claims", _claims_page(house)),
        ("figures", _figures_page(house, verdicts)),
        ("published", _published_page(house)),
    ):
        path = house.chapters / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            files.write_atomically(path, text)


def chapter_title(house: House, name: str) -> str:
    """Return a chapter's first heading, as Markdown."""
    match = re.search(r"^# (.+)$", house.source(name).read_text(), re.MULTILINE)
    return markup.inline(match.group(1)) if match else name


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
            f"## {chapter_title(house, name)}\n\n{len(rows)} checks.\n\n"
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
    read = pages(house)

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


def key(house: House) -> str:
    """Return the digest of all that the rendered pages depend on."""
    files = [house.root / "_config.yml", house.lock]
    files += [path for path in sorted(house.book.rglob("*")) if path.is_file()]
    listing = {
        str(path.relative_to(house.root)): digests.sha256(path.read_bytes())
        for path in files
        if not path.name.endswith(".key.json")
    }
    listing["theme"] = digests.code_digest(["rs_lib.book.sphinx_theme"])
    return digests.sha256(digests.canonical_json(listing))


def missing_pages(house: House) -> list[str]:
    """Return the pages that the contents name and the rendered book lacks."""
    return [page for page in pages(house) if not (house.html / f"{page}.html").is_file()]


def render(house: House) -> bool:
    """Build the HTML pages unless they are fresh; return whether Sphinx ran.

    Raises SiteError with Sphinx's own words when it warns, and when a page is missing.
    """
    check_sources(house)
    write_generated_pages(house)
    stamp = house.html.parent / "site.key"
    wanted = key(house)
    if stamp.is_file() and stamp.read_text() == wanted and not missing_pages(house):
        return False
    stamp.unlink(missing_ok=True)
    shutil.rmtree(house.html, ignore_errors=True)
    program = str(Path(sys.executable).with_name("jupyter-book"))
    done = subprocess.run(
        [
            *(program, "build", str(house.book), "--config", str(house.root / "_config.yml")),
            *("--path-output", str(house.root), "-W", "-n", "--keep-going", "--all"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    log = done.stdout + done.stderr
    files.write_atomically(house.html.parent / "sphinx.log", log)
    if done.returncode:
        told = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|rror:", line)]
        raise SiteError(
            "Sphinx did not accept the book:\n" + "\n".join(told or log.splitlines()[-40:])
        )
    absent = missing_pages(house)
    if absent:
        raise SiteError(f"the rendered book lacks {', '.join(absent)}")
    files.write_atomically(stamp, wanted)
    return True

"""Pages that the build writes: the ledger of claims, published values, and all that is included."""

import html

import nbformat

from rs_lib.book import (
    builds,
    cards,
    claims,
    contents,
    folding,
    formal,
    front,
    gallery,
    library,
    markup,
    own_model,
    proofs_page,
    run_page,
    symbols,
    try_page,
)
from rs_lib.book.house import House
from rs_lib.book.published import TRUST, load
from rs_lib.record import files


def write(house: House) -> None:
    """Write what is made from the records, and remove pages of what is gone."""
    verdicts = builds.compare(house)
    builds.write_snippets(house, verdicts)
    parts = run_page.parts(house) | cards.parts(house) | front.parts(house)
    parts |= try_page.parts(house) | own_model.parts(house) | symbols.parts(house)
    ledger = {
        name: claims.collect(nbformat.read(house.executed(name), as_version=4))
        for name in cards.load(house)
    }
    made = {
        "claims": _claims_page(house, ledger),
        "published": _published_page(house),
        **proofs_page.pages(house, ledger),
        **gallery.pages(house, verdicts),
        **{f"{library.FOLDER}/{name}": text for name, text in library.pages(house).items()},
        **{f"figures/{name}": text for name, text in parts.items()},
    }
    for name, text in made.items():
        path = house.chapters / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            files.write_atomically(path, text)
    for folder in (library.FOLDER, gallery.FOLDER, formal.FOLDER):
        for path in (house.chapters / folder).glob("*.md"):
            if f"{folder}/{path.stem}" not in made:
                path.unlink()


def _claims_page(house: House, ledger: dict[str, list[claims.Claim]]) -> str:
    kinds = "\n".join(f"- **{kind}**: {meaning}." for kind, meaning in claims.KINDS.items())
    parts = [
        "# The claims ledger\n\nEvery labelled theorem and equation of the book, in its order, and "
        "how the build checked it. A check that fails stops the build, so each line below held "
        f"when these pages were made.\n\n{kinds}\n"
    ]
    functions, proved = library.functions(house), formal.theorems(house)
    for name, found in ledger.items():
        rows = [row for claim in found for row in _ledger_row(name, claim, functions, proved)]
        table = "\n".join(["* - Claim", "  - Kind", "  - How", "  - Where", *rows])
        parts.append(
            f"## {contents.chapter_title(house, name)}\n\n{len(found)} checks.\n\n"
            "```{list-table}\n:header-rows: 1\n:widths: 20 16 44 20\n"
            f":class: rs-ledger rs-sortable rs-stack\n\n{table}\n```\n"
        )
    return "\n".join(parts)


def _ledger_row(
    chapter: str,
    claim: claims.Claim,
    functions: dict[str, list[library.Function]],
    proved: dict[str, formal.Theorem],
) -> list[str]:
    """Return a line of the ledger: the statement, how it was checked, the check and the code."""
    anchor = folding.anchor(claim.label)
    links = [_link(f"{chapter}.html#{anchor}", "check")] if anchor and claim.count else []
    links += [_link(t.page, t.shown) for t in formal.named(claim.theorems, proved)]
    if not claim.theorems:
        links += [_link(f.page, f.shown) for f in functions.get(claim.label, [])]
    how = proofs_page.words(claim, proved) if claim.theorems else claim.how
    kind = ", ".join(filter(None, (claim.kind, claims.counted(claim.kind, claim.count))))
    return [
        f"* - {proofs_page.reference(claim.label)}",
        f"  - {kind}",
        f"  - {markup.plain(how) or '–'}",
        f"  - {' · '.join(links) or '–'}",
    ]


def _link(place: str, text: str) -> str:
    return f'<a href="{html.escape(place)}">{html.escape(text)}</a>'


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

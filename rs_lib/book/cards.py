"""Result cards: what stands at the head of a chapter, from `book/cards.toml` and the record."""

import re
import tomllib
from dataclasses import dataclass, fields
from typing import Any

import nbformat

from rs_lib.arguments import shown
from rs_lib.book import claims, contents, costs, launch, markup, scoreboard, symbols
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.book.scoreboard import Headline

_WORDS_A_MINUTE = 130  # of prose with mathematics in it
_SECONDS_A_FORMULA = 15
_FORMULA = re.compile(r"\$\$.+?\$\$", re.DOTALL)


@dataclass(frozen=True)
class Card:
    """What a chapter says of itself: its main theorem in a line, what is new, what was read.

    `theorem` is a label of the chapter, `source` holds keys of the bibliography, `after` chapters
    to read first, `knows` what helps; all other texts are Markdown of one line.
    """

    theorem: str
    line: str
    new: str
    source: list[str]
    read: str
    after: list[str]
    knows: str


def load(house: House) -> dict[str, Card]:
    """Return the cards of all chapters, in the order of the contents.

    Raises SiteError for a chapter without a card, a card without a chapter, and for other fields,
    a label, or a chapter to read first, that there is not.
    """
    stored = tomllib.loads((house.book / "cards.toml").read_text())
    listed = [page.removeprefix("chapters/") for page in contents.pages(house)]
    names = [name for name in listed if name in house.chapter_names()]
    if set(stored) != set(names):
        odd = ", ".join(sorted(set(stored) ^ set(names)))
        raise SiteError(f"book/cards.toml and the chapters differ in {odd}: give each one card")
    return {name: _card(house, name, stored[name]) for name in names}


def _card(house: House, name: str, stored: dict[str, Any]) -> Card:
    wanted = [field.name for field in fields(Card)]
    if sorted(stored) != sorted(wanted):
        raise SiteError(f"card {name} has {', '.join(stored)}: give {', '.join(wanted)}")
    card = Card(**stored)
    if card.theorem not in claims.labels(house.source(name).read_text()):
        raise SiteError(f"card {name}: theorem is {shown(card.theorem)}: give a label of it")
    for other in card.after:
        if other not in house.chapter_names():
            raise SiteError(f"card {name}: after holds {shown(other)}: give chapters")
    return card


def _prose(source: str) -> str:
    """Return a chapter's text before the exercises, without its head and its code."""
    text = re.sub(r"^(`{3,})\{code-cell\}.*?^\1`*$", "", source, flags=re.DOTALL | re.MULTILINE)
    if text.startswith("---\n"):
        text = text.partition("\n---\n")[2]
    return text.split("\n## Exercises")[0]


def words(source: str) -> int:
    """Return the words of a chapter's prose before its exercises; a formula in a line is one."""
    prose = _FORMULA.sub(" ", _prose(source))
    for pattern, instead in (
        (r"(?<![\\$])\$[^$]+\$", " x "),
        (r"^\s*(:\w+:.*|`{3,}.*|:{3,}.*)$", ""),
        (r"\{[\w:]+\}`[^`]*`", " x "),
    ):
        prose = re.sub(pattern, instead, prose, flags=re.MULTILINE)
    return len(re.findall(r"\w[\w’'–-]*", prose))


def minutes(source: str) -> int:
    """Return the minutes that a chapter takes before its exercises, rounded to fives."""
    formulas = len(_FORMULA.findall(_prose(source)))
    exact = words(source) / _WORDS_A_MINUTE + formulas * _SECONDS_A_FORMULA / 60
    return 5 * max(1, round(exact / 5))


def _run(house: House, name: str) -> str:
    """Return the two commands that run a chapter, what they took, and where it can be opened."""
    last = costs.of_chapter(house, name)
    here = f"{last}, when this page was made" if last else "a minute or two"
    told = f"**Run it.** `make chapter C={name}`: {here}."
    due = costs.at_scale(house, name)
    if due:
        took = costs.together(due)
        known = f": {took}, when last recorded" if took else ""
        told += (
            f" `make chapter C={name} PROFILE=full`, with `DEVICE=cuda` on a GPU, makes its "
            f"experiments anew{known}."
        )
    opened = launch.links(house, name)
    return f"{told} **Open it.** {opened}." if opened else told


def parts(house: House) -> dict[str, str]:
    """Return what pages include, as Markdown, by file: each chapter's card, and the scoreboard."""
    cards = load(house)
    headlines = {
        name: scoreboard.collect(nbformat.read(house.executed(name), as_version=4))
        for name in cards
    }
    made = {
        f"card-{name}": _shown(house, name, card, headlines[name]) for name, card in cards.items()
    }
    return made | {"scoreboard": _scoreboard(house, headlines)}


def _shown(house: House, name: str, card: Card, headlines: list[Headline]) -> str:
    before = ", ".join(
        f"[{contents.chapter_title(house, other)}]({other}.ipynb)" for other in card.after
    )
    first = " and ".join(filter(None, (before, markup.inline(card.knows))))
    sources = ", ".join(f"{{cite:t}}`{key}`" for key in card.source)
    time = f"about {minutes(house.source(name).read_text())} minutes, without the exercises"
    table = _table(headlines, with_source=len(card.source) > 1) if headlines else ""
    return (
        ":::::{div} rs-card\n"
        f"**The theorem.** {markup.inline(card.line)} ({{prf:ref}}`{card.theorem}`)\n\n"
        f"{table}"
        f"**New here.** {markup.inline(card.new)}\n\n"
        f"**Source.** {sources}. Read: {markup.inline(card.read)}. "
        f"**Helpful before.** {first}. **To read.** {time}.\n\n"
        f"{_run(house, name)}\n"
        f"{symbols.box(house, name)}"
        ":::::\n"
    )


def _table(headlines: list[Headline], *, with_source: bool) -> str:
    rows = ["* - Published against ours", "  - Published", "  - Ours", "  - Verdict", "  - Run"]
    for row in headlines:
        what = markup.inline(row.quantity)
        if with_source:
            what = f"{{cite:t}}`{row.source}`: {what}"
        rows += [f"* - {what}", f"  - {row.published}", f"  - {row.ours}", f"  - {_judged(row)}"]
        rows.append(f"  - {markup.plain(row.device) or '–'}")
    options = ":header-rows: 1\n:widths: 34 11 21 18 16\n:class: rs-scores rs-stack"
    table = "\n".join(rows)
    return f"```{{list-table}}\n{options}\n\n{table}\n```\n\n"


def _judged(row: Headline) -> str:
    reason = f", because {markup.inline(row.because)}" if row.because else ""
    return f"**{row.verdict}**{reason}"


def _scoreboard(house: House, headlines: dict[str, list[Headline]]) -> str:
    """Return all headlines by chapter, and what the verdicts mean."""
    meanings = "\n".join(f"- **{name}**: {text}." for name, text in scoreboard.VERDICTS.items())
    blocks = []
    for name, rows in headlines.items():
        if rows:
            title = contents.chapter_title(house, name)
            table = _table(rows, with_source=True)
            blocks.append(f"**[{title}](chapters/{name}.ipynb)**\n\n{table}")
    return "\n".join(blocks) + f"\n```{{dropdown}} What the verdicts mean\n{meanings}\n```\n"

"""The table of contents: the documents of the book, and the titles of its chapters."""

import re

import yaml

from rs_lib.arguments import shown
from rs_lib.book import markup
from rs_lib.book.house import House


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


def chapter_title(house: House, name: str) -> str:
    """Return a chapter's first heading, as Markdown."""
    match = re.search(r"^# (.+)$", house.source(name).read_text(), re.MULTILINE)
    return markup.inline(match.group(1)) if match else name

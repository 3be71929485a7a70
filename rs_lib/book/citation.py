"""Who made the book and where it lies: `CITATION.cff`, and the repository that `_config.yml` names.

All pages and records that name authors, title, version or an address read them here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rs_lib.arguments import shown
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House

_ADDRESS = re.compile(r"https://[\w.-]+(/[\w.~%+-]+)*/?", re.ASCII)
_PLACE = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


@dataclass(frozen=True)
class Author:
    """A person, who has a family name, or a group: `name` is how pages say it."""

    name: str
    bibtex: str
    family: str = ""
    given: str = ""
    orcid: str = ""


@dataclass(frozen=True)
class Repository:
    """The public copy of this checkout.

    `notebooks`: branch and folder in it that hold the executed notebooks, if some do.
    """

    url: str
    branch: str
    notebooks: str


@dataclass(frozen=True)
class Citation:
    """How the book is cited. `address` is where it is found, perhaps nothing."""

    title: str
    authors: tuple[Author, ...]
    version: str
    released: str
    license: str
    abstract: str
    keywords: tuple[str, ...]
    address: str

    @property
    def names(self) -> str:
        """The authors in a line of text."""
        *others, last = [author.name for author in self.authors]
        return f"{', '.join(others)} and {last}" if others else last

    @property
    def bibtex_authors(self) -> str:
        """The authors as a BibTeX field."""
        return " and ".join(author.bibtex for author in self.authors)

    @property
    def bibtex_address(self) -> str:
        """The line of a BibTeX entry that tells the address, or nothing."""
        return f"  url = {{{self.address}}},\n" if self.address else ""


def load(house: House) -> Citation:
    """Return what `CITATION.cff` says; SiteError names a field that is missing or of another form.

    Where it has no `url` the address is that of the repository.
    """
    stored = _read(house.citation)
    people = stored.get("authors")
    if not (isinstance(people, list) and people):
        raise SiteError("CITATION.cff has no authors: name one")
    where = repository(house)
    address = stored.get("url") or (where.url if where else "")
    if address and not _ADDRESS.fullmatch(str(address)):
        raise SiteError(f"CITATION.cff: url is {shown(address)}: give an https address")
    return Citation(
        title=_text(stored, "title"),
        authors=tuple(map(_author, people)),
        version=_text(stored, "version"),
        released=_text(stored, "date-released"),
        license=_text(stored, "license"),
        abstract=" ".join(_text(stored, "abstract").split()),
        keywords=tuple(map(str, stored.get("keywords", ()))),
        address=str(address),
    )


def repository(house: House) -> Repository | None:
    """Return the repository that `_config.yml` names, None where it names none.

    Raises SiteError for what is no https address, branch or folder.
    """
    stored = _read(house.config).get("repository") or {}
    if not (isinstance(stored, dict) and stored.get("url")):
        return None
    url = str(stored["url"]).removesuffix(".git").rstrip("/")
    if not _ADDRESS.fullmatch(url):
        raise SiteError(f"_config.yml: repository.url is {shown(url)}: give an https address")
    branch, notebooks = str(stored.get("branch", "HEAD")), str(stored.get("notebooks", ""))
    for key, value in (("branch", branch), ("notebooks", notebooks)):
        if value and not _PLACE.fullmatch(value):
            raise SiteError(f"_config.yml: repository.{key} is {shown(value)}: give its name")
    return Repository(url, branch, notebooks)


def bibtex(citation: Citation) -> str:
    """Return the BibTeX entry that cites the book as a whole."""
    return (
        "@misc{rsbook,\n"
        f"  title = {{{escaped(citation.title)}}},\n"
        f"  author = {{{citation.bibtex_authors}}},\n"
        f"  year = {{{citation.released[:4]}}},\n"
        f"{citation.bibtex_address}"
        f"  note = {{Version {citation.version}}}\n"
        "}\n"
    )


def escaped(text: str) -> str:
    """Return text as BibTeX takes it: no braces of its own, signs of TeX marked."""
    return re.sub(r"([&%$#_])", r"\\\1", re.sub(r"[{}\\]", "", text))


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SiteError(f"{path.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SiteError(f"{path.name} is no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(stored, dict):
        raise SiteError(f"{path.name} is {shown(stored)}: give names with values")
    return stored


def _text(stored: Mapping[str, Any], field: str) -> str:
    value = str(stored.get(field) or "").strip()
    if not value:
        raise SiteError(f"CITATION.cff has no {field}: give it")
    return value


def _author(stored: object) -> Author:
    """Return a person or a group of the citation file."""
    if not isinstance(stored, dict):
        raise SiteError(f"CITATION.cff: an author is {shown(stored)}: give a name")
    orcid = str(stored.get("orcid", ""))
    if stored.get("name"):
        return Author(str(stored["name"]), f"{{{escaped(str(stored['name']))}}}", orcid=orcid)
    given, particle, family, suffix = (
        str(stored.get(field) or "")
        for field in ("given-names", "name-particle", "family-names", "name-suffix")
    )
    if not family:
        raise SiteError(f"CITATION.cff: an author is {shown(stored)}: give name, or family-names")
    family = " ".join(filter(None, (particle, family)))
    name = " ".join(filter(None, (given, family, suffix)))
    bibtex_name = ", ".join(filter(None, (family, suffix, given)))
    return Author(name, escaped(bibtex_name), family, given, orcid)

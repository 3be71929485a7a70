"""What the archive says of itself: the metadata of an RO-Crate, made by the library `rocrate`."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from rs_lib.book import citation, records
from rs_lib.book.citation import Citation
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.book.records import Record
from rs_lib.record import digests, result

METADATA = "ro-crate-metadata.json"
_VERSION = "1.2"
_FIGURE_LICENCE = "https://creativecommons.org/licenses/by/4.0/"
_FORMATS = {
    ".md": "text/markdown",
    ".ipynb": "application/x-ipynb+json",
    ".toml": "application/toml",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
    ".bib": "application/x-bibtex",
    ".json": "application/json",
    ".js": "text/javascript",
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".map": "application/json",
}


@dataclass(frozen=True)
class Crate:
    """The name of an archive, and the text of its metadata."""

    name: str
    text: str


def described(house: House, parts: Mapping[str, Path], commit: str) -> Crate:
    """Return what is said of an archive of `parts`, by their names in it, made of `commit`.

    Raises SiteError for a part that figures or results name and that there is not.
    """
    cited = citation.load(house)
    made = _Making(house, cited, ROCrate(version=_VERSION), {})
    for name, path in parts.items():
        made.add_file(name, path)
    made.add_root(commit)
    for figure_id in records.figure_ids(house.figures):
        made.add_figure(records.load(house.figures, figure_id))
    for path in sorted(house.results.glob("*.*.json")):
        made.add_result(path)
    slug = re.sub(r"[^a-z0-9]+", "-", cited.title.lower()).strip("-")
    return Crate(f"{slug}-{cited.version}", digests.readable_json(made.crate.metadata.generate()))


@dataclass(frozen=True)
class _Making:
    """A crate that is being filled: `parts` holds what it says of each file, by its name."""

    house: House
    cited: Citation
    crate: Any
    parts: dict[str, Any]

    def add_file(self, name: str, path: Path) -> None:
        """Say of a file what it is made of."""
        data = path.read_bytes()
        kind = _FORMATS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
        told = {
            "name": path.name,
            "encodingFormat": kind,
            "contentSize": str(len(data)),
            "sha256": digests.sha256(data),
        }
        self.parts[name] = self.crate.add_file(path, name, properties=told)

    def part(self, name: str) -> Any:
        """Return what is said of a file; SiteError where the archive lacks it."""
        if name not in self.parts:
            raise SiteError(f"the archive lacks {name}: is it in git?")
        return self.parts[name]

    def context(self, identifier: str, kind: str, **told: object) -> Any:
        """Return what is said of something that is no file, added on its first use."""
        known = self.crate.get(identifier)
        return known or self.crate.add(
            ContextEntity(self.crate, identifier, properties={"@type": kind, **told})
        )

    def stored(self, figure: Record) -> list[Any]:
        """Return what is said of the stored results that a figure was drawn from."""
        paths = {key: self.house.results / f"{key}.json" for key in figure.run["inputs"]}
        return [
            self.part(f"book/results/{path.name}")
            for key, path in paths.items()
            if path.is_file() and result.read(path).digest == figure.run["inputs"][key]
        ]

    def add_root(self, commit: str) -> None:
        """Say what the whole is, who made it, and under which terms."""
        cited, root = self.cited, self.crate.root_dataset
        lock, start = self.part("requirements.lock"), self.part("html/index.html")
        lock["description"] = "The locked environment: each package with version and digests"
        terms = self.part("LICENSE")
        terms["description"] = "Code: MIT. Text and figures: CC BY 4.0"
        code = self.context(
            f"https://spdx.org/licenses/{cited.license}", "CreativeWork", name=cited.license
        )
        where = citation.repository(self.house)
        sources = self.context(
            "#sources",
            "SoftwareSourceCode",
            name=f"The sources, commit {commit}",
            version=commit,
            license=code,
            **({"codeRepository": where.url} if where else {}),
        )
        told = {
            "name": cited.title,
            "description": cited.abstract,
            "version": cited.version,
            "datePublished": cited.released,
            "keywords": list(cited.keywords),
            "author": self.authors(),
            "license": [terms, code],
            "mainEntity": start,
            "mentions": [sources, lock],
            **({"url": cited.address} if cited.address else {}),
        }
        for key, value in told.items():
            root[key] = value

    def authors(self) -> list[Any]:
        """Return what is said of the authors of the citation file."""
        found = []
        for number, author in enumerate(self.cited.authors, start=1):
            name = author.orcid or f"#author-{number}"
            if author.family:
                parts = {"familyName": author.family, "givenName": author.given}
                told = {key: value for key, value in parts.items() if value}
                found.append(self.context(name, "Person", name=author.name, **told))
            else:
                found.append(self.context(name, "Organization", name=author.name))
        return found

    def device(self, words: str) -> Any:
        """Return what is said of a device."""
        name = f"#device-{quote(re.sub(r'[^a-z0-9]+', '-', words.lower()).strip('-'))}"
        return self.context(name, "IndividualProduct", name=words)

    def add_figure(self, record: Record) -> None:
        """Say of a figure what it shows, of which data, and which run of which chapter drew it."""
        content, run = record.content, record.run
        name = content["id"]
        kinds = ["svg", "pdf", "csv", "json", "bib"]
        svg, pdf, csv, kept, entry = (self.part(f"book/figures/{name}.{kind}") for kind in kinds)
        licence = self.context(_FIGURE_LICENCE, "CreativeWork", name="CC BY 4.0")
        told = {
            "name": f"Figure {name}",
            "caption": content["caption"],
            "description": content["alt"],
            "identifier": record.digest,
            "isBasedOn": csv,
            "subjectOf": [kept, entry],
            "encoding": pdf,
            "license": licence,
            "author": self.authors(),
        }
        svg.properties()["@type"] = ["File", "ImageObject"]
        for key, value in told.items():
            svg[key] = value
        self._action(
            f"#draw-{name}",
            f"Drawing of {name}",
            instrument=[
                self.part(f"notebooks/{content['chapter']}.md"),
                self.device(run["device"]),
            ],
            object=self.stored(record),
            result=[svg, pdf, csv, kept],
            endTime=run["time"],
        )

    def add_result(self, path: Path) -> None:
        """Say of a stored result which experiment made it, where and when."""
        made = result.read(path)
        experiment, profile = made.content["experiment"], made.content["profile"]
        self._action(
            f"#run-{path.stem}",
            f"Run of {experiment}, profile {profile}",
            instrument=[
                self.part(f"rs_lib/experiments/{experiment.replace('-', '_')}.py"),
                self.device(made.run["device"]),
            ],
            result=[self.part(f"book/results/{path.name}")],
            startTime=made.run["started"],
        )

    def _action(self, identifier: str, name: str, **told: Any) -> None:
        kept = {key: value for key, value in told.items() if value}
        action = self.context(identifier, "CreateAction", name=name, **kept)
        self.crate.root_dataset.append_to("mentions", action)

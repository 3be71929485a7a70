"""Where the book's parts lie, and what a chapter's kernel is told about the run it belongs to."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from rs_lib.arguments import shown
from rs_lib.record.places import Places

CONTEXT_VARIABLE = "RS_CHAPTER_CONTEXT"
CHAPTER_NAME = "[a-z0-9]+(-[a-z0-9]+)*"
"""The pattern of chapter names: no name that matches it leads out of a folder."""


@dataclass(frozen=True)
class House(Places):
    """The book's folders and files in one checkout (tests build small houses of their own)."""

    @property
    def notebooks(self) -> Path:
        """Chapter sources, MyST text."""
        return self.root / "notebooks"

    @property
    def chapters(self) -> Path:
        """Executed chapters (generated)."""
        return self.book / "chapters"

    @property
    def figures(self) -> Path:
        """The figure record."""
        return self.book / "figures"

    @property
    def drawn(self) -> Path:
        """What the last build drew (generated)."""
        return self.built / "figures"

    @property
    def turned(self) -> Path:
        """Chapters that ran with other parameters than their own, and what they drew."""
        return self.root / "_build" / "changed"

    @property
    def verdicts(self) -> Path:
        """How that compares with the record, as JSON (generated)."""
        return self.built / "verify.json"

    @property
    def published(self) -> Path:
        """The data file of published values."""
        return self.book / "published.toml"

    @property
    def bibliography(self) -> Path:
        """The BibTeX file."""
        return self.book / "references.bib"

    @property
    def proofs(self) -> Path:
        """Coq sources."""
        return self.root / "proofs"

    @property
    def statements(self) -> Path:
        """Every definition and theorem of the proofs, as Coq prints it."""
        return self.proofs / "statements.txt"

    @property
    def lock(self) -> Path:
        """The pinned environment."""
        return self.root / "requirements.lock"

    @property
    def citation(self) -> Path:
        """Authors, title and version of the book."""
        return self.root / "CITATION.cff"

    @property
    def config(self) -> Path:
        """The configuration of the rendered book."""
        return self.root / "_config.yml"

    @property
    def html(self) -> Path:
        """The rendered book (generated)."""
        return self.built / "html"

    def chapter_names(self) -> list[str]:
        """Return the names of all chapter sources, sorted."""
        return sorted(path.stem for path in self.notebooks.glob("*.md"))

    def source(self, chapter: str) -> Path:
        """Return the chapter's source, or raise ValueError that lists the chapters."""
        names = [name for name in self.chapter_names() if re.fullmatch(CHAPTER_NAME, name)]
        if chapter not in names:
            raise ValueError(f"chapter is {shown(chapter)}: give one of {', '.join(names)}")
        return self.notebooks / f"{chapter}.md"

    def executed(self, chapter: str) -> Path:
        """Return where the executed chapter lies."""
        return self.chapters / f"{chapter}.ipynb"

    def key(self, chapter: str) -> Path:
        """Return where it lies what the chapter was executed from, and what that took."""
        return self.chapters / f"{chapter}.key.json"


@dataclass(frozen=True)
class ChapterContext:
    """What a running chapter needs to know to write its record."""

    chapter: str
    parameters: dict[str, object]
    code: str
    figures: str

    def to_environment(self) -> str:
        """Return the text that `current_context` reads in the kernel."""
        return json.dumps(asdict(self))


def current_context() -> ChapterContext | None:
    """Return the context that the chapter runner gave, or None in an interactive session.

    Raises ValueError that names the variable if it holds something else.
    """
    text = os.environ.get(CONTEXT_VARIABLE)
    if not text:
        return None
    try:
        return ChapterContext(**json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{CONTEXT_VARIABLE} is {shown(text)}: unset it, the chapter runner sets it"
        ) from error

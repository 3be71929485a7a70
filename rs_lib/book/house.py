"""Where the book's parts lie, and what a chapter's kernel is told about the run it belongs to."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from rs_lib import provenance

CONTEXT_VARIABLE = "RS_CHAPTER_CONTEXT"


@dataclass(frozen=True)
class House:
    """The folders and files of one checkout (tests build small houses of their own)."""

    root: Path = provenance.ROOT

    @property
    def notebooks(self) -> Path:
        """Chapter sources, MyST text."""
        return self.root / "notebooks"

    @property
    def book(self) -> Path:
        """Frame pages, table of contents, bibliography, records."""
        return self.root / "book"

    @property
    def chapters(self) -> Path:
        """Executed chapters (generated)."""
        return self.book / "chapters"

    @property
    def figures(self) -> Path:
        """The figure record."""
        return self.book / "figures"

    @property
    def results(self) -> Path:
        """Stored results of experiments."""
        return self.book / "results"

    @property
    def published(self) -> Path:
        """The data file of published values."""
        return self.book / "published.toml"

    @property
    def bibliography(self) -> Path:
        """The BibTeX file."""
        return self.book / "references.bib"

    @property
    def lock(self) -> Path:
        """The pinned environment."""
        return self.root / "requirements.lock"

    @property
    def html(self) -> Path:
        """The rendered book (generated)."""
        return self.root / "_build" / "html"

    def chapter_names(self) -> list[str]:
        """Return the names of all chapter sources, sorted."""
        return sorted(path.stem for path in self.notebooks.glob("*.md"))

    def source(self, chapter: str) -> Path:
        """Return the chapter's source, or raise ValueError that lists the chapters."""
        path = self.notebooks / f"{chapter}.md"
        if not path.is_file():
            raise ValueError(
                f"chapter is {chapter!r}: give one of {', '.join(self.chapter_names())}"
            )
        return path

    def executed(self, chapter: str) -> Path:
        """Return where the executed chapter lies."""
        return self.chapters / f"{chapter}.ipynb"


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
    """Return the context that the chapter runner gave, or None in an interactive session."""
    text = os.environ.get(CONTEXT_VARIABLE)
    return ChapterContext(**json.loads(text)) if text else None

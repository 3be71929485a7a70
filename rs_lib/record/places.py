"""Where a checkout keeps what was computed and what is recorded."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The folders and files of one checkout (tests make small ones of their own)."""

    root: Path = Path(__file__).resolve().parents[2]

    @property
    def built(self) -> Path:
        """What is made here and can be made again."""
        return self.root / "_build"

    @property
    def book(self) -> Path:
        """The book's frame pages and records."""
        return self.root / "book"

    @property
    def results(self) -> Path:
        """Stored results of experiments."""
        return self.book / "results"

    @property
    def benchmarks(self) -> Path:
        """Stored times of the benchmarks."""
        return self.results / "benchmarks.json"

    @property
    def changed(self) -> Path:
        """Results of changed parameters: they never take the place of a recorded one."""
        return self.built / "results"

    @property
    def stages(self) -> Path:
        """Finished stages of experiments, and the last epochs of unfinished trainings."""
        return self.built / "stages"

    @property
    def witnesses(self) -> Path:
        """What each witness gave with the present code."""
        return self.built / "witness"


HERE = Places()
"""The checkout that this library belongs to."""

"""Where a checkout keeps what was computed and what is recorded; and where, without one."""

from dataclasses import dataclass
from pathlib import Path

SHARED_VARIABLE = "RS_SHARED_STAGES"
"""Names the folder where the chapters of one build leave the stages of quick runs for each other.

There a stage is found by the text of the code, to the letter: it needs no witness.
"""


@dataclass(frozen=True)
class Places:
    """The folders and files of one checkout (tests make small ones of their own)."""

    root: Path = Path(__file__).resolve().parents[2]

    @property
    def is_installed(self) -> bool:
        """Whether an installer put the library here, whose record then lies beside it."""
        return any(self.root.glob("rs_lib-*.dist-info"))

    def require_checkout(self, wanted: str) -> None:
        """Raise ValueError for an installed library, which lacks what is `wanted`."""
        if self.is_installed:
            raise ValueError(
                f"there is no {wanted} beside this installed library: clone the book's repository "
                "and give the command in its folder"
            )

    @property
    def _writable(self) -> Path:
        """The checkout; the working directory where there is none, never an installed library."""
        return Path.cwd() if self.is_installed else self.root

    @property
    def built(self) -> Path:
        """What is made here and can be made again."""
        return self._writable / "_build"

    @property
    def book(self) -> Path:
        """The book's frame pages and records."""
        return self.root / "book"

    @property
    def results(self) -> Path:
        """Stored results of experiments; without a checkout, the working directory."""
        return self._writable if self.is_installed else self.book / "results"

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
    def shared(self) -> Path:
        """Stages of quick runs that the chapters of a build share."""
        return self.built / "shared"

    @property
    def witnesses(self) -> Path:
        """What each witness gave with the present code."""
        return self.built / "witness"


HERE = Places()
"""The checkout that this library belongs to, or the folder that it is installed in."""

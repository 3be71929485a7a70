"""What an experiment gave, and what is told of the run that made it.

In its file, values of more than a megabyte are one text: base 64 of the xz of their JSON.
"""

import base64
import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from rs_lib.record import digests, files

LONG = 1_000_000
"""Most characters of values that a file holds as they are."""

PACKED = "json.xz.base64"


class Content(TypedDict):
    """What is equal on every re-run."""

    experiment: str
    profile: str
    parameters: dict[str, Any]
    values: dict[str, Any]


class Run(TypedDict):
    """What is told of one run.

    `version` and `code` (a digest) are those of the experiment, `witness` the values that its
    witness gave with that code. `stages_reused` counts the stages of earlier runs that this one
    took, `stage_codes` are the digests of the code that made the stages, where not `code`, and
    `stages` those of what some stages gave, by the names of their files. `work_seconds` counts the
    time of the earlier stages too, if all of them tell it, without what a training took before it
    was interrupted. `peak_memory` holds the most bytes that the `process` took, and on CUDA those
    that torch held on the `device`, earlier stages included, if all of them tell; of processes that
    work together it is the first's. A machine that cannot run the witness leaves it out.
    """

    device: str
    started: str
    wall_seconds: float
    work_seconds: NotRequired[float]
    peak_memory: NotRequired[dict[str, int]]
    stages_reused: int
    stage_codes: NotRequired[list[str]]  # older results lack these two
    stages: NotRequired[dict[str, str]]
    commit: str
    versions: dict[str, str]
    version: int
    code: str
    witness: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class Result:
    """An experiment's outcome: `content` is equal on every re-run, `run` tells of this one."""

    content: Content
    run: Run

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the run."""
        return dict(self.content["parameters"])

    @property
    def values(self) -> dict[str, Any]:
        """The measured values."""
        return dict(self.content["values"])

    @property
    def digest(self) -> str:
        """The SHA-256 digest of the content."""
        return digests.sha256(digests.canonical_json(self.content))

    def write(self, path: Path) -> None:
        """Write the result atomically, as `read` takes it."""
        values = digests.canonical_json(self.content["values"])
        kept = self.content["values"] if len(values) <= LONG else {PACKED: _packed(values)}
        whole = {"content": {**self.content, "values": kept}, "run": self.run}
        files.write_atomically(path, digests.readable_json(whole))


def _packed(text: str) -> str:
    return base64.b64encode(lzma.compress(text.encode())).decode()


def read(path: Path) -> Result:
    """Return the result that `path` holds."""
    stored = json.loads(path.read_text())
    content = stored["content"]
    if content["values"].keys() == {PACKED}:
        packed = base64.b64decode(content["values"][PACKED], validate=True)
        content["values"] = json.loads(lzma.decompress(packed))
    return Result(content, stored["run"])

"""The chapter runner: MyST source, jupytext, papermill, an executed notebook that is fit to print.

A chapter runs only when its source, the part of the library that it uses, its parameters,
its stored data or the lock changed. What it leaves is written atomically and last, so a
killed run leaves the previous chapter or none.
"""

import copy
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from rs_lib.book import claims, parameters, readable, records
from rs_lib.book.house import CONTEXT_VARIABLE, ChapterContext, House
from rs_lib.record import arithmetic, digests, files, machine
from rs_lib.record.places import SHARED_VARIABLE

CELL_SECONDS = {"quick": 300, "full": 24 * 3600}


class ChapterError(RuntimeError):
    """A chapter that cannot be printed: the message says which, where and why."""


@dataclass(frozen=True)
class Chapter:
    """A chapter that is ready to run."""

    name: str
    source: str
    notebook: Any
    parameters: dict[str, object]
    changed: dict[str, object]
    turned: dict[str, object]
    modules: tuple[str, ...]

    @property
    def code(self) -> str:
        """The digest of the library code that the chapter uses."""
        return digests.code_digest(self.modules)

    @property
    def figure_code(self) -> str:
        """The digest of the code that computes and draws the figures, record-keeping apart."""
        return digests.code_digest(self.modules, without=digests.keeps_books)


def prepare(house: House, name: str, given: Mapping[str, str] | None = None) -> Chapter:
    """Read a chapter and check its parameters and labels; raises ValueError or ChapterError."""
    path = house.source(name)
    notebook = parameters.read_source(path)
    source = path.read_text()
    known = parameters.declared(notebook)
    values = parameters.resolve(name, known, given or {})
    changed = {key: value for key, value in values.items() if value != known[key].default}
    turned = parameters.turned(values, known)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    try:
        modules = tuple(sorted(digests.imported_modules(code)))
    except SyntaxError as error:
        raise ChapterError(f"{name}: a code cell is no Python: {error}") from error
    return Chapter(name, source, notebook, values, changed, turned, modules)


def key(house: House, chapter: Chapter) -> str:
    """Return the digest of everything that a chapter's outputs depend on."""
    reached = digests.module_closure(chapter.modules)
    experiments = {
        module.rpartition(".")[2].replace("_", "-")
        for module in reached
        if module.startswith("rs_lib.experiments.")
    }
    data = [
        path
        for path in sorted(house.results.glob("*.json"))
        if path.name.split(".")[0] in experiments
    ]
    if "rs_lib.book.published" in reached:
        data.append(house.published)
    if "rs_lib.book.claims" in reached:
        data.append(house.bibliography)
    content = {
        "source": chapter.source,
        "parameters": chapter.parameters,
        "code": chapter.code,
        "lock": house.lock.read_text(),
        "data": {path.name: digests.sha256(path.read_bytes()) for path in data},
    }
    return digests.sha256(digests.canonical_json(content))


def fresh(house: House, chapter: Chapter) -> bool:
    """Return whether the executed chapter and its figures are those of its present inputs."""
    file = house.key(chapter.name)
    if not (file.is_file() and house.executed(chapter.name).is_file()):
        return False
    try:
        kept = json.loads(file.read_text())
        figures = dict(kept["figures"])
    except (KeyError, TypeError, ValueError, RecursionError):  # another's file: run and replace it
        return False
    executed = digests.sha256(house.executed(chapter.name).read_bytes())
    if kept.get("key") != key(house, chapter) or kept.get("notebook") != executed:
        return False
    present = [path for path in house.drawn.glob("fig-*") if path.name in figures]
    return {path.name: digests.sha256(path.read_bytes()) for path in present} == figures


def run(
    house: House,
    name: str,
    given: Mapping[str, str] | None = None,
    *,
    figure_folder: Path | None = None,
    progress: bool = True,
) -> bool:
    """Run a chapter unless it is fresh; return whether it ran.

    What it draws goes below `_build`; the record stays as it is. With `figure_folder` (for
    `verify`) the chapter always runs, its figures go there, and the executed chapter stays too; so
    do the stages that it shares with other chapters run there.
    With other parameters than the chapter's own it always runs, and all goes to `house.turned`:
    the book, its figures and what is fresh are those of the chapter's own.

    Raises ChapterError that names the chapter, the cell and what went wrong, and ValueError for a
    parameter that is out of bounds, which the chapter's first cell says.
    """
    chapter = prepare(house, name, given)
    turned = bool(chapter.turned)
    if figure_folder is None and not turned and fresh(house, chapter):
        return False
    folder = figure_folder or (house.turned / name if turned else house.drawn)
    shared = house.shared if figure_folder is None else folder / "shared"
    clock = time.monotonic()
    executed, most = _execute(house, chapter, folder, shared, progress)
    seconds = time.monotonic() - clock
    _finish(executed, name)
    published = _check(chapter, executed, folder)
    if turned:
        readable.mark(executed, name, chapter.turned)
        text = nbformat.writes(readable.converted(house, name, executed))
        files.write_atomically(folder / f"{name}.ipynb", text)
    elif figure_folder is None:
        _keep(house, chapter, executed, published, {"seconds": seconds, "memory": most})
    return True


def _keep(
    house: House, chapter: Chapter, executed: Any, published: list[str], took: dict[str, float]
) -> None:
    """Put an executed chapter into the book, last what it was executed from and what that took."""
    text = nbformat.writes(executed)
    drawn = {
        path.name: digests.sha256(path.read_bytes())
        for figure_id in published
        for path in sorted(house.drawn.glob(f"{figure_id}.*"))
    }
    files.write_atomically(house.executed(chapter.name), text)
    record: dict[str, object] = {
        "key": key(house, chapter),
        "notebook": digests.sha256(text),
        "figures": drawn,
    }
    if chapter.parameters.get("profile", "quick") == "quick":
        record["cost"] = {**took, "device": machine.processor()}
    files.write_atomically(house.key(chapter.name), digests.readable_json(record))


def _execute(
    house: House, chapter: Chapter, figure_folder: Path, shared: Path, progress: bool
) -> tuple[Any, int]:
    """Return the executed notebook and the most bytes that its kernel took."""
    figure_folder.mkdir(parents=True, exist_ok=True)
    profile = str(chapter.parameters.get("profile", "quick"))
    context = ChapterContext(
        chapter.name,
        {"profile": profile, **chapter.turned},
        chapter.figure_code,
        str(figure_folder),
    )
    kernel_environment = {CONTEXT_VARIABLE: context.to_environment()}
    if profile == "quick":
        kernel_environment |= {SHARED_VARIABLE: str(shared), **arithmetic.environment()}
    saved = dict(os.environ)
    os.environ.update(kernel_environment)
    try:
        executed = papermill.execute_notebook(
            _measured(chapter.notebook),
            None,
            parameters=chapter.changed,
            kernel_name="python3",
            cwd=house.root,
            stderr_file=sys.stderr,  # progress of long experiments, as it comes
            progress_bar={"desc": chapter.name} if progress else False,
            execution_timeout=CELL_SECONDS[profile],
            # The kernel would greet us with a warning about its transport, and leave with another.
            extra_arguments=["--log-level=50"],
        )
    except PapermillExecutionError as error:
        # So begin the sentences of the bounds, which chapters ask before they compute.
        if chapter.turned and error.ename == "ValueError" and error.evalue[:10] == "parameter ":
            raise ValueError(error.evalue) from None
        trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        raise ChapterError(
            f"{chapter.name}: cell {error.cell_index} failed: {error.ename}: {error.evalue}\n"
            f"--- the cell\n{error.source}\n--- the traceback\n{trace}"
        ) from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise ChapterError(f"{chapter.name}: {error}") from None
    finally:
        os.environ.clear()
        os.environ.update(saved)
    _require_whole(chapter, executed)
    told = (out["text"] for out in executed.cells.pop().outputs if out.get("name") == "stdout")
    return executed, int("".join(told))


def _require_whole(chapter: Chapter, executed: Any) -> None:
    # Papermill takes sys.exit() for success, although the cells below it never ran.
    for index, cell in enumerate(executed.cells):
        if cell.metadata["papermill"]["exception"]:
            raise ChapterError(f"{chapter.name}: cell {index} leaves the chapter by sys.exit()")


def _measured(notebook: Any) -> Any:
    """Return a copy of a notebook with a last cell that prints the most bytes its kernel took."""
    code = "from rs_lib.record import memory\n\nprint(memory.of_process())"
    whole = copy.deepcopy(notebook)
    whole.cells.append(nbformat.v4.new_code_cell(code, id="measured"))
    return whole


def _finish(executed: Any, name: str) -> None:
    """Take out what differs between two equal runs: times, paths, random ids, progress bars."""
    executed.metadata.pop("papermill", None)
    executed.metadata.pop("widgets", None)
    parameters.set_cell_ids(executed, name)
    for cell in executed.cells:
        for volatile in ("papermill", "execution"):
            cell.metadata.pop(volatile, None)
        if cell.cell_type == "code":
            cell.outputs = _quiet(cell.outputs)


def _quiet(outputs: list[Any]) -> list[Any]:
    """Drop stderr, which was shown as it came; join printed text, cut into chunks by time."""
    kept: list[Any] = []
    for output in outputs:
        stream = output.get("name")
        if stream == "stderr":
            continue
        if stream == "stdout" and kept and kept[-1].get("name") == stream:
            kept[-1]["text"] += output["text"]
        else:
            kept.append(output)
    return kept


def _check(chapter: Chapter, executed: Any, folder: Path) -> list[str]:
    """Return the ids of the chapter's figures, or raise ChapterError with all that is wrong."""
    wrong = claims.disagreements(chapter.source, claims.collect(executed))
    for index, cell in enumerate(executed.cells):
        outputs = cell.outputs if cell.cell_type == "code" else []
        own = [out for out in outputs if records.SHOWN not in out.get("metadata", {})]
        if any(kind.startswith("image/") for out in own for kind in out.get("data", {})):
            wrong.append(
                f"cell {index} shows a picture that is not published: call figures.publish"
            )
    written = re.findall(r"\{include\}\s+figures/(fig-[\w-]+)\.md", chapter.source)
    code = "\n".join(cell.source for cell in executed.cells if cell.cell_type == "code")
    published = [
        figure_id
        for figure_id in records.figure_ids(folder)
        if records.load(folder, figure_id).content["chapter"] == chapter.name
        and f'"{figure_id}"' in code
    ]
    wrong += [
        f"figure {name} is included, not published" for name in written if name not in published
    ]
    wrong += [
        f"figure {name} is published, not included" for name in published if name not in written
    ]
    wrong += [
        f"a figure or image is written by hand ({directive.strip()}): publish it instead"
        for directive in re.findall(
            r"^\s*(?:`{3,}|:{3,})\{(?:figure|image)\}.*$|!\[.*?\]\(.*?\)|<img\b.*$",
            chapter.source,
            re.M,
        )
    ]
    if wrong:
        raise ChapterError(f"{chapter.name}:\n  " + "\n  ".join(wrong))
    return published

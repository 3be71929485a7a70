"""The page *Certify your own model*: its commands are run, and what they print stands below them.

The page itself is the script. A block of `sh` that is followed by an include of `own-<name>` is
run by a shell, in the page's order, in a folder that holds the files of `book/own`; lines
`% says: …` below it hold what it must print, so that the prose around it is true. Times and the
names of folders differ from run to run, and are taken out.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from rs_lib.book import markup
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.record import arithmetic, digests, files, places

PAGE = "own-model"
"""The page, and the folder of what it shows is "own"."""
STEP_SECONDS = 600
_STEP = re.compile(
    r"^```sh\n(?P<commands>(?:(?!```).*\n)+)```\n\n"
    r"```\{include\} chapters/figures/own-(?P<name>[a-z]+)\.md\n```\n"
    r"(?P<says>(?:\n?% says: .+\n)*)",
    re.MULTILINE,
)
Printed = tuple[dict[str, str], dict[str, str]]
"""What the steps print, by their names, and what they draw, SVG, by the names of the files."""
_COMMAND = re.compile(r"\brs-lib ([a-z]+)")
_TIMES = re.compile(r"(?<=, about ).+$", re.MULTILINE)
_PROGRESS = re.compile(r"^(?:.*\r.*|\w+ \d+/\d+ images, .*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """Commands of the page that are run together, and words that they must print."""

    name: str
    commands: str
    says: tuple[str, ...]


def steps(house: House) -> list[Step]:
    """Return the steps of the page in its order; none where a house has no such page."""
    page = house.book / f"{PAGE}.md"
    found = _STEP.finditer(page.read_text()) if page.is_file() else ()
    return [
        Step(match["name"], match["commands"], tuple(re.findall(r"% says: (.+)", match["says"])))
        for match in found
    ]


def parts(house: House) -> dict[str, str]:
    """Return what the page includes, as Markdown, by file; run its commands unless that is done.

    What they draw goes beside the includes. Raises SiteError as `run` does.
    """
    if not steps(house):
        return {}
    outputs, pictures = kept(house) or _run_and_keep(house)
    for name, picture in pictures.items():
        path = house.chapters / "figures" / f"own-{name}"
        if not path.is_file() or path.read_text() != picture:
            files.write_atomically(path, picture)
    return {f"own-{name}": _shown(output) for name, output in outputs.items()}


def kept(house: House) -> Printed | None:
    """Return what a former run left, if the same would be run today."""
    path = _store(house)
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
        return (found["outputs"], found["pictures"]) if found.get("key") == key(house) else None
    except (AttributeError, KeyError, ValueError, RecursionError):  # another's file: replace it
        return None


def key(house: House) -> str:
    """Return the digest of what the commands of the page depend on."""
    script = steps(house)
    used = {word for step in script for word in _COMMAND.findall(step.commands)}
    content = {
        "steps": [[step.name, step.commands, step.says] for step in script],
        "files": {path.name: path.read_text() for path in _files(house)},
        "code": digests.code_digest(["rs_lib.__main__", *(f"rs_lib.commands.{w}" for w in used)]),
        "lock": house.lock.read_text(),
    }
    return digests.sha256(digests.canonical_json(content))


def run(house: House) -> Printed:
    """Run all steps; return what each prints, and the pictures, SVG, by the names of their files.

    Raises SiteError that names the step which fails, or which does not print what the page says.
    """
    outputs = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        for path in _files(house):
            (folder / path.name).write_bytes(path.read_bytes())
        environment = _environment(folder)
        for step in tqdm(steps(house), desc=PAGE, unit="step"):
            output = _output(step, folder, environment)
            for words in step.says:
                if words not in output:
                    raise SiteError(
                        f"book/{PAGE}.md: step {step.name} does not print {words!r}, as the page "
                        f"says: mend the page\n{output}"
                    )
            outputs[step.name] = output
        return outputs, {path.name: path.read_text() for path in sorted(folder.glob("*.svg"))}


def _output(step: Step, folder: Path, environment: dict[str, str]) -> str:
    """Return what a step prints, less times, folders and bars."""
    try:
        done = subprocess.run(
            ["sh", "-ec", step.commands],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SiteError(
            f"book/{PAGE}.md: step {step.name} takes more than {STEP_SECONDS} s: make it smaller"
        ) from error
    output = done.stdout.decode()
    if done.returncode:
        raise SiteError(f"book/{PAGE}.md: step {step.name} fails:\n{output}")
    output = _TIMES.sub("…", _PROGRESS.sub("", output))
    return output.replace(f"{folder}{os.sep}", "")


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of the steps, in which `python` and `rs-lib` are those of the build.

    The arithmetic is fixed as in the chapters of digits.
    """
    programs = folder / ".programs"
    programs.mkdir()
    python = shlex.quote(sys.executable)
    for name, words in (("python", python), ("rs-lib", f"{python} -m rs_lib")):
        (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        **arithmetic.environment(),
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(places.HERE.root),
        "PYTHONUNBUFFERED": "1",
    }


def _files(house: House) -> list[Path]:
    """Return the files that the page shows and its commands use."""
    return sorted((house.book / "own").glob("*.py"))


def _store(house: House) -> Path:
    return house.built / f"{PAGE}.json"


def _run_and_keep(house: House) -> Printed:
    outputs, pictures = run(house)
    made = {"key": key(house), "outputs": outputs, "pictures": pictures}
    files.write_atomically(_store(house), digests.canonical_json(made))
    return outputs, pictures


def _shown(output: str) -> str:
    fence = markup.fence(output)
    return f"{fence}{{code-block}} text\n:class: rs-printed\n\n{output.rstrip()}\n{fence}\n"

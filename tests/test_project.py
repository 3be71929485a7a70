"""The project's files say the same: environment, lock, citation, tables of chapters, targets."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import check_jsonschema
import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from rs_lib.book import citation, contents
from rs_lib.book.house import House
from rs_lib.record import places

ROOT = places.HERE.root
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
DEPENDENCIES = [
    *PROJECT["dependencies"],
    *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
]


def _locked():
    """Return name to pinned versions; fail on a line that is no pin with digests."""
    pins = {}
    text = re.sub(r"\\\n", " ", (ROOT / "requirements.lock").read_text())
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *digests = re.split(r"\s+--hash=", line)
            assert digests, f"{pin} has no digest"
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in digests), pin
            requirement = Requirement(pin)
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            pins.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return pins


LOCKED = _locked()


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_the_lock_pins_every_dependency_within_its_bounds(dependency):
    requirement = Requirement(dependency)
    versions = LOCKED[canonicalize_name(requirement.name)]
    assert all(requirement.specifier.contains(version) for version in versions), versions


def test_no_dependency_stands_twice():
    names = [canonicalize_name(Requirement(line).name) for line in DEPENDENCIES]
    assert sorted(names) == sorted(set(names))


def test_the_environment_is_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    assert pip == ["-r requirements.lock"]
    (python,) = (
        part
        for part in environment["dependencies"]
        if isinstance(part, str) and part.startswith("python")
    )
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


def test_make_accepts_the_same_pythons():
    low, high = re.search(
        r"\(3, (\d+)\) <= sys\.version_info\[:2\] <= \(3, (\d+)\)", (ROOT / "Makefile").read_text()
    ).groups()
    admitted = SpecifierSet(PROJECT["requires-python"])
    minors = [minor for minor in range(30) if admitted.contains(f"3.{minor}")]
    assert minors == list(range(int(low), int(high) + 1))


def test_the_citation_file_is_valid_and_of_this_version():
    schema = Path(check_jsonschema.__file__).parent.joinpath(
        "builtin_schemas", "vendor", "citation-file-format.json"
    )
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    jsonschema.validate(citation, json.loads(schema.read_text()))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert Version(citation["version"])


def test_files_that_no_build_writes_name_the_book_as_the_citation_file_does():
    cited = citation.load(House())
    assert f"Copyright (c) 2026 {cited.names}\n" in (ROOT / "LICENSE").read_text()
    for page in ("README.md", "book/intro.md"):
        assert (ROOT / page).read_text().startswith(f"# {cited.title}\n"), page


@pytest.mark.parametrize("chapter", House().chapter_names())
@pytest.mark.parametrize(
    ("page", "link"),
    [("README.md", "notebooks/{}.md"), ("book/intro.md", "chapters/{}.ipynb")],
)
def test_the_tables_of_chapters_name_every_chapter(page, link, chapter):
    title = contents.chapter_title(House(), chapter)
    table = (ROOT / page).read_text().partition("## Chapters\n")[2].partition("\n## ")[0]
    assert f"[{title}]({link.format(chapter)})" in table, title


def test_the_pages_link_to_files_that_exist():
    for page in ("README.md", "CONTRIBUTING.md"):
        text = re.sub(r"(?s)```.*?```", "", (ROOT / page).read_text())
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / target).exists(), f"{page} links to {target}"


def _tracked():
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_knows_a_machine_or_an_index():
    machine = re.compile(rb"(?<![\w.])/(?:work|root|home)/\w|index[-_]url|file:///\w")
    files = _tracked()
    assert len(files) > 50
    for path in files:
        found = machine.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)}: {found.group()}"


def test_nothing_generated_is_tracked():
    for path in _tracked():
        parts = path.relative_to(ROOT).parts
        assert parts[0] not in ("_build", ".venv")
        assert parts[:2] != ("book", "chapters")
        assert path.stat().st_size < 2_000_000, path.name


def test_chapter_sources_hold_no_outputs():
    assert {path.suffix for path in House().notebooks.iterdir() if path.is_file()} == {".md"}


def test_make_help_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE).group(1).split()
    assert {"book", "test"} <= set(targets)
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    described = dict(re.findall(r"^([a-z-]+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert set(targets) <= set(described)


def test_the_licence_names_both_licences():
    text = (ROOT / "LICENSE").read_text()
    assert "MIT License" in text
    assert re.search(r"CC[ -]BY|Creative Commons Attribution", text)


@pytest.mark.parametrize("requirement", BUILD)
def test_the_lock_holds_what_builds_the_package(requirement):
    wanted = Requirement(requirement)
    versions = LOCKED[canonicalize_name(wanted.name)]
    assert all(wanted.specifier.contains(version) for version in versions)

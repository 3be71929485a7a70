"""The archive: read by `rocrate` itself, whole, of the same bytes, and true in what it says."""

import json
import shutil
import subprocess
import zipfile
from urllib.parse import unquote

import pytest
from rocrate import vocabs
from rocrate.rocrate import ROCrate

from rs_lib.book import __main__ as command_line
from rs_lib.book import archive, citation, records, site
from rs_lib.book.contents import SiteError
from rs_lib.book.crate import METADATA
from rs_lib.book.house import House
from rs_lib.record import digests, places, result


def _git(house, *arguments):
    name = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *arguments], cwd=house.root, check=True, capture_output=True)


@pytest.fixture
def built(tiny):
    """The tiny house in git, with the modules of its experiments, a result behind its figure."""
    for name in ("attack_in_ball", "certified_accuracy"):
        path = tiny.root / "rs_lib" / "experiments" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(places.HERE.root / "rs_lib" / "experiments" / f"{name}.py", path)
    for name in ("LICENSE", ".gitignore", "postBuild"):
        shutil.copy(places.HERE.root / name, tiny.root)
    record = json.loads((tiny.figures / "fig-tiny.json").read_text())
    digest = result.read(tiny.results / "attack-in-ball.full.json").digest
    record["run"]["inputs"] = {"attack-in-ball.full": digest, "certified-accuracy.full": "0" * 64}
    (tiny.figures / "fig-tiny.json").write_text(json.dumps(record))
    intro = tiny.book / "intro.md"
    intro.write_text(intro.read_text() + "\n```{bibliography}\n```\n")
    for page in ("index", *site.contents.pages(tiny)):  # what is on them does not matter here
        (tiny.html / page).parent.mkdir(parents=True, exist_ok=True)
        (tiny.html / f"{page}.html").write_text(f"<title>{page}</title>")
    (tiny.html / "a name, ünusual %.txt").write_text("x")
    (tiny.built / "site.key").write_text(site.key(tiny))
    _git(tiny, "init", "-q")
    _git(tiny, "add", "-A")
    _git(tiny, "commit", "-qm", "All")
    return tiny


def _assert_whole(path):
    """Every file that the metadata name is in the ZIP, and conversely; digests and terms hold."""
    crate = ROCrate(path)
    named = {unquote(part.id): part for part in crate.get_by_type("File")}
    with zipfile.ZipFile(path) as bundle:
        inside = bundle.namelist()
        assert len(set(inside)) == len(inside)
        assert set(named) == set(inside) - {METADATA}
        for name, part in named.items():
            data = bundle.read(name)
            assert (part["sha256"], part["contentSize"]) == (digests.sha256(data), str(len(data)))
        stored = json.loads(bundle.read(METADATA))
    known = vocabs.RO_CRATE["@context"]
    identifiers = [entity["@id"] for entity in stored["@graph"]]
    assert len(set(identifiers)) == len(identifiers)
    parts = {part["@id"] for part in stored["@graph"][0]["hasPart"]}
    assert parts == {part.id for part in named.values()}
    for entity in stored["@graph"]:
        kinds = entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]]
        assert not {*kinds, *(key for key in entity if key[0] != "@")} - set(known), entity
        for value in entity.values():
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict) and part["@id"] != "https://w3id.org/ro/crate/1.2":
                    assert part["@id"] in identifiers, part
    return crate


def test_the_archive_of_a_house_is_whole_and_says_who_made_what(built):
    path = archive.make(built)
    crate = _assert_whole(path)
    cited = citation.load(built)
    assert path.stem == f"randomized-smoothing-derived-and-reproduced-{cited.version}"
    root = crate.root_dataset
    assert (root["name"], root["version"]) == (cited.title, cited.version)
    assert root["datePublished"] == cited.released
    assert [author["name"] for author in root["author"]] == [a.name for a in cited.authors]
    assert [terms["name"] for terms in root["license"]] == ["LICENSE", cited.license]
    assert root["mainEntity"].id == "html/index.html"
    figure = crate.get("book/figures/fig-tiny.svg")
    record = records.load(built.figures, "fig-tiny")
    assert (figure["caption"], figure["identifier"]) == ("A line.", record.digest)
    assert figure["isBasedOn"].id == "book/figures/fig-tiny.csv"
    assert figure["subjectOf"][0].id == "book/figures/fig-tiny.json"
    drawn = crate.get("#draw-fig-tiny")
    chapter, device = drawn["instrument"]
    assert (chapter.id, device["name"]) == ("notebooks/tiny.md", record.run["device"])
    # The record names another content of the second result than the one that is stored.
    assert [part.id for part in drawn["object"]] == ["book/results/attack-in-ball.full.json"]
    run = crate.get("#run-attack-in-ball.full")
    module, device = run["instrument"]
    assert module.id == "rs_lib/experiments/attack_in_ball.py"
    assert device["name"] == "A processor, 2 cores"
    assert run["startTime"] == "2026-01-02T03:04:05+00:00"
    assert run["result"][0].id == "book/results/attack-in-ball.full.json"
    assert {drawn.id, run.id} <= {part.id for part in root["mentions"]}
    assert crate.get("requirements.lock")["description"]


def test_equal_files_make_equal_bytes_and_other_files_others(built, tmp_path):
    first = archive.make(built).read_bytes()
    clone = House(tmp_path / "clone")
    shutil.copytree(built.root, clone.root)  # files of another time
    assert archive.make(clone).read_bytes() == first
    (clone.root / "LICENSE").write_text("other terms")
    assert archive.make(clone).read_bytes() != first
    assert archive.commit(clone) == f"{archive.commit(built)}+"


def test_the_archive_holds_what_git_tracks_and_the_pages_and_nothing_else(built):
    (built.root / "notes.txt").write_text("mine")
    names = set(archive.files(built))
    assert "notes.txt" not in names
    assert {"_config.yml", "CITATION.cff", "requirements.lock", "html/chapters/tiny.html"} <= names
    assert not [name for name in names if name.startswith(("_build", "book/chapters"))]
    with zipfile.ZipFile(archive.make(built)) as bundle:
        modes = {entry.filename: entry.external_attr >> 16 for entry in bundle.infolist()}
    assert modes["postBuild"] & 0o111
    assert not modes["LICENSE"] & 0o111


@pytest.mark.parametrize(
    "missing", ["html/intro.html", "site.key", "../book/chapters/tiny.key.json"]
)
def test_a_book_that_is_not_built_is_one_sentence(built, missing, monkeypatch, capsys):
    (built.built / missing).unlink()
    monkeypatch.setattr(command_line, "House", lambda: built)
    assert command_line.main(["archive"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("run `make book` first")
    assert not (built.built / "archive").exists()


def test_a_book_of_other_sources_is_not_archived(built):
    path = built.root / "CITATION.cff"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(SiteError, match="no rendered book of the present sources"):
        archive.make(built)


def test_a_house_without_git_and_a_result_without_its_module_are_one_sentence(built):
    _git(built, "rm", "-q", "--cached", "rs_lib/experiments/attack_in_ball.py")
    with pytest.raises(
        SiteError, match=r"lacks rs_lib/experiments/attack_in_ball\.py: is it in git"
    ):
        archive.make(built)
    shutil.rmtree(built.root / ".git")
    with pytest.raises(SiteError, match=r"^git does not know the files of this checkout"):
        archive.make(built)
    assert not (built.built / "archive").exists()


def test_the_command_tells_where_the_archive_lies(built, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: built)
    assert command_line.main(["archive"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("_build/archive/randomized-smoothing-derived-and-reproduced-")
    (built.root / "LICENSE").write_text("other terms")
    assert command_line.main(["archive"]) == 0
    assert "changes that are in no commit" in capsys.readouterr().out


def test_the_archive_of_the_book_is_whole():
    """Of the sources and pages that are there: the first build makes them."""
    if site.missing_pages(House()):
        pytest.skip("there is no rendered book")
    crate = _assert_whole(archive.write(House()))
    figures = crate.get_by_type("ImageObject")
    assert len(figures) == len(records.figure_ids(House().figures))
    runs = {action.id for action in crate.get_by_type("CreateAction")}
    for path in House().results.glob("*.*.json"):
        assert f"#run-{path.stem}" in runs

"""Whatever is typed behind `python -m rs_lib.book`: one sentence, status 2, and no file."""

import pytest

from rs_lib.book import __main__ as command_line
from rs_lib.book import run_page, runner

DEEP = ("[" * 200_000, "-" * 200_000 + "1", "(" * 300 + ")" * 300, "not " * 50_000 + "1")
VALUES = (
    *("", " ", "x", "1e999", "-1e999", "nan", "1j", 'b"x"', '"', "\\", "\0", "a\nb", "\udcff"),
    *(
        "{[]:1}",
        "[1,",
        "9" * 5_000,
        '__import__("os")',
        "lambda: 0",
        'f"{1}"',
        "...",
        "None",
        "1;2",
    ),
    *DEEP,
)
NAMES = (
    *("", ".", "..", "../..", "../../../evil", "/etc/passwd", "~", "*", "%2e%2e/x", "\udcff"),
    *("tiny\0", "tiny\n", "tiny/", "./tiny", "tiny.md", "TINY", "tin", "ti ny", "t" * 5_000),
    *(
        "fig-",
        "fig-/../x",
        "fig-tiny.json",
        "FIG-TINY",
        "fig-tiny\0",
        "fig-é",
        "fig-tiny/../fig-tiny",
    ),
)
FOLDERS = (
    *("", "/dev/null", "/dev/null/x", "file", "file/x", "loop", "a/" + "b" * 300, "c" * 300, "\0"),
    *("x\0y", "/proc/x", "/sys/x", "a/b/" * 2_000, "record", "record/new"),
)
COMMANDS = [
    *(
        [command, name]
        for command in ("redraw", "chapter", "parameters", "verify")
        for name in NAMES
    ),
    *(["verify", "tiny", name] for name in NAMES[:3]),
    *(["chapter", "tiny", "-p", f"points={value}"] for value in VALUES),
    *(["chapter", "tiny", "-p", f"share={value}"] for value in VALUES),
    *(["chapter", "tiny", "-p", f"loud={value}"] for value in VALUES),
    *(["chapter", "tiny", "-p", f"profile={value}"] for value in VALUES),
    ["chapter", "tiny", "-p", "profile=full", "-p", "points=3"],
    *(["chapter", "tiny", f"-p{value}=1"] for value in VALUES),
    *(["chapter", "tiny", f"--parameter={value}"] for value in VALUES),
    *(["chapter", "tiny", "-p", f"device={value}"] for value in ("", "a\nb", "\0", "\udcff")),
    ["chapter", "tiny", "-p", "points=1", "-p", "points=2"],
    *(["redraw", "fig-tiny", "--out", folder] for folder in FOLDERS),
    *(["serve", "--port", port] for port in ("-1", "65536", "9" * 50)),
]
MISUSED = [
    *([], ["bogus"], [""], ["build", "x"], ["redraw"], ["chapter"], ["chapter", "tiny", "-p"]),
    ["parameters"],
    *(["redraw", "fig-tiny", "--out"], ["redraw", "fig-tiny", "fig-tiny"], ["--out", "x"]),
    *(["serve", "--port", port] for port in ("", "x", "1e3", "0x50", "80.0", "nan", "\udcff")),
]


@pytest.fixture(scope="module")
def place(pristine, tmp_path_factory):
    """A folder to work in, with a file and links; the tiny house stands for the book."""
    place = tmp_path_factory.mktemp("place")
    (place / "file").write_text("x")
    (place / "loop").symlink_to("loop")
    (place / "record").symlink_to(pristine.figures)
    (place / "fig-evil.json").write_text("{")
    return place


def _files(*folders):
    return {path: path.lstat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


def _label(arguments):
    return ascii(" ".join(arguments))[:60]


@pytest.mark.parametrize("arguments", COMMANDS, ids=_label)
def test_bad_input_is_one_sentence_and_leaves_no_file(
    pristine, place, monkeypatch, capsys, arguments
):
    def ran(*_, **__):
        pytest.fail("a chapter ran")

    monkeypatch.setattr(command_line, "House", lambda: pristine)
    monkeypatch.setattr(runner.papermill, "execute_notebook", ran)
    monkeypatch.chdir(place)
    before = _files(pristine.root, place)
    assert command_line.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("rs_lib.book: ")
    assert error.count("\n") == 1
    assert error.isascii() or error.replace("\n", "").isprintable()
    assert len(error) < 600
    assert _files(pristine.root, place) == before


@pytest.mark.parametrize("arguments", MISUSED, ids=_label)
def test_a_misused_command_tells_its_usage(pristine, place, monkeypatch, capsys, arguments):
    monkeypatch.setattr(command_line, "House", lambda: pristine)
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ")


def test_redraw_fills_a_new_folder_and_no_other(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    new = tmp_path / "a" / "b"
    assert command_line.main(["redraw", "fig-tiny", "--out", str(new)]) == 0
    assert sorted(path.name for path in new.iterdir()) == ["fig-tiny.pdf", "fig-tiny.svg"]
    for path in new.iterdir():
        assert path.read_bytes() == (tiny.figures / path.name).read_bytes()
    (new / "fig-tiny.svg").unlink()
    (new / "fig-tiny.pdf").unlink()
    (new / "fig-tiny.svg").mkdir()
    assert command_line.main(["redraw", "fig-tiny", "--out", str(new)]) == 2
    assert [path.name for path in new.iterdir()] == ["fig-tiny.svg"]
    assert "remove the folder fig-tiny.svg there" in capsys.readouterr().err


def test_an_interrupted_command_says_so(tiny, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "House", lambda: tiny)
    monkeypatch.setattr(runner, "run", interrupted)
    assert command_line.main(["chapter", "tiny"]) == 130
    assert capsys.readouterr().err == (
        "rs_lib.book: interrupted; the same command goes on where it stopped\n"
    )


def test_a_chapter_tells_its_plan_before_and_its_figures_after(tiny, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    assert command_line.main(["chapter", "tiny"]) == 0
    plan, ran, figure = capsys.readouterr().out.splitlines()
    assert plan.startswith("tiny: digits and what is recorded")
    assert ran == "tiny: fresh, nothing to run"
    assert figure == "  fig-tiny: identical (data and picture, byte for byte)"


def test_the_plan_of_a_run_at_scale_names_experiments_and_what_they_took(tiny):
    source = tiny.source("tiny")
    lines = (
        "from rs_lib.experiments import attack_in_ball, certified_accuracy, noise_map\n"
        "if profile == 'full':\n"
        "    for name in (attack_in_ball, certified_accuracy, noise_map):\n"
        "        name.experiment.run('full')\n"
    )
    source.write_text(source.read_text().replace("import sympy as sp\n", lines, 1))
    assert run_page.plan(tiny, "tiny", "full")[1:] == [
        "  attack-in-ball: 10 min, on A processor, 2 cores, when last recorded",
        "  certified-accuracy: 10 min, on A processor, 2 cores, when last recorded",
        "  noise-map: not yet recorded",
    ]

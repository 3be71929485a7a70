"""The chapter runner: strict, reproducible, fresh by content, and safe to kill at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from conftest import CHAPTER, HEAD, build_house

from rs_lib.book import __main__ as command_line
from rs_lib.book import figures, house, parameters, records, runner
from rs_lib.book.house import House
from rs_lib.book.runner import ChapterError
from rs_lib.record import digests, files


def _cell(code):
    return f"\n```{{code-cell}} ipython3\n{code}\n```\n"


def _fresh(house, **given):
    return runner.fresh(house, runner.prepare(house, "tiny", given))


def _files(*folders):
    return {path: path.read_bytes() for folder in folders for path in folder.iterdir()}


def _append(path, text):
    path.write_text(path.read_text() + text)


def test_an_executed_chapter_is_complete_and_clean(pristine):
    text = pristine.executed("tiny").read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [f"tiny-{i}" for i in range(len(notebook.cells))]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "papermill" not in text
    assert "a warning" not in text.replace('print(\\"a warning', "")
    assert str(pristine.root) not in text
    printed = [output.text for cell in code for output in cell.outputs if "text" in output]
    assert printed == ["first\nsecond\n"]


def test_a_fresh_chapter_is_not_run_and_an_altered_one_becomes_the_same_again(tiny, capsys):
    def products():
        folders = (tiny.chapters, tiny.drawn)
        files = (path for folder in folders for path in folder.iterdir())
        # The record of a run and the digests of all files tell of the last one.
        return {path: path.read_bytes() for path in files if path.suffix != ".json"}

    before = products()
    assert not runner.run(tiny, "tiny")
    tiny.executed("tiny").unlink()
    (tiny.drawn / "fig-tiny.pdf").unlink()
    (tiny.drawn / "fig-tiny.svg").write_text("<svg/>")
    assert runner.run(tiny, "tiny")
    assert capsys.readouterr().err.count("a warning") == 1
    assert products() == before
    assert not runner.run(tiny, "tiny")


def test_freshness_does_not_look_at_times(tiny):
    for path in tiny.root.rglob("*"):
        path.touch()
    assert _fresh(tiny)


def test_verify_runs_a_fresh_chapter_elsewhere_and_leaves_the_record(tiny, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    before = tiny.executed("tiny").read_bytes()
    assert command_line.main(["verify"]) == 0
    assert "fig-tiny: identical (data and picture, byte for byte)" in capsys.readouterr().out
    assert tiny.executed("tiny").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    {
        "a word": lambda h: _append(h.source("tiny"), "\nWord.\n"),
        "the lock": lambda h: _append(h.lock, "scipy==1.0\n"),
        "a result": lambda h: _append(h.results / "attack-in-ball.full.json", " "),
        "a result below": lambda h: _append(h.results / "certified-accuracy.full.json", " "),
        "a published value": lambda h: _append(h.published, "\n"),
        "a source": lambda h: _append(h.bibliography, "\n"),
        "a lost figure": lambda h: (h.drawn / "fig-tiny.svg").unlink(),
        "an altered figure": lambda h: _append(h.drawn / "fig-tiny.csv", "two,1,1\n"),
        "a lost chapter": lambda h: h.executed("tiny").unlink(),
        "an altered chapter": lambda h: _append(h.executed("tiny"), "\n"),
        "a lost key": lambda h: (h.chapters / "tiny.key.json").unlink(),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_a_chapter_depends_on_makes_it_run(tiny, change):
    assert _fresh(tiny)
    change[1](tiny)
    assert not _fresh(tiny)


def test_a_parameter_makes_it_run_unless_it_is_the_default(tiny):
    assert not _fresh(tiny, points="2")
    assert _fresh(tiny, points="3")


@pytest.mark.parametrize(
    "change",
    {
        "another chapter": lambda h: (h.notebooks / "other.md").write_text(HEAD + "# Other\n"),
        "a frame page": lambda h: _append(h.book / "intro.md", "More.\n"),
        "another's result": lambda h: (h.results / "other-thing.full.json").write_text("{}"),
        "a stray temporary file": lambda h: (h.drawn / ".fig-x.json.abc").write_text("{"),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_a_chapter_does_not_use_leaves_it_fresh(tiny, change):
    change[1](tiny)
    assert _fresh(tiny)


def test_the_library_makes_it_run_where_it_is_used_and_means_something(tiny, library_copy):
    used, unused = library_copy / "book" / "style.py", library_copy / "book" / "site.py"
    _append(used, "\n# a remark\n")
    used.write_text(used.read_text().replace('"""The look', '"""The very look'))
    _append(unused, "\nx = 1\n")
    assert _fresh(tiny)
    _append(used, "\nx = 1\n")
    assert not _fresh(tiny)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"pionts": "3"}, "parameter 'pionts' is unknown to tiny"),
        ({"points": "three"}, "parameter points is 'three'"),
        ({"profile": "slow"}, "profile is 'slow'"),
    ],
)
def test_bad_parameters_stop_before_anything_runs(tiny, monkeypatch, given, named):
    monkeypatch.setattr(runner.papermill, "execute_notebook", lambda *_, **__: pytest.fail("ran"))
    with pytest.raises(ValueError, match=named):
        runner.run(tiny, "tiny", given)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chapter", "tiny", "-p", "points=x"], "parameter points is 'x'"),
        (["chapter", "tiny", "-p", "points"], "write NAME=VALUE"),
        (["chapter", "tny"], "chapter is 'tny': give one of tiny"),
        (["verify", "tny"], "chapter is 'tny': give one of tiny"),
        (["redraw", "fig-nowhere"], "figure is 'fig-nowhere'"),
        (["serve"], "there is no rendered book"),
    ],
)
def test_bad_input_on_the_command_line_is_one_sentence_and_status_2(
    tiny, monkeypatch, capsys, arguments, told
):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    assert command_line.main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("rs_lib.book: ")
    assert error.count("\n") == 1


def test_verify_tells_a_wrong_name_before_any_chapter_runs(tiny, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    monkeypatch.setattr(runner.papermill, "execute_notebook", lambda *_, **__: pytest.fail("ran"))
    assert command_line.main(["verify", "tiny", "../../tiny"]) == 2
    assert "chapter is '../../tiny': give one of tiny" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../evil", "evil", "..", "", "tiny/", "sub/tiny", "Tiny"])
def test_no_notebook_outside_the_notebooks_is_a_chapter(tiny, name):
    (tiny.root / "evil.md").write_text(CHAPTER)
    (tiny.notebooks / "sub").mkdir()
    (tiny.notebooks / "sub" / "tiny.md").write_text(CHAPTER)
    (tiny.notebooks / "Tiny.md").write_text(CHAPTER)
    with pytest.raises(ValueError, match=f"chapter is '{name}': give one of tiny$"):
        runner.run(tiny, name)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"key": "x"}', '{"figures": 5}', '{"figures": {"../x": "d"}}']
)
def test_a_damaged_key_makes_the_chapter_run_again(tiny, text):
    (tiny.chapters / "tiny.key.json").write_text(text)
    assert not _fresh(tiny)


def test_a_key_reads_no_file_outside_the_record(tiny):
    path = tiny.chapters / "tiny.key.json"
    kept = json.loads(path.read_text())
    (tiny.book / "x").write_text("x")
    kept["figures"]["../x"] = digests.sha256("x")
    path.write_text(json.dumps(kept))
    assert not _fresh(tiny)


@pytest.mark.parametrize("text", ["{", "5", '{"chapter": "x"}', "[" * 100_000])
def test_a_context_of_another_form_is_refused(monkeypatch, text):
    monkeypatch.setenv(house.CONTEXT_VARIABLE, text)
    with pytest.raises(ValueError, match=r"^RS_CHAPTER_CONTEXT is .*: unset it"):
        house.current_context()


def test_an_untyped_parameter_stops_before_anything_runs(tiny):
    source = tiny.source("tiny")
    source.write_text(source.read_text().replace("points: int = 3", "points = 3"))
    with pytest.raises(ValueError, match="parameter points has the type None: annotate it"):
        runner.run(tiny, "tiny")


def test_a_cell_that_is_no_python_stops_before_anything_runs(tiny):
    _append(tiny.source("tiny"), _cell("%matplotlib inline"))
    with pytest.raises(ChapterError, match="tiny: a code cell is no Python"):
        runner.prepare(tiny, "tiny")


def test_given_parameters_reach_the_kernel_and_the_record(tiny):
    source = tiny.source("tiny").read_text().replace("[1.0, 2.0, 3.0]", "[1.0, 2.0]")
    tiny.source("tiny").write_text(source + _cell("print(points, share, loud, device)"))
    book = _files(tiny.chapters, tiny.drawn, tiny.figures)
    runner.run(tiny, "tiny", {"points": "2", "share": "1", "loud": "True", "device": "here"})
    folder = tiny.turned / "tiny"
    notebook = nbformat.read(folder / "tiny.ipynb", as_version=4)
    assert notebook.cells[-1].outputs[0].text == "2 1.0 True here\n"
    assert "A changed run: points = 2, share = 1.0, loud = True." in notebook.cells[0].source
    turned = {"points": 2, "share": 1.0, "loud": True}
    assert records.load(folder, "fig-tiny").run["parameters"] == {"profile": "quick", **turned}
    captions = [
        output.data["text/markdown"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    assert len(captions) == 1
    assert "*A changed run: points = 2, share = 1.0, loud = True.*" in captions[0]
    assert _files(tiny.chapters, tiny.drawn, tiny.figures) == book


BOUND = 'from rs_lib.arguments import integer\n\ninteger("parameter points", points, least=1)'


def test_a_parameter_out_of_bounds_is_one_sentence_and_leaves_no_notebook(
    tiny, monkeypatch, capsys
):
    source = tiny.source("tiny")
    source.write_text(source.read_text().replace("import sys\nimport time", BOUND, 1))
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    assert command_line.main(["chapter", "tiny", "-p", "points=-1"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "rs_lib.book: parameter points is -1: give whole numbers of at least 1"
    assert list((tiny.turned / "tiny").iterdir()) == []


def test_the_parameters_of_a_chapter_are_listed(tiny, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    assert command_line.main(["parameters", "tiny"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "profile: str = 'quick'  the only one",
        "device: str = 'cpu'     where",
        "points: int = 3         how many",
        "share: float = 0.5      of what",
        "loud: bool = False",
    ]


def _broken_house(tmp_path, text):
    return build_house(tmp_path / "broken", tiny=HEAD + "# Broken\n" + text)


def _assert_nothing_was_made(house):
    assert list(house.chapters.iterdir()) == []


def test_a_false_claim_stops_the_chapter_and_the_command(tmp_path, monkeypatch, capsys):
    false = 'from rs_lib.book import claims\nclaims.exact("thm-x", (2 + 2, 5), how="counted")'
    house = _broken_house(tmp_path, _cell("x = 1") + _cell(false) + _cell("print('after')"))
    monkeypatch.setattr(command_line, "House", lambda: house)
    assert command_line.main(["chapter", "tiny"]) == 1
    error = capsys.readouterr().err
    assert "tiny: cell 2 failed: ClaimError: thm-x: pair 0 differs: 4 is not 5" in error
    assert "Traceback" in error
    assert "2 + 2, 5" in error
    assert "\x1b" not in error
    _assert_nothing_was_made(house)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys\nsys.exit()", r"tiny: cell 1 leaves the chapter by sys\.exit"),
        ("import os\nos._exit(3)", "tiny: .*[Kk]ernel died"),
        ("import time\ntime.sleep(60)", "(?s)tiny: .*time.* 2 seconds"),
    ],
    ids=["exit", "dead kernel", "time limit"],
)
def test_a_chapter_that_does_not_come_to_its_end_is_an_error(tmp_path, monkeypatch, code, told):
    monkeypatch.setitem(runner.CELL_SECONDS, "quick", 2)
    house = _broken_house(tmp_path, _cell(code) + _cell("print('after')"))
    started = time.monotonic()
    with pytest.raises(ChapterError, match=told):
        runner.run(house, "tiny")
    assert time.monotonic() - started < 30
    _assert_nothing_was_made(house)


WRONG = """
```{prf:theorem}
:label: thm-bare
```

```{prf:lemma} Without a label
```

$$ a $$ (eq-bare)

```{include} figures/fig-lost.md
```

```{figure} ../figures/by-hand.svg
:alt: Something.
```

:::{image} colons.svg
:::

![A picture](inline.png)

<img src="tag.png">
"""


def test_everything_that_is_wrong_with_a_page_is_told_at_once(tmp_path):
    house = _broken_house(
        tmp_path,
        WRONG
        + _cell('from rs_lib.book import claims\nclaims.definition("eq-unwritten")')
        + _cell(
            "from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"
        )
        + _cell(
            "import pandas as pd\nfrom rs_lib.book import figures\n"
            "from rs_lib.book.drawings import neyman_pearson as drawings\n"
            'data = pd.DataFrame({"series": "a", "n": [1, 2], "radius": [1.0, 2.0]})\n'
            'figures.publish(drawings.ceiling, "fig-alone", data=data, caption="A line.",\n'
            '    alt="A line that rises from left to right.")'
        ),
    )
    with pytest.raises(ChapterError) as error:
        runner.run(house, "tiny")
    told = str(error.value).splitlines()
    assert told[0] == "tiny:"
    assert [line.strip() for line in told[1:]] == [
        "1 theorem-like blocks do not begin with a :label:",
        "label thm-bare has no claim",
        "label eq-bare has no claim",
        "claim eq-unwritten has no label",
        "cell 2 shows a picture that is not published: call figures.publish",
        "figure fig-lost is included, not published",
        "figure fig-alone is published, not included",
        *(
            f"a figure or image is written by hand ({text}): publish it instead"
            for text in (
                "```{figure} ../figures/by-hand.svg",
                ":::{image} colons.svg",
                "![A picture](inline.png)",
                '<img src="tag.png">',
            )
        ),
    ]
    _assert_nothing_was_made(house)


# For every line of its input: a process that runs the chapter, with the imports already made, and
# that kills itself after so many seconds (a killer outside could come when it has ended already).
STARTER = """
import json, os, signal, sys, threading
from pathlib import Path
from rs_lib.book import runner
from rs_lib.book.house import House
for line in sys.stdin:
    root, seconds = json.loads(line)
    child = os.fork()
    if not child:
        if seconds is not None:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        runner.run(House(Path(root)), "tiny")
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@contextmanager
def _starter():
    """Give a function that starts a run, kills it after so many seconds, returns its status."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:

        def start(house, seconds=None):
            process.stdin.write(json.dumps([str(house.root), seconds]) + "\n")
            process.stdin.flush()
            return os.waitstatus_to_exitcode(int(process.stdout.readline()))

        yield start
        process.stdin.close()


def _assert_whole(house):
    """Every product of the house that counts as one is complete."""
    executed = house.executed("tiny")
    if executed.is_file():
        nbformat.validate(nbformat.read(executed, as_version=4))
    for figure_id in figures.figure_ids(house.drawn):
        assert records.load(house.drawn, figure_id).content["id"] == figure_id
    for path in house.drawn.glob("fig-*.svg"):
        ElementTree.parse(path)  # noqa: S314 (our own file)
    for path in house.drawn.glob("fig-*.pdf"):
        assert path.read_bytes().rstrip().endswith(b"%%EOF")
    for path in house.chapters.glob("*.json"):
        assert set(json.loads(path.read_text())) == {"key", "notebook", "figures"}


def test_a_killed_run_leaves_nothing_or_everything_and_the_next_one_succeeds(tmp_path, pristine):
    moments = np.random.default_rng(1933)
    house = build_house(tmp_path / "house", tiny=CHAPTER)
    with _starter() as start:
        start(house, 0)  # waits for the imports
        started = time.monotonic()
        assert start(house) == 0
        whole = time.monotonic() - started
        assert house.executed("tiny").read_bytes() == pristine.executed("tiny").read_bytes()
        ends = []
        for number, part in enumerate(moments.uniform(0.1, 1.0, 5)):
            house = build_house(tmp_path / f"house-{number}", tiny=CHAPTER)
            ends.append(start(house, whole * part))
            _assert_whole(house)
    assert set(ends) <= {0, -signal.SIGKILL}
    assert -signal.SIGKILL in ends
    time.sleep(2)  # within one second an orphaned kernel sees that nobody waits for it
    runner.run(house, "tiny")
    assert house.executed("tiny").read_bytes() == pristine.executed("tiny").read_bytes()
    assert _fresh(house)


def test_a_run_killed_between_notebook_and_key_is_not_taken_for_the_older_one(tiny):
    newer = tiny.executed("tiny").read_text().replace("first", "third")
    files.write_atomically(tiny.executed("tiny"), newer)
    assert not _fresh(tiny)


@pytest.mark.parametrize("chapter", House().chapter_names())
def test_every_chapter_of_the_book_can_be_prepared(chapter):
    prepared = runner.prepare(House(), chapter)
    assert prepared.parameters["profile"] == "quick"
    assert prepared.parameters["device"] == "cpu"
    known = parameters.declared(prepared.notebook)
    assert {"profile", "device"} <= set(known)
    assert all(parameter.comment for parameter in known.values())
    assert set(parameters.PROFILES) == set(runner.CELL_SECONDS)

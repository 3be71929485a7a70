"""What is due and in which order; runs within a budget; results taken from another machine."""

import base64
import dataclasses
import json
import lzma
import math
import os
import subprocess
import sys
import time
from math import inf

import pytest

from rs_lib import __main__ as command_line
from rs_lib import experiments
from rs_lib.commands import plan, run_all
from rs_lib.commands.plan import Task
from rs_lib.experiments import placed_balls
from rs_lib.record import devices, places, result, witness
from rs_lib.record.result import PACKED, Result


def _packed(text):
    return base64.b64encode(lzma.compress(text.encode())).decode()


@pytest.fixture(scope="module")
def made():
    """A result as another machine of the same code leaves it."""
    experiment = placed_balls.experiment
    changed = experiment.run("quick", changes={"tries": 3})
    return Result(changed.content, {**changed.run, "device": "Some GPU"})


class Empty(places.Places):
    """This checkout with a record of its own, and the witnesses that it has."""

    book = None
    stages = None


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The checkout without results and stages."""
    here = Empty()
    monkeypatch.setattr(Empty, "book", tmp_path / "book")
    monkeypatch.setattr(Empty, "stages", tmp_path / "stages")
    monkeypatch.setattr(places, "HERE", here)
    return here


def told(command, capsys):
    status = command_line.main(command)
    return status, capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("12m", 720), ("1h30m", 5400), ("0.5h", 1800)]
)
def test_times_are_read(text, seconds):
    assert plan.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "12", "m", "12 m", "-3m", "0s", "1h 30m", "nan", "1e9h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="give one such as 90s, 12m or 1h30m"):
        plan.duration(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "unknown"), (0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3900, "1 h 05 min")],
)
def test_times_are_told(seconds, words):
    assert plan.told(seconds) == words


def stored(experiment, made, name, **run):
    other = Result({**made.content, "experiment": name}, {**made.run, **run})
    other.write(experiment.path("quick"))


def test_urgent_and_short_experiments_come_first(house, made, monkeypatch):
    """Pending and stale before reduced; among equals the shortest; what is good not at all."""
    own = devices.described("cpu")
    balls = placed_balls.experiment
    copies = {}
    for name in ("long", "short", "stale", "pending", "moved", "good"):
        copies[name] = dataclasses.replace(balls, module=f"rs_lib.experiments.{name}")
    monkeypatch.setattr(experiments, "names", lambda: list(copies))
    monkeypatch.setattr(experiments, "find", copies.__getitem__)
    whole = Result({**made.content, "parameters": dataclasses.asdict(balls.profiles["quick"])}, {})
    stored(copies["long"], made, "long", device=own, work_seconds=500.0)
    stored(copies["short"], made, "short", device=own, work_seconds=5.0)
    stored(copies["stale"], made, "stale", device=own, work_seconds=50.0, version=0)
    for name in ("moved", "good"):
        run = {**made.run, "device": own}
        Result({**whole.content, "experiment": name}, run).write(copies[name].path("quick"))
    monkeypatch.setattr(type(balls), "code", made.run["code"])
    names = [(task.name, task.state, task.seconds) for task in plan.due("quick", "cpu")]
    assert names == [
        ("stale", "stale", 50.0),
        ("pending", "pending", None),
        ("short", "reduced", 5.0),
        ("long", "reduced", 500.0),
    ]


def test_a_result_of_the_processor_is_due_where_a_gpu_is(house, made, monkeypatch):
    monkeypatch.setattr(devices, "described", lambda device: "Some GPU")
    experiment = placed_balls.experiment
    run = {**made.run, "device": "A processor, 2 cores", "work_seconds": 9.0}
    content = {**made.content, "parameters": dataclasses.asdict(experiment.profiles["quick"])}
    Result(json.loads(json.dumps(content)), run).write(experiment.path("quick"))
    due = {task.name: task for task in plan.due("quick", "cuda")}
    assert due["placed-balls"] == Task("placed-balls", "quick", "of another device", None)
    assert "placed-balls" not in {task.name for task in plan.due("quick", "cpu")}


def test_a_result_in_the_other_folder_counts(house, made, tmp_path):
    experiment = placed_balls.experiment
    content = {**made.content, "parameters": dataclasses.asdict(experiment.profiles["quick"])}
    Result(json.loads(json.dumps(content)), made.run).write(tmp_path / "placed-balls.quick.json")
    assert "placed-balls" in {task.name for task in plan.due("quick", "cpu")}
    assert "placed-balls" not in {task.name for task in plan.due("quick", "cpu", tmp_path)}


def test_what_fits_is_taken_first_and_a_long_one_begun_when_nothing_fits():
    tasks = [Task("long", "full", "pending", 100.0), Task("short", "full", "reduced", 5.0)]
    assert plan.fitting(tasks, 1000).name == "long"
    assert plan.fitting(tasks, 50).name == "short"
    assert plan.fitting(tasks, 1).name == "long"
    assert plan.fitting([Task("new", "full", "pending", None)], 1).name == "new"
    assert plan.fitting([], 1) is None


def test_a_budget_ends_a_run_which_then_goes_on(tmp_path, monkeypatch, capfd):
    """The first run ends in time without a result; the second finishes what is due."""
    slow = Task("certified-test-set", "quick", "pending", None)
    quick = Task("placed-balls", "quick", "pending", 1.0)
    monkeypatch.setattr(run_all, "due", lambda *_: [slow, quick])
    start = time.monotonic()
    assert run_all.run_all("quick", "cpu", 6.0, tmp_path, dry=False) == 0
    assert time.monotonic() - start < 6 + run_all.GRACE + 2
    out = capfd.readouterr().out
    command = f"python -m rs_lib run certified-test-set --profile quick --out {tmp_path}"
    assert f"  {command}   (unknown)" in out
    assert list(tmp_path.glob("*")) == list(tmp_path.glob("placed-balls.quick.json"))
    monkeypatch.setattr(run_all, "due", lambda *_: [quick])
    assert run_all.run_all("quick", "cpu", inf, tmp_path, dry=False) == 0
    assert "done: placed-balls" in capfd.readouterr().out
    assert (
        placed_balls.experiment.reductions(result.read(tmp_path / "placed-balls.quick.json")) == {}
    )


def test_a_failure_is_told_and_the_rest_runs(tmp_path, monkeypatch, capfd):
    bad = Task("placed-balls", "no such profile", "pending", None)
    good = Task("placed-balls", "quick", "pending", None)
    monkeypatch.setattr(run_all, "due", lambda *_: [bad, good])
    assert run_all.run_all("quick", "cpu", inf, tmp_path, dry=False) == 1
    told = capfd.readouterr()
    assert "failed: placed-balls" in told.out
    assert "done: placed-balls" in told.out
    assert "give one of" in told.err


def test_the_plan_alone_runs_nothing(house, tmp_path, capsys):
    status, out = told(["run", "--all", "--dry-run", "--out", str(tmp_path / "out")], capsys)
    assert status == 0
    assert "placed-balls         pending            unknown" in out.out
    assert not (tmp_path / "out").exists()
    assert not house.stages.exists()


def test_results_of_another_machine_are_taken(house, made, tmp_path, capsys):
    made.write(tmp_path / "from there" / "placed-balls.quick.json")
    status, out = told(["collect", str(tmp_path / "from there"), "--record"], capsys)
    assert status == 0
    assert "placed-balls.quick.json: stored as " in out.out
    assert result.read(house.results / "placed-balls.quick.json").digest == made.digest


@pytest.mark.parametrize(
    ("spoilt", "record", "sentence"),
    [
        (lambda whole: whole["content"].update(experiment="none"), True, "experiment is 'none'"),
        (lambda whole: whole["content"].update(profile="none"), True, "profile is 'none'"),
        (lambda whole: None, False, "tries = 3 where its profile has"),
        (lambda whole: whole["content"].pop("values"), True, "b.json is no result"),
        *(
            (
                lambda whole, text=text: whole["content"].update(values={PACKED: text}),
                True,
                "b.json is no result",
            )
            for text in ("no base 64", "Tm90IHh6", _packed("{")[:-8], _packed("{"), _packed("[]"))
        ),
        (lambda whole: whole["run"].update(version=0), True, "was made by other code"),
        (lambda whole: whole["run"].update(code="0", witness={}), True, "was made by other code"),
        (lambda whole: whole.pop("content"), True, "b.json is no result"),
        (lambda whole: whole["content"]["parameters"].update(tries=0), True, "tries is 0"),
        (lambda whole: whole["content"]["parameters"].update(cheat=True), True, "'cheat' is un"),
        (lambda whole: whole["content"]["values"].update(more=math.nan), True, "b.json is no re"),
        (lambda whole: whole["content"]["values"].update(more=math.inf), True, "b.json is no re"),
        (lambda whole: whole["run"].pop("code"), True, "b.json is no result"),
        (lambda whole: whole["run"].pop("version"), True, "b.json is no result"),
        (lambda whole: whole["run"].update(version=True), True, "b.json is no result"),
        (lambda whole: whole.update(run=[]), True, "b.json is no result"),
        (lambda whole: whole["run"].update(witness={"x": 1}), True, "was made by other code"),
        (lambda whole: None, True, "a.json and b.json are results of one profile"),
    ],
)
def test_what_cannot_be_taken_is_refused_as_a_whole(
    house, made, tmp_path, capsys, spoilt, record, sentence
):
    folder = tmp_path / "from there"
    made.write(folder / "a.json")
    made.write(folder / "b.json")
    whole = json.loads((folder / "b.json").read_text())
    spoilt(whole)
    (folder / "b.json").write_text(json.dumps(whole))
    status, out = told(["collect", str(folder), *["--record"] * record], capsys)
    assert status == 2
    assert sentence in out.err
    assert out.err.count("\n") == 1
    assert not house.results.exists()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["run"], "experiment is missing: give its name, or --all"),
        (["run", "placed-balls", "--all"], "experiment is 'placed-balls': with --all leave it out"),
        (["run", "placed-balls", "--budget", "3m"], "budget and dry-run go with --all"),
        (["run", "--all", "--set", "n=3"], "set and record are for one experiment"),
        (["run", "--all", "--budget", "3"], "'3' is no time: give one such as"),
        (["run", "--all", "--profile", "none"], "profile is 'none': give one of"),
        (["collect", "."], "give one that holds results"),
    ],
)
def test_commands_that_make_no_sense_are_refused(command, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out = told(command, capsys)
    assert status == 2
    assert sentence in out.err


def test_torchrun_runs_one_experiment(capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, out = told(["run", "--all"], capsys)
    assert status == 2
    assert "torchrun runs one experiment, name it" in out.err


BARE = """
import sys

for name in ("tqdm", "sklearn", "pandas", "matplotlib", "IPython", "jupytext", "nbformat"):
    sys.modules[name] = None  # cannot be imported, as where it is not installed

from rs_lib import __main__ as command_line, bars
from rs_lib.record import places


class Elsewhere(places.Places):
    stages = None


Elsewhere.stages = places.Path(sys.argv[1]) / "stages"
places.HERE = Elsewhere()
assert bars.bar is bars.Silent
status = command_line.main(["run", "placed-balls", "--out", sys.argv[1] + "/out"])
status |= command_line.main(["run", "--all", "--profile", "full", "--dry-run"])
sys.exit(status)
"""


def test_a_machine_with_little_on_it_makes_results_that_are_taken(house, tmp_path, capsys):
    root = str(places.Places().root)
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "due, profile full:" in done.stdout
    [path] = (tmp_path / "out").iterdir()
    assert "witness" not in result.read(path).run
    status, out = told(["collect", str(tmp_path / "out")], capsys)
    assert status == 0, out.err
    taken = result.read(house.results / "placed-balls.quick.json")
    assert taken.run["witness"] == placed_balls.experiment.witnessed()


def test_where_no_witness_can_run_other_code_counts_as_stale(made, monkeypatch):
    monkeypatch.setattr(witness, "possible", lambda: False)
    assert not placed_balls.experiment.stale(made)
    other = Result(made.content, {**made.run, "code": "0"})
    assert placed_balls.experiment.stale(other)

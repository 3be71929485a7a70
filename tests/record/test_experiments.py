"""Experiments: strict parameters, results that say what made them, runs that go on."""

import dataclasses
import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from toys import TOY

from benchmarks import __main__ as benchmarks
from rs_lib import __main__ as command_line
from rs_lib import experiments
from rs_lib.book import notes
from rs_lib.book.house import House
from rs_lib.machines.data import DataError
from rs_lib.record import checkpoint, digests, places, result, witness
from rs_lib.record.result import LONG, Result

RUN_FIELDS = {
    *("device", "started", "wall_seconds", "stages_reused", "commit", "versions"),
    *("version", "code"),
}
OF_STAGES = {"stage_codes", "stages"}  # which results of November 2026 lack
WORK = {"work_seconds", "peak_memory"}  # which a result lacks where earlier stages do not tell


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        ("terms", 7, lambda p: p.terms),
        ("rate", 0.5, lambda p: p.rate),
        ("inner.levels", (2.0,), lambda p: p.inner.levels),
        ("inner.levels", (), lambda p: p.inner.levels),
        ("inner.name", "huge", lambda p: p.inner.name),
        ("exact", False, lambda p: p.exact),
    ],
)
def test_a_change_reaches_its_field_and_no_other(toy, path, value, changed):
    before = toy.experiment.parameters("quick")
    after = toy.experiment.parameters("quick", {path: value})
    assert changed(after) == value
    assert after != before
    assert toy.experiment.parameters("quick", {path: changed(before)}) == before


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("trems", 7, "'trems' is unknown: 'trems' is none of inner, terms, rate, exact"),
        ("inner.level", (1.0,), "'inner.level' is unknown: 'level' is none of levels, name"),
        ("terms.x", 3, "'terms.x' is unknown: 'terms' has no parts"),
        ("terms", 7.0, "terms is 7.0: give a int, such as 3"),
        ("terms", True, "terms is True: give a int"),
        ("terms", "many", "terms is 'many': give a int"),
        ("rate", 1, "rate is 1: give a float, such as 0.1"),
        ("exact", 1, "exact is 1: give a bool"),
        ("inner", "small", "inner is 'small': give a Inner"),
        ("inner.levels", 0.5, "inner.levels is 0.5: give a tuple, such as (0.5, 1.0)"),
        ("inner.levels", (1, 2), "inner.levels is (1, 2): give a tuple"),
        ("inner.levels", [1.0], "inner.levels is [1.0]: give a tuple"),
    ],
)
def test_an_unusable_change_is_named(toy, path, value, told):
    with pytest.raises(ValueError, match="parameter") as error:
        toy.experiment.run("quick", changes={path: value})
    assert told in str(error.value)
    assert toy.CALLS == []


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"profile": "slow"}, "profile is 'slow': give one of quick, full"),
        ({"profile": "quick", "device": "abacus"}, "device is 'abacus': torch cannot use it here"),
        ({"profile": "quick", "device": "cuda:99"}, "device is 'cuda:99': torch cannot"),
        ({"profile": "quick", "device": "meta"}, "device is 'meta': torch cannot"),
    ],
)
def test_unusable_input_stops_before_work_starts(toy, keywords, told):
    with pytest.raises(ValueError, match=told):
        toy.experiment.run(**keywords)
    assert toy.CALLS == []


def test_a_result_says_what_made_it(toy):
    result = toy.experiment.run("quick", changes={"terms": 4})
    assert result.values == {
        "sum": 14,
        "pairs": [[0, 0], [1, 1], [2, 2], [3, 3]],
        "tensors": [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]],
    }
    assert result.parameters["terms"] == 4
    assert result.content["experiment"] == "toy-sum"
    assert set(result.run) == RUN_FIELDS | OF_STAGES | WORK
    assert result.run["versions"]["torch"] == torch.__version__.split("+")[0]


def test_a_result_is_stored_and_read_back(toy):
    result = toy.experiment.run("full")
    path = toy.experiment.store(result)
    assert path == toy.experiment.path("full")
    assert path.name == "toy-sum.full.json"
    recorded = toy.experiment.recorded("full")
    assert recorded.content == result.content
    assert recorded.run["witness"]["sum"] == 5
    assert recorded.digest == result.digest
    with pytest.raises(FileNotFoundError, match="run toy-sum --profile quick"):
        toy.experiment.recorded("quick")


def test_the_digest_ignores_the_run_and_sees_the_content(toy):
    one, again = toy.experiment.run("quick"), toy.experiment.run("quick")
    assert one.digest == again.digest
    assert result.Result(one.content, {}).digest == one.digest
    assert toy.experiment.run("quick", changes={"rate": 0.2}).digest != one.digest


def test_a_result_is_stale_when_it_would_be_another_and_not_when_text_is_edited(toy, library_copy):
    toy.experiment.store(toy.experiment.run("full"))
    result = toy.experiment.recorded("full")
    file = library_copy / "experiments" / "toy_sum.py"
    file.write_text(TOY.replace("term**2", "term * term"))
    assert result.run["code"] != toy.experiment.code
    assert not toy.experiment.stale(result)
    toy.experiment.vouch("full", seed=0, seconds=60, absent=DataError)
    assert toy.experiment.recorded("full").run["code"] == toy.experiment.code
    file.write_text(TOY.replace("term**2", "term**3"))
    assert toy.experiment.stale(result)
    before = toy.experiment.path("full").read_bytes()
    with pytest.raises(ValueError, match=r"toy-sum\.full\.json is stale: run toy-sum again"):
        toy.experiment.vouch("full", seed=0, seconds=60, absent=DataError)
    assert toy.experiment.path("full").read_bytes() == before
    file.write_text(TOY)
    assert not toy.experiment.stale(result)
    raised = dataclasses.replace(toy.experiment, version=2)
    assert raised.stale(result)


def test_a_result_of_changed_parameters_never_takes_the_place_of_a_recorded_one(toy):
    toy.experiment.store(toy.experiment.run("full"))
    before = toy.experiment.path("full").read_bytes()
    less = toy.experiment.run("full", changes={"terms": 2})
    path = toy.experiment.store(less)
    assert path.parent == places.HERE.changed
    assert path.name.startswith("toy-sum.full.")
    assert toy.experiment.path("full").read_bytes() == before
    assert toy.experiment.store(less, record=True) == toy.experiment.path("full")
    assert toy.experiment.recorded("full").content == less.content


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": [1, 0.5]}, {"a": [1, 0.5 * (1 + 1e-12)]}, True),
        ({"a": [1, 0.5]}, {"a": [1, 0.5001]}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [1], False),
        ("x", "x", True),
        (None, {"a": 1}, False),
        (float("nan"), float("nan"), False),
    ],
)
def test_witnesses_agree_where_counts_are_equal_and_floats_close(one, other, same):
    assert witness.agree(one, other) is same


def test_the_time_of_earlier_sittings_counts_where_it_is_told(toy):
    toy.experiment.run("full", keep_stages=True)
    stages = sorted(places.HERE.stages.glob("*.pt"))
    for path in stages:
        checkpoint.save(path, {**checkpoint.load(path), "seconds": 100.0})
    again = toy.experiment.run("full", keep_stages=True).run
    assert again["stages_reused"] == len(stages)
    assert again["work_seconds"] == pytest.approx(100 * len(stages), abs=60)
    kept = checkpoint.load(stages[0])
    del kept["seconds"]
    checkpoint.save(stages[0], kept)
    assert "work_seconds" not in toy.experiment.run("full", keep_stages=True).run


@pytest.mark.parametrize("path", sorted(places.HERE.results.glob("*.*.json")), ids=lambda p: p.stem)
def test_no_recorded_result_is_stale(path):
    """Each witness, a run of seconds, gives what it gave to the code that made the result."""
    name, profile = path.stem.split(".")
    found = experiments.find(name)
    stored = found.recorded(profile)
    assert stored.run["version"] == found.version
    assert witness.agree(stored.run["witness"], found.witnessed())


def test_reductions_name_what_was_used_and_what_was_asked(toy):
    full = toy.experiment.run("full")
    assert toy.experiment.reductions(full) == {}
    less = toy.experiment.run("full", changes={"terms": 2, "inner.levels": (0.5,)})
    assert toy.experiment.reductions(less) == {
        "terms": (2, 5),
        "inner.levels": ([0.5], [0.5, 1.0]),
    }


def test_an_interrupted_run_goes_on_where_it_stopped(toy):
    toy.FAIL_AT = 3
    with pytest.raises(RuntimeError, match="power cut at 3"):
        toy.experiment.run("full", keep_stages=True)
    assert toy.CALLS == [0, 1, 2]
    toy.FAIL_AT = None
    resumed = toy.experiment.run("full", keep_stages=True)
    assert toy.CALLS == [0, 1, 2, 3, 4]
    assert resumed.run["stages_reused"] == 3
    assert toy.experiment.run("full", keep_stages=True).digest == resumed.digest
    assert toy.CALLS == [0, 1, 2, 3, 4]
    anew = toy.experiment.run("full")
    assert (anew.digest, anew.run["stages_reused"]) == (resumed.digest, 0)
    assert toy.CALLS == [0, 1, 2, 3, 4] * 2
    assert {path.suffix for path in places.HERE.stages.iterdir()} <= {".pt", ".lock"}


def test_edited_text_throws_no_stage_away_and_a_stage_tells_what_made_it(toy, library_copy):
    made = toy.experiment.run("full", keep_stages=True)
    assert (made.run["stages_reused"], made.run["stage_codes"]) == (0, [])
    file = library_copy / "experiments" / "toy_sum.py"
    file.write_text(TOY.replace("term**2", "term * term"))
    again = toy.experiment.run("full", keep_stages=True)
    assert again.run["code"] != made.run["code"]
    assert (again.run["stages_reused"], again.run["stage_codes"]) == (5, [made.run["code"]])
    assert toy.CALLS == [0, 1, 2, 3, 4]


def test_a_stage_is_not_used_for_other_code_versions_inputs_or_devices(toy, library_copy):
    def computed(device="cpu", experiment=toy.experiment, **inputs):
        before = len(toy.CALLS)
        context = experiment.context(device, keep_stages=True)
        context.stage("square", {"term": 2, **inputs}, lambda: toy._square(2))
        return len(toy.CALLS) > before

    assert [computed(), computed()] == [True, False]
    assert computed(seed=1)
    assert computed(device="cuda")
    assert computed(experiment=dataclasses.replace(toy.experiment, version=2))
    (library_copy / "experiments" / "toy_sum.py").write_text(TOY.replace("term**2", "term**3"))
    assert computed()


def test_a_stage_of_another_experiment_is_its_own(toy):
    owner = dataclasses.replace(toy.experiment, version=7)
    running = toy.experiment.context(keep_stages=True)
    contexts = [owner.context(keep_stages=True), owner.within(running), running]
    kept = [
        context.stage("square", {}, partial(toy._square, term))["square"]
        for term, context in enumerate(contexts)
    ]
    assert kept == [0, 0, 4]
    assert len(running.log.reused) == 1
    nothing = toy.experiment.context()
    assert owner.within(nothing) is nothing


def test_chapters_of_a_build_share_stages_of_the_same_text(
    toy, library_copy, tmp_path, monkeypatch
):
    monkeypatch.setenv(places.SHARED_VARIABLE, str(tmp_path / "shared"))
    made = toy.experiment.run("quick")
    assert toy.experiment.run("quick").digest == made.digest
    assert toy.experiment.within(toy.experiment.context()).origin == toy.experiment._shared()
    assert toy.CALLS == [0, 1, 2]
    assert "witness" not in made.run
    assert not places.HERE.witnesses.exists()
    # Text that the witness would let pass: quick runs have none.
    (library_copy / "experiments" / "toy_sum.py").write_text(TOY.replace("term**2", "term * term"))
    toy.experiment.run("quick")
    assert toy.CALLS == [0, 1, 2] * 2
    assert not places.HERE.stages.exists()


def test_without_leave_nothing_is_kept(toy):
    toy.experiment.run("quick")
    assert not places.HERE.stages.exists()


def test_an_unknown_experiment_is_told_with_the_known_ones(toy):
    with pytest.raises(ValueError, match=r"'toy': give one of ablation-l0, .*toy-sum"):
        experiments.find("toy")
    assert experiments.find("toy-sum") is toy.experiment


def test_the_command_runs_and_stores(toy, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["run", "toy-sum", "--set", "terms=4", "--set", "inner.name=tiny"]
    assert command_line.main([*arguments, "--out", str(out)]) == 0
    (file,) = out.iterdir()  # changed parameters, a name of its own
    assert file.name.startswith("toy-sum.quick.")
    stored = json.loads(file.read_text())
    assert stored["content"]["parameters"]["terms"] == 4
    assert stored["content"]["parameters"]["inner"]["name"] == "tiny"
    assert stored["content"]["values"]["sum"] == 14
    assert capsys.readouterr().out.startswith(f"{file}: stored after ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["toy"], "experiment is 'toy'"),
        (["toy-sum", "--profile", "slow"], "profile is 'slow'"),
        (["toy-sum", "--device", "abacus"], "device is 'abacus'"),
        (["toy-sum", "--set", "terms=many"], "parameter terms is 'many'"),
        (["toy-sum", "--set", "trems=1"], "parameter 'trems' is unknown"),
    ],
)
def test_unusable_arguments_give_status_2_and_one_sentence(toy, capsys, arguments, told):
    assert command_line.main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("rs_lib: ")
    assert error.count("\n") == 1
    assert toy.CALLS == []


def test_a_text_that_assigns_nothing_gives_status_2(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["run", "certified-accuracy", "--set", "terms"])
    assert stop.value.code == 2
    assert "'terms' is no assignment: write NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["list"], ["full: ", *experiments.names()]), (["run", "--help"], ["--profile", "--device"])],
)
def test_the_module_answers_as_a_program(arguments, told):
    done = subprocess.run(
        [sys.executable, "-m", "rs_lib", *arguments],
        cwd=places.HERE.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(text in done.stdout for text in told)
    assert done.stderr == ""


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_has_both_profiles(name):
    assert set(experiments.find(name).profiles) >= {"quick", "full"}
    assert experiments.find(name).name == name


STORED = sorted(path.name for path in House().results.glob("*.*.json"))


@pytest.mark.parametrize("file", STORED)
def test_a_stored_result_belongs_to_an_experiment(file):
    name, profile, kind = file.split(".")
    assert kind == "json"
    experiment = experiments.find(name)
    stored = experiment.recorded(profile)
    assert (stored.content["experiment"], stored.content["profile"]) == (name, profile)
    assert set(stored.run) - OF_STAGES - WORK == RUN_FIELDS | {"witness"}
    changes = experiment.reductions(stored)
    assert "None" not in {str(used) for used, _ in changes.values()}
    if len(digests.canonical_json(stored.values)) <= LONG:
        text = (House().results / file).read_text()
        assert text == digests.readable_json({"content": stored.content, "run": stored.run})


def test_many_values_take_less_room_in_a_file_and_come_back_equal(tmp_path):
    counts = np.random.default_rng(3).poisson(4, size=LONG // 2).tolist()
    content = {
        "experiment": "e",
        "profile": "p",
        "parameters": {"n": 3},
        "values": {"counts": counts, "mean": [0.1, 1e-300], "name": "é"},
    }
    large = Result(content, {"device": "cpu"})
    assert len(digests.canonical_json(large.values)) > LONG
    large.write(tmp_path / "large.json")
    assert result.read(tmp_path / "large.json") == large
    assert result.read(tmp_path / "large.json").digest == large.digest
    stored = json.loads((tmp_path / "large.json").read_text())
    assert stored["content"]["parameters"] == {"n": 3}
    assert (tmp_path / "large.json").stat().st_size < LONG // 2
    small = Result(content | {"values": {"counts": counts[:9]}}, {"device": "cpu"})
    small.write(tmp_path / "small.json")
    assert json.loads((tmp_path / "small.json").read_text())["content"] == small.content


def test_the_stored_benchmarks_are_whole():
    stored = {name: notes.benchmarks(name) for name in benchmarks.SECTIONS}
    assert all(section["rows"] for section in stored.values())
    text = House().benchmarks.read_text()
    assert json.loads(text) == stored
    assert text == digests.readable_json(json.loads(text))
    assert "one thread" in notes.measured(stored["noise"]["run"]).text
    with pytest.raises(KeyError, match="no section speed in benchmarks"):
        notes.benchmarks("speed")


def test_a_section_is_stored_beside_the_others(monkeypatch, tmp_path, capsys):
    here = places.Places(tmp_path)
    monkeypatch.setattr(places, "HERE", here)
    monkeypatch.setattr(
        benchmarks,
        "SECTIONS",
        {"a": ("A", lambda: [{"x": 1}]), "b": ("B", lambda: [{"threads": 2}])},
    )
    for section in ("a", "b"):
        monkeypatch.setattr("sys.argv", ["benchmarks", section, "--store"])
        monkeypatch.setattr(benchmarks, "show", lambda title, rows: None)
        benchmarks.main()
    stored = json.loads(here.benchmarks.read_text())
    assert [stored[name]["rows"] for name in "ab"] == [[{"x": 1}], [{"threads": 2}]]
    assert [stored[name]["run"]["threads"] for name in "ab"] == [1, 2]


def test_a_page_tells_of_a_stored_result(toy):
    with pytest.raises(FileNotFoundError, match="rs_lib run toy-sum --profile full"):
        notes.stored(toy.experiment)
    toy.experiment.store(toy.experiment.run("full"), record=True)
    note = notes.stored(toy.experiment)
    assert "Recorded" in note.text
    assert not note.stale

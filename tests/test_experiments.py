"""Experiments: strict parameters, results that say what made them, runs that go on."""

import dataclasses
import importlib
import json
import subprocess
import sys

import pytest
import torch

import rs_lib.experiments
from benchmarks import __main__ as benchmarks
from rs_lib import __main__ as command_line
from rs_lib import provenance
from rs_lib.book import notes
from rs_lib.book.house import House
from rs_lib.experiments import bounds, witness
from rs_lib.experiments import experiment as experiments
from rs_lib.experiments.bounds import kinds

RUN_FIELDS = {
    *("device", "started", "wall_seconds", "stages_reused", "commit", "versions"),
    *("version", "code"),
}
TOY = '''"""A toy: sums of squares, a stage for each term."""

from dataclasses import dataclass
from functools import partial

import torch

from rs_lib.experiments.experiment import Experiment

CALLS = []
FAIL_AT = None


@dataclass(frozen=True)
class Inner:
    levels: tuple[float, ...]
    name: str


@dataclass(frozen=True)
class Parameters:
    inner: Inner
    terms: int
    rate: float
    exact: bool


PROFILES = {
    "quick": Parameters(Inner((0.5, 1.0), "small"), terms=3, rate=0.1, exact=True),
    "full": Parameters(Inner((0.5, 1.0), "large"), terms=5, rate=0.1, exact=True),
}


def _square(term):
    if term == FAIL_AT:
        raise RuntimeError(f"power cut at {term}")
    CALLS.append(term)
    return {"square": term**2, "pair": (term, term), "tensor": torch.full((2,), float(term))}


def compute(parameters, context):
    kept = [
        context.stage("square", {"term": term}, partial(_square, term))
        for term in range(parameters.terms)
    ]
    return {
        "sum": sum(part["square"] for part in kept),
        "pairs": [part["pair"] for part in kept],
        "tensors": [part["tensor"].tolist() for part in kept],
    }


experiment = Experiment(__name__, PROFILES, compute, witness=PROFILES["quick"])
'''


@pytest.fixture
def toy(tmp_path, monkeypatch, library_copy):
    """The module of a toy experiment, in a copy of the library, with folders of its own."""
    folder = library_copy / "experiments"
    (folder / "toy_sum.py").write_text(TOY)
    monkeypatch.setattr(rs_lib.experiments, "__path__", [str(folder)])
    monkeypatch.setattr(experiments, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(experiments, "STAGES", tmp_path / "stages")
    monkeypatch.setattr(experiments, "CHANGED", tmp_path / "changed")
    monkeypatch.setattr(witness, "KEPT", tmp_path / "witness")
    inner = {"levels": kinds.each(kinds.real(0, 9), least=0), "name": lambda *_: None}
    fields = {"terms": kinds.whole(0, 99), "rate": kinds.real(0, 1), "exact": kinds.truth}
    monkeypatch.setitem(bounds.FIELDS, "toy-sum", {"inner": kinds.part(inner), **fields})
    monkeypatch.setitem(bounds.RULES, "toy-sum", lambda _: None)
    name = "rs_lib.experiments.toy_sum"
    importlib.invalidate_caches()
    yield importlib.import_module(name)
    del sys.modules[name], rs_lib.experiments.toy_sum


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
    assert set(result.run) == RUN_FIELDS
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
    assert experiments.Result(one.content, {}).digest == one.digest
    assert toy.experiment.run("quick", changes={"rate": 0.2}).digest != one.digest


def test_a_result_is_stale_when_it_would_be_another_and_not_when_text_is_edited(toy, library_copy):
    toy.experiment.store(toy.experiment.run("full"))
    result = toy.experiment.recorded("full")
    file = library_copy / "experiments" / "toy_sum.py"
    file.write_text(TOY.replace("term**2", "term * term"))
    assert result.run["code"] != toy.experiment.code
    assert not toy.experiment.stale(result)
    toy.experiment.vouch("full")
    assert toy.experiment.recorded("full").run["code"] == toy.experiment.code
    file.write_text(TOY.replace("term**2", "term**3"))
    assert toy.experiment.stale(result)
    before = toy.experiment.path("full").read_bytes()
    with pytest.raises(ValueError, match=r"toy-sum\.full\.json is stale: run toy-sum again"):
        toy.experiment.vouch("full")
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
    assert path.parent == experiments.CHANGED
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


@pytest.mark.parametrize("path", sorted(experiments.RESULTS.glob("*.*.json")), ids=lambda p: p.stem)
def test_no_recorded_result_is_stale(path):
    """Each witness, a run of seconds, gives what it gave to the code that made the result."""
    name, profile = path.stem.split(".")
    found = experiments.find(name)
    stored = found.recorded(profile)
    assert stored.run["version"] == found.version
    assert witness.agree(stored.run["witness"], witness.values(found))


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
    assert {path.suffix for path in experiments.STAGES.iterdir()} == {".pt"}


def test_a_stage_is_not_used_for_other_code_inputs_or_devices(toy, library_copy):
    def compute(device="cpu", **inputs):
        context = experiments.Context(device, keep_stages=True)
        context.stage("square", {"term": 2, **inputs}, toy._square_of_two)
        return len(toy.CALLS)

    toy._square_of_two = lambda: toy._square(2)
    toy._square_of_two.__module__ = toy.__name__
    assert [compute(), compute()] == [1, 1]
    assert compute(seed=1) == 2
    assert compute(device="cuda") == 3
    file = library_copy / "experiments" / "toy_sum.py"
    file.write_text(TOY + "# a remark\n")
    assert compute() == 3
    file.write_text(TOY.replace("term**2", "term**3"))
    assert compute() == 4


def test_without_leave_nothing_is_kept(toy):
    toy.experiment.run("quick")
    assert not experiments.STAGES.exists()


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
        cwd=provenance.ROOT,
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


BENCHMARKS = "benchmarks.json"  # times on one machine, no experiment's result
STORED = sorted(path.name for path in House().results.iterdir() if path.name != BENCHMARKS)


@pytest.mark.parametrize("file", STORED)
def test_a_stored_result_belongs_to_an_experiment(file):
    assert House().results == experiments.RESULTS
    name, profile, kind = file.split(".")
    assert kind == "json"
    experiment = experiments.find(name)
    result = experiment.recorded(profile)
    assert (result.content["experiment"], result.content["profile"]) == (name, profile)
    assert set(result.run) == RUN_FIELDS | {"witness"}
    changes = experiment.reductions(result)
    assert "None" not in {str(used) for used, _ in changes.values()}
    text = (House().results / file).read_text()
    assert text == provenance.readable_json({"content": result.content, "run": result.run})


def test_the_stored_benchmarks_are_whole():
    stored = {name: notes.benchmarks(name) for name in benchmarks.SECTIONS}
    assert all(section["rows"] for section in stored.values())
    text = (House().results / BENCHMARKS).read_text()
    assert json.loads(text) == stored
    assert text == provenance.readable_json(json.loads(text))
    assert "one thread" in notes.measured(stored["noise"]["run"]).text
    with pytest.raises(KeyError, match="no section speed in benchmarks"):
        notes.benchmarks("speed")


def test_a_section_is_stored_beside_the_others(monkeypatch, tmp_path, capsys):
    path = tmp_path / "benchmarks.json"
    monkeypatch.setattr(benchmarks, "RESULT", path)
    monkeypatch.setattr(
        benchmarks,
        "SECTIONS",
        {"a": ("A", lambda: [{"x": 1}]), "b": ("B", lambda: [{"threads": 2}])},
    )
    for section in ("a", "b"):
        monkeypatch.setattr("sys.argv", ["benchmarks", section, "--store"])
        monkeypatch.setattr(benchmarks, "show", lambda title, rows: None)
        benchmarks.main()
    stored = json.loads(path.read_text())
    assert [stored[name]["rows"] for name in "ab"] == [[{"x": 1}], [{"threads": 2}]]
    assert [stored[name]["run"]["threads"] for name in "ab"] == [1, 2]


def test_a_page_tells_of_a_stored_result(toy):
    with pytest.raises(FileNotFoundError, match="rs_lib run toy-sum --profile full"):
        notes.stored(toy.experiment)
    toy.experiment.store(toy.experiment.run("full"), record=True)
    note = notes.stored(toy.experiment)
    assert "Recorded" in note.text
    assert not note.stale

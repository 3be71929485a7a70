"""What runs take is measured where they run, and told on the page and in the plan."""

import json

import pytest

from rs_lib.book import cards, costs, run_page, runner
from rs_lib.book.costs import Cost
from rs_lib.book.house import House
from rs_lib.record import result

GIB = 2**30
CODE = """
from rs_lib.experiments import backdoors, label_flips, noise_map, patch_bands, weak_generators
other = backdoors.experiment.run("quick")
if profile == "full":
    made = backdoors.experiment.run("full", device=device)
    backdoors.experiment.store(made)
if profile == "full":
    for experiment in (label_flips.experiment, noise_map.experiment):
        experiment.store(experiment.run("full"))
if profile == "full":
    for name in ("full", "cifar10") if device == "cuda" else ("full",):
        patch_bands.experiment.store(patch_bands.experiment.run(name))
attacks = weak_generators.experiment.run(profile, device=device)
read = noise_map.experiment.recorded("grid")
"""


def test_what_a_chapter_makes_anew_is_read_from_its_code():
    assert sorted(costs.anew(CODE)) == [
        ("backdoors", "full"),
        ("label-flips", "full"),
        ("noise-map", "full"),
        ("patch-bands", "full"),
        ("weak-generators", "full"),
    ]
    assert costs.anew('from rs_lib.experiments import rab\nrab.experiment.run("quick")') == []


@pytest.mark.parametrize("chapter", House().chapter_names())
def test_a_chapter_with_a_condition_on_full_makes_something_anew(chapter):
    source = House().source(chapter).read_text()
    asks = 'if profile == "full"' in source or "experiment.run(profile" in source
    assert bool(costs.at_scale(House(), chapter)) == asks


def test_a_real_run_of_a_chapter_tells_time_and_memory_and_leaves_the_notebook_alone(tiny):
    before = tiny.executed("tiny").read_bytes()
    tiny.key("tiny").unlink()
    assert costs.of_chapter(tiny, "tiny") is None
    assert "`make chapter C=tiny`: a minute or two." in cards.parts(tiny)["card-tiny"]
    assert runner.run(tiny, "tiny")
    assert tiny.executed("tiny").read_bytes() == before  # the cell that measures is gone
    cost = costs.of_chapter(tiny, "tiny")
    assert 0.3 < cost.seconds < 600  # it sleeps for 0.3 s
    assert 50 * 2**20 < cost.memory["process"] < 20 * GIB  # pandas and Matplotlib alone
    assert (
        f"`make chapter C=tiny`: {cost}, when this page was made."
        in (cards.parts(tiny)["card-tiny"])
    )
    assert run_page.plan(tiny, "tiny", "quick") == [
        f"tiny: digits and what is recorded; {cost}, last time"
    ]
    assert not runner.run(tiny, "tiny")


@pytest.mark.parametrize("kept", ["{}", "[]", '{"cost": 3}', '{"cost": {"seconds": "x"}}', "no"])
def test_what_another_left_tells_nothing(tiny, kept):
    tiny.key("tiny").write_text(kept)
    assert costs.of_chapter(tiny, "tiny") is None


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        (Cost(3, {}, "a CPU"), "10 s, on a CPU"),
        (Cost(44, {"process": GIB}, "a CPU"), "40 s, 1.0 GiB, on a CPU"),
        (
            Cost(90, {"process": GIB, "device": 3 * GIB}, "H"),
            "2 min, 1.0 GiB and 3.0 GiB on the GPU, on H",
        ),
        (Cost(None, {"process": 2**20}, "H"), "unknown time, 1 MiB, on H"),
    ],
)
def test_costs_are_told_in_words(cost, told):
    assert str(cost) == told


def test_what_runs_take_together_is_told_as_far_as_they_tell():
    one, two = Cost(60, {"process": 3}, "A"), Cost(30, {"process": 2, "device": 9}, "B")
    assert costs.together({"one": one, "two": two}) == Cost(90, {"process": 3}, "A and B")
    assert costs.together({}) is None
    assert costs.together({"one": None}) is None
    for lost in (None, Cost(None, {}, "A")):
        some = costs.together({"one": one, "two": lost})
        assert some == Cost(60, {}, "A", more=True)
        assert str(some) == "1 min and more, on A"
    assert str(costs.together({"two": lost})) == "unknown time, on A"


def test_the_page_and_the_plan_tell_the_memory_of_recorded_runs_where_it_is_stored(tiny):
    source = tiny.source("tiny")
    code = "import sympy as sp\n"
    lines = 'from rs_lib.experiments import attack_in_ball\nif profile == "full":\n    '
    lines += 'attack_in_ball.experiment.run("full")\n'
    source.write_text(source.read_text().replace(code, code + lines, 1))
    command = (
        "`make chapter C=tiny PROFILE=full`, with `DEVICE=cuda` on a GPU, makes its experiments"
    )
    assert (
        f"{command} anew: 10 min, on A processor, 2 cores, when last recorded."
        in (cards.parts(tiny)["card-tiny"])
    )
    path = tiny.results / "attack-in-ball.full.json"
    stored = json.loads(path.read_text())
    stored["run"]["peak_memory"] = {"process": 5 * GIB // 2}
    path.write_text(json.dumps(stored))
    assert (
        f"{command} anew: 10 min, 2.5 GiB, on A processor, 2 cores, when"
        in (cards.parts(tiny)["card-tiny"])
    )
    assert run_page.plan(tiny, "tiny", "full")[1:] == [
        "  attack-in-ball: 10 min, 2.5 GiB, on A processor, 2 cores, when last recorded"
    ]
    assert "  - 10 min\n  - 2.5 GiB\n" in run_page.parts(tiny)["run-recorded"]


def test_every_recorded_result_tells_its_cost():
    for path in House().results.glob("*.*.json"):
        assert costs.of_result(result.read(path)).device, path

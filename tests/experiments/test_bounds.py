"""Parameters of experiments: every field has bounds, and bad values are told before any work."""

import dataclasses
import math
import time

import pytest

from rs_lib import __main__ as command_line
from rs_lib import experiments
from rs_lib.experiments import bounds
from rs_lib.experiments.bounds import kinds, rules
from rs_lib.machines import data

SOON = 0.5
"""Seconds that a refusal may take on a busy machine; alone it takes milliseconds."""


def _fields(parameters, prefix=""):
    """Yield the dotted name and the value of each field, those of parts too."""
    for field in dataclasses.fields(parameters):
        value = getattr(parameters, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


EVERY = [
    (name, path, value)
    for name in experiments.names()
    for path, value in _fields(experiments.find(name).profiles["quick"])
]
ZERO_IS_FINE = {
    *("seed", "base.seed", "shift", "sacrifice", "listed", "target", "other", "nearest.norm"),
    *("attack_radii", "base.attack_radii", "multiples", "margins", "train_sigmas", "test_sigmas"),
    *("gaps", "train", "test", "pair", "learned", "two.digits", "ten.digits", "sigma"),
    *("pairs", "base.train_sigmas", "base.test_sigmas", "base.shift", "smoothing"),
}
EMPTY_IS_FINE = {"ten.swept_flips", "two.swept_flips"}


def _bad(path, value):
    """Yield values that the field at `path`, or an entry of it, may not have."""
    if isinstance(value, bool):
        yield from (1, "yes")
    elif isinstance(value, int):
        yield from (10**30, 1.5, "nope", True)
        if not path.endswith("seed"):
            yield from (10**12, -1)
    elif isinstance(value, float):
        yield from (math.nan, math.inf, -math.inf, -100.0, 1e300, "nope")
    elif isinstance(value, str):
        yield from ("nope", "", 3)
    else:
        if path not in EMPTY_IS_FINE:
            yield ()
        yield from ("nope", 3, (value or ("0.1",)) * 2000)
        for entry in value[:1]:
            yield from ((bad, *value[1:]) for bad in _bad(path, entry))
    if type(value) in (int, float) and path not in ZERO_IS_FINE:
        yield type(value)(0)


def test_every_experiment_bounds_every_field_and_no_other():
    assert sorted(bounds.FIELDS) == sorted(bounds.RULES) == experiments.names()
    for name in experiments.names():
        known = {
            field.name for field in dataclasses.fields(experiments.find(name).profiles["quick"])
        }
        assert set(bounds.FIELDS[name]) == known


@pytest.mark.parametrize("name", experiments.names())
def test_every_profile_is_within_its_bounds(name):
    for parameters in experiments.find(name).profiles.values():
        bounds.check(name, parameters)


@pytest.mark.parametrize(("name", "path", "value"), EVERY, ids=lambda part: str(part)[:30])
def test_a_bad_value_of_any_field_is_refused_at_once(name, path, value):
    experiment = experiments.find(name)
    tried = list(_bad(path, value))
    assert len(tried) > 1
    for bad in tried:
        clock = time.monotonic()
        with pytest.raises(ValueError, match=f"^parameter {path}") as refused:
            experiment.parameters("quick", {path: bad})
        assert time.monotonic() - clock < SOON
        told = str(refused.value)
        assert "give " in told
        assert "\n" not in told
        assert len(told) < 400


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("certified-accuracy", {"images": 501}, "images is 501: give at most 500, the test images"),
        ("certified-accuracy", {"n": 9}, "n is 9: give at least 10, at alpha = 0.001"),
        ("certified-accuracy", {"alpha": 1e-60, "n": 190}, "n is 190: give at least"),
        ("certified-accuracy", {"sigmas": (0.5, 0.5)}, "sigmas is (0.5, 0.5): give every entry"),
        ("attack-in-ball", {"base.images": 501}, "images is 501"),
        ("ablation-l0", {"kept": (12, 65)}, "kept is 65: give at most 64"),
        ("ablation-l0", {"attacked_kept": 13}, "attacked_kept is 13: give one of kept, (8, 12,"),
        ("ablation-l0", {"attack_changes": 65}, "attack_changes is 65: give at most 64"),
        ("ablation-l0", {"attack_tries": 60}, "attack_tries is 60: give at most 59"),
        ("ablation-l0", {"alpha": 0.5}, "alpha is 0.5: give a level below 0.5"),
        ("ablation-test-set", {"kept": 65}, "kept is 65: give at most 64"),
        ("ablation-test-set", {"networks": (("mlp", 1, 501),)}, "networks is 501: give at most"),
        ("ablation-test-set", {"reach": 4}, "reach is 4: give at most 3, with so many pixels"),
        ("ablation-test-set", {"max_samples": 12}, "max_samples is 12: give at least"),
        ("noise-map", {"images": 501}, "images is 501"),
        ("norm-ratios", {"images": 501}, "images is 501"),
        ("norm-ratios", {"ratios": (2.0, 2.0)}, "ratios is (2.0, 2.0): give every entry"),
        ("norm-ratios-cifar10", {"images": 501}, "images is 501"),
        ("norm-ratios-cifar10", {"base.images": 501}, "images is 501"),
        ("backdoors", {"pair": (3, 3)}, "pair is (3, 3): give every entry once"),
        ("backdoors", {"attacks": (("trigger", 65, 1),)}, "attacks is 65: give at most 64"),
        ("backdoors", {"attacks": (("trigger", 1, 101),)}, "attacks is 101: give at most 100"),
        ("feasible-labels", {"margins": (0.5,)}, "margins is (0.5,): give margins below 0.5"),
        ("label-flips", {"two.digits": (1, 7, 9)}, "two.digits is (1, 7, 9): give two digits"),
        ("label-flips", {"two.digits": (7, 1)}, "two.digits is (7, 1): give digits that increase"),
        ("label-flips", {"two.flips": ("0.5",)}, "two.flips is '0.5': give less than 1 - 1/2"),
        ("label-flips-learned", {"flips": ("0.5",)}, "flips is '0.5': give less than 1/2"),
        ("label-flips-learned", {"pairs": ((1, 1),)}, "pairs[0] is (1, 1): give every entry once"),
        ("patch-bands", {"bases": (("masked", "rows", 9),)}, "bases is 9: give at most 8"),
        ("patch-bands", {"bases": (("column", "blocks", 2),)}, "give columns or rows for that"),
        (
            "patch-bands",
            {"bases": (("residual", "columns", 2),), "batch_size": 16},
            "batch_size is 16: give one that leaves no single image",
        ),
        ("patch-columns", {"shown": 9}, "shown is 9: give at most 8, the side of an image"),
        ("patch-columns", {"band": 9}, "band is 9: give at most 8, the side of an image"),
        ("patch-columns", {"blocks": (1,)}, "blocks is (1,): give one number for each of widths"),
        ("patch-columns", {"batch_size": 1}, "batch_size is 1: give at least 2"),
        ("placed-balls", {"radius": 101}, "radius is 101: give at most 100"),
        ("placed-balls", {"side": 1000, "draws": 100}, "draws is 100: give at most 45"),
        ("published-logs", {"images": 0}, "images is 0: give images and sigma above 0"),
        ("published-logs", {"made": ()}, "made is (): give logs to make, or"),
        ("rab", {"other": 0}, "other is 0: give a class that is not the target"),
        ("rab", {"poisoned": 1001}, "poisoned is 1001: give at most 1000"),
        ("rab", {"nearest.neighbours": (301,)}, "nearest.neighbours is 301: give at most 300"),
        ("faulty-workers", {"faulty": 3}, "workers is 11: give at least 15, which Bulyan needs"),
        ("faulty-workers", {"workers": 65}, "workers is 65: give at most 64, a twentieth"),
        ("faulty-workers", {"votes.members": (12,)}, "votes.members is 12: give at most 11"),
        ("robustness-search", {"cases": (("Krum", 6, 2),)}, "give at least 7 workers for Krum"),
        ("smoothed-embeddings", {"asked": (1, 2)}, "give classes that are not learned"),
        ("smoothed-embeddings", {"asked_dataset": "mnist"}, "images of shape [1, 8, 8]"),
        ("smoothed-embeddings", {"shots": 98}, "shots is 98: give at most 97"),
        ("smoothed-embeddings", {"queries": 8}, "queries is 8: give at most 7"),
        ("smoothed-embeddings", {"batch_size": 487}, "batch_size is 487: give at most 486"),
        ("weak-generators", {"attacks": (("alpha", 0.4),)}, "give a strength of at least 0.5"),
        ("weak-generators", {"attacks": (("beta", 1.5),)}, "give a whole number as strength"),
    ],
)
def test_what_does_not_fit_together_is_refused(name, changes, told):
    with pytest.raises(ValueError, match=r"^parameter ") as refused:
        experiments.find(name).parameters("quick", changes)
    assert told in str(refused.value)


def test_networks_too_large_for_the_images_are_refused():
    with pytest.raises(ValueError, match="lenet"):
        experiments.find("noise-map").parameters("quick", {"model": "lenet"})


@pytest.mark.parametrize("alpha", [2.0**-10, 2.0**-10 * (1 + 1e-12), 0.001, 0.3, 1e-60])
def test_the_number_of_samples_that_is_advised_is_taken(alpha):
    experiment = experiments.find("certified-accuracy")
    with pytest.raises(ValueError, match="give at least") as refused:
        experiment.parameters("quick", {"alpha": alpha, "n": 1})
    advised = int(str(refused.value).partition("at least ")[2].partition(",")[0])
    assert experiment.parameters("quick", {"alpha": alpha, "n": advised}).n == advised


@pytest.mark.parametrize("name", data.NAMES)
def test_sizes_are_those_of_the_data(name):
    if name != "digits" and not (data._root(None) / data._TORCHVISION[name][1]).exists():
        pytest.skip(f"{name} is not on this machine")
    dataset = data.load(name)
    size = rules.SIZES[name]
    assert size.shape == dataset.image_shape
    assert (size.train, size.tests) == (len(dataset.train_labels), len(dataset.test_labels))


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("0.9", True),
        ("0.0", False),
        ("1.0", False),
        ("0.", False),
        ("9/10", False),
        ("1e-1", False),
    ],
)
def test_probabilities_are_decimals(text, fine):
    try:
        kinds.decimal("keep", text)
    except ValueError:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("rab", {"poisoned": 900}, "count is 900: give at most"),
        ("backdoors", {"attacks": (("trigger", 1, 90),)}, "images is 90: give at most"),
        ("label-flips", {"features": 900}, "features is 900: give at most"),
    ],
)
def test_what_only_the_data_tell_is_refused_before_training(monkeypatch, name, changes, told):
    def trained(*_, **__):
        raise AssertionError("work began")

    place = "features.learn_centres" if name == "label-flips" else "votes_in_chunks"
    monkeypatch.setattr(f"rs_lib.experiments.{name.replace('-', '_')}.{place}", trained)
    with pytest.raises(ValueError, match=told):
        experiments.find(name).run("quick", changes=changes)


@pytest.mark.parametrize("name", ["published-logs", "placed-balls"])
@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("file", "file cannot be used (File exists): give a folder"),
        ("file/in", "file/in cannot be used (Not a directory): give a folder"),
        ("x" * 300, "(File name too long): give a shorter name"),
        ("taken", "is a folder in it"),
    ],
)
def test_a_place_that_takes_no_result_is_told_before_work(
    tmp_path, monkeypatch, capsys, name, out, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("precious")
    (tmp_path / "taken" / f"{name}.quick.json").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    experiment = experiments.find(name)
    worked = dataclasses.replace(experiment, compute=lambda *_: pytest.fail("work began"))
    monkeypatch.setattr(experiments, "find", lambda _: worked)
    assert command_line.main(["run", name, "--out", out]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_looking_whether_a_place_takes_results_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    worked = dataclasses.replace(experiments.find("placed-balls"), compute=stop)
    monkeypatch.setattr(experiments, "find", lambda _: worked)
    assert command_line.main(["run", "placed-balls", "--out", str(tmp_path / "a" / "b")]) == 130
    assert list(tmp_path.iterdir()) == []

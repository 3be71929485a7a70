"""The library from Python: what it takes, what it says of what it does not, what it gives."""

import importlib
import inspect
import pkgutil
import re
import sys

import numpy as np
import pytest
import torch
from torch import nn

import rs_lib
from rs_lib import Ablation, FixedSamples, Flip, Gaussian, Laplace, RadiusTable, Rounded, Uniform
from rs_lib.smoothing import Certifier, Executed, Predictor, predict

torch.manual_seed(0)
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
IMAGES = torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8)
NOISE, PLAN = Rounded(Gaussian(0.25)), FixedSamples(200)


def run(**changed):
    given = {"model": MODEL, "images": IMAGES, "noise": NOISE, "plan": PLAN, "classes": 3}
    return rs_lib.certify(**{**given, "seed": 0, **changed})


@pytest.mark.parametrize(
    "array",
    [
        IMAGES.numpy(),
        np.asfortranarray(IMAGES.numpy()),
        IMAGES.numpy()[::-1][::-1],
        IMAGES.numpy()[:, :, ::-1][:, :, ::-1],
        np.frombuffer(IMAGES.numpy().tobytes(), np.uint8).reshape(4, 1, 4, 4),
    ],
)
def test_arrays_are_taken_as_tensors_are(array):
    own, found = run(), run(images=array)
    assert (own.successes == found.successes).all()
    assert (own.radius == found.radius).all()
    answers = [predict(MODEL, images, NOISE, 100, classes=3, seed=0) for images in (array, IMAGES)]
    assert (answers[0] == answers[1]).all()


def test_arrays_of_floats_and_of_another_order_of_bytes():
    floats = (IMAGES / 255).numpy()
    noise = Gaussian(0.25)
    own = run(images=torch.from_numpy(floats), noise=noise)
    for array in (floats, floats.astype(">f4")):
        assert (run(images=array, noise=noise).successes == own.successes).all()


def test_an_array_is_not_changed_and_shares_nothing():
    array = IMAGES.numpy().copy()
    before = array.copy()
    run(images=array)
    assert (array == before).all()


def nonsense(kind):
    return {
        "float64": (IMAGES / 255).double(),
        "float": IMAGES / 255,
        "int": IMAGES.long(),
        "bool": IMAGES > 9,
        "flat": IMAGES[:, 0],
        "complex array": IMAGES.numpy() * 1j,
        "words": np.array(["a"]),
        "objects": np.array([None]),
        "list": IMAGES.tolist(),
        "sparse": IMAGES.float().to_sparse(),
        "meta": IMAGES.to("meta"),
        "uint16": IMAGES.numpy().astype(np.uint16),
        "masked": np.ma.masked_array(IMAGES.numpy(), IMAGES.numpy() > 9),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("float64", "float", "int", "bool", "flat", "complex array", "words", "objects", "list"),
        *("sparse", "meta", "uint16", "masked"),
    ],
)
def test_images_that_do_not_fit_are_refused_by_name(kind):
    with pytest.raises(ValueError, match=r"^images (is|are) .*: give ") as caught:
        run(images=nonsense(kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"noise": 0.5}, "noise is 0.5: give a law of rs_lib.noise"),
        ({"noise": Gaussian}, "noise is <class"),
        ({"noise": "gaussian"}, "noise is 'gaussian': give a law"),
        ({"noise": None}, "noise is None: give a law"),
        ({"plan": 100}, "plan is 100: give FixedSamples or RadiusTable"),
        ({"plan": FixedSamples}, "plan is <class"),
        ({"plan": None}, "plan is None: give FixedSamples"),
        ({"plan": FixedSamples(5)}, "n is 5: at alpha = 0.001 even unanimous"),
        ({"plan": RadiusTable([9.0], 100)}, "radii holds 9, but 100 samples certify"),
        ({"classes": "3"}, "classes is '3': give"),
        ({"classes": 1}, "classes is 1: give whole numbers of at least 2"),
        ({"classes": 2.5}, "classes is 2.5"),
        ({"classes": None}, "classes is None"),
        ({"classes": [3]}, "classes is [3]: give one whole number"),
        ({"classes": 4}, "classes is 4 but the model gives logits of shape"),
        ({"seed": "x"}, "seed is 'x': give an integer"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"seed": None}, "seed is None"),
        ({"alpha": "0.1"}, "alpha is '0.1'"),
        ({"alpha": 0}, "alpha is 0: give a level strictly between"),
        ({"alpha": 1.0}, "alpha is 1.0: give a level strictly between"),
        ({"alpha": float("nan")}, "alpha holds NaN"),
        ({"alpha": [0.1]}, "alpha is [0.1]: give one number"),
        ({"image_ids": ["a", "b", "c", "d"]}, "image_ids is"),
        ({"image_ids": [0, 1, 2]}, "image_ids has shape (3,): give one for each of 4"),
        ({"image_ids": [0, 1, 1, 2]}, "image_ids names an image twice"),
        ({"image_ids": [0, 1, 2, -3]}, "image_ids is -3"),
        ({"image_ids": [0, 1, 2, 0.5]}, "image_ids is 0.5"),
        ({"device": "tpu"}, "device is 'tpu': give one of"),
        ({"device": None}, "device is None: give one of"),
        ({"device": "cuda:99"}, "device is 'cuda:99', but torch sees"),
        ({"precision": "float64"}, "precision is 'float64': give one of"),
        ({"precision": torch.float16}, "precision is torch.float16: give one of"),
        ({"tile": "a"}, "tile is 'a'"),
        ({"tile": 17}, "tile is 17: give a multiple of 16"),
        ({"tile": 0}, "tile is 0"),
        ({"model": None}, "model is None: give a torch.nn.Module, or a function"),
        ({"model": nn.Linear}, "model is <class"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(16, 3))}, "model is in training mode"),
        ({"model": nn.Linear(5, 3).eval()}, "images have shape [1, 4, 4], which the model does"),
        ({"model": lambda images: 5}, "model returns a int: let it return its logits"),
        ({"model": lambda images: images.sum(dim=(1, 2, 3), dtype=torch.int32)}, "real floats"),
        ({"model": len}, "model returns a int"),
        ({"noise": Ablation(16, pixels=16)}, "images have shape [2, 4, 4], which the model"),
        ({"noise": Rounded(Gaussian(0.25), levels=9)}, "images holds"),
        ({"noise": Flip("0.9", levels=1)}, "images holds"),
    ],
)
def test_every_argument_that_cannot_be_is_one_sentence(changed, told):
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        run(**changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Rounded(0.12), "law is 0.12: give Gaussian, Uniform or Laplace noise"),
        (lambda: Rounded(Gaussian), "law is <class"),
        (lambda: Rounded(lambda: 5), "law is <function"),
        (lambda: Rounded(Rounded(Gaussian(1))), "give Gaussian, Uniform or Laplace noise"),
        (lambda: Rounded(Gaussian(0.5), levels="a"), "levels is 'a'"),
        (lambda: Rounded(Gaussian(0.5), levels=256), "levels is 256: give at most 255"),
        (lambda: Rounded(Gaussian(0.5), levels=0), "levels is 0"),
        (lambda: Gaussian("a"), "sigma is 'a'"),
        (lambda: Gaussian(None), "sigma is None"),
        (lambda: Gaussian(0), "sigma is 0"),
        (lambda: Gaussian(-1.0), "sigma is -1.0"),
        (lambda: Gaussian([0.5, 1]), "sigma is [0.5, 1"),
        (lambda: Gaussian(float("inf")), "sigma is inf"),
        (lambda: Laplace(0), "is 0"),
        (lambda: Laplace("1"), "is '1'"),
        (lambda: Uniform(-2), "is -2"),
        (lambda: Uniform(None), "is None"),
        (lambda: Flip(2), "keep is 2"),
        (lambda: Flip("x"), "keep is 'x'"),
        (lambda: Flip("0.9", levels=300), "levels is 300"),
        (lambda: Ablation(0, pixels=5), "kept"),
        (lambda: Ablation(6, pixels=5), "kept"),
        (lambda: FixedSamples("a"), "n is 'a'"),
        (lambda: FixedSamples(0), "n is 0"),
        (lambda: FixedSamples(10, n0=0), "n0 is 0"),
        (lambda: FixedSamples(10.5), "n is 10.5"),
        (lambda: FixedSamples(2**60), "n is 1152921504606846976"),
        (lambda: RadiusTable(None, 10), "radii is [None]"),
        (lambda: RadiusTable([], 10), "radii is []"),
        (lambda: RadiusTable([1, 0.5], 10), "radii is [1.0, 0.5]: give one or more radii that"),
        (lambda: RadiusTable([-1], 10), "radii is -1"),
        (lambda: RadiusTable([0.5], "many"), "max_samples is 'many'"),
        (lambda: RadiusTable([0.5], 10, n0=-1), "n0 is -1"),
        (lambda: run(plan=RadiusTable([0.1], 100, "x")), "rule is 'x': give one of"),
        (lambda: Certifier(MODEL, NOISE, PLAN, seed=0), "give Executed(model, classes=…)"),
        (lambda: Predictor(Executed(MODEL, classes=3), NOISE, 1, seed=0), "n is 1: at alpha"),
        (lambda: predict(MODEL, IMAGES, NOISE, PLAN, classes=3, seed=0), "n is FixedSamples"),
        (lambda: predict(MODEL, IMAGES, 0.5, 100, classes=3, seed=0), "noise is 0.5"),
    ],
)
def test_laws_and_plans_that_cannot_be_are_one_sentence(make, told):
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_results_become_tables():
    made = run()
    table = made.to_pandas()
    assert list(table) == [
        *("predicted", "radius", "selected", "successes", "samples", "looks", "undecided")
    ]
    assert (table["radius"] == made.radius).all()
    assert table.index.name == "image"
    answers = Predictor(Executed(MODEL, classes=3), NOISE, 100, seed=0).predict(IMAGES)
    assert list(answers.to_pandas()) == ["predicted", "top", "runner_up"]


def test_without_pandas_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_pandas needs the package pandas, .* pip install"):
        run().to_pandas()


PACKAGES = ("certificates", "statistics", "smoothing", "noise", "geometry", "hypotheses")


def functions():
    for package in PACKAGES:
        home = importlib.import_module(f"rs_lib.{package}")
        for module in pkgutil.iter_modules(home.__path__):
            if module.name == "compiled":
                continue
            loaded = importlib.import_module(f"rs_lib.{package}.{module.name}")
            for name, value in vars(loaded).items():
                own = getattr(value, "__module__", None) == loaded.__name__
                if own and not name.startswith("_") and inspect.isroutine(value):
                    yield f"{package}.{module.name}.{name}", value


def test_help_of_public_functions_opens_with_a_readable_line():
    looked = 0
    for name, function in functions():
        looked += 1
        signature = str(inspect.signature(function))
        assert "_NestedSequence" not in signature, name
        assert "numpy._typing" not in signature, name
        first = (function.__doc__ or "").strip().splitlines()[0]
        assert 10 <= len(first) <= 100, name
        assert first.endswith((".", ":", ",", ";")), f"{name}: {first}"
    assert looked > 100

"""Models of every form: instances, functions, outputs with more than logits, number formats."""

import functools
import json
import re
import sys

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib import __main__ as command_line
from rs_lib.machines.called import Called, tensor_of, two_classes
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import Executed, FixedSamples, certify

MODEL = """
from collections import namedtuple
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()


instance = net()
parallel = nn.DataParallel(net())
Named = namedtuple("Named", "logits aux")


@dataclass
class Output:
    logits: torch.Tensor
    hidden: object = None


class Gives(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.net, self.way = net(), way

    def forward(self, images):
        logits = self.net(images)
        return {
            "attribute": lambda: Output(logits),
            "key": lambda: {"logits": logits, "hidden": images},
            "named": lambda: Named(logits, logits * 2),
            "tuple": lambda: (logits,),
            "loss": lambda: (logits.mean(), logits),
            "nested": lambda: [logits, (images, images)],
            "pair": lambda: (logits, logits * 2),
            "text": lambda: "logits",
            "empty": lambda: (),
            "dict": lambda: {"scores": logits},
            "whole": lambda: (logits.long(),),
        }[self.way]()


def gives(way):
    return Gives(way)


def classify(images):
    return instance(images)


def typed(anything: torch.Tensor):
    return instance(anything)


def closure():
    own = net()
    return lambda batch: own(batch)


def method():
    return net().forward


def part():
    return partial(lambda model, batch: model(batch), net())


class Plain:
    def __init__(self):
        self.models = {"one": [net()]}

    def __call__(self, batch):
        return self.models["one"][0](batch)


weights = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)


def foreign():
    return lambda batch: torch.from_numpy(batch.flatten(1).numpy() @ weights)


class Raw:
    def __init__(self):
        self.weight = torch.from_numpy(weights)

    def __call__(self, batch):
        return batch.flatten(1) @ self.weight


def training():
    own = net()
    own.append(nn.Dropout())
    own.train()
    return lambda batch: own(batch)


def half():
    return net().half()


def double():
    return net().double()


class Casts(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, images):
        return self.net(images.half())


def casts():
    return Casts()


def binary(columns=1):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(64, 1)]
    return nn.Sequential(*layers, *([nn.Flatten(0)] if columns == 0 else []))


def binary_two():
    return nn.Sequential(binary(), Two())


class Two(nn.Module):
    def forward(self, z):
        return torch.cat((torch.zeros_like(z), z), dim=1)


number = 5


def text():
    return "x"


def takes_two(images, other):
    return images
"""
RUN = ["--data", "a.npz", "--scale", "0.25", "--n", "100"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the module `mine` and four images of two classes."""
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 8, 8), dtype=np.uint8)
    np.savez("a.npz", images=images, labels=np.array([0, 1, 0, 1]))
    yield tmp_path
    sys.modules.pop("mine", None)


def made(place, target, *words):
    """Certify `mine:target`; return the table and what the header says of the model."""
    given = ["--model", f"mine:{target}", *RUN, *words, "--out", f"{target}.tsv"]
    assert command_line.main(["certify", *given]) == 0
    header = json.loads((place / f"{target}.json").read_text())
    return (place / f"{target}.tsv").read_bytes(), header["model"]


@pytest.mark.parametrize(
    "target",
    ["instance", "parallel", "classify", "typed", "closure", "method", "part", "Plain"],
)
def test_every_form_of_one_network_gives_its_log(place, target):
    table, model = made(place, target)
    assert (table, model["logits"]) == (made(place, "net")[0], made(place, "net")[1]["logits"])


@pytest.mark.parametrize("way", ["attribute", "key", "named", "tuple", "loss", "nested"])
def test_logits_are_found_in_what_a_network_gives(place, way):
    assert made(place, "gives", "--arguments", f"way={way}")[0] == made(place, "net")[0]


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("pair", "model gives tuple for one image"),
        ("text", "model gives str for one image"),
        ("empty", "model gives tuple for one image"),
        ("dict", "model gives dict for one image"),
        ("whole", "model gives tuple for one image"),
    ],
)
def test_what_holds_no_logits_or_several_is_refused(place, way, told, capsys):
    words = ["--model", "mine:gives", "--arguments", f"way={way}", *RUN]
    assert command_line.main(["certify", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (place / "certify.tsv").exists()


def test_one_logit_stands_for_two_classes(place):
    two = made(place, "binary_two")[0]
    assert made(place, "binary")[0] == two
    (place / "binary.tsv").unlink()
    assert made(place, "binary", "--arguments", "columns=0")[0] == two


def test_at_zero_and_beyond_one_logit_is_what_it_says():
    logits = torch.tensor([[0.0], [1e-30], [-1e-30], [float("-inf")]])
    assert two_classes(logits).argmax(1).tolist() == [0, 1, 0, 0]
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).eval()
    nn.init.constant_(model[1].weight, float("nan"))
    executed = Executed(model, classes=2)
    executed.probe((1, 2, 2))
    assert (executed.answers(torch.ones(128, 1, 2, 2)) == 2).all()  # counted as broken


def test_weights_that_cannot_be_found_need_a_fingerprint(place, capsys):
    command = ["certify", "--model", "mine:foreign", *RUN]
    assert command_line.main(command) == 2
    error = capsys.readouterr().err
    assert "no weights are found in it" in error
    assert "give --fingerprint" in error
    assert command_line.main([*command, "--fingerprint", "v1"]) == 0
    assert json.loads((place / "certify.json").read_text())["model"]["fingerprint"] == "v1"
    capsys.readouterr()
    assert command_line.main([*command, "--fingerprint", "v2"]) == 2
    assert 'model.fingerprint is "v1" in the log and "v2" now' in capsys.readouterr().err


def test_tensors_of_an_instance_are_hashed(place):
    import mine

    one, other = mine.Raw(), mine.Raw()
    assert repr(Called(one)) == repr(Called(other))
    other.weight = other.weight + 1
    assert repr(Called(one)) != repr(Called(other))


def test_a_function_may_read_the_memory_of_its_images_in_order():
    """As a runtime does that is handed an address: the pixels of a colour image stay in place."""

    def by_address(images):
        plain = torch.as_strided(images, images.shape, torch.empty(images.shape).stride())
        red = plain[:, 0].mean(dim=(1, 2))
        return torch.stack((red, 0.5 - red), dim=1)

    images = torch.zeros((1, 3, 8, 8), dtype=torch.uint8)
    images[:, 0] = 255
    found = certify(
        by_address, images, Rounded(Gaussian(0.25)), FixedSamples(200), classes=2, seed=0
    )
    assert found.predicted.tolist() == [0]


def test_a_network_in_training_mode_inside_of_a_function_is_seen(place):
    import mine

    images = torch.zeros((1, 1, 8, 8), dtype=torch.uint8)
    plan = FixedSamples(100)
    with pytest.raises(ValueError, match=r"model is in training mode: call model.eval\(\) first"):
        certify(mine.training(), images, Rounded(Gaussian(1)), plan, classes=10, seed=0)
    # The command line puts it into evaluation mode, as it does with every model.
    assert made(place, "training")[0]


@pytest.mark.parametrize("target", ["half", "double"])
def test_other_precisions_become_float32_and_that_is_told(place, target, capsys):
    table, _ = made(place, target)
    kind = {"half": "torch.float16", "double": "torch.float64"}[target]
    assert f"model: its weights are {kind}; they become float32 first" in capsys.readouterr().err
    if target == "double":
        assert table == made(place, "net")[0]


def test_a_network_that_casts_for_itself_is_told_what_is_wrong(place, capsys):
    assert command_line.main(["certify", "--model", "mine:casts", *RUN]) == 2
    error = capsys.readouterr().err
    assert "model mixes number formats" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precisions_certify_and_are_recorded(place, precision):
    table, _ = made(place, "net", "--precision", precision)
    assert json.loads((place / "net.json").read_text())["precision"] == precision
    assert table.count(b"\n") == 5


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("number", "mine has no function number"),
        ("nothing", "mine has no function nothing"),
        ("text", "text returns str, no torch model and nothing that can be called"),
        ("takes_two", "takes_two() fails with TypeError"),
        ("instance --arguments a=1", "it is the model itself, leave --arguments out"),
        ("gives", "gives() fails with TypeError"),
        ("binary --precision float64", "invalid choice"),
    ],
)
def test_targets_that_are_none_are_one_sentence(place, target, told, capsys):
    name, *words = target.split()
    try:
        status = command_line.main(["certify", "--model", f"mine:{name}", *words, *RUN])
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert told in capsys.readouterr().err
    assert not (place / "certify.tsv").exists()


@pytest.mark.parametrize("model", [5, "net", None, nn.Linear, [nn.Identity()]])
def test_what_is_no_model_is_refused_in_python(model):
    with pytest.raises(ValueError, match=re.escape("give a torch.nn.Module, or a function")):
        Executed(model, classes=2)


def test_a_function_in_python_gives_what_its_network_gives():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    images = torch.randint(0, 256, (3, 1, 4, 4), dtype=torch.uint8)
    run = functools.partial(certify, images=images, noise=Rounded(Gaussian(0.25)), classes=3)
    plan = FixedSamples(200)
    own = run(network, plan=plan, seed=1)
    for other in (lambda x: network(x), network.forward, functools.partial(network)):
        found = run(other, plan=plan, seed=1)
        assert (found.successes == own.successes).all()
        assert [*Called(other).modules()][1] is network


def test_logits_of_unknown_outputs_stay_as_they_are():
    assert tensor_of("x") == "x"
    assert tensor_of((torch.ones(1), torch.ones(2)))[1].shape == (2,)

"""Weights of every kind that public repositories write: taken whole, or refused in a sentence."""

import argparse
import pickle
import re
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from rs_lib.commands import checkpoints, classifier

NETS = """
import torch
from torch import nn


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )


def parallel(seed=0):
    return nn.DataParallel(net(seed))


def normalised(seed=0):
    return nn.Sequential(nn.Identity(), net(seed))


def inner(seed=0):
    return nn.Sequential(nn.Identity(), nn.DataParallel(net(seed)))


def half(seed=0):
    return net(seed).half()


def double(seed=0):
    return net(seed).double()
"""
IMAGES = torch.rand((5, 1, 8, 8), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """The working directory with a module `nets`; its networks of seed 1 are what is saved."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield __import__("nets")
    sys.modules.pop("nets")


def saved(own, kind):
    """Return the name of a file that holds the state dict `own`, as repositories of a kind do."""
    under = {
        "bare": own,
        "module.": {f"module.{name}": value for name, value in own.items()},
        "_orig_mod.module.": {f"_orig_mod.module.{name}": value for name, value in own.items()},
        "module._orig_mod.": {f"module._orig_mod.{name}": value for name, value in own.items()},
        "model.": {f"model.{name}": value for name, value in own.items()},
        "backbone.": {f"backbone.{name}": value for name, value in own.items()},
        "1.module.": OrderedDict((f"1.module.{name}", value) for name, value in own.items()),
        "half": {name: x.half() if x.is_floating_point() else x for name, x in own.items()},
        "old": {name: x for name, x in own.items() if not name.endswith("num_batches_tracked")},
        "parameters": {name: nn.Parameter(x, x.is_floating_point()) for name, x in own.items()},
    }
    content = under.get(kind.partition("/")[2] or kind, own)
    for key in reversed(kind.partition("/")[0].split(">") if "/" in kind else []):
        content = {"epoch": 90, key: content, "best": torch.tensor(0.9), "lr": [0.1], "n": None}
    if kind.endswith("safetensors"):
        safetensors.torch.save_file(own, "file.pt")
    else:
        zipped = not kind.endswith("legacy")
        torch.save(content, "file.tar", _use_new_zipfile_serialization=zipped)
        shutil.move("file.tar", "file.pt")
    return "file.pt"


KINDS = [
    *("bare", "safetensors", "legacy", "module.", "_orig_mod.module.", "module._orig_mod."),
    *("model.", "backbone.", "1.module.", "old", "parameters"),
    *(f"{key}/bare" for key in checkpoints.CONTAINERS),
    *("state_dict/module.", "net/module.", "ema_state_dict/model.", "weird name/bare"),
    *("model>state_dict/bare", "state_dict>model/1.module.", "state_dict/old", "state/legacy"),
    *("model_state_dict/1.module.", "state_dict/backbone."),
]


@pytest.mark.parametrize("target", ["net", "parallel", "normalised", "inner", "half", "double"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_saved_loads_into_all_that_holds_the_network(nets, kind, target, capsys):
    network = nets.net(1).eval()
    loaded = classifier.load(f"nets:{target}", {}, Path(saved(network.state_dict(), kind)))
    assert not loaded.training
    assert torch.equal(loaded(IMAGES), network(IMAGES)) or target == "half"
    words = capsys.readouterr().err
    if "/" in kind:
        assert f"taken from the key {kind.partition('/')[0].replace('>', '.')}" in words


@pytest.mark.parametrize("name", ["a.th", "a.ckpt", "a.pth.tar", "a", "a.bin", "a.safetensors"])
def test_the_contents_decide_not_the_name(nets, name, tmp_path):
    network = nets.net(1).eval()
    torch.save(network.state_dict(), tmp_path / name)
    assert torch.equal(classifier.load("nets:net", {}, tmp_path / name)(IMAGES), network(IMAGES))


def test_half_precision_weights_are_those_of_the_file(nets):
    network = nets.net(1).eval()
    path = Path(saved(network.state_dict(), "state_dict/half"))
    assert torch.equal(
        classifier.load("nets:net", {}, path)(IMAGES), network.half().float()(IMAGES)
    )


def test_averaged_weights_load_and_their_count_is_left(nets, tmp_path):
    network = nets.net(1).eval()
    torch.save(AveragedModel(network).state_dict(), tmp_path / "swa.pt")
    loaded = classifier.load("nets:net", {}, tmp_path / "swa.pt")
    assert torch.equal(loaded(IMAGES), network(IMAGES))


def test_of_two_that_fit_the_first_is_taken_and_the_other_told(nets, tmp_path, capsys):
    one, two = nets.net(1).eval(), nets.net(2).eval()
    torch.save({"ema": two.state_dict(), "state_dict": one.state_dict()}, tmp_path / "a.pt")
    loaded = classifier.load("nets:net", {}, tmp_path / "a.pt")
    assert torch.equal(loaded(IMAGES), one(IMAGES))
    told = capsys.readouterr().err
    assert "taken from the key state_dict; ema would fit too" in told


def test_a_layer_that_is_left_out_is_told(nets, capsys):
    classifier.load("nets:net", {}, Path(saved(nets.net(1).state_dict(), "1.module.")))
    assert "such as one that normalises, is not in this model" in capsys.readouterr().err


def test_torch_migrates_what_only_it_knows(tmp_path, nets):
    """Files of the former weight_norm: other names and, for torch, the same weights."""
    former = nn.utils.weight_norm(nn.Linear(4, 2))
    torch.save(former.state_dict(), tmp_path / "former.pt")
    present = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    assert checkpoints.load_into(present, tmp_path / "former.pt") == ""
    images = torch.ones((3, 4))
    assert torch.allclose(present(images), former(images))


class Opaque:
    """A class of the training script."""


def broken(own, kind):
    if kind == "more":
        return {**own, "fc.weight": torch.ones(3)}
    if kind == "fewer":
        return {name: value for name, value in own.items() if name != "4.bias"}
    if kind == "wide":
        return {**own, "4.bias": torch.ones(11)}
    if kind == "mixed prefixes":
        return {f"model.{name}" if name.startswith("4") else name: x for name, x in own.items()}
    if kind == "int8":
        return {**own, "4.weight": own["4.weight"].to(torch.int8)}
    if kind == "complex":
        return {**own, "4.weight": own["4.weight"] + 1j}
    if kind == "fewer in a container":
        return {"state_dict": {f"module.{n}": x for n, x in own.items() if n != "4.bias"}}
    return {"list": list(own.values()), "number": 5, "text": "x", "strings": own}[kind]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("more", "fc.weight is not in the model"),
        ("fewer", "4.bias is missing"),
        ("fewer in a container", "4.bias is missing"),
        ("wide", "4.bias has shape [11], not [10]"),
        ("mixed prefixes", "4.weight is missing; 4.bias is missing; model.4.weight is not in"),
        ("int8", "4.weight has numbers of type torch.int8"),
        ("complex", "4.weight has numbers of type torch.complex64"),
        ("list", "are no state dict: save model.state_dict()"),
        ("number", "are no state dict"),
        ("text", "are no state dict"),
    ],
)
def test_what_does_not_fit_wholly_is_refused(nets, kind, told, tmp_path):
    torch.save(broken(nets.net(1).state_dict(), kind), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        classifier.load("nets:net", {}, tmp_path / "a.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("beside", "name"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (Opaque(), "test_checkpoints.Opaque"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (np.float64(0.5), "numpy"),
        (print, "print"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_run_and_its_class_is_named(nets, beside, name, zipped, tmp_path):
    content = {"state_dict": nets.net(1).state_dict(), "args": beside}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=name) as caught:
        classifier.load("nets:net", {}, tmp_path / "a.pt")
    told = str(caught.value)
    assert "torch.serialization.add_safe_globals" in told
    assert not {"\n", "\x1b"} & set(told)
    assert "weights_only" not in told


def test_a_class_that_the_models_module_allows_is_taken(nets, tmp_path):
    (tmp_path / "nets.py").write_text(
        f"{NETS}\nimport argparse\n\ntorch.serialization.add_safe_globals([argparse.Namespace])\n"
    )
    sys.modules.pop("nets")
    network = nets.net(1).eval()
    content = {"state_dict": network.state_dict(), "args": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "a.pt")
    try:
        loaded = classifier.load("nets:net", {}, tmp_path / "a.pt")
    finally:
        torch.serialization.clear_safe_globals()
    assert torch.equal(loaded(IMAGES), network(IMAGES))


def test_a_file_that_is_none_is_one_sentence(nets, tmp_path):
    path = tmp_path / "a.pt"
    whole = tmp_path / "whole.pt"
    torch.save(nets.net(1).state_dict(), whole)
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    contents = {
        "cannot be read": [b"", b"junk", whole.read_bytes()[:300], pickle.dumps({"a": 1})[:9]],
        "is a TorchScript program|are a TorchScript": [(tmp_path / "script.pt").read_bytes()],
        "cannot be read|no state dict": [(8).to_bytes(8, "little") + b"{nothing", pickle.dumps(5)],
    }
    for told, files in contents.items():
        for content in files:
            path.write_bytes(content)
            with pytest.raises(ValueError, match=told) as caught:
                classifier.load("nets:net", {}, path)
            assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="cannot be read"):
        classifier.load("nets:net", {}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match="cannot be read"):
        classifier.load("nets:net", {}, tmp_path)

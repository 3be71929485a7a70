"""Triggers, spambase, and the experiment on noise on the training features."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch

from rs_lib.certificates import backdoor
from rs_lib.experiments import rab
from rs_lib.machines import spambase, triggers
from rs_lib.machines.data import DataError
from rs_lib.record.stage import Context

# Triggers


@pytest.mark.parametrize("trigger", triggers.TRIGGERS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_a_pattern_has_the_norm_asked_for(trigger, shape):
    for norm in (0.0, 0.1, 2.0):
        found = triggers.pattern(trigger, norm, shape)
        assert found.shape == shape
        assert found.dtype == torch.float32
        assert float(found.double().norm()) == pytest.approx(norm, rel=1e-6)
        assert torch.equal(found, triggers.pattern(trigger, norm, shape))


def test_the_pixels_of_a_pattern():
    one = triggers.pattern("one-pixel", 1.0, (1, 28, 28))
    assert one.nonzero().tolist() == [[0, 23, 23]]
    four = triggers.pattern("four-pixel", 1.0, (3, 8, 8))
    assert (four != 0).sum() == 12
    np.testing.assert_allclose(four[four != 0], 12**-0.5, rtol=1e-6)
    assert (triggers.pattern("blending", 1.0, (1, 8, 8)) != 0).all()


def test_bad_patterns_are_refused():
    with pytest.raises(ValueError, match="give one of one-pixel"):
        triggers.pattern("sticker", 1.0, (1, 8, 8))
    with pytest.raises(ValueError, match="norm is -1"):
        triggers.pattern("blending", -1, (1, 8, 8))
    with pytest.raises(ValueError, match="at least 8 x 8"):
        triggers.pattern("one-pixel", 1.0, (1, 5, 9))


def test_poisoned_examples_are_victims_spread_evenly():
    labels = torch.tensor([0, 1, 1, 0, 1, 1, 1, 0])
    chosen = triggers.poisoned_examples(labels, 0, 3)
    assert chosen.tolist() == [1, 2, 5]
    features, added = torch.zeros(8, 2), torch.tensor([1.0, 2.0])
    moved, changed = triggers.poisoned(features, labels, chosen, added, 0)
    assert moved[chosen].tolist() == [[1.0, 2.0]] * 3
    assert float(moved.sum()) == 9
    assert changed.tolist() == [0, 0, 0, 0, 1, 0, 1, 0]
    assert not features.any()
    assert labels.sum() == 5
    with pytest.raises(ValueError, match="give at most 5"):
        triggers.poisoned_examples(labels, 0, 6)


# Spambase


def _file(folder, monkeypatch, rows=20, right=True):
    rng = np.random.default_rng(0)
    table = np.c_[rng.random((rows, 57)).round(2), np.arange(rows) < rows // 2]
    text = "\n".join(",".join(f"{value:g}" for value in row) for row in table) + "\n"
    (folder / "spambase").mkdir()
    (folder / "spambase" / "spambase.data").write_text(text)
    if right:
        monkeypatch.setattr(spambase, "SHA256", hashlib.sha256(text.encode()).hexdigest())
    return table


def test_spambase_is_split_and_standardised(tmp_path, monkeypatch):
    table = _file(tmp_path, monkeypatch)
    monkeypatch.setenv("RS_DATA", str(tmp_path))
    found = spambase.load()
    assert found.test_labels.tolist() == table[4::5, 57].tolist()
    assert len(found.train_labels) == 16
    np.testing.assert_allclose(found.train_features.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.train_features.std(0, correction=0), 1)
    train = np.delete(table[:, :57], np.s_[4::5], axis=0)
    scaled = (table[4, :57] - train.mean(0)) / train.std(0)
    np.testing.assert_allclose(found.test_features[0], scaled)


def test_spambase_that_is_missing_or_another_is_told(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"cannot be read .* set RS_DATA"):
        spambase.load(tmp_path)
    _file(tmp_path, monkeypatch, right=False)
    with pytest.raises(DataError, match=r"other content .* get it anew"):
        spambase.load(tmp_path)


# The experiment

TINY = dataclasses.replace(
    rab.PROFILES["quick"],
    tests=6,
    models=10,
    plain_models=2,
    hidden=4,
    epochs=10,
    sigmas=(0.5,),
    attacks=(("one-pixel", 1.0), ("blending", 0.5)),
    nearest=dataclasses.replace(
        rab.PROFILES["quick"].nearest, datasets=(("digits", 30),), tests=4, neighbours=(1, 3)
    ),
)


@pytest.fixture(scope="module")
def values():
    return rab.experiment.compute(TINY, Context())


def test_the_ensembles_that_are_made(values):
    made = [(run["trigger"], run["sigma"], run["models"]) for run in values["ensembles"]]
    names = ["none", "one-pixel", "blending"]
    plain = [("clean", 0.0, 2), *((name, 0.0, 2) for name in names)]
    assert made == [*plain, *((name, 0.5, 10) for name in names)]
    for run in values["ensembles"]:
        own = run["trigger"]
        shown = {own} if own in ("one-pixel", "blending") else {"one-pixel", "blending"}
        assert set(run["blocks"]) == {"clean", *shown}
        for name, block in run["blocks"].items():
            assert len(block["votes"]) == (12 if name == "clean" else 6)
            assert all(0 <= votes <= run["models"] for votes in block["votes"])
            assert all(0 <= score <= run["models"] + 1e-5 for score in block["scores"])
    assert json.loads(json.dumps(values)) == values


def test_only_poisoned_sets_carry_patterns():
    images = rab.pair("digits", 0, 1, 1000, 6)
    clean, bare, full = (
        rab.training_set(TINY, images, name) for name in ("clean", "none", "blending")
    )
    assert torch.equal(clean[0], bare[0])
    assert int((clean[1] != bare[1]).sum()) == TINY.poisoned
    assert torch.equal(bare[1], full[1])
    moved = (full[0] - bare[0]).double()
    assert float(moved.norm()) == pytest.approx(TINY.poisoned**0.5 * 0.5, rel=1e-5)


def test_votes_are_those_of_the_true_label(values):
    """Without noise and patterns zeros and ones are told apart, so true labels have the votes."""
    clean = next(run for run in values["ensembles"] if run["trigger"] == "clean")
    assert np.mean(clean["blocks"]["clean"]["votes"]) > 0.8 * clean["models"]


def test_neighbours_are_exact(values):
    (run,) = values["neighbours"]
    train, labels, test, truth, _ = rab.neighbour_points(TINY, "digits", 30)
    each = backdoor.nearest_neighbour_probabilities(train, test, 0.5)
    for row, label, p in zip(each, truth, run["exact"]["1"], strict=True):
        assert row[labels == label].sum() == pytest.approx(p, abs=1e-9)
    assert run["labels"] == truth.tolist()
    for key in ("bucketed", "bucketed reversed"):
        np.testing.assert_allclose(run[key], run["exact"]["1"], atol=0.05)

"""Ensembles: laws of the noise, learners beside independent ones, votes whatever the chunks.

Seeded; with a new seed a frequency fails with probability below 1e-8, and there are 13.
"""

import copy
import importlib
import os
import re
import subprocess
import sys
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.naive_bayes import BernoulliNB
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks import ensembles
from rs_lib.machines import models
from rs_lib.machines.ensembles import (
    NaiveBayes,
    NearestNeighbour,
    Network,
    NoisyData,
    Ridge,
    multilayer_perceptron,
    vote,
    votes_in_chunks,
)
from rs_lib.machines.ensembles import noisy_data as noisy_data_module
from rs_lib.noise import Draws, Flip, Gaussian, Rounded, Uniform, words
from rs_lib.record import digests, places
from rs_lib.seeds import derive

FEATURES, CLASSES = 20, 3
PERCEPTRON = partial(multilayer_perceptron, FEATURES, (8,), CLASSES)
MODELS = np.arange(4)


def _data(**changes):
    draw = torch.Generator().manual_seed(1)
    sizes = {"train_features": 30, "test_features": 12}
    arrays = {
        name: torch.randint(0, 2, (rows, FEATURES), generator=draw, dtype=torch.uint8)
        for name, rows in sizes.items()
    }
    labels = torch.randint(0, CLASSES, (30,), generator=draw)
    given = {
        "train_labels": labels,
        "classes": CLASSES,
        "seed": 3,
        "feature_noise": Flip(0.9),
        "label_noise": Flip(0.8, CLASSES - 1),
        "test_noise": "each",
    }
    return NoisyData(**(arrays | given | changes))


def _float_data(**changes):
    whole = _data()
    floats = {
        "train_features": whole.train_features.float(),
        "test_features": whole.test_features.float(),
    }
    return _data(**(floats | {"feature_noise": Gaussian(0.5), "test_noise": "none"} | changes))


def _network(**changes):
    given = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "seed": 5, "tile": 4}
    return Network(PERCEPTRON, **(given | changes))


@pytest.mark.parametrize("levels", [1, 2, 9, 255])
@pytest.mark.parametrize("keep", [0.6, 0.8, Fraction(9, 10), 1 - 1e-6])
def test_the_words_of_a_flip_split_into_equal_sets(keep, levels):
    law = Flip(keep, levels)
    edges = [-(2**31), *law.thresholds.tolist(), 2**31]
    sizes = np.diff(edges)
    assert Fraction(int(sizes[0]), 2**32) == law.keep
    assert len(set(sizes[1:].tolist())) == 1
    assert len(sizes) == levels + 1
    assert abs(law.keep - Fraction(keep)) <= Fraction(levels, 2**33)


@pytest.mark.parametrize(("keep", "levels"), [(0.8, 1), (0.3, 4), (0.7, 9)])
def test_flips_have_their_law(keep, levels):
    law = Flip(keep, levels)
    values = (torch.arange(2000) % (levels + 1)).to(torch.uint8).expand(10, -1)
    found = law.moved(values, Draws(1, np.arange(10), np.arange(10))).long()
    moves = torch.bincount(((found - values) % (levels + 1)).flatten(), minlength=levels + 1)
    chances = [float(law.keep)] + [float((1 - law.keep) / levels)] * levels
    for count, chance in zip(moves.tolist(), chances, strict=True):
        low, high = stats.binom.interval(1 - 1e-9, found.numel(), chance)
        assert low <= count <= high


@pytest.mark.parametrize("levels", [1, 9])
def test_flips_are_the_same_bits_without_numba(monkeypatch, levels):
    draws = Draws(derive(1, "flips"), np.array([4, 4, 2**40]), np.array([0, 7, 8]))
    draw = partial(Flip(0.7, levels).moved, torch.ones(3, 21, dtype=torch.uint8), draws)
    here = draw()
    monkeypatch.setattr(words, "compiled", None)
    assert torch.equal(here, draw())
    assert here.shape == (3, 21)


@pytest.mark.parametrize("noise", [Flip(0.7), Gaussian(0.5), Uniform(1.0), Rounded(Gaussian(9), 1)])
def test_a_model_has_its_noise_whatever_is_drawn_beside_it(monkeypatch, noise):
    make = _float_data if isinstance(noise, Gaussian | Uniform) else _data
    data = make(feature_noise=noise, test_noise="each")
    features, labels = data.training(MODELS)
    tests = torch.cat(list(data.tests(MODELS, None)), dim=1)
    monkeypatch.setattr(noisy_data_module, "BLOCK", 5)
    monkeypatch.setattr(noisy_data_module, "_AT_ONCE", 700)
    alone, own = data.training(MODELS[2:3])
    assert torch.equal(alone[0], features[2])
    assert torch.equal(own[0], labels[2])
    assert torch.equal(torch.cat(list(data.tests(MODELS[2:3], None)), dim=1)[0], tests[2])
    assert not torch.equal(features[1], features[2])
    assert not torch.equal(tests[0, 0], tests[0, 1])


def test_labels_may_be_noisy_over_fixed_features():
    data = _float_data(feature_noise=None)
    features, labels = data.training(MODELS)
    assert features.shape == (30, FEATURES)
    assert not torch.equal(labels[0], labels[1])
    assert torch.equal(_float_data(label_noise=None).training(MODELS)[1][3], data.train_labels)


def _trained_alone(learner, features, labels, model):
    network = learner.build(derive(learner.seed, "initial", model))
    optimiser = torch.optim.Adam(network.parameters(), lr=learner.learning_rate)
    draw = torch.Generator().manual_seed(derive(learner.seed, "order"))
    for _ in range(learner.epochs):
        for batch in torch.randperm(len(features), generator=draw).split(learner.batch_size):
            optimiser.zero_grad()
            cross_entropy(network(features[batch]), labels[batch]).backward()
            optimiser.step()
    return network


def _convolutional(seed):
    whole = models.build("small-cnn", (1, 4, 5), CLASSES, seed)
    return nn.Sequential(nn.Unflatten(1, (1, 4, 5)), whole)


@pytest.mark.parametrize(
    "build", [PERCEPTRON, partial(multilayer_perceptron, FEATURES, (), CLASSES), _convolutional]
)
def test_networks_train_as_each_would_alone(build):
    learner = Network(build, epochs=3, batch_size=8, learning_rate=0.01, seed=5)
    data = _data()
    features, labels = data.training(MODELS)
    together = learner.fit(features, labels, CLASSES, MODELS)
    tests = torch.cat(list(data.tests(MODELS, None)), dim=1)
    scores = together.scores(tests)
    for model in MODELS.tolist():
        alone = _trained_alone(learner, features[model], labels[model], model)
        expected = alone(tests[model]).softmax(-1)
        torch.testing.assert_close(scores[model], expected, rtol=0, atol=2e-5)
        own = dict(alone.named_parameters())
        for name, value in together.weights.items():
            mine = value[model].mT if own[name].ndim == 2 else value[model]
            # Adam divides by the size of gradients, also of those that are all but zero.
            torch.testing.assert_close(mine, own[name], rtol=0, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("rows", [10, 30])
def test_ridge_is_that_of_scikit_learn(rows, classes):
    data = _data()
    features, labels = data.training(MODELS)
    features, labels = features[:, :rows], labels[:, :rows] % classes
    tests = torch.cat(list(data.tests(MODELS, None)), dim=1)
    scores = Ridge(0.5).fit(features, labels, classes, MODELS).scores(tests).numpy()
    fixed = Ridge(0.5).fit(features[0], labels, classes, MODELS).scores(tests[0]).numpy()
    for model in MODELS:
        targets = np.eye(classes)[labels[model]]
        columns = targets[:, 1:] if classes == 2 else targets
        for inputs, found, seen in (
            (features[model], scores[model], tests[model]),
            (features[0], fixed[model], tests[0]),
        ):
            reference = SklearnRidge(0.5, fit_intercept=False).fit(inputs.double(), columns)
            expected = reference.predict(seen.double()).reshape(12, -1)
            if classes == 2:
                expected = np.hstack([1 - expected, expected])
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_nearest_neighbours_are_those_of_hamming_and_ties_go_to_the_first():
    data = _data()
    features, labels = data.training(MODELS)
    tests = torch.cat(list(data.tests(MODELS, None)), dim=1)
    scores = NearestNeighbour().fit(features, labels, CLASSES, MODELS).scores(tests)
    ties = 0
    for model in MODELS:
        for place, test in enumerate(tests[model]):
            distances = (features[model] != test).sum(1).tolist()
            ties += distances.count(min(distances)) > 1
            assert scores[model, place].argmax() == labels[model, distances.index(min(distances))]
    assert ties > 10
    shared = NearestNeighbour().fit(features[0], labels, CLASSES, MODELS).scores(tests[0])
    assert torch.equal(shared[0], scores[0])
    assert shared.sum() == 4 * 12


def test_naive_bayes_is_that_of_scikit_learn():
    data = _data()
    features, labels = data.training(MODELS)
    tests = torch.cat(list(data.tests(MODELS, None)), dim=1)
    scores = NaiveBayes(0.7).fit(features, labels, CLASSES, MODELS).scores(tests)
    for model in MODELS:
        reference = BernoulliNB(alpha=0.7).fit(features[model], labels[model])
        expected = reference.predict_proba(tests[model])
        np.testing.assert_allclose(scores[model].numpy(), expected, rtol=0, atol=1e-12)
    missing = NaiveBayes().fit(features, labels, CLASSES + 1, MODELS).scores(tests)
    assert (missing[..., CLASSES] == 0).all()
    assert not missing.isnan().any()


LEARNERS = [_network(), Ridge(1.0, tile=4), NearestNeighbour(tile=4), NaiveBayes(tile=4)]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)
def test_votes_are_the_same_in_any_chunks_on_any_threads_and_resumed(learner):
    data = _data()
    threads = torch.get_num_threads()
    whole = vote(learner, data, range(19))["votes"]
    assert whole.shape == (19, 12)
    assert whole.dtype == torch.int8
    kept, made = {}, []

    def stage(name, inputs, compute):
        key = (name, digests.canonical_json(inputs))
        if key not in kept:
            if len(made) == 2 and not kept.get("resumed"):
                kept["resumed"] = True
                raise KeyboardInterrupt
            kept[key] = compute()
            made.append(key)
        return kept[key]

    chunks = partial(votes_in_chunks, learner, data, 19, stage=stage, inputs={"seed": 3})
    with pytest.raises(KeyboardInterrupt):
        chunks(chunk=5)
    assert torch.equal(chunks(chunk=5)["votes"], whole)
    assert len(made) == 3
    try:
        torch.set_num_threads(3)
        assert torch.equal(vote(learner, data, range(19))["votes"], whole)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(vote(learner, data, range(3, 11))["votes"], whole[3:11])
    assert len(whole.unique(dim=0)) > 10


SHARED = """
import sys
from functools import partial

import torch

from rs_lib.commands import ranks
from rs_lib.machines.ensembles import Network, NoisyData, multilayer_perceptron, vote
from rs_lib.noise import Flip

bits = (torch.arange(600) * 7919 % 13 < 6).to(torch.uint8).view(30, 20)
data = NoisyData(bits, torch.arange(30) % 2, bits[:9], 2, 3, feature_noise=Flip(0.8))
learner = Network(partial(multilayer_perceptron, 20, (8,), 2), 3, 8, 0.01, seed=5, tile=4)

if __name__ == "__main__":
    with ranks.joined() as joined:
        found = vote(learner, data, range(19), soft=True, ranks=joined)
        assert joined.world == 2
        torch.save(found, f"{sys.argv[1]}/{joined.rank}.pt")
"""


def test_two_ranks_share_the_models_and_both_have_all_votes(tmp_path, monkeypatch):
    (tmp_path / "shared_models.py").write_text(SHARED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(tmp_path / "shared_models.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(places.HERE.root), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    monkeypatch.syspath_prepend(tmp_path)
    shared = importlib.import_module("shared_models")
    whole = vote(shared.learner, shared.data, range(19), soft=True)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(found["votes"], whole["votes"])
        assert torch.equal(found["scores"], whole["scores"])
    assert len(whole["votes"].unique(dim=0)) > 10


def test_scores_are_kept_where_they_are_asked_for():
    found = vote(_network(), _data(), range(8), soft=True)
    assert found["scores"].dtype == torch.float32
    assert torch.equal(found["scores"].argmax(-1).to(torch.int8), found["votes"])
    torch.testing.assert_close(found["scores"].sum(-1), torch.ones(8, 12))
    assert set(vote(_network(), _data(), range(8))) == {"votes"}


@pytest.mark.parametrize("noise", [Gaussian(0.5), Uniform(1.0), Rounded(Gaussian(0.5), 1)])
def test_the_augmentation_is_a_function_of_the_weights_alone(noise):
    make = _data if isinstance(noise, Rounded) else _float_data
    data = make(feature_noise=noise, test_noise="weights")
    other = make(feature_noise=noise, test_noise="weights", seed=99)
    networks = _network().fit(*data.training(MODELS), CLASSES, MODELS)
    digests = networks.digests()
    (seen,) = data.tests(MODELS, digests)
    shift = seen - data.test_features.float()
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), rtol=0, atol=1e-6)
    assert torch.equal(seen, next(other.tests(MODELS, digests)))
    twin = copy.deepcopy(networks)
    with torch.no_grad():
        twin.weights["0.bias"][1, 2] += 1e-4
    assert (twin.digests() != digests).tolist() == [False, True, False, False]
    assert len(set(digests.tolist())) == 4
    answers = networks.scores(seen).argmax(-1).to(torch.int8)
    assert torch.equal(vote(_network(), data, range(4))["votes"], answers)


def test_augmentations_have_the_law_of_the_noise():
    data = _float_data(test_noise="weights", feature_noise=Gaussian(2.0))
    (seen,) = data.tests(np.arange(500), np.arange(500) * 10**12)
    shift = (seen - data.test_features)[:, 0].flatten().double()
    assert stats.kstest(shift, stats.norm(0, 2.0).cdf).pvalue > 1e-9


def test_memory_is_that_of_a_tile():
    program = (
        "import resource, torch\n"
        "from rs_lib.machines.ensembles import NearestNeighbour, NoisyData, vote\n"
        "from rs_lib.noise import Flip\n"
        "def images(n): return torch.zeros(n, 784, dtype=torch.uint8)\n"
        "data = NoisyData(images(100), torch.arange(100) % 2, images(300), 2, 0,\n"
        "                 feature_noise=Flip(0.8), test_noise='each')\n"
        "for models in (20, 400):\n"
        "    vote(NearestNeighbour(tile=10), data, range(models))\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, env=environment, capture_output=True, text=True
    )
    few, many = map(int, done.stdout.split())
    # 380 training sets and noisy test sets would be 480,000 kilobytes.
    assert many - few < 30_000


def test_the_benchmark_gives_rates_and_equal_accuracies():
    rows = ensembles.measure("digits", models=25, plain_models=3, repeats=1, threads=1)
    assert [row["batch"] for row in rows] == list(ensembles.BATCHES)
    for row in rows:
        assert row["ratio"] > 0
        assert row["products_share"] + row["passes_share"] > 0
        # Single models are right on 30 to 70 % of 100 images; a few of them vary by less.
        assert abs(row["plain_accuracy"] - row["engine_accuracy"]) < 0.25


def test_the_global_generators_are_left_alone():
    before = torch.get_rng_state()
    vote(_network(), _data(), range(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_diverges_is_named():
    with pytest.raises(FloatingPointError, match=r"scores of model \d+ are NaN"):
        vote(_network(learning_rate=1e38), _data(), range(6))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Flip(0.5), "keep is 0.5: give a probability above 1/2"),
        (lambda: Flip(1.0), "keep is 1.0: give"),
        (lambda: Flip(0.9, 300), "levels is 300: give at most 255"),
        (lambda: _data(train_features=torch.ones(30, 20)), "train_features are torch.float32"),
        (lambda: _data(feature_noise=None, test_noise="none"), "give torch.float32"),
        (lambda: _data(test_features=torch.full((2, 20), 3).byte()), "test_features reach 3"),
        (lambda: _data(test_features=torch.ones(2, 9).byte()), "test_features have 9 columns"),
        (lambda: _data(train_labels=torch.ones(9, dtype=torch.int64)), "train_labels are"),
        (lambda: _data(train_labels=torch.full((30,), 5)), "train_labels reach 5 and 5"),
        (lambda: _data(label_noise=Flip(0.9)), "label_noise has levels 1: give 2"),
        (lambda: _data(test_noise="some"), "test_noise is 'some'"),
        (lambda: _data(test_noise="weights"), "give none or each, the noise does not add"),
        (lambda: _float_data(feature_noise=None, test_noise="each"), "give feature_noise"),
        (lambda: _network(epochs=0), "epochs is 0"),
        (lambda: _network(learning_rate=-1), "learning_rate is -1"),
        (lambda: Ridge(0.0), "penalty is 0"),
        (lambda: NearestNeighbour(tile=0), "tile is 0"),
        (lambda: vote(_network(), _data(), range(5, 5)), "models is range"),
        (lambda: vote(Ridge(1.0), _data(), range(4), soft=True), "soft is True: leave it out"),
        (lambda: vote(NaiveBayes(), _float_data(), range(4)), "features are not 0 and 1"),
        (
            lambda: vote(Ridge(1.0), _float_data(test_noise="weights"), range(4)),
            "has no weights",
        ),
        (
            lambda: vote(Network(_convolutional, 1, 8, 0.1, 0), _wide(), range(4)),
            "build: the network fails on examples of 9 features",
        ),
        (
            lambda: vote(
                Network(partial(multilayer_perceptron, 20, (), 5), 1, 8, 0.1, 0), _data(), range(4)
            ),
            "build: the network answers (2, 5) to 2 examples: give one for 3 classes",
        ),
    ],
)
def test_bad_input_is_told_in_one_sentence(make, told):
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        make()
    assert "\n" not in str(caught.value)


def _wide():
    return _data(train_features=torch.ones(30, 9).byte(), test_features=torch.ones(2, 9).byte())

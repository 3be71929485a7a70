"""Few-shot episodes: disjoint queries, certificates in order, and none beyond the truth.

Seeded; where certificates are compared with the truth they hold at a level of 1e-9 each.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from rs_lib.certificates import embedding
from rs_lib.experiments import smoothed_embeddings
from rs_lib.machines import data
from rs_lib.smoothing import embeddings

SETTINGS = smoothed_embeddings.WITNESS


@pytest.fixture(scope="module")
def result():
    changes = {field.name: getattr(SETTINGS, field.name) for field in dataclasses.fields(SETTINGS)}
    return smoothed_embeddings.experiment.run("quick", changes=changes | {"epochs": 10, "n": 1000})


def test_no_query_comes_twice_and_support_is_drawn_anew():
    asked, digits = smoothed_embeddings.PROFILES["quick"], data.load("digits")
    every = [smoothed_embeddings.episode(asked, digits, k) for k in range(asked.episodes)]
    ids = np.concatenate([own.ids for own in every])
    assert len(np.unique(ids)) == len(ids) == asked.episodes * len(asked.asked) * asked.queries
    for own in every:
        assert own.query_labels.bincount().tolist() == [asked.queries] * len(asked.asked)
        assert own.support_labels.bincount().tolist() == [asked.shots] * len(asked.asked)
    assert not (every[0].support == every[1].support).all()


def test_networks_know_more_of_new_classes_than_chance(result):
    """40 % of 20 queries or more; chance has that with probability below 4 %, and is seeded."""
    queries = [query for part in result.values["episodes"] for query in part["queries"]]
    right = np.mean([query["selected"] == query["label"] for query in queries])
    assert len(queries) == 20
    assert right >= 0.4


def test_certificates_are_in_order_and_samples_cost(result):
    seen = smoothed_embeddings.radii(result, certified=False)
    sound = smoothed_embeddings.radii(result, certified=True)
    assert (seen["Lipschitz"] <= seen["mean"] * (1 + 1e-9)).all()
    assert (seen["mean"] <= seen["vector"]).all()
    for name in ("Lipschitz", "law", "hard votes"):
        assert (sound[name] <= seen[name]).all()
        assert (sound[name] >= 0).all()


def _made(rng, asked, points, spread):
    """Two-valued embeddings, the truth about them, and what is kept of their samples."""
    g = points[0] + spread * rng.normal(size=3)
    first, second = g + rng.normal(size=(2, 3))
    pair = np.array([first / np.linalg.norm(first), second / np.linalg.norm(second)])
    p = rng.uniform(0.5, 0.95)
    drawn = pair[(rng.random(asked["n"] + 500) > p).astype(int)]
    kept = embeddings.counted(drawn[:500], drawn[500:], points, asked["bins"], rng)
    mean = p * pair[0] + (1 - p) * pair[1]
    return pair, p, mean, {"label": kept["selected"], **kept}


def _directions(points, query):
    own = query["selected"]
    return [embeddings.direction(points, own, k)[0] for k in range(3) if k != own]


def test_no_certificate_reaches_beyond_the_truth():
    asked = {"sigma": 0.5, "n": 2_000, "bins": 512, "alpha": 1e-9}
    rng, certified, negative = np.random.default_rng(5), 0, 0
    for turn in range(60):
        points = np.diag([(1.0, 1.0, 1.0), (0.5, 1.0, 0.8)][turn % 2])
        pair, p, mean, query = _made(rng, asked, points, 0.4)
        values = {"episodes": [{"prototypes": points.tolist(), "queries": [query]}]}
        made = SimpleNamespace(parameters=asked, values=values)
        found = smoothed_embeddings.radii(made, certified=True)
        best = {"Lipschitz": np.inf, "mean": np.inf, "vector": np.inf, "law": np.inf}
        for rival in (k for k in range(3) if k != query["selected"]):
            u, b = embeddings.direction(points, query["selected"], rival)
            scores, order = pair @ u, np.argsort(pair @ u)
            share = np.array([p, 1 - p])[order]
            truth = (
                embedding.radius_lipschitz(mean @ u, b, 0.5),
                embedding.radius_mean(mean @ u, b, 0.5),
                embedding.radius_vector(mean @ u, np.linalg.norm(mean - mean @ u * u), b, 0.5),
                embedding.radius_law(scores[order], [1.0, share[1]], b, 0.5),
            )
            for name, radius in zip(best, truth, strict=True):
                best[name] = min(best[name], float(radius))
        for name, radius in best.items():
            assert found[name][0] <= radius * (1 + 1e-9) + 1e-9
            certified += found[name][0] > 0
        negative += min(mean @ u for u in _directions(points, query)) < 0
    assert certified > 20
    assert negative > 2

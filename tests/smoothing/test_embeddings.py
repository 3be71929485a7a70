"""Counts of scores: what they say of samples is what the samples are.

Seeded; a new seed fails a comparison of random heads with their mean with probability below 1e-8.
"""

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib.machines import few_shot
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import embeddings

BINS = 64


def _unit(rng, *shape):
    vectors = rng.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _made(seed, n=4_000, dimension=5, classes=4):
    rng = np.random.default_rng(seed)
    centre, points = _unit(rng, dimension), _unit(rng, classes, dimension)
    samples = centre + 0.5 * rng.normal(size=(2 * n, dimension))
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    kept = embeddings.counted(samples[:n], samples[n:], points, BINS, rng)
    return samples[:n], samples[n:], points, kept


def test_the_half_space_says_which_prototype_is_nearer():
    rng = np.random.default_rng(1)
    points, vectors = rng.normal(size=(2, 3)), rng.normal(size=(500, 3))
    u, b = embeddings.direction(points, 0, 1)
    near = np.linalg.norm(vectors[:, None] - points, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(vectors @ u > b, near == 0)
    np.testing.assert_array_equal(embeddings.nearest(vectors, points), near)


def test_counts_are_those_of_the_samples():
    pilot, samples, points, kept = _made(2)
    n = len(samples)
    assert kept["selected"] == embeddings.nearest(pilot.mean(0)[None], points)[0]
    assert sum(kept["votes"]) == n
    np.testing.assert_allclose(kept["mean"], samples.mean(0))
    assert [rival["rival"] for rival in kept["rivals"]] == [
        k for k in range(len(points)) if k != kept["selected"]
    ]
    for rival in kept["rivals"]:
        u, _ = embeddings.direction(points, kept["selected"], rival["rival"])
        scores = samples @ u
        counts = np.array(rival["histogram"])
        levels = -1 + 2 * (rival["first"] + np.arange(len(counts))) / BINS
        assert counts.sum() == n
        for level, above in zip(levels, np.cumsum(counts[::-1])[::-1], strict=True):
            assert above == (scores - 1e-9 >= level).sum()
        rest = pilot.mean(0) - (pilot.mean(0) @ u) * u
        for name, seen in (("along", scores), ("across", samples @ rest / np.linalg.norm(rest))):
            chance = (1 + seen.mean()) / 2
            assert abs(rival[name] / n - chance) < 6 * 0.5 / n**0.5


def test_samples_are_those_of_their_streams():
    torch.manual_seed(0)
    model = few_shot.UnitEmbedding(nn.Sequential(nn.Flatten(), nn.Linear(16, 3))).eval()
    image = torch.randint(0, 17, (1, 4, 4), dtype=torch.uint8)
    noise = Rounded(Gaussian(0.5), 16)

    def drawn(n, key, identity):
        return embeddings.sample(model, image, noise, n, key=key, identity=identity)

    many = drawn(embeddings.TILE + 10, 1, 7)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(many[:20], drawn(20, 1, 7), atol=1e-6)
    assert abs(many[:20] - drawn(20, 1, 8)).max() > 1e-3
    assert abs(many[:20] - drawn(20, 2, 7)).max() > 1e-3
    assert len(np.unique(many, axis=0)) == len(many)


def test_an_embedding_without_direction_is_told():
    class Nothing(nn.Module):
        def forward(self, images):
            return torch.zeros(len(images), 3)

    image = torch.zeros(1, 2, 2, dtype=torch.uint8)
    with pytest.raises(FloatingPointError, match="of image 3: mend the model"):
        embeddings.sample(Nothing(), image, Rounded(Gaussian(0.5), 16), 4, key=1, identity=3)


def test_a_rest_of_few_digits_is_orthogonal_all_the_same():
    """All samples are u, so that nothing is across it, whatever the pilot's rounding says."""
    points = np.array([[1.0, 0.1], [-1.0, 0.3]])
    u, _ = embeddings.direction(points, 0, 1)
    side = np.array([-u[1], u[0]])
    pilot = np.tile(u + 7e-10 * side, (20, 1))

    class Half(np.random.Generator):
        def random(self, size):
            return np.full(size, 0.5 + 1e-7)  # a coin that falls for a score above 2e-7

    kept = embeddings.counted(pilot, np.tile(u, (20, 1)), points, 16, Half(np.random.PCG64(1)))
    assert [rival["across"] for rival in kept["rivals"]] == [0]
    with pytest.raises(ValueError, match="points 0 and 1 coincide"):
        embeddings.direction(np.ones((2, 3)), 0, 1)

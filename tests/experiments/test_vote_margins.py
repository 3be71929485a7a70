"""Scores of published logs: what is known of made logs comes back, and copies of logs are read.

Seeded; a new seed fails a comparison with a sampled count with probability below 1e-9.
"""

import dataclasses

import numpy as np
import pytest
from scipy import special, stats

from rs_lib import audit
from rs_lib.experiments import vote_margins

SETTINGS = vote_margins.PROFILES["quick"]


def _scored(tmp_path, place=0):
    mean, spread = SETTINGS.made[place]
    path = tmp_path / f"made-{place}"
    path.write_text(vote_margins.make_log(mean, spread, SETTINGS, seed=place + 1))
    return vote_margins.scored(path, f"made {place}", SETTINGS.sigma, SETTINGS)


def test_the_counts_of_a_made_log_lie_within_what_is_read(tmp_path):
    rng = np.random.default_rng(1)
    shares = special.ndtr(rng.normal(*SETTINGS.made[0], SETTINGS.images))
    counts = rng.binomial(SETTINGS.trials, shares)
    log = _scored(tmp_path)
    certified = log.radius > 0
    known = counts / SETTINGS.trials
    assert (log.low <= known)[certified].all()
    assert (known <= log.high)[certified].all()
    assert (log.high - log.low).max() < 1e-3
    assert (log.share[~certified] == 0).all()


def test_the_vote_margin_of_made_logs_is_theirs():
    entry = vote_margins.experiment.run("quick").values["sets"][0]
    for method, (mean, spread) in zip(entry["methods"], SETTINGS.made, strict=True):
        # E (2 Phi(X) - 1)+ of a normal X, up to sampling of the images: six standard errors.
        grid = np.linspace(-8, 8, 20_001)
        density = stats.norm.pdf(grid)
        margin = np.maximum(2 * special.ndtr(mean + spread * grid) - 1, 0)
        wanted = np.trapezoid(margin * density, grid)
        low, high = method["margin"]
        assert low <= high <= low + 1e-3
        assert method["margin_bound"] <= high
        assert low == pytest.approx(wanted, abs=6 * method["errors"]["margin"])
    (pair,) = entry["pairs"]
    assert pair["methods"] == ["made 1", "made 0"]
    difference = np.subtract(*(method["acr"] for method in entry["methods"][::-1]))
    assert pair["acr"][0] == pytest.approx(difference)
    assert sum(entry["gains"][0]["groups"]) == pytest.approx(difference)


def test_expected_radii_are_the_means_of_drawn_ones(tmp_path):
    log = _scored(tmp_path)
    n, draws = 200, 4_000
    found = vote_margins.expected_radii(log, SETTINGS.sigma, n, SETTINGS.alpha)
    rng = np.random.default_rng(2)
    radii = SETTINGS.sigma * np.maximum(audit.radii(np.arange(n + 1), n, SETTINGS.alpha), 0)
    for image in np.flatnonzero(log.share)[:40]:
        drawn = radii[rng.binomial(n, log.share[image], draws)]
        assert found[image] == pytest.approx(
            drawn.mean(), abs=6.5 * drawn.std() / draws**0.5 + 1e-12
        )
    assert (found[log.share == 0] == 0).all()


def test_a_log_of_another_level_is_refused(tmp_path):
    path = tmp_path / "log"
    path.write_text(vote_margins.make_log(2.0, 1.5, SETTINGS, seed=1))
    with pytest.raises(ValueError, match="no radius of 1000 samples at level"):
        vote_margins.scored(path, "x", 0.5, dataclasses.replace(SETTINGS, trials=1000))


def test_copies_of_published_logs_are_found_by_their_folders(tmp_path, monkeypatch):
    for place, folder in enumerate(("cohen", "cat-rs")):
        path = tmp_path / "jeong2023_catrs" / "cifar10" / "noise_0.5" / folder / "noise_0.5.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(vote_margins.make_log(*SETTINGS.made[place], SETTINGS, seed=place))
    alone = tmp_path / "jeong2023_catrs" / "mnist" / "noise_0.5" / "noise_0.5.tsv"
    alone.parent.mkdir(parents=True)
    alone.write_text(vote_margins.make_log(*SETTINGS.made[0], SETTINGS, seed=0))
    monkeypatch.setenv("RS_LOGS", str(tmp_path))
    changes = {"budgets": (100,)}
    cifar, mnist = vote_margins.experiment.run("full", changes=changes).values["sets"]
    assert [m["method"] for m in cifar["methods"]] == ["Gaussian", "CAT-RS"]
    assert [m["method"] for m in mnist["methods"]] == ["CAT-RS"]
    assert (cifar["data"], mnist["data"], mnist["budgets"]) == ("CIFAR-10", "MNIST", [])


def test_the_full_experiment_asks_for_the_logs(tmp_path, monkeypatch):
    monkeypatch.delenv("RS_LOGS", raising=False)
    with pytest.raises(ValueError, match="RS_LOGS is None: name the folder that holds jeong2023"):
        vote_margins.experiment.run("full")
    (tmp_path / "jeong2023_catrs").mkdir()
    monkeypatch.setenv("RS_LOGS", str(tmp_path))
    with pytest.raises(ValueError, match="its jeong2023_catrs holds no log"):
        vote_margins.experiment.run("full")

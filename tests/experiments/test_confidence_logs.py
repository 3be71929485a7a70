"""Logs scored anew: the truth lies within the intervals, and copies of logs are read.

What the same samples certify is known of made logs. Seeded; nothing depends on the seed but cases.
"""

import csv
import dataclasses
import io

import numpy as np
import pytest

from rs_lib.certificates import confidence
from rs_lib.experiments import confidence_logs
from rs_lib.statistics import bands

SETTINGS = dataclasses.replace(confidence_logs.PROFILES["quick"], images=25)
STEPS = np.arange(1, SETTINGS.thresholds + 1) / SETTINGS.thresholds


def _rows(text):
    lines = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    rows = [{name: float(line[name]) for name in line if name.startswith("exp_")} for line in lines]
    return rows, np.array([line["correct"] == "1" for line in lines])


@pytest.fixture(scope="module")
def made():
    samples = confidence_logs.sampled(1.0, 1.0, SETTINGS, seed=1)
    text = confidence_logs.make_log(samples, SETTINGS)
    return samples, *_rows(text)


def _survival(failures):
    """Bounds of the band where so many samples lie below a level: 0, a step, two steps, ..."""
    counts = np.array([0] + [SETTINGS.trials // SETTINGS.thresholds] * SETTINGS.thresholds)
    return bands.survival_lower(counts, SETTINGS.alpha)[1:][failures]


def test_what_the_same_samples_certify_lies_between(made):
    samples, rows, right = made
    laws = confidence_logs.table(SETTINGS, SETTINGS.sigma, 0.0)
    cuts = samples[:, :: SETTINGS.trials // SETTINGS.thresholds]
    survival = _survival(np.arange(SETTINGS.thresholds))
    undecided = 0
    for own, row, kept in zip(cuts, rows, right, strict=True):
        if not kept:
            continue
        truth = confidence.lower(own, survival, SETTINGS.sigma, np.array(confidence_logs.RADII))
        low, high = confidence_logs.limits(row, laws, SETTINGS)
        for place, value in enumerate(truth):
            least = confidence_logs.least(laws.band[place], laws, low, high, np.nan)
            most = -confidence_logs.least(-laws.band[place], laws, low, high, np.nan)
            assert least - 1e-9 <= value <= most + 1e-9
        least, most = confidence_logs.certified(row, laws, 0.5, SETTINGS)
        assert least <= (truth > 0.5).sum() <= most
        undecided += most - least
    assert right.sum() > 12
    assert undecided < right.sum()


def test_the_printed_bounds_are_those_of_the_library_with_a_constant_width(made):
    samples, rows, right = made
    laws = confidence_logs.table(SETTINGS, SETTINGS.sigma, 0.0)
    share = np.maximum(1 - (STEPS - STEPS[0]) - laws.width, 0)
    for own, row, kept in zip(samples, rows, right, strict=True):
        if kept:
            cuts = own[:: SETTINGS.trials // SETTINGS.thresholds]
            for radius, tag in zip(confidence_logs.RADII, confidence_logs.TAGS, strict=True):
                bound = confidence.lower(cuts, share, SETTINGS.sigma, radius)
                assert row[f"exp_cdf_{tag}"] == pytest.approx(bound, rel=6e-3)
                naive = confidence.mean_lower(own.mean() - laws.width, SETTINGS.sigma, radius)
                assert row[f"exp_{tag}"] == pytest.approx(naive, rel=6e-3)


def test_true_weights_print_as_their_row(made):
    samples, rows, right = made
    laws = confidence_logs.table(SETTINGS, SETTINGS.sigma, 0.0)
    cuts = samples[:, :: SETTINGS.trials // SETTINGS.thresholds]
    for own, row, kept in zip(cuts, rows, right, strict=True):
        if kept:
            weights = np.diff(own, prepend=0.0, append=1.0)
            low, high = confidence_logs.limits(row, laws, SETTINGS)
            told = laws.printed @ weights
            assert (low <= told).all()
            assert (told <= high).all()


def test_a_row_that_cannot_be_is_left_out(made):
    _, rows, right = made
    laws = confidence_logs.table(SETTINGS, SETTINGS.sigma, 0.0)
    row = dict(rows[int(np.argmax(right))])
    row["exp_cdf_150"] = row["exp_cdf_00"]  # would need scores that no noise reaches
    assert confidence_logs.certified(row, laws, 0.5, SETTINGS) is None


def test_the_first_failing_distance():
    for count in range(len(confidence_logs.RADII) + 1):
        assert confidence_logs._first_failing(lambda place, count=count: place < count) == count


def test_copies_of_published_logs_are_found_by_their_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("RS_LOGS", raising=False)
    with pytest.raises(ValueError, match="RS_LOGS is None: name the folder that holds kumar2020"):
        confidence_logs.experiment.run("full")
    few = dataclasses.replace(SETTINGS, images=4)
    text = confidence_logs.make_log(confidence_logs.sampled(1.0, 1.0, few, seed=2), few)
    place = tmp_path / "kumar2020_cdf" / "cifar10" / "pred_score" / "noise_0.50"
    place.parent.mkdir(parents=True)
    monkeypatch.setenv("RS_LOGS", str(tmp_path))
    with pytest.raises(ValueError, match="its kumar2020_cdf holds no log"):
        confidence_logs.experiment.run("full")
    place.write_text(text)
    changes = {"trials": SETTINGS.trials, "thresholds": SETTINGS.thresholds}
    (entry,) = confidence_logs.experiment.run("full", changes=changes).values["logs"]
    assert (entry["data"], entry["score"], entry["sigma"]) == ("CIFAR-10", "score above 1/2", 0.5)
    assert entry["images"] == 4
    assert entry["least"] == sorted(entry["least"], reverse=True)
    for least, most in zip(entry["least"], entry["most"], strict=True):
        assert least <= most <= entry["right"]


def test_parameters_that_do_not_fit_are_refused():
    refuse = confidence_logs.experiment.parameters
    with pytest.raises(ValueError, match="parameter thresholds is 999: give a divisor of 10000"):
        refuse("quick", {"thresholds": 999})
    with pytest.raises(ValueError, match=r"parameter alpha is 0.7: give a level of at most 0.5"):
        refuse("quick", {"alpha": 0.7})

"""A bound of the runner-up at the same level: exact error, exact radii, logs that follow."""

import itertools
import math
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

from rs_lib import __main__ as command_line
from rs_lib import smoothing
from rs_lib.commands.logs import log
from rs_lib.noise import Ablation, Flip, Gaussian, Laplace, Rounded, Uniform
from rs_lib.smoothing import FixedSamples, two_sided


def outcomes(n, classes):
    """All counts of `n` samples in so many classes."""
    for cuts in itertools.combinations(range(n + classes - 1), classes - 1):
        ends = (-1, *cuts, n + classes - 1)
        yield tuple(b - a - 1 for a, b in itertools.pairwise(ends))


def chance(counts, law):
    ways = math.factorial(sum(counts))
    for count in counts:
        ways //= math.factorial(count)
    return ways * math.prod((p**c for p, c in zip(law, counts, strict=True)), start=Fraction(1))


LAWS = [
    *[(Fraction(k, 20), Fraction(20 - k, 40), Fraction(20 - k, 40)) for k in range(4, 20, 3)],
    (Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)),
    (Fraction(2, 5), Fraction(2, 5), Fraction(1, 5)),
    (Fraction(3, 10), Fraction(4, 10), Fraction(2, 10), Fraction(1, 10)),
    (Fraction(1, 2), Fraction(1, 2)),
]


@pytest.mark.parametrize("alpha", [0.01, 0.2])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: " ".join(map(str, law)))
def test_both_bounds_together_err_with_probability_alpha_at_most(law, alpha):
    """Summed over all outcomes, in fractions."""
    wrong = Fraction(0)
    for counts in outcomes(14, len(law)):
        low, high = two_sided.bounds(counts[0], max(counts[1:]), 14, alpha, len(law))
        if Fraction(float(low)) > law[0] or Fraction(float(high)) < max(law[1:]):
            wrong += chance(counts, law)
    assert wrong <= Fraction(alpha)


def certificates(successes, runner_up, noise, classes=10, n=1000, alpha=0.001):
    return smoothing.from_counts(
        np.zeros_like(successes),
        successes,
        n0=10,
        n=n,
        alpha=alpha,
        noise=noise,
        runner_up=runner_up,
        classes=classes,
    )


def test_radii_are_those_of_the_theorem_and_never_above():
    successes = np.arange(0, 1001, 40)
    runner_up = np.minimum((1000 - successes) // 3 + 1, 1000 - successes)
    made = certificates(successes, runner_up, Rounded(Gaussian(0.5)))
    low, high = two_sided.bounds(successes, runner_up, 1000, 0.001, 10)
    with mpmath.workdps(40):
        quantile = lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(float(p)) - 1)  # noqa: E731
        for row in range(len(successes)):
            other = min(mpmath.mpf(float(high[row])), 1 - mpmath.mpf(float(low[row])))
            if low[row] <= other:
                assert made.predicted[row] == smoothing.ABSTAIN
                assert made.radius[row] == 0
                continue
            exact = (quantile(low[row]) - quantile(other)) / 4
            assert exact * (1 - mpmath.mpf(1e-12)) - 1e-12 <= made.radius[row] <= exact
            assert made.predicted[row] == 0


def test_where_many_classes_share_the_rest_radii_are_longer():
    noise = Gaussian(0.5)
    successes, n = np.array([40_000, 60_000, 80_000]), 100_000
    runner_up = (n - successes) // 50
    two = certificates(successes, runner_up, noise, classes=1000, n=n)
    one = smoothing.from_counts(successes * 0, successes, n0=10, n=n, alpha=0.001, noise=noise)
    assert one.predicted.tolist() == [smoothing.ABSTAIN, 0, 0]
    assert two.predicted.tolist() == [0, 0, 0]
    assert (two.radius > 1.3 * one.radius).all()


def test_with_two_classes_half_of_alpha_is_the_price():
    successes = np.array([800])
    made = certificates(successes, 1000 - successes, Gaussian(0.5), classes=2)
    halved = smoothing.from_counts(
        successes * 0, successes, n0=10, n=1000, alpha=0.0005, noise=Gaussian(0.5)
    )
    assert made.radius == pytest.approx(halved.radius, rel=1e-9)


def test_flips_have_the_certificate_too():
    made = certificates(np.array([450]), np.array([60]), Flip("0.6"))
    assert made.predicted[0] == 0
    assert made.radius[0] >= 1


@pytest.mark.parametrize("noise", [Uniform(1), Rounded(Laplace(1)), Ablation(3, 16)], ids=str)
def test_other_laws_refuse_it_before_work_starts(noise):
    executed = smoothing.Executed(nn.Flatten().eval(), classes=16)
    plan = FixedSamples(1000, runner_up=True)
    with pytest.raises(ValueError, match="a bound of the runner-up goes with gaussian noise"):
        smoothing.Certifier(executed, noise, plan, seed=0)


@pytest.mark.parametrize(
    ("successes", "runner_up", "classes", "told"),
    [
        ([900], [200], 10, "successes and runner_up exceed n = 1000 together"),
        ([900], [20, 3], 10, r"successes has shape \(1,\) and runner_up \(2,\)"),
        ([900], [-1], 10, "runner_up is -1"),
        ([900], [0.5], 10, "runner_up is 0.5"),
        ([900], [20], 1, "classes is 1"),
        ([900], [20], None, "classes is 0: give whole numbers of at least 2"),
    ],
)
def test_counts_that_cannot_be_are_refused(successes, runner_up, classes, told):
    with pytest.raises(ValueError, match=told):
        certificates(np.array(successes), np.array(runner_up), Gaussian(1), classes=classes)


def test_the_most_frequent_other_class_is_another_one():
    counts = np.array([[5, 3, 2], [1, 8, 1], [0, 0, 10], [4, 4, 2]])
    found = two_sided.most_frequent_other(counts, np.array([0, 1, 2, 0]))
    assert found.tolist() == [3, 1, 0, 4]
    assert counts[0, 0] == 5


def test_the_engine_counts_the_runner_up():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5)).eval()
    images = torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8)
    noise = Rounded(Gaussian(0.5))
    plan = FixedSamples(400, runner_up=True)
    made = smoothing.certify(model, images, noise, plan, classes=5, seed=0)
    one = smoothing.certify(model, images, noise, FixedSamples(400), classes=5, seed=0)
    assert (made.successes == one.successes).all()
    assert (made.runner_up <= 400 - made.successes).all()
    assert (4 * made.runner_up >= 400 - made.successes).all()
    assert one.runner_up is None
    assert "runner_up" in made.to_pandas()


MODEL = """
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


def test_a_log_with_it_follows_from_its_counts(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["certify", "--model", "mine:net", "--data", "digits", "--max-images", "4"]
    run = [*words, "--scale", "0.1", "--n", "300", "--runner-up", "--out", "a.tsv"]
    try:
        assert command_line.main(run) == 0
        table = log.read("a.tsv")
        assert table.header["runner_up"] is True
        assert table.header["columns"].split()[-1] == "runner_up"
        assert command_line.main(run) == 0
        capsys.readouterr()
        lines = (tmp_path / "a.tsv").read_text().splitlines()
        entries = lines[1].split("\t")
        entries[-1] = "300"
        (tmp_path / "a.tsv").write_text(
            "\n".join([lines[0], "\t".join(entries), *lines[2:]]) + "\n"
        )
        assert command_line.main(run) == 2
        assert "is damaged at line 2: runner_up is 300, expected" in capsys.readouterr().err
        for other, told in (
            (["--step", "0.1"], "runner-up is True: a run without --n does not use it"),
            (["--n", "300", "--noise", "uniform"], "a bound of the runner-up goes with gaussian"),
            (["--defence", "patch", "--band", "2"], "--defence patch does not use"),
        ):
            scale = [] if "patch" in other else ["--scale", "0.1"]
            assert command_line.main([*words, *scale, "--runner-up", *other, "--out", "b.tsv"]) == 2
            assert told in capsys.readouterr().err
    finally:
        sys.modules.pop("mine", None)

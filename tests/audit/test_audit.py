"""The audit recovers how a log was made, finds what does not belong, and certifies anew."""

import json
import re

import numpy as np
import pytest
from flint import arb
from scipy import special, stats

from rs_lib import audit
from rs_lib.certificates import gaussian
from rs_lib.experiments import published_logs
from rs_lib.statistics import clopper_pearson_lower

HEAD = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
GRID = ((1_000, 10_000, 100_000), (0.01, 0.005, 0.001, 0.0005))


def _row(image, radius, *, label=3, predicted=3, time="0:00:01.2"):
    correct = int(label == predicted)
    return f"{image}\t{label}\t{predicted}\t{radius}\t{correct}\t{time}\n"


def _read(path, sigma, trials, alpha, step=0.25):
    """The table as printed, and what the counts make of it under a pair that is given."""
    log = audit.read_log(path)
    manners = [audit.Manner(audit.printing(log))]
    read = audit.reading(log, sigma, trials, alpha, manners, step=step, stated_alpha=alpha)
    return audit.printed_table(log, step), read


def _counts(trials, images, seed):
    rng = np.random.default_rng(seed)
    return rng.binomial(trials, special.ndtr(rng.normal(2.0, 1.5, images)))


def _radii(counts, trials, alpha, sigma):
    """The radii as an author's program has them: SciPy's beta and normal quantiles."""
    bound = stats.beta.ppf(alpha, np.maximum(counts, 1), trials - np.maximum(counts, 1) + 1)
    return np.where(bound > 0.5, sigma * stats.norm.ppf(np.maximum(bound, 0.5)), 0.0)


def _write(path, radii, form=".3", labels=None):
    """Write a log; a radius of 0 abstains, and `labels` (3 where not given) meet prediction 3."""
    rows = [
        _row(i, format(r, form), label=3 if labels is None else labels[i])
        if r > 0
        else _row(i, format(0.0, form), predicted=-1)
        for i, r in enumerate(radii)
    ]
    path.write_text(HEAD + "".join(rows))
    return path


@pytest.mark.parametrize(
    ("trials", "alpha", "sigma", "form"),
    [
        (100_000, 0.001, 0.25, ".3"),
        (100_000, 0.01, 0.25, ".3"),
        (100_000, 0.0005, 0.5, ".4"),
        (10_000, 0.005, 1.0, ".3"),
        (10_000, 0.001, 0.12, ".4"),
        (1_000, 0.001, 0.5, ".3"),
        (100_000, 0.01, 1.0, ".4f"),
        (100_000, 0.001, 1.0, ".17"),
    ],
)
def test_a_made_log_gives_back_its_sample_size_and_level(tmp_path, trials, alpha, sigma, form):
    counts = _counts(trials, 400, seed=trials)
    path = _write(tmp_path / "log", _radii(counts, trials, alpha, sigma), form)
    found = audit.audit(path, sigma, trials=trials, alpha=alpha, grid=GRID)
    assert found.verdict == "stated"
    assert [(o.candidate.trials, o.candidate.alpha) for o in found.left] == [(trials, alpha)]
    stated, read = found.stated.candidate, found.reading
    assert stated.off_lattice == stated.above_ceiling == read.off_lattice.size == 0
    assert stated.manners[0].style.fixed == form.endswith("f")
    certified = found.log.certified
    assert (read.counts.smallest[certified] <= counts[certified]).all()
    assert (counts[certified] <= read.counts.largest[certified]).all()


def test_a_stated_level_that_is_wrong_is_refuted(tmp_path):
    radii = _radii(_counts(100_000, 400, seed=7), 100_000, 0.01, 0.25)
    found = audit.audit(_write(tmp_path / "log", radii), 0.25, alpha=0.001, grid=GRID)
    assert found.verdict == "other"
    assert found.stated not in found.left
    stated = found.stated.candidate
    # In the most charitable manner, which is bfloat16.
    assert stated.off_lattice > 15
    above = radii > gaussian.sampling_ceiling(100_000, 0.001, 0.25) * 1.01
    assert 0 < above.sum() <= stated.above_ceiling <= stated.off_lattice
    assert (found.reading.trials, found.reading.alpha) == (100_000, 0.01)
    assert "The stated pair is not among them." in audit.report(found)


def test_small_radii_do_not_decide_and_nothing_is_then_read(tmp_path):
    radii = np.linspace(0.01, 0.3, 200)
    found = audit.audit(_write(tmp_path / "log", radii), 0.5, grid=((100_000,), (0.01, 0.001)))
    assert found.verdict == "open"
    assert found.left == ()
    assert found.reading is None
    assert found.stated.candidate.telling == 0
    assert abs(found.stated.candidate.evidence) < 1e-9
    text = audit.report(found)
    assert "Origin: not told. The stated n = 100000, alpha = 0.001 explains all 200 radii" in text
    assert "unrounded" not in text


def test_values_off_the_lattice_and_above_the_ceiling_are_found(tmp_path):
    trials, alpha, sigma = 10_000, 0.001, 0.5
    radii = _radii(_counts(trials, 300, seed=5), trials, alpha, sigma)
    top = audit.radii(np.array([trials - 1, trials]), trials, alpha) * sigma
    radii[[11, 42]] = [top.mean(), top[1] + 0.1]  # between the last two counts, above all
    found = audit.audit(
        _write(tmp_path / "log", radii, ".4"), sigma, trials=trials, alpha=alpha, grid=GRID
    )
    assert found.reading.off_lattice.tolist() == [11, 42]
    assert found.verdict == "stated"
    stated = found.stated.candidate
    assert (stated.off_lattice, stated.above_ceiling) == (2, 1)
    assert found.reading.counts.largest[[11, 42]].tolist() == [trials - 1, trials]
    text = audit.report(found)
    assert f"image 11: {top.mean():.4}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_first_counts_agree_with_a_search_through_the_whole_lattice():
    rng = np.random.default_rng(3)
    for trials in (1, 7, 100, 2_000, 100_000):
        for alpha in (0.3, 0.01, 0.0005):
            every = audit.radii(np.arange(1, trials + 1), trials, alpha)
            z = np.concatenate([rng.uniform(1e-6, 5, 500), every[-50:], np.nextafter(every, 9)])
            z = z[z > 0]
            expected = np.searchsorted(every, z, side="left") + 1
            np.testing.assert_array_equal(audit.first_counts(z, trials, alpha), expected)


def test_the_lattice_is_that_of_ball_arithmetic():
    for k, n, alpha in [(100_000, 100_000, 0.001), (99_999, 100_000, 0.01), (777, 1_000, 0.001)]:
        z = float(audit.radii(k, n, alpha))
        tail = (arb(z) / arb(2).sqrt()).erf() / 2 + arb(0.5)
        mass = tail.beta_lower(k, n - k + 1, regularized=True)
        assert abs(float(mass) / alpha - 1) < 1e-8


@pytest.mark.parametrize(
    ("style", "printed", "low", "high"),
    [
        (audit.Printing(3, False, "nearest"), 0.953, 0.9525, 0.9535),
        (audit.Printing(3, False, "nearest"), 1.0, 0.9995, 1.005),
        (audit.Printing(3, False, "nearest"), 0.1, 0.09995, 0.1005),
        (audit.Printing(3, False, "nearest"), 0.00602, 0.006015, 0.006025),
        (audit.Printing(2, False, "nearest"), 12.0, 11.5, 12.5),
        (audit.Printing(3, True, "nearest"), 1.906, 1.9055, 1.9065),
        (audit.Printing(3, True, "nearest"), 0.0, 0.0, 0.0005),
        (audit.Printing(3, False, "down"), 1.9, 1.9, 1.91),
    ],
)
def test_a_printed_radius_stands_for_the_numbers_that_print_so(style, printed, low, high):
    np.testing.assert_allclose(style.cells(printed), (low, high), rtol=1e-12)


@pytest.mark.parametrize("power", [10.0**e for e in range(-5, 4)])
def test_powers_of_ten_have_a_finer_cell_below(power):
    low, high = audit.Printing(3, False, "nearest").cells(power)
    inside = np.linspace(low, high, 101)[1:-1]
    assert {float(format(value, ".3")) for value in inside} == {power}
    assert float(format(low - power * 1e-6, ".3")) < power < float(format(high * 1.00001, ".3"))


def test_rounding_up_is_counted_by_hand(tmp_path):
    # .95286 is the radius of 100000 of 100000 at .001 and sigma .25, and prints as .953.
    ceiling = float(gaussian.sampling_ceiling(100_000, 0.001, 0.25))
    assert 0.95285 < ceiling < 0.95287
    # A count whose radius lies just below the tabulated .75 and prints there, alone at this size.
    sigma, trials = 1.0, 1_000
    every = sigma * audit.radii(np.arange(trials + 1), trials, 0.001)
    path = _write(tmp_path / "log", [ceiling] * 5 + [0.0])
    printed, found = _read(path, 0.25, 100_000, 0.001)
    assert (found.rounding.rows, found.rounding.least, found.rounding.most) == (5, 5, 5)
    assert found.rounding.expected == 5
    assert printed.acr_low == pytest.approx(5 * 0.953 / 6)
    assert found.unrounded.acr_low == pytest.approx(5 * ceiling / 6)
    k = int(np.flatnonzero((every > 0.5) & (np.round(every, 1) > every))[0])
    up = round(float(every[k]), 1)
    other = tmp_path / "other"
    other.write_text(HEAD + _row(0, f"{up:.1f}") + _row(1, f"{up:.1f}", label=1) + _row(2, "0.61"))
    log = audit.read_log(other)
    style = audit.Printing(1, True, "nearest")
    counts = audit.infer_counts(log, sigma, [audit.Manner(style)], trials, 0.001)
    smallest, largest = int(counts.smallest[0]), int(counts.largest[0])
    possible = every[smallest : largest + 1]
    assert smallest <= k <= largest
    share = (possible < up).mean()
    rounding = audit.count_rounding(log, counts, sigma, 0.001, step=0.1)
    assert (rounding.tabulated, rounding.tabulated_least, rounding.tabulated_most) == (1, 0, 1)
    assert rounding.tabulated_expected == pytest.approx(share)
    table = audit.recertify(log, counts, sigma, 0.001, step=0.1)
    at = round(up / 0.1)
    assert table.low[at] < table.high[at]
    third = counts.largest[2] - counts.smallest[2] + 1
    beyond = (every[counts.smallest[2] : counts.largest[2] + 1] >= up).sum() / third
    assert table.expected[at] == pytest.approx(1 - share + beyond)


def test_a_cell_that_rounding_pushed_up_changes(tmp_path):
    # sigma puts the ceiling of 1000 samples just below .75, where it prints as 0.75.
    sigma = 0.7497 / float(audit.radii(1_000, 1_000, 0.001))
    below = sigma * float(audit.radii(900, 1_000, 0.001))
    path = _write(tmp_path / "log", [0.7497] * 6 + [below] * 4 + [0.123 * sigma])
    printed, found = _read(path, sigma, 1_000, 0.001)
    assert found.off_lattice.size in (0, 1)  # the last, an arbitrary small value
    assert (found.rounding.tabulated, found.rounding.tabulated_least) == (6, 6)
    cells = audit.changes(printed, found.unrounded, 2)
    assert [(c.threshold, c.printed, c.low, c.high) for c in cells] == [(0.75, 6, 0, 0)]


@pytest.mark.parametrize("level", [0.001, 0.0001, 0.05])
def test_certifying_anew_equals_clopper_pearson_on_the_counts(tmp_path, level):
    trials, sigma = 10_000, 0.5
    counts = _counts(trials, 300, seed=9)
    labels = np.random.default_rng(1).choice([3, 3, 3, 1], 300)
    path = _write(tmp_path / "log", _radii(counts, trials, 0.01, sigma), ".17", labels)
    log = audit.read_log(path)
    found = audit.infer_counts(log, sigma, [audit.Manner(audit.printing(log))], trials, 0.01)
    np.testing.assert_array_equal(found.smallest[log.certified], counts[log.certified])
    np.testing.assert_array_equal(found.largest, found.smallest)
    table = audit.recertify(log, found, sigma, level, step=0.25)
    radii = gaussian.radius(clopper_pearson_lower(counts, trials, level), sigma)
    radii = np.where(log.correct, radii, 0.0)  # abstentions of the log stay abstentions
    expected = [(radii > 0).sum()] + [(radii >= r).sum() for r in table.thresholds[1:]]
    np.testing.assert_array_equal(table.low, expected)
    np.testing.assert_array_equal(table.high, expected)
    np.testing.assert_allclose(table.expected, expected)
    assert table.acr_low == table.acr_high == pytest.approx(radii.mean(), rel=1e-12)


def test_several_counts_give_a_range_that_holds_the_truth(tmp_path):
    trials, sigma, level = 100_000, 0.5, 0.001
    counts = _counts(trials, 400, seed=4)
    path = _write(tmp_path / "log", _radii(counts, trials, 0.01, sigma))
    found = audit.audit(path, sigma, grid=GRID)
    radii = gaussian.radius(clopper_pearson_lower(counts, trials, level), sigma)
    radii = np.where(found.log.certified, radii, 0.0)
    table = found.reading.recertified
    for i, threshold in enumerate(table.thresholds):
        truth = ((radii >= threshold) & (radii > 0)).sum()
        assert table.low[i] <= truth <= table.high[i]
        assert table.low[i] - 1e-9 <= table.expected[i] <= table.high[i] + 1e-9
    assert table.acr_low < radii.mean() < table.acr_high < found.printed.acr_low


def test_the_histogram_accounts_for_every_row(tmp_path):
    trials, sigma = 100_000, 0.25
    counts = _counts(trials, 500, seed=8)
    labels = np.random.default_rng(2).choice([3, 1], 500)
    path = _write(tmp_path / "log", _radii(counts, trials, 0.001, sigma), ".17", labels)
    found = audit.audit(path, sigma, grid=((trials,), (0.001,)))
    told = audit.histogram(found.log, found.reading.counts)
    inside = found.log.certified & (counts < trials)
    for name, rows in (("correct", found.log.correct), ("wrong", ~found.log.correct)):
        bins = np.floor(special.ndtri(counts[inside & rows] / trials) / 0.02).astype(int)
        dense = np.bincount(bins - told["first"], minlength=len(told["correct"]))
        assert told[name] == dense.tolist()
        assert told[f"unanimous_{name}"] == (found.log.certified & (counts == trials) & rows).sum()
    names = ("unanimous_correct", "unanimous_wrong", "abstained", "rest")
    total = sum(told["correct"]) + sum(told["wrong"]) + sum(told[name] for name in names)
    assert total == 500


@pytest.mark.parametrize(
    "text",
    [
        HEAD + _row(0, "0.5", time="15.4") + _row(20, "0.0", predicted=-1, time="1 day, 0:00:01"),
        (HEAD + _row(0, "0.5") + "\n" + _row(20, "0.0", predicted=-1)).replace("\n", "\r\n"),
        "idx label predict radius correct\n0 3 3 0.5 1\n20 3 -1 0.0 0\n",
        HEAD.strip() + "\tcounts\n0\t3\t3\t0.5\t1\t1.0\t99\n20\t3\t-1\t0.0\t0\t1.0\t5\n",
    ],
    ids=["old times", "blank lines", "blanks", "more columns"],
)
def test_customary_variants_are_read(tmp_path, text):
    path = tmp_path / "log"
    path.write_bytes(text.encode())
    log = audit.read_log(path)
    assert log.images == ("0", "20")
    assert log.text == ("0.5", "0.0")
    assert log.predicted.tolist() == [3, audit.ABSTAIN]
    assert log.correct.tolist() == [True, False]


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"sigma": 0.0}, "sigma is 0.0: give a positive"),
        ({"alpha": 1.0}, "alpha is 1.0: give a level"),
        ({"trials": 0}, "trials is 0: give whole numbers of at least 1"),
        ({"trials": 10**8}, "trials is 100000000: give whole numbers of at most 10000000"),
        ({"alpha": 1e-61}, "alpha is 1e-61: give a level of at least 1e-60"),
        ({"alpha": 1e-320}, "give a level of at least 1e-60"),
        ({"sigma": 1e-300}, "sigma is 1e-300: give the noise of the log, whose largest radius"),
        ({"sigma": 1e300}, "sigma is 1e\\+300: give the noise of the log, whose largest radius"),
        ({"sigma": [0.5, 1.0]}, "sigma is .*: give one number"),
        ({"step": 4.991e-4}, "step is 0.0004991: give at least 0.0005,"),
        ({"step": 0.0}, "step is 0.0: give a positive"),
        ({"step": 1e-9}, "step is 1e-09: give at least 0.0005"),
        ({"rounding": "up"}, "rounding is 'up': give one of nearest, down"),
    ],
)
def test_arguments_out_of_range_are_named(tmp_path, keywords, told):
    path = _write(tmp_path / "log", [0.5])
    with pytest.raises(ValueError, match=told):
        audit.audit(path, **{"sigma": 0.5, **keywords})


@pytest.mark.parametrize("step", [0.00012345, 0.000499999])
def test_a_step_that_is_advised_is_taken(tmp_path, step):
    path = _write(tmp_path / "log", [0.5004])
    with pytest.raises(ValueError, match="step is") as refused:
        audit.audit(path, 0.5, step=step)
    advised = float(re.search(r"give at least ([\d.e-]+),", str(refused.value)).group(1))
    assert len(audit.audit(path, 0.5, step=advised).printed.thresholds) <= 1001


@pytest.mark.parametrize("sigma", [0.25, 1.0])
@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-5, 1e-20])
@pytest.mark.parametrize("trials", [100, 1_000, 100_000])
def test_full_digits_are_not_surely_above_their_own_radius(tmp_path, trials, alpha, sigma):
    counts = np.random.default_rng(trials).integers(trials // 2, trials + 1, 150)
    exact = _radii(counts, trials, alpha, sigma)
    if not (exact > 0).any():
        pytest.skip("unanimous samples certify nothing there")
    noise = np.random.default_rng(1).uniform(-0.9e-9, 0.9e-9, len(exact)) * sigma
    off = np.where(exact > 1e-8, exact + noise, exact)
    for form, radii in ((".15", exact), (".17", exact), (".17", off)):
        path = _write(tmp_path / "log", radii, form)
        _, found = _read(path, sigma, trials, alpha)
        assert found.off_lattice.size == 0
        assert found.rounding.rows == (radii > 0).sum()
        assert (
            found.rounding.least == found.rounding.expected == found.rounding.tabulated_least == 0
        )


@pytest.mark.parametrize("excess", [1e-4, 1e-6, 3e-9])
def test_full_digits_that_are_overstated_are_found(tmp_path, excess):
    trials, alpha, sigma = 1_000, 0.001, 0.5
    exact = _radii(_counts(trials, 200, seed=3), trials, alpha, sigma)
    path = _write(tmp_path / "log", np.where(exact > 0, exact + excess * sigma, 0.0), ".17")
    _, found = _read(path, sigma, trials, alpha)
    assert found.off_lattice.size + found.rounding.least == (exact > 0).sum()


def test_what_is_no_file_is_refused_before_it_is_read(tmp_path):
    for path in (tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="give a file, this is none"):
            audit.read_log(path)


@pytest.mark.parametrize("alpha", [1e-60, 1e-30, 0.999999])
@pytest.mark.parametrize("trials", [1, 50, 10_000_000])
def test_first_counts_are_found_in_few_steps(monkeypatch, trials, alpha):
    z = np.array([1e-300, 1e-12, 0.3, 2.0, 4.9, 9.0, 40.0, 1e300, -3.0])
    calls = []
    whole = audit.lattice.radii
    monkeypatch.setattr(audit.lattice, "radii", lambda *a: calls.append(1) or whole(*a))
    found = audit.first_counts(z, trials, alpha)
    assert len(calls) <= 60
    assert (whole(found, trials, alpha) >= z).all()
    assert (whole(found - 1, trials, alpha) < z).all()


def test_a_log_of_abstentions_cannot_be_audited(tmp_path):
    with pytest.raises(ValueError, match="holds no positive radius"):
        audit.audit(_write(tmp_path / "log", [0.0, 0.0]), 0.5)


def test_the_quick_experiment_recovers_what_it_made():
    result = published_logs.experiment.run("quick")
    for entry in result.values["logs"]:
        assert entry["plausible"] == [entry["made_with"]]
        assert entry["off_lattice"] == []
    assert len(json.dumps(result.content)) < 30_000


@pytest.mark.parametrize("empty", [True, False])
def test_the_full_experiment_asks_for_the_logs(tmp_path, monkeypatch, empty):
    monkeypatch.delenv("RS_LOGS", raising=False)
    if empty:
        monkeypatch.setenv("RS_LOGS", str(tmp_path))
    told = "put cohen2019/certify and jeong2023_catrs there" if empty else "RS_LOGS is not set"
    with pytest.raises(ValueError, match=told):
        published_logs.experiment.run("full")


def test_the_full_experiment_reads_noise_and_step_from_the_names(tmp_path, monkeypatch):
    radii = _radii(_counts(100_000, 300, seed=6), 100_000, 0.001, 0.5)
    for name in (
        "cohen2019/certify/imagenet/resnet50/noise_0.25/test/sigma_0.50",
        "jeong2023_catrs/fmnist/noise_0.5/salman/noist_0.5.tsv",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        _write(tmp_path / name, radii)
    monkeypatch.setenv("RS_LOGS", str(tmp_path))
    changes = {"grid_trials": (100_000,), "grid_levels": (0.01, 0.001)}
    first, second = published_logs.experiment.run("full", changes=changes).values["logs"]
    assert first["sigma"] == second["sigma"] == 0.5
    assert first["radii"][:3] == [0.0, 0.5, 1.0]
    assert second["radii"][:3] == [0.0, 0.25, 0.5]
    assert first["plausible"] == [[100_000, 0.001]]
    assert [c["alpha"] for c in first["at_stated_n"]] == [0.001, 0.01]

"""No log is accused falsely: precision, sizes between, other noise, other laws, "none of these".

All logs are made here, with seeds; where a verdict needs evidence, the made logs give far more of
it than is needed, so that another seed would hardly change one. A log that falls anywhere is
accepted for a lattice with probability below 1/100, by Markov's inequality; those here are not.
"""

import numpy as np
import pytest
import torch
from scipy import special, stats

from rs_lib import audit
from rs_lib.audit import origins
from rs_lib.certificates import gaussian

HEAD = "idx\tlabel\tpredict\tradius\tcorrect"
SIGMA, ALPHA, IMAGES = 0.5, 0.001, 200


def _counts(trials=100_000, seed=1, images=IMAGES):
    rng = np.random.default_rng(seed)
    return rng.binomial(trials, special.ndtr(rng.normal(1.5, 1.2, images)))


def _bounds(counts, trials=100_000, alpha=ALPHA):
    k = np.maximum(counts, 1)
    return np.where(counts > 0, stats.beta.ppf(alpha, k, trials - k + 1), 0.0)


def _gaussian(bounds, sigma=SIGMA):
    return np.where(bounds > 0.5, sigma * stats.norm.ppf(np.maximum(bounds, 0.5)), 0.0)


def _write(tmp_path, radii, form=".4f", extra=None):
    """Write a log; a radius of 0 abstains. `extra` is the name and the entries of a column."""
    text = form if callable(form) else lambda radius: format(float(radius), form)
    lines = [HEAD + (f"\t{extra[0]}" if extra else "")]
    for image, radius in enumerate(radii):
        answer = f"3\t{text(radius)}\t1" if radius > 0 else f"-1\t{text(0.0)}\t0"
        lines.append(f"{image}\t3\t{answer}" + (f"\t{extra[1][image]}" if extra else ""))
    path = tmp_path / "log.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _require_nothing_read_from(found):
    assert found.reading is None
    text = audit.report(found)
    for word in ("unrounded", "Counts below", "printed above"):
        assert word not in text
    assert max(map(len, text.splitlines())) <= 100
    return text


def _require_nothing_read(found):
    text = _require_nothing_read_from(found)
    assert "lie above the ceiling" not in text
    return text


@pytest.mark.parametrize("form", [".4f", ".6f", ".17"])
@pytest.mark.parametrize("kind", ["radius", "bound"])
def test_a_flawless_log_in_single_precision_is_not_accused(tmp_path, kind, form):
    bounds = _bounds(_counts())
    if kind == "radius":
        radii = _gaussian(bounds).astype(np.float32)
    else:
        shares = torch.tensor(np.maximum(bounds, 0.5), dtype=torch.float32)
        radii = (SIGMA * torch.distributions.Normal(0.0, 1.0).icdf(shares)).numpy()
    found = audit.audit(_write(tmp_path, radii, form), SIGMA)
    assert found.verdict == "stated"
    assert found.stated.candidate.off_lattice == found.reading.off_lattice.size == 0
    assert found.stated.candidate.above_ceiling == 0
    assert (found.reading.counts.smallest <= _counts())[radii > 0].all()
    assert (_counts() <= found.reading.counts.largest)[radii > 0].all()
    if form == ".17":
        assert "computed in single precision" in " ".join(audit.report(found).split())
        assert found.reading.rounding.least == 0


def test_a_log_in_half_precision_is_not_accused(tmp_path):
    radii = _gaussian(_bounds(_counts(seed=2, images=300))).astype(np.float16)
    found = audit.audit(_write(tmp_path, radii), SIGMA)
    assert found.verdict == "stated"
    assert found.stated.candidate.off_lattice == 0
    assert "half precision" in " ".join(audit.report(found).split())


@pytest.mark.parametrize("form", [".3f", ".4f", ".17"])
def test_radii_that_were_cut_off_are_not_accused(tmp_path, form):
    decimals = 17 if form == ".17" else int(form[1])
    exact = _gaussian(_bounds(_counts(10_000), 10_000))
    radii = np.floor(exact * 10**decimals) / 10**decimals
    found = audit.audit(_write(tmp_path, radii, form), SIGMA, trials=10_000)
    assert found.verdict == "stated"
    assert found.reading.off_lattice.size == 0
    if form != ".17":
        assert "rounded down" in audit.report(found)
        assert found.reading.rounding.least == 0


@pytest.mark.parametrize("trials", [20_000, 12_345])
def test_a_size_between_the_round_ones_is_found(tmp_path, trials):
    counts = _counts(trials, images=120)
    counts[:8] = trials  # unanimous votes tell the ceiling
    radii = _gaussian(_bounds(counts, trials))
    found = audit.audit(_write(tmp_path, radii), SIGMA)
    assert found.verdict == "other"
    assert (found.reading.trials, found.reading.alpha) == (trials, ALPHA)
    assert found.reading.off_lattice.size == 0
    text = audit.report(found)
    assert f"n = {trials}, alpha = 0.001: 0 radii off" in text
    assert "The stated pair is not among them." in text


def test_sizes_that_the_digits_do_not_tell_apart_are_all_named(tmp_path):
    counts = _counts(99_872, images=120)
    counts[:8] = 99_872
    found = audit.audit(_write(tmp_path, _gaussian(_bounds(counts, 99_872))), SIGMA)
    assert found.verdict == "undecided"
    sizes = [origin.candidate.trials for origin in found.left]
    assert len(sizes) > 1
    assert max(abs(n / 99_872 - 1) for n in sizes) < 1e-3
    text = _require_nothing_read_from(found)
    assert "The log does not decide between these." in text
    assert "The stated pair is not among them." in text


@pytest.mark.parametrize("given", [0.25, 0.3, 127.5])
def test_a_wrong_sigma_is_named_and_no_table_made(tmp_path, given):
    radii = _gaussian(_bounds(_counts()))
    found = audit.audit(_write(tmp_path, radii), given)
    assert found.verdict == "elsewhere"
    text = _require_nothing_read(found)
    assert f"none of these at sigma = {given:g}" in text
    assert "--sigma 0.5" in text


def test_the_pile_tells_a_sigma_that_nobody_uses(tmp_path):
    counts = _counts()
    counts[:9] = 100_000
    radii = _gaussian(_bounds(counts), sigma=0.37)
    found = audit.audit(_write(tmp_path, radii), 0.5)
    assert found.verdict == "elsewhere"
    assert "--sigma 0.37 " in _require_nothing_read(found)


LAWS = {
    "Laplace": lambda p: np.where(p > 0.5, -SIGMA * np.log(2 * (1 - p)), 0.0),
    "Laplace of that deviation": lambda p: np.where(
        p > 0.5, -SIGMA / np.sqrt(2) * np.log(2 * (1 - p)), 0.0
    ),
    "uniform": lambda p: np.where(p > 0.5, SIGMA * (2 * p - 1), 0.0),
}


def _of_several(*parts, trials=100_000):
    """Radii of images with their own sigma, a fifth of each kind with votes that all agree."""
    radii = []
    for seed, (sigma, images) in enumerate(parts):
        counts = _counts(trials, seed=seed + 1, images=images)
        counts[::5] = trials
        radii.append(_gaussian(_bounds(counts, trials), sigma))
    return np.concatenate(radii)


@pytest.mark.parametrize("form", [".3g", ".4f", ".6f"])
@pytest.mark.parametrize("given", [0.25, 0.5])
@pytest.mark.parametrize("images", [(200, 200), (200, 120), (120, 200)])
def test_a_log_of_two_sigmas_is_not_told_one(tmp_path, form, given, images):
    radii = _of_several((0.25, images[0]), (0.5, images[1]))
    found = audit.audit(_write(tmp_path, radii, form), given)
    assert found.verdict == "mixed"
    assert {one.sigma: one.rows for one in found.heights} == {
        0.25: int((radii == radii[0]).sum()),
        0.5: int((radii == radii.max()).sum()),
    }
    text = _require_nothing_read(found)
    assert "several sigmas, it seems" in text
    assert "Audit the rows of each sigma by" in text


def test_a_pile_that_the_best_sigma_does_not_give_is_told(tmp_path):
    own = _gaussian(_bounds(np.arange(99_990 - 200, 99_990)), 1.0)
    radii = np.concatenate((own, np.full(40, _of_several((0.25, 5))[0])))
    found = audit.audit(_write(tmp_path, radii, ".6f"), 0.25)
    assert found.verdict == "mixed"
    assert [(one.sigma, one.rows) for one in found.heights] == [(0.25, 40)]
    text = _require_nothing_read(found)
    assert "while the radii together fit sigma = 1 best" in " ".join(text.split())


@pytest.mark.parametrize("given", [0.25, 0.5, 1.0])
def test_a_log_of_one_sigma_is_never_told_several(tmp_path, given):
    radii = _of_several((given, 400))
    assert audit.audit(_write(tmp_path, radii, ".3g"), given).verdict == "stated"
    wrong = audit.audit(_write(tmp_path, radii, ".3g"), 0.75)
    assert wrong.verdict in ("elsewhere", "open", "none")


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("form", [".4f", ".17"])
def test_another_law_is_no_gaussian_one(tmp_path, law, form):
    found = audit.audit(_write(tmp_path, LAWS[law](_bounds(_counts())), form), SIGMA)
    assert found.verdict in ("elsewhere", "open", "none")
    text = _require_nothing_read(found)
    if form == ".17":
        assert f"under {law.split()[0]} noise of scale" in text


def _sigma_of_each(rng, bounds):
    return _gaussian(bounds, rng.uniform(0.3, 0.7, IMAGES))


def _samples_of_each(rng, bounds):
    trials = rng.choice([1_000, 7_000, 50_000, 100_000], IMAGES)
    counts = rng.binomial(trials, special.ndtr(rng.normal(1.5, 1.2, IMAGES)))
    return _gaussian(_bounds(counts, trials))


def _hoeffding(rng, bounds):
    share = _counts() / 100_000 - np.sqrt(np.log(1 / ALPHA) / 200_000)
    return _gaussian(share)


def _anywhere(rng, bounds):
    return rng.uniform(0.01, 1.9, IMAGES)


STRANGERS = {
    "a sigma for each image": _sigma_of_each,
    "samples for each image": _samples_of_each,
    "Hoeffding's bound": _hoeffding,
    "anywhere": _anywhere,
    "an unheard-of level": lambda rng, bounds: _gaussian(_bounds(_counts(), alpha=0.00037)),
    "two classes": lambda rng, bounds: (
        SIGMA / 2 * (stats.norm.ppf(np.clip(bounds, 0.5, 1)) + rng.uniform(0.1, 2, IMAGES))
    ),
}


@pytest.mark.parametrize(
    ("stranger", "form"),
    [*((name, ".4f") for name in STRANGERS), ("anywhere", ".3"), ("anywhere", ".17")],
)
def test_what_no_pair_explains_is_none_of_these(tmp_path, stranger, form):
    radii = STRANGERS[stranger](np.random.default_rng(3), _bounds(_counts()))
    found = audit.audit(_write(tmp_path, radii, form), SIGMA)
    assert found.verdict in (("open", "none") if form == ".3" else ("none",))
    text = _require_nothing_read(found)
    assert ("none of these" in text) == (found.verdict == "none")


@pytest.mark.parametrize("form", [".2f", ".6f"])
def test_radii_of_a_sequential_rule_are_told_from_a_lattice(tmp_path, form):
    radii = np.floor(_gaussian(_bounds(_counts())) / 0.25) * 0.25
    found = audit.audit(_write(tmp_path, radii, form), SIGMA)
    assert found.verdict in ("open", "none")
    text = " ".join(_require_nothing_read(found).split())
    assert "multiples of 0.25: radii that were asked for beforehand, as by a sequential" in text


def test_no_larger_size_is_named_without_evidence(tmp_path):
    """Three digits at small radii fit a million samples as they fit anything."""
    radii = _gaussian(_bounds(_counts(1_000), 1_000))
    radii = np.where(radii < 0.2, radii, 0.0)
    found = audit.audit(_write(tmp_path, radii, ".2"), SIGMA, trials=1_000)
    assert found.verdict == "open"
    assert "1000000" not in _require_nothing_read(found)


def test_equal_pairs_are_all_named(tmp_path):
    """The radius of unanimous votes alone: 10^5 votes at 0.01 print as 1.5 times as many at 0.001.

    The log lists two pairs that explain it equally, in no order, and reads no counts."""
    top = _gaussian(_bounds(np.full(40, 100_000), 100_000, 0.01), 1.0)
    log = audit.read_log(_write(tmp_path, top, ".3"))
    manner = audit.Manner(audit.printing(log))
    pairs = [(100_000, 0.01), (150_000, 0.001)]
    judged = audit.candidates(
        log, 1.0, [manner], trials=[n for n, _ in pairs], levels=[a for _, a in pairs]
    )
    best = {(c.trials, c.alpha): c.evidence + c.pile for c in judged}
    assert best[pairs[0]] == pytest.approx(best[pairs[1]], abs=0.1)
    found = audit.audit(tmp_path / "log.tsv", 1.0, trials=7_000, alpha=0.03)
    assert found.reading is None


@pytest.mark.parametrize("name", ["successes", "count", "nA", "counts_a"])
def test_a_true_column_of_counts_is_used(tmp_path, name):
    counts = _counts()
    radii = _gaussian(_bounds(counts))
    # Three digits leave many counts to a radius, the column leaves one.
    found = audit.audit(_write(tmp_path, radii, ".3", (name, counts)), SIGMA)
    assert found.verdict == "stated"
    assert found.column.pair == (100_000, ALPHA)
    certified = radii > 0
    np.testing.assert_array_equal(found.reading.counts.smallest[certified], counts[certified])
    np.testing.assert_array_equal(found.reading.counts.largest[certified], counts[certified])
    assert "gives 177 of 177 radii" in audit.report(found).replace(str(certified.sum()), "177")


@pytest.mark.parametrize(("trials", "alpha"), [(20_000, 0.001), (5_000, 0.01), (7_777, 0.0005)])
def test_a_column_of_counts_tells_the_pair(tmp_path, trials, alpha):
    counts = _counts(trials)
    path = _write(tmp_path, _gaussian(_bounds(counts, trials, alpha)), ".4f", ("count", counts))
    found = audit.audit(path, SIGMA)
    assert found.verdict == "other"
    assert found.column.pair == (trials, alpha)
    assert found.column.agrees[found.log.certified].all()


def test_counts_that_do_not_give_their_radii_are_listed(tmp_path):
    counts = _counts()
    radii = _gaussian(_bounds(counts))
    row = int(np.argmax((radii > 0.8) & (radii < 1.2)))
    counts[row] -= 500
    found = audit.audit(_write(tmp_path, radii, ".4f", ("count", counts)), SIGMA)
    assert found.column.pair == (100_000, ALPHA)
    assert np.flatnonzero(found.log.certified & ~found.column.agrees).tolist() == [row]
    assert f"image {row}: {radii[row]:.4f} from {counts[row]}" in audit.report(found)
    assert found.reading.counts.smallest[row] > counts[row]


@pytest.mark.parametrize("column", [[99_000] * IMAGES, list(range(IMAGES)), ["x"] * IMAGES])
def test_a_column_that_holds_other_counts_is_not_used(tmp_path, column):
    path = _write(tmp_path, _gaussian(_bounds(_counts())), ".4f", ("count", column))
    found = audit.audit(path, SIGMA)
    assert found.verdict == "stated"
    assert found.column.pair is None
    assert "so that it is not used" in " ".join(audit.report(found).split())


CASES = {
    "n = 100000": (100_000, 0.5),
    "few samples": (1_000, 0.25),
}


@pytest.mark.parametrize(("trials", "sigma"), CASES.values(), ids=CASES.keys())
def test_the_table_of_a_sound_log_stands(tmp_path, trials, sigma):
    """Every radius printed down from its count: no cell of the table changes."""
    counts = _counts(trials)
    exact = gaussian.radius(np.maximum(_bounds(counts, trials), 0), sigma)
    radii = np.floor(exact * 10**5) / 10**5
    found = audit.audit(_write(tmp_path, radii, ".5f"), sigma, trials=trials)
    assert found.verdict == "stated"
    assert audit.changes(found.printed, found.reading.recertified, 3, surely=True) == ()


def test_roundest_numbers_come_first():
    assert origins.roundest(19_850, 20_150, 3)[0] == 20_000
    assert origins.roundest(12_345, 12_345) == [12_345]
    assert origins.roundest(5, 4) == []
    found = origins.roundest(99_000, 101_000)
    assert found[0] == 100_000
    assert len(found) == len(set(found)) <= 80
    assert all(99_000 <= n <= 101_000 for n in found)

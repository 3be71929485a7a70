"""Soft scores: whole numbers never above the scores, certificates never too often above the truth.

Random tests are seeded. Shares of false certificates are compared with binomial limits that laws
leave with probability below 1e-9 each, a new seed would fail below 1e-8.
"""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn

from rs_lib.certificates import confidence
from rs_lib.experiments import certified_confidence
from rs_lib.noise import Gaussian, Rounded, Uniform, noisy_images
from rs_lib.seeds import derive
from rs_lib.smoothing import Certifier, Executed, FixedSamples, RadiusTable, soft
from rs_lib.smoothing.scores import Coins, groups, rounded_down

RARE = 1e-9
SIGMA, TAU, ABOVE = 0.25, 0.1, 0.2
SHIFTS = np.array([0.0, 0.05, 0.1, 0.15, 0.25])


class Probit(nn.Module):
    """Two log-probabilities: a normal distribution function of the first pixel minus one half.

    The mean score of class 0 is that of a wider one, and falls fastest along that pixel: the law
    says all there is.
    """

    def forward(self, images):
        z = (images.flatten(1)[:, 0].double() - 0.5) / TAU
        return torch.stack([special_log(z), special_log(-z)], dim=1).float()


def special_log(z):
    return torch.special.log_ndtr(z)


class ThreeVectors(nn.Module):
    """Scores (.7, .2, .1), (.5, .1, .4), (.3, .6, .1) as the first pixel falls through two edges.

    From 0 under noise of deviation 1 they have the chances .5, .3, .2, and are sorted by the lead
    of class 0 over class 1, which binds.
    """

    def forward(self, images):
        z = images.flatten(1)[:, :1].double()
        edges = special.ndtri([0.5, 0.2])
        table = torch.tensor([[7, 2, 1], [5, 1, 4], [3, 6, 1]]).double() / 10
        place = sum((z < edge).long() for edge in edges)
        return table[place[:, 0]].log().float()


class Logits(nn.Module):
    def forward(self, images):
        return images.flatten(1)


def _executed(model, classes):
    executed = Executed(model.eval(), classes=classes, tile=1024)
    executed.probe((1, 2, 2) if classes < 4 else (classes, 1, 1))
    return executed


def _limit(repeats, chance):
    return stats.binom.isf(RARE, repeats, chance)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_whole_numbers_are_below_the_exact_softmax_and_by_less_than_a_step(precision):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(64, 10)) * 10.0 ** rng.integers(-3, 3, size=(64, 1))
    rows[:4] = [[0.0] * 10, [5.0] * 5 + [-np.inf] * 5, [1e4] + [0.0] * 9, [-80.0] * 9 + [8.0]]
    inputs = torch.tensor(rows, dtype=torch.float32).view(64, 10, 1, 1)
    executed = Executed(Logits().eval(), classes=10, precision=precision, tile=16)
    executed.probe((10, 1, 1))
    scores = executed.scores(inputs)
    seen = inputs.view(64, 10).to(getattr(torch, precision)).double().numpy()
    with mpmath.workdps(40):
        for row, own in enumerate(seen):
            powers = [mpmath.exp(mpmath.mpf(float(logit))) for logit in own]
            exact = [power / mpmath.fsum(powers) for power in powers]
            for bins in (2, 1024, 2**32):
                steps = rounded_down(scores[row], bins).tolist()
                for step, score in zip(steps, exact, strict=True):
                    assert score - 1e-9 - mpmath.mpf(1) / bins < mpmath.mpf(step) / bins <= score


def test_rows_without_a_number_are_told():
    executed = Executed(Logits().eval(), classes=4, tile=16)
    executed.probe((4, 1, 1))
    inputs = torch.zeros(16, 4, 1, 1)
    inputs[0, 1], inputs[1, 2] = torch.nan, torch.inf
    assert executed.scores(inputs).isnan().all(dim=1).tolist() == [True, True] + [False] * 14


class Spoiled(Probit):
    def forward(self, images):
        logits = super().forward(images)
        return torch.where(images.flatten(1)[:, :1] > 1.2, torch.nan, logits)


@pytest.mark.parametrize("coins", [False, True])
def test_logits_that_are_none_stop_the_run_with_their_number(coins):
    executed = Executed(Spoiled().eval(), classes=2)
    images, law, ids = torch.full((1, 1, 2, 2), 0.7), Gaussian(SIGMA), np.array([5])
    executed.probe((1, 2, 2))
    noisy = noisy_images(
        law, images, np.zeros(900, int), np.full(900, 5), np.arange(900), key=derive(1, "select")
    )
    broken = int((noisy.flatten(1)[:, 0] > 1.2).sum())
    assert broken > 0
    if coins:
        maker = Certifier(executed, law, FixedSamples(900, 900), seed=1, coins=True)
        count = maker.certify
    else:
        count = soft.SoftCertifier(executed, law, FixedSamples(900, 900), seed=1).count
    with pytest.raises(FloatingPointError, match=f"on {broken} of 900 noisy copies of image 5"):
        count(images, ids)


@pytest.mark.parametrize("rivals", [0, 1, 2, 9])
def test_histograms_are_those_of_the_same_samples_by_numpy(rivals):
    images = torch.linspace(0, 1, 6 * 4).view(6, 4, 1, 1)
    model, law, ids = Logits(), Gaussian(0.7), np.arange(10, 16)
    executed = Executed(model.eval(), classes=4, tile=16)
    certifier = soft.SoftCertifier(
        executed, law, FixedSamples(500, 20), seed=4, bins=50, rivals=rivals
    )
    order, found = certifier.count(images, ids)
    assert found.shape == (6, groups(4, rivals), 50)

    def sampled(image, stream, n):
        rows, samples = np.full(n, image), np.arange(n)
        noisy = noisy_images(law, images, rows, ids[rows], samples, key=derive(4, stream))
        return special.softmax(noisy.view(n, 4).double().numpy(), axis=1)

    for image, own in enumerate(found):
        pilot = sampled(image, "select", 20).sum(axis=0)
        assert order[image].tolist() == np.argsort(-pilot, kind="stable").tolist()
        scores = sampled(image, "estimate", 500)[:, order[image]]
        near = min(rivals, 3)
        leads = [scores[:, 0] - scores[:, k] for k in range(1, 1 + near)]
        if near < 3:
            leads.append(scores[:, 0] - scores[:, 1 + near :].max(axis=1))
        wanted = [np.floor(50 * scores[:, 0]), *(np.floor(25 * (lead + 1)) for lead in leads)]
        for histogram, steps in zip(own, wanted, strict=True):
            assert histogram.tolist() == np.bincount(steps.astype(int), minlength=50).tolist()
    # Whatever the company and the order: portions of the images have the same counts.
    turned = certifier.count(images[[4, 1]], ids[[4, 1]])
    assert (turned[1] == found[[4, 1]]).all()


def test_a_probit_score_is_certified_below_its_mean_and_not_far_below():
    """Of 400 images at alpha = 0.1, whose statements are each about all distances and a level."""
    repeats, alpha = 400, 0.1
    images = torch.full((repeats, 1, 2, 2), 0.5 + ABOVE)
    certifier = soft.SoftCertifier(
        _executed(Probit(), 2),
        Gaussian(SIGMA),
        FixedSamples(1_000, 10),
        seed=7,
        alpha=alpha,
        level=0.6,
        distances=SHIFTS,
    )
    order, counted = certifier.count(images)
    made = certifier.certified(order[:, 0], counted)
    right = made.selected == 0
    assert right.sum() > 380
    wide = np.hypot(SIGMA, TAU)
    truth = special.ndtr((ABOVE - SHIFTS) / wide)
    level_at = ABOVE - wide * special.ndtri(0.6)
    false = (made.confidence > truth).any(axis=1) | (made.radius > level_at)
    assert false[right].sum() <= _limit(right.sum(), alpha)
    assert (made.lead > ABOVE)[right].sum() <= _limit(right.sum(), alpha)
    gap = truth - made.confidence[right].mean(axis=0)
    assert (gap > 0).all()
    assert (gap < 0.08).all()
    assert 0.6 * level_at < made.radius[right].mean() < level_at
    assert 0.6 * ABOVE < made.lead[right].mean() < ABOVE
    # Wrong selections claim nothing: the mean score of class 1 is below one half.
    assert (made.predicted[~right] == -1).sum() >= (~right).sum() - _limit((~right).sum(), alpha)


def test_the_lead_in_pairs_is_below_the_exact_radius_where_the_margin_is_shorter():
    """Three score vectors whose exact radii are known: by pairs 1.0734, by the margin 0.7688."""
    repeats, alpha = 100, 0.1
    images = torch.zeros((repeats, 1, 2, 2))
    made = {}
    for rivals in (0, 2):
        certifier = soft.SoftCertifier(
            _executed(ThreeVectors(), 3),
            Gaussian(1.0),
            FixedSamples(5_000, 30),
            seed=8,
            alpha=alpha,
            level=0.3,
            rivals=rivals,
        )
        order, counted = certifier.count(images)
        assert (order[:, 0] == 0).all()
        made[rivals] = certifier.certified(order[:, 0], counted)
    limit = _limit(repeats, alpha)
    assert (made[2].lead > 1.0734103020412762084).sum() <= limit
    assert (made[0].lead > 0.76884582585105943788).sum() <= limit
    assert made[2].lead.mean() > 0.9
    assert 0.6 < made[0].lead.mean() < 0.76884582585105943788
    # The scores .7, .5, .3 with .5, .3, .2; the same histograms in both runs.
    exact = 0.3 + 0.2 * 0.8 + 0.2 * 0.5
    assert (made[2].confidence[:, 0] > exact).sum() <= limit
    assert (made[2].confidence == made[0].confidence).all()


def test_the_least_lead_of_many_rivals_errs_as_seldom_as_that_of_one():
    """Votes, and eight rivals that are all alike, each bounded at alpha."""
    repeats, n, alpha, classes = 4_000, 200, 0.2, 9
    rng = np.random.default_rng(16)
    chances = np.full(classes, 0.04)
    chances[0] = 1 - chances[1:].sum()
    votes = rng.multinomial(n, chances, size=repeats)
    counted = np.zeros((repeats, classes, 64), dtype=np.int64)
    counted[:, 0, -1], counted[:, 0, 0] = votes[:, 0], n - votes[:, 0]
    for rival in range(1, classes):
        counted[:, rival, -1], counted[:, rival, 0] = votes[:, 0], votes[:, rival]
        counted[:, rival, 32] = n - votes[:, 0] - votes[:, rival]
    made = soft.from_histograms(
        np.zeros(repeats, dtype=np.int64), counted, alpha=alpha, sigma=1.0, level=0.5, distances=[]
    )
    exact = (special.ndtri(chances[0]) - special.ndtri(chances[1])) / 2
    assert (made.lead > exact).sum() <= _limit(repeats, alpha)
    assert (made.lead > 0).mean() > 0.9


def test_histograms_say_what_the_experiment_says_of_the_same_samples():
    """Radii of `certified_confidence`, which counts on its own, from the scores of 12 images."""
    rng = np.random.default_rng(5)
    settings = certified_confidence.WITNESS
    levels, entries, counted = settings.levels, [], []
    for image in range(12):
        pilot, drawn = (rng.dirichlet([4, 2, 1, 1, 0.5], size=n) for n in (10, 400))
        drawn[:, 0] += image / 12
        drawn /= drawn.sum(axis=1, keepdims=True)
        entry = certified_confidence.counted(pilot, drawn, settings, key=image)
        entries.append(entry)
        parts = [entry["score"], *entry["groups"]]
        counted.append(certified_confidence.histograms(parts, levels)[:, :levels])
    chosen = [entry["chosen"] for entry in entries]
    values = {"labels": chosen}
    fields = {name: getattr(settings, name) for name in ("alpha", "levels", "rivals")}

    class Stored:
        parameters = fields | {"n": 400}

    Stored.values = values
    run = {"sigma": 0.5, "images": entries}
    theirs = certified_confidence.radii(Stored, run)
    ours = soft.from_histograms(
        chosen, counted, alpha=settings.alpha, sigma=0.5, level=0.5, distances=[0.0]
    )
    # Theirs has one more threshold, at which nothing is counted.
    np.testing.assert_allclose(ours.radius, theirs["law, our band"], rtol=1e-12)
    np.testing.assert_allclose(ours.lead, theirs["rivals, our band"], rtol=1e-12)
    assert ours.radius.max() > 0.1
    assert (ours.radius == 0).any()


@pytest.mark.parametrize("bins", [2, 3, 50, 1000, 1024, 65_535])
def test_thresholds_are_not_above_the_fractions_that_scores_reach(bins):
    for numbers in (np.arange(1, bins), 2 * np.arange(1, bins) - bins):
        for cut, number in zip(soft._quotients(numbers, bins), numbers.tolist(), strict=True):
            gap = Fraction(number, bins) - Fraction(float(cut))
            assert 0 <= gap <= Fraction(1, 2**52)


def test_radii_and_confidences_of_stored_counts_fit_each_other():
    rng = np.random.default_rng(6)
    counted = rng.multinomial(5_000, rng.dirichlet(np.ones(32), size=3)[[0, 0]], size=(7, 2))
    counted[:, :, -8:] += 2_000
    chosen = np.arange(7)
    for level in (0.2, 0.45):
        made = soft.from_histograms(
            chosen, counted, alpha=0.01, sigma=0.5, level=level, distances=[0.0]
        )
        assert (made.predicted == chosen).all()
        for row in range(7):
            again = soft.from_histograms(
                chosen, counted, alpha=0.01, sigma=0.5, level=level, distances=[made.radius[row]]
            )
            assert level <= again.confidence[row, 0] < level + 1e-9
    steps = np.arange(1, 32) / 32
    known = soft.bands.survival_lower(counted[:, 0], 0.01)[:, 1:]
    wanted = confidence.lower(steps, known, 0.5, 0.0)
    assert (made.confidence[:, 0] == wanted).all()


def test_coins_vote_as_often_as_the_mean_score_says():
    n = 100_000
    executed = _executed(Probit(), 2)
    images = torch.full((1, 1, 2, 2), 0.5 + ABOVE)
    votes = Coins(executed, images, Gaussian(SIGMA), None, seed=3, stream="estimate")
    votes.draw(np.arange(1), n)
    (count,) = votes.counts()
    chance = float(special.ndtr(ABOVE / np.hypot(SIGMA, TAU)))
    low, high = stats.binom.isf([1 - RARE, RARE], n, chance)
    assert low <= count[0] <= high
    assert n - 2 <= count.sum() <= n


def test_a_coin_is_of_its_sample_alone():
    executed = _executed(ThreeVectors(), 3)
    images, law = torch.zeros((4, 1, 2, 2)), Gaussian(1.0)

    def votes(rows, portions):
        tally = Coins(executed, images[rows], law, np.array(rows), seed=3, stream="estimate")
        for until in portions:
            tally.draw(np.arange(len(rows)), until)
        return tally.counts()

    whole = votes([0, 1, 2, 3], [300])
    assert (votes([3, 1], [17, 40, 300]) == whole[[3, 1]]).all()
    assert len(np.unique(whole, axis=0)) == 4


@pytest.mark.parametrize("law", [Gaussian(SIGMA), Rounded(Gaussian(SIGMA))], ids=lambda m: m.name)
def test_sequential_rules_on_coins_err_as_seldom_as_they_say(law):
    """A radius that is barely false for the mean score: claimed with probability alpha at most."""
    repeats, alpha = 600, 0.1
    pixel = round(255 * (0.5 + ABOVE))
    if law.levels:
        images = torch.full((repeats, 1, 2, 2), pixel, dtype=torch.uint8)
    else:
        images = torch.full((repeats, 1, 2, 2), pixel / 255)
    above = pixel / 255 - 0.5
    wide = np.hypot(SIGMA, TAU)
    # The mean score is ndtr(above / wide); known as a mean alone it is certified up to here.
    exact = SIGMA * above / wide
    plan = RadiusTable([0.5 * exact, exact * 1.0001], 4_000, n0=25)
    certifier = Certifier(_executed(Probit(), 2), law, plan, seed=9, alpha=alpha, coins=True)
    made = certifier.certify(images)
    right = made.selected == 0
    assert right.mean() > 0.9
    assert (made.radius[right] > exact).sum() <= _limit(right.sum(), alpha)
    assert (made.radius[right] > 0).mean() > 0.95


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"noise": Uniform(0.3)}, "noise is uniform: mean scores are certified under gaussian"),
        ({"samples": FixedSamples(10)}, "n is 10: at alpha = 0.001 even unanimous samples certify"),
        ({"samples": FixedSamples(900, runner_up=True)}, "runner_up is True: that is for votes"),
        ({"level": 0.0}, "level is 0.0: give a level strictly between 0 and 1"),
        ({"level": float("nan")}, "level holds NaN"),
        ({"level": 0.999, "bins": 100}, "level is 0.999: give more samples, more bins"),
        ({"bins": 1}, "bins is 1: give whole numbers of at least 2"),
        ({"rivals": -1}, "rivals is -1"),
        ({"rivals": 1.5}, "rivals is 1.5"),
        ({"distances": [-0.1]}, "distances"),
        ({"alpha": 1}, "alpha is 1"),
        ({"seed": "one"}, "seed is 'one'"),
    ],
)
def test_a_certifier_refuses_in_one_sentence(changes, told):
    settings = {"noise": Gaussian(SIGMA), "samples": FixedSamples(1_000), "seed": 0} | changes
    with pytest.raises(ValueError, match=told) as refused:
        soft.SoftCertifier(_executed(Probit(), 2), **settings)
    assert "\n" not in str(refused.value)


def test_coins_bound_no_runner_up():
    plan = FixedSamples(1_000, runner_up=True)
    with pytest.raises(ValueError, match="runner_up is True: coins bound no rival"):
        Certifier(_executed(Probit(), 2), Gaussian(SIGMA), plan, seed=0, coins=True)


def test_too_many_classes_for_the_bound_of_the_errors_are_refused():
    executed = Executed(Logits().eval(), classes=100_001)
    with pytest.raises(ValueError, match="model gives 100001 scores: give one with at most"):
        soft.SoftCertifier(executed, Gaussian(1.0), FixedSamples(1_000), seed=0)
    image = torch.zeros(1, 100_001, 1, 1)
    with pytest.raises(ValueError, match="model gives 100001 scores"):
        Coins(executed, image, Gaussian(1.0), None, seed=0, stream="estimate")


@pytest.mark.parametrize(
    ("selected", "counted", "told"),
    [
        ([0], np.ones((1, 8), int), "histograms has shape"),
        ([0], np.ones((1, 1, 8), int), "histograms has shape"),
        ([0, 1], np.ones((1, 2, 8), int), "selected has 2 classes and histograms 1 images"),
        ([0], np.zeros((1, 2, 8), int), "samples"),
        ([0], np.full((1, 2, 8), 0.5), "histograms"),
        ([0], np.array([[[3, 5], [4, 5]]]), r"histograms has an image of \[8, 9\] samples"),
    ],
)
def test_counts_that_are_none_are_refused(selected, counted, told):
    with pytest.raises(ValueError, match=told):
        soft.from_histograms(selected, counted, alpha=0.01, sigma=0.5, level=0.5, distances=[0.0])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        # A sigma for each image was taken for one for each distance.
        ({"sigma": [0.25, 1.0]}, r"sigma is \[0.25, 1.0\]: give one number"),
        ({"distances": 0.25}, "distances is 0.25: give a list of numbers"),
        ({"distances": "0.25"}, "distances is '0.25': give real numbers"),
        ({"distances": [[0.0, 0.25]]}, "give a list of numbers"),
        ({"level": [0.5, 0.6]}, "level is"),
        ({"alpha": [0.01, 0.02]}, "alpha is"),
    ],
)
def test_one_number_and_one_list_are_asked_for(changes, told):
    counted = np.full((2, 2, 8), 100)
    asked = {"alpha": 0.01, "sigma": 0.5, "level": 0.5, "distances": [0.0, 0.25]}
    with pytest.raises(ValueError, match=told):
        soft.from_histograms([0, 1], counted, **(asked | changes))

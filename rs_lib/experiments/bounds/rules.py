"""Rules between parameters: what fits the data set, the images, the level and the memory."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb, log2, prod
from typing import Any

from scipy.special import ndtr

from rs_lib.certificates import ablation
from rs_lib.experiments.bounds.kinds import refused
from rs_lib.machines import models, workers
from rs_lib.statistics import clopper_pearson_lower
from rs_lib.statistics.boundaries import first_certifying

Rule = Callable[[Any], None]
"""Takes parameters whose fields are of their kinds; raises ValueError."""


@dataclass(frozen=True)
class Size:
    """Training and test images of a data set, and their shape [C, H, W]."""

    train: int
    tests: int
    shape: tuple[int, int, int]


SIZES = {
    "digits": Size(1_297, 500, (1, 8, 8)),
    "mnist": Size(60_000, 10_000, (1, 28, 28)),
    "fashion-mnist": Size(60_000, 10_000, (1, 28, 28)),
    "cifar10": Size(50_000, 10_000, (3, 32, 32)),
}
"""The data sets have fixed contents (see `rs_lib.machines.data.DIGESTS`), hence fixed sizes."""

_LEAST_SHARE = 0.075
"""Every class of these sets has at least this share of the images."""

_MOST_PIXELS = 10**9
_MOST_GROUPS = 10_000


def _at_most(name: str, value: int, most: int, what: str) -> None:
    if value > most:
        raise refused(f"parameter {name}", value, f"at most {most}, {what}")


def _certifying(p: Any) -> None:
    """Unanimous samples must certify something."""
    if clopper_pearson_lower(p.n, p.n, p.alpha) > 0.5:
        return
    enough = max(p.n, ceil(-log2(p.alpha)))
    while clopper_pearson_lower(enough, enough, p.alpha) <= 0.5:
        enough += 1
    raise refused(
        "parameter n", p.n, f"at least {enough}, at alpha = {p.alpha:g} fewer are too few"
    )


def _images(p: Any) -> None:
    _at_most("images", p.images, SIZES[p.dataset].tests, f"the test images of {p.dataset}")


def _network(p: Any, channels: int = 1) -> None:
    """Raise ValueError if the images are too small for the network."""
    size = SIZES[p.dataset].shape
    models.build(p.model, (channels * size[0], *size[1:]), 10, 0)


def _certified_accuracy(p: Any) -> None:
    _images(p)
    _certifying(p)
    _network(p)


def _certified_cifar10(p: Any) -> None:
    _images(p)
    _compact_residual(p)
    _reaching(p, p.alpha)


def _certified_confidence(p: Any) -> None:
    _certified_accuracy(p)
    if p.alpha > 0.5:
        raise refused("parameter alpha", p.alpha, "a level of at most 0.5, which bands need")


def _compact_residual(p: Any) -> None:
    """The training of a compact residual network must fit its data."""
    size = SIZES[p.dataset]
    _at_most("batch_size", p.batch_size, size.train, f"the training images of {p.dataset}")
    _at_most("shift", p.shift, min(size.shape[1:]) - 1, "less than the side of an image")
    if len(p.blocks) != len(p.widths):
        raise refused("parameter blocks", p.blocks, "one number for each of widths")


def _reaching(p: Any, alpha: float) -> None:
    """Unanimous samples must certify the largest radius, `reach` sigma."""
    enough = first_certifying(float(ndtr(p.reach)), alpha)
    if p.max_samples < enough:
        raise refused("parameter max_samples", p.max_samples, f"at least {enough}, for that reach")


def _certified_test_set(p: Any) -> None:
    _certified_accuracy(p.base)
    if p.base.alpha >= 0.5:
        raise refused("parameter alpha", p.base.alpha, "a level below 0.5, for sequential tests")
    _at_most("images", p.images, SIZES[p.base.dataset].tests, "the test images")
    _reaching(p, p.base.alpha)


def _attack_in_ball(p: Any) -> None:
    _certified_accuracy(p.base)


def _ablation(p: Any) -> None:
    _images(p)
    _certifying(p)
    _network(p, channels=2)
    if p.alpha >= 0.5:
        raise refused("parameter alpha", p.alpha, "a level below 0.5, which sequential tests need")
    _, height, width = SIZES[p.dataset].shape
    pixels = height * width
    for kept in p.kept:
        _at_most("kept", kept, pixels, f"the pixels of an image of {p.dataset}")
    if p.attacked_kept not in p.kept:
        raise refused("parameter attacked_kept", p.attacked_kept, f"one of kept, {p.kept}")
    _at_most("attack_changes", p.attack_changes, pixels, f"the pixels of an image of {p.dataset}")
    rest = pixels - p.attack_changes + 1
    _at_most("attack_tries", p.attack_tries, rest, "the pixels that are left in the last step")


def _ablation_test_set(p: Any) -> None:
    _ablation(p.base)
    size = SIZES[p.base.dataset]
    channels, height, width = size.shape
    pixels = height * width
    _at_most("kept", p.kept, pixels, f"the pixels of an image of {p.base.dataset}")
    for model, _, images in p.networks:
        _at_most("networks", images, size.tests, f"the test images of {p.base.dataset}")
        models.build(model, (2 * channels, height, width), 10, 0)
    threshold = float(ablation.required_probability(p.reach, pixels, p.kept))
    if threshold == 1:
        most = int(ablation.radius(1.0, pixels, p.kept))
        raise refused("parameter reach", p.reach, f"at most {most}, with so many pixels kept")
    enough = first_certifying(threshold, p.base.alpha)
    if p.max_samples < enough:
        raise refused("parameter max_samples", p.max_samples, f"at least {enough}, for that reach")


def _noise_map(p: Any) -> None:
    _images(p)
    _network(p)


def _norm_ratios_cifar10(p: Any) -> None:
    _certified_cifar10(p.base)
    _at_most("images", p.images, SIZES[p.base.dataset].tests, "the test images")


def _backdoors(p: Any) -> None:
    size = SIZES[p.dataset]
    for run in (*p.runs, p.attacked):
        _, task, examples, keep, label_keep, _ = run
        _at_most("runs", examples, size.train, f"the training images of {p.dataset}")
        classes = 2 if task == "pair" else 10
        if Fraction(keep) <= Fraction(1, 2) or Fraction(label_keep) <= Fraction(1, classes):
            raise refused(
                "parameter runs",
                run,
                f"a keep of pixels above 1/2 and one of labels above 1/{classes}",
            )
    if p.attacked[1] != "pair":
        raise refused("parameter attacked", p.attacked, "a run of the task pair")
    numbers = size.shape[0] * size.shape[1] * size.shape[2]
    for kind, pixels, images in p.attacks:
        _at_most("attacks", pixels, numbers, "the numbers of an image")
        _at_most("attacks", images, p.attacked[2], "the training images of the attacked run")
        if kind == "test pixels" and images:
            raise refused("parameter attacks", (kind, pixels, images), "0 training images there")


def _distribution_shift(p: Any) -> None:
    _images(p)
    for name, _ in p.networks:
        models.build(name, SIZES[p.dataset].shape, 10, 0)


def _feasible_labels(p: Any) -> None:
    if 0.5 in p.margins:
        raise refused("parameter margins", p.margins, "margins below 0.5")


def _label_flips(p: Any) -> None:
    if len(p.two.digits) != 2:
        raise refused("parameter two.digits", p.two.digits, "two digits")
    for name, problem in (("two", p.two), ("ten", p.ten)):
        if list(problem.digits) != sorted(problem.digits):
            raise refused(f"parameter {name}.digits", problem.digits, "digits that increase")
        classes = len(problem.digits)
        for flip in (*problem.flips, *problem.swept_flips):
            if Fraction(flip) >= 1 - Fraction(1, classes):
                raise refused(f"parameter {name}.flips", flip, f"less than 1 - 1/{classes}")


def _label_flips_learned(p: Any) -> None:
    _compact_residual(p)
    for flip in p.flips:
        if Fraction(flip) >= Fraction(1, 2):
            raise refused("parameter flips", flip, "less than 1/2")
    told = {label for pair in p.pairs for label in pair}
    if len(told) > 8:
        raise refused("parameter pairs", p.pairs, "pairs that leave two classes to learn from")


def _patch_bands(p: Any) -> None:
    _, height, width = SIZES[p.dataset].shape
    for base in p.bases:
        network, kind, band = base
        _at_most("bases", band, min(height, width), f"the side of an image of {p.dataset}")
        if network.endswith("column") and kind == "blocks":
            raise refused("parameter bases", base, "columns or rows for that network")
        # Batch normalisation needs two images; the last batch is what is left.
        if network.startswith("residual") and SIZES[p.dataset].train % p.batch_size == 1:
            raise refused("parameter batch_size", p.batch_size, "one that leaves no single image")
        if network.startswith("residual") and p.batch_size == 1:
            raise refused("parameter batch_size", p.batch_size, "at least 2 for that network")
    _at_most("shift", p.shift, min(height, width) - 1, "less than the side of an image")


def _patch_columns(p: Any) -> None:
    _compact_residual(p)
    side = min(SIZES[p.dataset].shape[1:])
    for name in ("band", "shown"):
        _at_most(name, getattr(p, name), side, f"the side of an image of {p.dataset}")
    if p.batch_size == 1:
        raise refused("parameter batch_size", p.batch_size, "at least 2 for batch normalisation")


def _placed_balls(p: Any) -> None:
    _at_most("radius", p.radius, p.side, "the side")
    for name in ("gaps", "train", "test"):
        _at_most(name, max(getattr(p, name)), p.side, "the side")
    most = _MOST_PIXELS // (p.side**2 * (len(p.train) + 1))
    _at_most("draws", p.draws, max(most, 1), "what the memory holds at that side")


def _logs(p: Any) -> None:
    if p.made and not (p.images and p.sigma):
        raise refused("parameter images", p.images, "images and sigma above 0 for logs to be made")
    if not p.made and (p.images or p.sigma):
        raise refused("parameter made", p.made, "logs to make, or leave images and sigma at 0")


def _confidence_logs(p: Any) -> None:
    _logs(p)
    if p.trials % p.thresholds:
        raise refused("parameter thresholds", p.thresholds, f"a divisor of {p.trials}, the trials")
    if p.alpha > 0.5:
        raise refused("parameter alpha", p.alpha, "a level of at most 0.5, which bands need")


def _rab(p: Any) -> None:
    if p.target == p.other:
        raise refused("parameter other", p.other, "a class that is not the target")
    names = [name for name, _ in p.attacks]
    if len(set(names)) < len(names):
        raise refused("parameter attacks", p.attacks, "every trigger once")
    _at_most("poisoned", p.poisoned, p.examples, "the examples")
    for name, examples in p.nearest.datasets:
        _at_most("nearest.poisoned", p.nearest.poisoned, examples, f"the examples of {name}")
        _at_most("nearest.neighbours", max(p.nearest.neighbours), examples, f"those of {name}")


def _smoothed_embeddings(p: Any) -> None:
    size, other = SIZES[p.dataset], SIZES[p.asked_dataset]
    if size.shape != other.shape:
        told = f"one with images of shape {list(size.shape)}, as {p.dataset} has"
        raise refused("parameter asked_dataset", p.asked_dataset, told)
    if p.dataset == p.asked_dataset and set(p.learned) & set(p.asked):
        raise refused("parameter asked", p.asked, "classes that are not learned")
    models.build(p.model, size.shape, p.dimension, 0)
    few = f"about what a class of {p.asked_dataset} has"
    _at_most("shots", p.shots, int(_LEAST_SHARE * other.train), few)
    _at_most("queries", p.queries, int(_LEAST_SHARE * other.tests) // p.episodes, few)
    examples = int(_LEAST_SHARE * size.train * len(p.learned))
    _at_most("batch_size", p.batch_size, examples, "the examples of the classes learned")


def _training_objectives(p: Any) -> None:
    _images(p)
    _certifying(p)
    _network(p)
    _at_most("examples", p.examples, SIZES[p.dataset].train, f"the training images of {p.dataset}")
    _at_most("batch_size", p.batch_size, p.examples, "the examples")


def _weak_generators(p: Any) -> None:
    _strengths("attacks", p.attacks)


def _strengths(name: str, attacks: Any) -> None:
    for attack, strength in attacks:
        if attack == "alpha" and strength < 0.5:
            raise refused(f"parameter {name}", (attack, strength), "a strength of at least 0.5")
        if attack in ("beta", "gamma") and strength != int(strength):
            raise refused(f"parameter {name}", (attack, strength), "a whole number as strength")


def _bad_randomness(p: Any) -> None:
    _images(p)
    _certifying(p)
    _network(p)
    _strengths("laws", p.laws)
    pixels = prod(SIZES[p.dataset].shape)
    for name in ("n", "honest"):
        _at_most(name, getattr(p, name), _MOST_NORMALS // pixels, "what the memory holds")


_MOST_NORMALS = 10**8
"""The longest tape of noise, about three gigabytes while it is made."""


def _faulty_workers(p: Any) -> None:
    """Every rule must bear the faulty workers, every worker have data, and the votes be few."""
    _network(p)
    size = SIZES[p.dataset]
    for name, team in (
        ("workers", p.workers),
        ("fixed.workers", p.fixed.workers),
        ("votes.workers", p.votes.workers),
    ):
        _at_most(name, team, size.train // 20, f"a twentieth of the images of {p.dataset}")
    for rule in p.rules:
        need = workers.NEEDS[rule](p.faulty)
        if p.workers < need:
            raise refused("parameter workers", p.workers, f"at least {need}, which {rule} needs")
    for members in p.votes.members:
        _at_most("votes.members", members, p.votes.workers, "the workers")
        if comb(p.votes.workers, members) > _MOST_GROUPS:
            raise refused("parameter votes.members", members, f"at most {_MOST_GROUPS:,} groups")


def _robustness_search(p: Any) -> None:
    """Every rule must bear the faulty workers; the lower median bears what the median does."""
    for rule, n, f in p.cases:
        need = workers.NEEDS.get(rule, workers.NEEDS["median"])(f)
        if n < need:
            raise refused("parameter cases", (rule, n, f), f"at least {need} workers for {rule}")


RULES: dict[str, Rule] = {
    "ablation-l0": _ablation,
    "ablation-test-set": _ablation_test_set,
    "attack-in-ball": _attack_in_ball,
    "backdoors": _backdoors,
    "bad-randomness": _bad_randomness,
    "certified-accuracy": _certified_accuracy,
    "certified-cifar10": _certified_cifar10,
    "certified-confidence": _certified_confidence,
    "certified-test-set": _certified_test_set,
    "confidence-logs": _confidence_logs,
    "distribution-shift": _distribution_shift,
    "faulty-workers": _faulty_workers,
    "feasible-labels": _feasible_labels,
    "label-flips": _label_flips,
    "label-flips-learned": _label_flips_learned,
    "noise-map": _noise_map,
    "norm-ratios": _noise_map,
    "norm-ratios-cifar10": _norm_ratios_cifar10,
    "band-ballots": _patch_bands,
    "patch-bands": _patch_bands,
    "patch-columns": _patch_columns,
    "placed-balls": _placed_balls,
    "published-logs": _logs,
    "rab": _rab,
    "robustness-search": _robustness_search,
    "shifted-logs": _logs,
    "smoothed-embeddings": _smoothed_embeddings,
    "training-objectives": _training_objectives,
    "vote-margins": _logs,
    "weak-generators": _weak_generators,
}

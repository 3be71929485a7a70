"""The kind of every parameter of every experiment, by its name on the command line."""

from rs_lib.experiments import (
    backdoors,
    bad_randomness,
    patch_bands,
    robustness_search,
    weak_generators,
)
from rs_lib.experiments.bounds.kinds import (
    BATCH,
    EPOCHS,
    IMAGES,
    RATE,
    SAMPLES,
    SCALE,
    SEED,
    STEPS,
    Fields,
    decimal,
    each,
    level,
    one_of,
    part,
    real,
    row,
    truth,
    whole,
    zero_or,
)
from rs_lib.geometry import grids
from rs_lib.machines import bands, data, fast_training, models, triggers, workers

_SETS = one_of(data.NAMES)
_CLASS = whole(0, 9)
_TRAINING: Fields = {
    "dataset": _SETS,
    "model": one_of(models.NAMES),
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": RATE,
    "images": IMAGES,
    "n": SAMPLES,
    "seed": SEED,
}

_CERTIFIED: Fields = {
    **_TRAINING,
    "sigmas": each(SCALE, distinct=True),
    "n0": SAMPLES,
    "alpha": level,
    "attack_radii": each(real(0, 1000)),
    "attack_steps": STEPS,
}

_CONFIDENCE: Fields = {
    **_TRAINING,
    "sigmas": each(SCALE, distinct=True),
    "n0": SAMPLES,
    "rivals": whole(1, 8),
    "levels": whole(2, 2**16),
    "alpha": level,
    "precision": one_of(fast_training.PRECISIONS),
}

_CIFAR: Fields = {
    "dataset": _SETS,
    "widths": each(whole(1, 1024), most=4),
    "blocks": each(whole(1, 100), most=4),
    "train_sigmas": each(zero_or(SCALE), distinct=True),
    "test_sigmas": each(SCALE, distinct=True),
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": RATE,
    "weight_decay": real(1e-9, 1),
    "shift": whole(0, 32),
    "flip": truth,
    "average": real(1e-9, 1 - 1e-9),
    "precision": one_of(("measured", *fast_training.PRECISIONS)),
    "images": IMAGES,
    "n0": SAMPLES,
    "max_samples": SAMPLES,
    "alpha": level,
    "reach": real(0.1, 8),
    "seed": SEED,
}

_ABLATION: Fields = {
    **_TRAINING,
    "kept": each(whole(1, 1024), distinct=True),
    "n0": SAMPLES,
    "alpha": level,
    "attacked_kept": whole(1, 1024),
    "attacked": IMAGES,
    "attack_changes": whole(1, 1024),
    "attack_views": whole(1, 10_000),
    "attack_tries": whole(1, 1024),
    "judged": SAMPLES,
}

_ABLATION_TEST_SET: Fields = {
    "base": part(_ABLATION),
    "kept": whole(1, 1024),
    "networks": each(row(one_of(models.NAMES), EPOCHS, IMAGES), distinct=True),
    "n0": SAMPLES,
    "max_samples": SAMPLES,
    "reach": whole(1, 1024),
    "precision": one_of(fast_training.PRECISIONS),
}

_ATTACK: Fields = {
    "base": part(_CERTIFIED),
    "attacked": IMAGES,
    "multiples": each(real(0, 1000)),
    "steps": STEPS,
    "draws": whole(1, 1024),
    "n": SAMPLES,
}

_RUN = row(
    one_of(backdoors.LEARNERS),
    one_of(backdoors.TASKS),
    IMAGES,
    decimal,
    decimal,
    whole(1, 100_000),
)
_BACKDOORS: Fields = {
    "dataset": _SETS,
    "pair": each(_CLASS, least=2, most=2, distinct=True),
    "runs": each(_RUN, distinct=True),
    "tests": IMAGES,
    "hidden": whole(1, 4096),
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": RATE,
    "penalty": real(1e-9, 1e9),
    "attacked": _RUN,
    "attacks": each(row(one_of(("trigger", "test pixels")), whole(0, 3072), whole(0, 60_000))),
    "chunk": whole(1, 100_000),
    "seed": SEED,
}

_FEASIBLE: Fields = {
    "datasets": each(_SETS, distinct=True),
    "per_unit": whole(1, 1000),
    "largest_radius": whole(1, 100),
    "listed": real(0, 1),
    "sigmas": each(SCALE),
    "margins": each(real(0, 0.5)),
}

_PROBLEM: Fields = {
    "digits": each(_CLASS, least=2, most=10, distinct=True),
    "flips": each(decimal),
    "tested": IMAGES,
    "swept": IMAGES,
    "swept_flips": each(decimal, least=0),
}
_FLIPS: Fields = {
    "dataset": _SETS,
    "features": whole(2, 10_000),
    "penalties": each(real(1e-12, 1e12), distinct=True),
    "sacrifice": real(0, 1),
    "two": part(_PROBLEM),
    "ten": part(_PROBLEM),
    "seed": SEED,
}

_SMOOTHED = ("train_sigmas", "test_sigmas", "images", "n0", "max_samples", "alpha", "reach")
_TRAINED: Fields = {
    **{name: kind for name, kind in _CIFAR.items() if name not in _SMOOTHED},
    "precision": one_of(fast_training.PRECISIONS),
}

_LEARNED: Fields = {
    **_TRAINED,
    "pairs": each(each(_CLASS, least=2, most=2, distinct=True), most=4, distinct=True),
    "examples": each(whole(10, 60_000), distinct=True),
    "penalties": each(real(1e-12, 1e12), distinct=True),
    "sacrifice": real(0, 1),
    "flips": each(decimal),
    "tested": IMAGES,
    "swept": IMAGES,
}

_TEST_SET: Fields = {
    "base": part(_CERTIFIED),
    "images": IMAGES,
    "max_samples": SAMPLES,
    "reach": real(0.1, 8),
    "precision": one_of(fast_training.PRECISIONS),
}

_MAP: Fields = {
    **_TRAINING,
    "train_sigmas": each(zero_or(SCALE), distinct=True),
    "test_sigmas": each(zero_or(SCALE), distinct=True),
}

_PROBES: Fields = {
    "images": IMAGES,
    "steps": STEPS,
    "starts": whole(1, 1000),
    "ratios": each(real(1e-3, 1e6), distinct=True),
    "scales": each(real(1e-3, 1e6), distinct=True),
    "n": SAMPLES,
    "seed": SEED,
}
_RATIOS: Fields = {
    **_TRAINING,
    **_PROBES,
    "train_sigmas": each(zero_or(SCALE), distinct=True),
}
_RATIOS_CIFAR: Fields = {"base": part(_CIFAR), **_PROBES}

_BANDS: Fields = {
    "dataset": _SETS,
    "bases": each(row(one_of(patch_bands.NETWORKS), one_of(bands.KINDS), whole(1, 32))),
    "masked_epochs": EPOCHS,
    "column_epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": RATE,
    "shift": whole(0, 32),
    "flip": truth,
    "thetas": each(real(1e-6, 1)),
    "seed": SEED,
}

_COLUMNS: Fields = {
    **_TRAINED,
    "kinds": each(one_of(("columns", "rows")), most=2, distinct=True),
    "band": whole(1, 32),
    "shown": whole(1, 32),
    "smoothing": real(0, 0.9),
    "thetas": _BANDS["thetas"],
}

_BALLOTS: Fields = {**_BANDS, "drawn": whole(1, 10_000), "closest": whole(1, 10_000)}

_BALLS: Fields = {
    "side": whole(1, 1000),
    "radius": whole(1, 500),
    "gaps": each(whole(0, 1000), distinct=True),
    "tries": whole(1, 100_000),
    "train": each(whole(0, 1000)),
    "test": each(whole(0, 1000)),
    "borders": each(one_of(grids.BORDERS), distinct=True),
    "draws": whole(1, 10_000),
    "seed": SEED,
}

_LOGS: Fields = {
    "trials": SAMPLES,
    "alpha": level,
    "grid_trials": each(SAMPLES),
    "grid_levels": each(level),
    "made": each(row(SAMPLES, level), least=0),
    "images": whole(0, 100_000),
    "sigma": zero_or(SCALE),
    "seed": SEED,
}

_CONFIDENCE_LOGS: Fields = {
    "trials": SAMPLES,
    "thresholds": SAMPLES,
    "alpha": level,
    "made": each(row(real(0.01, 5), real(0.01, 5)), least=0, most=10),
    "images": whole(0, 100_000),
    "sigma": zero_or(SCALE),
    "seed": SEED,
}

_SHIFTED_LOGS: Fields = {
    "made": each(row(real(0.01, 1), real(0.01, 5)), least=0, most=10),
    "images": whole(0, 100_000),
    "sigma": zero_or(SCALE),
    "seed": SEED,
}

_MARGINS: Fields = {
    "trials": SAMPLES,
    "alpha": level,
    "budgets": each(SAMPLES, distinct=True),
    "made": each(row(real(0.01, 5), real(0.01, 5)), least=0, most=10),
    "images": whole(0, 100_000),
    "sigma": zero_or(SCALE),
    "seed": SEED,
}

_FEW, _STRENGTH = whole(1, 64), real(1e-6, 1000)
_METHODS: Fields = {
    "gaussian": part({"draws": _FEW}),
    "stability": part({"weight": _STRENGTH}),
    "smoothadv": part({"draws": _FEW, "steps": _FEW, "radius": _STRENGTH}),
    "macer": part({"draws": _FEW, "weight": _STRENGTH, "beta": _STRENGTH, "gamma": _STRENGTH}),
    "consistency": part({"draws": whole(2, 64), "weight": _STRENGTH, "entropy": _STRENGTH}),
    "smoothmix": part(
        {
            **{"draws": _FEW, "steps": _FEW, "step": _STRENGTH, "weight": _STRENGTH},
            "one_step": truth,
        }
    ),
    "cat_rs": part({"draws": _FEW, "steps": _FEW, "radius": _STRENGTH, "weight": _STRENGTH}),
}
_OBJECTIVES: Fields = {
    "dataset": _SETS,
    "model": one_of(models.NAMES),
    "sigma": SCALE,
    "methods": part(_METHODS),
    "warm_up": real(1e-6, 1),
    "examples": IMAGES,
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": RATE,
    "weight_decay": real(1e-9, 1),
    "average": real(1e-9, 1 - 1e-9),
    "votes": SAMPLES,
    "images": IMAGES,
    "n0": SAMPLES,
    "n": SAMPLES,
    "alpha": level,
    "seed": SEED,
}

_EMBEDDINGS: Fields = {
    **{name: kind for name, kind in _TRAINING.items() if name != "images"},
    "learned": each(_CLASS, least=2, most=10, distinct=True),
    "asked_dataset": _SETS,
    "asked": each(_CLASS, least=2, most=10, distinct=True),
    "dimension": whole(2, 4096),
    "sigma": SCALE,
    "scale": _STRENGTH,
    "weight_decay": real(1e-9, 1),
    "average": real(1e-9, 1 - 1e-9),
    "episodes": whole(1, 1000),
    "shots": whole(1, 1000),
    "queries": whole(1, 1000),
    "n0": SAMPLES,
    "bins": whole(2, 2**16),
    "alpha": level,
}

_NEIGHBOURS: Fields = {
    "datasets": each(row(one_of((*data.NAMES, "spambase")), IMAGES), distinct=True),
    "tests": IMAGES,
    "sigmas": each(SCALE),
    "neighbours": each(whole(1, 1000), distinct=True),
    "buckets": whole(1, 10_000),
    "norm": real(0, 1000),
    "poisoned": IMAGES,
}
_RAB: Fields = {
    "dataset": _SETS,
    "target": _CLASS,
    "other": _CLASS,
    "examples": IMAGES,
    "tests": IMAGES,
    "attacks": each(row(one_of(triggers.TRIGGERS), real(1e-6, 1000))),
    "poisoned": IMAGES,
    "sigmas": each(SCALE, distinct=True),
    "models": whole(1, 100_000),
    "plain_models": whole(1, 100_000),
    "hidden": whole(1, 4096),
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "learning_rate": RATE,
    "nearest": part(_NEIGHBOURS),
    "seed": SEED,
}

_SHIFT: Fields = {
    "dataset": _SETS,
    "networks": each(row(one_of(models.NAMES), EPOCHS), most=8, distinct=True),
    "batch_size": BATCH,
    "learning_rate": RATE,
    "images": IMAGES,
    "budgets": each(real(1e-6, 1000), distinct=True),
    "orders": each(one_of(("1.5", "2", "3", "inf")), distinct=True),
    "steps": STEPS,
    "nearest": STEPS,
    "seed": SEED,
}

_GENERATORS: Fields = {
    "attacks": each(row(one_of(tuple(weak_generators.TAMPER)), real(0, 1e6)), distinct=True),
    "normals": whole(20, 30_000_000),
    "pixels": whole(1, 10_000),
    "n": SAMPLES,
    "alpha": level,
    "margins": each(real(-10, 10)),
    "streams": whole(1, 10_000),
    "sizes": each(whole(20, 2**24), distinct=True),
    "p_value": level,
    "seed": SEED,
}

_BAD_RANDOMNESS: Fields = {
    **_TRAINING,
    "sigma": SCALE,
    "laws": each(row(one_of(bad_randomness.LAWS), real(0, 1e6)), distinct=True),
    "n0": SAMPLES,
    "honest": SAMPLES,
    "alpha": level,
}
_TEAM, _TEAM_SIZE = whole(2, 200), whole(1, 200)
_WORKERS: Fields = {
    **{name: _TRAINING[name] for name in ("dataset", "model", "batch_size", "learning_rate")},
    "workers": _TEAM,
    "faulty": whole(1, 99),
    "rules": each(one_of(workers.RULES), distinct=True),
    "attacks": each(one_of(workers.NAMES), distinct=True),
    "steps": STEPS,
    "processes": whole(3, 64),
    "timeout": real(1, 3600),
    "fixed": part(
        {
            "workers": whole(3, 200),
            "penalties": each(real(1e-9, 1e3), distinct=True),
            "steps": STEPS,
        }
    ),
    "votes": part(
        {"workers": _TEAM, "members": each(_TEAM_SIZE, distinct=True), "penalty": real(1e-9, 1e9)}
    ),
    "seed": SEED,
}
_SEARCH: Fields = {
    "cases": each(row(one_of(robustness_search.RULES), whole(3, 15), whole(1, 7)), distinct=True),
    "dimension": whole(1, 100),
    "starts": whole(1, 10_000),
    "steps": whole(1, 1_000_000),
    "seed": SEED,
}

FIELDS: dict[str, Fields] = {
    "ablation-l0": _ABLATION,
    "ablation-test-set": _ABLATION_TEST_SET,
    "attack-in-ball": _ATTACK,
    "backdoors": _BACKDOORS,
    "bad-randomness": _BAD_RANDOMNESS,
    "band-ballots": _BALLOTS,
    "certified-accuracy": _CERTIFIED,
    "certified-cifar10": _CIFAR,
    "certified-confidence": _CONFIDENCE,
    "certified-test-set": _TEST_SET,
    "confidence-logs": _CONFIDENCE_LOGS,
    "distribution-shift": _SHIFT,
    "faulty-workers": _WORKERS,
    "feasible-labels": _FEASIBLE,
    "label-flips": _FLIPS,
    "label-flips-learned": _LEARNED,
    "noise-map": _MAP,
    "norm-ratios": _RATIOS,
    "norm-ratios-cifar10": _RATIOS_CIFAR,
    "patch-bands": _BANDS,
    "patch-columns": _COLUMNS,
    "placed-balls": _BALLS,
    "published-logs": _LOGS,
    "rab": _RAB,
    "robustness-search": _SEARCH,
    "shifted-logs": _SHIFTED_LOGS,
    "smoothed-embeddings": _EMBEDDINGS,
    "training-objectives": _OBJECTIVES,
    "vote-margins": _MARGINS,
    "weak-generators": _GENERATORS,
}

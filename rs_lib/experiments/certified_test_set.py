"""Each test image certified for the radii of a published table, by a sequential rule.

The networks are those of `certified_accuracy`, which certifies fewer images with a fixed number of
samples. One level of error holds for all radii of an image at once. The values are counts.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from rs_lib.experiments import certified_accuracy
from rs_lib.machines import data, models
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.experiment import Experiment
from rs_lib.record.result import Result
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Certifier, Executed, RadiusTable
from rs_lib.smoothing.radius_tables import certified_table, multiples, right_at


@dataclass(frozen=True)
class Parameters:
    """Whose networks to certify, on how many images, and how much to sample.

    `images` test images, evenly spaced, are certified at the radii 0, 0.25, ... up to `reach`
    sigma with the networks, noises, level and seed of `base`, from at most `max_samples` samples.
    The certified function computes in `precision`.
    """

    base: certified_accuracy.Parameters
    images: int
    max_samples: int
    reach: float
    precision: str


_FULL = Parameters(
    certified_accuracy.PROFILES["full"],
    images=10_000,
    max_samples=20_000,
    reach=3.0,
    precision="bfloat16",
)


def _of(sigma: float) -> Parameters:  # not in the witness: makes the profiles
    return replace(_FULL, base=replace(_FULL.base, sigmas=(sigma,)))


# A profile for each noise, so that each may be run by itself.
PROFILES = {
    "quick": Parameters(
        certified_accuracy.PROFILES["quick"],
        images=500,
        max_samples=2_000,
        reach=2.5,
        precision="float32",
    ),
    "full": _of(0.25),
    "half": _of(0.5),
    "one": replace(_of(1.0), reach=2.5),  # the published table ends there
}

WITNESS = Parameters(
    certified_accuracy.WITNESS, images=40, max_samples=200, reach=1.5, precision="bfloat16"
)


def _table(
    parameters: Parameters, sigma: float, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    base = parameters.base
    within = certified_accuracy.experiment.within(context)
    model, _ = base_classifier(base, Gaussian(sigma), dataset, within)
    radii = multiples(parameters.reach * sigma)
    certifier = Certifier(
        Executed(
            model,
            classes=dataset.classes,
            device=context.device,
            precision=parameters.precision,
        ),
        Rounded(Gaussian(sigma), dataset.levels),
        RadiusTable(radii, parameters.max_samples, n0=base.n0),
        seed=derive(base.seed, "test set", str(sigma)),
        alpha=base.alpha,
    )
    indices = evenly(len(dataset.test_labels), parameters.images)
    settings = {name: value for name, value in asdict(parameters).items() if name != "base"}
    del settings["images"]
    inputs = {
        **settings,
        **{"alpha": base.alpha, "n0": base.n0, "seed": base.seed, "sigma": sigma},
        "data": dataset.digest,
        "network": models.fingerprint(model, dataset.image_shape),
    }
    found = certified_table(
        *(certifier, radii, dataset, indices, context, inputs),
        # not in the witness: shows how far it is
        lambda done: context.tell(f"sigma {sigma:g}: {done} of {len(indices)} images"),
        chunk=100,
    )
    return {"sigma": sigma, **found}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the labels and, for each sigma, what `certified_table` finds."""
    dataset = data.load(parameters.base.dataset)
    indices = evenly(len(dataset.test_labels), parameters.images)
    return {
        "data": dataset.digest,
        "labels": dataset.test_labels[torch.from_numpy(indices)].tolist(),
        "runs": [_table(parameters, sigma, dataset, context) for sigma in parameters.base.sigmas],
    }


# not in the witness: for chapters, which read the values with it
def certified_counts(result: Result) -> dict[float, dict[float, int]]:
    """Return for each sigma of a result how many images are right, certified at each radius."""
    labels = result.values["labels"]
    return {
        run["sigma"]: dict(zip(run["radii"], right_at(run, labels), strict=True))
        for run in result.values["runs"]
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

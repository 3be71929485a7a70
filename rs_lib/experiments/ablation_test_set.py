"""Median radius of randomized ablation on much of a test set, and what other networks change.

The networks are those of `ablation_l0`, or trained as those are with another architecture or for
other epochs. A sequential rule places each image in the table of whole radii 0, 1, ...: one level
of error holds for all radii of an image at once. The values are counts.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from rs_lib.arguments import IntArray
from rs_lib.experiments import ablation_l0
from rs_lib.machines import data, models
from rs_lib.machines.base_classifiers import base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import Certifier, Executed, RadiusTable
from rs_lib.smoothing.radius_tables import certified_table


class Network(NamedTuple):
    """An architecture of `rs_lib.machines.models`, its epochs, and how many images it meets."""

    model: str
    epochs: int
    images: int


@dataclass(frozen=True)
class Parameters:
    """Which networks to certify, on how many images, and how much to sample.

    A network holds the values of a `Network`. Each sees `kept` pixels and is trained on the data
    of `base`, by its batches, rate and seed. Test images are evenly spaced; `n0` samples select
    the class of one, at most `max_samples` place it in the table of the radii 0, 1, ..., `reach`
    at the level of `base`. The certified function computes in `precision`.
    """

    base: ablation_l0.Parameters
    kept: int
    networks: tuple[tuple[str, int, int], ...]
    n0: int
    max_samples: int
    reach: int
    precision: str


PROFILES = {
    "quick": Parameters(
        ablation_l0.PROFILES["quick"],
        kept=12,
        networks=(("mlp", 60, 500), ("mlp", 15, 200), ("small-cnn", 15, 200)),
        n0=100,
        max_samples=1_000,
        reach=3,
        precision="float32",
    ),
    "full": Parameters(
        ablation_l0.PROFILES["full"],
        kept=45,
        networks=(("lenet", 20, 2_500),),
        n0=100,
        max_samples=3_000,
        reach=11,
        precision="bfloat16",
    ),
}

# What epochs and the published architecture change, on every fifth of these images.
PROFILES["pilots"] = replace(
    PROFILES["full"], networks=(("lenet", 5, 500), ("strided-cnn", 5, 500))
)

WITNESS = replace(
    PROFILES["quick"],
    base=ablation_l0.WITNESS,
    kept=16,
    networks=(("mlp", 10, 40), ("strided-cnn", 2, 20)),
    n0=20,
    max_samples=200,
    reach=2,
    precision="bfloat16",
)


def _table(
    parameters: Parameters, network: Network, dataset: data.Dataset, context: Context
) -> dict[str, Any]:
    """Return the network, its losses, and what `certified_table` finds."""
    base, views = parameters.base, ablation_l0.law(parameters.kept, dataset)
    recipe = replace(base, model=network.model, epochs=network.epochs)
    within = ablation_l0.experiment.within(context)
    model, losses = base_classifier(recipe, views, dataset, within)
    radii = [float(radius) for radius in range(parameters.reach + 1)]
    certifier = Certifier(
        Executed(
            model,
            classes=dataset.classes,
            device=context.device,
            precision=parameters.precision,
        ),
        views,
        RadiusTable(radii, parameters.max_samples, n0=parameters.n0),
        # All networks meet the same views of an image.
        seed=derive(base.seed, "test set", str(parameters.kept)),
        alpha=base.alpha,
    )
    channels, height, width = views.seen(dataset.image_shape)
    settings = {name: value for name, value in asdict(parameters).items() if name != "base"}
    del settings["networks"]
    inputs = {
        **settings,
        **{"alpha": base.alpha, "seed": base.seed, "data": dataset.digest},
        "network": models.fingerprint(model, (channels, height, width)),
    }
    indices = evenly(len(dataset.test_labels), network.images)
    found = certified_table(
        *(certifier, radii, dataset, indices, context, inputs),
        # not in the witness: shows how far it is
        lambda done: context.tell(f"{network.model}: {done} of {len(indices)} images"),
        chunk=100,
    )
    labels = dataset.test_labels[torch.from_numpy(indices)].tolist()
    return {"network": list(network), "losses": losses, "labels": labels, **found}


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return for each network the labels of its images and what `certified_table` finds."""
    dataset = data.load(parameters.base.dataset)
    networks = [Network(*network) for network in parameters.networks]
    return {
        "data": dataset.digest,
        "runs": [_table(parameters, network, dataset, context) for network in networks],
    }


# not in the witness: for chapters, which read the values with it
def radii(run: dict[str, Any]) -> IntArray:
    """Return the certified radius of each image of a run, -1 where it is not right or abstains."""
    right = np.asarray(run["selected"]) == np.asarray(run["labels"])
    return np.where(right, np.asarray(run["certified"]) - 1, -1)


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

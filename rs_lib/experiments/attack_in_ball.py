"""A search for adversarial examples inside and outside certified balls of smoothed networks."""

import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from rs_lib import smoothing
from rs_lib.experiments import certified_accuracy
from rs_lib.machines import attacks, data, models
from rs_lib.noise import Gaussian
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing import sampling


@dataclass(frozen=True)
class Parameters:
    """Which certified images to attack, how hard, and how far from the image.

    Of the test images that are certified with the right label, `attacked` per σ (evenly
    spaced) meet `steps` steps of PGD on the smoothed network with `draws` noise samples
    each, at every multiple in `multiples` of their certified radius; `n` fresh samples
    then estimate the class probability at the point that the attack found.
    """

    base: certified_accuracy.Parameters
    attacked: int
    multiples: tuple[float, ...]
    steps: int
    draws: int
    n: int


PROFILES = {
    "quick": Parameters(
        certified_accuracy.PROFILES["quick"],
        attacked=40,
        multiples=(0.5, 0.999, 1.5, 2.0, 3.0),
        steps=10,
        draws=16,
        n=1_000,
    ),
    "full": Parameters(
        certified_accuracy.PROFILES["full"],
        attacked=100,
        multiples=(0.5, 0.999, 1.5, 2.0, 3.0),
        steps=20,
        draws=32,
        n=10_000,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    base=dataclasses.replace(certified_accuracy.WITNESS, images=50),
    attacked=8,
    multiples=(0.5, 0.999, 3.0),
    steps=3,
    draws=4,
    n=200,
)


def _attack(
    parameters: Parameters,
    sigma: float,
    dataset: data.Dataset,
    context: Context,
    model: nn.Module,
    counts: dict[str, list[int]],
) -> dict[str, Any]:
    base = parameters.base
    noise = Gaussian(sigma)
    # The certificate is about this classifier, smoothed with continuous noise: on the images of
    # the data set, which lie on the grid, that is the network under rounded noise.
    on_grid = models.OnGrid(model, dataset.levels).eval()
    certified = smoothing.from_counts(
        np.array(counts["selected"]),
        np.array(counts["successes"]),
        n0=base.n0,
        n=base.n,
        alpha=base.alpha,
        noise=noise,
    )
    indices = certified_accuracy.test_indices(len(dataset.test_labels), base.images)
    right = np.flatnonzero(certified.predicted == dataset.test_labels.numpy()[indices])
    rows = right[certified_accuracy.test_indices(len(right), min(parameters.attacked, len(right)))]
    images = dataset.as_float(dataset.test_images[torch.from_numpy(indices[rows])])
    labels = torch.from_numpy(certified.predicted[rows])
    attempts = []
    for multiple in parameters.multiples:
        radii = torch.from_numpy(certified.radius[rows] * multiple)
        found = attacks.smooth_pgd_l2(
            model,
            images.to(context.device),
            labels.to(context.device),
            noise,
            radius=radii.to(context.device),
            steps=parameters.steps,
            draws=parameters.draws,
            seed=derive(base.seed, "attack", str(sigma), str(multiple)),
        ).cpu()
        table = sampling.count_classes(
            on_grid,
            found,
            noise,
            parameters.n,
            seed=derive(base.seed, "judge", str(sigma), str(multiple)),
            stream="estimate",
            image_ids=indices[rows],
            classes=dataset.classes,
            device=context.device,
        )
        moved = (found.double() - images.double()).flatten(1).norm(dim=1)
        attempts.append(
            {
                "multiple": multiple,
                "distance": moved.tolist(),
                "successes": table[np.arange(len(rows)), labels.numpy()].tolist(),
            }
        )
    return {
        "image": indices[rows].tolist(),
        "base_successes": np.array(counts["successes"])[rows].tolist(),
        "attempts": attempts,
    }


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return per σ: the attacked images, their counts, and per multiple the distance that the
    attack moved each image and how often the noise around that point gave the certified class."""
    dataset = data.load(parameters.base.dataset)
    within = certified_accuracy.experiment.within(context)
    runs = []
    for sigma in parameters.base.sigmas:
        model, _ = certified_accuracy.base_classifier(parameters.base, sigma, dataset, within)
        counts = certified_accuracy.class_counts(parameters.base, sigma, dataset, within)
        inputs = {**asdict(parameters), "sigma": sigma, "data": dataset.digest}
        inputs |= {"network": models.fingerprint(model, dataset.image_shape)}
        work = partial(_attack, parameters, sigma, dataset, context, model, counts)
        runs.append({"sigma": sigma, **context.stage("attack", inputs, work)})
    return {"data": dataset.digest, "runs": runs}


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

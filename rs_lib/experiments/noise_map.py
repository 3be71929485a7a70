"""Networks trained with each of several noises and smoothed with each of several noises.

Three chapters read it: natural accuracy against the noise (after Gao et al. 2020), accuracy of
each class (after Mohapatra et al. 2021), and the map of training noise against the noise of the
smoothing (after Pal and Sulam 2023).
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rs_lib.machines import data, models
from rs_lib.machines.base_classifiers import Recipe, base_classifier
from rs_lib.machines.subsets import evenly
from rs_lib.noise import Gaussian, Rounded
from rs_lib.record.experiment import Experiment
from rs_lib.record.stage import Context
from rs_lib.seeds import derive
from rs_lib.smoothing.executed import Executed
from rs_lib.smoothing.sampling import Tally

CHUNK = 500
"""Images of a resumable stage."""


@dataclass(frozen=True)
class Parameters(Recipe):
    """What to train and how to smooth it.

    One network for each of `train_sigmas` (0: clean images); each is smoothed with each of
    `test_sigmas` (0: not smoothed): the answer is the most frequent class of `n` noisy copies, the
    smallest index among equals, on `images` test images that are evenly spaced.
    """

    train_sigmas: tuple[float, ...]
    test_sigmas: tuple[float, ...]
    images: int
    n: int


PROFILES = {
    "quick": Parameters(
        dataset="digits",
        model="small-cnn",
        train_sigmas=(0.0, 0.25, 0.5, 0.75, 1.0),
        test_sigmas=(0.0, 0.25, 0.5, 0.75, 1.0),
        epochs=12,
        batch_size=64,
        learning_rate=0.1,
        images=500,
        n=100,
        seed=2020,
    ),
    "full": Parameters(
        dataset="mnist",
        model="lenet",
        train_sigmas=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        test_sigmas=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        epochs=10,
        batch_size=256,
        learning_rate=0.1,
        images=10_000,
        n=100,
        seed=2020,
    ),
}

WITNESS = dataclasses.replace(
    PROFILES["quick"],
    train_sigmas=(0.0, 0.5),
    test_sigmas=(0.0, 0.25, 1.0),
    epochs=3,
    n=20,
)


def _answers(
    parameters: Parameters,
    network: nn.Module,
    sigma: float,
    dataset: data.Dataset,
    context: Context,
    chunk: npt.NDArray[np.int64],
) -> dict[str, list[int]]:
    """Return the answers to the test images `chunk` of the network smoothed with `sigma`."""
    images = dataset.test_images[torch.from_numpy(chunk)]
    if sigma == 0:
        with torch.inference_mode():
            logits = network(dataset.as_float(images).to(context.device))
        return {"answers": logits.argmax(1).tolist()}
    noise = Rounded(Gaussian(sigma), dataset.levels)
    executed = Executed(network, classes=dataset.classes, device=context.device)
    executed.probe(noise.seen(dataset.image_shape))
    seed = derive(parameters.seed, "smooth")
    tally = Tally(executed, images, noise, chunk, seed=seed, stream=str(sigma))
    return {"answers": plurality(tally, len(chunk), parameters.n).tolist()}


def plurality(tally: Tally, images: int, n: int) -> npt.NDArray[np.int64]:
    """Return the most frequent class of `n` samples of each image, int64 [images].

    Stops after half of them where no outcome of the rest could change the answer.
    """
    half = n // 2 + 1
    tally.draw(np.arange(images), half)
    ordered = np.sort(tally.counts(), axis=1)
    undecided = ordered[:, -1] - ordered[:, -2] <= n - half
    tally.draw(np.flatnonzero(undecided), n)
    answers: npt.NDArray[np.int64] = tally.counts().argmax(1)
    return answers


def packed(correct: npt.NDArray[np.bool_]) -> str:
    """Return truth values as a hexadecimal string, the first value in the highest bit."""
    return np.packbits(correct).tobytes().hex()


# not in the witness: for chapters, which read the values with it
def correctness(values: dict[str, Any]) -> dict[tuple[float, float], npt.NDArray[np.bool_]]:
    """Return from an experiment's values which test images were answered right.

    The keys are (σ of the training, σ of the smoothing); each array has shape (images,).
    """
    images = len(values["labels"])
    return {
        (run["train"], test["sigma"]): np.unpackbits(
            np.frombuffer(bytes.fromhex(test["correct"]), np.uint8), count=images
        ).astype(bool)
        for run in values["runs"]
        for test in run["tests"]
    }


def compute(parameters: Parameters, context: Context) -> dict[str, Any]:
    """Return the labels and, for each pair of noises, which images were answered right."""
    dataset = data.load(parameters.dataset)
    indices = evenly(len(dataset.test_labels), parameters.images)
    labels = dataset.test_labels.numpy()[indices]
    chunks = np.array_split(indices, max(1, len(indices) // CHUNK))
    runs = []
    for train_sigma in parameters.train_sigmas:
        noise = Gaussian(train_sigma) if train_sigma > 0 else None
        network, losses = base_classifier(parameters, noise, dataset, context)
        trained = models.fingerprint(network, dataset.image_shape)
        tests = []
        for sigma in parameters.test_sigmas:
            answers: list[int] = []
            for chunk in chunks:
                inputs = {
                    **parameters.training_inputs(),
                    "data": dataset.digest,
                    "network": trained,
                    "train": train_sigma,
                    "test": sigma,
                    "n": parameters.n,
                    "images": chunk.tolist(),
                }
                compute_chunk = partial(
                    _answers, parameters, network, sigma, dataset, context, chunk
                )
                answers += context.stage("noise-map", inputs, compute_chunk)["answers"]
            tests.append({"sigma": sigma, "correct": packed(np.array(answers) == labels)})
            share = np.mean(np.array(answers) == labels)
            context.tell(f"trained {train_sigma:g}, smoothed {sigma:g}: {share:.2%}")
        runs.append({"train": train_sigma, "losses": losses, "tests": tests})
    return {
        "data": dataset.digest,
        "classes": dataset.classes,
        "labels": labels.tolist(),
        "runs": runs,
    }


experiment = Experiment(__name__, PROFILES, compute, witness=WITNESS)

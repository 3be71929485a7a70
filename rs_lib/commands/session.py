"""What the commands that go through images share: preparing them, and the settings of a log."""

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from rs_lib.arguments import integers
from rs_lib.commands import classifier, selection
from rs_lib.commands import options as shared
from rs_lib.commands.ranks import Ranks
from rs_lib.machines.preprocessing import Preprocessed
from rs_lib.noise import LAWS, Continuous, Law, Rounded
from rs_lib.record import devices, digests, machine
from rs_lib.smoothing.executed import Executed


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A model, its images, and what they are smoothed with."""

    model: nn.Module
    chosen: selection.Selection
    noise: Law
    classes: int
    device: str


def prepare(options: argparse.Namespace, ranks: Ranks) -> Task:
    """Return the task that the shared options name; raise ValueError where they cannot be used."""
    chosen, device = images_and_device(options, ranks)
    noise = _noise(options, chosen)
    seen = noise.seen(tuple(chosen.images.shape[1:]))
    model = _smoothed(options, seen, is_table=chosen.is_table)
    classes = classifier.classes_of(model, seen, binary=True)
    require_labels(chosen, classes)
    return Task(model, chosen, noise, classes, device)


def _smoothed(options: argparse.Namespace, seen: tuple[int, ...], *, is_table: bool) -> nn.Module:
    """Return the whole function that is smoothed: denoiser, preprocessing, classifier."""
    steps = shared.preprocessing(options, seen)
    model = classifier.load(
        options.model, dict(options.arguments), options.weights, options.fingerprint
    )
    if is_table:
        model = nn.Sequential(nn.Flatten(), model).eval()  # features are rows [N, d] to the model
    if not steps.is_nothing:
        model = Preprocessed(model, steps)
    if options.denoiser is None:
        if options.denoiser_weights is not None:
            raise ValueError("denoiser-weights is given without --denoiser: give both or none")
        return model
    return classifier.denoised(model, options.denoiser, options.denoiser_weights, seen)


def executed(options: argparse.Namespace, task: Task) -> Executed:
    """Return the model of the task as the options want it executed."""
    return Executed(
        task.model,
        classes=task.classes,
        device=task.device,
        precision=options.precision,
        compile_model=options.compile,
    )


def images_and_device(options: argparse.Namespace, ranks: Ranks) -> tuple[selection.Selection, str]:
    """Return the images that the options name, and the device of this rank."""
    if options.chunk is not None:
        integers("chunk", options.chunk, least=1)
    device = ranks.device(options.device)
    devices.check(device)
    chosen = selection.select(
        options.data,
        skip=options.skip,
        most=options.max_images,
        form=selection.Form(
            levels=options.levels,
            side=options.side,
            keys=None if options.keys is None else tuple(options.keys),
            labelled=not options.unlabelled,
            quantise=options.quantise,
            continuous=bool(options.continuous),
        ),
    )
    return chosen, device


def require_labels(chosen: selection.Selection, classes: int) -> None:
    """Raise ValueError unless a model of `classes` logits can be right about the images."""
    if chosen.classes not in (None, classes):
        raise ValueError(
            f"model gives {classes} logits, but {chosen.name} has {chosen.classes} classes: "
            "give a model for this data set"
        )
    if chosen.labels.max() >= classes:
        raise ValueError(
            f"labels in {chosen.name} hold {chosen.labels.max()}, but the model knows the classes "
            f"0 to {classes - 1}: give labels in that range"
        )


def _noise(options: argparse.Namespace, chosen: selection.Selection) -> Law:
    """Return the law that the options name, rounded to pixel levels unless it is to be continuous.

    Raises ValueError that names the option which is missing.
    """
    kind = LAWS[options.noise]
    value = getattr(options, kind.parameter.option)
    if value is None:
        raise ValueError(f"noise is {options.noise}: give --{kind.parameter.option}")
    law = kind.for_images(value, tuple(chosen.images.shape[1:]), chosen.levels)
    if isinstance(law, Continuous) and not options.continuous:
        try:
            return Rounded(law, chosen.levels)
        except ValueError as error:  # most often a scale in grey levels
            raise ValueError(f"{error}; --scale is in units where white is 1") from error
    return law


def noise_header(
    options: argparse.Namespace, task: Task, executed: Executed, plan: Mapping[str, object]
) -> dict[str, Any]:
    """Return all settings on which the rows of a log of noisy votes depend, as JSON holds them."""
    noise, shape = task.noise, task.noise.seen(tuple(task.chosen.images.shape[1:]))
    logits = executed.probe(shape)
    return {
        "command": options.command,
        "alpha": options.alpha,
        **plan,
        "noise": {"law": noise.name, **noise.settings(), "norm": noise.norm},
        "guarantee": noise.guarantee,
        "seed": options.seed,
        "model": described_model(options, task.model, logits, task.classes),
        "data": described_data(options, task.chosen),
        "device": described_device(executed.device),
        "precision": executed.precision,
        "compiled": executed.compiled,
        "tile": executed.tile,
        "rows": executed.rows(shape),
        "versions": versions(),
        "code": digests.code_digest(["rs_lib.smoothing"], without=digests.keeps_books),
    }


def agreed_header(ranks: Ranks, header: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the settings of the log; raise ValueError if they are not equal on all ranks."""
    headers = ranks.agree(header)

    def compare() -> None:
        for rank, other in enumerate(headers):
            differing = [name for name in other if other[name] != headers[0][name]]
            if differing:
                raise ValueError(
                    f"{' and '.join(differing)} differ between process 0 and process {rank}: "
                    "let each build the same model (give --weights) on the same kind of machine"
                )

    ranks.agree(compare)
    return headers[0]


def described_model(
    options: argparse.Namespace, model: nn.Module, logits: str, classes: int
) -> dict[str, Any]:
    """Return what the header says of the model; `logits` is the digest of a probe's."""
    steps = next(
        (part.steps.settings() for part in model.modules() if isinstance(part, Preprocessed)), {}
    )
    return {
        "function": options.model,
        "arguments": {name: repr(value) for name, value in options.arguments},
        **({"fingerprint": options.fingerprint} if options.fingerprint else {}),
        **({"denoiser": options.denoiser} if options.denoiser else {}),
        **({"preprocessing": steps} if steps else {}),
        "sha256": classifier.digest(model),
        "logits": logits,
        "classes": classes,
    }


def described_data(options: argparse.Namespace, chosen: selection.Selection) -> dict[str, Any]:
    """Return what the header says of the images."""
    return {
        "name": chosen.name,
        "images": len(chosen.ids),
        "skip": options.skip,
        "shape": list(chosen.images.shape[1:]),
        "levels": chosen.levels,
        **({"quantised": True} if options.quantise else {}),
        "sha256": chosen.digest,
    }


def versions() -> dict[str, str]:
    """Return the versions on which a log's numbers may depend."""
    return machine.versions("rs_lib", "torch", "numpy", "scipy")


def described_device(device: torch.device) -> str:
    """Return the device in words: the last digits of logits depend on its kind and make."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {torch.backends.cpu.get_cpu_capability()}"

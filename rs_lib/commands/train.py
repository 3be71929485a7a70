"""The command `train`: noise-augmented training, so that a plain network can be certified."""

import argparse
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rs_lib.arguments import integer, positive, shown
from rs_lib.commands import options as shared
from rs_lib.commands import selection, session
from rs_lib.commands.given import assigned, settle
from rs_lib.commands.ranks import Ranks
from rs_lib.experiments import training_objectives
from rs_lib.machines import data, training
from rs_lib.machines.fast_training import plain, towards
from rs_lib.machines.objectives import Objective
from rs_lib.machines.preprocessing import Preprocessed
from rs_lib.record import files
from rs_lib.record.checkpoint import Checkpoint
from rs_lib.seeds import derive

_DESCRIPTION = """\
Train a network on images under the noise that it is to be certified with (Cohen et
al. 2019, section 3.3: cross-entropy, fresh noise in every batch, SGD), or by another
objective that was made for smoothing. Without noise in its training a network answers
noisy images hardly better than by chance. The weights go to --out, as a state dict
that certify takes by --weights. A training that was interrupted goes on from its last
epoch when the same command is given again."""
_EXAMPLES = """\
example:
  rs-lib train --model models:resnet --data cifar10 --mean cifar10 --scale 0.5 \\
      --epochs 90 --device cuda --out resnet.pt
  rs-lib certify --model models:resnet --weights resnet.pt --data cifar10 \\
      --mean cifar10 --scale 0.5 --step 0.25 --device cuda
  rs-lib train … --objective consistency --numbers weight=10
"""
_SOURCES = {
    "gaussian": "cross-entropy, any --noise; Cohen et al. 2019",
    "stability": "Li et al. 2019",
    "smoothadv": "attacks in training; Salman et al. 2019",
    "macer": "Zhai et al. 2020",
    "consistency": "Jeong & Shin 2020",
    "smoothmix": "attacks in training; Jeong et al. 2021",
}
_METHODS = {
    own.name: own
    for own in vars(training_objectives.PROFILES["full"].methods).values()
    if own.name in _SOURCES
}
"""The objectives, by name, with the numbers that the book's experiment gives them."""
WARM_UP = training_objectives.PROFILES["full"].warm_up
"""Share of the training in which what an objective warms up comes in."""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "train",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared.add_training(parser)
    group = parser.add_argument_group("training")
    told = "; ".join(
        f"{name} ({own.passes} pass{'es' if own.passes > 1 else ''}; {_SOURCES[name]})"
        for name, own in _METHODS.items()
    )
    group.add_argument(
        "--objective",
        choices=tuple(_METHODS),
        default="gaussian",
        help="the loss, with its forward and backward passes of the batch for a step: "
        f"{told} (default: gaussian). All but gaussian take --noise gaussian. CAT-RS is left out: "
        "it wants the votes of a network that was trained before",
    )
    numbers = "; ".join(
        f"{name}: {', '.join(f'{field}={value}' for field, value in vars(own).items())}"
        for name, own in _METHODS.items()
        if name != "gaussian"
    )
    group.add_argument(
        "--numbers",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=shared.assignment,
        default=[],
        help="other numbers for the objective than those of the book's experiment, which are "
        f"{numbers}; draws are noises for an image",
    )
    group.add_argument("--epochs", type=int, default=20, help="default: 20")
    group.add_argument("--batch-size", type=int, default=128, metavar="B", help="default: 128")
    group.add_argument(
        "--learning-rate", type=float, default=0.05, metavar="R", help="the largest (default: 0.05)"
    )
    group.add_argument(
        "--out",
        type=shared.place,
        default=Path("weights.pt"),
        metavar="FILE",
        help="the weights; no file is overwritten (default: weights.pt in the working directory)",
    )
    group.add_argument("--seed", type=int, help="of new weights, batches and noise (default: 0)")
    group.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU")
    parser.set_defaults(execute=_execute, n=1, chunk=None)


def _execute(options: argparse.Namespace) -> None:
    settle(options)
    integer("epochs", options.epochs, least=1)
    integer("batch-size", options.batch_size, least=1)
    positive("learning-rate", options.learning_rate)
    shared.require_scale(options.scale)
    if options.denoiser is not None:
        raise ValueError("denoiser is given: it stays as it is, certify with it instead")
    if options.out.exists() or not options.out.absolute().parent.is_dir():
        raise ValueError(
            f"out is {str(options.out)!r}: give a file that is not there yet, in a folder that is"
        )
    objective = _objective(options)
    torch.manual_seed(derive(options.seed, "train", "weights"))  # a new network draws its own
    task = session.prepare(options, Ranks(0, 1))
    chosen = _training_part(options, task.chosen)
    if not chosen.is_labelled:
        raise ValueError("unlabelled is given: training needs labels, leave it out")
    pixels = chosen.pixels(np.arange(len(chosen.ids)), continuous=True)
    _require_cut(objective, pixels)
    unfinished = Checkpoint(_unfinished(options, chosen, objective))
    try:
        losses = _trained(options, task, chosen, pixels, objective, unfinished)
    except KeyboardInterrupt as stop:
        done = len((unfinished.load() or {"losses": ()})["losses"])
        goes_on = "; the same command goes on" if done else ""
        stop.add_note(f"{done} of {options.epochs} epochs are kept{goes_on}")
        raise
    content = io.BytesIO()
    torch.save(_own(task.model, is_table=chosen.is_table).cpu().state_dict(), content)
    files.write_atomically(options.out, content.getvalue())
    unfinished.remove()
    print(f"{options.out.resolve()}: the weights, mean loss {losses[0]:.4g} to {losses[-1]:.4g}")


def _objective(options: argparse.Namespace) -> Objective:
    """Return the objective with its numbers; ValueError for those that it cannot have."""
    own = _METHODS[options.objective]
    if options.objective != "gaussian" and options.noise != "gaussian":
        raise ValueError(
            f"objective is {options.objective} and noise is {options.noise}: it is made for "
            "--noise gaussian, give that"
        )
    given = assigned("numbers", options.numbers)
    known = [] if options.objective == "gaussian" else list(vars(own))
    for name in given:
        if name not in known:
            told = f"give some of {', '.join(known)}" if known else "leave it out"
            raise ValueError(f"numbers names {shown(name)}, not of {options.objective}: {told}")
    try:
        made: Objective = type(own)(**{**vars(own), **given})
    except ValueError as error:
        raise ValueError(f"numbers of {options.objective}: {error}") from error
    return made


def _require_cut(objective: Objective, images: Tensor) -> None:
    """Raise ValueError for images beyond [0, 1] where the objective cuts its attacks to that."""
    low, high = images.min().item(), images.max().item()
    if objective.name in ("smoothadv", "smoothmix") and not 0 <= low <= high <= 1:
        raise ValueError(
            f"objective is {objective.name}, whose attacks stay in [0, 1], but images reach from "
            f"{low:.4g} to {high:.4g}: give another objective"
        )


def _trained(
    options: argparse.Namespace,
    task: session.Task,
    chosen: selection.Selection,
    pixels: Tensor,
    objective: Objective,
    checkpoint: Checkpoint,
) -> list[float]:
    """Train the network of the task in place; return the mean loss of each epoch."""
    own = objective.name == "gaussian"
    goal = plain if own else towards(objective, options.scale, WARM_UP)
    return training.train(
        task.model,
        pixels,
        torch.from_numpy(np.asarray(chosen.labels, dtype=np.int64)),
        noise=task.noise if own else None,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        device=task.device,
        progress=True,
        checkpoint=checkpoint,
        goal=goal,
    )


def _unfinished(
    options: argparse.Namespace, chosen: selection.Selection, objective: Objective
) -> Path:
    """Return the file that keeps an unfinished training: another one for other settings."""
    names = sorted(set(vars(options)) - {"out", "execute", "command"})
    settings = {name: str(getattr(options, name)) for name in names}
    settings |= {"data": chosen.digest, "objective": repr(objective)}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    out: Path = options.out
    return out.with_name(f"{out.name}.{digest[:8]}.unfinished")


def _training_part(options: argparse.Namespace, chosen: selection.Selection) -> selection.Selection:
    """Return the training images of a data set by name; of a source of your own, all chosen."""
    if options.data not in data.NAMES:
        return chosen
    dataset = data.load(options.data)
    ids = np.arange(0, len(dataset.train_labels), options.skip)[: options.max_images]
    rows = torch.from_numpy(ids)
    return selection.Selection(
        chosen.name,
        dataset.train_images[rows],
        dataset.train_labels.numpy()[ids],
        ids,
        dataset.levels,
        dataset.classes,
    )


def _own(model: nn.Module, *, is_table: bool) -> nn.Module:
    """Return the reader's own network, without the layers that options put before it."""
    inner = model.model if isinstance(model, Preprocessed) else model
    return inner[1] if is_table and isinstance(inner, nn.Sequential) else inner

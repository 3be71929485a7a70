"""The command `train`: noise-augmented training, so that a plain network can be certified."""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rs_lib.arguments import integer, positive
from rs_lib.commands import options as shared
from rs_lib.commands import selection, session
from rs_lib.commands.given import settle
from rs_lib.commands.ranks import Ranks
from rs_lib.machines import data, training
from rs_lib.machines.preprocessing import Preprocessed
from rs_lib.record import files
from rs_lib.seeds import derive

_DESCRIPTION = """\
Train a network on images under the noise that it is to be certified with (Cohen et
al. 2019, section 3.3: cross-entropy, fresh noise in every batch, SGD). Without noise
in its training a network answers noisy images hardly better than by chance. The
weights go to --out, as a state dict that certify takes by --weights."""
_EXAMPLES = """\
example:
  rs-lib train --model models:resnet --data cifar10 --mean cifar10 --scale 0.5 \\
      --epochs 90 --device cuda --out resnet.pt
  rs-lib certify --model models:resnet --weights resnet.pt --data cifar10 \\
      --mean cifar10 --scale 0.5 --step 0.25 --device cuda
"""


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
    torch.manual_seed(derive(options.seed, "train", "weights"))  # a new network draws its own
    task = session.prepare(options, Ranks(0, 1))
    chosen = _training_part(options, task.chosen)
    if not chosen.is_labelled:
        raise ValueError("unlabelled is given: training needs labels, leave it out")
    pixels = chosen.pixels(np.arange(len(chosen.ids)), continuous=True)
    losses = training.train(
        task.model,
        pixels,
        torch.from_numpy(np.asarray(chosen.labels, dtype=np.int64)),
        noise=task.noise,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        device=task.device,
        progress=True,
    )
    content = io.BytesIO()
    torch.save(_own(task.model, is_table=chosen.is_table).cpu().state_dict(), content)
    files.write_atomically(options.out, content.getvalue())
    print(f"{options.out.resolve()}: the weights, mean loss {losses[0]:.4g} to {losses[-1]:.4g}")


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

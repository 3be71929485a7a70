"""Options that certify and predict share."""

import argparse
import ast
import warnings
from collections.abc import Sequence
from pathlib import Path

from rs_lib.arguments import shown
from rs_lib.commands.given import default
from rs_lib.machines.preprocessing import STATISTICS, Preprocessing, statistics
from rs_lib.noise import LAWS
from rs_lib.noise.law import Parameter
from rs_lib.smoothing.health import FALSE_ALARM

LEAST_SCALE, MOST_SCALE = 1e-6, 1e6
"""Scales of noise that are taken, as multiples of white."""


def assignment(text: str) -> tuple[str, object]:
    """Return NAME and VALUE of `text`; a value that is no Python literal is a string."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no assignment: write NAME=VALUE")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a doubtful escape in what may be no Python at all
            return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError):
        return name, value
    except (MemoryError, RecursionError) as error:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is nested too deeply: write a simpler value"
        ) from error


def shard(text: str) -> tuple[int, int]:
    """Return i and N of "i/N", 1 to N."""
    first, _, second = text.partition("/")
    if not (first.isascii() and first.isdigit() and second.isascii() and second.isdigit()):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no shard: write I/N, such as 2/4")
    number, count = int(first[:9]), int(second[:9])
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no shard: number them from 1 to N")
    return number, count


def place(text: str) -> Path:
    """Return the path `text`, which the system must be able to look up."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file: give one")
    return Path(text)


def require_scale(scale: float | None) -> None:
    """Raise ValueError for noise that is none, or beside which the images vanish."""
    if scale is not None and not LEAST_SCALE <= scale <= MOST_SCALE:
        raise ValueError(
            f"scale is {shown(scale)}: give a number from {LEAST_SCALE:g} to {MOST_SCALE:g}, "
            "in units where pixels lie in [0, 1]"
        )


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the options for the classifier, the images, the noise and the run."""
    _add_classifier(parser.add_argument_group("classifier"))
    _add_images(parser.add_argument_group("images"), "test")
    _add_noise(parser.add_argument_group("noise"))
    _add_run(parser.add_argument_group("run"))


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the options for the classifier, the images and the noise of a training."""
    _add_classifier(parser.add_argument_group("classifier"))
    _add_images(parser.add_argument_group("images"), "training")
    _add_noise(parser.add_argument_group("noise"))


def add_n(group: argparse._ActionsContainer, told: str, *, required: bool) -> None:
    """Add the fixed number of samples, under two names."""
    group.add_argument(
        "--n",
        "--samples",
        type=int,
        required=required,
        metavar="N",
        help=f"{told} (torchrun takes --n for an option of its own: give it --samples)",
    )


def add_health(group: argparse._ActionsContainer) -> None:
    """Add whether random words are tested."""
    group.add_argument(
        "--health",
        action=argparse.BooleanOptionalAction,
        help="test the random words as they are used, and stop if they are not random; sound words "
        f"are refused once in {1 / FALSE_ALARM:,.0f} runs {default('health')}",
    )


def _add_classifier(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        required=True,
        metavar="MODULE:FUNCTION",
        help="a function that returns a torch model, which maps float32 images [N, C, H, W] in "
        "[0, 1] to logits (or one logit, class 1 above 0); or a model, or a function of images, "
        "itself; the module is sought in the working directory too",
    )
    group.add_argument(
        "--fingerprint",
        metavar="TEXT",
        help="names the version of a model in whose function no weights can be found and hashed",
    )
    group.add_argument(
        "--arguments",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=assignment,
        default=[],
        help="what the function is called with",
    )
    group.add_argument(
        "--weights",
        type=place,
        metavar="FILE",
        help="a state dict that torch.save or safetensors wrote, bare or in a checkpoint, with or "
        "without what wrappers put before its names; code in it is not run (default: as the "
        "function returns the model)",
    )
    group.add_argument(
        "--denoiser",
        metavar="MODULE:FUNCTION",
        help="a function that returns a network of images, which goes before the classifier: it "
        "sees the noisy image (denoised smoothing, Salman et al. 2020)",
    )
    group.add_argument(
        "--denoiser-weights", type=place, metavar="FILE", help="its weights, as for --weights"
    )
    for name, told in (
        ("mean", "what the network's images were normalised by, one number for each channel"),
        ("std", "standard deviations beside --mean; noise is added before, in units of [0, 1]"),
    ):
        group.add_argument(
            f"--{name}",
            nargs="+",
            metavar="NUMBER|NAME",
            help=f"{told}; or the name {' or '.join(STATISTICS)}, which gives both",
        )
    group.add_argument(
        "--resize",
        type=int,
        metavar="S",
        help="bring the shorter side of the noisy image to S before the network sees it",
    )
    group.add_argument(
        "--crop", type=int, metavar="S", help="cut out the middle S x S pixels of it then"
    )


def preprocessing(options: argparse.Namespace, shape: Sequence[int]) -> Preprocessing:
    """Return what the options say is to happen to noisy images of `shape` [C, H, W].

    Raises ValueError where it cannot.
    """
    mean, std = options.mean, options.std
    # A name stands for both.
    mean, std = (
        other if given is None and other and other[0] in STATISTICS else given
        for given, other in ((mean, std), (std, mean))
    )
    steps = Preprocessing(
        options.resize,
        options.crop,
        None if mean is None else statistics("mean", mean),
        None if std is None else statistics("std", std),
    )
    steps.require_shape(shape)
    return steps


def _add_images(group: argparse._ArgumentGroup, part: str) -> None:
    group.add_argument(
        "--data",
        required=True,
        metavar="NAME|FILE|FOLDER|MODULE:FUNCTION",
        help=f"digits, mnist, fashion-mnist or cifar10 (the {part} images); a .npz file with "
        "uint8 images [N, C, H, W] or [N, H, W], or features [N, d], and labels [N]; a .npy file; "
        "a .csv or .parquet table of features and a column label; a folder that holds a folder of "
        "images for each class, as ImageNet's; or a function that returns a torch Dataset or two "
        "arrays",
    )
    group.add_argument(
        "--keys",
        nargs=2,
        metavar="NAME",
        help="names of images and labels in a .npz file; of a table the second counts, its column "
        "of labels",
    )
    # A training that is told so refuses, in its own words.
    told = "there are no labels: certify answers as they are"
    group.add_argument(
        "--unlabelled",
        action="store_true",
        help=told if part == "test" else argparse.SUPPRESS,
    )
    group.add_argument(
        "--quantise",
        action="store_true",
        help="bring images of floats in [0, 1] to whole levels; radii are about those images",
    )
    group.add_argument(
        "--side",
        type=int,
        metavar="S",
        help="of the images of a folder: the shorter side is brought to 8/7 S and the middle cut "
        "out (default: 224)",
    )
    group.add_argument(
        "--levels",
        type=int,
        metavar="L",
        help="the pixel value of a file that stands for 1.0 (default: 255)",
    )
    group.add_argument(
        "--skip", type=int, default=1, metavar="K", help="take every K-th image (default: all)"
    )
    group.add_argument("--max-images", type=int, metavar="M", help="take at most M images")


def _add_noise(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--noise",
        choices=tuple(LAWS),
        help=f"its law {default('noise')}. ablation shows the classifier a few random pixels, as "
        "2 C channels (image and complement, both 0 where not seen); radii count changed pixels. "
        "flips give a pixel, such as a bit, another of its values; radii count changed entries. "
        "sparse adds and deletes bits at rates of their own; radii count changed bits",
    )
    for parameter, laws in parameters().items():
        group.add_argument(
            f"--{parameter.option}",
            type=parameter.kind,
            metavar=parameter.metavar,
            help=f"{parameter.told} (with --noise {' or '.join(laws)})",
        )
    group.add_argument(
        "--continuous",
        action="store_true",
        default=None,
        help="add float noise (default: noise rounded to pixel levels and added as integers, "
        "whose certificates hold in floating point too)",
    )


def parameters() -> dict[Parameter, list[str]]:
    """Return the options that give laws their numbers, each with the laws that take it."""
    taken: dict[Parameter, list[str]] = {}
    for name, law in LAWS.items():
        taken.setdefault(law.parameter, []).append(name)
    return taken


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out",
        type=place,
        metavar="FILE.tsv",
        help="the log; its settings go to FILE.json, times to FILE.times.jsonl. A log that was "
        "interrupted is gone on with (default: the command's name, in the working directory)",
    )
    group.add_argument(
        "--alpha",
        type=float,
        help=f"allowed probability of error per image {default('alpha')}",
    )
    group.add_argument("--seed", type=int, help=f"of the noise {default('seed')}")
    group.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU")
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="what the network computes in (default: float32)",
    )
    group.add_argument(
        "--compile", action="store_true", default=None, help="run it through torch.compile"
    )
    group.add_argument(
        "--chunk",
        type=int,
        metavar="IMAGES",
        help="images that each process works on at a time, which bounds the memory (default: 10 "
        "with --n, else 100); what is finished is written every 10 seconds",
    )
    group.add_argument(
        "--extend",
        action="store_true",
        help="take more images into the log: a command of the same settings whose --skip and "
        "--max-images take those of the log, and others. Rows that are there stay, and the log "
        "becomes that of one run with all images. Each row errs with probability alpha by itself, "
        "as ever; sound words stop each such command less than once in a million",
    )

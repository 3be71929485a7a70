"""The command `certify`."""

import argparse
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from rs_lib.arguments import IntArray, integer, nonnegative, positive, shown
from rs_lib.commands import options as shared
from rs_lib.commands import outlook, patches, session, soft, summary, writing
from rs_lib.commands.given import default, settle
from rs_lib.commands.logs import log
from rs_lib.commands.logs.rows import rounded_down
from rs_lib.commands.ranks import Ranks, joined
from rs_lib.noise import Law
from rs_lib.smoothing import Certifier, FixedSamples, Health, RadiusTable
from rs_lib.smoothing.plans import Plan, ceiling
from rs_lib.smoothing.sampling import Due, Report
from rs_lib.statistics import MAX_TRIALS, RULES, clopper_pearson_lower

MOST_RADII = 1000
_DESCRIPTION = """\
Certify a classifier smoothed by noise (Cohen et al. 2019): for each image, a class
and a radius within which the smoothed classifier keeps it, false with probability
at most alpha. With --soft its mean scores instead: a confidence that stays (Kumar
et al. 2020). Or, with --defence patch, the largest patch that cannot change the
answer of the votes of all bands (Levine & Feizi 2020), without chance of error.
The same command given again goes on with an interrupted run; torchrun shares the
images among processes; --extend takes more images into a log. The log is the same
in every case."""
_EXAMPLES = """\
examples:
  # the customary table of a model of your own, as few samples as each image needs
  python -m rs_lib certify --model models:resnet --weights resnet.pt --data cifar10 \\
      --scale 0.5 --step 0.25 --skip 20 --device cuda --out logs/resnet.tsv

  # the largest radius that 100 000 samples support, on four GPUs
  torchrun --nproc-per-node 4 -m rs_lib certify --model models:resnet --weights resnet.pt \\
      --data cifar10 --scale 0.5 --samples 100000 --device cuda --out logs/resnet-fixed.tsv

  # the mean score of the class, at least so high within each distance of a list
  python -m rs_lib certify --soft --model models:resnet --weights resnet.pt --data cifar10 \\
      --scale 0.5 --n 10000 --level 0.8 --at 0 0.25 0.5 --device cuda --out logs/scores.tsv

  # patches: a network trained on views of 4 columns, as 2 C channels
  python -m rs_lib certify --defence patch --band 4 --model models:resnet_of_views \\
      --weights views.pt --data cifar10 --device cuda --out logs/patch.tsv
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "certify",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute)
    parser.add_argument(
        "--defence",
        choices=("noise", "patch"),
        default="noise",
        help="what the classifier is smoothed by: noise, or views of a part of the image, which "
        "guard against patches (default: noise)",
    )
    shared.add_shared(parser)
    parser.add_argument(
        "--shard",
        type=shared.shard,
        metavar="I/N",
        help="certify every N-th of the images, from the I-th on; `merge` makes the log of all",
    )
    patches.add_options(parser)
    soft.add_options(parser)
    # None tells whether they were given; `settle` fills them in.
    parser.set_defaults(views=None, theta=None, method=None)
    group = parser.add_argument_group("samples (with noise; give one of --n, --radii, --step)")
    plan = group.add_mutually_exclusive_group()
    shared.add_n(
        plan,
        "this many for each image; certify the largest radius that they support",
        required=False,
    )
    plan.add_argument(
        "--radii",
        type=float,
        nargs="+",
        metavar="R",
        help="decide for each image which of these radii are certified, with as few as it takes",
    )
    plan.add_argument(
        "--step", type=float, metavar="R", help="as --radii, with all multiples of R that can be"
    )
    group.add_argument(
        "--max-samples",
        type=int,
        metavar="N",
        help=f"most for an image, with --radii or --step {default('max_samples')}",
    )
    group.add_argument(
        "--rule",
        choices=RULES,
        help=f"when to stop, with --radii or --step; all but one are for comparison "
        f"{default('rule')}",
    )
    group.add_argument(
        "--runner-up",
        action="store_true",
        default=None,
        help="with --n: bound the most frequent other class too, with half of alpha; longer radii "
        "where many classes share what the first one leaves",
    )
    shared.add_health(group)
    group.add_argument("--n0", type=int, help=f"samples that select the class {default('n0')}")


def _execute(options: argparse.Namespace) -> None:
    settle(options)
    if options.defence == "patch":
        patches.execute(options)
        return
    if options.soft and options.n is not None:
        soft.execute(options)
        return
    with joined() as ranks:
        task, certifier = ranks.each(partial(_prepare, options, ranks))
        plan = certifier.plan
        numbers = plan.settings() | ({"votes": soft.COINS} if options.soft else {})
        settings = session.agreed_header(
            ranks, partial(session.noise_header, options, task, certifier.executed, numbers)
        )
        fixed = isinstance(plan, FixedSamples)
        columns: tuple[str, ...] = log.CERTIFY_COLUMNS
        if isinstance(plan, RadiusTable):
            radii = list(plan.radii)
        else:
            columns += ("runner_up",) * plan.runner_up
            least = 1 if task.noise.norm == "l0" else 0.25
            radii = summary.grid(ceiling(task.noise, plan.n, certifier.alpha), least)
        writing.Session(
            options,
            ranks,
            task.chosen,
            settings,
            columns=columns,
            per_image=plan.n0 + plan.n if isinstance(plan, FixedSamples) else None,
            continuous=options.continuous,
            before=partial(
                outlook.tell,
                options,
                task.chosen,
                certifier.executed,
                task.noise,
                (plan.n0 + certifier.first_look, plan.n0 + plan.budget),
            ),
        ).run(partial(_answer, certifier))
        if ranks.rank == 0:
            table = log.read(options.out)
            print(summary.of_certificates(table, radii, average=fixed))
            outlook.tell_abstained(table.columns["predict"])


def _prepare(options: argparse.Namespace, ranks: Ranks) -> tuple[session.Task, Certifier]:
    sequential = options.n is None
    if sequential and options.radii is None and options.step is None:
        raise ValueError("samples are missing: give one of --n, --radii and --step")
    shared.require_scale(options.scale)
    integer("n0", options.n0, least=1, most=MAX_TRIALS)
    task = session.prepare(options, ranks)
    if sequential:
        radii = _radii(options, task.noise)
        plan: Plan = RadiusTable(radii, options.max_samples, options.rule, options.n0)
    else:
        plan = FixedSamples(options.n, options.n0, options.runner_up)
    certifier = Certifier(
        session.executed(options, task),
        task.noise,
        plan,
        seed=options.seed,
        alpha=options.alpha,
        coins=options.soft,
        health=Health(len(task.chosen.ids)) if options.health else None,
    )
    return task, certifier


def _radii(options: argparse.Namespace, noise: Law) -> list[float]:
    """Return the radii asked for; raise ValueError for a table that cannot be made or printed."""
    most = integer("max-samples", options.max_samples, least=1, most=MAX_TRIALS)
    if options.step is not None:
        radii = _multiples(options.step, noise, most, options.alpha)
    else:
        radii = nonnegative("radii", options.radii).tolist()
        if len(radii) > MOST_RADII:
            raise ValueError(f"radii are {len(radii)}: give at most {MOST_RADII}")
    printed = [float(rounded_down(radius)) for radius in radii]
    if len(set(printed)) < len(printed):
        raise ValueError(
            "radii are equal in the six digits that the log holds: give fewer or other ones"
        )
    needed = noise.probability_for(radii)
    if (np.diff(radii) > 0).all() and not (np.diff(needed) > 0).all():
        place = int(np.argmin(np.diff(needed) > 0))
        raise ValueError(
            f"radii holds {radii[place]} and {radii[place + 1]}, which the same probability "
            f"certifies under {noise.name} noise: leave one of them out"
        )
    return radii


def _multiples(step: float, noise: Law, most: int, alpha: float) -> list[float]:
    positive("step", step)
    p_lower = float(clopper_pearson_lower(most, most, alpha))
    largest = float(noise.radius(p_lower)) if p_lower > 0.5 else 0.0
    if not step <= largest <= MOST_RADII * step:
        raise ValueError(
            f"step is {shown(step)}: {most} samples certify at most {largest:.4g}; give a step "
            f"that leaves 1 to {MOST_RADII} radii up to there, or more samples"
        )
    # Multiplied as decimals: 3 times 0.1 is to be 0.3.
    radii = [float(number * Decimal(repr(step))) for number in range(int(largest / step) + 1)]
    return [radius for radius in radii if radius <= largest]


def _answer(
    certifier: Certifier, images: Any, ids: IntArray, report: Report, due: Due
) -> writing.Parts:
    for rows, found in certifier.parts(images, ids, report, due):
        rivals = {} if found.runner_up is None else {"runner_up": found.runner_up}
        yield (
            rows,
            {
                "predict": found.predicted,
                "radius": found.radius,
                "selected": found.selected,
                "successes": found.successes,
                "samples": found.samples,
                "looks": found.looks,
                "undecided": found.undecided,
                **rivals,
            },
        )

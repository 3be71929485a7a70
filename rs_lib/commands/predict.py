"""The command `predict`."""

import argparse
from functools import partial
from typing import Any

from rs_lib.arguments import IntArray
from rs_lib.commands import options as shared
from rs_lib.commands import outlook, session, summary, writing
from rs_lib.commands.given import settle
from rs_lib.commands.logs import log
from rs_lib.commands.ranks import Ranks, joined
from rs_lib.smoothing import Health, Predictor
from rs_lib.smoothing.sampling import Due, Report

_DESCRIPTION = """\
Ask a classifier smoothed by noise for the class of each image (Cohen et al. 2019).
An answer that is neither an abstention nor the smoothed classifier's class has
probability at most alpha. The same command given again goes on with an interrupted
run; torchrun shares the images among processes; --extend takes more images into a
log. The log is the same in every case."""
_EXAMPLES = """\
example:
  python -m rs_lib predict --model models:resnet --weights resnet.pt --data cifar10 \\
      --scale 0.5 --n 1000 --device cuda --out logs/resnet-predict.tsv
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's `commands`."""
    parser = commands.add_parser(
        "predict",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=_execute, shard=None)
    shared.add_shared(parser)
    group = parser.add_argument_group("samples")
    shared.add_n(group, "this many for each image", required=True)
    shared.add_health(group)


def _execute(options: argparse.Namespace) -> None:
    settle(options)
    with joined() as ranks:
        task, predictor = ranks.each(partial(_prepare, options, ranks))
        plan = {"n": predictor.n}
        settings = session.agreed_header(
            ranks, partial(session.noise_header, options, task, predictor.executed, plan)
        )
        writing.Session(
            options,
            ranks,
            task.chosen,
            settings,
            columns=log.PREDICT_COLUMNS,
            per_image=predictor.n,
            continuous=options.continuous,
            before=partial(
                outlook.tell,
                options,
                task.chosen,
                predictor.executed,
                task.noise,
                (predictor.n, predictor.n),
            ),
        ).run(partial(_answer, predictor))
        if ranks.rank == 0:
            table = log.read(options.out)
            print(summary.of_predictions(table))
            outlook.tell_abstained(table.columns["predict"])


def _prepare(options: argparse.Namespace, ranks: Ranks) -> tuple[session.Task, Predictor]:
    shared.require_scale(options.scale)
    task = session.prepare(options, ranks)
    predictor = Predictor(
        session.executed(options, task),
        task.noise,
        options.n,
        seed=options.seed,
        alpha=options.alpha,
        health=Health(len(task.chosen.ids)) if options.health else None,
    )
    return task, predictor


def _answer(
    predictor: Predictor, images: Any, ids: IntArray, report: Report, due: Due
) -> writing.Parts:
    for rows, found in predictor.parts(images, ids, report, due):
        yield (
            rows,
            {"predict": found.predicted, "top": found.top, "runner_up": found.runner_up},
        )

"""What the engine costs, beside the textbook loop and the bare forward pass, in one run.

make bench                             print the tables
python -m benchmarks noise throughput  some of them
python -m benchmarks noise --store     keep them too, for the book
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import torch

from benchmarks import (
    bands,
    certify,
    ensembles,
    health,
    hypotheses,
    imagenet,
    noise,
    scores,
    sequential,
    soundness,
    training,
)
from rs_lib.record import digests, files, machine, places

Rows = list[dict[str, Any]]
SECTIONS: dict[str, tuple[str, Callable[[], Rows]]] = {
    "noise": (
        "Sound noise against torch.randn, ns of CPU time a pixel",
        lambda: noise.measure(repeats=40),
    ),
    "throughput": (
        "Samples per CPU second at fixed n",
        lambda: certify.throughput(samples=10_240, repeats=5),
    ),
    "end-to-end": (
        "Is the radius at least 1/2? Engine against textbook loop, MNIST",
        lambda: [certify.end_to_end("full", images=125, n=100_000, timed=3)],
    ),
    "health": (
        "What the health test of the random words adds to CPU time, as a share",
        lambda: health.measure(samples=(1_000, 10_000, 100_000), repeats=15),
    ),
    "bands": (
        "Images per CPU second, all bands of each",
        lambda: bands.sweep(repeats=3),
    ),
    "band-grid": (
        "All certificates of the stored scores of 10,000 images",
        lambda: [bands.grid(images=10_000)],
    ),
    "training": (
        "Images per CPU second of training, beside forward and backward passes alone",
        lambda: training.measure(batches=6, repeats=5),
    ),
    "objectives": (
        "Passes per CPU second of training towards each objective, beside bare passes",
        lambda: training.objectives(batch_size=128, repeats=9),
    ),
    "imagenet": (
        "Hours for 500 images of ImageNet at n = 100,000, by ResNet-50; wants an idle machine",
        lambda: imagenet.measure(tiles=12),
    ),
    "hypotheses": (
        "All hypotheses on a cycle, smoothed with every radius, CPU seconds",
        lambda: hypotheses.measure(points=(12, 16, 20), repeats=3),
    ),
    "law-radius": (
        "Law radii of 10,000 stored histograms of 1024 scores, bands included, CPU seconds",
        lambda: [scores.law(10_000, 1024, samples=10_000, repeats=3, textbook_images=50)],
    ),
    "vector-radius": (
        "Nearest of 5 prototypes with vector radii, 64 entries, CPU seconds",
        lambda: [scores.vector(1_000, ways=5, repeats=3, textbook_pairs=4)],
    ),
    "ensembles": (
        "Models per CPU second, one thread: 784-64-10 perceptrons on 100 images of MNIST",
        lambda: ensembles.measure("mnist", models=100, plain_models=20, repeats=9, threads=1),
    ),
    "ensembles-wall": (
        "The same per second of wall time on two threads; wants an idle machine",
        lambda: ensembles.measure("mnist", models=200, plain_models=20, repeats=5, threads=2),
    ),
    "sequential": (
        "Mean samples of the calibrated rule over published p_A, by exact dynamic programme",
        lambda: sequential.summary(sequential.measure()),
    ),
    "soundness": (
        "False certificates on classifiers with known p_A",
        lambda: soundness.measure(certificates=100_000),
    ),
}


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def show(title: str, rows: Rows) -> None:
    """Print rows of one table, columns aligned; a single row as a list."""
    print(f"\n{title}")
    if len(rows) == 1:
        width = max(map(len, rows[0]))
        print("\n".join(f"  {name:{width}}  {_text(value)}" for name, value in rows[0].items()))
        return
    cells = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  " + "  ".join(text.rjust(n) for text, n in zip(line, widths, strict=True)))


def main() -> None:
    """Measure, print, and keep the tables if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=(__doc__ or "").splitlines()[0],
        epilog="One thread of the CPU unless it says otherwise; medians of alternating turns.",
    )
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument(
        "--store", action="store_true", help="keep the tables among the book's stored results"
    )
    options = parser.parse_args()
    unknown = [name for name in options.section if name not in SECTIONS]
    if unknown:
        parser.error(f"section is {unknown[0]!r}: give some of {', '.join(SECTIONS)}")
    for name in options.section or SECTIONS:
        torch.set_num_threads(1)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        title, measure = SECTIONS[name]
        rows = measure()
        show(title, rows)
        sys.stdout.flush()
        if options.store:
            _store(name, rows, started)


def _store(section: str, rows: Rows, started: str) -> None:
    """Keep a section's rows beside the others in the file of results."""
    path = places.HERE.benchmarks
    stored = json.loads(path.read_text()) if path.is_file() else {}
    run = {
        "device": machine.processor(),
        "threads": max(row.get("threads", 1) for row in rows),
        "started": started,
        "commit": machine.commit(),
        "versions": machine.versions("torch", "numpy"),
    }
    stored[section] = {"run": run, "rows": rows}
    files.write_atomically(path, digests.readable_json(stored))
    print(f"stored in {path}")


if __name__ == "__main__":
    main()

"""Whether an experiment still computes what it did: a run of seconds, beside the one of hours.

Edited text makes no result stale. A stored result holds the values of a witness, a tiny run through
the same code, as the code that made it gave them; it is stale when the witness gives others now.
The witness runs with the arithmetic that chapters have, so that x86-64 machines agree on it.
"""

import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from rs_lib import arithmetic, provenance

if TYPE_CHECKING:
    from rs_lib.experiments.experiment import Experiment

KEPT = provenance.ROOT / "_build" / "witness"
RELATIVE = 1e-9
"""How far the floats of two witnesses may differ; everything else is compared exactly."""


def values(experiment: "Experiment") -> dict[str, Any]:
    """Return what the witness of `experiment` gives with the present code; computed once.

    Raises RuntimeError with its own words if it fails.
    """
    state = provenance.canonical_json([experiment.code, provenance.versions("torch", "numpy")])
    path = KEPT / f"{experiment.name}-{provenance.sha256(state)[:16]}.json"
    if not path.is_file():
        done = subprocess.run(
            [sys.executable, "-m", "rs_lib", "witness", experiment.name],
            cwd=provenance.ROOT,
            env={**os.environ, **arithmetic.environment(), "PYTHONPATH": str(provenance.ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the witness of {experiment.name} fails: {done.stderr.strip()}")
        provenance.write_atomically(path, done.stdout)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def agree(one: Any, other: Any) -> bool:
    """Return whether two witnesses give the same: floats to `RELATIVE`, all else exactly."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if type(one) is float and type(other) is float:
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=1e-15)
    return type(one) is type(other) and bool(one == other)

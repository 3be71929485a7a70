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
from importlib.util import find_spec
from typing import Any

from rs_lib.record import arithmetic, digests, files, machine, places

RELATIVE = 1e-9
"""How far the floats of two witnesses may differ; everything else is compared exactly."""


def possible() -> bool:
    """Return whether witnesses can run here: the digits that they learn come with scikit-learn."""
    return find_spec("sklearn") is not None


def values(name: str, code: str) -> dict[str, Any]:
    """Return what the witness of the experiment `name` gives, whose code has the digest `code`.

    It is computed once for each code and release of torch and NumPy. Raises RuntimeError with its
    own words if it fails.
    """
    here = places.HERE
    state = digests.canonical_json([code, machine.versions("torch", "numpy")])
    path = here.witnesses / f"{name}-{digests.sha256(state)[:16]}.json"
    if not path.is_file():
        done = subprocess.run(
            [sys.executable, "-m", "rs_lib", "witness", name],
            cwd=here.root,
            env={**os.environ, **arithmetic.environment(), "PYTHONPATH": str(here.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the witness of {name} fails: {done.stderr.strip()}")
        files.write_atomically(path, done.stdout)
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

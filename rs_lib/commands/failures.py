"""What a command says of a failure, and its exit status."""

import sys
import traceback

from rs_lib.machines.data import DataError


def report(failure: Exception) -> int:
    """Print `failure` to stderr and return the exit status.

    One sentence, and status 2 for bad input, 1 for data that cannot be had and for models
    that give NaN; a traceback and status 1 for any other failure.
    """
    if isinstance(failure, ValueError | OSError | DataError | FloatingPointError):
        print(f"rs_lib: {failure}", file=sys.stderr, flush=True)
    else:
        traceback.print_exception(failure)
    return 2 if isinstance(failure, ValueError) else 1

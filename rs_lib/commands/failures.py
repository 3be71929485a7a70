"""What a command says of a failure, and its exit status."""

import errno
import re
import sys
import traceback
from pickle import UnpicklingError

from torch import OutOfMemoryError

from rs_lib.machines.data import DataError
from rs_lib.smoothing import UnhealthyNoiseError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REMEDIES = {
    errno.ENOENT: "give one that exists, or whose folder can be made",
    errno.EISDIR: "give a file, this is a folder",
    errno.ENOTDIR: "give a folder, a part of this is a file",
    errno.EEXIST: "give a folder, a part of this is a file",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "give one whose links do not go round",
    errno.EACCES: "give one that you may use",
    errno.EPERM: "give one that you may use",
    errno.EROFS: "give one where you may write",
    errno.ENOSPC: "make room there, the same command then goes on",
    errno.EDQUOT: "make room there, the same command then goes on",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PACKAGES = {
    **{name: name for name in ("filelock", "matplotlib", "pandas", "pyarrow", "safetensors")},
    **{name: name for name in ("sympy", "torchvision")},
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
"""Packages that some commands and data sets need and an installation may lack, by module."""


def report(failure: Exception) -> int:
    """Print `failure` to stderr and return the exit status.

    One sentence, and status 2 for bad input, a model that fails among it; 1 for data that cannot
    be had, models that give NaN, unhealthy noise, and where room or a package is missing. A
    traceback and status 1 for any other failure.
    """
    status, sentence = _judged(failure)
    if sentence is None:
        traceback.print_exception(failure)
    else:
        print(f"rs_lib: {sentence}", file=sys.stderr, flush=True)
    return status


def told(error: BaseException) -> str:
    """Return type and first line of `error`, without colours."""
    if isinstance(error, SystemExit):
        return "SystemExit, it ends the program"
    if isinstance(error, UnpicklingError):
        return "UnpicklingError"  # torch adds advice to run the code in the file
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = _COLOURS.sub("", text).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.:')}" if lines else type(error).__name__


def _judged(failure: Exception) -> tuple[int, str | None]:
    """Return the exit status, and a sentence where one says it all."""
    if isinstance(failure, OutOfMemoryError | MemoryError):
        return 1, "the memory is full: give smaller images or networks, or free some"
    if _within_a_model(failure):
        return 2, f"model fails with {told(failure)}: mend the model"
    if isinstance(failure, ModuleNotFoundError):
        package = _PACKAGES.get(str(failure.name).partition(".")[0])
        if package:
            return 1, f"this needs the package {package}, which is missing: pip install {package}"
    if isinstance(failure, OSError):
        return _of_the_system(failure)
    if isinstance(failure, ValueError):
        return 2, str(failure)
    if isinstance(failure, DataError | FloatingPointError | UnhealthyNoiseError):
        return 1, str(failure)
    return 1, None


def _of_the_system(failure: OSError) -> tuple[int, str]:
    reason = failure.strerror or type(failure).__name__
    remedy = _REMEDIES.get(failure.errno or 0, "give another one")
    full = failure.errno in _FULL
    if failure.filename is None:
        return 1, f"output cannot be written ({reason}): {remedy if full else 'write it elsewhere'}"
    return 1 if full else 2, f"{failure.filename} cannot be used ({reason}): {remedy}"


def _within_a_model(failure: Exception) -> bool:
    """Whether `failure` comes from a call of a torch module, and not from code of this library."""
    modules = [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(failure.__traceback__)
    ]
    return "torch.nn.modules.module" in modules and not modules[-1].startswith("rs_lib.")

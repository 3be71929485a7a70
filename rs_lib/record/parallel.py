"""The processes that torchrun started, where they joined: how many, which one, and all at once."""

from torch import distributed


def world() -> int:
    """Return the number of processes that work together; 1 for a process that is alone."""
    return distributed.get_world_size() if _joined() else 1


def rank() -> int:
    """Return the number of this process, from 0 on."""
    return distributed.get_rank() if _joined() else 0


def barrier() -> None:
    """Wait until all processes are here."""
    if _joined():
        distributed.barrier()


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()

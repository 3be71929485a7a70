"""Whether a log is one of ours, with the file of its settings beside it."""

from pathlib import Path

from rs_lib.commands.logs import settings


def is_own(path: str | Path) -> bool:
    """Return whether `path` is a .tsv file beside a .json file with the settings of a log."""
    place = Path(path)
    if place.suffix != ".tsv" or not place.is_file():
        return False
    try:
        stored = settings.stored(place)
    except (ValueError, OSError):
        return False  # a file of somebody else's that happens to lie there
    return stored is not None and "command" in stored

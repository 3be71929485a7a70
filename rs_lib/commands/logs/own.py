"""Whether a log is one of ours, with the file of its settings beside it."""

from pathlib import Path

from rs_lib.commands.logs import settings

_COUNTS = {"selected", "successes", "samples"}
"""Columns that nobody else's logs have: radii are recomputed from them, given the settings."""


def is_own(path: str | Path) -> bool:
    """Return whether `path` is a .tsv file beside a .json file with the settings of a log.

    Raises ValueError if it has the columns of one, and settings that cannot be read: as somebody
    else's its radii would be believed.
    """
    place = Path(path)
    if place.suffix != ".tsv" or not place.is_file():
        return False
    try:
        stored = settings.stored(place)
    except (ValueError, OSError) as error:
        if not _has_counts(place):
            return False  # a file of somebody else's that happens to lie there
        raise ValueError(
            f"{place.with_suffix('.json')} cannot be read as the settings of {place.name}, whose "
            "columns are those of a log of ours: restore it, its radii are recomputed with it"
        ) from error
    return stored is not None and "command" in stored


def remarks(path: str | Path) -> tuple[str, ...]:
    """Return what to say of a log that is read as somebody else's, though its counts are ours."""
    place = Path(path)
    if not _has_counts(place) or is_own(place):
        return ()
    return (f"no settings in {place.stem}.json: the radii are believed, not recomputed",)


def _has_counts(place: Path) -> bool:
    with place.open("rb") as file:
        first = file.readline(10_000)
    return set(first.decode("utf-8-sig", "replace").split()) >= _COUNTS

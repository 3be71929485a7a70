"""The header of a log: every setting on which its rows depend, compared before a run goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rs_lib.commands.logs.growing import require_ordinary

IMAGES = ("images", "skip", "sha256")
"""What a header says of the images that were taken from the data set, below `data`."""

_ABSENT = object()


def as_stored(header: Mapping[str, Any], columns: str) -> dict[str, Any]:
    """Return `header` and the names of the columns as JSON gives them back."""
    content = json.dumps({**header, "columns": columns}, allow_nan=False)
    wanted: dict[str, Any] = json.loads(content)
    return wanted


def stored(place: Path) -> dict[str, Any] | None:
    """Return the header beside the table `place`; None if there is none.

    Raises ValueError if the file there is no header of a log.
    """
    path = place.with_suffix(".json")
    require_ordinary(path)
    if not path.exists():
        return None
    try:
        header = json.loads(path.read_text())
        columns(header)
        return dict(header)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no header of a log: name another log (--out)") from error


def columns(header: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns that a stored header states."""
    return str(header["columns"]).split()


def chosen(header: Mapping[str, Any]) -> list[int]:
    """Return the indices, in the data set, of the images that the log of a header is to have.

    Raises ValueError for a shard that is none.
    """
    of, skip = int(header["data"]["images"]), int(header["data"]["skip"])
    number, count = map(int, str(header.get("shard", "1/1")).split("/"))
    if not 1 <= number <= count:
        raise ValueError(f"shard is {header['shard']} in the settings: restore them")
    return [skip * place for place in range(number - 1, of, count)]


def require_equal(place: Path, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise ValueError that names each setting of the log `place` that is another one now."""
    if there == wanted:
        return
    told = "; ".join(
        f"{name} is {_shown(old)} in the log and {_shown(now)} now"
        for name, (old, now) in _differences(there, wanted).items()
    )
    more = ", or take more images into it (--extend)" if _grown(there, wanted) == wanted else ""
    raise ValueError(
        f"the log {place} has other settings: {told}. Its rows would not be those of one run: "
        f"restore the settings, or name another log (--out){more}"
    )


def require_equal_but_for_images(
    place: Path, there: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """Raise ValueError as `require_equal`, for settings other than which images are taken."""
    require_equal(place, _grown(there, wanted), wanted)


def _grown(there: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the settings `there`, their images being those of `wanted`."""
    if not all(isinstance(header.get("data"), dict) for header in (there, wanted)):
        return there
    taken = {name: wanted["data"][name] for name in IMAGES if name in there["data"]}
    return {**there, "data": {**there["data"], **taken}}


def _differences(there: Any, wanted: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the dotted names of the entries that differ, with both values."""
    if there == wanted:
        return {}
    if not (isinstance(there, dict) and isinstance(wanted, dict)):
        return {name: (there, wanted)}
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*wanted, *there)):
        inner = f"{name}.{key}" if name else str(key)
        found |= _differences(there.get(key, _ABSENT), wanted.get(key, _ABSENT), inner)
    return found


def _shown(value: Any) -> str:
    text = "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else f"{text[:67]}..."

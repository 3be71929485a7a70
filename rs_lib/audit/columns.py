"""Where the columns of a certification log stand, and what an entry of each can be."""

import re
from collections.abc import Mapping, Sequence

from rs_lib import arguments
from rs_lib.audit.logs import ABSTAIN

ORDER = ("image", "label", "predict", "radius", "correct")
"""The columns of Cohen, Rosenfeld and Kolter (2019), in whose order a log without names is read."""

# The first name that a log has counts; the names are those of the field's programs.
_NAMES = {
    "image": (
        *("idx", "index", "id", "image", "img", "image_id", "image_idx", "img_idx", "sample"),
        *("file", "filename", "file_name", "name", "path"),
    ),
    "label": ("label", "labels", "true_label", "target", "targets", "y_true", "gt", "true", "y"),
    "predict": (
        *("predict", "prediction", "predicted", "pred", "preds", "predictions", "y_pred", "yhat"),
        *("predicted_label", "pred_label", "predicted_class"),
    ),
    "radius": (
        *("radius", "radii", "certified_radius", "cert_radius", "certified radius", "rad"),
        *("l2_radius", "radius_l2", "r"),
    ),
    "correct": ("correct", "is_correct", "correctness", "hit", "acc"),
    "counts": (
        *("successes", "count", "counts", "na", "n_a", "counts_a", "count_a", "top_count", "ca"),
        *("votes", "success", "num_success", "k"),
    ),
}

# What Python and C print; Python's own `float` would take 1_0 as well.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")
# Numbers as the repr of torch and NumPy has them.
_WRAPPED = re.compile(r"(?:tensor|array|np\.\w+|numpy\.\w+)\(\[?([^\[\](),]*)\]?(?:,.*)?\)")
_FLAGS = {
    **dict.fromkeys(("1", "1.0", "1.", "true", "t", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "0.", "false", "f", "no", "n"), False),
}
_NO_CLASS = ("abstain", "abstained", "none", "nan", "null", "")
_NO_RADIUS = ("", "nan", "-nan", "none", "null", "inf", "-inf", "+inf", "infinity", "-infinity")


def located(names: Sequence[str]) -> dict[str, int] | None:
    """Return the place of each known column, or None if `names` do not name a log's columns.

    A log needs the radius, and the flag or both classes. Raises ValueError where two columns have
    one name that is needed.
    """
    plain = [name.strip().strip("\"'#").strip().lower() for name in names]
    places = {}
    for column, known in _NAMES.items():
        name = next((name for name in known if name in plain), None)
        if name is None:
            continue
        if plain.count(name) > 1 and column != "image":
            raise ValueError(f"two columns are named {name}: rename the one that does not count")
        places[column] = plain.index(name)
    return places if _suffices(places) else None


def _suffices(places: Mapping[str, int]) -> bool:
    return "radius" in places and ("correct" in places or {"label", "predict"} <= places.keys())


def bare(text: str) -> str:
    """Return an entry without quotes, and without what torch and NumPy write around a number."""
    stripped = text.strip().strip("\"'").strip()
    wrapped = _WRAPPED.fullmatch(stripped)
    return wrapped.group(1).strip() if wrapped else stripped


def class_of(name: str, text: str, words: dict[str, int]) -> int:
    """Return a class; words are numbered as they come, in `words`.

    Raises ValueError for a negative label, and for a prediction below `ABSTAIN`.
    """
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        if text.lower() in _NO_CLASS:
            if name == "predict" and text:
                return ABSTAIN
            raise ValueError(f"{name} is {arguments.shown(text)}: no class")
        return words.setdefault(text, len(words))
    number = int(whole.group(1))
    if number < (ABSTAIN if name == "predict" else 0):
        raise ValueError(f"{name} is {number}: no class")
    return number


def flag(text: str) -> bool:
    """Return whether an image is correct; ValueError for what is neither 0 nor 1."""
    if text.lower() not in _FLAGS:
        raise ValueError(f"correct is {arguments.shown(text)}: neither 0 nor 1")
    return _FLAGS[text.lower()]


def radius(text: str) -> float | None:
    """Return a radius, None for what programs write where there is none (-1, nan, inf, blank).

    Raises ValueError for other text and negative numbers.
    """
    if text.lower() in _NO_RADIUS:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else -2.0
    if value == -1:
        return None
    if not 0 <= value < float("inf"):
        raise ValueError(f"radius is {arguments.shown(text)}: no finite number of at least 0")
    return value


def count(text: str) -> int:
    """Return a count, -1 where the entry holds none."""
    whole = _WHOLE.fullmatch(text)
    return max(int(whole.group(1)), -1) if whole else -1


def image(text: str) -> str:
    """Return the name of an image; 3.0 is the image 3."""
    whole = _WHOLE.fullmatch(text)
    return str(int(whole.group(1))) if whole else text

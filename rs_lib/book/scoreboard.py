"""Headlines: what others published beside ours, and a verdict that is computed, not typed.

A chapter registers each by `headline`; the build collects them from the executed notebooks for
the chapter's result card and for the scoreboard of the front page.
"""

from dataclasses import asdict, dataclass
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from rs_lib.arguments import integer, nonnegative, numbers, shown, single
from rs_lib.book import outputs
from rs_lib.book.published import Published

METADATA = "rs_headline"
VERDICTS = {
    "reproduced": "our 95 % interval holds the published value, or the two are equal",
    "close": "it does not, but the two lie as near to each other as the reason allows",
    "differs": "the two differ, for the reason that stands beside them",
    "not verified": "we could not read the published value, so none is shown",
    "pending": "our run is still to come",
    "ours": "nothing was published to compare with",
}


@dataclass(frozen=True)
class Headline:
    """A row of the scoreboard, as the page shows it. `source` is a key of the bibliography."""

    source: str
    quantity: str
    published: str
    ours: str
    verdict: str
    because: str
    device: str


def headline(
    quantity: str,
    published: Published | str,
    ours: float | None,
    *,
    at: float | None = None,
    interval: tuple[float, float] | None = None,
    percent: bool = False,
    digits: int = 1,
    near: float = 0.0,
    because: str = "",
    device: str = "",
) -> Headline:
    """Register a headline number and return it; in a chapter's output pages show it elsewhere.

    `quantity`: what is compared, as Markdown of one line. `published`: the entry, whose value at
    `at` counts where it has several; or the key of a source that gave no number for this. `ours`
    with its 95 % `interval`, None if it is still to be computed. `percent` tells shares in per
    cent; `digits` are decimals. Two values at most `near` apart are called close. Where the
    interval misses the published value, `because` says why, on one line.

    Raises ValueError for numbers that are none, an interval that does not hold `ours`, a radius
    that was not published, and a difference without a reason.
    """
    places = integer("digits", digits, most=12)
    theirs = None if isinstance(published, str) else _value(published, at)
    verdict = _verdict(published, theirs, ours, interval, single("near", nonnegative("near", near)))
    if verdict in ("close", "differs") and not because:
        raise ValueError(
            f"because is empty, but {quantity} is {shown(ours)} here and {shown(theirs)} there: "
            "say why they differ"
        )
    text = _told(ours, percent, places) if ours is not None else "–"
    if interval is not None:
        text += f" ({_told(interval[0], percent, places)} to {_told(interval[1], percent, places)})"
    made = Headline(
        source=published if isinstance(published, str) else published.source,
        quantity=quantity,
        published="–" if theirs is None else _told(theirs, percent, places),
        ours=text,
        verdict=verdict,
        because="" if verdict == "reproduced" else because,
        device=device,
    )
    if get_ipython() is not None:
        line = f"{made.quantity}: {made.published} published, {made.ours} here ({made.verdict})"
        display({"text/plain": line}, metadata={METADATA: asdict(made)}, raw=True)
    return made


def _value(entry: Published, at: float | None) -> float | None:
    if at is None or not entry.values:
        return entry.value
    if at not in entry.at:
        raise ValueError(f"at is {shown(at)}: {entry.id} has {', '.join(map(str, entry.at))}")
    return entry.values[entry.at.index(at)]


def _verdict(
    published: Published | str,
    theirs: float | None,
    ours: float | None,
    interval: tuple[float, float] | None,
    near: float,
) -> str:
    if isinstance(published, str):
        return "ours"
    if ours is None:
        return "pending"
    single("ours", numbers("ours", ours))
    low, high = (ours, ours) if interval is None else interval
    if not low <= ours <= high:
        raise ValueError(f"interval is {shown(interval)}: give one that holds {shown(ours)}")
    if theirs is None:
        return "not verified"
    if low <= theirs <= high:
        return "reproduced"
    return "close" if abs(ours - theirs) <= near else "differs"


def _told(value: float, percent: bool, digits: int) -> str:
    text = f"{100 * value:.{digits}f} %" if percent else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def collect(notebook: Any) -> list[Headline]:
    """Return the headlines that the outputs of an executed notebook hold, in order.

    Raises ValueError for an output that pretends to be one.
    """
    return [_headline(record) for record in outputs.marked(notebook, METADATA)]


def _headline(record: object) -> Headline:
    fields = record if isinstance(record, dict) else {}
    names = Headline.__dataclass_fields__
    if set(fields) != set(names) or not (
        all(isinstance(text, str) for text in fields.values()) and fields["verdict"] in VERDICTS
    ):
        raise ValueError(f"headline is {shown(record)}: run the chapter again")
    return Headline(**fields)

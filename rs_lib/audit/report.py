"""An audit in plain text."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from rs_lib.audit.findings import Audit, Reading, Table, changes
from rs_lib.audit.lattice import Candidate
from rs_lib.audit.logs import Log, Printing, Remark
from rs_lib.audit.manners import GAUSSIAN, Manner
from rs_lib.audit.origins import Origin
from rs_lib.certificates.gaussian import sampling_ceiling

_MOST_ROWS = 10
_MOST_TABULATED = 20
_WIDTH = 100


def report(audit: Audit) -> str:
    """Return the findings as lines of at most 100 characters.

    Counts, what follows from them, and the corrected table are there only if the audit reads them.
    """
    parts = [_head(audit), remarks(audit.log.remarks), _origin(audit), _column(audit)]
    if audit.reading is not None:
        found = audit.reading
        parts += [_misfits(audit.log, found), _overstated(found), _table(audit, found)]
    else:
        parts.append(_printed(audit))
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _filled(text: str, indent: str = "") -> list[str]:
    """Break a sentence into lines."""
    lines, line = [], indent
    for word in text.split(" "):
        if len(line) + len(word) > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word + " "
    return [*lines, line.rstrip()]


def remarks(found: Sequence[Remark]) -> list[str]:
    """Return what was skipped in a log, or read in a way of its own, as lines."""
    if not found:
        return []
    lines = ["In the file:"]
    for remark in found:
        more = len(remark.lines) - 3
        places = ", ".join(map(str, remark.lines[:3])) + (f" and {more} more" if more > 0 else "")
        lines += _filled(f"line {places}: {_cut(remark.told)}", "  ")
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}..."


def _pair(candidate: Candidate | Reading) -> str:
    return f"n = {candidate.trials}, alpha = {candidate.alpha:g}"


def _manner(manners: Sequence[Manner]) -> str:
    """Tell how radii were printed, as far as the manners agree on it."""
    roundings = {manner.style.rounding for manner in manners}
    rounded = {"nearest": "rounded to nearest", "down": "rounded down"}
    told = rounded[roundings.pop()] if len(roundings) == 1 else "rounded in a way that is not told"
    precision = manners[0].arithmetic.name
    computed = "" if precision == "double precision" else f", computed in {precision}"
    return f"{_digits(manners[0].style)}, {told}{computed}"


def _digits(style: Printing) -> str:
    kind = "decimals" if style.fixed else "significant digits"
    return f"radii printed with {style.digits} {kind}"


def _head(audit: Audit) -> list[str]:
    abstained = int((audit.log.predicted < 0).sum())
    manners = (audit.left[0] if audit.left else audit.stated).candidate.manners
    printed = _manner(manners) if audit.left else _digits(manners[0].style)
    return [
        *_filled(
            f"{_cut(audit.log.name)}: {len(audit.log.text)} images, {abstained} abstentions, "
            f"{int(audit.log.correct.sum())} correct"
        ),
        *_filled(f"sigma = {audit.sigma:g}; {printed}"),
    ]


def _origin(audit: Audit) -> list[str]:
    if audit.verdict == "none":
        return _none(audit)
    if audit.verdict == "open":
        return _open(audit)
    if audit.verdict == "elsewhere":
        return _elsewhere(audit)
    if audit.verdict == "mixed":
        return _mixed(audit)
    if not audit.left:
        return []
    return _found(audit)


def _found(audit: Audit) -> list[str]:
    stated, best = audit.stated.candidate, audit.left[0].candidate
    rows = int(audit.log.certified.sum())
    ceiling = float(sampling_ceiling(stated.trials, stated.alpha, audit.sigma))
    lines = [
        f"Stated: {_pair(stated)} (ceiling {ceiling:.5f})",
        f"  {stated.off_lattice} of {rows} positive radii match no count, "
        f"{stated.above_ceiling} lie above the ceiling",
        "Origin:",
    ]
    lines += [f"  {_hypothesis(one, audit.sigma)}" for one in audit.left[:_MOST_ROWS]]
    if len(audit.left) > _MOST_ROWS:
        lines.append(f"  and {len(audit.left) - _MOST_ROWS} more")
    lines.append(
        f"  {best.telling} of {best.distinct} distinct radii tell; random ones would miss "
        f"{best.missed_by_chance:.1f} of them"
    )
    if len(audit.left) > 1:
        lines.append("  The log does not decide between these.")
    if audit.stated not in audit.left:
        lines.append("  The stated pair is not among them.")
    if audit.reading is not None:
        lines.append(f"Counts below are read with {_pair(audit.reading)}.")
    lines += [
        "Other explanations: another noise or formula for the radius, n or alpha outside the",
        "grid, radii changed after the run.",
    ]
    return lines


def _hypothesis(origin: Origin, sigma: float) -> str:
    found = origin.candidate
    place = ""
    if origin.noise is not GAUSSIAN:
        place = f", {origin.noise.name} noise of scale {origin.sigma:g}"
    elif origin.sigma != sigma:
        place = f", sigma = {origin.sigma:g}"
    return (
        f"{_pair(found)}{place}: {found.off_lattice} radii off, log10 evidence "
        f"{found.evidence:.1f} ({origin.score:.1f} after the search)"
    )


def _none(audit: Audit) -> list[str]:
    best = audit.origins[0]
    return _filled(
        f"Origin: none of these. No n and alpha that was tried explains the radii at sigma = "
        f"{audit.sigma:g} clearly better than radii that fall anywhere (log10 evidence of the best "
        f"{best.candidate.evidence:.1f}, {best.score:.1f} after the search), so that no counts are "
        "read: another noise law, formula or bound, a sigma of its own for each image, a "
        f"sequential rule, or n and alpha that were not tried would do that.{_tabulated(audit.log)}"
    )


def _open(audit: Audit) -> list[str]:
    stated = audit.stated.candidate
    return _filled(
        f"Origin: not told. The stated {_pair(stated)} explains all {audit.log.certified.sum()} "
        f"radii, but not clearly better than radii that fall anywhere would be explained: "
        f"{stated.telling} of {stated.distinct} distinct radii tell, log10 evidence "
        f"{stated.evidence:.1f}. No counts are read.{_tabulated(audit.log)}"
    )


def _elsewhere(audit: Audit) -> list[str]:
    best = audit.left[0]
    rows = int(audit.log.certified.sum())
    fitting = rows - best.candidate.off_lattice
    fits = f"{fitting} of {rows} radii match a count of {_pair(best.candidate)}"
    if best.noise is GAUSSIAN:
        told = (
            f"{fits} at sigma = {best.sigma:g}. Audit the log again with --sigma {best.sigma:g} if "
            "that is its noise"
        )
    else:
        told = (
            f"{fits} under {best.noise.name} noise of scale {best.sigma:g}, which is not audited "
            "here"
        )
    return _filled(
        f"Origin: none of these at sigma = {audit.sigma:g}, Gaussian. {told} (log10 evidence "
        f"{best.candidate.evidence:.1f}, {best.score:.1f} after the search)."
    )


def _mixed(audit: Audit) -> list[str]:
    piles = ", ".join(
        f"{one.rows} rows at {one.radius:g} as with sigma = {one.sigma:g}" for one in audit.heights
    )
    rest = ""
    if len(audit.heights) == 1:
        rest = f", while the radii together fit sigma = {audit.left[0].sigma:g} best"
    return _filled(
        "Origin: several sigmas, it seems. Votes that all agree give one radius, the largest of "
        f"that sigma, and radii pile up where those are: {piles}{rest}. No counts are read. Audit "
        "the rows of each sigma by themselves."
    )


def _tabulated(log: Log) -> str:
    """Tell of radii that are few multiples of one number, as those of a sequential rule are."""
    values = {Decimal(text) for text in log.text if text and Decimal(text) > 0}
    rows = int(log.certified.sum())
    if len(values) > _MOST_TABULATED or rows < 3 * len(values):
        return ""
    unit = min(Decimal(1).scaleb(int(value.normalize().as_tuple().exponent)) for value in values)
    step = int(np.gcd.reduce([int(value / unit) for value in values])) * unit
    return (
        f" The {rows} radii take {len(values)} values, multiples of {float(step):g}: radii that "
        "were asked for beforehand, as by a sequential rule, do not tell n."
    )


def _column(audit: Audit) -> list[str]:
    column = audit.column
    if column is None:
        return []
    if column.pair is None:
        return _filled(
            "Counts: the log has a column of counts, but with no n and alpha that was tried do "
            f"they give the radii beside them ({column.rows} rows), so that it is not used."
        )
    agreeing = int(column.agrees.sum())
    told = f"n = {column.pair[0]}, alpha = {column.pair[1]:g}"
    lines = _filled(
        f"Counts: the log's own column gives {agreeing} of {column.rows} radii, with {told}; "
        "these counts are used."
    )
    off = np.flatnonzero(audit.log.certified & ~column.agrees)
    counts = audit.log.counts
    if off.size and counts is not None:
        lines.append("  It does not give these:")
        log = audit.log
        lines += _listed([f"image {log.images[r]}: {log.text[r]} from {counts[r]}" for r in off])
    return lines


def _listed(texts: Sequence[str]) -> list[str]:
    lines = [f"  {_cut(text)[: _WIDTH - 2]}" for text in texts[:_MOST_ROWS]]
    return [*lines, f"  and {len(texts) - _MOST_ROWS} more"] if len(texts) > _MOST_ROWS else lines


def _misfits(log: Log, found: Reading) -> list[str]:
    off = found.off_lattice
    return [
        f"Radii that match no count there: {len(off)}",
        *_listed([f"image {log.images[row]}: {log.text[row]}" for row in off]),
    ]


def _overstated(reading: Reading) -> list[str]:
    found = reading.rounding
    return [
        f"Rounding, of {found.rows} radii:",
        f"  printed above the certified radius: {found.least} surely, {found.most} at most, "
        f"{found.expected:.1f} expected",
        f"  correct and printed at a tabulated radius: {found.tabulated}; below it: "
        f"{found.tabulated_least} surely, {found.tabulated_most} at most, "
        f"{found.tabulated_expected:.1f} expected",
    ]


def _range(low: float, high: float) -> str:
    first, last = f"{low:.4f}", f"{high:.4f}"
    return first if first == last else f"{first}-{last}"


def _printed(audit: Audit) -> list[str]:
    return ["Certified accuracy:", *_columns([("as printed", audit.printed)])]


def _columns(tables: Sequence[tuple[str, Table]]) -> list[str]:
    lines = ["  radius  " + "  ".join(f"{head:>15}" for head, _ in tables)]
    for i, threshold in enumerate(tables[0][1].thresholds):
        lines.append(
            f"  {threshold:6g}  " + "  ".join(f"{_cell(table, i):>15}" for _, table in tables)
        )
    acrs = (_range(table.acr_low, table.acr_high) for _, table in tables)
    return [*lines, "  ACR     " + "  ".join(f"{acr:>15}" for acr in acrs)]


def _table(audit: Audit, found: Reading) -> list[str]:
    again = f"alpha = {audit.stated.candidate.alpha:g}"
    tables = [("as printed", audit.printed)]
    tables += [("unrounded", found.unrounded), (again, found.recertified)]
    lines = [
        "Certified accuracy (a range where the printed radius leaves several counts):",
        *_columns(tables),
    ]
    for head, table in tables[1:]:
        lines.append(f"Cells that change, {head}:")
        for decimals in (2, 3):
            sure, likely = (
                ", ".join(
                    f"{c.threshold:g}"
                    for c in changes(audit.printed, table, decimals, surely=surely)
                )
                for surely in (True, False)
            )
            lines += [
                f"  to {decimals} decimals, surely: {sure or 'none'}",
                f"  to {decimals} decimals, by the expected number: {likely or 'none'}",
            ]
    return lines


def _cell(table: Table, i: int) -> str:
    share = np.array([table.low[i], table.high[i]]) / table.images
    return _range(*share)

"""An audit in plain text."""

import numpy as np

from rs_lib.audit.findings import Audit, Table, changes
from rs_lib.audit.lattice import Candidate
from rs_lib.certificates.gaussian import sampling_ceiling

_MOST_ROWS = 10


def report(audit: Audit) -> str:
    """Return the findings as lines of at most 100 characters."""
    parts = [_head(audit), _origin(audit), _misfits(audit), _overstated(audit), _table(audit)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _pair(candidate: Candidate) -> str:
    return f"n = {candidate.trials}, alpha = {candidate.alpha:g}"


def _head(audit: Audit) -> list[str]:
    style = audit.style
    kind = "decimals" if style.fixed else "significant digits"
    abstained = int((audit.log.predicted < 0).sum())
    return [
        f"{audit.log.name}: {len(audit.log.text)} images, {abstained} abstentions, "
        f"{int(audit.log.correct.sum())} correct",
        f"sigma = {audit.sigma:g}; radii printed with {style.digits} {kind}, "
        f"rounded {'down' if style.rounding == 'down' else 'to nearest'}",
    ]


def _origin(audit: Audit) -> list[str]:
    stated, best = audit.stated, audit.plausible[0]
    rows = int(audit.log.certified.sum())
    ceiling = float(sampling_ceiling(stated.trials, stated.alpha, audit.sigma))
    lines = [
        f"Stated: {_pair(stated)} (ceiling {ceiling:.5f})",
        f"  {stated.off_lattice} of {rows} positive radii match no count, "
        f"{stated.above_ceiling} lie above the ceiling",
        "Origin:",
    ]
    lines += [
        f"  {_pair(c)}: {c.off_lattice} radii off, log10 evidence {c.evidence:.1f}"
        for c in audit.plausible[:_MOST_ROWS]
    ]
    if len(audit.plausible) > _MOST_ROWS:
        lines.append(f"  and {len(audit.plausible) - _MOST_ROWS} more")
    lines.append(
        f"  {best.telling} of {best.distinct} distinct radii tell; random ones would miss "
        f"{best.missed_by_chance:.1f} of them"
    )
    if len(audit.plausible) > 1:
        lines.append("  The log does not decide between these.")
    if audit.stated not in audit.plausible:
        lines.append("  The stated pair is not among them.")
    lines += [
        f"Counts below are read with {_pair(audit.reference)}.",
        "Other explanations: another noise or formula for the radius, n or alpha outside the",
        "grid, radii changed after the run.",
    ]
    return lines


def _misfits(audit: Audit) -> list[str]:
    off = audit.off_lattice
    lines = [f"Radii that match no count there: {len(off)}"]
    lines += [f"  image {audit.log.index[row]}: {audit.log.text[row]}" for row in off[:_MOST_ROWS]]
    if len(off) > _MOST_ROWS:
        lines.append(f"  and {len(off) - _MOST_ROWS} more")
    return lines


def _overstated(audit: Audit) -> list[str]:
    found = audit.rounding
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


def _table(audit: Audit) -> list[str]:
    tables = (audit.printed, audit.unrounded, audit.recertified)
    heads = ("as printed", "unrounded", f"alpha = {audit.stated.alpha:g}")
    lines = [
        "Certified accuracy (a range where the printed radius leaves several counts):",
        "  radius  " + "  ".join(f"{head:>15}" for head in heads),
    ]
    for i, threshold in enumerate(audit.printed.thresholds):
        lines.append(
            f"  {threshold:6g}  " + "  ".join(f"{_cell(table, i):>15}" for table in tables)
        )
    acrs = (_range(table.acr_low, table.acr_high) for table in tables)
    lines.append("  ACR     " + "  ".join(f"{acr:>15}" for acr in acrs))
    for head, table in zip(heads[1:], tables[1:], strict=True):
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

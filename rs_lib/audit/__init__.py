"""Audit of published certification logs: what (n, alpha) they come from and what they overstate.

`audit` reads a log, finds the sample size and level whose lattice its radii lie on, and recomputes
its table from the counts; `report` says so in plain text.
"""

from rs_lib.audit.findings import (
    Audit,
    Change,
    Table,
    audit,
    changes,
    histogram,
    printed_table,
    recertify,
)
from rs_lib.audit.lattice import (
    LEVELS,
    TRIALS,
    Candidate,
    candidates,
    count_ranges,
    first_counts,
    plausible,
    radii,
)
from rs_lib.audit.logs import ABSTAIN, Log, Printing, printing, read_log
from rs_lib.audit.report import report
from rs_lib.audit.rounding import Counts, Rounding, count_rounding, infer_counts

__all__ = [
    "ABSTAIN",
    "LEVELS",
    "TRIALS",
    "Audit",
    "Candidate",
    "Change",
    "Counts",
    "Log",
    "Printing",
    "Rounding",
    "Table",
    "audit",
    "candidates",
    "changes",
    "count_ranges",
    "count_rounding",
    "first_counts",
    "histogram",
    "infer_counts",
    "plausible",
    "printed_table",
    "printing",
    "radii",
    "read_log",
    "recertify",
    "report",
]

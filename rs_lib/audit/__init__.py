"""Audit of published certification logs: what (n, alpha) they come from and what they overstate.

`read_log` reads logs of any program, `audit` finds the sample size and level whose lattice the
radii lie on, or that it cannot tell, and recomputes the table from the counts; `report` says so in
plain text.
"""

from rs_lib.audit.counting import CountColumn, count_column
from rs_lib.audit.findings import (
    VERDICTS,
    Audit,
    Change,
    Reading,
    Table,
    audit,
    changes,
    histogram,
    printed_table,
    reading,
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
from rs_lib.audit.logs import ABSTAIN, Log, Printing, Remark, printing
from rs_lib.audit.manners import ARITHMETICS, Arithmetic, Manner
from rs_lib.audit.origins import Origin
from rs_lib.audit.reading import read_log
from rs_lib.audit.report import remarks, report
from rs_lib.audit.rounding import Counts, Rounding, count_rounding, infer_counts

__all__ = [
    "ABSTAIN",
    "ARITHMETICS",
    "LEVELS",
    "TRIALS",
    "VERDICTS",
    "Arithmetic",
    "Audit",
    "Candidate",
    "Change",
    "CountColumn",
    "Counts",
    "Log",
    "Manner",
    "Origin",
    "Printing",
    "Reading",
    "Remark",
    "Rounding",
    "Table",
    "audit",
    "candidates",
    "changes",
    "count_column",
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
    "reading",
    "recertify",
    "remarks",
    "report",
]

"""What the parameters of each experiment may be, so that nothing is computed with bad ones.

Bounds stand beside the experiments, not in them: they decide no value, and a bound that is mended
must make no stored result stale. `check` is called by `Experiment.parameters`.
"""

from typing import Any

from rs_lib.experiments.bounds.fields import FIELDS
from rs_lib.experiments.bounds.kinds import require
from rs_lib.experiments.bounds.rules import RULES

__all__ = ["FIELDS", "RULES", "check"]


def check(name: str, parameters: Any) -> None:
    """Raise ValueError, in milliseconds, for parameters of an experiment that cannot be used.

    The fields one by one, then what holds between them. The message begins with "parameter" and
    the field's name.
    """
    require(FIELDS[name], "parameter ", parameters)
    RULES[name](parameters)

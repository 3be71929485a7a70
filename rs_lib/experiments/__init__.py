"""Named experiments: one for each figure or table that needs a computation. No drawing here."""

import importlib
import pkgutil

from rs_lib.record.experiment import Experiment


def names() -> list[str]:
    """Return the names of all experiments: every module here is one."""
    modules = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return sorted(name.replace("_", "-") for name in modules)


def find(name: str) -> Experiment:
    """Return the experiment called `name`, or raise ValueError that lists the names."""
    if name not in names():
        raise ValueError(f"experiment is {name!r}: give one of {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    experiment: Experiment = module.experiment
    return experiment

"""Certificates of randomized smoothing, one noise law a module, and the lemma they rest on.

`gaussian`, `uniform` and `laplace` give robust radii and the smallest class probability after
a shift, in closed form and rounded so that the float never claims more than exact arithmetic.
`neyman_pearson` solves the finite problem exactly and serves as their check.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if not TYPE_CHECKING:  # type checkers want to see each import

    def __getattr__(name: str) -> object:
        """Load a module at first use, so that `rs_lib.certificates.gaussian` is one name."""
        if name not in (module.name for module in iter_modules(__path__)):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module(f"{__name__}.{name}")

"""Randomized smoothing, derived and reproduced: certificates, their engine, and the book's record.

Offered here, and loaded when first asked for: `certify` and `predict` with their plans
`FixedSamples` and `RadiusTable`; the noise laws `Gaussian`, `Laplace`, `Uniform`, `Ablation`,
`Flip`, `Sparse`, and `Rounded`, which makes the first three hold in floating point; `certificates`,
the mathematics behind the radii.

Floors, whose imports only run downwards: mathematics (`statistics`, `certificates`, `audit`),
`noise`, `machines`, `smoothing` (the certification engine), `experiments`, `commands`; below them
`record` (what a run is, and when it is stale), beside them `book`.
"""

from importlib import import_module

# What type checkers see stands in __init__.pyi. The modules are no imports here: every module of
# the library would then count as resting on all of them, and `--help` would wait for torch.
_HOMES = {
    "rs_lib.smoothing": ("ABSTAIN", "FixedSamples", "RadiusTable", "certify", "predict"),
    "rs_lib.noise": ("Ablation", "Flip", "Gaussian", "Laplace", "Rounded", "Sparse", "Uniform"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ABSTAIN",
    "Ablation",
    "FixedSamples",
    "Flip",
    "Gaussian",
    "Laplace",
    "RadiusTable",
    "Rounded",
    "Sparse",
    "Uniform",
    "certificates",
    "certify",
    "predict",
]


def __getattr__(name: str) -> object:
    """Load what is offered here, at first use; AttributeError for another name."""
    if name == "certificates":
        return import_module("rs_lib.certificates")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'rs_lib' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the offered names too, so that a reader's Tab key finds them."""
    return sorted({*globals(), *__all__})

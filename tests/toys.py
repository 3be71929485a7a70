"""A toy experiment whose stages take no time."""

TOY = '''"""A toy: sums of squares, a stage for each term."""

from dataclasses import dataclass
from functools import partial

import torch

from rs_lib.record.experiment import Experiment

CALLS = []
FAIL_AT = None


@dataclass(frozen=True)
class Inner:
    levels: tuple[float, ...]
    name: str


@dataclass(frozen=True)
class Parameters:
    inner: Inner
    terms: int
    rate: float
    exact: bool


PROFILES = {
    "quick": Parameters(Inner((0.5, 1.0), "small"), terms=3, rate=0.1, exact=True),
    "full": Parameters(Inner((0.5, 1.0), "large"), terms=5, rate=0.1, exact=True),
}


def _square(term):
    if term == FAIL_AT:
        raise RuntimeError(f"power cut at {term}")
    CALLS.append(term)
    return {"square": term**2, "pair": (term, term), "tensor": torch.full((2,), float(term))}


def compute(parameters, context):
    kept = [
        context.stage("square", {"term": term}, partial(_square, term))
        for term in range(parameters.terms)
    ]
    return {
        "sum": sum(part["square"] for part in kept),
        "pairs": [part["pair"] for part in kept],
        "tensors": [part["tensor"].tolist() for part in kept],
    }


experiment = Experiment(__name__, PROFILES, compute, witness=PROFILES["quick"])
'''

"""Which options were given: those that nothing would read are refused, the others get defaults."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from rs_lib.arguments import shown
from rs_lib.noise import LAWS, Continuous

DEFAULTS: dict[str, object] = {
    "noise": "gaussian",
    "continuous": False,
    "alpha": 0.001,
    "seed": 0,
    "compile": False,
    "n0": 100,
    "health": True,
    "max_samples": 100_000,
    "rule": "calibrated",
    "runner_up": False,
    "views": "columns",
    "theta": 0.3,
    "method": "positions",
    "soft": False,
    "level": 0.5,
    "bins": 1024,
    "rivals": 2,
}
"""Defaults of the options that only some defences, laws or plans read; their parsers leave None."""

_PATCH = ("band", "views", "theta", "method")
_SAMPLES = ("n", "radii", "step", "max_samples", "rule", "n0", "runner_up")
_SOFT = ("level", "at", "bins", "rivals")
_OF_LAWS = {
    name: [law.parameter.option] + ["continuous"] * issubclass(law, Continuous)
    for name, law in LAWS.items()
}
_OF_ANY_LAW = list(dict.fromkeys(option for options in _OF_LAWS.values() for option in options))
_BEFORE = ("denoiser", "denoiser_weights", "mean", "std", "resize", "crop")
_NOISE = (
    *("noise", *_OF_ANY_LAW, "alpha", "seed", "compile", "health"),
    *(*_SAMPLES, "soft", *_SOFT, *_BEFORE),
)
_SEQUENTIAL = ("max_samples", "rule")


def default(name: str) -> str:
    """Return what --help says of an option's default."""
    return f"(default: {DEFAULTS[name]})"


def assigned(option: str, pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Return the values by name; raise ValueError for a name that `option` gives twice."""
    values: dict[str, object] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"{option} gives {shown(name)} twice: give it once")
        values[name] = value
    return values


def settle(options: argparse.Namespace) -> None:
    """Give options their defaults where the chosen defence, law and plan read them.

    Raises ValueError that names the options that were given and that nothing would read, or an
    argument of the model that was given twice.
    """
    assigned("arguments", options.arguments)
    known = vars(options)
    if "out" in known and options.out is None:
        options.out = Path(f"{options.command}.tsv")
    unread = _unread(options)
    given = [name for name in unread if known.get(name) is not None]
    if given:
        reason = unread[given[0]]
        named = [name for name in given if unread[name] == reason]
        told = " and ".join(f"{name.replace('_', '-')} is {known[name]}" for name in named)
        them = "them" if len(named) > 1 else "it"
        raise ValueError(f"{told}: {reason} does not use {them}, leave {them} out")
    for name, value in DEFAULTS.items():
        if name in known and known[name] is None and name not in unread:
            setattr(options, name, value)


def _unread(options: argparse.Namespace) -> dict[str, str]:
    """Return the options that nothing reads, each with the setting that leaves it out."""
    if getattr(options, "defence", "noise") == "patch":
        return dict.fromkeys(_NOISE, "--defence patch")
    unread = dict.fromkeys(_PATCH, "--defence noise")
    law = str(options.noise or DEFAULTS["noise"])
    unread |= dict.fromkeys(_OF_ANY_LAW, f"--noise {law}")
    for option in _OF_LAWS[law]:
        del unread[option]
    if not getattr(options, "soft", None):
        unread |= dict.fromkeys(_SOFT, "a log of votes (without --soft)")
    elif options.n is None:
        unread |= dict.fromkeys(_SOFT, "--soft without --n")
    else:
        unread["runner_up"] = "--soft"
    if options.n is not None:
        unread |= dict.fromkeys(_SEQUENTIAL, "--n")
    else:
        unread["runner_up"] = "a table of radii"
    return unread

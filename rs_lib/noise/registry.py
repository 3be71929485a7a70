"""The laws by name: what the command line offers, and what the headers of logs name."""

from collections.abc import Mapping

from rs_lib.noise.ablation import Ablation
from rs_lib.noise.additive import Continuous
from rs_lib.noise.flips import Flip
from rs_lib.noise.gaussian import Gaussian
from rs_lib.noise.laplace import Laplace
from rs_lib.noise.law import Law, NamedLaw
from rs_lib.noise.rounded import Rounded
from rs_lib.noise.sparse import Sparse
from rs_lib.noise.uniform import Uniform

LAWS: dict[str, type[NamedLaw]] = {
    str(law.name): law for law in (Gaussian, Uniform, Laplace, Ablation, Flip, Sparse)
}
"""A new law is one more entry here."""


def recorded(settings: Mapping[str, object], levels: int) -> Law:
    """Return the law that the header of a log names by "law" and its settings.

    `levels` is that of the images. Raises KeyError, TypeError or ValueError if it names none, or a
    norm that is not the law's.
    """
    law = _named(settings, levels)
    if settings["norm"] != law.norm:
        raise ValueError(f"norm is {settings['norm']!r}: the radii of {law.name} are in {law.norm}")
    return law


def _named(settings: Mapping[str, object], levels: int) -> Law:
    numbers = {key: value for key, value in settings.items() if key not in ("law", "norm")}
    name = str(settings["law"])
    law = LAWS[name.removeprefix("rounded-")].from_settings(numbers)
    if not name.startswith("rounded-"):
        return law
    if not isinstance(law, Continuous):
        raise ValueError(f"law is {name!r}: give the name of a law that is rounded")
    return Rounded(law, levels)

"""Noise laws that a base classifier is smoothed with; each adds independent noise to each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rs_lib.arguments import positive, single


class NoiseLaw(Protocol):
    """A law of additive noise. `norm` is the norm its certificate is stated in: "l2" or "l1"."""

    @property
    def name(self) -> str:
        """The law's name, in lower case."""

    @property
    def norm(self) -> str:
        """The norm of the certified ball."""

    def sample(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return independent noise of `shape`, drawn from `generator`, which is on `device`."""


@dataclass(frozen=True)
class Gaussian:
    """Normal noise with mean 0 and standard deviation `sigma` (Cohen et al. 2019)."""

    sigma: float
    name = "gaussian"
    norm = "l2"

    def __post_init__(self) -> None:
        """Raise ValueError unless `sigma` is positive and finite."""
        object.__setattr__(self, "sigma", single("sigma", positive("sigma", self.sigma)))

    def sample(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return independent noise of `shape`."""
        noise = torch.randn(tuple(shape), generator=generator, device=device, dtype=dtype)
        return noise.mul_(self.sigma)


@dataclass(frozen=True)
class Uniform:
    """Noise uniform on [-`half_width`, `half_width`] (Yang et al. 2020)."""

    half_width: float
    name = "uniform"
    norm = "l1"

    def __post_init__(self) -> None:
        """Raise ValueError unless `half_width` is positive and finite."""
        object.__setattr__(
            self, "half_width", single("half_width", positive("half_width", self.half_width))
        )

    def sample(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return independent noise of `shape`."""
        noise = torch.rand(tuple(shape), generator=generator, device=device, dtype=dtype)
        return noise.mul_(2).sub_(1).mul_(self.half_width)


@dataclass(frozen=True)
class Laplace:
    """Laplace noise with density exp(-|z| / `scale`) / (2 `scale`) (Teng et al. 2020)."""

    scale: float
    name = "laplace"
    norm = "l1"

    def __post_init__(self) -> None:
        """Raise ValueError unless `scale` is positive and finite."""
        object.__setattr__(self, "scale", single("scale", positive("scale", self.scale)))

    def sample(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return independent noise of `shape`: the difference of two exponential variables."""
        # Not the inverse distribution function: 24-bit uniforms would cut the tails off.
        pair = torch.empty((2, *shape), device=device, dtype=dtype)
        pair.exponential_(generator=generator)
        return pair[0].sub_(pair[1]).mul_(self.scale)


Additive = Gaussian | Uniform | Laplace
LAWS: dict[str, type[Additive]] = {law.name: law for law in (Gaussian, Uniform, Laplace)}
"""The laws by name."""

"""The settings of a run: what every configuration has, studies and their arms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from .. import archive
from ..device import Compute
from ..regimes import Regime, make_regime
from ..remedies import make_remedy

__all__ = ["BaseConfig", "ConfigError", "Study", "arms", "coarse", "label"]


class ConfigError(ValueError):
    """Settings that cannot be. The message is one line that names the setting."""


@dataclass(frozen=True)
class BaseConfig:
    """What every family's configuration has.

    Attributes
    ----------
    chains, block : int
        Independent repetitions, and how many of them share one stream of randomness and one array.
    generations : int
        Index of the last generation; a run has one fit more.
    regime, variant : str
    share : float
        `keep`: the human share of every pool.
    n_real, n_synthetic : int
        `fresh`: never-used human and synthetic items in every pool.
    grid : {"full", "marks", "ends"}
        Generations to measure: the usual grid and the marks; the marks, the first and the last; the first and the last.
    marks : tuple of int
        Generations that a source names.
    threads : int
        Threads of BLAS; equal bits are promised at equal count.
    remedy : str
        What is done to pools or samples, such as ``filter(0.9, 0.1)``; see `model_collapse.remedies`.
    """

    chains: int = 1
    block: int = 1
    generations: int = 10
    regime: str = "replace"
    variant: str = ""
    share: float = 0.1
    n_real: int = 0
    n_synthetic: int = 0
    grid: str = "full"
    marks: tuple[int, ...] = ()
    threads: int = 1
    remedy: str = ""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            self.require(not isinstance(value, float) or math.isfinite(value), f"{name} must be finite, not {value}")
        self.require_at_least(1, "chains", "block", "threads")
        self.require(self.generations >= 0, f"generations must not be negative, not {self.generations}")
        self.require(0 <= self.share <= 1, f"share must lie in [0, 1], not {self.share:g}")
        self.require(all(g >= 0 for g in self.marks), "marks are generations and must not be negative")
        self.require_one_of("grid", "full", "marks", "ends")
        make_remedy(self.remedy)

    @staticmethod
    def require(condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(message)

    def require_at_least(self, least: int, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self.require(value >= least, f"{name} must be at least {least}, not {value}")

    def require_one_of(self, name: str, *known: str) -> None:
        value = getattr(self, name)
        self.require(value in known, f"{name} must be {', '.join(known[:-1])} or {known[-1]}, not {value!r}")

    def measured(self) -> np.ndarray:
        """The generations that are measured, ascending."""
        if self.grid == "ends":
            return np.unique([0, self.generations])
        if self.grid == "marks":
            return np.array(sorted(self.kept()))
        return archive.grid(self.generations, self.marks)

    def kept(self) -> set[int]:
        """The generations of which a record keeps more than metrics: the first, the last and the marks."""
        return {0, self.generations, *(g for g in self.marks if g <= self.generations)}

    def check(self) -> None:
        """Raise `ConfigError` or `RegimeError` where settings do not go together; families add their own."""
        regime = self.make_regime()
        fresh = regime.n_real + regime.n_synthetic
        self.require(regime.name != "fresh" or fresh > 0, "regime 'fresh' needs its numbers: fresh(real, synthetic)")

    def require_aside(self, held: int, what: str, advice: str) -> None:
        """Raise `ConfigError` where `held` items set aside, if any are, do not last to the end under `fresh`."""
        regime = self.make_regime()
        wanted = regime.n_real * self.generations
        need = f"{self.generations} generations of {regime.n_real} fresh {what} need {wanted} set aside, not {held}"
        self.require(regime.name != "fresh" or held == 0 or held >= wanted, f"{need}: {advice}")

    def compute(self) -> Compute | None:
        """Where and how networks are computed; None where there are none."""
        return None

    def as_made(self, machine: Mapping[str, Any]) -> Self:
        """The configuration that says itself what was chosen by rule on the machine that a manifest names."""
        return self

    def make_regime(self) -> Regime:
        return make_regime(self.regime, share=self.share, n_real=self.n_real, n_synthetic=self.n_synthetic)


@dataclass(frozen=True)
class Study:
    """An experiment: a regime, a variant, settings that hold in every profile or in one, and swept arms.

    Attributes
    ----------
    single_chains : int or None
        How many single chains its record keeps in each arm, where that is not the usual number.
    shown : bool
        Whether its record also has something to look at, and to compute again.
    """

    regime: str
    variant: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    by_profile: dict[str, dict[str, Any]] = field(default_factory=dict)
    arms: tuple[dict[str, Any], ...] = ({},)
    single_chains: int | None = None
    shown: bool = True


def arms(points: Sequence[dict[str, Any]] | None = None, **axes: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """The arms of a sweep: the product of the axes, or the points as given."""
    if points is not None:
        return tuple(points)
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def coarse(generations: int, count: int = 36) -> tuple[int, ...]:
    """At most `count` generations to measure, spaced evenly on a logarithmic axis, for sweeps of many arms."""
    return tuple(np.unique(np.geomspace(1, generations, count).round().astype(int)).tolist())


def label(settings: dict[str, Any]) -> str:
    """An arm's name in a record, such as ``n=100`` or ``d=10,bias=0.7``."""
    return ",".join(f"{name}={value}" for name, value in settings.items())

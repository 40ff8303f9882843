"""A run that has a configuration and a name, and has not begun."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..places import cache_root
from .settings import BaseConfig

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """What will be run, under which name.

    Attributes
    ----------
    arms : tuple of dict
        The settings of every arm, on top of `config`.
    facts : dict
        What the manifest says before the run begins; `identity` hashes what makes two runs the same.
    shown : bool
        Whether the record has something to look at beside its metrics.
    """

    name: str
    config: BaseConfig
    arms: tuple[dict[str, Any], ...]
    data: Any
    facts: dict[str, Any]
    single_chains: int | None
    shown: bool

    @property
    def folder(self) -> Path:
        """Where the run's resume state lies."""
        return cache_root() / "runs" / self.facts["family"] / f"{self.name}-{self.facts['identity'][:16]}"

    def blocks(self) -> list[tuple[int, int]]:
        """Every block as (number of the arm, number of the block)."""
        return list(itertools.product(range(len(self.arms)), range(-(-self.config.chains // self.config.block))))

    @property
    def steps(self) -> int:
        return len(self.blocks()) * (self.config.generations + 1)

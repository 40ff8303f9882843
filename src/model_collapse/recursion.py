"""The loop: make the pool, fit, sample, measure. Everything else in this package serves these lines."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .regimes import Items, Lineage, Pool, Regime, Source

__all__ = ["Generation", "Learner", "Turn", "run", "stream"]

PURPOSES = ("regime", "fit", "sample", "measure", "source", "remedy")
PREPARATION = 2**32 - 1  # stands where a generation's number would


class Learner(Protocol):
    """A family, as the loop sees it."""

    def prepare(self, source: Source, turn: Turn) -> None:
        """Make what later generations are measured against."""

    def fit(self, pool: Pool, turn: Turn) -> Any:
        """Fit a model on a pool."""

    def sample(self, model: Any, pool: Pool, turn: Turn) -> Items:
        """Draw what the next generation may learn from: ``regime.needed(n)`` items for a pool of n."""

    def measure(self, model: Any, synthetic: Items, turn: Turn) -> dict[str, np.ndarray]:
        """Metrics by name, each of shape (chains,)."""


@dataclass(frozen=True)
class Turn:
    """One turn of the loop: its number, its own randomness by purpose, and a scratch folder.

    Randomness is a function of (seed, arm, block of chains, generation, purpose) and of nothing else, so blocks run
    in any order on any number of workers, and a run that resumes goes on as if it had never stopped.
    """

    g: int
    seed: tuple[int, ...]
    scratch: Path | None = None

    def file(self, name: str) -> Path | None:
        """Where something of this turn is kept for a run that goes on; None where nothing is kept."""
        return self.scratch / f"{name}-{self.g:04d}.state" if self.scratch else None

    @cached_property
    def regime(self) -> np.random.Generator:
        return stream(self.seed, self.g, "regime")

    @cached_property
    def fit(self) -> np.random.Generator:
        return stream(self.seed, self.g, "fit")

    @cached_property
    def sample(self) -> np.random.Generator:
        return stream(self.seed, self.g, "sample")

    @cached_property
    def measure(self) -> np.random.Generator:
        return stream(self.seed, self.g, "measure")

    @cached_property
    def remedy(self) -> np.random.Generator:
        return stream(self.seed, self.g, "remedy")


def stream(seed: tuple[int, ...], g: int, purpose: str) -> np.random.Generator:
    """The random generator of (seed, arm, block), generation and purpose.

    Parameters
    ----------
    seed : tuple of int
        The seed a person gave, then the arm's and the block's number.
    """
    key = (*seed[1:], g, PURPOSES.index(purpose))
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed[0], spawn_key=key)))


@dataclass(frozen=True)
class Generation:
    """What one turn leaves behind; `metrics` is None for a generation that nobody asked to measure."""

    g: int
    lineage: Lineage
    model: Any = field(repr=False)
    synthetic: Items = field(repr=False)
    metrics: dict[str, np.ndarray] | None = field(repr=False)


def run(
    learner: Learner,
    source: Source,
    regime: Regime,
    generations: int,
    *,
    history,
    seed: tuple[int, ...],
    measured: Container[int] | None = None,
    scratch: Path | None = None,
    on: Callable[[str, int], None] = lambda phase, g: None,
) -> Iterator[Generation]:
    """Run the loop from where `history` ends to generation `generations`, which is included.

    Model 0 is fitted on human data alone; model g has seen g rounds of synthetic data. `history` holds the past samples
    as the regime wants them (``History(regime.memory)``, see `model_collapse.archive.History`; a list does for regimes
    that look at the last one only); a run resumes by being started with the history it finds.
    `measured` names the generations to measure (all, if None); `on` hears each phase as it begins.
    """
    learner.prepare(source, Turn(PREPARATION, seed, scratch))
    for g in range(len(history), generations + 1):
        turn = Turn(g, seed, scratch)
        on("regime", g)
        pool = regime(source, history, turn.regime)
        on("fit", g)
        model = learner.fit(pool, turn)
        on("sample", g)
        synthetic = learner.sample(model, pool, turn)
        history.append(synthetic)
        on("measure", g)
        metrics = learner.measure(model, synthetic, turn) if measured is None or g in measured else None
        yield Generation(g, pool.lineage, model, synthetic, metrics)

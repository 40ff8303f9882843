"""Remedies as learners around a learner: each changes a pool on its way in, or a sample on its way out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..recursion import Turn
from ..regimes import HUMAN, Lineage, Pool, RegimeError, Source
from .detector import POWER, REPEATS, detected, flagged, weighted

__all__ = [
    "Bagged",
    "Curated",
    "Drawn",
    "Even",
    "Filtered",
    "Noisy",
    "Remedied",
    "Toll",
    "Transferred",
    "Watermarked",
    "Weighted",
]


@dataclass(frozen=True)
class Toll:
    """What a remedy takes of every generation beside what the regime takes.

    Attributes
    ----------
    candidates : int
        Items that are sampled for each one that is handed on.
    models : int
        Models that are fitted.
    added : float
        Items that a model learns from beside the pool, as a share of it.
    """

    candidates: int = 1
    models: int = 1
    added: float = 0.0


class Remedied:
    """A learner behind a remedy; whatever else is asked of it, the learner answers.

    Parameters
    ----------
    numbers : tuple of float
        As `takes` names them.
    """

    takes: ClassVar[tuple[str, ...]] = ()
    wants: ClassVar[str] = "x"  # what the items must offer
    asks: ClassVar[tuple[str, str]] = ("", "")  # an attribute that the learner must have, and what it is in words
    tool: ClassVar[str] = ""  # what must be had for it

    def __init__(self, learner: Any, source: Source, numbers: tuple[float, ...]):
        self._learner, self._source, self._numbers = learner, source, numbers

    @classmethod
    def toll(cls, numbers: tuple[float, ...]) -> Toll:
        """What it takes with these numbers."""
        return Toll()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def fit(self, pool: Pool, turn: Turn) -> Any:
        return self._learner.fit(pool if turn.g == 0 else self.pool(pool, turn), turn)

    def pool(self, pool: Pool, turn: Turn) -> Pool:
        """What the learner is given of a pool, from generation 1 on."""
        return pool


class Drawn(Remedied):
    """The pool drawn anew, to the size of the source, with weights that each item is given."""

    wants: ClassVar[str] = "pick"

    def weigh(self, synthetic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A weight for every item, of the shape (chains, items) of `synthetic`, which says who is."""
        raise NotImplementedError

    def pool(self, pool: Pool, turn: Turn) -> Pool:
        chains = 1 if pool.lineage.counts.ndim == 1 else len(pool.lineage.counts)
        makers = np.stack([pool.lineage.of_items(chain) for chain in range(chains)])
        makers = np.broadcast_to(makers, (pool.items.chains, makers.shape[1]))
        weights, n = self.weigh(makers != HUMAN, turn.remedy), self._source.n
        least = int((weights > 0).sum(axis=1).min())
        if least == 0:
            raise RegimeError(f"generation {turn.g}: the remedy leaves no item of a pool; take a larger one")
        chosen = weighted(weights, n, turn.remedy, max(REPEATS, -(-n // least)))
        return Pool(pool.items.pick(chosen), _lineage(np.take_along_axis(makers, chosen, axis=1)))


class Filtered(Drawn):
    """Only what a detector does not flag."""

    takes: ClassVar[tuple[str, ...]] = ("caught", "wronged")
    tool: ClassVar[str] = "a detector"

    def weigh(self, synthetic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (~flagged(synthetic, *self._numbers, rng)).astype(float)


class Weighted(Drawn):
    """Each item with (1 - P(synthetic))^10, by a detector (Drayson et al., 2502.15654)."""

    takes: ClassVar[tuple[str, ...]] = ("caught", "wronged")
    tool: ClassVar[str] = "a detector"

    def weigh(self, synthetic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (1 - detected(synthetic, *self._numbers, rng)) ** POWER


class Even(Drawn):
    """All items with equal weights: the control of those two."""

    def weigh(self, synthetic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.ones(synthetic.shape)


class Noisy(Remedied):
    """Gaussian noise on every sampled point, in units of the sample's own sd."""

    takes: ClassVar[tuple[str, ...]] = ("scale",)

    def sample(self, model: Any, pool: Pool, turn: Turn) -> Any:
        items = self._learner.sample(model, pool, turn)
        spread = items.x.std(axis=1, keepdims=True)
        return replace(items, x=items.x + self._numbers[0] * spread * turn.remedy.standard_normal(items.x.shape))


class Curated(Remedied):
    """Of `k` candidates the one with the highest reward, for every item (Ferbach et al., 2407.09499, as reported)."""

    takes: ClassVar[tuple[str, ...]] = ("k",)
    tool: ClassVar[str] = "a judge"
    asks: ClassVar[tuple[str, str]] = ("reward", "a reward for every item")

    @classmethod
    def toll(cls, numbers: tuple[float, ...]) -> Toll:
        return Toll(candidates=int(numbers[0]))

    def sample(self, model: Any, pool: Pool, turn: Turn) -> Any:
        sets = [self._learner.sample(model, pool, turn) for _ in range(int(self._numbers[0]))]
        items, numbers = _shuffled(sets, turn.remedy)
        rewards = np.take_along_axis(self._learner.reward(items), numbers.reshape(items.chains, -1), axis=1)
        best = rewards.reshape(numbers.shape).argmax(axis=1)[:, None]
        return items.pick(np.take_along_axis(numbers, best, axis=1)[:, 0])

    def measure(self, model: Any, synthetic: Any, turn: Turn) -> dict[str, np.ndarray]:
        """Also ``reward``: the mean over the sample."""
        found = self._learner.measure(model, synthetic, turn)
        return found | {"reward": self._learner.reward(synthetic).mean(axis=1)}


class Bagged(Remedied):
    """An ensemble of `k` models, each fitted to its own draw with replacement from the pool (Breiman, 1996).

    Each gives an equal part of the sample. What is measured is a mean over them; the first stands for all where one
    model is shown.
    """

    takes: ClassVar[tuple[str, ...]] = ("k",)

    @classmethod
    def toll(cls, numbers: tuple[float, ...]) -> Toll:
        return Toll(candidates=int(numbers[0]), models=int(numbers[0]))

    def fit(self, pool: Pool, turn: Turn) -> Any:
        if turn.g == 0:
            self._members = [self._learner.fit(pool, turn)]
        else:
            shape = (int(self._numbers[0]), pool.items.chains, pool.items.size)
            draws = turn.remedy.integers(pool.items.size, size=shape)
            self._members = [self._learner.fit(Pool(pool.items.pick(x), pool.lineage), turn) for x in draws]
        return self._members[0]

    def sample(self, model: Any, pool: Pool, turn: Turn) -> Any:
        items, numbers = _shuffled([self._learner.sample(one, pool, turn) for one in self._members], turn.remedy)
        members, n = numbers.shape[1:]
        return items.pick(numbers[:, np.arange(n) % members, np.arange(n)])

    def measure(self, model: Any, synthetic: Any, turn: Turn) -> dict[str, np.ndarray]:
        found = [self._learner.measure(one, synthetic, turn) for one in self._members]
        return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}


class Transferred(Remedied):
    """Every fit begins with what a wide base knows, as items of its own: `share` of the pool's number, on top.

    The base is a Gaussian around the human mean, `width` times as wide as the human items. For a Gaussian that is the
    fit which starts from the base as its conjugate prior.
    """

    takes: ClassVar[tuple[str, ...]] = ("share", "width")
    tool: ClassVar[str] = "a wide base"

    @classmethod
    def toll(cls, numbers: tuple[float, ...]) -> Toll:
        return Toll(added=numbers[0])

    def pool(self, pool: Pool, turn: Turn) -> Pool:
        human = self._source.items.x
        share, width = self._numbers
        drawn = turn.remedy.standard_normal((len(human), round(share * self._source.n), human.shape[2]))
        spread = width * human.std(axis=1, keepdims=True)
        base = replace(self._source.items, x=human.mean(axis=1, keepdims=True) + spread * drawn)
        return Pool(type(base).merge([base, pool.items]), pool.lineage)


class Watermarked(Remedied):
    """A statistical watermark in what is sampled up to generation `last`, and its detector at every generation.

    See `model_collapse.llm.watermark`.
    """

    takes: ClassVar[tuple[str, ...]] = ("bias", "last")
    wants: ClassVar[str] = "ids"
    asks: ClassVar[tuple[str, str]] = ("watermark", "text that is sampled token by token")

    def sample(self, model: Any, pool: Pool, turn: Turn) -> Any:
        bias, last = self._numbers
        self._learner.watermark = bias if turn.g <= last else 0.0
        return self._learner.sample(model, pool, turn)

    def measure(self, model: Any, synthetic: Any, turn: Turn) -> dict[str, np.ndarray]:
        return self._learner.measure(model, synthetic, turn) | self._learner.detected(synthetic)


def _shuffled(sets: list[Any], rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """Sets of equal size as one, and the numbers of their items, (chains, sets, items), each set in random order."""
    items, n = type(sets[0]).merge(sets), sets[0].size
    numbers = np.tile(np.arange(n), (items.chains, len(sets), 1))
    return items, rng.permuted(numbers, axis=2) + n * np.arange(len(sets))[:, None]


def _lineage(makers: np.ndarray) -> Lineage:
    """Of a pool whose items are sorted by their makers, shape (chains, items)."""
    known = np.unique(makers)
    return Lineage(known, (makers[:, :, None] == known).sum(axis=1))

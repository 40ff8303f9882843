"""What can be done to a pool before a model learns from it, or to what a model samples before it is handed on.

A remedy wraps a learner, so that the loop and every family stay as they are. It takes the items of a chain one by one,
so it wants a family that keeps them (points, images, blocks of text) and a finite pool. Regimes are remedies too (a
share of human items that is kept, accumulation, fresh items) and have their own room, `model_collapse.regimes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .recursion import Turn
from .regimes import HUMAN, Lineage, Pool, RegimeError, Source, nearest

__all__ = ["POWER", "REMEDIES", "REPEATS", "Remedy", "detected", "flagged", "make_remedy", "treated", "weighted"]

POWER = 10  # of 1 - P(synthetic), as in Drayson et al. (2502.15654)
REPEATS = 3  # of an item in a weighted pool, likewise


@dataclass(frozen=True)
class Remedy:
    """A named operator with its numbers.

    Attributes
    ----------
    weigh : callable or None
        ``weigh(synthetic, numbers, rng)`` gives the items of a pool (chains, items) weights for drawing it anew, to the
        size of the source; `synthetic` says who is.
    change : callable or None
        ``change(items, numbers, rng)`` gives what is handed on instead of a sample.
    """

    name: str
    numbers: tuple[float, ...]
    weigh: Callable[[np.ndarray, tuple[float, ...], np.random.Generator], np.ndarray] | None = None
    change: Callable[[Any, tuple[float, ...], np.random.Generator], Any] | None = None


def flagged(synthetic: np.ndarray, caught: float, wronged: float, rng: np.random.Generator) -> np.ndarray:
    """Where a detector raises its flag: at a synthetic item with probability `caught`, at others with `wronged`."""
    return rng.random(synthetic.shape) < np.where(synthetic, caught, wronged)


def detected(synthetic: np.ndarray, caught: float, wronged: float, rng: np.random.Generator) -> np.ndarray:
    """What a detector with one point of its ROC curve says of items: P(synthetic), of the shape of `synthetic`.

    It knows the share of synthetic items in the pool, so that its two probabilities are right on average.
    """
    flags = flagged(synthetic, caught, wronged, rng)
    share = synthetic.mean(axis=-1, keepdims=True)
    said = []
    for of_synthetic, of_human in ((caught, wronged), (1 - caught, 1 - wronged)):
        hit, miss = share * of_synthetic, (1 - share) * of_human
        said.append(np.divide(hit, hit + miss, out=np.zeros_like(share), where=hit + miss > 0))
    return np.where(flags, *said)


def weighted(weights: np.ndarray, n: int, rng: np.random.Generator, repeats: int = REPEATS) -> np.ndarray:
    """Numbers of `n` items of every chain, drawn with the given weights, none more often than `repeats` times.

    Parameters
    ----------
    weights : numpy.ndarray, shape (chains, items)

    Returns
    -------
    numpy.ndarray of int, shape (chains, n)

    Raises
    ------
    ValueError
        Where a chain has too few items with a weight above 0.
    """
    able = repeats * (weights > 0).sum(axis=1).min()
    if able < n:
        raise ValueError(f"a pool of {n} cannot be drawn from {able // repeats} items, {repeats} times each at most")
    copies = np.repeat(weights, repeats, axis=1)
    with np.errstate(divide="ignore"):  # the n largest of log w + Gumbel noise are a draw without replacement
        keys = np.log(copies) + rng.gumbel(size=copies.shape)
    return np.sort(np.argpartition(-keys, n - 1, axis=1)[:, :n], axis=1) // repeats


def _filtered(synthetic: np.ndarray, numbers: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    return (~flagged(synthetic, *numbers, rng)).astype(float)


def _weighed(synthetic: np.ndarray, numbers: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    return (1 - detected(synthetic, *numbers, rng)) ** POWER


def _evenly(synthetic: np.ndarray, numbers: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    return np.ones(synthetic.shape)


def _noisy(items: Any, numbers: tuple[float, ...], rng: np.random.Generator) -> Any:
    spread = items.x.std(axis=1, keepdims=True)
    return replace(items, x=items.x + numbers[0] * spread * rng.standard_normal(items.x.shape))


REMEDIES: dict[str, tuple[tuple[str, ...], dict[str, Callable]]] = {
    "filter": (("caught", "wronged"), {"weigh": _filtered}),
    "weights": (("caught", "wronged"), {"weigh": _weighed}),
    "even": ((), {"weigh": _evenly}),
    "noise": (("scale",), {"change": _noisy}),
}
"""The numbers that each remedy takes, and what it does.

``filter``: only what a detector does not flag; ``weights``: drawn with (1 - P(synthetic))^10; ``even``: drawn with
equal weights, the control of both; ``noise``: Gaussian noise on every sampled point, in units of the sample's own sd.
"""


def make_remedy(text: str) -> Remedy | None:
    """The remedy of that name and numbers, such as ``filter(0.9, 0.1)``; None of an empty text.

    Raises
    ------
    RegimeError
        For an unknown name (with the nearest known one), other numbers than it takes, or impossible ones.
    """
    if not text:
        return None
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", text)
    name = match[1] if match else text
    if name not in REMEDIES:
        raise RegimeError(f"no remedy {name!r}{nearest(name, REMEDIES)}")
    wanted, does = REMEDIES[name]
    try:
        numbers = tuple(float(x) for x in (match[2] or "").split(",") if x.strip())
    except ValueError:
        raise RegimeError(f"remedy {text!r}: what stands in brackets must be numbers") from None
    if len(numbers) != len(wanted):
        takes = f"takes {', '.join(wanted)}" if wanted else "takes no numbers"
        raise RegimeError(f"remedy {name!r} {takes}, not {len(numbers)} numbers")
    for what, x in zip(wanted, numbers, strict=True):
        if x < 0 or (x > 1 and what != "scale"):
            raise RegimeError(
                f"remedy {name!r}: {what} must {'not be negative' if what == 'scale' else 'lie in [0, 1]'}"
            )
    return Remedy(name, numbers, **does)


def treated(learner: Any, source: Source, remedy: Remedy) -> Any:
    """The learner, with the remedy on the way of its pools or of its samples.

    Raises
    ------
    RegimeError
        Where this family keeps no single items that the remedy could take.
    """
    wants = "pick" if remedy.weigh else "x"
    if not hasattr(source.items, wants):
        raise RegimeError(f"remedy {remedy.name!r} takes single items, which this family does not keep in such a form")
    return _Treated(learner, source, remedy)


class _Treated:
    """A learner behind a remedy; whatever else is asked of it, the learner answers."""

    def __init__(self, learner: Any, source: Source, remedy: Remedy):
        self._learner, self._source, self._remedy = learner, source, remedy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def fit(self, pool: Pool, turn: Turn) -> Any:
        return self._learner.fit(self._drawn(pool, turn) if self._remedy.weigh and turn.g > 0 else pool, turn)

    def sample(self, model: Any, pool: Pool, turn: Turn) -> Any:
        found = self._learner.sample(model, pool, turn)
        return self._remedy.change(found, self._remedy.numbers, turn.remedy) if self._remedy.change else found

    def _drawn(self, pool: Pool, turn: Turn) -> Pool:
        chains = 1 if pool.lineage.counts.ndim == 1 else len(pool.lineage.counts)
        makers = np.stack([pool.lineage.of_items(chain) for chain in range(chains)])
        makers = np.broadcast_to(makers, (pool.items.chains, makers.shape[1]))
        weights = self._remedy.weigh(makers != HUMAN, self._remedy.numbers, turn.remedy)
        try:
            chosen = weighted(weights, self._source.n, turn.remedy)
        except ValueError as error:
            raise RegimeError(f"remedy {self._remedy.name!r}, generation {turn.g}: {error}") from None
        return Pool(pool.items.pick(chosen), _lineage(np.take_along_axis(makers, chosen, axis=1)))


def _lineage(makers: np.ndarray) -> Lineage:
    """Of a pool whose items are sorted by their makers, shape (chains, items)."""
    known = np.unique(makers)
    return Lineage(known, (makers[:, :, None] == known).sum(axis=1))

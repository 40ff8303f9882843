"""An alarm: two sets of items, one trusted, held against each other.

Recursion is said to take away first what is rare, before averages move. So the alarm looks at tails and at coverage,
beside one test that sees any difference, and its rate of false alarms on sets that were drawn alike is the one that was
asked for. Whether it rings before a Fréchet distance or a loss tells is what the chapter *An alarm* measures: in images
it does, in a mixture it does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from .permutation import SAYS, Statistic, adjusted, frechet, of_points, of_words
from .sets import KINDS, Compared, ItemSet, as_set, joined, read_set

__all__ = [
    "KINDS",
    "LEAST",
    "MOST",
    "SAYS",
    "ItemSet",
    "Verdict",
    "WatchError",
    "alarm_of",
    "as_set",
    "false_alarms",
    "levels",
    "read_set",
    "watch",
]

LEAST = 40  # items of each set
MOST = 2000  # items of each set that are looked at
DEALS = 999


class WatchError(ValueError):
    """Two sets that cannot be held against each other. The message is one line."""


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Attributes
    ----------
    alarm : {"none", "collapse", "other"}
        Nothing at this rate; less of what is rare, or a part of the reference missing and nothing strange in its
        place; another difference, such as a shift.
    statistics : dict
        Of each, its ``value``, the ``expected`` one (median over random deals) and its adjusted ``p``.
    items : tuple of int
        Of reference and candidate, as far as they were looked at.
    """

    alarm: str
    rate: float
    kind: str
    items: tuple[int, int]
    statistics: dict[str, dict[str, float]]

    def report(self) -> dict:
        """As JSON takes it."""
        return asdict(self)


def watch(reference: ItemSet, candidate: ItemSet, rate: float = 0.05, *, deals: int = DEALS, seed: int = 0) -> Verdict:
    """Hold a candidate against a reference.

    The sets must be random draws of independent items for the rate to hold: two halves of one shuffled corpus are, its
    first and its last chapter are not.

    Parameters
    ----------
    rate : float
        Of false alarms, over all statistics together.
    deals : int
        Random deals of the labels; more are taken where `rate` needs them.

    Raises
    ------
    WatchError
        Where the sets are of different kinds or shapes, or too small, or the rate is no probability.
    """
    if not 0 < rate < 1:
        raise WatchError(f"a rate of false alarms lies between 0 and 1, not at {rate:g}")
    if reference.kind != candidate.kind:
        raise WatchError(f"{reference.name} holds {reference.kind}, {candidate.name} {candidate.kind}")
    for one in (reference, candidate):
        if len(one) < LEAST:
            raise WatchError(f"{one.name} has {len(one)} items ({one.unit}); {LEAST} are needed")
    rng = np.random.default_rng(seed)
    ours, theirs = (one.some(MOST, rng) for one in (reference, candidate))
    both = joined(ours, theirs)
    statistics, labels = _statistics(both), _labels(ours, theirs)
    found = adjusted(statistics, labels, max(deals, math.ceil(10 / rate)), rng)
    alarm = alarm_of(_least(statistics, found), rate)
    described = {name: dict(zip(("value", "expected", "p"), values, strict=True)) for name, values in found.items()}
    return Verdict(alarm, rate, reference.kind, (len(ours), len(theirs)), described)


def alarm_of(p: Mapping[str, float], rate: float) -> str:
    """What p-values by what they say (see `Statistic.says`) come to at a rate: "collapse", "other" or "none"."""
    said = {says for says in SAYS if p[says] <= rate}
    if "narrow" in said or ("missing" in said and "strange" not in said):
        return "collapse"
    return "other" if said else "none"


def levels(reference: ItemSet, candidate: ItemSet, deals: int, rng: np.random.Generator) -> dict[str, float]:
    """The p-values that `watch` goes by, the least of each kind; and, adjusted for nothing, that of ``frechet``.

    The Fréchet distance in the same coordinates and by the same deals is what the alarm is compared with: both have
    the same rate of false alarms.
    """
    both, labels = joined(reference, candidate), _labels(reference, candidate)
    statistics, baseline = _statistics(both), frechet(both.points)
    found = _least(statistics, adjusted(statistics, labels, deals, rng))
    return found | {"frechet": adjusted([baseline], labels, deals, rng)["frechet"][2]}


def false_alarms(items: ItemSet, size: int, draws: int, *, deals: int = 199, seed: int = 0) -> np.ndarray:
    """The least p-value of each of `draws` comparisons of equal sets: disjoint random draws of `size` from one set.

    Where the rate holds, a share r of them is at most r.

    Raises
    ------
    WatchError
        Where the set has not twice as many items.
    """
    if len(items) < 2 * size:
        raise WatchError(f"{items.name} has {len(items)} items ({items.unit}); {2 * size} are needed")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        order = rng.permutation(len(items))
        pair = items.pick(order[:size]), items.pick(order[size : 2 * size])
        statistics = _statistics(joined(*pair))
        found.append(min(_least(statistics, adjusted(statistics, _labels(*pair), deals, rng)).values()))
    return np.array(found)


def _statistics(both: Compared) -> list[Statistic]:
    return of_points(both.points) + (of_words(both.words) if both.words is not None else [])


def _labels(reference: ItemSet, candidate: ItemSet) -> np.ndarray:
    return np.arange(len(reference) + len(candidate)) >= len(reference)


def _least(statistics: list[Statistic], found: Mapping[str, tuple[float, float, float]]) -> dict[str, float]:
    return {says: min(found[one.name][2] for one in statistics if one.says == says) for says in SAYS}

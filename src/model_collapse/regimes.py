"""The data regimes: the rule that makes the next pool from the human data and all that models have produced.

A regime is a pure function of (source, history, rng). It knows nothing of any family: items of every kind (points,
moments, counts, images, token blocks) offer the few operations of `Items`, and the regimes are written in those.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = [
    "HUMAN",
    "NUMBERS",
    "REGIMES",
    "Items",
    "Lineage",
    "Pool",
    "Regime",
    "RegimeError",
    "Source",
    "helpings",
    "make_regime",
    "nearest",
    "parsed",
]

HUMAN = -1
"""The maker of human items in a lineage; a generation g >= 0 stands for what model g sampled."""


class RegimeError(ValueError):
    """A regime that does not exist or cannot be had from this source. The message is one line."""


class Items(Protocol):
    """A set of items, or what is known of it, for a block of chains at once.

    ``size`` is the number of items in each chain. ``take`` draws without replacement, independently in every
    chain. ``merge`` joins sets of one kind; ``subsample`` draws from several as from their union and says, per
    chain, how many came from each, shape (chains, parts). ``arrays`` gives what a resume state keeps, from which the
    family's ``restore`` makes them again. `model_collapse.points.Points` and `model_collapse.rows.Rows` have all of it.
    """

    size: int

    def arrays(self) -> dict[str, np.ndarray]: ...

    def take(self, n: int, rng: np.random.Generator) -> Items: ...

    @classmethod
    def merge(cls, parts: Sequence[Items]) -> Items: ...

    @classmethod
    def subsample(cls, parts: Sequence[Items], n: int, rng: np.random.Generator) -> tuple[Items, np.ndarray]: ...


@dataclass(frozen=True)
class Lineage:
    """Who made the items of a pool, part by part and in the pool's order.

    Attributes
    ----------
    makers : numpy.ndarray of int, shape (parts,)
        `HUMAN` or the number of the generation that sampled the part.
    counts : numpy.ndarray of int, shape (parts,), or (chains, parts) where chains differ
    """

    makers: np.ndarray
    counts: np.ndarray

    def share(self, maker: int) -> float:
        """Share of the pool made by `maker`, a mean over chains where they differ."""
        return float(self.counts[..., self.makers == maker].sum() / self.counts.sum())

    def of_items(self, chain: int = 0) -> np.ndarray:
        """The maker of every item, shape (items,)."""
        counts = self.counts if self.counts.ndim == 1 else self.counts[chain]
        return np.repeat(self.makers, counts)


@dataclass(frozen=True)
class Pool:
    """The training set of one generation, with its lineage."""

    items: Items
    lineage: Lineage


@dataclass(frozen=True)
class Source:
    """The human side of a run.

    Attributes
    ----------
    items : Items
        What generation 0 sees.
    n : int
        Items a pool, unless a regime says otherwise.
    reserve : callable or None
        ``reserve(n, g, rng)`` gives generation g its n never-used human items: the true distribution for toys, a
        part set aside before generation 0 for data sets. None where nothing was set aside.
    """

    items: Items
    n: int
    reserve: Callable[[int, int, np.random.Generator], Items] | None = None
    advice: str = "this source sets nothing aside"

    def draw(self, n: int, g: int, rng: np.random.Generator) -> Items:
        """`n` never-used human items for generation `g`.

        Raises
        ------
        RegimeError
            Where there are none; the message says how to set some aside.
        """
        self.require_reserve()
        return self.reserve(n, g, rng)

    def require_reserve(self) -> None:
        """Raise `RegimeError` where no human items were set aside."""
        if self.reserve is None:
            raise RegimeError(f"regime 'fresh' needs human items that were never used: {self.advice}")


def helpings(rest: np.ndarray, wrap: Callable[[np.ndarray], Items]) -> Callable | None:
    """A `Source.reserve` of rows set aside before generation 0, of which g gets the g-th helping; None of no rows."""

    def reserve(n: int, g: int, rng: np.random.Generator) -> Items:
        return wrap(rest[(g - 1) * n : g * n])

    return reserve if len(rest) else None


Rule = Callable[["Regime", Source, Sequence, np.random.Generator], Pool]


@dataclass(frozen=True)
class Regime:
    """A named rule with its numbers.

    Attributes
    ----------
    name : str
        One of `REGIMES`.
    memory : {"last", "total", "all"}
        What of the history the rule needs: the last sample, the union of all, or each one.
    share : float
        `keep`: the human share of every pool.
    n_real, n_synthetic : int
        `fresh`: never-used human items and items of the last sample in every pool.
    """

    name: str
    rule: Rule
    memory: str = "last"
    share: float = 0.1
    n_real: int = 0
    n_synthetic: int = 0

    def __call__(self, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
        """Pool number ``len(history)``; generation 0 is fitted on human data alone."""
        if len(history) == 0:
            return _pool([(HUMAN, source.items)])
        return self.rule(self, source, history, rng)

    def kept(self, n: int) -> int:
        """Human items in a pool of `n` under `keep`."""
        return round(self.share * n)

    def needed(self, n: int) -> int:
        """How many items a model must sample for the next pool of `n`."""
        return {"keep": n - self.kept(n), "fresh": self.n_synthetic}.get(self.name, n)


def _pool(parts: list[tuple[int, Items]]) -> Pool:
    makers, items = zip(*parts, strict=True)
    lineage = Lineage(np.array(makers), np.array([part.size for part in items]))
    return Pool(type(items[-1]).merge(items), lineage)


def _replace(regime: Regime, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
    return _pool([(len(history) - 1, history[-1])])


def _keep(regime: Regime, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
    human = source.items.take(regime.kept(source.n), rng)
    return _pool([(HUMAN, human), (len(history) - 1, history[-1])])


def _augment(regime: Regime, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
    return _pool([(HUMAN, source.items), (len(history) - 1, history[-1])])


def _accumulate(regime: Regime, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
    merged = _pool([(HUMAN, source.items), (len(history) - 1, history.total)])
    makers = np.arange(HUMAN, len(history))
    return Pool(merged.items, Lineage(makers, np.array([source.items.size, *history.sizes])))


def _accumulate_subsample(regime: Regime, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
    parts = [source.items, *history.parts]
    items, counts = type(parts[-1]).subsample(parts, source.n, rng)
    return Pool(items, Lineage(np.arange(HUMAN, len(history)), counts))


def _fresh(regime: Regime, source: Source, history: Sequence, rng: np.random.Generator) -> Pool:
    return _pool([(HUMAN, source.draw(regime.n_real, len(history), rng)), (len(history) - 1, history[-1])])


REGIMES: dict[str, tuple[Rule, str]] = {
    "replace": (_replace, "last"),
    "keep": (_keep, "last"),
    "augment": (_augment, "last"),
    "accumulate": (_accumulate, "total"),
    "accumulate_subsample": (_accumulate_subsample, "all"),
    "fresh": (_fresh, "last"),
}
"""The rule of every regime, and what of the history it needs."""

NUMBERS = {"keep": ("share",), "fresh": ("n_real", "n_synthetic")}
"""The settings that a regime may name in brackets."""


def make_regime(name: str, *, share: float = 0.1, n_real: int = 0, n_synthetic: int = 0) -> Regime:
    """The regime of that name: ``replace``, ``keep(0.1)`` or ``keep`` with `share`, ``fresh(100, 900)``, ….

    Raises
    ------
    RegimeError
        For an unknown name (with the nearest known one), a share outside [0, 1], a negative number of items.
    """
    stem, numbers = parsed("regime", name, REGIMES)
    wanted = len(NUMBERS.get(stem, ()))
    if len(numbers) not in (0, wanted):
        raise RegimeError(f"regime {stem!r} takes {wanted or 'no'} number{'s' * (wanted != 1)}, not {len(numbers)}")
    if stem == "keep" and numbers:
        share = numbers[0]
    if stem == "fresh" and numbers:
        if any(not x.is_integer() for x in numbers):
            raise RegimeError(f"regime {name!r}: numbers of items must be whole")
        n_real, n_synthetic = int(numbers[0]), int(numbers[1])
    if not 0 <= share <= 1:
        raise RegimeError(f"a share must lie in [0, 1], not {share:g}")
    if min(n_real, n_synthetic) < 0:
        raise RegimeError("regime 'fresh': numbers of items must not be negative")
    rule, memory = REGIMES[stem]
    return Regime(stem, rule, memory, share, n_real, n_synthetic)


def parsed(kind: str, text: str, known: Mapping[str, Any]) -> tuple[str, tuple[float, ...]]:
    """Name and numbers of ``name(1, 2)``, a hyphen in the name taken for an underscore.

    Raises
    ------
    RegimeError
        Where `known` has no such name (with the nearest it has), or where a number is none.
    """
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\(([^()]*)\))?\s*", text)
    name = match[1].replace("-", "_") if match else text
    if name not in known:
        raise RegimeError(f"no {kind} {name!r}{nearest(name, known)}")
    try:
        return name, tuple(float(x) for x in (match[2] or "").split(",") if x.strip())
    except ValueError:
        raise RegimeError(f"{kind} {text!r}: what stands in brackets must be numbers") from None


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of an error line: the near match if there is one, and every known name."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"; did you mean {close[0]!r}?" if close else ";") + f" known: {', '.join(known)}"

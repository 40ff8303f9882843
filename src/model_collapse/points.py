"""Items as points of a Euclidean space, for a block of chains at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Points"]


@dataclass(frozen=True)
class Points:
    """The items themselves, ``x`` of shape (chains, size, d)."""

    x: np.ndarray

    @property
    def size(self) -> int:
        return self.x.shape[1]

    @property
    def chains(self) -> int:
        return len(self.x)

    def pick(self, numbers: np.ndarray) -> Points:
        """The items of every chain with these numbers, (chains, n)."""
        return replace(self, x=np.take_along_axis(self.x, numbers[:, :, None], axis=1))

    def take(self, n: int, rng: np.random.Generator) -> Points:
        """`n` items of every chain without replacement; raises ValueError where there are fewer."""
        return self.subsample([self], n, rng)[0]

    @classmethod
    def merge(cls, parts: Sequence[Points]) -> Points:
        return cls(np.concatenate([part.x for part in parts], axis=1))

    @classmethod
    def subsample(cls, parts: Sequence[Points], n: int, rng: np.random.Generator) -> tuple[Points, np.ndarray]:
        """`n` items drawn without replacement from the union of the parts, and how many each part gave."""
        chains = len(parts[0].x)
        ends = np.cumsum([part.size for part in parts])
        picked = _distinct(ends[-1], n, chains, rng)
        maker = np.searchsorted(ends, picked, side="right")
        within = picked - np.concatenate([[0], ends])[maker]
        x = np.empty((chains, n, parts[0].x.shape[2]))
        counts = np.zeros((chains, len(parts)), dtype=int)
        order = np.argsort(maker, axis=None, kind="stable")
        bounds = np.searchsorted(maker.ravel()[order], np.arange(len(parts) + 1))
        for k in np.flatnonzero(np.diff(bounds)):  # of many parts few are drawn from
            chain, slot = np.unravel_index(order[bounds[k] : bounds[k + 1]], maker.shape)
            x[chain, slot] = parts[k].x[chain, within[chain, slot]]
            counts[:, k] = np.bincount(chain, minlength=chains)
        return cls(x), counts

    def arrays(self) -> dict[str, np.ndarray]:
        return {"x": self.x}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Points:
        return cls(arrays["x"])


def _distinct(total: int, n: int, chains: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different numbers below `total` for every chain, shape (chains, n), each set equally likely."""
    if n > total:
        raise ValueError(f"cannot take {n} different items of {total}")
    if n == total:
        return np.tile(np.arange(total), (chains, 1))
    if n * 20 < total:
        return _redrawn(total, n, chains, rng)
    keys = rng.random((chains, total))
    return np.argpartition(keys, n - 1, axis=1)[:, :n]


def _redrawn(total: int, n: int, chains: int, rng: np.random.Generator) -> np.ndarray:
    """The same where few of many are wanted: numbers drawn with repeats, repeats drawn again until there are none.

    Keeping the first of equal numbers and drawing the rest anew is drawing one by one and passing over what is there
    already, so each set stays equally likely.
    """
    picked = rng.integers(total, size=(chains, n))
    while True:
        order = np.argsort(picked, axis=1, kind="stable")
        ranked = np.take_along_axis(picked, order, axis=1)
        again = np.zeros(picked.shape, dtype=bool)
        np.put_along_axis(again, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
        if not again.any():
            return picked
        picked[again] = rng.integers(total, size=int(again.sum()))

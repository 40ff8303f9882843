"""Items of one chain as arrays with a row for each: what networks learn from and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

__all__ = ["Rows"]


@dataclass(frozen=True)
class Rows:
    """Arrays whose first axis counts the items; a family's own items name them as fields."""

    @property
    def size(self) -> int:
        return len(next(iter(self.arrays().values())))

    @property
    def chains(self) -> int:
        return 1

    def pick(self, numbers: np.ndarray) -> Self:
        """The items of the one chain with these numbers, (1, n)."""
        return type(self)(**{name: x[numbers[0]] for name, x in self.arrays().items()})

    def take(self, n: int, rng: np.random.Generator) -> Self:
        """`n` items without replacement, in the order in which they stand; raises ValueError where there are fewer."""
        if n > self.size:
            raise ValueError(f"cannot take {n} different items of {self.size}")
        chosen = np.sort(rng.choice(self.size, n, replace=False))
        return type(self)(**{name: x[chosen] for name, x in self.arrays().items()})

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls._names()})

    @classmethod
    def subsample(cls, parts: Sequence[Self], n: int, rng: np.random.Generator) -> tuple[Self, np.ndarray]:
        """`n` items drawn without replacement from the union, and how many each part gave, shape (1, parts)."""
        shares = rng.multivariate_hypergeometric([part.size for part in parts], n, method="marginals")
        return cls.merge([part.take(int(m), rng) for part, m in zip(parts, shares, strict=True)]), shares[None]

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self._names()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(**{name: arrays[name] for name in cls._names()})

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))

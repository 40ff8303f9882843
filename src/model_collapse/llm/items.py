"""What a language model learns from: blocks of tokens, each in the place of a human block.

A generated block is the continuation of the human block at its place (or of what a model once put there), so a pool is
a text in which some blocks have been replaced. A place can be filled more than once where data accumulate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Blocks"]


@dataclass(frozen=True)
class Blocks:
    """Token ids of shape (blocks, length), and the place of each, shape (blocks,)."""

    ids: np.ndarray
    places: np.ndarray

    @property
    def size(self) -> int:
        return len(self.ids)

    def take(self, n: int, rng: np.random.Generator) -> Blocks:
        """`n` blocks without replacement, in the order of their places."""
        if n > self.size:
            raise ValueError(f"cannot take {n} different blocks of {self.size}")
        chosen = np.sort(rng.choice(self.size, n, replace=False))
        return Blocks(self.ids[chosen], self.places[chosen])

    @classmethod
    def merge(cls, parts: Sequence[Blocks]) -> Blocks:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "places")))

    @classmethod
    def subsample(cls, parts: Sequence[Blocks], n: int, rng: np.random.Generator) -> tuple[Blocks, np.ndarray]:
        """`n` blocks drawn without replacement from the union, and how many each part gave, shape (1, parts)."""
        shares = rng.multivariate_hypergeometric([part.size for part in parts], n, method="marginals")
        taken = [part.take(int(m), rng) for part, m in zip(parts, shares, strict=True)]
        return cls.merge(taken), shares[None]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"ids": self.ids, "places": self.places}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Blocks:
        return cls(arrays["ids"], arrays["places"])

"""Items of a few types, known by how many there are of each, for a block of chains at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Counts", "take"]


@dataclass(frozen=True)
class Counts:
    """A sample known by its counts, ``counts`` of shape (chains, types); every chain holds `size` items."""

    size: int
    counts: np.ndarray

    def take(self, n: int, rng: np.random.Generator) -> Counts:
        """`n` items without replacement: a multivariate hypergeometric draw in every chain."""
        return Counts(n, take(self.counts, np.full(len(self.counts), n), rng))

    @classmethod
    def merge(cls, parts: Sequence[Counts]) -> Counts:
        return cls(sum(part.size for part in parts), sum(part.counts for part in parts))

    @classmethod
    def subsample(cls, parts: Sequence[Counts], n: int, rng: np.random.Generator) -> tuple[Counts, np.ndarray]:
        """How many items each part gives is hypergeometric; which ones, given that, is hypergeometric again."""
        chains = len(parts[-1].counts)
        shares = rng.multivariate_hypergeometric([part.size for part in parts], n, size=chains)
        taken = [take(part.counts, share, rng) for part, share in zip(parts, shares.T, strict=True)]
        return cls(n, sum(taken)), shares

    def arrays(self) -> dict[str, np.ndarray]:
        return {"size": np.array(self.size), "counts": self.counts.astype(np.int32)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Counts:
        return cls(int(arrays["size"]), arrays["counts"].astype(np.int64))


def take(counts: np.ndarray, n: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A draw of ``n[c]`` items without replacement from the counts of chain c, only over types it has."""
    taken = np.zeros(counts.shape, dtype=np.int64)
    for chain, (row, wanted) in enumerate(zip(counts, n, strict=True)):
        alive = np.flatnonzero(row)
        taken[chain, alive] = rng.multivariate_hypergeometric(row[alive], wanted, method="marginals")
    return taken

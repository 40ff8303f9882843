"""A trigram model with interpolated Kneser–Ney smoothing: what a base has to beat on the same tokens.

Kneser and Ney (1995) in the interpolated form of Chen and Goodman (1999), with one discount an order,
D = n1 / (n1 + 2 n2) from the numbers of n-grams with count one and two. Lower orders count in how many different
contexts an n-gram was seen, and the last one is the uniform distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Trigrams"]


@dataclass(frozen=True)
class _Order:
    """n-grams as numbers, ascending, and their counts; of each context its total, its types, and the discount."""

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    types: np.ndarray
    discount: float

    @classmethod
    def of(cls, grams: np.ndarray, counts: np.ndarray, vocabulary: int) -> _Order:
        contexts, first = np.unique(grams // vocabulary, return_index=True)
        sizes = np.diff(np.append(first, len(grams)))
        once, twice = ((counts == k).sum() for k in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.5
        return cls(grams, counts, contexts, np.add.reduceat(counts, first), sizes, float(discount))

    def mixed(self, grams: np.ndarray, vocabulary: int, lower: np.ndarray) -> np.ndarray:
        """Probability of the last token of each n-gram, given that of the order below (kept by unseen contexts)."""
        at, found = _find(self.grams, grams)
        counts = np.where(found, self.counts[at], 0)
        context, known = _find(self.contexts, grams // vocabulary)
        totals, types = (np.where(known, x[context], 1) for x in (self.totals, self.types))
        mixture = np.maximum(counts - self.discount, 0) / totals + self.discount * types / totals * lower
        return np.where(known, mixture, lower)


def _find(values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the wanted values stand among sorted ones, and whether they do."""
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return at, values[at] == wanted


class Trigrams:
    """The model, fitted to blocks of token ids (blocks, length) from a vocabulary of that size.

    No n-gram crosses the border of a block.
    """

    def __init__(self, blocks: np.ndarray, vocabulary: int):
        self.vocabulary, v = vocabulary, vocabulary
        ids = blocks.astype(np.int64)
        three, counts = np.unique((ids[:, :-2] * v + ids[:, 1:-1]) * v + ids[:, 2:], return_counts=True)
        # Every pair counts with its left contexts; the pair that begins a block has none, and gets one.
        starts = np.unique(ids[:, 0] * v + ids[:, 1])
        two, before = np.unique(np.concatenate([three % (v * v), starts]), return_counts=True)
        one, contexts = np.unique(two % v, return_counts=True)
        self.orders = [_Order.of(*pair, v) for pair in ((one, contexts), (two, before), (three, counts))]

    def token_losses(self, blocks: np.ndarray) -> np.ndarray:
        """Negative log-likelihood in nats of every token but the first of each block, shape (blocks, length - 1)."""
        v, ids = self.vocabulary, blocks.astype(np.int64)
        one, two, three = self.orders
        target = ids[:, 1:]
        lower = one.mixed(target, v, np.full(target.shape, 1 / v))
        lower = two.mixed(ids[:, :-1] * v + target, v, lower)
        trigrams = (ids[:, :-2] * v + ids[:, 1:-1]) * v + ids[:, 2:]
        lower[:, 1:] = three.mixed(trigrams, v, lower[:, 1:])
        return -np.log(lower)

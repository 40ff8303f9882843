"""A detector of synthetic items that errs, given by one point of its ROC curve, and draws by its verdicts."""

from __future__ import annotations

import numpy as np

__all__ = ["POWER", "REPEATS", "detected", "flagged", "weighted"]

POWER = 10  # of 1 - P(synthetic), as in Drayson et al. (2502.15654)
REPEATS = 3  # of an item in a weighted pool, likewise


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

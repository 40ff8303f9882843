"""Whether two sets of items differ, and whether as collapse makes them differ, at a rate of false alarms that holds.

Items of both sets are put together, everything that needs no labels is computed once (neighbours, densities, distances,
words), and then the labels are dealt out anew many times. If both sets were drawn alike, the true labels are one deal
among many, so that the share of deals that look as extreme is a p-value for any sample size and distribution (Good,
2005). Several statistics share one rate by the distribution of the smallest p-value (Westfall and Young, 1993).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist

__all__ = ["NEIGHBOURS", "SAYS", "Statistic", "adjusted", "frechet", "of_points", "of_words"]

SAYS = ("narrow", "missing", "strange", "different")
NEIGHBOURS = 5
SPARSEST = 0.1  # of all items are the tail
RARE = 0.05  # of all words that are written are rare ones


@dataclass(frozen=True)
class Statistic:
    """A number for every deal of labels.

    Attributes
    ----------
    value : callable
        ``value(deals)`` of booleans, shape (deals, items), true for the candidate: numbers, shape (deals,).
    says : {"narrow", "missing", "strange", "different"}
        What an extreme number says of the candidate: it has less of what is rare; it lacks what the reference has; it
        has what the reference lacks; it differs. Small numbers are extreme, but for the last, where large ones are.
    """

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    says: str


def of_points(x: np.ndarray) -> list[Statistic]:
    """Statistics of items as points, shape (items, dimensions).

    ``tail``: share of the candidate among the tenth of all items whose neighbours are farthest, over its share among
    all; ``coverage``, ``precision``: share of the reference's items with one of the candidate's among their five
    nearest neighbours, and the other way round; ``energy``: energy distance (Székely and Rizzo, 2013).
    """
    apart = cdist(x, x)
    size = len(x)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argpartition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    radius = np.take_along_axis(apart, nearest, axis=1).max(axis=1)
    tail = np.argsort(radius)[-max(round(SPARSEST * size), 1) :]
    np.fill_diagonal(apart, 0.0)

    def tail_share(deals: np.ndarray) -> np.ndarray:
        return deals[:, tail].mean(axis=1) / deals.mean(axis=1)

    def coverage(deals: np.ndarray) -> np.ndarray:
        return np.array([deal[nearest[~deal]].any(axis=1).mean() for deal in deals])

    def precision(deals: np.ndarray) -> np.ndarray:
        return coverage(~deals)

    def energy(deals: np.ndarray) -> np.ndarray:
        weights = deals / deals.sum(axis=1, keepdims=True) - ~deals / (~deals).sum(axis=1, keepdims=True)
        return -((weights @ apart) * weights).sum(axis=1)

    return [
        Statistic("tail", tail_share, "narrow"),
        Statistic("coverage", coverage, "missing"),
        Statistic("precision", precision, "strange"),
        Statistic("energy", energy, "different"),
    ]


def frechet(x: np.ndarray) -> Statistic:
    """The squared Fréchet distance of the two sets of points, x of shape (items, dimensions); no part of the alarm.

    As `model_collapse.distances.frechet_distance` for every deal, from sums of products that are taken once.
    """
    size, dimensions = x.shape
    products = (x[:, :, None] * x[:, None, :]).reshape(size, -1)

    def moments(deals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = deals.sum(axis=1)[:, None]
        means, raw = deals @ x / counts, (deals @ products / counts).reshape(-1, dimensions, dimensions)
        centred = raw - means[:, :, None] * means[:, None, :]
        return means, centred * (counts / (counts - 1))[:, :, None]

    def distance(deals: np.ndarray) -> np.ndarray:
        (ours, a), (theirs, b) = moments(1.0 - deals), moments(deals.astype(float))
        values, vectors = np.linalg.eigh(a)
        root = (vectors * np.sqrt(values.clip(0))[:, None, :]) @ vectors.transpose(0, 2, 1)
        cross = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum(axis=1)
        traces = np.trace(a + b, axis1=1, axis2=2)
        return ((ours - theirs) ** 2).sum(axis=1) + traces - 2 * cross

    return Statistic("frechet", distance, "different")


def of_words(counts: csr_matrix) -> list[Statistic]:
    """Statistics of items as bags of words, counts of shape (items, words).

    ``rare_words``: share of the candidate's words that are among the rarest of all, which make up a twentieth of what
    both write; ``survival``, ``known``: share of the reference's different words that the candidate writes too, and
    the other way round.
    """
    counts = csr_matrix(counts, dtype=np.int64)
    total = np.asarray(counts.sum(axis=0)).ravel()
    order = np.argsort(total, kind="stable")
    rare = np.zeros(len(total))
    rare[order[: np.searchsorted(total[order].cumsum(), RARE * total.sum(), side="right")]] = 1
    written, rarely = np.asarray(counts.sum(axis=1)).ravel(), counts @ rare
    there = (counts > 0).astype(np.int32).T.tocsr()

    def rare_words(deals: np.ndarray) -> np.ndarray:
        return (deals @ rarely) / (deals @ written)

    def survival(deals: np.ndarray) -> np.ndarray:
        ours, theirs = ((there @ side.T.astype(np.int32)) > 0 for side in (~deals, deals))
        return (ours & theirs).sum(axis=0) / ours.sum(axis=0)

    def known(deals: np.ndarray) -> np.ndarray:
        return survival(~deals)

    return [
        Statistic("rare_words", rare_words, "narrow"),
        Statistic("survival", survival, "missing"),
        Statistic("known", known, "strange"),
    ]


def adjusted(
    statistics: list[Statistic], labels: np.ndarray, deals: int, rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """Each statistic's value, its median over random deals, and its p-value, adjusted for all statistics together.

    Parameters
    ----------
    labels : numpy.ndarray of bool, shape (items,)
        True for the candidate.
    deals : int
        Random ones; the smallest possible p-value is 1 / (deals + 1).
    """
    dealt = np.stack([labels, *(rng.permutation(labels) for _ in range(deals))])
    values = np.stack([statistic.value(dealt) for statistic in statistics])
    extreme = np.stack(
        [x if statistic.says == "different" else -x for statistic, x in zip(statistics, values, strict=True)]
    )
    # Of each deal, the share of deals at least as extreme; ties count against it, so that the rate is never above.
    ordered = np.sort(extreme, axis=1)
    ranks = np.stack(
        [deals + 1 - np.searchsorted(row, x, side="left") for row, x in zip(ordered, extreme, strict=True)]
    )
    alone = ranks / (deals + 1)
    smallest = alone.min(axis=0)
    return {
        statistic.name: (float(x[0]), float(np.median(x[1:])), float((smallest <= p[0]).mean()))
        for statistic, x, p in zip(statistics, values, alone, strict=True)
    }

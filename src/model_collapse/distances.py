"""How far two sets of points are apart, for points that are features of images."""

from __future__ import annotations

import numpy as np

__all__ = ["frechet_distance", "nearest_distances", "precision_recall"]

CHUNK = 1000  # rows of a distance matrix that are held at once


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance between the Gaussians with the moments of two sets of points.

    ``|m_a - m_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2))`` (Heusel et al., 2017), with unbiased covariances. The trace
    of the root is the sum of the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is symmetric.

    Parameters
    ----------
    a, b : numpy.ndarray, shape (points, features)

    Raises
    ------
    ValueError
        Where a set has fewer than two points.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a Fréchet distance needs two points in each set, not {len(a)} and {len(b)}")
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    cov_a, cov_b = (np.atleast_2d(np.cov(x.T)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    gap = a.mean(axis=0) - b.mean(axis=0)
    return float(max(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * cross, 0.0))


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al., 2019).

    Precision is the share of fake points within the reach of some real point, recall the share of real points within
    the reach of some fake one; a point reaches as far as its k-th nearest neighbour in its own set.

    Parameters
    ----------
    real, fake : numpy.ndarray, shape (points, features)

    Raises
    ------
    ValueError
        Where a set has no k neighbours for a point.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(
            f"precision and recall with k = {k} need more than {k} points, not {len(real)} and {len(fake)}"
        )
    return _covered(fake, real, k), _covered(real, fake, k)


def nearest_distances(points: np.ndarray, among: np.ndarray, without: np.ndarray | None = None) -> np.ndarray:
    """Distance of every point to its nearest neighbour in another set, shape (points,).

    Parameters
    ----------
    without : numpy.ndarray of int, shape (points, some), or None
        For every point, which of the others are passed over, such as itself.
    """
    found = []
    for begin, rows in _squared(points, among):
        if without is not None:
            np.put_along_axis(rows, without[begin : begin + len(rows)], np.inf, axis=1)
        found.append(np.sqrt(rows.min(axis=1)))
    return np.concatenate(found)


def _covered(points: np.ndarray, by: np.ndarray, k: int) -> float:
    """Share of the points that lie within the reach of one of `by`."""
    # the point itself is its own nearest neighbour, at distance 0
    reach = np.concatenate([np.partition(rows, k, axis=1)[:, k] for _, rows in _squared(by, by)])
    return float(np.concatenate([(rows <= reach).any(axis=1) for _, rows in _squared(points, by)]).mean())


def _squared(a: np.ndarray, b: np.ndarray):
    """Squared distances between all points of two sets, a stretch of rows at a time: (first row, rows)."""
    for begin in range(0, len(a), CHUNK):
        some = np.asarray(a[begin : begin + CHUNK], dtype=np.float64)
        rows = np.empty((len(some), len(b)))
        for first in range(0, len(b), CHUNK):
            others = np.asarray(b[first : first + CHUNK], dtype=np.float64)
            norms = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
            rows[:, first : first + len(others)] = norms - 2 * some @ others.T
        yield begin, rows.clip(0, out=rows)

"""Samples of Gaussians, for a block of chains at once: their items, or the moments that a fit asks for.

A sample of a Gaussian enters a fit only through its mean and its scatter matrix, which are independent and have
exact laws (normal and Wishart). So a chain may draw *those* instead of n items: same distribution, at the cost of one
item. `Points` holds the items themselves, for regimes that pick some of them and for the test that both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import points

__all__ = ["Model", "Moments", "Points", "restore", "wishart_root"]


@dataclass(frozen=True)
class Moments:
    """A sample known by its size, mean and a root of its scatter matrix.

    Attributes
    ----------
    size : int
    mean : numpy.ndarray, shape (chains, d)
    root : numpy.ndarray, shape (chains, d, k)
        ``root @ root.T`` is the sum of outer products of deviations from the mean. A root, because under replace the
        next root is a product of roots: axes that have shrunk by many orders of magnitude keep their digits.
    """

    size: int
    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def merge(cls, parts: Sequence[Moments | Points]) -> Moments:
        """Union of samples, by the parallel update of mean and scatter (Chan, Golub and LeVeque)."""
        total, *rest = [part.moments() for part in parts if part.size]
        for part in rest:
            size = total.size + part.size
            gap = part.mean - total.mean
            across = gap[:, :, None] * np.sqrt(total.size * part.size / size)
            root = _root(np.concatenate([total.root, part.root, across], axis=2))
            total = Moments(size, total.mean + gap * (part.size / size), root)
        return total

    def moments(self) -> Moments:
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        return {"size": np.array(self.size), "mean": self.mean, "root": self.root}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Moments:
        return cls(int(arrays["size"]), arrays["mean"], arrays["root"])


class Points(points.Points):
    """The items themselves; they merge with moments into moments."""

    @classmethod
    def merge(cls, parts: Sequence[Moments | Points]) -> Moments | Points:
        if all(isinstance(part, Points) for part in parts):
            return super().merge(parts)
        return Moments.merge(parts)

    def moments(self) -> Moments:
        mean = self.x.mean(axis=1)
        gaps = self.x - mean[:, None, :]
        return Moments(self.size, mean, _root(gaps.transpose(0, 2, 1)))


@dataclass(frozen=True)
class Model:
    """Fitted Gaussians: ``mean`` (chains, d) and a root of the covariance, ``root`` (chains, d, k)."""

    mean: np.ndarray
    root: np.ndarray

    def draw_points(self, n: int, rng: np.random.Generator) -> Points:
        z = rng.standard_normal((len(self.mean), n, self.root.shape[2]))
        return Points(self.mean[:, None, :] + _times(self.root, z.transpose(0, 2, 1)).transpose(0, 2, 1))

    def draw_moments(self, n: int, rng: np.random.Generator) -> Moments:
        """Mean and scatter of `n` items from their exact joint law: a normal and, independently, a Wishart."""
        chains, k = len(self.mean), self.root.shape[2]
        if n == 0:
            return Moments(0, self.mean, np.zeros_like(self.root))
        z = rng.standard_normal((chains, k, 1)) / np.sqrt(n)
        return Moments(
            n, self.mean + _times(self.root, z)[:, :, 0], _times(self.root, wishart_root(n - 1, k, chains, rng))
        )


def restore(arrays: dict[str, np.ndarray]) -> Moments | Points:
    """Items from the arrays that a resume state keeps."""
    return (Points if "x" in arrays else Moments).from_arrays(arrays)


def wishart_root(freedom: int, d: int, chains: int, rng: np.random.Generator) -> np.ndarray:
    """R with R R^T ~ Wishart(I_d, freedom): Bartlett's triangle, or plain columns where freedom < d."""
    if freedom < d:
        return rng.standard_normal((chains, d, freedom))
    diagonal = np.sqrt(rng.chisquare(freedom - np.arange(d), size=(chains, d)))
    if d == 1:
        return diagonal[:, :, None]
    root = np.zeros((chains, d, d))
    low = np.tril_indices(d, -1)
    root[:, low[0], low[1]] = rng.standard_normal((chains, len(low[0])))
    root[:, np.arange(d), np.arange(d)] = diagonal
    return root


def _root(wide: np.ndarray) -> np.ndarray:
    """A root of ``wide @ wide.T`` with as few columns as it needs, shape (chains, d, <= d)."""
    d, k = wide.shape[1:]
    if d == 1:
        return np.sqrt((wide**2).sum(axis=2, keepdims=True))
    if k <= d:
        return wide
    square = wide @ wide.transpose(0, 2, 1)
    try:
        return np.linalg.cholesky(square)
    except np.linalg.LinAlgError:  # a chain whose scatter is singular to machine precision
        values, vectors = np.linalg.eigh(square)
        return vectors * np.sqrt(np.maximum(values, 0))[:, None, :]


def _times(root: np.ndarray, z: np.ndarray) -> np.ndarray:
    return root * z if root.shape[1:] == (1, 1) else root @ z

"""How far mixtures are apart, and how wide they are, for a block of chains at once."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from .em import Mixtures

__all__ = ["component_spread", "l2_squared", "log_density", "log_likelihood", "separation"]


def l2_squared(a: Mixtures, b: Mixtures) -> np.ndarray:
    """Squared L2 distance of two densities, shape (chains,), in closed form.

    The integral of the product of two Gaussians is the density of their difference at 0; the distance is the sum of
    such products over all pairs of components, with signs (released notebook).
    """
    return _product(a, a) - 2 * _product(a, b) + _product(b, b)


def _product(a: Mixtures, b: Mixtures) -> np.ndarray:
    gap = a.means[:, :, None, :] - b.means[:, None, :, :]
    covariance = a.covariances[:, :, None] + b.covariances[:, None, :]
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, gap[..., None])[..., 0]
    d = gap.shape[-1]
    log_det = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    density = np.exp(-0.5 * (z**2).sum(axis=-1) - log_det - 0.5 * d * np.log(2 * np.pi))
    return np.einsum("ci,cj,cij->c", a.weights, b.weights, density)


def log_likelihood(model: Mixtures, x: np.ndarray) -> np.ndarray:
    """Mean log-likelihood in nats of points (chains, points, d) under each chain's mixture, shape (chains,)."""
    return log_density(model, x).mean(axis=1)


def log_density(model: Mixtures, x: np.ndarray) -> np.ndarray:
    """Log density in nats at every one of the points (chains, points, d), shape (chains, points)."""
    gap = x[:, None] - model.means[:, :, None]
    root = np.linalg.cholesky(model.covariances)
    z = np.linalg.solve(root, gap.swapaxes(2, 3))
    log_det = np.log(np.diagonal(root, axis1=2, axis2=3)).sum(axis=2)
    constant = np.log(model.weights) - log_det - 0.5 * x.shape[2] * np.log(2 * np.pi)
    return logsumexp(constant[..., None] - 0.5 * (z**2).sum(axis=2), axis=1)


def component_spread(model: Mixtures) -> np.ndarray:
    """Mean over components of sqrt(trace of the covariance / d), shape (chains,)."""
    d = model.means.shape[2]
    return np.sqrt(np.trace(model.covariances, axis1=2, axis2=3) / d).mean(axis=1)


def separation(model: Mixtures) -> np.ndarray:
    """Largest distance between two means of a mixture, shape (chains,)."""
    gaps = model.means[:, :, None, :] - model.means[:, None, :, :]
    return np.sqrt((gaps**2).sum(axis=-1)).max(axis=(1, 2))

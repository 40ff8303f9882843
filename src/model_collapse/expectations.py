"""Closed forms and null models that theory, claims and figures share.

Throughout, sigma = 1 unless a parameter says otherwise, a *fit* is one estimation of a model (model g is fit
number g + 1), and ``sizes`` holds the number of items behind each fit, M_0, M_1, …, in order.

Sources: Shumailov et al. (Nature 2024), section 3 and supplement 3.1.1, for the first order; Gerstgrasser et al.
(arXiv 2404.01413) for the regression; Alemohammad et al. (arXiv 2307.01850) for the sampling bias; Dohmatob et al.
(arXiv 2410.04840) for the floor. The exact companions are derived here and held against simulation by the tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, polygamma, psi

__all__ = [
    "absorption_probabilities",
    "accumulate_mean_variance",
    "accumulate_test_error",
    "c4",
    "expected_w2_squared",
    "expected_w2_squared_limit",
    "first_order_w2_squared",
    "fixed_share_floor",
    "fresh_fixed_point",
    "log_variance_quantile",
    "lost_by",
    "marginal_variance",
    "median_variance",
    "replace_test_error",
]


def c4(n: ArrayLike) -> np.ndarray:
    """E[S] / sigma for S the square root of the unbiased variance of n Gaussian items (n >= 2)."""
    n = np.asarray(n, dtype=float)
    exact = np.exp(0.5 * np.log(2 / (n - 1)) + gammaln(n / 2) - gammaln((n - 1) / 2))
    series = 1 - 1 / (4 * n) - 7 / (32 * n**2) - 19 / (128 * n**3)
    return np.where(n > 1000, series, exact)  # the difference of two large log-gammas cancels its own digits


def expected_w2_squared(sizes: ArrayLike) -> np.ndarray:
    """Exact E[W2^2] between the fitted and the true one-dimensional Gaussian, unbiased estimators, replace.

    The mean is a random walk with steps of variance 1/M_i (the fitted variance is a martingale), the sd a product
    of independent factors with means c4(M_i).

    Parameters
    ----------
    sizes : array_like, shape (fits,)

    Returns
    -------
    numpy.ndarray, shape (fits,)
        Entry k is the value after k + 1 fits.
    """
    sizes = np.asarray(sizes, dtype=float)
    return np.cumsum(1 / sizes) + 2 * (1 - np.cumprod(c4(sizes)))


def expected_w2_squared_limit(start: float, growth: float, terms: int = 1_000_000) -> float:
    """Limit of `expected_w2_squared` for sizes ``start * i**growth``, i = 1, 2, …; infinite for growth <= 1.

    The first `terms` sizes are summed as they are (rounded to whole items), the rest by its integral.
    """
    if growth <= 1:
        return float("inf")
    i = np.arange(1, terms + 1)
    sizes = np.round(start * i**growth)
    tail = (terms + 0.5) ** (1 - growth) / (growth - 1) / start
    log_sd = np.log(c4(sizes)).sum() - tail / 4
    return float((1 / sizes).sum() + tail + 2 * (1 - np.exp(log_sd)))


def first_order_w2_squared(sizes: ArrayLike) -> np.ndarray:
    """The source's first order of `expected_w2_squared`: 3/2 times the sum of 1/M_i, shape (fits,)."""
    return 1.5 * np.cumsum(1 / np.asarray(sizes, dtype=float))


def marginal_variance(fits: ArrayLike, n: int) -> np.ndarray:
    """Variance over chains of one item sampled after `fits` fits of `n` items: 1 + fits / n (exact, unbiased)."""
    return 1 + np.asarray(fits, dtype=float) / n


def median_variance(fits: ArrayLike, n: int) -> np.ndarray:
    """Typical fitted variance after `fits` fits: exp(fits [psi((n-1)/2) - ln((n-1)/2)]), about exp(-fits/(n-1))."""
    half = (n - 1) / 2
    return np.exp(np.asarray(fits, dtype=float) * (psi(half) - np.log(half)))


def log_variance_quantile(fits: ArrayLike, n: int, z: float) -> np.ndarray:
    """The fitted variance `z` standard deviations (of its logarithm) above the typical path; normal approximation."""
    fits = np.asarray(fits, dtype=float)
    return median_variance(fits, n) * np.exp(z * np.sqrt(fits * polygamma(1, (n - 1) / 2)))


def accumulate_mean_variance(n: int, fits: ArrayLike) -> np.ndarray:
    """Var of the fitted mean after `fits` fits on everything so far: (1/n) sum of 1/i^2, at most pi^2 / (6 n)."""
    fits = np.asarray(fits, dtype=float)
    return (np.pi**2 / 6 - polygamma(1, fits + 1)) / n


def fresh_fixed_point(n_real: int, n_synthetic: int, bias: float = 1.0) -> tuple[float, float]:
    """Stationary (E[mu^2], E[sigma^2]) of the one-dimensional fit under fresh data, unbiased, exact.

    Both moments obey one linear recursion: the pooled scatter holds those of both parts and the gap between their
    means. For large n it gives E[mu^2] = 1 / (n (2 s - s^2)) at a fresh share s.
    """
    n = n_real + n_synthetic
    mean_row = np.array([n_synthetic**2, n_synthetic * bias]) / n**2
    gap_row = np.array([1.0, bias / max(n_synthetic, 1)]) * n_real * n_synthetic / n
    variance_row = (np.array([0.0, max(n_synthetic - 1, 0) * bias]) + gap_row) / (n - 1)
    constant = np.array([n_real / n**2, (n_real - 1 + (n_synthetic / n)) / (n - 1)])
    mean, variance = np.linalg.solve(np.eye(2) - np.stack([mean_row, variance_row]), constant)
    return float(mean), float(variance)


def replace_test_error(d: int, n: int, sigma: float, fits: ArrayLike) -> np.ndarray:
    """Excess test error of least squares after `fits` fits, replace: sigma^2 d fits / (n - d - 1), for n >= d + 2."""
    return sigma**2 * d / (n - d - 1) * np.asarray(fits, dtype=float)


def accumulate_test_error(d: int, n: int, sigma: float, fits: ArrayLike) -> np.ndarray:
    """The same under accumulate, bounded by pi^2 / 6 times one fit: sigma^2 d / (n - d - 1) times the sum of 1/i^2."""
    fits = np.asarray(fits, dtype=float)
    return sigma**2 * d / (n - d - 1) * (np.pi**2 / 6 - polygamma(1, fits + 1))


def fixed_share_floor(d: int, n: ArrayLike, sigma: float, share: ArrayLike, quality: float) -> np.ndarray:
    """Ridgeless test error on a pool with a fixed synthetic share p: sigma^2 d / n + p^2 c^2 (small d / n)."""
    return sigma**2 * d / np.asarray(n, dtype=float) + np.asarray(share, dtype=float) ** 2 * quality


def absorption_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """P(the chain ends in state s) under pure resampling: the state's first probability (neutral drift)."""
    probabilities = np.asarray(probabilities, dtype=float)
    return probabilities / probabilities.sum()


def lost_by(copies: ArrayLike, generations: int) -> np.ndarray:
    """P(a type with `copies` copies is gone after `generations` resamplings at constant, large total size).

    Each copy leaves a Poisson(1) number of descendants, so one copy's line is extinct after k steps with
    probability q_k = exp(q_(k-1) - 1), q_0 = 0; the copies' lines are independent.
    """
    q = 0.0
    for _ in range(generations):
        q = np.exp(q - 1)
    return q ** np.asarray(copies, dtype=float)

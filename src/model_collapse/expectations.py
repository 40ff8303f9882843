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
from scipy.special import digamma, gammaln, ndtr

__all__ = [
    "accumulate_mean_variance",
    "accumulate_test_error",
    "accumulate_test_error_bound",
    "accumulate_variance",
    "c4",
    "expected_false_share",
    "expected_human_share",
    "expected_w2_squared",
    "expected_w2_squared_limit",
    "first_order_w2_squared",
    "fixed_share_error",
    "fixed_share_floor",
    "fresh_fixed_point",
    "lost_by",
    "marginal_variance",
    "typical_variance",
    "replace_test_error",
    "verifier_accuracy",
    "verifier_breakdown",
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


def typical_variance(fits: ArrayLike, n: int) -> np.ndarray:
    """Geometric mean of the fitted variance after `fits` fits: exp(fits [digamma((n-1)/2) - ln((n-1)/2)]).

    About exp(-fits / (n - 1)). The median lies within a fraction of a per cent of it, as the logarithm of a product of
    many factors is nearly symmetric.
    """
    half = (n - 1) / 2
    return np.exp(np.asarray(fits, dtype=float) * (digamma(half) - np.log(half)))


def accumulate_variance(n: int, fits: int) -> np.ndarray:
    """E[sigma^2] of a fit on everything so far, after 1, 2, … `fits` fits, shape (fits,); unbiased, exact.

    The pooled scatter gains what the gap between the pool's mean and the new sample's adds, which is a little less
    than the degree of freedom it costs: each fit multiplies by 1 - 1 / (i (i n - 1)).
    """
    i = np.arange(2.0, fits + 1)
    return np.concatenate([[1.0], np.cumprod(1 - 1 / (i * (i * n - 1)))])


def accumulate_mean_variance(n: int, fits: int) -> np.ndarray:
    """Var of the fitted mean under accumulate after 1, 2, … `fits` fits, shape (fits,); exact.

    Fit i moves the mean by a variance of E[sigma^2] / (n i^2), so the sum stays below pi^2 / (6 n).
    """
    i = np.arange(1.0, fits + 1)
    before = np.concatenate([[1.0], accumulate_variance(n, fits)[:-1]])
    return np.cumsum(before / i**2) / n


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


def accumulate_test_error(d: int, n: int, sigma: float, fits: int) -> np.ndarray:
    """The same under accumulate, after 1, 2, … `fits` fits, shape (fits,); exact where each generation has new points.

    Fit i moves the weights by G_i^-1 X_i^T noise, with G_i the Gram matrix of all i n points: sigma^2 times the sum of
    d / (i (i n - d - 1)).
    """
    i = np.arange(1.0, fits + 1)
    return sigma**2 * np.cumsum(d / (i * (i * n - d - 1)))


def accumulate_test_error_bound(d: int, n: int, sigma: float) -> float:
    """The source's bound: pi^2 / 6 times the error of one fit."""
    return float(np.pi**2 / 6 * replace_test_error(d, n, sigma, 1))


def fixed_share_floor(d: int, n: ArrayLike, sigma: float, share: ArrayLike, quality: float) -> np.ndarray:
    """Ridgeless test error on a pool with a fixed synthetic share p, first order in d / n: sigma^2 d / n + p^2 c^2."""
    return sigma**2 * d / np.asarray(n, dtype=float) + np.asarray(share, dtype=float) ** 2 * quality


def fixed_share_error(d: int, n: ArrayLike, sigma: float, share: ArrayLike, quality: float) -> np.ndarray:
    """The same to the next order: sigma^2 d / (n - d - 1) + p^2 c^2 + p (1 - p) c^2 d / n."""
    n, share = np.asarray(n, dtype=float), np.asarray(share, dtype=float)
    return sigma**2 * d / (n - d - 1) + quality * (share**2 + share * (1 - share) * d / n)


def verifier_breakdown(phi: ArrayLike, psi: ArrayLike) -> np.ndarray:
    """Share of wrong labels up to which what a verifier keeps has more right ones, 1 / (1 + psi / phi).

    Feng et al. (arXiv 2406.07515): it keeps a right label with probability phi, a wrong one with probability psi.
    """
    phi, psi = np.asarray(phi, dtype=float), np.asarray(psi, dtype=float)
    return phi / (phi + psi)


def verifier_accuracy(d: int, n: int, gap: float, p: ArrayLike, phi: float, psi: float) -> np.ndarray:
    """Accuracy of the mean of n verified labels times their points, each sum taken at its expectation.

    The mean has n ((1 - p) phi - p psi) gap along the true direction, and n ((1 - p) phi + p psi) d as the squared
    length of its noise; the accuracy of a direction at angle a is Phi(gap cos a).
    """
    p = np.asarray(p, dtype=float)
    right, wrong = n * (1 - p) * phi, n * p * psi
    along = (right - wrong) * gap
    return ndtr(gap * along / np.sqrt(along**2 + (right + wrong) * d))


def lost_by(copies: ArrayLike, generations: int) -> np.ndarray:
    """P(a type with `copies` copies is gone after `generations` resamplings at constant, large total size).

    Each copy leaves a Poisson(1) number of descendants, so one copy's line is extinct after k steps with
    probability q_k = exp(q_(k-1) - 1), q_0 = 0; the copies' lines are independent.
    """
    q = 0.0
    for _ in range(generations):
        q = np.exp(q - 1)
    return q ** np.asarray(copies, dtype=float)


def expected_false_share(copies: ArrayLike, generations: ArrayLike, doubt: float, answers: int) -> np.ndarray:
    """Expected share of wrong answers about a fact that people told `copies` times, replace.

    A model that heard c statements and adds `doubt` of all answers alike gives the true one with an expected
    probability that shrinks towards 1 / answers by c / (c + doubt) each time. See `model_collapse.affected.facts`.
    """
    c, g = np.asarray(copies, dtype=float), np.asarray(generations, dtype=float)
    return (1 - 1 / answers) * (1 - (c / (c + doubt)) ** (g + 1))


def expected_human_share(
    regime: str, generations: ArrayLike, *, share: float = 0.1, n_real: int = 0, n_synthetic: int = 0
) -> np.ndarray:
    """Expected share of human items in pool g, for a source with as many items as a pool; 1 at g = 0.

    0 under ``replace``, the share that is kept under ``keep``, 1/2 under ``augment``, 1 / (g + 1) under ``accumulate``,
    a / (a + b) under ``fresh(a, b)``; exact in every chain. Under ``accumulate_subsample`` it is 1 / (g + 1) as well,
    as a mean over chains: n items are drawn without replacement from (g + 1) n, of which n are human, so the count is
    hypergeometric. Items are counted that people made and that stand in the pool themselves. Ancestry is another
    thing: each model descends from human data, however few are left.

    Parameters
    ----------
    generations : array_like of int
        Indices g of pools.
    share : float
        ``keep``: human share of a pool; exact where that makes whole items, else a pool holds the nearest whole number.
    n_real, n_synthetic : int
        ``fresh``: never-used human items and items of the last sample in every pool.

    Raises
    ------
    ValueError
        For a name that is no regime's.
    """
    g = np.asarray(generations, dtype=float)
    if regime == "fresh":
        later = n_real / (n_real + n_synthetic)
    elif regime in ("accumulate", "accumulate_subsample"):
        later = 1 / (g + 1)
    elif regime in (constant := {"replace": 0.0, "keep": share, "augment": 0.5}):
        later = constant[regime]
    else:
        raise ValueError(f"no closed form for regime {regime!r}")
    return np.where(g == 0, 1.0, later)

"""The same fit by scikit-learn, one chain after the other: what the released notebook calls, to be held against."""

from __future__ import annotations

import warnings

import numpy as np

from .em import Mixtures

__all__ = ["fit_by_scikit_learn"]


def fit_by_scikit_learn(
    x: np.ndarray, components: int, rng: np.random.Generator, *, tol: float, max_iter: int, reg_covar: float
) -> Mixtures:
    """As `model_collapse.gmm.em.fit` from scratch, by `sklearn.mixture.GaussianMixture` with its own k-means start."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    options = {"tol": tol, "max_iter": max_iter, "reg_covar": reg_covar}
    seeds = rng.integers(2**31, size=len(x))
    k, d = components, x.shape[2]
    weights, means, covariances = (np.full((len(x), *shape), np.nan) for shape in ((k,), (k, d), (k, d, d)))
    iterations = np.zeros(len(x), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations tells
        for chain, seed in enumerate(seeds):
            try:
                found = GaussianMixture(components, random_state=int(seed), **options).fit(x[chain])
            except ValueError as error:
                if "ill-defined empirical covariance" not in str(error):
                    raise
                continue
            weights[chain], means[chain], covariances[chain] = found.weights_, found.means_, found.covariances_
            iterations[chain] = found.n_iter_
    return Mixtures(weights, means, covariances, iterations)

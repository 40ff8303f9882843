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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations tells
        fits = [
            GaussianMixture(components, random_state=int(seed), **options).fit(chain)
            for chain, seed in zip(x, seeds, strict=True)
        ]
    parts = (np.array([getattr(found, name) for found in fits]) for name in ("weights_", "means_", "covariances_"))
    return Mixtures(*parts, np.array([found.n_iter_ for found in fits]))

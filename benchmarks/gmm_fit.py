"""The mixture refitted to its own sample, N = 1000: all chains at once, against one thread of the released loop."""

import time
import warnings

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from model_collapse import gmm

ITEMS, GENERATIONS = 1000, 200
CHAINS, CHAINS_OF_THE_LOOP = 50, 2  # the loop's time per chain does not depend on how many there are


def _ours(start: str) -> float:
    """Milliseconds per chain and generation, on as many threads as the machine has cores."""
    scale = {"chains": CHAINS, "block": CHAINS, "generations": GENERATIONS - 1, "grid": "ends", "start": start}
    gmm.run("blob-replace", "paper", progress=False, **scale | {"generations": 1})  # compiled on the first call
    begin = time.perf_counter()
    gmm.run("blob-replace", "paper", seed=1, progress=False, **scale)
    return (time.perf_counter() - begin) / (CHAINS * GENERATIONS) * 1e3


def from_scratch() -> float:
    return _ours("kmeans")


def from_the_last() -> float:
    return _ours("previous")


def released() -> float:
    """The loop as the released notebook has it, on one thread; milliseconds as above."""
    begin = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in range(CHAINS_OF_THE_LOOP):
            np.random.seed(seed)
            x, _ = make_blobs(ITEMS, centers=[[0, 0]], cluster_std=1, random_state=seed)
            for _ in range(GENERATIONS):
                model = GaussianMixture(n_components=2, tol=1e-5, covariance_type="full", max_iter=2000).fit(x)
                x, _ = model.sample(ITEMS)
    return (time.perf_counter() - begin) / (CHAINS_OF_THE_LOOP * GENERATIONS) * 1e3

"""Peak memory of accumulate: running moments, against the list of all samples that the released notebook keeps."""

import tracemalloc

import numpy as np

from model_collapse.theory import gaussian

CHAINS, ITEMS = 20_000, 100


def _peak(work, generations: int) -> int:
    tracemalloc.start()
    work(generations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _moments(generations: int) -> None:
    scale = {"chains": CHAINS, "block": CHAINS, "generations": generations, "grid": "ends"}
    gaussian.run("accumulate", "paper", progress=False, **scale)


def _list(generations: int) -> None:
    rng = np.random.default_rng(0)
    pool: list[float] = list(rng.standard_normal(ITEMS))
    for _ in range(generations):
        pool.extend(rng.normal(np.mean(pool), np.std(pool), ITEMS))


def ours() -> float:
    _moments(1)  # what is imported and cached on the first call is no memory of the pool
    return _peak(_moments, 1000) / _peak(_moments, 100)


def theirs() -> float:
    return _peak(_list, 1000) / _peak(_list, 100)

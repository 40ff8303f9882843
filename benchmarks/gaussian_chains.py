"""The recursive Gaussian, replace: all chains as one array, against one chain after the other in numpy."""

import time

import numpy as np

from model_collapse.theory import gaussian

ITEMS, GENERATIONS = 100, 1000
CHAINS, CHAINS_OF_THE_LOOP = 10_000, 100  # the loop's time per chain does not depend on how many there are


def ours() -> float:
    """Seconds of a whole run, measurements and record included, per chain and generation, in ns."""
    begin = time.perf_counter()
    scale = {"chains": CHAINS, "block": CHAINS, "generations": GENERATIONS - 1}
    gaussian.run("replace", "paper", seed=1, progress=False, **scale)
    return (time.perf_counter() - begin) / (CHAINS * GENERATIONS) * 1e9


def theirs() -> float:
    """The loop as the released notebook has it, with its own result kept per generation; ns as above."""
    rng = np.random.default_rng(1)
    begin = time.perf_counter()
    for _ in range(CHAINS_OF_THE_LOOP):
        mean, sd, kept = 0.0, 1.0, []
        for _ in range(GENERATIONS):
            x = rng.normal(mean, sd, ITEMS)
            mean, sd = x.mean(), x.std(ddof=1)
            kept.append((abs(mean), abs(sd - 1)))
    return (time.perf_counter() - begin) / (CHAINS_OF_THE_LOOP * GENERATIONS) * 1e9

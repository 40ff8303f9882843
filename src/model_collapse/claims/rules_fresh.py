"""Rules of the fresh-data loop in the Gaussian, d = 100 (Alemohammad et al., 2307.01850, figures 10 to 12).

Records, by study, and the metrics read from them:

gaussian/``fresh-start``
    arms over ``n_initial`` (100, 1000) and ``bias`` (1.0, 0.8); ``w2``, read at the last generation.
gaussian/``admissible``
    arms over ``bias``, ``n_real`` and ``n_synthetic`` (0: no synthetic data, the baseline); ``w2``, likewise.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from model_collapse.archive import Record

from .claim import Finding, NoVerdict, Records, grade
from .intervals import ERRORS, Estimate, estimate, interval, last, minus, number, percent, span

__all__ = ["m4", "m5"]

GROWTH = 0.10
UNBIASED = 1.0


def m4(records: Records) -> Finding:
    """W2 at the last generation from two sizes of the first pool, equal within 3 SE at both biases; partly: at one."""
    run = records["run"]
    g = last(run)
    biases = sorted({run.setting("bias", arm) for arm in run.arms})
    gaps = {bias: _gap(run, bias, g) for bias in biases}
    equal = [abs(gap.mean) <= ERRORS * gap.se for gap in gaps.values()]
    worst = max(gaps.values(), key=lambda gap: abs(gap.mean))
    return Finding(
        grade(all(equal), any(equal)),
        "; ".join(f"bias {bias}: apart by {span(interval(gap))}" for bias, gap in gaps.items()),
        worst.mean,
        interval(worst),
        min(gap.count for gap in gaps.values()),
        f"W2 at g = {g} of a loop begun with few items minus that of one begun with many, held against 0.",
    )


def _gap(run: Record, bias: float, g: int) -> Estimate:
    """W2 begun small minus W2 begun large, at one bias."""
    arms = {run.setting("n_initial", arm): arm for arm in run.arms if run.setting("bias", arm) == bias}
    if len(arms) < 2:
        raise NoVerdict(f"bias {bias} was run from one size of the first pool only")
    return minus(estimate(run, "w2", g, arms[min(arms)]), estimate(run, "w2", g, arms[max(arms)]))


def m5(records: Records) -> Finding:
    """The admissible number of synthetic items saturates in the human ones and falls with the bias; partly: one.

    Admissible is what leaves W2 no worse than without synthetic data. Saturates: for every bias below 1 it grows by
    less than 10 % over the last doubling of `n_real`. Falls: at the largest `n_real`, strictly, from bias to bias.
    """
    run = records["run"]
    biases = sorted({run.setting("bias", arm) for arm in run.arms if run.setting("n_synthetic", arm) > 0})
    most = max(run.setting("n_real", arm) for arm in run.arms)
    if not biases or biases[0] >= UNBIASED:
        raise NoVerdict("the record has no bias below 1")
    limits = {bias: _admissible(run, bias, most) for bias in biases}
    growth = {bias: _growth(_admissible(run, bias, most / 2), limits[bias]) for bias in biases if bias < UNBIASED}
    saturates = all(rate < GROWTH for rate in growth.values())
    falls = all(a < b for a, b in pairwise(limits.values()))
    worst = max(growth.values())
    return Finding(
        grade(saturates and falls, saturates or falls),
        "; ".join(f"bias {b}: {number(n) if np.isfinite(n) else 'no limit found'}" for b, n in limits.items())
        + f"; growth {percent(worst)}",
        worst,
        None,
        min(estimate(run, "w2", last(run), arm).count for arm in run.arms),
        f"Synthetic items at which W2 equals that of {number(most)} human ones alone; growth is from half as many.",
    )


def _growth(before: float, after: float) -> float:
    """Relative growth; infinite where there is no finite limit to grow from."""
    return after / before - 1 if np.isfinite(before) and np.isfinite(after) and before > 0 else float("inf")


def _admissible(run: Record, bias: float, n_real: float) -> float:
    """The `n_synthetic` at which mean W2 equals the baseline's.

    The difference to the baseline is interpolated linearly in log `n_synthetic` between the last admissible grid point
    and the first inadmissible one: infinite where all are admissible, 0 where none is.
    """
    g = last(run)
    arms = {a: run.setting("n_synthetic", a) for a in run.arms if run.setting("n_real", a) == n_real}
    baseline = [a for a, n in arms.items() if n == 0]
    grid = sorted((n, a) for a, n in arms.items() if n > 0 and run.setting("bias", a) == bias)
    if not baseline or not grid:
        raise NoVerdict(f"the record has no arms for n_real = {number(n_real)} at bias {bias}, or no baseline")
    same = [a for a in baseline if run.setting("bias", a) == bias]
    level = estimate(run, "w2", g, (same or baseline)[0]).mean
    before = None
    for n, arm in grid:
        excess = estimate(run, "w2", g, arm).mean - level
        if excess > 0:
            return 0.0 if before is None else _interpolate(before, (n, excess))
        before = (n, excess)
    return float("inf")


def _interpolate(low: tuple[int, float], high: tuple[int, float]) -> float:
    share = -low[1] / (high[1] - low[1])
    return float(np.exp(np.log(low[0]) + share * (np.log(high[0]) - np.log(low[0]))))

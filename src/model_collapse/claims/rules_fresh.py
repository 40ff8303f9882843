"""Rules of the fresh-data loop in the Gaussian, d = 100 (Alemohammad et al., 2307.01850, figures 10 to 12).

Records, by study, and the metrics read from them:

gaussian/``fresh-start``
    arms over ``n_initial`` (100, 1000) and ``bias`` (1.0, 0.8); ``w2``, read at the last generation.
gaussian/``admissible``
    arms over ``bias``, ``n_real`` and ``n_synthetic`` (0: no synthetic data, the baseline); ``w2``, likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from model_collapse.archive import Record

from .claim import Finding, NoVerdict, Records, grade
from .intervals import ERRORS, Estimate, estimate, interval, last, minus, number, percent, span

__all__ = ["admissible_numbers", "m4", "m5"]

Point = tuple[float, int, int]  # bias, n_real, n_synthetic

GROWTH = 0.10
UNBIASED = 1.0
DRAWS = 1000


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
    less than 10 % over the last doubling of `n_real`, upper end of the 95 % interval included. Falls: at the largest
    `n_real`, strictly, from bias to bias.
    """
    run = records["run"]
    found = {_point(run, arm): estimate(run, "w2", last(run), arm) for arm in run.arms}
    biases = sorted({bias for bias, _, synthetic in found if synthetic > 0})
    most = max(real for _, real, _ in found)
    if not biases or biases[0] >= UNBIASED:
        raise NoVerdict("the record has no bias below 1")
    means = {point: e.mean for point, e in found.items()}
    limits = {bias: _admissible(means, bias, most) for bias in biases}
    worst, bounds = _worst_growth(means, most), _growth_interval(found, most)
    saturates = bounds[1] < GROWTH
    falls = all(a < b for a, b in pairwise(limits.values()))
    return Finding(
        grade(saturates and falls, saturates or falls),
        "; ".join(f"bias {b}: {number(n) if np.isfinite(n) else 'no limit found'}" for b, n in limits.items())
        + f"; growth {percent(worst)} ({span(bounds, 100)} %)",
        worst,
        bounds,
        min(e.count for e in found.values()),
        f"Synthetic items at which W2 equals that of {number(most)} human ones alone; growth is from half as many.",
    )


def admissible_numbers(run: Record, bias: float) -> dict[int, float]:
    """How many synthetic items leave W2 no worse than none, by the number of human ones; infinite where all do."""
    means = {_point(run, arm): estimate(run, "w2", last(run), arm).mean for arm in run.arms}
    return {real: _admissible(means, bias, real) for real in sorted({real for _, real, _ in means})}


def _point(run: Record, arm: str) -> Point:
    return tuple(run.setting(name, arm) for name in ("bias", "n_real", "n_synthetic"))


def _worst_growth(means: Mapping[Point, float], most: float) -> float:
    """The largest relative growth of the admissible number over the last doubling, over the biases below 1."""
    biases = {bias for bias, _, _ in means if bias < UNBIASED}
    return max(_growth(*(_admissible(means, bias, real) for real in (most / 2, most))) for bias in biases)


def _growth_interval(found: Mapping[Point, Estimate], most: float) -> tuple[float, float]:
    """95 % interval of `_worst_growth`: every mean is drawn anew from its normal law, a fixed number of times."""
    rng = np.random.default_rng(0)
    draws = ({point: rng.normal(e.mean, e.se) for point, e in found.items()} for _ in range(DRAWS))
    growths = np.sort([_worst_growth(means, most) for means in draws])
    low, high = (round(q * (DRAWS - 1)) for q in (0.025, 0.975))
    return float(growths[low]), float(growths[high])


def _growth(before: float, after: float) -> float:
    """Relative growth; infinite where there is no finite limit to grow from."""
    return after / before - 1 if np.isfinite(before) and np.isfinite(after) and before > 0 else float("inf")


def _admissible(means: Mapping[Point, float], bias: float, n_real: float) -> float:
    """The `n_synthetic` at which mean W2, by (bias, n_real, n_synthetic), equals that without synthetic items.

    The difference to the baseline is interpolated linearly in log `n_synthetic` between the last admissible grid point
    and the first inadmissible one: infinite where all are admissible, 0 where none is.
    """
    baseline = [mean for (_, real, synthetic), mean in means.items() if real == n_real and synthetic == 0]
    grid = sorted((n, mean) for (b, real, n), mean in means.items() if (b, real) == (bias, n_real) and n > 0)
    if not baseline or not grid:
        raise NoVerdict(f"the record has no arms for n_real = {number(n_real)} at bias {bias}, or no baseline")
    level = np.mean(baseline)  # without synthetic items the bias makes no difference
    before = None
    for n, mean in grid:
        if mean > level:
            return 0.0 if before is None else _interpolate(before, (n, mean - level))
        before = (n, mean - level)
    return float("inf")


def _interpolate(low: tuple[int, float], high: tuple[int, float]) -> float:
    share = -low[1] / (high[1] - low[1])
    return float(np.exp(np.log(low[0]) + share * (np.log(high[0]) - np.log(low[0]))))

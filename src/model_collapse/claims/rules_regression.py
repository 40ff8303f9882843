"""Rules of linear regression: Gerstgrasser et al. (2404.01413), Dohmatob et al. (2410.04840), Feng et al. (2406.07515).

Index: n of the theorem is the number of fits, g + 1. Test error is in excess of the noise.

Records, by study, and the metrics read from them:

regression/``replace``, ``accumulate``
    config ``d``, ``n`` (items a pool, T in the theorem), ``sigma``; ``test_error``, g to 999.
regression/``fixed-share``
    arms over ``n`` and ``synthetic_share``, config ``d``, ``sigma``, ``quality`` (c^2); ``test_error`` at g = 1.
verifier/``sweep``
    arms over ``p`` (share of wrong labels), ``phi`` (a right label is kept), ``psi`` (a wrong one is kept);
    ``accuracy`` of the classifier fitted on what was kept, at the last generation.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from model_collapse.archive import Record
from model_collapse.expectations import fixed_share_floor, replace_test_error

from .claim import Finding, NoVerdict, Records, grade
from .intervals import ERRORS, Estimate, estimate, interval, last, number, percent, slope, span, within

__all__ = ["a1", "a2", "f1", "s1"]

LAST_FIT = 1000
MARGIN = 0.10
BOUND = np.pi**2 / 6
SHARES = (0.0, 0.01, 0.1)
SMALL_RATIO = 0.02  # d / n up to which the two-term formula is meant
PAIRS, CROSSING_MARGIN, HALF = 3, 0.05, 0.5


def a1(records: Records) -> Finding:
    """Slope of the mean test error in the number of fits, 1 … 1000, within 3 SE of sigma^2 d / (T - d - 1).

    Least squares over the kept generations; the standard error is the spread of the kept chains' own slopes over the
    root of the number of all chains. (An error of the fit's residuals would be wrong: errors of one chain at
    successive generations depend on each other.) Partly: within 10 %.
    """
    run = records["replace"]
    found = slope(run, "test_error", [g for g in run.generations if g < LAST_FIT])
    wanted = _one_fit(run)
    off = found.mean / wanted - 1
    return Finding(
        grade(within(found, wanted), abs(off) <= MARGIN),
        f"{number(found.mean)} ({span(interval(found))}) per fit",
        found.mean,
        interval(found),
        found.count,
        f"Slope of the mean test error in the number of fits against {number(wanted)}; it is off by {percent(off)}.",
    )


def a2(records: Records) -> Finding:
    """Mean test error at fit 1000 under accumulate over that of one fit, at most pi^2 / 6 + 3 SE; partly: + 10 %."""
    run = records["accumulate"]
    error = estimate(run, "test_error", LAST_FIT - 1)
    unit = _one_fit(run)
    times = Estimate(error.mean / unit, error.se / unit, error.df, error.count)
    return Finding(
        grade(times.mean <= BOUND + ERRORS * times.se, times.mean <= (1 + MARGIN) * BOUND),
        f"{number(times.mean)} ({span(interval(times))}) times one fit's error",
        times.mean,
        interval(times),
        times.count,
        f"Test error after {LAST_FIT} fits over that of one fit, held against pi²/6 = {BOUND:.4g}.",
    )


def _one_fit(run: Record) -> float:
    return float(replace_test_error(run.setting("d"), run.setting("n"), run.setting("sigma"), 1))


def s1(records: Records) -> Finding:
    """Test error within 10 % of p^2 c^2 + sigma^2 d / n for p = 0, 0.01, 0.1; partly: errors in the order of p.

    The formula is one for small d / n: the terms it leaves out, d / n times p (1 - p) c^2 among them, reach its
    margin near d / n = 0.05. Arms up to d / n = 0.02 are judged; the order is read at the largest n.
    """
    run = records["run"]
    arms = {(run.setting("synthetic_share", a), run.setting("n", a)): a for a in run.arms}
    d = run.setting("d")
    judged = {(p, n): a for (p, n), a in arms.items() if p in SHARES and d / n <= SMALL_RATIO}
    largest = max((n for _, n in judged), default=0)
    if any((p, largest) not in judged for p in SHARES):
        raise NoVerdict(f"the record has no n with d / n <= {SMALL_RATIO} for every share")
    found = {key: estimate(run, "test_error", 1, a) for key, a in judged.items()}
    ratios = {
        key: Estimate(e.mean / _floor(run, *key), e.se / _floor(run, *key), e.df, e.count) for key, e in found.items()
    }
    worst = max(ratios.values(), key=lambda ratio: abs(ratio.mean - 1))
    off = abs(worst.mean - 1)
    errors = [found[p, largest].mean for p in SHARES]
    return Finding(
        grade(off <= MARGIN, errors == sorted(set(errors))),
        f"within {percent(off)} of the formula; at n = {largest}: {', '.join(map(number, errors))}",
        worst.mean,
        interval(worst),
        min(e.count for e in found.values()),
        f"Test error over its formula in the arm that is farthest off; shares {', '.join(map(str, SHARES))}, "
        f"margin {percent(MARGIN)}.",
    )


def _floor(run: Record, share: float, n: int) -> float:
    return float(fixed_share_floor(run.setting("d"), n, run.setting("sigma"), share, run.setting("quality")))


def f1(records: Records) -> Finding:
    """Accuracy crosses one half within 0.05 of p* = 1 / (1 + psi / phi) for three (phi, psi); partly: it crosses."""
    run = records["run"]
    curves: dict[tuple[float, float], list[tuple[float, Estimate]]] = defaultdict(list)
    for arm in run.arms:
        pair = (run.setting("phi", arm), run.setting("psi", arm))
        curves[pair].append((run.setting("p", arm), estimate(run, "accuracy", last(run), arm)))
    if len(curves) < PAIRS:
        raise NoVerdict(f"{len(curves)} pairs of verifier qualities; the rule asks for {PAIRS}")
    crossings = {pair: _crossing(sorted(curve)) for pair, curve in curves.items()}
    off = max(abs(at - 1 / (1 + psi / phi)) for (phi, psi), at in crossings.items())
    return Finding(
        grade(off <= CROSSING_MARGIN, bool(np.isfinite(off))),
        ", ".join(f"{number(at)} at ({phi}, {psi})" for (phi, psi), at in crossings.items()),
        off,
        None,
        min(e.count for curve in curves.values() for _, e in curve),
        "Share of wrong labels at which accuracy passes one half, held against 1 / (1 + psi / phi).",
    )


def _crossing(curve: list[tuple[float, Estimate]]) -> float:
    """Share of wrong labels at which mean accuracy first falls through one half, interpolated; infinite for never."""
    for (p0, above), (p1, below) in zip(curve, curve[1:], strict=False):
        if above.mean >= HALF > below.mean:
            return p0 + (p1 - p0) * (above.mean - HALF) / (above.mean - below.mean)
    return float("inf")

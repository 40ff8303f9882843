"""Rules of the Gaussian mixture (Shumailov et al., Nature 2024, supplement 4 and figures 6 and 8; released notebook).

The verdicts are read from the released setting, one round blob fitted with two components from a k-means start; the
two separated Gaussians of the prose are the variant ``two``, shown beside it.

Records, by study, and the metrics read from them:

gmm/``blob-replace``
    N = 1000. ``l2_squared``: squared L2 distance to the fit of generation 0; ``l2_null``: the same distance of a refit
    of a fresh human sample, one a chain and kept generation; ``component_spread``: the components' root of half the
    trace of the covariance, averaged over the two.
gmm/``blob-sizes``
    arms over ``n`` = 500, 1000, 10,000, 50,000, 200,000; ``l2_squared`` at g = 2000; equal numbers of chains.
gmm/``blob-keep10``
    as ``blob-replace`` with 10 % human data kept; ``l2_squared``.
gmm/``detector-human``, ``detector-weighted``, ``detector-unweighted``
    the miniature of detector-weighted resampling (Drayson et al., 2502.15654): a mixture refitted on human items only,
    on a mixed pool weighted by (1 - P(AI))^10 from a detector of known ROC, and on the same pool unweighted;
    ``log_likelihood`` of held-out human items, in nats an item, read at the last generation.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import page_trend_test

from .claim import REPLICATED, Finding, NoVerdict, Records, grade
from .comparisons import absolute_changes, mitigated
from .intervals import (
    estimate,
    interval,
    last,
    median,
    minus,
    number,
    of_values,
    percent,
    shared_generations,
    span,
)

__all__ = ["g1", "g2", "g3", "p_e", "p_g_gmm", "w1"]

EARLY, LATE = 50, 2000
MOST, HALF = 0.90, 0.50
BEYOND = 0.99
POINT_LIKE, NARROWER = 0.1, 0.5
SIZES = (500, 1_000, 10_000, 50_000, 200_000)
TREND = 0.001


def g1(records: Records) -> Finding:
    """Share of chains beyond the 99th percentile of refits of fresh human samples at g = 50: 90 %; partly: 50 %."""
    run = records["run"]
    limit = np.quantile(run.chains("l2_null").to_numpy(), BEYOND)
    share = of_values(run.chains("l2_squared").loc[EARLY] > limit)
    return Finding(
        grade(share.mean >= MOST, share.mean >= HALF),
        f"{percent(share.mean)} of chains",
        share.mean,
        interval(share),
        share.count,
        f"Chains whose squared L2 to g = 0 exceeds, at g = {EARLY}, {percent(BEYOND)} of refits of human samples.",
    )


def g2(records: Records) -> Finding:
    """Median component spread at g = 2000 over that at g = 0: at most 0.1; partly: at most 0.5."""
    late, chains = median(records["run"], "component_spread", LATE)
    first, _ = median(records["run"], "component_spread", 0)
    left = late / first
    return Finding(
        grade(left <= POINT_LIKE, left <= NARROWER),
        f"{number(first)} at g = 0, {number(late)} at g = {LATE}: {percent(left)}",
        left,
        None,
        chains,
        f"Median component spread at g = {LATE} over that at g = 0, held against {POINT_LIKE} and {NARROWER}.",
    )


def g3(records: Records) -> Finding:
    """Median squared L2 at g = 2000 strictly falls over the five N and Page's trend has p < 0.001; partly: trend only.

    Page's test ranks within a block; chain k of every N makes a block, which is as good as any other pairing because
    the chains are independent.
    """
    run = records["run"]
    arms = {int(run.setting("n", arm)): arm for arm in run.arms}
    missing = sorted(set(SIZES) - set(arms))
    if missing:
        raise NoVerdict(f"the record has no arm for N = {', '.join(map(str, missing))}")
    found = [median(run, "l2_squared", LATE, arms[n]) for n in SIZES]
    medians = [value for value, _ in found]
    values = [run.chains("l2_squared", arms[n]).loc[LATE].to_numpy() for n in SIZES]
    blocks = min(map(len, values))
    rising = np.column_stack([v[:blocks] for v in reversed(values)])  # Page's test looks for a rise to the right
    level = float(page_trend_test(rising).pvalue)
    ordered = all(a > b for a, b in zip(medians, medians[1:], strict=False))
    return Finding(
        grade(ordered and level < TREND, level < TREND),
        ", ".join(f"{number(m)} (N = {n:,})" for n, m in zip(SIZES, medians, strict=True)),
        level,
        None,
        min(count for _, count in found),
        f"Order of the median squared L2 at g = {LATE} over N; Page's trend p = {number(level)}.",
    )


def p_e(records: Records) -> Finding:
    """Misperceived within some dozens of generations (as `g1`) and point-like by 2000 (as `g2`); partly: one."""
    early, late = g1(records), g2(records)
    held = [finding.verdict == REPLICATED for finding in (early, late)]
    return Finding(
        grade(all(held), any(held)),
        f"{early.measured} beyond refits at g = {EARLY}; spread {late.measured}",
        late.value,
        None,
        min(early.chains, late.chains),
        f"Early misperception: {early.verdict}; late lack of variance: {late.verdict}.",
    )


def p_g_gmm(records: Records) -> Finding:
    """Rise of the squared L2 under keep 10 % over that under replace: interval below 0.5; partly: below 1."""
    end = shared_generations(records["keep"], records["replace"], at_most=LATE)[-1]
    changes = absolute_changes(records["keep"], records["replace"], "l2_squared", end)
    return mitigated(*changes, what="the squared L2", worse=+1)


def w1(records: Records) -> Finding:
    """Held-out likelihood, weighted, within the interval of human-only; partly: better than unweighted."""
    human, weighted, unweighted = (records[name] for name in ("human", "weighted", "unweighted"))
    g = shared_generations(human, weighted, unweighted)[-1]
    if g != last(weighted):
        raise NoVerdict("the three runs end at different generations")
    goal, ours, plain = (estimate(run, "log_likelihood", g) for run in (human, weighted, unweighted))
    low, high = interval(goal)
    gain = interval(minus(ours, plain))
    return Finding(
        grade(low <= ours.mean <= high, gain[0] > 0),
        f"weighted {number(ours.mean)}, unweighted {number(plain.mean)}, human {span((low, high))}",
        ours.mean,
        interval(ours),
        min(e.count for e in (goal, ours, plain)),
        f"Held-out log-likelihood at g = {g} against the interval of human-only, and against no weights.",
    )

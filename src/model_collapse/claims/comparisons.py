"""Measures that several families share: how much a regime helps, and how much of the tail is gone."""

from __future__ import annotations

from model_collapse.archive import Record

from .claim import Finding, NoVerdict, grade
from .intervals import Estimate, change, estimate, interval, minus, number, percent, ratio, relative_change, span

__all__ = ["absolute_changes", "harmless", "mitigated", "rise_differs", "tail_gone"]

KEEPS_HALF = 0.5  # "mitigated": at most half of the damage is left
GONE = 0.95


def mitigated(keep: Estimate, replace: Estimate, what: str, worse: int) -> Finding:
    """Change under keep 10 % over change under replace, at equal optimiser steps.

    Parameters
    ----------
    keep, replace : Estimate
        Change of the measure from the first to the last generation.
    what : str
        Name of the measure, for the text.
    worse : int
        +1 where a rise of the measure is damage, -1 where a fall is.

    Raises
    ------
    NoVerdict
        Where replace does no damage that could be told from none: a share of nothing has no meaning.
    """
    harm = interval(replace)
    if min(worse * harm[0], worse * harm[1]) <= 0:
        raise NoVerdict(f"replace does not worsen {what} (change {span(harm)}), so there is nothing to mitigate")
    value, bounds = ratio(keep, replace)
    return Finding(
        grade(bounds[1] < KEEPS_HALF, bounds[1] < 1),
        f"{percent(value)} of replace's change ({span(bounds, 100)} %)",
        value,
        bounds,
        min(keep.count, replace.count),
        f"Change of {what} with 10 % human data kept, over the change without, held against one half.",
    )


def harmless(accumulate: Estimate, replace: Estimate, what: str, worse: int) -> Finding:
    """Change under accumulate held against none, and against half of the change under replace.

    A change for the better harms nobody, so the full condition is an interval that includes 0 *or* lies on the
    better side; asked for 0 alone, a pool that improves its model would count as a failure. Parameters as in
    `mitigated`.
    """
    low, high = interval(accumulate)
    worst_low = min(worse * low, worse * high)
    halved = worse * accumulate.mean < worse * replace.mean / 2
    return Finding(
        grade(worst_low <= 0, halved),
        f"{number(accumulate.mean)} ({span((low, high))}) against {number(replace.mean)} under replace",
        accumulate.mean,
        (low, high),
        min(accumulate.count, replace.count),
        f"Change of {what} while the pool accumulates, held against no change and against half of replace's.",
    )


def tail_gone(record: Record, g: int) -> Finding:
    """Share of singletons, and of types with five copies or more, that are gone at generation g: 95 % of both.

    Metrics ``lost_1`` and ``lost_5plus``: shares of the types with one, and with at least five, original copies.
    """
    single, common = estimate(record, "lost_1", g), estimate(record, "lost_5plus", g)
    return Finding(
        grade(single.mean >= GONE and common.mean >= GONE, single.mean >= GONE),
        f"{percent(single.mean)} of singletons, {percent(common.mean)} of types with five copies or more",
        single.mean,
        interval(single),
        min(single.count, common.count),
        f"Share of types gone by g = {g}, by original count, held against {percent(GONE)} for both.",
    )


def rise_differs(a: Record, b: Record, metric: str, end: int, names: tuple[str, str]) -> Finding:
    """Difference of the relative rises of a metric from g = 0 to `end` in two runs: does its interval exclude 0?"""
    first, second = relative_change(a, metric, 0, end), relative_change(b, metric, 0, end)
    apart = minus(first, second)
    bounds = interval(apart)
    return Finding(
        grade(bounds[0] > 0 or bounds[1] < 0),
        f"{percent(first.mean)} {names[0]}, {percent(second.mean)} {names[1]}: apart by {span(bounds, 100)} %",
        apart.mean,
        bounds,
        apart.count,
        f"Relative rise of {metric} to g = {end}, {names[0]} minus {names[1]}, held against 0.",
    )


def absolute_changes(a: Record, b: Record, metric: str, end: int) -> tuple[Estimate, Estimate]:
    """Changes of a metric from g = 0 to `end` in two runs."""
    return change(a, metric, 0, end), change(b, metric, 0, end)

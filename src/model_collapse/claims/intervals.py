"""Estimates over chains: means, changes, slopes and ratios with their 95 % intervals.

Everything is read from the summary of all chains where that suffices; what needs values per chain (a change within
a chain, a slope's spread) uses the chains that a record keeps, which are all of them up to 200.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from model_collapse.archive import Record

from .claim import NoVerdict

__all__ = [
    "ERRORS",
    "FEWEST_CHAINS",
    "Estimate",
    "change",
    "estimate",
    "interval",
    "last",
    "median",
    "minus",
    "number",
    "of_values",
    "percent",
    "quantile",
    "ratio",
    "ratio_over_generations",
    "relative_change",
    "shared_generations",
    "slope",
    "span",
    "within",
]

LEVEL = 0.95
FEWEST_CHAINS = 3
ERRORS = 3.0  # an exact formula is judged by this many standard errors


class Estimate(NamedTuple):
    """A mean over chains with its standard error, degrees of freedom and number of chains."""

    mean: float
    se: float
    df: float
    count: int


def of_values(values: Iterable[float]) -> Estimate:
    """Mean over chains of one value per chain, shape (chains,).

    Raises
    ------
    NoVerdict
        For fewer than three chains, or a value that is not a number.
    """
    values = np.asarray(list(values), dtype=float)
    spread = values.std(ddof=1) if values.size > 1 else np.nan
    return _sound(values.mean() if values.size else np.nan, spread / np.sqrt(max(values.size, 1)), values.size)


def estimate(record: Record, metric: str, g: int, arm: str = "") -> Estimate:
    """Mean over all chains of a metric at generation g; raises `NoVerdict` as `of_values` does."""
    row = record.at(metric, g, arm)
    return _sound(row["mean"], row["sd"] / np.sqrt(row["count"]), int(row["count"]))


def quantile(record: Record, metric: str, g: int, name: str, arm: str = "") -> tuple[float, int]:
    """A quantile over all chains (column `name` of the summary) and the number of chains."""
    row = record.at(metric, g, arm)
    _sound(row[name], 0.0, int(row["count"]))
    return float(row[name]), int(row["count"])


def median(record: Record, metric: str, g: int, arm: str = "") -> tuple[float, int]:
    """Median over all chains and the number of chains."""
    return quantile(record, metric, g, "q50", arm)


def minus(a: Estimate, b: Estimate) -> Estimate:
    """a - b for two independent runs, degrees of freedom by Welch."""
    va, vb = a.se**2, b.se**2
    spread = va**2 / a.df + vb**2 / b.df
    df = (va + vb) ** 2 / spread if spread > 0 else a.df + b.df
    return Estimate(a.mean - b.mean, float(np.sqrt(va + vb)), df, min(a.count, b.count))


def interval(e: Estimate) -> tuple[float, float]:
    """Two-sided 95 % t-interval."""
    half = float(student.ppf(0.5 + LEVEL / 2, e.df)) * e.se
    return e.mean - half, e.mean + half


def within(e: Estimate, target: float) -> bool:
    """Whether the estimate lies within three standard errors of an exact value."""
    return bool(abs(e.mean - target) <= ERRORS * e.se)


def change(record: Record, metric: str, start: int, end: int, arm: str = "") -> Estimate:
    """Mean change of a metric from one generation to another.

    Chain by chain where the record keeps all chains; otherwise the difference of the two means by Welch, which is
    wider than it need be because it gives up the pairing.
    """
    chains = _all_chains(record, metric, arm)
    if chains is None:
        return minus(estimate(record, metric, end, arm), estimate(record, metric, start, arm))
    record.at(metric, start, arm), record.at(metric, end, arm)  # a generation that was not kept says so
    return of_values(chains.loc[end] - chains.loc[start])


def relative_change(record: Record, metric: str, start: int, end: int, arm: str = "") -> Estimate:
    """Mean over kept chains of value(end) / value(start) - 1."""
    record.at(metric, start, arm), record.at(metric, end, arm)
    chains = record.chains(metric, arm)
    return of_values(chains.loc[end] / chains.loc[start].replace(0.0, np.nan) - 1)


def slope(record: Record, metric: str, generations: Sequence[int] | None = None, arm: str = "") -> Estimate:
    """Ordinary least-squares slope of the mean over chains, per generation.

    The slope is that of all chains; its standard error is the spread of the kept chains' slopes over the root of
    the number of all chains.

    Raises
    ------
    NoVerdict
        For fewer than three generations or three chains.
    """
    table = record.summary(metric, arm)
    chains = record.chains(metric, arm)
    if generations is not None:
        table, chains = table.loc[list(generations)], chains.loc[list(generations)]
    if len(table) < 3:
        raise NoVerdict(f"{len(table)} generations are too few for a slope")
    x = table.index.to_numpy(dtype=float)
    weights = (x - x.mean()) / np.square(x - x.mean()).sum()
    kept = of_values(weights @ chains.to_numpy(dtype=float))
    count = int(table["count"].min())
    se = kept.se * np.sqrt(kept.count / count)
    return _sound(weights @ table["mean"].to_numpy(dtype=float), se, count, kept.df)


def ratio(a: Estimate, b: Estimate, covariance: float = 0.0) -> tuple[float, tuple[float, float]]:
    """a / b and its 95 % interval by Fieller's theorem; `covariance` is that of the two means.

    Raises
    ------
    NoVerdict
        Where b cannot be told from 0, so that the ratio has no bounded interval.
    """
    t2 = float(student.ppf(0.5 + LEVEL / 2, min(a.df, b.df))) ** 2
    shrink = 1 - t2 * b.se**2 / b.mean**2 if b.mean else -1.0
    if shrink <= 0:
        raise NoVerdict("what one would divide by cannot be told from 0")
    r = a.mean / b.mean
    pull = t2 * covariance / b.mean**2
    inside = shrink * a.se**2 - 2 * r * covariance + (r * b.se) ** 2 + pull * covariance
    half = float(np.sqrt(t2 * max(inside, 0.0))) / abs(b.mean)
    return r, ((r - pull - half) / shrink, (r - pull + half) / shrink)


def ratio_over_generations(record: Record, metric: str, start: int, end: int) -> tuple[float, tuple[float, float], int]:
    """Mean at `end` over mean at `start` with its interval, paired by chain, and the number of chains."""
    a, b = estimate(record, metric, end), estimate(record, metric, start)
    chains = _all_chains(record, metric, "")
    covariance = 0.0 if chains is None else float(np.cov(chains.loc[end], chains.loc[start])[0, 1]) / a.count
    return *ratio(a, b, covariance), min(a.count, b.count)


def last(record: Record) -> int:
    """The last generation that the record keeps."""
    return record.generations[-1]


def shared_generations(*records: Record, at_most: int | None = None) -> list[int]:
    """Generations that all of the records keep, ascending, to `at_most`.

    Raises
    ------
    NoVerdict
        Where there is none.
    """
    common = set.intersection(*(set(r.generations) for r in records))
    common = sorted(g for g in common if at_most is None or g <= at_most)
    if not common:
        raise NoVerdict("the records keep no generation in common")
    return common


def number(x: float) -> str:
    """A number with three significant digits, or with all of those before the point from 1000 to a million."""
    return f"{x:,.0f}" if 1e3 <= abs(x) < 1e6 else f"{x:.3g}"


def percent(x: float) -> str:
    """A share as a percentage with three significant digits."""
    return f"{number(100 * x)} %"


def span(bounds: tuple[float, float], scale: float = 1.0) -> str:
    """An interval as text."""
    return f"{number(scale * bounds[0])} to {number(scale * bounds[1])}"


def _sound(mean: float, se: float, count: int, df: float | None = None) -> Estimate:
    if count < FEWEST_CHAINS:
        raise NoVerdict(f"{count} chain{'s' * (count != 1)}; a verdict asks for at least {FEWEST_CHAINS}")
    if not (np.isfinite(mean) and np.isfinite(se)):
        raise NoVerdict("a value is missing or not finite")
    return Estimate(float(mean), float(se), float(count - 1 if df is None else df), count)


def _all_chains(record: Record, metric: str, arm: str):
    """Values per chain where the record keeps every chain, else None."""
    if metric not in set(record.metrics["metric"]):
        return None
    chains = record.chains(metric, arm)
    return chains if chains.shape[1] >= record.summary(metric, arm)["count"].max() else None

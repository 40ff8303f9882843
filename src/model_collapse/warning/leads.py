"""When an alarm rang in runs whose learners were watched, and when what people usually look at had moved.

All of it is read from records of runs with ``remedy="alarm"``; see `model_collapse.remedies.alarm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ..archive import Record, first_generation
from .permutation import SAYS

__all__ = ["LOSSES", "SHARES", "Lead", "first_half", "first_moved", "leads", "levels_of", "rings"]

SHARES = {"all": 1.0, "third": 1 / 3, "tenth": 0.1, "none": 0.0}
"""Of the items that are held against the human ones, so many are the model's."""

LOSSES = {"gmm": ("log_likelihood", -1), "vae": ("negative_elbo", 1), "llm": ("perplexity", 1)}
"""By family, the loss on human data that people look at, and +1 where a rise is bad, -1 where a fall is."""


@dataclass(frozen=True)
class Lead:
    """First generations of one family and share; None where it never came to that.

    Attributes
    ----------
    share : str
        Of the items that were held against the human ones, how many were the model's; see `SHARES`.
    watch, frechet : int or None
        At which at least half of the chains had an alarm, by `watch` or by the Fréchet distance, at the same rate.
    loss : int or None
        At which the loss of the median chain had moved; see `first_moved`.
    """

    family: str
    share: str
    watch: int | None
    frechet: int | None
    loss: int | None


def levels_of(record: Record, share: str, by: str = "watch", arm: str = "") -> pd.DataFrame:
    """P-values, generations by chains: the least over all kinds, which `watch` goes by, or those of ``frechet``."""
    if by != "watch":
        return record.chains(f"alarm_{share}_{by}", arm)
    kinds = [record.chains(f"alarm_{share}_{kind}", arm) for kind in SAYS]
    return pd.concat(kinds).groupby(level=0).min()


def rings(record: Record, rate: float, share: str, by: str = "watch", arm: str = "") -> pd.Series:
    """Share of chains that have an alarm, by generation."""
    return (levels_of(record, share, by, arm) <= rate).mean(axis=1)


def first_half(record: Record, rate: float, share: str, by: str = "watch", arm: str = "") -> int | None:
    """The first measured generation at which at least half of the chains have an alarm."""
    return first_generation(rings(record, rate, share, by, arm) >= 0.5)


def first_moved(record: Record, arm: str = "") -> int | None:
    """The first measured generation at which the family's loss, in the median chain, is beyond that of generation 0.

    Beyond means: worse than in 95 % of the chains at generation 0, which is the same rate of false alarms for whoever
    has that many chains. Whoever has one run sees less.
    """
    metric, worse = LOSSES[record.manifest["family"]]
    table = worse * record.summary(metric, arm)
    edge = table["q95" if worse > 0 else "q05"].iloc[0]
    return first_generation(table["q50"] > edge)


def leads(record: Record, rate: float, arm: str = "") -> Iterator[Lead]:
    """One row for every share of the model's in what was looked at."""
    for share in (name for name, part in SHARES.items() if part):
        alarms = (first_half(record, rate, share, by, arm) for by in ("watch", "frechet"))
        yield Lead(record.manifest["family"], share, *alarms, first_moved(record, arm))

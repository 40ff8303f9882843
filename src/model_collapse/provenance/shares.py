"""Who made the items of a pool or of a corpus, as a table of shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..regimes import HUMAN, Lineage

__all__ = ["made_by", "shares_by_maker", "trail"]


def made_by(maker: int) -> str:
    """A maker of a lineage in words: ``human``, or ``synthetic`` with the generation that sampled."""
    return "human" if maker == HUMAN else f"synthetic, g = {maker}"


def shares_by_maker(lineage: Lineage) -> pd.DataFrame:
    """Items and shares of a pool by maker, human first, then by generation.

    Returns
    -------
    pandas.DataFrame
        Columns maker (`model_collapse.regimes.HUMAN` or a generation), made_by (the same in words), items (a mean over
        chains where they differ) and share, which sums to 1.
    """
    counts = np.atleast_2d(lineage.counts).mean(axis=0)
    makers = np.unique(lineage.makers)
    items = np.array([counts[lineage.makers == maker].sum() for maker in makers])
    names = [made_by(int(maker)) for maker in makers]
    return pd.DataFrame({"maker": makers, "made_by": names, "items": items, "share": items / items.sum()})


def trail(lineages: Sequence[Lineage]) -> pd.DataFrame:
    """Shares of the pools of a loop by maker: a row for each generation, a column for each maker, 0 where it has none.

    Parameters
    ----------
    lineages : sequence of Lineage
        Of pool 0, pool 1 and so on.
    """
    rows = [shares_by_maker(lineage).set_index("maker")["share"] for lineage in lineages]
    return pd.DataFrame(rows, index=range(len(rows))).fillna(0.0).sort_index(axis=1)

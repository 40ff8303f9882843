"""Figures of chapter *Theory*: resampling a table. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import binomtest

from ... import expectations as ex
from ...archive import Record
from .. import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, closed_form, labelled_panels, live_points, panels

__all__ = ["absorption", "forgetting_words", "words_by_regime"]


def absorption(archived: Record, live: Record) -> Figure:
    """How many chains have one state left, and where they ended against the first probabilities."""
    figure, (left, right) = panels(2)
    band(left, archived, "absorbed", label="archived", fits=True)
    live_points(left, live, "absorbed", label=LIVE, fits=True)
    left.set(xscale="log", xlabel="fits (g + 1)", ylabel="chains with one state left")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.legend()
    g, p = archived.generations[-1], np.array(archived.setting("probabilities"))
    ended = np.array([archived.at(f"frequency_{k}", g)["mean"] for k in range(len(p))])
    here = np.array([live.at(f"frequency_{k}", live.generations[-1])["mean"] for k in range(len(p))])
    chains = archived.manifest["chains"]
    bounds = np.array([binomtest(round(x * chains), chains).proportion_ci() for x in ended.tolist()]).T
    error = np.abs(bounds - ended)
    closed_form(right, [0, p.max()], [0, p.max()], label="equal")
    right.errorbar(p, ended, yerr=error, fmt="o", markersize=5, label="archived")
    right.plot(p, here, "o", markerfacecolor="none", markeredgecolor=DARK, markersize=7, label=LIVE)
    right.set(xscale="log", yscale="log", xlabel="probability at the start", ylabel="share of chains that end there")
    right.legend()
    labelled_panels([left, right])
    return figure


def forgetting_words(archived: Record, live: Record, to: int = 50) -> Figure:
    """Share of the words that are gone, by how often they occurred in the human text."""
    figure, (ax,) = panels(1, height=3.8)
    classes = [c for c in (1, 2, 5, 10, 20) if f"lost_{c}" in set(archived.statistics["metric"])]
    generations = np.arange(1, to + 1)
    for copies, colour in zip(classes, sns.color_palette("viridis", len(classes)), strict=True):
        table = archived.summary(f"lost_{copies}").loc[1:to]
        ax.fill_between(table.index, table["q05"], table["q95"], color=colour, alpha=0.25, linewidth=0)
        ax.plot(table.index, table["mean"], color=colour, label=f"{copies} cop{'y' if copies == 1 else 'ies'}")
        closed_form(
            ax,
            generations,
            [ex.lost_by(copies, int(g)) for g in generations],
            label="branching process" if copies == classes[-1] else None,
        )
        here = live.summary(f"lost_{copies}").loc[1:to]
        ax.plot(
            here.index[::3],
            here["mean"].iloc[::3],
            "o",
            markersize=4,
            markerfacecolor="none",
            markeredgecolor=DARK,
            label=LIVE if copies == classes[-1] else None,
        )
    ax.axvline(5, color="#8a929c", linewidth=1, linestyle=":")
    ax.set(xlabel="generation g", ylabel="words gone", xlim=(0, to), ylim=(0, 1))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(title="in the human text", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def words_by_regime(archived: Mapping[str, Record]) -> Figure:
    """Share of the human vocabulary that is still known, by regime."""
    figure, (ax,) = panels(1)
    for record in archived.values():
        regime = record.manifest["regime"]
        share = f" {100 * record.setting('n_real') / record.setting('n'):.0f} %" if regime == "fresh" else ""
        band(
            ax,
            record,
            "alive",
            between=("q05", "q95"),
            colour=REGIME_COLOURS[regime],
            label=REGIME_NAMES[regime] + share,
            linestyle="--" if regime == "accumulate" else "-",
            zorder=3 if regime == "accumulate" else 2,
        )
    ax.set(xlabel="generation g", ylabel="words still known", ylim=(0, 1.03))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure

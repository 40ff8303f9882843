"""The figures of chapter *Provenance*: tables of shares and records in, a figure out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..archive import Record
from . import DARK, REGIME_COLOURS, band, closed_form, labelled_panels, panels

__all__ = ["lineages", "watermark"]

HUMAN_COLOUR = REGIME_COLOURS["accumulate"]


def lineages(trails: Mapping[str, pd.DataFrame], formula: Callable[[str, np.ndarray], np.ndarray]) -> Figure:
    """Who made the items of each pool, as stacked areas, one panel a regime; dashed, the human share by the formula.

    Parameters
    ----------
    trails : mapping of str to DataFrame
        By regime; see `model_collapse.provenance.trail`.
    formula : callable
        ``formula(regime, generations)``, the expected human share.
    """
    figure, axes = panels(3, rows=2, height=4.6, width=7.8, sharex=True, sharey=True)
    for number, (ax, (regime, trail)) in enumerate(zip(axes, trails.items(), strict=True)):
        makers = len(trail.columns) - 1
        colours = [HUMAN_COLOUR, *sns.color_palette("YlOrBr", makers)]
        areas = ax.stackplot(trail.index, trail.to_numpy().T, colors=colours, edgecolor="white", linewidth=0.3)
        (line,) = closed_form(ax, trail.index, formula(regime, trail.index.to_numpy()), color="black")
        ax.set(title=regime.replace("_", ", "), ylim=(0, 1), xlim=(0, trail.index[-1]))
        ax.set(xlabel="generation g" if number >= 3 else "", ylabel="share of pool" if number % 3 == 0 else "")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles = [areas[0], areas[1], areas[-1], line]
    words = ["human", "sampled by model 0", f"by model {makers - 1}", "human share by the formula"]
    figure.legend(handles, words, loc="outside lower center", ncols=4)
    labelled_panels(axes)
    return figure


def watermark(record: Record, arms: Mapping[str, str]) -> Figure:
    """Green tokens by generation, and the share of passages detected by their length.

    Parameters
    ----------
    arms : mapping of str to str
        The words of each arm.
    """
    figure, (left, right) = panels(2, height=3.6)
    lengths = sorted(int(name[9:]) for name in set(record.statistics["metric"]) if name.startswith("detected_"))
    colours = sns.color_palette("colorblind", len(arms))
    for (arm, words), colour in zip(arms.items(), colours, strict=True):
        band(left, record, "green_share", arm=arm, between="sd", label=words, colour=colour)
        for g, style in ((0, "-"), (1, "--"), (record.generations[-1], ":")):
            found = [record.at(f"detected_{length}", g, arm)["mean"] for length in lengths]
            right.plot(lengths, found, style, color=colour, marker="o", markersize=3)
    left.set(xlabel="generation g", ylabel="green tokens", ylim=(0, None))
    right.set(xscale="log", xlabel="tokens of a passage", ylabel="passages detected", ylim=(-0.02, 1.02))
    right.set_xticks(lengths, lengths)
    right.minorticks_off()
    for ax in (left, right):
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for g, style in ((0, "-"), (1, "--"), (record.generations[-1], ":")):
        right.plot([], [], style, color=DARK, label=f"g = {g}")
    left.legend(loc="best")
    right.legend(loc="center right", bbox_to_anchor=(1, 0.68))
    labelled_panels([left, right])
    return figure

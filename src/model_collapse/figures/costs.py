"""The figures of page *What it costs*: tables of measured runs in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..costs import PowerLaw
from . import DARK, labelled_panels, panels

__all__ = ["growth", "predicted"]

MEASURES = {"seconds": "seconds", "megabytes": "memory, MB"}
MARKERS = "osD^v"
LEAST = 0.5  # less is drawn there


def growth(runs: pd.DataFrame, laws: Mapping[tuple[str, str, str], PowerLaw | None]) -> Figure:
    """Time (above) and memory (below) by size, in multiples of the smallest run, one panel an axis, with power laws.

    Steps, which take the place of samples in the GAN, stand with them. What is less than half a unit is drawn there.

    Parameters
    ----------
    runs : DataFrame
        See `model_collapse.costs.measured`.
    laws : mapping
        See `model_collapse.costs.laws`.
    """
    runs = runs.assign(panel=runs["axis"].replace("steps", "samples"))
    axes_of_size = list(runs["panel"].unique())
    figure, axes = panels(len(axes_of_size), rows=2, height=5.4, width=8.2, sharex=True, sharey="row")
    names = list(runs["family"].unique())
    looks = dict(zip(names, zip(sns.color_palette("colorblind"), MARKERS, strict=False), strict=False))
    for row, (measure, words) in enumerate(MEASURES.items()):
        for column, axis in enumerate(axes_of_size):
            ax = axes[row * len(axes_of_size) + column]
            for (name, named), part in runs[runs["panel"] == axis].groupby(["family", "axis"], sort=False):
                colour, marker = looks[name]
                relative = part["size"] / part["size"].min()
                shown = part[measure].clip(lower=LEAST)
                ax.plot(relative, shown, marker, color=colour, markersize=4.5)
                law = laws[name, named, measure]
                drawn = shown if law is None else law.at(part["size"])
                ax.plot(relative, drawn, ":" if law is None else "-", color=colour, linewidth=1.4)
            ax.set(xscale="log", yscale="log", title=axis if row == 0 else "")
            ax.set(xlabel="times the smallest" if row else "", ylabel=words if column == 0 else "")
            ax.set_xticks([1, 2, 4, 8], [1, 2, 4, 8])
            ax.xaxis.set_minor_locator(NullLocator())
    for name, (colour, marker) in looks.items():
        axes[0].plot([], [], marker + "-", color=colour, markersize=4.5, label=name)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    labelled_panels(axes)
    return figure


def predicted(records: pd.DataFrame) -> Figure:
    """Hours that records took against their work at the median pace of their family, with the line of equality.

    Parameters
    ----------
    records : DataFrame
        See `model_collapse.costs.records`.
    """
    figure, (ax,) = panels(height=4.2, width=4.6)
    for (name, part), marker in zip(records.groupby("family", sort=False), MARKERS, strict=False):
        ax.plot(part["expected"] / 3600, part["seconds"] / 3600, marker, markersize=6, label=name)
    ends = np.array([0.6, 1.6]) * np.array([records["seconds"].min(), records["seconds"].max()]) / 3600
    ax.plot(ends, ends, color=DARK, linewidth=1.1, linestyle=(0, (4, 3)))
    ax.set(xscale="log", yscale="log", xlabel="hours by the pace of the family", ylabel="hours taken")
    ax.legend(loc="upper left")
    return figure

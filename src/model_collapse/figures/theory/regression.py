"""Figures of chapter *Theory*: labels of labels. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ... import expectations as ex
from ...archive import Record
from .. import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, closed_form, live_points, panels

__all__ = ["fixed_share", "labels_of_labels"]


def labels_of_labels(archived: Mapping[str, Record], live: Mapping[str, Record]) -> Figure:
    """Test error of least squares on its own labels, replace against accumulate."""
    figure, (ax,) = panels(1)
    for name, record in archived.items():
        regime = record.manifest["regime"]
        band(ax, record, "test_error", colour=REGIME_COLOURS[regime], label=REGIME_NAMES[regime], fits=True)
        live_points(ax, live[name], "test_error", colour=REGIME_COLOURS[regime], fits=True)
    d, n, sigma = (archived["replace"].setting(name) for name in ("d", "n", "sigma"))
    fits = np.geomspace(1, archived["replace"].generations[-1] + 1, 100)
    closed_form(ax, fits, ex.replace_test_error(d, n, sigma, fits), label="exact")
    closed_form(ax, np.arange(1, fits[-1] + 1), ex.accumulate_test_error(d, n, sigma, round(fits[-1])))
    bound = ex.accumulate_test_error_bound(d, n, sigma)
    closed_form(ax, fits, np.full_like(fits, bound), label="the source's bound", linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", ylabel="excess test error")
    ax.legend()
    return figure


def fixed_share(archived: Record, live: Record) -> Figure:
    """Test error against the size of the pool at a fixed synthetic share: a floor that more data do not lower."""
    figure, (ax,) = panels(1)
    shares = sorted({archived.setting("synthetic_share", arm) for arm in archived.arms})
    d, sigma, quality = (archived.setting(name) for name in ("d", "sigma", "quality"))
    for share, colour in zip(shares, ("C0", "C1", "C3"), strict=True):
        arms = [arm for arm in archived.arms if archived.setting("synthetic_share", arm) == share]
        n = np.array([archived.setting("n", arm) for arm in arms])
        rows = [archived.at("test_error", 1, arm) for arm in arms]
        error = [1.96 * row["sd"] / np.sqrt(row["count"]) for row in rows]
        ax.errorbar(
            n, [row["mean"] for row in rows], yerr=error, fmt="o", color=colour, label=f"{100 * share:g} % synthetic"
        )
        ax.plot(
            n,
            [live.at("test_error", 1, arm)["mean"] for arm in arms],
            "o",
            markersize=10,
            markerfacecolor="none",
            markeredgecolor=DARK,
            label=LIVE if share == shares[-1] else None,
        )
        line = np.geomspace(n.min(), n.max(), 60)
        closed_form(
            ax,
            line,
            ex.fixed_share_error(d, line, sigma, share, quality),
            label="theory" if share == shares[-1] else None,
        )
    ax.set(xscale="log", yscale="log", xlabel="points in the pool", ylabel="excess test error")
    ax.legend()
    return figure

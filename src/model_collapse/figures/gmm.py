"""The figures of chapter *Gaussian mixtures*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.optimize import linear_sum_assignment

from ..archive import Record
from . import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, labelled_panels, live_points, panels, use_style

__all__ = [
    "by_regime",
    "by_size",
    "collapse",
    "component_spreads",
    "distances",
    "floor",
    "followed",
    "snapshot",
    "starts",
]

COMPONENTS = ("#0072b2", "#d55e00")
VARIANT_TITLES = {"blob": "one Gaussian, two components", "two": "two separated Gaussians"}
RANGE = ("q05", "q95")


def snapshot(points: np.ndarray, mixture: Mapping[str, np.ndarray], half: float = 5.0) -> Figure:
    """One mixture and what it sampled: points of shape (n, 2); `weights`, `means` and `covariances` of one chain."""
    use_style()
    figure = Figure(figsize=(4.0, 3.7))  # pyplot would hold on to every frame of an animation, and warn
    ax = figure.subplots()
    _draw(ax, points, *(mixture[name] for name in ("weights", "means", "covariances")), half=half)
    ax.tick_params(labelsize=8.5)
    return figure


def followed(mixture: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray] | None) -> Mapping[str, np.ndarray]:
    """The components of one chain's mixture, put in the order that is nearest to that of an earlier one."""
    if before is None:
        return mixture
    gaps = ((mixture["means"][:, None] - before["means"][None]) ** 2).sum(axis=-1)
    order = linear_sum_assignment(gaps.T)[1]
    return {name: x[order] for name, x in mixture.items()}


def floor(archived: Record) -> Figure:
    """Component spread far beyond the released run, for the released regularisation and a smaller one."""
    figure, (ax,) = panels(1)
    for arm, colour in zip(archived.arms, ("#d55e00", "#0072b2"), strict=True):
        added = archived.setting("reg_covar", arm)
        band(
            ax, archived, "component_spread", arm=arm, centre="q50", between=("q25", "q75"), colour=colour,
            label=f"variance + {added:.0e}", fits=True,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", ylabel=r"component spread $\sqrt{\mathrm{trace} / 2}$")
    ax.legend(loc="lower left")
    return figure


def _draw(
    ax: Axes, points: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, half: float = 4.0
) -> None:
    """Points of shape (n, 2), and for each component the ellipse of two standard deviations, darker with its weight."""
    ax.plot(*points.T, ".", color="#9aa3ad", markersize=2, alpha=0.7, zorder=1)
    for weight, mean, covariance, colour in zip(weights, means, covariances, COMPONENTS, strict=False):
        variances, axes = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        width, height = 4 * np.sqrt(variances[::-1])
        face = Ellipse(mean, width, height, angle=angle, facecolor=colour, alpha=0.12 + 0.25 * weight, zorder=2)
        edge = Ellipse(mean, width, height, angle=angle, facecolor="none", edgecolor=colour, linewidth=1.3, zorder=3)
        ax.add_patch(face)
        ax.add_patch(edge)
        ax.plot(*mean, "+", color=colour, markersize=5, markeredgewidth=1.2, zorder=4)
    ax.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")


def collapse(record: Record, generations: Sequence[int], chains: int = 3, half: float = 4.0) -> Figure:
    """What the first chains look like as the generations pass: a row a chain."""
    use_style()
    kept = record.samples("kept")
    figure, axes = plt.subplots(
        chains, len(generations), figsize=(7.4, 1.12 * chains + 0.3), sharex=True, sharey=True, squeeze=False
    )
    for g, column in zip(generations, axes.T, strict=True):
        at = kept["generation"].tolist().index(g)
        column[0].set_title(f"g = {g}", loc="center", fontsize=9.5)
        for chain, ax in enumerate(column):
            parameters = (kept[name][at, chain] for name in ("weights", "means", "covariances"))
            _draw(ax, kept["points"][at, chain], *parameters, half=half)
            ax.set(xticks=[], yticks=[])
            sns.despine(ax=ax, left=True, bottom=True)
            ax.set_facecolor("#f6f8fa")
    for chain, ax in enumerate(axes[:, 0]):
        ax.set_ylabel(f"chain {chain + 1}", fontsize=9.5)
    return figure


def distances(archived: Mapping[str, Record], live: Record) -> Figure:
    """Squared L2 distance to the first fit, beside that of fits to fresh human data, for both readings."""
    figure, axes = panels(2, height=3.6, sharey=True)
    for ax, (variant, record) in zip(axes, archived.items(), strict=True):
        band(
            ax,
            record,
            "l2_squared",
            centre="q50",
            between=RANGE,
            label="median, 5 to 95 %",
            colour="#d55e00",
            fits=True,
        )
        null = record.chains("l2_null").to_numpy()
        ax.axhspan(*np.quantile(null, (0.01, 0.99)), color="#0072b2", alpha=0.25, linewidth=0)
        ax.axhline(np.median(null), color="#0072b2", linewidth=1.2, label="fits to fresh human data, 1 to 99 %")
        ax.axvline(51, color="#8a929c", linewidth=1, linestyle=":")
        ax.set(xscale="log", yscale="log", ylim=(1e-5, 2e3), xlabel="fits (g + 1)", title=VARIANT_TITLES[variant])
        ax.set_xlim(left=2)  # at g = 0 the distance is zero by construction
        if record.manifest["variant"] == live.manifest["variant"]:
            live_points(ax, live, "l2_squared", centre="q50", label=LIVE, fits=True)
    axes[0].set_ylabel("squared L2 distance to g = 0")
    axes[0].legend(loc="upper left")
    labelled_panels(axes)
    return figure


def component_spreads(archived: Mapping[str, Record], released: Mapping[int, tuple[float, ...]]) -> Figure:
    """Spread of the components, its median and quartiles, and where the released run ended."""
    figure, axes = panels(2, height=3.6, sharey=True)
    for ax, (variant, record) in zip(axes, archived.items(), strict=True):
        band(ax, record, "component_spread", centre="q50", between=RANGE, colour="#e3a07a", linewidth=0, fits=True)
        band(
            ax, record, "component_spread", centre="q50", between=("q25", "q75"), colour="#d55e00",
            label="median, quartiles, 5 to 95 %", fits=True,
        )  # fmt: skip
        if variant == "blob":
            for g, values in released.items():
                ax.plot(
                    [g + 1] * len(values),
                    values,
                    "D",
                    color=DARK,
                    markersize=4,
                    label=None if g else "released run",
                )
        ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", title=VARIANT_TITLES[variant])
    axes[0].set_ylabel(r"component spread $\sqrt{\mathrm{trace} / 2}$")
    axes[0].legend(loc="lower left")
    labelled_panels(axes)
    return figure


def by_size(archived: Record) -> Figure:
    """Squared L2 distance to the first fit for every sample size."""
    figure, (ax,) = panels(1, height=3.8)
    for arm, colour in zip(archived.arms, sns.color_palette("viridis", len(archived.arms)), strict=True):
        size = archived.setting("n", arm)
        band(
            ax,
            archived,
            "l2_squared",
            arm=arm,
            centre="q50",
            between=RANGE,
            colour=colour,
            label=f"{size:,}",
            fits=True,
        )
    ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", ylabel="squared L2 distance to g = 0", ylim=(1e-6, 3e3))
    ax.set_xlim(left=2)
    ax.legend(title="items a generation", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def by_regime(archived: Mapping[str, Mapping[str, Record]]) -> Figure:
    """Squared L2 distance to the truth by regime, for both readings."""
    figure, axes = panels(2, height=3.6, sharey=True)
    for ax, (variant, records) in zip(axes, archived.items(), strict=True):
        for record in records.values():
            regime = record.manifest["regime"]
            name = REGIME_NAMES[regime] + (" 10 %" if regime == "fresh" else "")
            band(
                ax,
                record,
                "l2_truth",
                centre="q50",
                between=RANGE,
                colour=REGIME_COLOURS[regime],
                label=name,
                fits=True,
            )
        ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", title=VARIANT_TITLES[variant])
    axes[0].set_ylabel("squared L2 distance to the truth")
    axes[0].legend(loc="upper left")
    labelled_panels(axes)
    return figure


def starts(cold: Mapping[str, Record], warm: Mapping[str, Record], generations: Sequence[int]) -> Figure:
    """Weight of the smaller component over chains, for both starts of EM and both readings."""
    figure, axes = panels(2, height=3.4, sharey=True)
    shades = sns.color_palette("crest", len(generations))
    for ax, variant in zip(axes, cold, strict=True):
        for g, colour in zip(generations, shades, strict=True):
            for record, style in ((cold[variant], "-"), (warm[variant], "--")):
                values = np.sort(record.chains("weight").loc[g].to_numpy())
                height = np.arange(1, len(values) + 1) / len(values)
                label = f"g = {g}" if style == "-" else None
                ax.step(values, height, where="post", linestyle=style, color=colour, linewidth=1.5, label=label)
        ax.set(xlabel="weight of the smaller component", title=VARIANT_TITLES[variant])
    axes[0].plot([], [], color=DARK, label="k-means, as released")
    axes[0].plot([], [], color=DARK, linestyle="--", label="the last parameters")
    axes[0].set_ylabel("share of chains")
    axes[0].legend(loc="upper left")
    labelled_panels(axes)
    return figure

"""Figures of chapter *Theory*: a Gaussian, refitted. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ... import expectations as ex
from ...archive import Record
from .. import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, closed_form, labelled_panels, live_points, panels

__all__ = [
    "admissible",
    "errors_by_regime",
    "first_moments",
    "fresh_starts",
    "growing_samples",
    "one_shot",
    "released_recursion",
    "ridges",
    "sampling_bias",
    "single_paths",
    "vanishing_variance",
]


def vanishing_variance(archived: Record, live: Record) -> Figure:
    """The fitted variance: its mean stays, its typical path falls to nothing."""
    figure, (ax,) = panels(1, height=3.8)
    n = archived.setting("n")
    table = archived.summary("variance")
    fits = table.index.to_numpy() + 1
    band(ax, archived, "variance", centre="q50", between=("q05", "q95"), label="median, 5 to 95 %", fits=True)
    ax.plot(fits, table["q99"], color="C0", linewidth=0.9, linestyle=":", label="99 %")
    live_points(ax, live, "variance", centre="q50", label=f"median, {LIVE}", fits=True)
    closed_form(ax, fits, ex.typical_variance(fits, n), label="exact typical path (geometric mean)")
    ax.axhline(1, color="#8a929c", linewidth=1)
    ax.annotate(
        "human variance = exact mean at every fit",
        (1.1, 1.0),
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=9,
        color="#5b6470",
    )
    ax.set(xscale="log", yscale="log", ylim=(1e-9, 30), xlabel="fits (g + 1)", ylabel="fitted variance")
    ax.legend(loc="lower left")
    return figure


def first_moments(archived: Record, live: Record) -> Figure:
    """Mean squared W2 and pooled variance against their exact forms, while fits are fewer than items."""
    figure, (left, right) = panels(2)
    n = archived.setting("n")
    fits = np.arange(1, n + 1)
    for ax, metric in ((left, "w2_squared"), (right, "second_moment")):
        table = archived.summary(metric)
        table = table[table.index < n]
        error = 3 * table["sd"] / np.sqrt(table["count"])
        ax.fill_between(table.index + 1, table["mean"] - error, table["mean"] + error, alpha=0.3, linewidth=0)
        ax.plot(table.index + 1, table["mean"], label="archived, ± 3 SE")
        here = live.summary(metric)
        here = here[here.index < n]
        ax.plot(
            here.index[::6] + 1,
            here["mean"].iloc[::6],
            "o",
            markersize=4.5,
            markerfacecolor="none",
            markeredgecolor=DARK,
            label=LIVE,
        )
    closed_form(left, fits, ex.expected_w2_squared(np.full(n, n)), label="exact")
    closed_form(left, fits, ex.first_order_w2_squared(np.full(n, n)), label="first order", linestyle=":")
    closed_form(right, fits, ex.marginal_variance(fits, n), label="1 + fits / M")
    left.set(xlabel="fits (g + 1)", ylabel=r"mean $W_2^2$ to the truth")
    right.set(xlabel="fits (g + 1)", ylabel=r"variance of one item, $X^n$")
    left.legend()
    right.legend()
    labelled_panels([left, right])
    return figure


def single_paths(archived: Record, most: int = 40) -> Figure:
    """Single chains settle; the mean keeps growing, carried by ever fewer of them."""
    figure, (ax,) = panels(1, height=3.8)
    mean, variance = (archived.chains(metric).iloc[:, :most] for metric in ("mean", "variance"))
    paths = mean**2 + (np.sqrt(variance) - 1) ** 2
    table = archived.summary("w2_squared")
    fits = table.index.to_numpy() + 1
    ax.plot(fits, paths, color="#9aa3ad", linewidth=0.6, alpha=0.7)
    ax.plot([], [], color="#9aa3ad", linewidth=1, label=f"{most} single chains")
    ax.plot(fits, table["q50"], label="median")
    ax.plot(fits, table["mean"], label="mean over all chains")
    closed_form(
        ax, fits, ex.expected_w2_squared(np.full(fits[-1], archived.setting("n")))[fits - 1], label="exact expectation"
    )
    ax.set(xscale="log", yscale="log", ylim=(1e-3, 200), xlabel="fits (g + 1)", ylabel=r"$W_2^2$ to the truth")
    ax.legend(loc="lower right")
    return figure


# Fits of 100 items after which the mean over chains misses the rare ones that carry the exact mean.
TRUSTED = 300


def growing_samples(grown: Record, constant: Record, live: Record) -> Figure:
    """Mean squared W2 where samples grow faster than linearly, against constant samples."""
    figure, (ax,) = panels(1)
    early = replace(constant, statistics=constant.statistics.query("generation < @TRUSTED"))
    band(ax, early, "w2_squared", label=r"constant, $M_i = M_0$", colour=REGIME_COLOURS["replace"], fits=True)
    fits = np.array(constant.generations) + 1
    exact = ex.expected_w2_squared(np.full(fits[-1], constant.setting("n")))[fits - 1]
    closed_form(ax, fits, exact, label="exact, constant", linestyle=":")
    band(
        ax,
        grown,
        "w2_squared",
        label=rf"growing, $M_i = M_0 \, i^{{{grown.setting('growth'):g}}}$",
        colour="C0",
        fits=True,
    )
    live_points(ax, live, "w2_squared", label=LIVE, fits=True)
    limit = ex.expected_w2_squared_limit(grown.setting("n"), grown.setting("growth"))
    ends = np.array([1, grown.generations[-1] + 1])
    closed_form(ax, ends, [limit, limit], label="finite limit")
    ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", ylabel=r"mean $W_2^2$ to the truth")
    ax.legend()
    return figure


def one_shot(archived: Record, live: Record, released: Mapping[int, float]) -> Figure:
    """Spread of one estimate of the sd against the sample size, beside the released values."""
    figure, (ax,) = panels(1)
    for record, style in (
        (archived, {"fmt": "o-", "label": "archived"}),
        (live, {"fmt": "o", "markerfacecolor": "none", "color": DARK, "markersize": 9, "label": LIVE}),
    ):
        n = [record.setting("n", arm) for arm in record.arms]
        ax.errorbar(n, [record.at("sd", 0, arm)["sd"] for arm in record.arms], **style)
    ax.plot(
        list(released),
        list(released.values()),
        "x",
        color="C3",
        markersize=8,
        markeredgewidth=2,
        label="released notebook",
    )
    sizes = np.array(list(released))
    closed_form(ax, sizes, np.sqrt(0.5 / sizes), label=r"$(2 M)^{-1/2}$")
    ax.set(xscale="log", yscale="log", xlabel="items M", ylabel="sd of the fitted sd over chains")
    ax.legend()
    return figure


def released_recursion(archived: Record) -> Figure:
    """The released recursion (ddof 0) at its sample sizes: distance of the mean from the truth, and the fitted sd."""
    figure, (left, right) = panels(2)
    colours = sns.color_palette("viridis", len(archived.arms))
    for arm, colour in zip(archived.arms, colours, strict=True):
        n = archived.setting("n", arm)
        error, variance = archived.summary("mean_error", arm), archived.summary("variance", arm)
        fits = error.index.to_numpy() + 1
        for ax, table in ((left, error), (right, variance)):
            ax.fill_between(fits, np.sqrt(table["q05"]), np.sqrt(table["q95"]), color=colour, alpha=0.2, linewidth=0)
            ax.plot(fits, np.sqrt(table["q50"]), color=colour, label=f"M = {n:,}")
        last = n == archived.setting("n", archived.arms[-1])
        typical = np.sqrt(ex.typical_variance(fits, n) * (1 - 1 / n) ** fits)
        closed_form(right, fits, typical, label="exact typical path" if last else None)
    left.set(xscale="log", yscale="log", ylim=(1e-4, 10), xlabel="fits (g + 1)", ylabel="error of the mean")
    right.set(xscale="log", xlabel="fits (g + 1)", ylabel="fitted sd")
    right.legend(loc="lower left")
    labelled_panels([left, right])
    return figure


def ridges(replaced: Record, accumulated: Record, chain: int = 0, to: int = 999) -> Figure:
    """What one chain believes, generation after generation: under replace, and where everything is kept."""
    figure, axes = panels(2, height=4.6, sharey=True)
    x = np.linspace(-9, 5, 1400)
    for ax, record, title in zip(
        axes,
        (replaced, accumulated),
        ("Each trained on its predecessor's sample", "Each trained on everything so far"),
        strict=True,
    ):
        mean, variance = (record.chains(metric)[chain] for metric in ("mean", "variance"))
        kept = np.array([g for g in mean.index if g <= to])
        shown = [int(kept[np.abs(kept - g).argmin()]) for g in (0, 10, 20, 50, 100, 150, 200, 300, 400, 500, 700, 999)]
        for row, (g, colour) in enumerate(zip(shown, sns.color_palette("flare", len(shown)), strict=True)):
            height = np.exp(-((x - mean[g]) ** 2) / (2 * variance[g]))
            ax.fill_between(x, -row, -row + 1.7 * height, color=colour, alpha=0.85, linewidth=0, zorder=row)
            ax.plot(x, -row + 1.7 * height, color="white", linewidth=0.8, zorder=row)
        closed_form(ax, x, 0.9 + 1.7 * np.exp(-(x**2) / 2), zorder=30)
        ax.set(title=title, xlabel="value", yticks=[-row for row in range(len(shown))], xlim=(-9, 5))
        ax.set_yticklabels([str(g) for g in shown])
        ax.grid(False)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    axes[0].annotate("the human data", (0, 2.6), xytext=(1.6, 2.2), fontsize=9, color="#5b6470")
    axes[0].set_ylabel("generation g")
    return figure


def errors_by_regime(archived: Mapping[str, Record], live: Mapping[str, Record]) -> Figure:
    """Squared error of the mean under every regime, with the closed forms that exist."""
    figure, (ax,) = panels(1, height=4.2)
    n = archived["replace"].setting("n")
    for name, record in archived.items():
        regime = record.manifest["regime"]
        band(
            ax,
            record,
            "mean_error",
            colour=REGIME_COLOURS[regime],
            label=REGIME_NAMES[regime] + (" 10 %" if regime == "fresh" else ""),
            fits=True,
        )
        live_points(ax, live[name], "mean_error", colour=REGIME_COLOURS[regime], fits=True)
    fits = np.geomspace(1, 1000, 200)
    closed_form(ax, fits, fits / n, label="closed forms")
    closed_form(ax, np.arange(1, 1001), ex.accumulate_mean_variance(n, 1000))
    fresh = archived["fresh10"]
    level = ex.fresh_fixed_point(fresh.setting("n_real"), fresh.setting("n_synthetic"))[0]
    closed_form(ax, [30, 1000], [level, level])
    ax.set(
        xscale="log",
        yscale="log",
        xlim=(1, 1000),
        ylim=(5e-3, 20),
        xlabel="fits (g + 1)",
        ylabel="squared error of the mean",
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def sampling_bias(archived: Record) -> Figure:
    """What a sampling bias does to variance and mean, in one and in many dimensions."""
    figure, (left, right) = panels(2)
    styles = dict(zip((1, 10, 100), ("-", "--", ":"), strict=True))
    colours = dict(zip((1.0, 0.85, 0.7), ("C0", "C1", "C3"), strict=True))
    for arm in archived.arms:
        d, bias = archived.setting("d", arm), archived.setting("bias", arm)
        table = archived.summary("variance", arm)
        left.plot(table.index, table["q50"], styles[d], color=colours[bias], label=rf"$\lambda$ = {bias:g}, d = {d}")
        table = archived.summary("mean_error", arm)
        right.plot(table.index, table["mean"] / d, styles[d], color=colours[bias])
    left.set(yscale="log", xlabel="generation g", ylabel="variance per axis, median")
    right.set(xlabel="generation g", ylabel="squared error / d")
    figure.legend(loc="outside lower center", ncols=3)
    labelled_panels([left, right])
    return figure


def fresh_starts(archived: Record) -> Figure:
    """Two starts, one limit: distance to the truth under fresh data."""
    figure, (ax,) = panels(1)
    for arm in archived.arms:
        first, bias = archived.setting("n_initial", arm), archived.setting("bias", arm)
        style = "-" if first == 100 else "--"
        band(
            ax,
            archived,
            "w2",
            arm=arm,
            linestyle=style,
            colour="C0" if bias == 1 else "C3",
            label=rf"$\lambda$ = {bias:g}, {first:,} human items at g = 0",
        )
    ax.set(xlabel="generation g", ylabel=r"$W_2$ to the truth", ylim=(0, None))
    ax.legend(loc="lower right")
    return figure


def admissible(archived: Record) -> Figure:
    """Distance relative to fresh data alone, by how many synthetic items are added."""
    biases = sorted({archived.setting("bias", arm) for arm in archived.arms})
    figure, axes = panels(len(biases), width=8.4, sharey=True)
    g = archived.generations[-1]
    reals = sorted({archived.setting("n_real", arm) for arm in archived.arms})
    colours = dict(zip(reals, sns.color_palette("viridis", len(reals)), strict=True))
    found = {
        tuple(archived.setting(s, arm) for s in ("bias", "n_real", "n_synthetic")): archived.at("w2", g, arm)["mean"]
        for arm in archived.arms
    }
    for ax, bias in zip(axes, biases, strict=True):
        for real in reals:
            points = sorted((s, w) for (b, r, s), w in found.items() if (b, r) == (bias, real) and s > 0)
            base = found[bias, real, 0]
            ax.plot(
                [s for s, _ in points],
                [w / base for _, w in points],
                "o-",
                markersize=3.5,
                color=colours[real],
                label=f"{real:,}",
            )
        ax.axhline(1, color=DARK, linewidth=1)
        ax.set(xlabel="synthetic items", title=rf"$\lambda$ = {bias:g}", ylim=(0.6, 1.4))
    axes[0].set_ylabel(r"$W_2$ / $W_2$ of fresh data alone")
    axes[-1].legend(title="fresh items", loc="upper right")
    labelled_panels(axes)
    return figure

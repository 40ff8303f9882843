"""The figures of chapter *A text that continues itself*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from ..archive import Record
from ..expectations import lost_by
from . import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, closed_form, labelled_panels, live_points, panels

__all__ = ["against_press", "by_decoding", "diversity", "perplexity", "rises", "sequences", "survival"]

DECODING_NAMES = {
    "beam5": "five beams",
    "penalty2": "five beams, penalty 2",
    "penalty3": "five beams, penalty 3",
    "sample": "sampling, T = 1",
    "cool": "sampling, T = 0.7",
    "nucleus": "nucleus 0.95",
}
DECODING_COLOURS = dict(zip(DECODING_NAMES, sns.color_palette("colorblind").as_hex(), strict=False))


def perplexity(by_epochs: Mapping[int, Sequence[Record]], live: Record | None = None) -> Figure:
    """Perplexity of human test text by generation: a panel for each number of epochs, a colour for each regime.

    Thin lines are chains; bands are one standard deviation over chains.
    """
    figure, axes = panels(len(by_epochs), height=3.6, sharey=live is None)
    for ax, (epochs, records) in zip(axes, by_epochs.items(), strict=True):
        for record in records:
            regime = record.manifest["regime"]
            _curve(ax, record, "perplexity", REGIME_COLOURS[regime], REGIME_NAMES[regime])
        ax.set(xlabel="generation", title=f"{epochs} epochs a generation", yscale="log")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("perplexity of human test text")
    if live is not None:
        live_points(axes[0], live, "perplexity", label=LIVE)
    for ax in axes:
        _plain_numbers(ax)
    axes[0].legend(loc="best")
    labelled_panels(axes)
    return figure


def sequences(records: Mapping[str, Record], generations: Sequence[int] = (0, 1, 2, 3, 5, 9)) -> Figure:
    """How likely the blocks of each training set are under model 0, first chain: a panel a record, a line a generation.

    A record keeps 201 quantiles of each set; shares between them are interpolated on a logarithmic axis.
    """
    figure, axes = panels(len(records), height=3.5, sharey=True)
    edges = np.geomspace(1, 1e4, 61)
    colours = sns.color_palette("flare", len(generations))
    for ax, (title, record) in zip(axes, records.items(), strict=True):
        kept = record.samples("kept")
        found = dict(zip(kept["generation"].tolist(), kept["likelihood"], strict=True))
        for g, colour in zip(generations, colours, strict=True):
            if g in found:
                ax.stairs(_shares(found[g], edges), edges, color=colour, linewidth=1.5, label=f"g = {g}")
        ax.set(xscale="log", xlabel="perplexity of a block under model 0", title=title)
    axes[0].set_ylabel("share of the blocks")
    axes[0].legend(loc="upper right")
    labelled_panels(axes)
    return figure


def _shares(quantiles: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of a distribution in each bin, from quantiles at equal steps of probability."""
    below = np.interp(np.log(edges), np.log(quantiles), np.linspace(0, 1, len(quantiles)), left=0, right=1)
    return np.diff(np.append(below[:-1], 1.0))  # what lies beyond the axis stands in its last bin


def rises(records: Mapping[str, Record]) -> Figure:
    """Relative rise of perplexity from first to last generation: a row a record, a dot a chain, a bar the mean."""
    figure, (ax,) = panels(1, height=0.9 + 0.36 * len(records))
    for row, record in enumerate(records.values()):
        chains = record.chains("perplexity")
        rise = chains.iloc[-1] / chains.iloc[0] - 1
        colour = REGIME_COLOURS[record.manifest["regime"]]
        ax.plot([rise.mean()] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2.4)
        ax.plot(rise, np.full(len(rise), row), "o", color=colour, markersize=5, alpha=0.75)
    ax.set(yticks=range(len(records)), yticklabels=list(records), xlabel="rise of perplexity from g = 0 to the last")
    ax.invert_yaxis()
    ax.axvline(0, color="#8a929c", linewidth=1)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def by_decoding(records: Sequence[Record]) -> Figure:
    """What decoding does under *replace*: perplexity of human text, and distinct word pairs of what is written."""
    figure, axes = panels(2, height=3.6)
    measures = {"perplexity": "perplexity of human test text", "distinct_2": "distinct-2 of what is written"}
    for ax, (metric, title) in zip(axes, measures.items(), strict=True):
        for record in records:
            variant = record.manifest["variant"]
            _curve(ax, record, metric, DECODING_COLOURS[variant], DECODING_NAMES[variant])
        ax.set(xlabel="generation", title=title, yscale="log")
        _plain_numbers(ax)
    axes[1].yaxis.set_major_formatter(lambda share, _: f"{share:.3g}")
    if human := [record for record in records if "human_distinct_2" in record.statistics["metric"].values]:
        level = human[0].at("human_distinct_2", 0)["mean"]
        axes[1].axhline(level, color=DARK, linewidth=1, linestyle=":")
        axes[1].annotate("human text", (0, level), xytext=(2, -3), textcoords="offset points", fontsize=9, va="top")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    labelled_panels(axes)
    return figure


def against_press(records: Sequence[Record], press: Mapping[int, float]) -> Figure:
    """Distinct-2 as a share of that of generation 0, and the five numbers of popular accounts."""
    figure, (ax,) = panels(1, height=3.5)
    for record in records:
        variant = record.manifest["variant"]
        chains = record.chains("distinct_2")
        relative = chains / chains.loc[0]
        mean, sd = relative.mean(axis=1), relative.std(axis=1).fillna(0)
        colour = DECODING_COLOURS[variant]
        ax.plot(mean, color=colour, label=DECODING_NAMES[variant])
        ax.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    ax.plot(list(press), list(press.values()), "D", color=DARK, markersize=5, label="popular accounts")
    ax.set(xlabel="generation", ylabel="distinct-2, share of g = 0", ylim=(0, None))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.legend(loc="lower left")
    return figure


def diversity(records: Sequence[Record]) -> Figure:
    """Lexical, syntactic and semantic diversity relative to generation 1: a panel a way of decoding."""
    measures = {
        "distinct_2": ("lexical (distinct-2)", "#d55e00"),
        "syntactic_diversity": ("syntactic", "#0072b2"),
        "semantic_diversity": ("semantic", "#009e73"),
    }
    figure, axes = panels(len(records), height=3.4, sharey=True)
    for ax, record in zip(axes, records, strict=True):
        for metric, (label, colour) in measures.items():
            chains = record.chains(metric).loc[1:]
            relative = chains / chains.iloc[0]
            ax.plot(relative.mean(axis=1), color=colour, label=label)
            ax.plot(relative, color=colour, linewidth=0.7, alpha=0.6)
        ax.set(xlabel="generation", title=DECODING_NAMES[record.manifest["variant"]])
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes[0].set_ylim(0, None)
    axes[0].set_ylabel("share of g = 1")
    axes[0].legend(loc="lower left")
    labelled_panels(axes)
    return figure


def survival(records: Sequence[Record]) -> Figure:
    """Words of the human text that a pool lacks, by their count there, and pure resampling as the null."""
    figure, axes = panels(len(records), height=3.5, sharey=True)
    for ax, record in zip(axes, records, strict=True):
        for metric, copies, colour, label in (
            ("lost_1", 1, "#d55e00", "once in the human text"),
            ("lost_5plus", 5, "#0072b2", "five times or more"),
        ):
            _curve(ax, record, metric, colour, label)
            drawn = [float(lost_by(copies, g)) for g in record.generations]
            closed_form(ax, record.generations, drawn, "resampling: 1 and 5 copies" if copies == 1 else None)
        ax.set(xlabel="generation", title=DECODING_NAMES[record.manifest["variant"]], ylim=(0, 1))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes[0].set_ylabel("words that are gone")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    labelled_panels(axes)
    return figure


def _curve(ax: Axes, record: Record, metric: str, colour: str, label: str) -> None:
    """Mean and one standard deviation over chains, and every chain as a thin line."""
    band(ax, record, metric, between="sd", colour=colour, label=label)
    chains = record.chains(metric)
    if chains.shape[1] > 1:
        ax.plot(chains, color=colour, linewidth=0.7, alpha=0.6)
    ax.xaxis.get_major_locator().set_params(integer=True)


def _plain_numbers(ax: Axes) -> None:
    """Whole numbers on a logarithmic axis, more of them where it spans less."""
    low, high = ax.get_ylim()
    steps = (1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5) if high < 1000 * low else (1,)
    ax.yaxis.set_major_locator(LogLocator(subs=steps))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_minor_locator(NullLocator())

"""The figures of chapter *Warning*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..archive import Record
from ..warning.leads import LOSSES, levels_of, rings
from . import DARK, INK, REGIME_COLOURS, REGIME_NAMES, labelled_panels, panels

__all__ = ["LINES", "SHARE_WORDS", "false_alarms", "regimes", "roc", "soon"]

SHARE_WORDS = {"all": "all of it", "third": "a third", "tenth": "a tenth", "none": "nothing"}
LINES = {"watch": ("the alarm", "-"), "frechet": ("Fréchet distance", (0, (4, 2)))}
FAMILIES = {"gmm": "a mixture", "vae": "a VAE of digits", "llm": "a language model"}


def _colours() -> dict[str, tuple]:
    return dict(zip(SHARE_WORDS, sns.color_palette("viridis", len(SHARE_WORDS) - 1) + [INK], strict=True))


def soon(records: Sequence[Record], rate: float) -> Figure:
    """Share of chains with an alarm by generation, by how much of the candidate is the model's; a panel a family."""
    figure, axes = panels(len(records), height=4.2, width=7.8, sharey=True)
    for ax, record in zip(axes, records, strict=True):
        for share, colour in _colours().items():
            for by, (_, line) in LINES.items():
                found = rings(record, rate, share, by)
                ax.plot(found.index, found, color=colour, linestyle=line, linewidth=1.6)
        ax.axhline(rate, color=DARK, linewidth=0.8, linestyle=(0, (1, 2)))
        ax.set(xlabel="generation g", ylim=(-0.03, 1.03))
        ax.set_title(FAMILIES[record.manifest["family"]])
    axes[0].set_ylabel("chains with an alarm")
    axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles = [axes[0].plot([], [], color=colour)[0] for colour in _colours().values()]
    handles += [axes[0].plot([], [], color=INK, linestyle=line)[0] for _, line in LINES.values()]
    words = [*SHARE_WORDS.values(), *(text for text, _ in LINES.values())]
    figure.legend(
        handles,
        words,
        title="the model's share of what is looked at, and the test",
        loc="outside lower center",
        ncols=3,
    )
    labelled_panels(axes)
    return figure


def roc(record: Record, generations: Sequence[int], share: str = "all", arm: str = "") -> Figure:
    """Share of chains with an alarm against the rate of false alarms, a curve a generation, for both tests."""
    figure, axes = panels(len(LINES), height=3.9, width=7.4, sharey=True)
    rates = np.linspace(0, 1, 201)
    for ax, (by, (words, _)) in zip(axes, LINES.items(), strict=True):
        levels = levels_of(record, share, by, arm)
        for g, colour in zip(generations, sns.color_palette("viridis", len(generations)), strict=True):
            found = [(levels.loc[g] <= rate).mean() for rate in rates]
            ax.step(rates, found, where="post", color=colour, label=f"g = {g}")
        equal = levels_of(record, "none", by, arm).to_numpy().ravel()
        ax.step(rates, [(equal <= rate).mean() for rate in rates], color=INK, linewidth=1.2, label="equal sets")
        ax.plot([0, 1], [0, 1], color=DARK, linewidth=0.8, linestyle=(0, (1, 2)))
        ax.set(xlabel="rate of false alarms", xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        ax.set_title(words)
    axes[0].set_ylabel("chains with an alarm")
    axes[-1].legend(loc="lower right")
    labelled_panels(axes)
    return figure


def regimes(record: Record, rate: float) -> Figure:
    """Share of chains with an alarm by generation, a curve a regime, for both tests; and the loss."""
    figure, (left, right) = panels(2, height=3.6)
    metric, _ = LOSSES[record.manifest["family"]]
    for arm in record.arms:
        regime = record.setting("regime", arm)
        colour = REGIME_COLOURS[regime]
        for by, (_, line) in LINES.items():
            found = rings(record, rate, "all", by, arm)
            left.plot(found.index, found, color=colour, linestyle=line, label=REGIME_NAMES[regime] * (by == "watch"))
        table = record.summary(metric, arm)
        right.plot(table.index, table["q50"], color=colour, label=REGIME_NAMES[regime])
        right.fill_between(table.index, table["q05"], table["q95"], color=colour, alpha=0.2, linewidth=0)
    left.set(xlabel="generation g", ylabel="chains with an alarm", ylim=(-0.03, 1.03))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.axhline(rate, color=DARK, linewidth=0.8, linestyle=(0, (1, 2)))
    right.set(xlabel="generation g", ylabel=metric.replace("_", "-") + ", nats an item")
    left.legend()
    labelled_panels([left, right])
    return figure


def false_alarms(found: Mapping[str, np.ndarray]) -> Figure:
    """Share of equal sets with an alarm against the stated rate, for the p-values of each kind of set."""
    figure, (ax,) = panels(1, height=3.6, width=4.6)
    rates = np.linspace(0, 0.3, 61)
    for (words, p), colour in zip(found.items(), sns.color_palette("colorblind", len(found)), strict=True):
        ax.plot(rates, [(p <= rate).mean() for rate in rates], color=colour, label=words)
    ax.plot([0, 0.3], [0, 0.3], color=DARK, linewidth=1, linestyle=(0, (4, 3)), label="as stated")
    ax.set(xlabel="stated rate of false alarms", ylabel="equal sets with an alarm", xlim=(0, 0.3), ylim=(0, 0.33))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend()
    return figure

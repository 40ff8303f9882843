"""The figures of chapter *Remedies*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from .. import expectations as ex
from ..archive import Record
from ..claims.intervals import interval
from ..outcomes import HARMS, Outcome, outcomes, time_to_harm
from . import DARK, band, closed_form, labelled_panels, live_points, panels

__all__ = ["bench", "curation", "detector", "paths", "phase", "verifier"]

LOST, GROWS, HOLDS = "#d55e00", "#e69f00", "#0072b2"
FATES = {LOST: "past the line", GROWS: "below it, still growing", HOLDS: "below it, at rest"}
FAMILY_WORDS = {"gaussian": "a Gaussian", "gmm": "a mixture", "discrete": "a table of ten states"}


def fate(found: Outcome) -> str:
    """The colour of an outcome: the median chain past the limit at some generation, harm that grows, or neither."""
    if found.lost is not None:
        return LOST
    return GROWS if found.grows else HOLDS


def bench(sweeps: Sequence[Record]) -> Figure:
    """Harm at the end under every remedy, one panel a family; what lies beyond the panel is written at its edge."""
    found = [{x.words: x for x in outcomes(record)} for record in sweeps]
    rows = list(dict.fromkeys(words for each in found for words in each))
    figure, axes = panels(len(sweeps), height=0.34 * len(rows) + 1.3, sharey=True)
    for ax, record, each in zip(axes, sweeps, found, strict=True):
        harm = HARMS[record.manifest["family"]]
        edge = 3 * harm.most
        for y, words in enumerate(rows):
            if words in each:
                _outcome(ax, y, each[words], edge)
        ax.axvline(harm.most, color=DARK, linewidth=1, linestyle=(0, (4, 3)))
        ax.set(xlim=(-0.12 * edge, 1.06 * edge), xlabel="harm at the end", ylim=(len(rows) - 0.5, -0.5))
        ax.set_title(f"{FAMILY_WORDS[record.manifest['family']]}, g = {record.generations[-1]}")
    axes[0].set_yticks(range(len(rows)), rows)
    handles = [axes[-1].plot([], [], "o", color=colour, label=words)[0] for colour, words in FATES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(FATES))
    labelled_panels(axes)
    return figure


def _outcome(ax: Axes, y: int, found: Outcome, edge: float) -> None:
    colour, x = fate(found), found.harm.mean
    if x > edge:
        ax.annotate(
            f"{x:,.3g}",
            (edge, y),
            (-14, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
            color=colour,
        )
        ax.plot(edge, y, ">", color=colour, clip_on=False)
        return
    low, high = interval(found.harm)
    ax.plot([max(low, -edge), min(high, edge)], [y, y], color=colour, linewidth=2)
    ax.plot(x, y, "o", color=colour, markersize=5.5)


def paths(sweep: Record, arms: Mapping[str, str], live: Record) -> Figure:
    """The distance of the median chain by generation, between quartiles, under the remedies named by their arms."""
    figure, (ax,) = panels(1, height=3.8)
    harm = HARMS[sweep.manifest["family"]]
    for (arm, words), colour in zip(arms.items(), sns.color_palette("colorblind", len(arms)), strict=True):
        options = {"centre": "q50", "between": ("q25", "q75"), "fits": True}
        band(ax, sweep, harm.metric, arm=arm, label=words, colour=colour, **options)
        live_points(ax, live, harm.metric, arm=arm, centre="q50", colour=colour, fits=True)
    ax.set(xscale="log", yscale="log", xlabel="fits (g + 1)", ylabel=harm.words.split(",")[0])
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def phase(sweeps: Sequence[Record]) -> Figure:
    """How long it takes until the median chain is lost, by human share and size of the pool, one panel a family."""
    figure, axes = panels(len(sweeps), height=3.3, width=7.8, sharey=True)
    for ax, record in zip(axes, sweeps, strict=True):
        sizes, shares = (sorted({record.setting(name, arm) for arm in record.arms}) for name in ("n", "share"))
        times = np.full((len(shares), len(sizes)), np.nan)
        for arm in record.arms:
            spot = shares.index(record.setting("share", arm)), sizes.index(record.setting("n", arm))
            times[spot] = np.nan if (time := time_to_harm(record, arm)) is None else time
        words = np.where(np.isnan(times), f"> {record.generations[-1]}", np.nan_to_num(times).astype(int).astype(str))
        sns.heatmap(
            np.where(np.isnan(times), 1e9, times), ax=ax, norm=LogNorm(3, 1000), cmap="cividis", annot=words, fmt="",
            cbar=False, annot_kws={"fontsize": 8}, linewidths=0.5,
            xticklabels=sizes, yticklabels=[f"{100 * share:g} %" for share in shares],
        )  # fmt: skip
        ax.set(xlabel="items a pool", title=FAMILY_WORDS[record.manifest["family"]])
        ax.invert_yaxis()
        ax.tick_params(axis="y", rotation=0)
    axes[0].set_ylabel("human share of every pool")
    labelled_panels(axes)
    return figure


def verifier(sweep: Record) -> Figure:
    """Accuracy by the share of wrong labels, one colour a verifier; dashed, by the formula; the line is its limit."""
    figure, (ax,) = panels(1, height=3.8)
    pairs = sorted({(sweep.setting("phi", arm), sweep.setting("psi", arm)) for arm in sweep.arms}, reverse=True)
    d, n, gap = (sweep.setting(name) for name in ("d", "n", "gap"))
    for (phi, psi), colour in zip(pairs, sns.color_palette("colorblind", len(pairs)), strict=True):
        arms = [arm for arm in sweep.arms if (sweep.setting("phi", arm), sweep.setting("psi", arm)) == (phi, psi)]
        shares = np.array([sweep.setting("p", arm) for arm in arms])
        found = [sweep.at("accuracy", 1, arm)["mean"] for arm in arms]
        ax.plot(shares, found, "o", markersize=4, color=colour, label=f"keeps {phi:g} of right, {psi:g} of wrong")
        closed_form(ax, shares, ex.verifier_accuracy(d, n, gap, shares, phi, psi), color=colour)
        ax.axvline(float(ex.verifier_breakdown(phi, psi)), color=colour, linewidth=1, linestyle=":")
    ax.set(xlabel="share of wrong labels p", ylabel="accuracy on human points")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def detector(runs: Mapping[str, Record]) -> Figure:
    """Log-likelihood of human items by generation: human pools, and mixed ones by how they were resampled."""
    figure, (ax,) = panels(1)
    for (words, record), colour in zip(runs.items(), sns.color_palette("colorblind", len(runs)), strict=True):
        band(ax, record, "log_likelihood", label=words, colour=colour)
    ax.set(xlabel="generation g", ylabel="nats a human item")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def curation(sweep: Record, arms: Mapping[str, str]) -> Figure:
    """What a judge sees and what it does not: reward and spread of the median chain by generation."""
    figure, (left, right) = panels(2)
    for arm, words in arms.items():
        for ax, metric in ((left, "reward"), (right, "sd")):
            band(ax, sweep, metric, arm=arm, centre="q50", between=("q25", "q75"), label=words, fits=True)
    left.set(xscale="log", xlabel="fits (g + 1)", ylabel="mean reward of the sample")
    right.set(xscale="log", xlabel="fits (g + 1)", ylabel="standard deviation", ylim=(0, None))
    left.legend()
    labelled_panels([left, right])
    return figure

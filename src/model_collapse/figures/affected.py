"""The figures of chapter *Affected*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from .. import expectations as ex
from ..archive import Record
from . import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, closed_form, labelled_panels, live_points, panels

__all__ = ["dialects", "facts", "patients", "recommender"]

BAND_WORDS = {"once": "once", "rare": "2 to 4 times", "some": "5 to 9", "often": "10 to 99", "common": "100 and more"}


def facts(runs: Mapping[str, Record], live: Record, told: np.ndarray, bands: Mapping[str, tuple[int, int]]) -> Figure:
    """Wrong answers by how often people told a fact, under replace, beside the closed form; and in all, by regime.

    Parameters
    ----------
    told : numpy.ndarray
        How often people told of each subject.
    bands : mapping of str to (int, int)
    """
    figure, (left, right) = panels(2, height=4.4)
    replace = next(record for record in runs.values() if record.manifest["regime"] == "replace")
    generations = np.arange(replace.generations[-1] + 1)
    for name, colour in zip(bands, sns.color_palette("viridis", len(bands)), strict=True):
        band(left, replace, f"false_{name}", between="sd", colour=colour, label=BAND_WORDS[name])
        low, high = bands[name]
        copies = told[(told >= low) & (told <= high), None]
        expected = ex.expected_false_share(copies, generations, replace.setting("doubt"), replace.setting("answers"))
        closed_form(left, generations, expected.mean(axis=0))
    live_points(left, live, "false_once", label=LIVE)
    left.set(xlabel="generation g", ylabel="wrong answers", ylim=(0, 1))
    handles, words = left.get_legend_handles_labels()
    figure.legend(handles, words, title="how often people told it", loc="outside lower center", ncols=3)
    for record in runs.values():
        regime = record.manifest["regime"]
        band(right, record, "false", between="sd", colour=REGIME_COLOURS[regime], label=REGIME_NAMES[regime])
    right.set(xlabel="generation g", ylabel="wrong answers in all", ylim=(0, None))
    right.legend()
    for ax in (left, right):
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    labelled_panels([left, right])
    return figure


def dialects(runs: Mapping[str, Record]) -> Figure:
    """Human test text in the language of most and in the dialect, under replace; the dialect's, by regime."""
    figure, (left, right) = panels(2, sharey=True)
    replace = next(record for record in runs.values() if record.manifest["regime"] == "replace")
    band(left, replace, "bits_per_byte", between="sd", colour=DARK, label="the language of most")
    band(left, replace, "minor_bits_per_byte", between="sd", colour=REGIME_COLOURS["replace"], label="the dialect")
    for record in runs.values():
        regime = record.manifest["regime"]
        colour, words = REGIME_COLOURS[regime], REGIME_NAMES[regime]
        band(right, record, "minor_bits_per_byte", between="sd", colour=colour, label=words)
    left.set(xlabel="generation g", ylabel="bits per byte of human text", ylim=(0, None))
    right.set(xlabel="generation g", title="the dialect, by regime")
    left.set_title("replace")
    for ax in (left, right):
        ax.legend(loc="lower right")
    labelled_panels([left, right])
    return figure


def patients(runs: Mapping[str, Record], live: Record) -> Figure:
    """What the average says under replace, and who is found among the rare, by regime."""
    figure, (left, right) = panels(2)
    replace = next(record for record in runs.values() if record.manifest["regime"] == "replace")
    for metric, words in (("accuracy", "accuracy, all patients"), ("recall", "found of the rare kind")):
        band(left, replace, metric, label=words)
    left.set(xlabel="generation g", ylabel="real patients judged rightly", ylim=(0, 1.02))
    for record in runs.values():
        regime = record.manifest["regime"]
        band(right, record, "recall", colour=REGIME_COLOURS[regime], label=REGIME_NAMES[regime])
    live_points(right, live, "recall", label=LIVE)
    right.set(xlabel="generation g", ylabel="found of the rare kind", ylim=(0, 1.02))
    for ax in (left, right):
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.legend(loc="upper right" if ax is right else "lower left")
    labelled_panels([left, right])
    return figure


def recommender(runs: Mapping[str, Record], live: Record) -> Figure:
    """The tail's share of what is recommended, articles that are still reached, and how well people are served."""
    figure, axes = panels(3, height=3.6, width=7.8)
    shown = {"tail": "share of the tail", "reached": "articles reached", "wanted": "wanted, chance = 1"}
    for (words, record), colour in zip(runs.items(), sns.color_palette("colorblind", len(runs)), strict=True):
        for ax, metric in zip(axes, shown, strict=True):
            band(ax, record, metric, between="sd", label=words, colour=colour)
    for ax, (metric, words) in zip(axes, shown.items(), strict=True):
        live_points(ax, live, metric, label=LIVE)
        ax.set(xlabel="generation g", ylabel=words, ylim=(0, None))
        if metric != "wanted":
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    labelled_panels(axes)
    return figure

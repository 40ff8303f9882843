"""The figures of chapter *Faces that grow alike*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ..archive import Record
from . import DARK, REGIME_COLOURS, band, labelled_panels, panels, use_style
from .pictures import rows, sheet, tiled

__all__ = ["averages", "by_generation", "by_loop", "first_and_last", "paths", "sheet", "side_by_side", "spectra"]

BLACK = "gray"
LOOPS = {
    "replace-unbiased": ("replace, λ = 1", REGIME_COLOURS["replace"]),
    "replace-truncated": ("replace, λ = 0.7", "#6e4a9e"),
    "augment-unbiased": ("augment", REGIME_COLOURS["augment"]),
    "accumulate-unbiased": ("accumulate", REGIME_COLOURS["accumulate"]),
    "fresh-unbiased": ("fresh", REGIME_COLOURS["fresh"]),
}
MEASURES = {
    "frechet": "Fréchet distance",
    "precision": "precision",
    "recall": "recall",
    "feature_distance": "distance between two faces",
    "spectral_excess": "excess of high frequencies",
    "rare_mass": "rare kinds, share of human",
}


def by_generation(record: Record) -> Figure:
    """The same latents as each generation of one chain draws them: a row a generation."""
    kept = record.samples("kept")
    shown = {f"g = {g}": images for g, images in zip(kept["generation"], kept["images"], strict=True)}
    return rows(shown, BLACK, 0.7)


def side_by_side(records: Mapping[str, Record], faces: int = 8) -> Figure:
    """The same latents as each generation of the first chain draws them: a column a loop, a row a generation."""
    kept = {study: record.samples("kept") for study, record in records.items()}
    shared = sorted(set.intersection(*(set(x["generation"].tolist()) for x in kept.values())))
    use_style()
    figure, axes = plt.subplots(len(shared), len(kept), figsize=(7.4, 0.62 * len(shared) + 0.3), squeeze=False)
    for column, (study, x) in zip(axes.T, kept.items(), strict=True):
        column[0].set_title(LOOPS[study][0])
        for ax, g in zip(column, shared, strict=True):
            images = x["images"][x["generation"].tolist().index(g)][:faces]
            ax.imshow(tiled(images, faces), cmap=BLACK, vmin=0, vmax=255)
            ax.set_axis_off()
    for ax, g in zip(axes[:, 0], shared, strict=True):
        ax.text(-0.02, 0.5, f"g = {g}", transform=ax.transAxes, ha="right", va="center", fontsize=9.5)
    return figure


def averages(records: Mapping[str, Record]) -> Figure:
    """The mean of the pictures that were measured in each generation of one chain: a row a loop."""
    shown = {LOOPS[study][0]: record.samples("kept")["average"] for study, record in records.items()}
    return rows(shown, BLACK, 1.05)


def by_loop(records: Mapping[str, Record], again: bool = False) -> Figure:
    """Six measures by generation, a colour a loop, bands of one standard deviation over chains.

    With `again`, those that are measured through a second encoder too, as that one sees them.
    """
    names = [name for name in MEASURES if not again or f"{name}_second" in _known(records)]
    figure, axes = panels(len(names) if again else 3, height=3.1 if again else 5.6, rows=1 if again else 2)
    for ax, name in zip(axes, names, strict=True):
        for study, record in records.items():
            label, colour = LOOPS[study]
            metric = f"{name}_second" if again else name
            band(ax, record, metric, between="sd", colour=colour, label=label)
        if f"{name}_human" in _known(records) and not again:
            some = next(iter(records.values()))
            ax.axhline(some.at(f"{name}_human", 0)["mean"], color="#8a929c", linewidth=1, linestyle=":")
        ax.set(title=MEASURES[name])
        if name == "frechet":
            ax.set_yscale("log")
        elif name != "spectral_excess":
            ax.set_ylim(0, None)
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax in axes if again else axes[-3:]:
        ax.set_xlabel("generation")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    labelled_panels(axes)
    return figure


def _known(records: Mapping[str, Record]) -> set[str]:
    return set.intersection(*(set(record.statistics["metric"]) for record in records.values()))


def paths(records: Mapping[str, Record]) -> Figure:
    """Precision against recall: each loop's way from generation 0 on, chains as thin lines, the cross is human.

    A square marks the last generation. Precision begins where the lowest of them does.
    """
    figure, (ax,) = panels(1, height=4.6, width=5.8)
    some = next(iter(records.values()))
    human = [some.at(f"{name}_human", 0)["mean"] for name in ("recall", "precision")]
    lowest = min(human[1], *(record.chains("precision").to_numpy().min() for record in records.values()))
    for study, record in records.items():
        label, colour = LOOPS[study]
        precision, recall = (record.chains(name) for name in ("precision", "recall"))
        for chain in recall:
            ax.plot(recall[chain], precision[chain], color=colour, linewidth=0.7, alpha=0.6)
        middle = (recall.mean(axis=1), precision.mean(axis=1))
        ax.plot(*middle, "o-", color=colour, markersize=4, label=label)
        ax.plot(middle[0].iloc[-1], middle[1].iloc[-1], "s", color=colour, markersize=8)
    ax.plot(*human, "x", color=DARK, markersize=8, label="human against human")
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1), ylim=(np.floor(20 * lowest) / 20, 1.005))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def spectra(records: Mapping[str, Record]) -> Figure:
    """Power of generated pictures by spatial frequency, over that of human ones, a line a generation, one chain."""
    figure, axes = panels(len(records), height=3.3, sharey=True)
    for ax, (study, record) in zip(axes, records.items(), strict=True):
        kept = record.samples("kept")
        colours = sns.color_palette("flare", len(kept["generation"]))
        for g, power, human, colour in zip(
            kept["generation"], kept["power"], kept["human_power"], colours, strict=True
        ):
            waves = np.arange(1, len(power) + 1)
            ax.plot(waves, power / human, color=colour, linewidth=1.6, label=f"g = {g}")
        ax.axhline(1, color="#8a929c", linewidth=1, linestyle=":")
        ax.set(title=LOOPS[study][0], xlabel="waves a side", yscale="log")
    axes[0].set_ylabel("power, over human pictures'")
    axes[0].legend(loc="lower left", ncols=2)
    labelled_panels(axes)
    return figure


def first_and_last(records: Mapping[str, Record], measures: Sequence[str]) -> list[list[str]]:
    """A row a loop: its name, and each measure at the first and the last generation."""
    table = []
    for study, record in records.items():
        ends = [[record.at(name, g)["mean"] for g in (0, record.generations[-1])] for name in measures]
        table.append([LOOPS[study][0], *(f"{a:.3g} to {b:.3g}" for a, b in ends)])
    return table

"""The figures of chapter *Digits that blend*. Records in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from ..archive import Record
from ..vae.measure import directions as directions_of
from ..vae.minority import rare_labels
from . import DARK, LIVE, REGIME_COLOURS, REGIME_NAMES, band, labelled_panels, live_points, panels, use_style
from .pictures import rows, sheet

__all__ = [
    "blending",
    "by_regime",
    "causes",
    "classes",
    "directions",
    "judged",
    "kinds",
    "latent_densities",
    "latent_spread",
    "minority",
    "sheet",
    "sheets",
]

FIRST, SECOND = "#0072b2", "#d55e00"
VARIANT_NAMES = {"stream": "stream, as released", "stored": "stored, a finite set", "binarised": "binarised stream"}
VARIANT_COLOURS = {"stream": "#d55e00", "stored": "#0072b2", "binarised": "#009e73"}


def blending(record: Record, generations: Sequence[int], columns: int = 14) -> Figure:
    """The same points of the latent space as each generation's decoder draws them: a row a generation."""
    kept = record.samples("kept")
    shown = {f"g = {g}": kept["images"][kept["generation"].tolist().index(g), :columns] for g in generations}
    return rows(shown)


def sheets(records: Mapping[str, Record], g: int, columns: int = 14) -> Figure:
    """What the last generation of each run makes of the same points of the latent space, under the first models'.

    Runs share their first model where they were made on one kind of processor; each other one has a row of its own.
    """
    first, last = [], {}
    for name, record in records.items():
        kept = record.samples("kept")
        at = kept["generation"].tolist()
        begun, last[name] = (kept["images"][at.index(x), :columns] for x in (0, g))
        first += [] if any(np.array_equal(begun, other) for other in first) else [begun]
    named = {"g = 0" if n == 0 else f"g = 0 ({n + 1})": images for n, images in enumerate(first)}
    return rows(named | last)


def latent_densities(record: Record) -> Figure:
    """Density of the posterior means that the encoder of generation 0 gives the images of each generation, one chain.

    As in the released notebook: 100 images by 20 latents, pooled. The dashed curve is the prior.
    """
    kept = record.samples("kept")
    figure, (ax,) = panels(1, height=3.6)
    colours = sns.color_palette("flare", len(kept["generation"]))
    x = np.linspace(-3.2, 3.2, 300)
    for g, latents, colour in zip(kept["generation"].tolist(), kept["latents"], colours, strict=True):
        named = g in (0, 1, 5, 10, 20) or g == record.generations[-1]
        sns.kdeplot(
            x=latents.ravel(), ax=ax, color=colour, linewidth=1.7, label=f"g = {g}" if named else None, clip=(-3.2, 3.2)
        )
    ax.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=DARK, linewidth=1.1, linestyle=(0, (4, 3)))
    ax.annotate(
        "prior", (1.75, 0.09), xytext=(2.3, 0.25), fontsize=9, arrowprops={"arrowstyle": "-", "lw": 0.8, "color": DARK}
    )
    ax.set(xlabel="posterior mean by the encoder of generation 0", ylabel="density", xlim=(-3.2, 3.2))
    ax.legend(loc="upper left")
    return figure


def directions(record: Record) -> Figure:
    """What of the latents' spread lies between drawings, and in how many directions, for the chain whose are kept."""
    kept = record.samples("kept")
    generations, latents = kept["generation"], kept["latents"]
    figure, (spread, filled) = panels(2, height=3.2)
    spread.plot(generations, latents.std(axis=(1, 2)), color=FIRST, label="all pooled, as released")
    spread.plot(generations, np.sqrt(latents.var(axis=1).mean(axis=1)), color=SECOND, label="over drawings only")
    spread.set(title="sd of the latents of 100 images", xlabel="generation", ylim=(0, None))
    spread.legend(loc="upper right")
    filled.plot(generations, directions_of(latents), "o-", color=SECOND, markersize=3.5)
    filled.set(title="directions that the drawings fill", xlabel="generation", ylim=(0, None))
    filled.yaxis.get_major_locator().set_params(integer=True)
    for ax in (spread, filled):
        ax.xaxis.get_major_locator().set_params(integer=True)
    labelled_panels((spread, filled))
    return figure


def latent_spread(records: Sequence[Record], released: Mapping[int, tuple[float, float]], live: Record) -> Figure:
    """Standard deviation of the latents by generation, and the released five runs."""
    figure, (ax,) = panels(1, height=3.6)
    for record, colour in zip(records, sns.color_palette("colorblind"), strict=False):
        epochs, chains = record.manifest["config"]["epochs"], record.manifest["chains"]
        label = f"{epochs} epochs a generation, {chains} chains"
        band(ax, record, "latent_sd", between="sd", colour=colour, label=label)
    generations, values = list(released), np.array(list(released.values()))
    ax.errorbar(
        generations, values[:, 0], values[:, 1], fmt="D", color=DARK, markersize=4, capsize=2, zorder=5,
        label="released, 30 epochs, five runs",
    )  # fmt: skip
    live_points(ax, live, "latent_sd", label=f"{LIVE}: {live.manifest['data']['name']}")
    ax.set(xlabel="generation", ylabel="sd of the latents of 100 images", ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def classes(record: Record) -> Figure:
    """What two classifiers, which differ in their seed, see in the generated images; precision and recall by one."""
    use_style()
    figure, grid = plt.subplots(2, 2, figsize=(7.4, 5.2), sharex=True)
    axes = list(grid.ravel())
    measures = {
        "unsure_share": "share of images that leave it unsure",
        "class_entropy": "entropy of the classes (bits)",
        "frechet": "Fréchet distance",
    }
    for ax, (metric, title) in zip(axes, measures.items(), strict=False):
        for name, colour, label in ((metric, FIRST, "first"), (f"{metric}_second", SECOND, "second")):
            band(ax, record, name, between="sd", colour=colour, label=f"{label} classifier")
        ax.set(title=title, ylim=(0, None))
    axes[1].axhline(np.log2(10), color="#8a929c", linewidth=1, linestyle=":")
    axes[0].legend(loc="lower right")
    for metric, line in (("precision", "-"), ("recall", "--")):
        band(axes[3], record, metric, between="sd", colour=FIRST, label=metric, linestyle=line)
    axes[3].set(title="precision and recall", ylim=(0, 1))
    axes[3].legend(loc="upper right")
    for ax in grid[1]:
        ax.set_xlabel("generation")
        ax.xaxis.get_major_locator().set_params(integer=True)
    labelled_panels(axes)
    return figure


def judged(record: Record) -> Figure:
    """What the decoder itself is worth on human images, and what the first classifier sees beside `classes`."""
    measures = {
        "negative_elbo": "negative ELBO of human images (nats)",
        "rarest_share": "share of the rarest class",
        "confidence": "mean confidence",
        "nearest": "distance to the nearest human image",
    }
    figure, axes = panels(2, rows=2, height=5.2, sharex=True)
    for ax, (metric, title) in zip(axes, measures.items(), strict=True):
        band(ax, record, metric, between="sd", colour=FIRST, label="")
        ax.set(title=title, ylim=(0, None))
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax in axes[2:]:
        ax.set_xlabel("generation")
    labelled_panels(axes)
    return figure


def kinds(record: Record) -> Figure:
    """Share of the images that fall into each class, a row a class, mean over chains; the middle colour is a tenth."""
    figure, (ax,) = panels(1, height=3.6)
    shares = [record.summary(f"class_{k}")["mean"] for k in range(10)]
    sns.heatmap(
        100 * np.array(shares), ax=ax, norm=TwoSlopeNorm(10, 0, 100), cmap="vlag", linewidths=0.5,
        xticklabels=record.generations, cbar_kws={"label": "share of the images (%)", "ticks": (0, 5, 10, 50, 100)},
    )  # fmt: skip
    ax.set(xlabel="generation", ylabel="digit")
    ax.tick_params(axis="both", rotation=0, length=0)
    return figure


def by_regime(records: Mapping[str, Record]) -> Figure:
    """Spread of the latents, Fréchet distance and recall under every regime, at equal optimiser steps."""
    measures = {"latent_sd_2000": "sd of the latents", "frechet": "Fréchet distance", "recall": "recall"}
    figure, axes = _compared(records, measures, "regime", REGIME_COLOURS, REGIME_NAMES)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def causes(records: Mapping[str, Record]) -> Figure:
    """Latents, pixels and Fréchet distance where the synthetic set is a stream, a finite set, or black and white."""
    measures = {"latent_sd_2000": "sd of the latents", "pixel_variance": "variance of the pixels"}
    measures |= {"frechet": "Fréchet distance"}
    figure, axes = _compared(records, measures, "variant", VARIANT_COLOURS, VARIANT_NAMES)
    axes[0].legend(loc="lower left")
    return figure


def minority(records: Mapping[str, Record]) -> Figure:
    """Recall of the class of one per cent, a line a chain with its digit at the end; overall accuracy; by regime.

    Chains that end near each other share a label.
    """
    figure, (rare, overall) = panels(2, height=3.3, sharey=True)
    for column, record in enumerate(records.values()):
        kind = record.manifest["regime"]
        colour, end = REGIME_COLOURS[kind], record.generations[-1]
        recall = record.chains("minority_recall")
        rare.plot(recall, color=colour, linewidth=1.3)
        for height, digits in _close(recall.loc[end], rare_labels(record)):
            rare.annotate(digits, (end, height), (4 + 14 * column, -3), textcoords="offset points", fontsize=9,
                          color=colour)  # fmt: skip
        band(overall, record, "accuracy", between="sd", colour=colour, label=REGIME_NAMES[kind])
        overall.plot(record.chains("accuracy"), color=colour, linewidth=0.7, alpha=0.7)
    rare.set(title="recall of the class of 1 %", ylim=(-0.04, 1), xlim=(None, end * 1.3))
    overall.set(title="overall accuracy")
    for ax in (rare, overall):
        ax.set_xlabel("generation")
        ax.xaxis.get_major_locator().set_params(integer=True)
    rare.set_xticks(range(end + 1))
    overall.legend(loc="lower left")
    labelled_panels((rare, overall))
    return figure


def _close(ends: Sequence[float], names: Sequence[int], apart: float = 0.04) -> list[tuple[float, str]]:
    """Heights and labels, those nearer to the one below than `apart` made one."""
    groups = []
    for end, name in sorted(zip(ends, names, strict=True)):
        if groups and end - groups[-1][-1][0] < apart:
            groups[-1].append((end, name))
        else:
            groups.append([(end, name)])
    return [(np.mean([end for end, _ in some]), " ".join(map(str, sorted(n for _, n in some)))) for some in groups]


def _compared(
    records: Mapping[str, Record],
    measures: Mapping[str, str],
    by: str,
    colours: Mapping[str, str],
    names: Mapping[str, str],
    **options,
):
    """A panel a measure, with a band a record, told apart by one entry of its manifest."""
    figure, axes = panels(len(measures), height=3.3, **options)
    for ax, (metric, title) in zip(axes, measures.items(), strict=True):
        for record in records.values():
            kind = record.manifest[by]
            band(ax, record, metric, between="sd", colour=colours[kind], label=names[kind])
        ax.set(xlabel="generation", title=title, ylim=(0, None))
        ax.xaxis.get_major_locator().set_params(integer=True)
    labelled_panels(axes)
    return figure, axes

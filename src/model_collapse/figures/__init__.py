"""The figures that chapters share. They read records and never train; every one says where its data come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..archive import Record

__all__ = [
    "LIVE",
    "REGIME_COLOURS",
    "band",
    "caption",
    "closed_form",
    "described",
    "labelled_panels",
    "live_points",
    "panels",
    "use_style",
]

INK = "#5b6470"
DARK = "#24292f"
LIVE = "run on this page"
REGIME_COLOURS = {
    "replace": "#d55e00",
    "keep": "#e69f00",
    "fresh": "#009e73",
    "accumulate_subsample": "#56b4e9",
    "augment": "#cc79a7",
    "accumulate": "#0072b2",
}
"""One colour per regime through the whole book: Okabe and Ito's palette, made for the colour-blind."""

REGIME_NAMES = {
    "replace": "replace",
    "keep": "keep 10 %",
    "fresh": "fresh",
    "accumulate_subsample": "accumulate, subsample",
    "augment": "augment",
    "accumulate": "accumulate",
}


def use_style() -> None:
    """One look for every figure: legible on light and dark pages, since nothing but the data is painted."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 220,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e3e6ea",
            "grid.linewidth": 0.7,
            "axes.edgecolor": INK,
            "axes.labelcolor": DARK,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.labelsize": 10.5,
            "xtick.labelsize": 9.5,
            "ytick.labelsize": 9.5,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.8,
        }
    )


def panels(
    count: int = 1, height: float = 3.4, width: float = 7.4, rows: int = 1, **options
) -> tuple[Figure, Sequence[Axes]]:
    """A figure as wide as the text with `rows` rows of `count` panels; always gives a sequence of axes."""
    use_style()
    figure, axes = plt.subplots(rows, count, figsize=(width, height), squeeze=False, **options)
    return figure, list(axes.ravel())


def labelled_panels(axes: Sequence[Axes]) -> None:
    """Letter the panels (a), (b), …; a single one needs no letter."""
    for letter, ax in zip("abcdefgh", axes, strict=False) if len(axes) > 1 else ():
        ax.set_title(f"({letter}) {ax.get_title('left')}".rstrip(), loc="left")


def band(
    ax: Axes,
    record: Record,
    metric: str,
    *,
    arm: str = "",
    centre: str = "mean",
    between: tuple[str, str] | str = "interval",
    label: str | None = None,
    colour: str | None = None,
    fits: bool = False,
    **line,
) -> None:
    """A statistic over chains by generation, with a band.

    Parameters
    ----------
    centre : str
        A column of the summary: "mean" or a quantile such as "q50".
    between : "interval", "sd" or pair of str
        A 95 % interval of the mean over many chains, one standard deviation over chains either way, or two quantiles.
    fits : bool
        Count fits (g + 1) along x, so that g = 0 has a place on a logarithmic axis.
    """
    table = record.summary(metric, arm)
    x = table.index.to_numpy() + fits
    (drawn,) = ax.plot(x, table[centre], label=label, color=colour, **line)
    if between in ("interval", "sd"):
        half = table["sd"] if between == "sd" else 1.96 * table["sd"] / np.sqrt(table["count"])
        low, high = table["mean"] - half, table["mean"] + half
    else:
        low, high = table[between[0]], table[between[1]]
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)


def live_points(
    ax: Axes,
    record: Record,
    metric: str,
    *,
    arm: str = "",
    centre: str = "mean",
    colour: str = DARK,
    label: str | None = None,
    most: int = 14,
    fits: bool = False,
) -> None:
    """A few log-spaced values of a run made just now, as open circles over an archived curve."""
    table = record.summary(metric, arm)
    spots = np.unique(np.geomspace(1, len(table), most).round().astype(int)) - 1
    some = table.iloc[spots]
    ax.plot(
        some.index + fits,
        some[centre],
        "o",
        markersize=4.5,
        markerfacecolor="none",
        markeredgecolor=colour,
        label=label,
        zorder=5,
    )


def closed_form(ax: Axes, x: Sequence[float], y: Sequence[float], label: str | None = None, **line) -> list:
    """A curve from a formula: thin, dashed, dark, over everything else."""
    return ax.plot(
        x, y, **({"color": DARK, "linewidth": 1.1, "linestyle": (0, (4, 3)), "label": label, "zorder": 6} | line)
    )


def described(record: Record) -> str:
    """Where a curve comes from: "10,000 chains, profile paper, seed 0", and for how long networks learned."""
    said = record.manifest
    text = f"{said['chains']:,} chain{'s' * (said['chains'] != 1)}, profile {said['profile']}, seed {said['seed']}"
    epochs = said.get("config", {}).get("epochs")
    return text + (f", {epochs} epochs a generation" if epochs else "")


def caption(archived: Record | Mapping[str, Record], live: Record | None = None) -> str:
    """The part of a caption that the manifests fill: data, chains, profile, and what was run on this page."""
    records = list(archived.values()) if isinstance(archived, Mapping) else [archived]
    data = {record.manifest["data"]["name"] for record in records if record.manifest.get("data")}
    said = list(dict.fromkeys(described(record) for record in records))
    parts = ["Archived: " + "; ".join(said) + (f"; data: {', '.join(sorted(data))}" if data else "")] if records else []
    if live is not None:
        own = (live.manifest.get("data") or {}).get("name")
        other = f", data: {own}" if own and own not in data else ""
        parts.append(f"Circles, run on this page: {described(live)}{other}")
    return ". ".join(parts) + "."

"""The figures of chapter *Related*. What was computed on the page in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..related import MODES, Learning, Ring
from . import INK, REGIME_COLOURS, labelled_panels, panels

__all__ = ["forgetting", "ring", "worlds"]

RULES = {
    "itself": ("the last model", REGIME_COLOURS["replace"], "-"),
    "keep": ("that, and 10 % of the first day", REGIME_COLOURS["keep"], "-"),
    "people": ("people of today", REGIME_COLOURS["fresh"], "-"),
    "frozen": ("people of the first day", "#5b6470", (0, (5, 2))),
}
GAMES = ("too slow", "keeps pace")
MODEL, CURED = "#d55e00", "#0072b2"


def worlds(courses: Mapping[tuple[str, str], pd.DataFrame]) -> Figure:
    """Log-likelihood of today's people by generation, a panel a world, a curve a rule (medians and quartiles).

    Parameters
    ----------
    courses : mapping of (world, rule) to the tables of `model_collapse.related.courses`
    """
    names = list(dict.fromkeys(world for world, _ in courses))
    figure, axes = panels(len(names), height=4.0, width=7.8, sharey=True)
    for ax, world in zip(axes, names, strict=True):
        for rule, (words, colour, line) in RULES.items():
            table = courses[world, rule]
            found = table[table["metric"] == "today"].groupby("generation")["value"].quantile([0.25, 0.5, 0.75])
            low, middle, high = (found.xs(q, level=1) for q in (0.25, 0.5, 0.75))
            ax.plot(middle.index, middle, color=colour, linestyle=line, label=words)
            ax.fill_between(middle.index, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set(xlabel="generation g", ylim=(-8, -3.2))
        ax.set_title(f"people are {world}" if world == "still" else f"a {world} world")
    axes[0].set_ylabel("log-likelihood of today's people")
    handles, words = axes[0].get_legend_handles_labels()
    figure.legend(handles, words, title="the model learns from", loc="outside lower center", ncols=2)
    labelled_panels(axes)
    return figure


def ring(slow: Ring, even: Ring, people: np.ndarray) -> Figure:
    """What people's points look like, what each GAN samples at its end, and the humps that are covered on the way."""
    figure, axes = panels(3, height=3.0, width=7.8, width_ratios=[1, 1, 1.25])
    for ax, course, colour, words in zip(axes, (slow, even), (MODEL, CURED), GAMES, strict=False):
        ax.scatter(*people.T, s=3, color="#c3c9d1", rasterized=True)
        ax.scatter(*course.points[-1].T, s=3, color=colour, alpha=0.5, rasterized=True)
        ax.set(xlim=(-2.9, 2.9), ylim=(-2.9, 2.9), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        ax.set_title(words)
        axes[2].plot(course.steps, course.covered, color=colour, linewidth=0.6, alpha=0.5)
        axes[2].plot(course.steps, course.covered.mean(axis=1), color=colour, label=words)
    axes[2].axhline(MODES, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes[2].set(xlabel="steps of training", ylabel="humps covered", ylim=(0, MODES + 0.5))
    axes[2].legend(loc="center right", title="discriminator")
    labelled_panels(axes)
    return figure


def forgetting(plain: Learning, replayed: Learning) -> Figure:
    """The loss on both tasks while the second is learned, and how much of what is generated is of the first."""
    figure, axes = panels(2, height=3.4)
    for course, line, words in ((plain, "-", "alone"), (replayed, (0, (4, 2)), "10 % of 0 to 4 replayed")):
        for task, colour in enumerate((MODEL, CURED)):
            axes[0].plot(course.epochs, course.loss[:, task], color=colour, linestyle=line)
        axes[1].plot(course.epochs, course.share, color=MODEL, linestyle=line)
        axes[1].plot([], [], color=INK, linestyle=line, label=words)
    for task, words in enumerate(("digits 0 to 4", "digits 5 to 9")):
        axes[0].plot([], [], color=(MODEL, CURED)[task], label=words)
    axes[0].set(xlabel="epochs with digits 5 to 9", ylabel="negative ELBO, nats an image")
    axes[1].set(xlabel="epochs with digits 5 to 9", ylabel="digits 0 to 4 among its own", ylim=(0, 1))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0].legend(loc="center right", bbox_to_anchor=(1.0, 0.45))
    axes[1].legend(loc="upper right")
    labelled_panels(axes)
    return figure

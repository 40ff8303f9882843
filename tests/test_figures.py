"""Figures show what the records hold: every one is drawn from small runs, and its curves are looked up."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from model_collapse import figures, load_record
from model_collapse.figures import theory
from model_collapse.theory import gaussian


@pytest.fixture(scope="module")
def small():
    return gaussian.run("replace", "smoke", progress=False)


def test_a_band_is_the_summary(small):
    figure, (ax,) = figures.panels(1)
    figures.band(ax, small, "variance", fits=True)
    table = small.summary("variance")
    x, y = ax.lines[0].get_data()
    assert (x == table.index + 1).all() and np.allclose(y, table["mean"])


def test_a_band_of_quantiles(small):
    figure, (ax,) = figures.panels(1)
    figures.band(ax, small, "variance", centre="q50", between=("q05", "q95"))
    low, high = ax.collections[0].get_paths()[0].get_extents().intervaly
    table = small.summary("variance")
    assert low == pytest.approx(table["q05"].min()) and high == pytest.approx(table["q95"].max())


def test_captions_come_from_the_manifest(small):
    assert figures.caption(small) == "Archived: 40 chains, profile smoke, seed 0."
    assert figures.caption(small, small).endswith("Circles, run on this page: 40 chains, profile smoke, seed 0.")


@pytest.mark.parametrize("draw", [theory.vanishing_variance, theory.first_moments])
def test_figures_of_the_chapter_draw_archived_and_live_runs(small, draw):
    figure = draw(small, small)
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)
    assert any("page" in text.get_text() for ax in figure.axes for text in ax.get_legend().get_texts())


def test_every_regime_has_a_colour_and_a_name():
    from model_collapse.regimes import REGIMES

    assert set(figures.REGIME_COLOURS) == set(figures.REGIME_NAMES) == set(REGIMES)
    assert len(set(figures.REGIME_COLOURS.values())) == len(REGIMES)


def test_the_archive_is_there_and_loads_in_three_lines():
    record = load_record("gaussian", "paper-replace")
    assert record.manifest["profile"] == "paper" and record.manifest["chains"] >= 10_000

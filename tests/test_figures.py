"""Figures show what the records hold: every one is drawn from small runs, and its curves are looked up."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from model_collapse import figures, load_record, vae
from model_collapse.figures import theory
from model_collapse.figures import vae as digits
from model_collapse.theory import gaussian
from model_collapse.vae.measure import directions
from model_collapse.vae.minority import rare_labels


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


@pytest.fixture(scope="module")
def vae_runs():
    scale = {"chains": 2, "n": 200, "epochs": 1, "progress": False}
    studies = ("stream-replace", "stream-keep10", "stored-replace", "minority-replace")
    return {study: vae.run(study, "smoke", **scale) for study in studies}


def curves(ax) -> list[np.ndarray]:
    return [line.get_ydata() for line in ax.lines]


def test_chains_that_end_near_each_other_share_a_label():
    assert digits._close([0.5, 0.02, 0.0, 0.05, 0.1], [8, 4, 7, 0, 9]) == [
        (pytest.approx(0.07 / 3), "0 4 7"),
        (0.1, "9"),
        (0.5, "8"),
    ]


def test_figures_of_digits_draw_what_the_records_hold(vae_runs):
    record = vae_runs["stream-replace"]
    mean = record.summary("latent_sd")["mean"]
    (ax,) = digits.latent_spread([record], {1: (0.688, 0.011)}, record).axes
    assert any(np.allclose(y, mean) for y in curves(ax) if len(y) == len(mean))
    assert any(np.allclose(y, [0.688]) for y in curves(ax) if len(y) == 1)
    regimes = digits.by_regime({name: vae_runs[name] for name in ("stream-replace", "stream-keep10")})
    assert [text.get_text() for text in regimes.legends[0].get_texts()] == ["replace", "keep 10 %"]
    (lost, whole) = digits.minority({"replace": vae_runs["minority-replace"]}).axes
    recalls, labels = vae_runs["minority-replace"].chains("minority_recall"), rare_labels(vae_runs["minority-replace"])
    assert np.allclose(curves(lost), recalls.T)
    ends = {str(label): recall for label, recall in zip(labels, recalls.iloc[-1], strict=True)}
    assert sorted(" ".join(text.get_text() for text in lost.texts).split()) == sorted(ends)
    assert all(text.xy[1] == pytest.approx(np.mean([ends[k] for k in text.get_text().split()])) for text in lost.texts)
    assert np.allclose(curves(whole)[0], vae_runs["minority-replace"].summary("accuracy")["mean"])
    assert [ax.get_xlabel() for ax in digits.classes(record).axes] == ["", "", "generation", "generation"]
    for figure in (digits.by_regime({"a": record}), digits.causes({"a": record, "b": vae_runs["stored-replace"]})):
        assert all(ax.get_xlabel() and ax.get_title("left") and ax.lines for ax in figure.axes)
    cells = np.asarray(digits.kinds(record).axes[0].collections[0].get_array()).reshape(10, -1)
    assert cells[7] == pytest.approx(100 * record.summary("class_7")["mean"].to_numpy())
    assert cells.sum(axis=0) == pytest.approx(100)
    assert digits.kinds(record).axes[0].collections[0].norm([0, 10, 100]).tolist() == [0, 0.5, 1]
    pooled, filled = digits.directions(record).axes
    kept = record.samples("kept")["latents"]
    assert curves(pooled)[0] == pytest.approx(record.chains("latent_sd")[0].to_numpy(), rel=0.01)
    assert curves(pooled)[1] == pytest.approx([np.sqrt(x.var(axis=0).mean()) for x in kept])
    assert curves(filled)[0] == pytest.approx(directions(kept))
    assert filled.lines[0].get_xdata().tolist() == record.samples("kept")["generation"].tolist()
    assert len(digits.latent_densities(record).axes[0].lines) == 1 + len(record.samples("kept")["generation"])


def test_sheets_of_digits_are_the_kept_images(vae_runs):
    record = vae_runs["stream-replace"]
    images = record.samples("kept")["images"]
    rows = digits.blending(record, [0, 2], columns=5).axes
    for ax, g in zip(rows, (0, 2), strict=True):
        drawn = np.asarray(ax.images[0].get_array())
        assert ax.get_ylabel() == f"g = {g}" and (drawn[1:9, 11:19] == images[g, 1]).all()
    named = [ax.get_ylabel() for ax in digits.sheets({"keep": vae_runs["stream-keep10"], "replace": record}, 2).axes]
    assert named == ["g = 0", "keep", "replace"]
    assert digits.sheet(images[0]).axes[0].images[0].get_array().shape == (50, 60)

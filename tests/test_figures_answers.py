"""The figures of remedies, provenance and of who is hit first show what their records hold."""

from __future__ import annotations

import dataclasses

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from model_collapse import gmm, llm, provenance
from model_collapse.affected import facts, patients, recommender
from model_collapse.archive import History
from model_collapse.expectations import expected_false_share, expected_human_share
from model_collapse.figures import affected as of_few
from model_collapse.figures import provenance as of_makers
from model_collapse.figures import remedies as of_remedies
from model_collapse.outcomes import outcomes, time_to_harm
from model_collapse.recursion import run
from model_collapse.regimes import REGIMES, make_regime
from model_collapse.theory import gaussian, verifier


@pytest.fixture(scope="module")
def sweep():
    return gaussian.run("remedies", "quick", chains=6, block=6, n=40, generations=8, progress=False)


def test_the_bench_has_a_dot_for_every_remedy(sweep):
    figure = of_remedies.bench([sweep])
    (ax,) = figure.axes
    found = list(outcomes(sweep))
    assert [text.get_text() for text in ax.get_yticklabels()] == [x.words for x in found]
    single = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in single}
    for y, x in enumerate(found):
        if x.harm.mean <= 1.5:
            assert dots[y] == pytest.approx(x.harm.mean)
    written = {text.get_text() for text in ax.texts}
    assert written == {f"{x.harm.mean:,.3g}" for x in found if x.harm.mean > 1.5}


def test_paths_and_curation_draw_their_arms(sweep):
    noisy = "remedy=noise(0.1),items=points"
    (ax,) = of_remedies.paths(sweep, {"": "replace", noisy: "noise"}, sweep).axes
    assert np.allclose(ax.lines[0].get_ydata(), sweep.summary("w2")["q50"])
    best = {"remedy=best(2),items=points": "best"}
    left, right = of_remedies.curation(sweep, best).axes
    assert np.allclose(left.lines[0].get_ydata(), sweep.summary("reward", next(iter(best)))["q50"])
    assert np.allclose(right.lines[0].get_ydata(), sweep.summary("sd", next(iter(best)))["q50"])


def test_the_grid_of_times_says_when_chains_are_lost():
    record = gaussian.run("phase", "quick", chains=20, block=20, generations=60, n=20, progress=False)
    (ax,) = of_remedies.phase([record]).axes
    times = [time_to_harm(record, arm) for arm in sorted(record.arms, key=lambda arm: record.setting("share", arm))]
    assert [text.get_text() for text in ax.texts] == ["> 60" if time is None else str(time) for time in times]
    assert times[0] is not None and times[-1] is None


def test_verifiers_and_detectors():
    (ax,) = of_remedies.verifier(verifier.run("sweep", "smoke", progress=False)).axes
    assert all(line.get_xdata()[0] == line.get_xdata()[-1] for line in ax.lines if line.get_linestyle() == ":")
    record = gmm.run("detector-even", "smoke", progress=False)
    (ax,) = of_remedies.detector({"evenly": record}).axes
    assert np.allclose(ax.lines[0].get_ydata(), record.summary("log_likelihood")["mean"])


def test_lineages_stack_to_one_and_meet_the_formula():
    trails = {}
    for name in REGIMES:
        numbers = {"fresh": {"n_real": 2, "n_synthetic": 8}}.get(name, {})
        regime, config = make_regime(name, **numbers), gaussian.Config(n=10, regime=name, **numbers)
        source, learner = gaussian.build(config, regime, 3, (0, 0, 0))
        loop = run(learner, source, regime, 5, history=History(regime.memory), seed=(0, 0, 0))
        trails[name] = provenance.trail([turn.lineage for turn in loop])
        assert np.allclose(trails[name].sum(axis=1), 1) and trails[name].loc[0, -1] == 1
    numbers = {"share": 0.1, "n_real": 2, "n_synthetic": 8}
    figure = of_makers.lineages(trails, lambda name, g: expected_human_share(name, g, **numbers))
    for ax, (name, trail) in zip(figure.axes, trails.items(), strict=True):
        line = ax.lines[0].get_ydata()
        tolerance = 0.35 if name == "accumulate_subsample" else 1e-9  # of three chains
        assert np.allclose(line, trail[-1], atol=tolerance)
        top = max(path.vertices[:, 1].max() for area in ax.collections for path in area.get_paths())
        assert top == pytest.approx(1)


def test_the_watermark_s_figure():
    scale = {"chains": 1, "generations": 1, "n": 60, "epochs": 1, "variant": "sample", "progress": False}
    record = llm.run(None, "smoke", remedy="watermark(4, 0)", **scale)
    left, right = of_makers.watermark(record, {"": "by model 0"}).axes
    assert np.allclose(left.lines[0].get_ydata(), record.summary("green_share")["mean"])
    lengths = right.lines[0].get_xdata()
    assert list(right.lines[0].get_ydata()) == [record.at(f"detected_{k}", 0)["mean"] for k in lengths]


def test_facts_patients_and_recommender():
    told = facts.told(dataclasses.replace(facts.PROFILES["smoke"], subjects=300))
    few = facts.run("replace", "smoke", subjects=300, progress=False)
    bands = {name: facts.BANDS[name] for name in ("once", "rare", "some", "often")}  # nobody is told of more often
    left, right = of_few.facts({"replace": few}, few, told, bands).axes
    expected = expected_false_share(told[told == 1, None], np.arange(4), 0.1, 10).mean(axis=0)
    assert any(np.allclose(line.get_ydata(), expected) for line in left.lines)
    assert np.allclose(right.lines[0].get_ydata(), few.summary("false")["mean"])
    ill = patients.run("replace", "smoke", progress=False)
    left, right = of_few.patients({"replace": ill}, ill).axes
    assert np.allclose(left.lines[0].get_ydata(), ill.summary("accuracy")["mean"])
    assert np.allclose(right.lines[0].get_ydata(), ill.summary("recall")["mean"])
    shop = recommender.run("replace", "smoke", progress=False)
    axes = of_few.recommender({"in proportion": shop}, shop).axes
    for ax, metric in zip(axes, ("tail", "reached", "wanted"), strict=True):
        assert np.allclose(ax.lines[0].get_ydata(), shop.summary(metric)["mean"])

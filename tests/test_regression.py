"""Least squares on its own labels: the closed forms, and the normal equations against real points."""

import numpy as np
import pytest
from scipy import stats

from model_collapse import expectations as ex
from model_collapse.theory import regression
from model_collapse.theory.regression import Gram, label_points

MANY = {"chains": 8000, "block": 4000, "progress": False}


def within(record, g, expected, arm="", errors=4.0):
    row = record.at("test_error", g, arm)
    return abs(row["mean"] - expected) < errors * row["sd"] / np.sqrt(row["count"])


def test_replace_grows_linearly():
    record = regression.run("replace", "smoke", **MANY)
    for g in range(10):
        assert within(record, g, ex.replace_test_error(10, 100, 1.0, g + 1))


def test_accumulate_follows_its_exact_sum():
    record = regression.run("accumulate", "smoke", **MANY)
    expected = ex.accumulate_test_error(10, 100, 1.0, 10)
    for g in range(10):
        assert within(record, g, expected[g])


def test_a_fixed_synthetic_share_leaves_a_floor():
    record = regression.run("fixed-share", "quick", progress=False)
    for arm in record.arms:
        expected = ex.fixed_share_error(20, record.setting("n", arm), 1.0, record.setting("synthetic_share", arm), 1.0)
        assert record.at("test_error", 1, arm)["mean"] == pytest.approx(expected, rel=0.05)
        assert record.at("test_error", 0, arm)["mean"] == pytest.approx(1.0)


def test_normal_equations_are_those_of_points():
    rng = np.random.default_rng(0)
    chains, d, n, sigma = 6000, 3, 8, 0.7
    w = np.broadcast_to([1.0, -2.0, 0.5], (chains, d))
    x = rng.standard_normal((chains, n, d))
    y = x @ w[0] + sigma * rng.standard_normal((chains, n))
    real = np.linalg.solve(x.transpose(0, 2, 1) @ x, (x.transpose(0, 2, 1) @ y[:, :, None]))[:, :, 0]
    gram = label_points(w, n, sigma, rng)
    drawn = np.linalg.solve(gram.xx, gram.xy[:, :, None])[:, :, 0]
    wrong = label_points(w, n, sigma * 1.1, rng)
    planted = np.linalg.solve(wrong.xx, wrong.xy[:, :, None])[:, :, 0]
    for k in range(d):
        assert stats.ks_2samp(real[:, k], drawn[:, k]).pvalue > 0.001
    assert stats.ks_2samp(((real - w) ** 2).sum(1), ((planted - w) ** 2).sum(1)).pvalue < 0.001


def test_merging_adds_normal_equations():
    rng = np.random.default_rng(1)
    parts = [label_points(np.ones((2, 3)), n, 1.0, rng) for n in (5, 9)]
    both = Gram.merge(parts)
    assert both.size == 14
    assert both.xx == pytest.approx(parts[0].xx + parts[1].xx)


@pytest.mark.parametrize("regime", ["keep", "accumulate_subsample"])
def test_regimes_that_pick_points_are_refused(regime):
    with pytest.raises(ValueError, match="picks single items"):
        regression.run(None, "smoke", regime=regime, progress=False)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n": 11}, "n must be at least d \\+ 2 = 12"),
        ({"sigma": -1.0}, "sigma must not"),
        ({"synthetic_share": 2.0}, "synthetic_share must lie in"),
        ({"quality": -1.0}, "quality must not be negative"),
        ({"regime": "fresh", "n_real": 2, "n_synthetic": 2}, "every pool needs d \\+ 2 = 12 points, not 4"),
    ],
)
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        regression.FAMILY.configure(None, "smoke", **setting)

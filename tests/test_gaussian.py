"""The Gaussian family: both ways of drawing are one law, and the recursion obeys its closed forms."""

import numpy as np
import pytest
from scipy import stats

from model_collapse import expectations as ex
from model_collapse.archive import History
from model_collapse.recursion import run
from model_collapse.theory import gaussian
from model_collapse.theory.normal import Model, Moments, Points

N = 20


def same_law(a: np.ndarray, b: np.ndarray) -> bool:
    return stats.ks_2samp(a, b).pvalue > 0.001


def run_all(items: str, planted: float = 1.0, regime: str = "replace", d: int = 1):
    """Means and variances of the last model in all chains, past the 200 that a record keeps."""
    config, _ = gaussian.FAMILY.configure(None, "smoke", n=N, generations=6, items=items, d=d, regime=regime)
    made = config.make_regime()
    seed = ({"moments": 1, "points": 2}[items], 0, 0)
    source, learner = gaussian.build(config, made, 20_000, seed)
    if planted != 1.0:
        fit = learner.fit
        learner.fit = lambda pool, turn: Model((m := fit(pool, turn)).mean, m.root * np.sqrt(planted))
    *_, last = run(learner, source, made, 6, history=History(made.memory), seed=seed, measured={6})
    return last.metrics


@pytest.fixture(scope="module")
def by_points():
    return run_all("points")


@pytest.mark.parametrize("metric", ["mean", "variance", "w2_squared"])
def test_moments_and_items_are_the_same_experiment(by_points, metric):
    assert same_law(run_all("moments")[metric], by_points[metric])


def test_a_planted_error_of_two_per_cent_is_caught(by_points):
    assert not same_law(run_all("moments", planted=1.02)["variance"], by_points["variance"])


@pytest.mark.parametrize("d", [2, 5])
def test_moments_and_items_agree_in_several_dimensions(d):
    a, b = run_all("moments", d=d), run_all("points", d=d)
    assert all(same_law(a[m], b[m]) for m in ("mean", "variance", "w2_squared"))


@pytest.mark.parametrize("regime", ["augment", "accumulate", "keep"])
def test_moments_and_items_agree_under_merging_regimes(regime):
    a, b = run_all("moments", regime=regime), run_all("points", regime=regime)
    assert all(same_law(a[m], b[m]) for m in ("mean", "variance"))


def test_merged_moments_are_those_of_the_union():
    rng = np.random.default_rng(0)
    parts = [Points(rng.normal(k, 1 + k, (3, n, 4))) for k, n in enumerate((7, 2, 30))]
    union = Points.merge(parts).moments()
    merged = Moments.merge([part.moments() for part in parts])
    scatter = [m.root @ m.root.transpose(0, 2, 1) for m in (union, merged)]
    assert merged.size == 39
    assert merged.mean == pytest.approx(union.mean)
    assert scatter[1] == pytest.approx(scatter[0])


def test_w2_against_an_independent_formula():
    """Sigma^(1/2) by eigenvalues of the covariance, not by singular values of its root."""
    rng = np.random.default_rng(1)
    model = Model(rng.standard_normal((5, 3)), rng.standard_normal((5, 3, 3)))
    config, _ = gaussian.FAMILY.configure(None, "smoke", d=3)
    found = gaussian.GaussianLearner(config, config.make_regime()).measure(model, None, None)["w2_squared"]
    for k in range(5):
        values = np.linalg.eigvalsh(model.root[k] @ model.root[k].T)
        assert found[k] == pytest.approx((model.mean[k] ** 2).sum() + ((np.sqrt(values) - 1) ** 2).sum())


def within(record, metric: str, g: int, expected: float, errors: float = 4.0) -> bool:
    row = record.at(metric, g)
    return abs(row["mean"] - expected) < errors * row["sd"] / np.sqrt(row["count"])


@pytest.fixture(scope="module")
def theorem():
    return gaussian.run("replace", "smoke", chains=20_000, block=20_000, generations=30, progress=False)


def test_exact_w2_marginal_variance_and_martingale(theorem):
    for g in (0, 4, 9, 30):
        assert within(theorem, "w2_squared", g, ex.expected_w2_squared(np.full(g + 1, 100))[-1])
        assert within(theorem, "second_moment", g, ex.marginal_variance(g + 1, 100))
        assert within(theorem, "variance", g, 1.0)
        assert theorem.at("variance", g)["q50"] == pytest.approx(ex.typical_variance(g + 1, 100), rel=0.02)


def test_the_released_codes_estimator_loses_one_part_in_n_per_fit():
    record = gaussian.run("replace-code", "smoke", chains=20_000, block=20_000, generations=20, progress=False)
    for g in (0, 5, 20):
        assert within(record, "variance", g, (1 - 1 / 100) ** (g + 1))


def test_accumulate_is_bounded_as_the_basel_sum():
    record = gaussian.run("accumulate", "smoke", chains=20_000, block=20_000, generations=40, progress=False)
    assert within(record, "mean_error", 40, ex.accumulate_mean_variance(100, 41)[-1])
    assert within(record, "variance", 40, ex.accumulate_variance(100, 41)[-1])


def test_fresh_data_hold_mean_and_variance_at_their_fixed_point():
    record = gaussian.run("fresh10", "smoke", chains=20_000, block=20_000, generations=80, progress=False)
    mean, variance = ex.fresh_fixed_point(10, 90)
    assert within(record, "mean_error", 80, mean)
    assert within(record, "variance", 80, variance)


def test_fresh_data_with_sampling_bias_too():
    record = gaussian.run("fresh10", "smoke", bias=0.8, chains=20_000, block=20_000, generations=40, progress=False)
    mean, variance = ex.fresh_fixed_point(10, 90, bias=0.8)
    assert within(record, "mean_error", 40, mean)
    assert within(record, "variance", 40, variance)


def test_sampling_bias_shrinks_the_expected_variance_by_lambda_each_generation():
    record = gaussian.run("replace", "smoke", bias=0.8, chains=20_000, block=20_000, generations=6, progress=False)
    assert within(record, "variance", 6, 0.8**6)


def test_growing_samples_follow_their_schedule():
    config, _ = gaussian.FAMILY.configure("superlinear", "paper")
    assert [config.pool_size(g) for g in (0, 1, 3)] == [100, 283, 800]
    record = gaussian.run("superlinear", "smoke", chains=20_000, block=20_000, generations=20, progress=False)
    sizes = [config.pool_size(g) for g in range(21)]
    assert within(record, "w2_squared", 20, ex.expected_w2_squared(sizes)[-1])


def test_more_dimensions_than_items_stay_finite():
    record = gaussian.run("replace", "smoke", d=12, n=8, progress=False)
    assert np.isfinite(record.statistics["mean"]).all()


IMPOSSIBLE = {
    "d must be at least 1": {"d": 0},
    "n must be at least 2": {"n": 1},
    "bias must lie in": {"bias": 0.0},
    "share must lie in": {"share": 1.2},
    "share must be finite": {"share": float("nan")},
    "items must be": {"items": "x"},
    "n_initial must not be negative": {"n_initial": -5},
    "growth must not be negative": {"growth": -3.0},
    "marks are generations": {"marks": (-5,)},
    "every pool needs 2 items, not 1": {"n_initial": 1},
    "keep: 50 human items a pool are more than the 10 there are": {"regime": "keep", "share": 0.5, "n_initial": 10},
    "has pools of one size: growth must be 0": {"regime": "keep", "growth": 1.0},
    "needs its numbers": {"regime": "fresh"},
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_impossible_settings_are_refused(message):
    with pytest.raises(ValueError, match=message):
        gaussian.FAMILY.configure(None, "smoke", **IMPOSSIBLE[message])


def test_a_setting_by_hand_leaves_the_rest_of_the_sweep():
    _, swept = gaussian.FAMILY.configure("bias", "paper", d=3)
    assert swept == ({"bias": 1.0}, {"bias": 0.85}, {"bias": 0.7})

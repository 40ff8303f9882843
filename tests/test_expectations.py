"""Closed forms against numbers that were had in another way: tables in the sources, brute force, limits."""

import numpy as np
import pytest

from model_collapse import expectations as ex
from model_collapse.archive import History
from model_collapse.points import Points
from model_collapse.recursion import run
from model_collapse.regimes import HUMAN, REGIMES, Source, make_regime


def test_c4_is_the_mean_of_the_sample_sd():
    rng = np.random.default_rng(0)
    for n in (2, 5, 40):
        s = rng.standard_normal((200_000, n)).std(axis=1, ddof=1)
        assert abs(s.mean() - ex.c4(n)) < 4 * s.std() / np.sqrt(len(s))


def test_c4_joins_its_series_without_a_step():
    values = ex.c4(np.arange(995, 1006))
    assert np.abs(np.diff(values, 2)).max() < 1e-9


@pytest.mark.parametrize(
    ("n", "fits", "value"), [(100, 10, 0.1499), (100, 100, 1.446), (1000, 1000, 1.443), (1000, 2000, 2.788)]
)
def test_exact_w2_of_the_reference_table(n, fits, value):
    assert ex.expected_w2_squared(np.full(fits, n))[-1] == pytest.approx(value, abs=6e-4)


def test_first_order_is_the_limit_of_the_exact_form_for_large_samples():
    sizes = np.full(5, 10_000_000)
    assert ex.expected_w2_squared(sizes) == pytest.approx(ex.first_order_w2_squared(sizes), rel=1e-5)


def test_a_growing_sample_has_a_finite_limit_and_a_constant_one_has_none():
    limit = ex.expected_w2_squared_limit(100, 1.5)
    partial = ex.expected_w2_squared(np.round(100 * np.arange(1.0, 200_001) ** 1.5))
    tail = 1.5 * 2 / np.sqrt(200_000) / 100
    assert limit == pytest.approx(partial[-1] + tail, rel=1e-3)
    assert ex.expected_w2_squared_limit(100, 1.0) == np.inf


@pytest.mark.parametrize(("fits", "value"), [(10, 0.904), (100, 0.363)])
def test_typical_variance_of_the_reference_table(fits, value):
    assert ex.typical_variance(fits, 100) == pytest.approx(value, abs=6e-4)


def test_accumulated_mean_and_variance_against_simulated_pools():
    """All items of every generation, pooled and refitted, against the exact recursion; a planted error of 3 % shows."""
    rng = np.random.default_rng(1)
    n, fits, chains = 4, 6, 200_000
    mean, sd, pool = np.zeros(chains), np.ones(chains), np.empty((chains, 0))
    for k in range(fits):
        pool = np.hstack([pool, mean[:, None] + sd[:, None] * rng.standard_normal((chains, n))])
        mean, sd = pool.mean(axis=1), pool.std(axis=1, ddof=1)
        for found, expected in (
            (mean**2, ex.accumulate_mean_variance(n, fits)[k]),
            (sd**2, ex.accumulate_variance(n, fits)[k]),
        ):
            error = found.std() / np.sqrt(chains)
            assert abs(found.mean() - expected) < 4 * error
            assert abs(found.mean() - 1.03 * expected) > 4 * error


def test_accumulated_mean_variance_stays_below_the_basel_bound():
    values = ex.accumulate_mean_variance(100, 100_000)
    assert values[0] == pytest.approx(0.01) and (np.diff(values) > 0).all()
    assert 0.99 * np.pi**2 / 600 < values[-1] < np.pi**2 / 600


@pytest.mark.parametrize(("share", "sd"), [(0.1, 0.0725), (0.5, 0.0365)])
def test_fresh_fixed_point_of_the_reference_table(share, sd):
    mean, variance = ex.fresh_fixed_point(round(share * 1000), round((1 - share) * 1000))
    assert np.sqrt(mean) == pytest.approx(sd, rel=0.01)
    assert variance == pytest.approx(1, abs=0.01)


def test_fresh_data_alone_are_one_plain_fit():
    assert ex.fresh_fixed_point(50, 0) == pytest.approx((1 / 50, 1.0))


@pytest.mark.parametrize(
    ("copies", "by5", "by9"), [(1, 0.73, 0.83), (2, 0.54, 0.69), (5, 0.21, 0.39), (10, 0.044, 0.15), (20, 0.002, 0.023)]
)
def test_survival_null_of_the_reference_table(copies, by5, by9):
    assert ex.lost_by(copies, 5) == pytest.approx(by5, abs=0.006)
    assert ex.lost_by(copies, 9) == pytest.approx(by9, abs=0.006)


def test_regression_errors_meet_at_the_first_fit_and_part_after():
    accumulated = ex.accumulate_test_error(10, 100, 2.0, 100_000)
    assert accumulated[0] == pytest.approx(ex.replace_test_error(10, 100, 2.0, 1))
    assert 0.9 * ex.accumulate_test_error_bound(10, 100, 2.0) < accumulated[-1]
    assert accumulated[-1] < ex.accumulate_test_error_bound(10, 100, 2.0)


def test_the_floor_of_a_fixed_share_does_not_fall_with_the_sample():
    assert ex.fixed_share_floor(20, 1e12, 1.0, 0.1, 1.0) == pytest.approx(0.01, rel=1e-6)
    assert ex.fixed_share_error(20, 1e12, 1.0, 0.1, 1.0) == pytest.approx(0.01, rel=1e-6)


def test_marginal_variance():
    assert ex.marginal_variance(10, 100) == pytest.approx(1.1)


N, CHAINS, GENERATIONS = 40, 300, 6


class Echo:
    """A learner that learns nothing: the lineage of pools does not depend on models."""

    def __init__(self, needed: int):
        self.needed = needed

    def prepare(self, source, turn):
        pass

    def fit(self, pool, turn):
        return None

    def sample(self, model, pool, turn):
        return Points(turn.sample.standard_normal((CHAINS, self.needed, 1)))

    def measure(self, model, synthetic, turn):
        return {}


RUNS = {
    "replace": {},
    "keep": {"share": 0.25},
    "augment": {},
    "accumulate": {},
    "accumulate_subsample": {},
    "fresh": {"n_real": 8, "n_synthetic": 24},
}


@pytest.mark.parametrize("name", REGIMES)
def test_the_expected_human_share_is_what_a_run_of_the_loop_has(name):
    regime = make_regime(name, **RUNS[name])
    source = Source(Points(np.zeros((CHAINS, N, 1))), N, lambda n, g, rng: Points(np.zeros((CHAINS, n, 1))))
    turns = run(Echo(regime.needed(N)), source, regime, GENERATIONS, history=History(regime.memory), seed=(0, 0, 0))
    found = np.array([turn.lineage.share(HUMAN) for turn in turns])
    expected = ex.expected_human_share(name, np.arange(GENERATIONS + 1), **RUNS[name])
    g = np.arange(GENERATIONS + 1)
    spread = np.sqrt(g / (g + 1) ** 2 * g / ((g + 1) - 1 / N) / N)  # of a hypergeometric share in one chain
    allowed = 4 * spread / np.sqrt(CHAINS) if name == "accumulate_subsample" else 0 * spread
    assert (np.abs(found - expected) <= allowed + 1e-12).all()
    assert (np.abs(found[1:] - expected[1:] - 0.02) > allowed[1:]).all()  # a planted error shows


def test_the_expected_human_share_of_a_regime_that_is_none():
    with pytest.raises(ValueError, match="no closed form for regime 'fresch'"):
        ex.expected_human_share("fresch", 1)

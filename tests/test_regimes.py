"""Every regime: how many items, and who made each of them."""

import numpy as np
import pytest

from model_collapse.archive import History
from model_collapse.counts import Counts
from model_collapse.regimes import HUMAN, REGIMES, RegimeError, Source, make_regime
from model_collapse.theory.normal import Points

N, CHAINS = 20, 3
MAKER_OF_HUMAN = 1000.0


def points(maker: float, n: int = N) -> Points:
    """Items that carry their maker (first coordinate) and their own number (second)."""
    x = np.stack([np.full((CHAINS, n), maker), np.tile(np.arange(n), (CHAINS, 1))], axis=2)
    return Points(x)


def history_of(regime, generations: int) -> History:
    history = History(regime.memory)
    for g in range(generations):
        history.append(points(g, regime.needed(N)))
    return history


def source() -> Source:
    return Source(points(MAKER_OF_HUMAN), N, lambda n, g, rng: points(-g, n))


def pool_of(name: str, generations: int = 4):
    regime = make_regime(name)
    return regime(source(), history_of(regime, generations), np.random.default_rng(0))


EXPECTED = {
    "replace": {3: N},
    "keep(0.25)": {HUMAN: 5, 3: 15},
    "augment": {HUMAN: N, 3: N},
    "accumulate": {HUMAN: N, 0: N, 1: N, 2: N, 3: N},
    "fresh(7, 9)": {HUMAN: 7, 3: 9},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_pool_holds_what_its_regime_says(name):
    pool = pool_of(name)
    makers, counts = np.unique(pool.lineage.of_items(), return_counts=True)
    assert dict(zip(makers.tolist(), counts.tolist(), strict=True)) == EXPECTED[name]
    assert pool.items.size == sum(EXPECTED[name].values())


@pytest.mark.parametrize(
    "name", ["replace", "keep(0.25)", "augment", "accumulate", "accumulate_subsample", "fresh(7, 9)"]
)
def test_the_lineage_tells_the_truth_about_every_item(name):
    pool = pool_of(name)
    for chain in range(CHAINS):
        told = np.sort(pool.lineage.of_items(chain))
        carried = pool.items.x[chain, :, 0]
        true = np.sort(np.where((carried == MAKER_OF_HUMAN) | (carried < 0), HUMAN, carried))
        assert (told == true).all()


@pytest.mark.parametrize(
    "name", ["replace", "keep(0.25)", "augment", "accumulate", "accumulate_subsample", "fresh(7, 9)"]
)
def test_generation_zero_sees_human_data_alone(name):
    pool = pool_of(name, generations=0)
    assert pool.lineage.share(HUMAN) == 1 and pool.items.size == N


def test_keep_draws_different_human_items_each_generation_without_repeats():
    regime, seen = make_regime("keep(0.5)"), []
    for k in range(30):
        pool = regime(source(), history_of(regime, 2), np.random.default_rng(k))
        human = pool.items.x[0][pool.items.x[0, :, 0] == MAKER_OF_HUMAN, 1]
        assert len(set(human)) == 10
        seen.append(frozenset(human))
    assert len(set(seen)) > 25


def test_subsample_is_uniform_over_the_growing_pool_and_never_repeats_an_item():
    regime = make_regime("accumulate_subsample")
    counts = np.zeros(4)
    for k in range(400):
        pool = regime(source(), history_of(regime, 3), np.random.default_rng(k))
        assert pool.items.size == N
        items = [tuple(item) for item in pool.items.x[0]]
        assert len(set(items)) == N
        counts += pool.lineage.counts[0]
    assert np.abs(counts / counts.sum() - 0.25).max() < 0.02


def test_counts_and_points_subsample_alike():
    """Two kinds of items, one law: the mean number of human items left is the same, and so is its spread."""
    rng = np.random.default_rng(3)
    human, sample = np.array([[12, 8]]), np.array([[20, 0]])
    parts = [Counts(20, np.repeat(human, 4000, 0)), Counts(20, np.repeat(sample, 4000, 0))]
    items, shares = Counts.subsample(parts, 10, rng)
    assert (items.counts.sum(axis=1) == 10).all()
    assert abs(shares[:, 0].mean() - 5) < 0.1
    assert abs(items.counts[:, 1].mean() - 2) < 0.08  # 8 of 40 items are of the second type
    assert abs(items.counts[:, 1].var() - 10 * 0.2 * 0.8 * 30 / 39) < 0.1


def test_fresh_without_a_reserve_says_how_to_set_one_aside():
    regime = make_regime("fresh(5, 5)")
    bare = Source(points(MAKER_OF_HUMAN), N, advice="set a share aside with --set reserve=0.5")
    with pytest.raises(RegimeError, match="never used: set a share aside with --set reserve=0.5"):
        regime(bare, history_of(regime, 1), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("replce", "no regime 'replce'; did you mean 'replace'\\?"),
        ("keep(1.5)", "a share must lie in \\[0, 1\\], not 1.5"),
        ("keep(-0.1)", "a share must lie in \\[0, 1\\], not -0.1"),
        ("keep(a)", "what stands in brackets must be numbers"),
        ("fresh(1)", "takes 2 numbers, not 1"),
        ("fresh(1.5,2)", "must be whole"),
        ("fresh(-1,2)", "must not be negative"),
        ("replace(3)", "takes no numbers, not 1"),
    ],
)
def test_a_regime_that_cannot_be_is_refused_in_one_line(name, message):
    with pytest.raises(RegimeError, match=message) as caught:
        make_regime(name)
    assert "\n" not in str(caught.value)


def test_every_regime_is_tested_here():
    assert {make_regime(name).name for name in EXPECTED} | {"accumulate_subsample"} == set(REGIMES)

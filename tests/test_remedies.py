"""Remedies: the detector by Bayes, draws by their weights, lineage of what is drawn, and what cannot be had."""

from __future__ import annotations

import numpy as np
import pytest

from model_collapse import gmm, llm, vae
from model_collapse.points import Points
from model_collapse.recursion import Turn
from model_collapse.regimes import HUMAN, Lineage, Pool, RegimeError, Source
from model_collapse.remedies import detected, flagged, make_remedy, treated, weighted


def test_a_detector_says_what_bayes_says():
    rng = np.random.default_rng(0)
    synthetic = np.tile(np.arange(100_000) < 30_000, (2, 1))
    said = detected(synthetic, 0.8, 0.1, rng)
    high, low = 0.3 * 0.8 / (0.3 * 0.8 + 0.7 * 0.1), 0.3 * 0.2 / (0.3 * 0.2 + 0.7 * 0.9)
    assert np.unique(said) == pytest.approx([low, high])
    for value in (low, high):  # right on average: of the items with that probability so many are synthetic
        assert synthetic[np.isclose(said, value)].mean() == pytest.approx(value, abs=0.01)
    assert (said == high)[synthetic].mean() == pytest.approx(0.8, abs=0.01)


def test_a_detector_that_never_errs_and_one_that_knows_nothing():
    rng = np.random.default_rng(1)
    synthetic = np.arange(50)[None] < 20
    assert (flagged(synthetic, 1.0, 0.0, rng) == synthetic).all()
    assert (detected(synthetic, 1.0, 0.0, rng) == synthetic).all()
    assert detected(synthetic, 0.5, 0.5, rng) == pytest.approx(0.4)
    assert (detected(synthetic, 0.0, 0.0, rng) == 0.4).all()


def test_weighted_draws_follow_their_weights_and_repeat_at_most_three_times():
    rng = np.random.default_rng(2)
    weights = np.tile([4.0, 2.0, 1.0, 1.0, 0.0], (40_000, 1))
    first = weighted(weights, 1, rng)[:, 0]
    assert np.bincount(first, minlength=5) / 40_000 == pytest.approx([0.5, 0.25, 0.125, 0.125, 0], abs=0.01)
    many = weighted(weights[:50], 12, rng)
    assert (np.sort(many, axis=1) == np.repeat(np.arange(4), 3)).all()
    with pytest.raises(ValueError, match="a pool of 13 cannot be drawn from 4 items, 3 times each at most"):
        weighted(weights[:50], 13, rng)


class Listener:
    """A learner that remembers the pool it was given."""

    spare = "its own"

    def fit(self, pool: Pool, turn: Turn) -> Points:
        self.pool = pool
        return pool.items

    def sample(self, model: Points, pool: Pool, turn: Turn) -> Points:
        return model


def half_synthetic(chains: int, n: int) -> tuple[Source, Pool]:
    """Human points near 0, synthetic ones near 10."""
    rng = np.random.default_rng(3)
    human, other = (Points(rng.standard_normal((chains, n, 2)) + at) for at in (0, 10))
    lineage = Lineage(np.array([HUMAN, 0]), np.array([n, n]))
    return Source(human, n), Pool(Points.merge([human, other]), lineage)


def test_a_filter_lets_pass_what_it_does_not_flag():
    source, pool = half_synthetic(3, 1000)
    learner = Listener()
    some = treated(learner, source, make_remedy("filter(0.9, 0.1)"))
    some.fit(pool, Turn(1, (0, 0, 0)))
    drawn = learner.pool
    assert drawn.items.x.shape == (3, 1000, 2)
    for chain in range(3):
        makers = drawn.lineage.of_items(chain)
        assert ((drawn.items.x[chain, :, 0] > 5) == (makers == 0)).all()
    assert drawn.lineage.share(0) == pytest.approx(0.1, abs=0.02)
    assert some.spare == "its own"


def test_a_pool_of_human_items_is_left_alone():
    source, pool = half_synthetic(2, 50)
    human = Pool(source.items, Lineage(np.array([HUMAN]), np.array([50])))
    learner = Listener()
    treated(learner, source, make_remedy("weights(0.9, 0.5)")).fit(human, Turn(0, (0, 0, 0)))
    assert learner.pool is human


def test_noise_is_in_units_of_the_sample():
    source, pool = half_synthetic(2, 4000)
    noisy = treated(Listener(), source, make_remedy("noise(0.5)")).sample(pool.items, pool, Turn(1, (0, 0, 0)))
    added = (noisy.x - pool.items.x).std(axis=1)
    assert added == pytest.approx(0.5 * pool.items.x.std(axis=1), rel=0.05)


def test_noise_keeps_a_mixture_from_narrowing():
    """With noise h the variance grows by 1 + h^2 a generation, but for what sampling takes."""
    scale = {"chains": 200, "block": 200, "generations": 20, "n": 200, "components": 1, "progress": False}
    plain, noisy = (gmm.run(None, "smoke", remedy=remedy, **scale) for remedy in ("", "noise(0.3)"))
    grown = [
        record.at("component_spread", 20)["mean"] / record.at("component_spread", 0)["mean"]
        for record in (plain, noisy)
    ]
    assert grown[0] < 1 < grown[1] == pytest.approx(1.09**10, rel=0.05)


@pytest.mark.parametrize("remedy", ["filter(0.9, 0.1)", "weights(0.9, 0.1)", "even"])
def test_a_network_s_pool_can_be_treated(remedy):
    scale = {"chains": 1, "generations": 1, "epochs": 1, "regime": "augment", "progress": False}
    assert llm.run(None, "smoke", n=40, remedy=remedy, **scale).generations == [0, 1]


IMPOSSIBLE = {
    "no remedy 'fliter'; did you mean 'filter'": "fliter(0.9, 0.1)",
    "remedy 'filter' takes caught, wronged, not 1 numbers": "filter(0.9)",
    "remedy 'even' takes no numbers, not 1 numbers": "even(1)",
    r"remedy 'weights': caught must lie in \[0, 1\]": "weights(2, 0)",
    "remedy 'noise': scale must not be negative": "noise(-1)",
    "what stands in brackets must be numbers": "noise(much)",
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_impossible_remedies_are_refused(message):
    with pytest.raises(RegimeError, match=message):
        gmm.run(None, "smoke", remedy=IMPOSSIBLE[message], progress=False)


def test_a_family_without_single_items_is_refused():
    with pytest.raises(RegimeError, match="takes single items, which this family does not keep"):
        vae.run(None, "smoke", remedy="even", progress=False)


def test_a_run_without_a_remedy_is_the_run_that_it_was():
    facts = [gmm.FAMILY.plan(None, "smoke", **changes).facts for changes in ({}, {"remedy": "even"})]
    assert "remedy" not in facts[0]["config"] and facts[1]["config"]["remedy"] == "even"
    assert facts[0]["identity"] != facts[1]["identity"]

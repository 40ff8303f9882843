"""Remedies: the detector by Bayes, draws by their weights, lineage of what is drawn, and what cannot be had."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from model_collapse import gmm, llm, vae
from model_collapse.points import Points
from model_collapse.recursion import Turn
from model_collapse.regimes import HUMAN, Lineage, Pool, RegimeError, Source
from model_collapse.remedies import ALARM_METRICS, detected, flagged, make_remedy, treated, weighted
from model_collapse.remedies.alarm import DEALS
from model_collapse.runs import ConfigError
from model_collapse.theory import gaussian
from model_collapse.warning import SAYS
from model_collapse.warning.leads import SHARES


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


def test_a_filter_fills_a_pool_from_what_little_it_leaves():
    source, pool = half_synthetic(2, 300)
    learner = Listener()
    treated(learner, source, make_remedy("filter(1, 0.9)")).fit(pool, Turn(1, (0, 0, 0)))
    x = learner.pool.items.x
    assert x.shape == (2, 300, 2) and (x < 5).all()
    repeats = np.unique(x[0, :, 0], return_counts=True)[1]
    assert 5 <= repeats.max() <= 20  # about thirty items are left, and each is wanted about ten times
    with pytest.raises(RegimeError, match="generation 1: the remedy leaves no item of a pool"):
        treated(learner, source, make_remedy("filter(1, 1)")).fit(pool, Turn(1, (0, 0, 0)))


class Judge(Listener):
    """Samples from a standard normal, twelve chains; the reward is the first coordinate."""

    def sample(self, model: Points, pool: Pool, turn: Turn) -> Points:
        return Points(turn.sample.standard_normal((12, 5000, 1)))

    def reward(self, items: Points) -> np.ndarray:
        return items.x[:, :, 0]

    def measure(self, model: Points, synthetic: Points, turn: Turn) -> dict[str, np.ndarray]:
        return {"size": np.full(12, synthetic.size)}


@pytest.mark.parametrize(("k", "mean", "variance"), [(1, 0.0, 1.0), (2, 1 / np.sqrt(np.pi), 1 - 1 / np.pi)])
def test_the_best_of_k_has_the_law_of_the_largest(k, mean, variance):
    """Moments of the larger of two standard normals: 1 / sqrt(pi) and 1 - 1 / pi."""
    source, pool = half_synthetic(12, 5000)
    some = treated(Judge(), source, make_remedy(f"best({k})"))
    x = some.sample(None, pool, Turn(1, (0, 0, 0)))
    assert x.x.mean() == pytest.approx(mean, abs=4 / np.sqrt(60_000))
    assert x.x.var() == pytest.approx(variance, abs=0.02)
    assert some.measure(None, x, Turn(1, (0, 0, 0)))["reward"] == pytest.approx(x.x.mean(axis=(1, 2)))


def test_a_contest_is_between_any_two_candidates_whatever_their_order():
    """A sampler that sorts its items would otherwise let equals meet equals."""

    class Sorting(Judge):
        def sample(self, model, pool, turn):
            return Points(np.sort(super().sample(model, pool, turn).x, axis=1))

    source, pool = half_synthetic(12, 5000)
    x = treated(Sorting(), source, make_remedy("best(2)")).sample(None, pool, Turn(1, (0, 0, 0)))
    assert x.x.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=0.02)


def test_an_ensemble_learns_from_draws_with_replacement_and_samples_in_equal_parts():
    class Remembers(Listener):
        pools = []

        def fit(self, pool, turn):
            self.pools.append(pool.items.x)
            return len(self.pools)

        def sample(self, model, pool, turn):
            return Points(np.full((3, 60, 1), float(model)))

        def measure(self, model, synthetic, turn):
            return {"model": np.full(3, float(model))}

    source, pool = half_synthetic(3, 1000)
    learner = Remembers()
    some = treated(learner, source, make_remedy("ensemble(4)"))
    some.fit(pool, Turn(0, (0, 0, 0)))
    assert learner.pools[0] is pool.items.x  # model 0 is the one of every other run
    assert some.fit(pool, Turn(1, (0, 0, 0))) == 2
    for x in learner.pools[1:]:
        distinct = len(np.unique(x[0, :, 0])) / x.shape[1]
        assert distinct == pytest.approx(1 - np.exp(-1), abs=0.04)
    assert not np.array_equal(learner.pools[1], learner.pools[2])
    drawn = some.sample(2, pool, Turn(1, (0, 0, 0)))
    assert drawn.x.shape == (3, 60, 1)
    for chain in drawn.x:
        assert np.unique(chain, return_counts=True)[1].tolist() == [15] * 4
    assert some.measure(2, drawn, Turn(1, (0, 0, 0)))["model"] == pytest.approx(3.5)  # of models 2 to 5


def test_transfer_ends_at_the_base():
    """Without human items a weight on the base, however small, wins: the variance goes to the base's."""
    scale = {"chains": 400, "block": 400, "n": 200, "items": "points", "progress": False}
    record = gaussian.run(None, "smoke", generations=60, remedy="transfer(0.2, 2)", **scale)
    assert record.at("variance", 1)["mean"] == pytest.approx((1 + 0.2 * 4) / 1.2, rel=0.05)
    assert record.at("variance", 60)["mean"] == pytest.approx(4, rel=0.05)


def test_curation_narrows_a_gaussian_and_a_human_tenth_stops_it():
    scale = {"chains": 200, "block": 200, "n": 100, "items": "points", "generations": 20, "progress": False}
    plain, kept = (
        gaussian.run(None, "smoke", remedy="best(2)", **scale, **regime)
        for regime in ({}, {"regime": "keep", "share": 0.1})
    )
    assert plain.at("sd", 20)["q50"] < 0.01 < 0.2 < kept.at("sd", 20)["q50"] < 0.6
    assert plain.at("reward", 20)["mean"] > kept.at("reward", 20)["mean"] > plain.at("reward", 0)["mean"]


@pytest.mark.parametrize("remedy", ["filter(0.9, 0.1)", "weights(0.9, 0.1)", "even"])
def test_a_network_s_pool_can_be_treated(remedy):
    scale = {"chains": 1, "generations": 1, "epochs": 1, "regime": "augment", "progress": False}
    assert llm.run(None, "smoke", n=40, remedy=remedy, **scale).generations == [0, 1]


IMPOSSIBLE = {
    "no remedy 'fliter'; did you mean 'filter'": "fliter(0.9, 0.1)",
    "remedy 'filter' takes caught, wronged, not 1 numbers": "filter(0.9)",
    "remedy 'even' takes no numbers, not 1 numbers": "even(1)",
    r"remedy 'weights': caught must lie in \[0, 1\]": "weights(2, 0)",
    "remedy 'best': k must be a whole number of at least 1, not 1.5": "best(1.5)",
    "remedy 'ensemble': k must be a whole number of at least 1, not 0": "ensemble(0)",
    "remedy 'transfer': width must be above 0, not 0": "transfer(0.1, 0)",
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


def test_a_family_without_a_judge_is_refused():
    with pytest.raises(RegimeError, match="takes single items|wants a reward"):
        llm.run(None, "smoke", n=40, remedy="best(2)", progress=False)
    learner = Listener()
    with pytest.raises(
        RegimeError, match="remedy 'best' wants a reward for every item, which this family does not have"
    ):
        treated(learner, half_synthetic(2, 9)[0], make_remedy("best(2)"))


def test_a_run_without_a_remedy_is_the_run_that_it_was():
    facts = [gmm.FAMILY.plan(None, "smoke", **changes).facts for changes in ({}, {"remedy": "even"})]
    assert "remedy" not in facts[0]["config"] and facts[1]["config"]["remedy"] == "even"
    assert facts[0]["identity"] != facts[1]["identity"]


class Sampler(Listener):
    """Two chains of human points and of samples that are `scale` times as wide."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def plain(self, items: Points) -> list[np.ndarray]:
        return list(items.x)

    def sampled(self, rng: np.random.Generator) -> Points:
        return Points(self.scale * rng.standard_normal((2, 300, 2)))

    def measure(self, model, synthetic, turn):
        return {"spread": synthetic.x.std(axis=(1, 2))}


@pytest.mark.parametrize(("scale", "kind"), [(0.4, "narrow"), (2.5, "strange")])
def test_an_alarm_measures_and_changes_nothing(scale, kind):
    rng = np.random.default_rng(0)
    human, learner = Points(rng.standard_normal((2, 300, 2))), Sampler(scale)
    alarmed = treated(learner, Source(human, 300), make_remedy("alarm"))
    synthetic = learner.sampled(rng)
    found = alarmed.measure(None, synthetic, Turn(3, (0, 0, 0)))
    assert found["spread"] == pytest.approx(synthetic.x.std(axis=(1, 2)))
    assert set(ALARM_METRICS) == found.keys() - {"spread"}
    least = {share: np.min([found[f"alarm_{share}_{says}"] for says in SAYS], axis=0) for share in SHARES}
    assert (found[f"alarm_all_{kind}"] <= 4 / (DEALS + 1)).all()
    assert (least["all"] < least["third"]).all()
    assert (least["none"] > 0.01).all()  # human against human
    pool = Pool(human, Lineage(np.array([HUMAN]), np.array([300])))
    alarmed.fit(pool, Turn(3, (0, 0, 0)))
    assert learner.pool is pool


def test_an_alarm_wants_items_that_can_be_halved_and_looked_at():
    few = Source(Points(np.zeros((2, 79, 2))), 79)
    with pytest.raises(RegimeError, match="remedy 'alarm' wants 80 human items, not 79"):
        treated(Sampler(1.0), few, make_remedy("alarm"))
    with pytest.raises(RegimeError, match="items that can be looked at one by one"):
        treated(Listener(), few, make_remedy("alarm"))
    with pytest.raises(ConfigError, match="finite sets of images: take variant 'stored'"):
        vae.run(None, "smoke", remedy="alarm", variant="stream", progress=False)


def test_without_models_items_the_alarm_rings_at_its_rate():
    """The candidate that has none of them is a draw of the same human distribution: 200 chains, uniform p-values."""
    scale = {"chains": 200, "block": 100, "generations": 0, "n": 100, "components": 1, "progress": False}
    record = gmm.run(None, "smoke", variant="blob", remedy="alarm", **scale)
    p = np.min([record.chains(f"alarm_none_{says}").to_numpy().ravel() for says in SAYS], axis=0)
    assert len(p) == 200
    low, high = binom.interval(0.999, 200, 0.1)
    assert low <= (p <= 0.1).sum() <= high


@pytest.mark.parametrize("remedy", ["noise(0.1)", "filter(0.9, 0.1)", "even", "best(2)", "ensemble(2)"])
@pytest.mark.parametrize("regime", ["replace", "keep"])
def test_a_gaussian_with_a_remedy_draws_items(remedy, regime):
    scale = {"chains": 2, "block": 2, "generations": 1, "n": 40, "progress": False}
    assert gaussian.run(None, "smoke", regime=regime, remedy=remedy, **scale).generations == [0, 1]
    with pytest.raises(ConfigError, match="takes single items: items must be points or auto, not 'moments'"):
        gaussian.run(None, "smoke", regime=regime, remedy=remedy, items="moments", **scale)

"""Who is hit first: closed forms, exact fits and counts by hand for facts, patients and a recommender."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from model_collapse.affected import facts, patients, recommender
from model_collapse.counts import Counts
from model_collapse.datasets import tumours
from model_collapse.expectations import expected_false_share
from model_collapse.points import Points
from model_collapse.recursion import Turn
from model_collapse.regimes import Lineage, Pool, RegimeError, make_regime
from model_collapse.runs import ConfigError

TURN = Turn(1, (0, 0, 0))


def pool(items) -> Pool:
    return Pool(items, Lineage(np.array([0]), np.array([items.size])))


class TestFacts:
    def test_everybody_is_told_of_at_least_once_and_the_first_most(self):
        told = facts.told(facts.PROFILES["quick"])
        assert told.min() == 1 and (np.diff(told) <= 0).all()
        assert told[0] / told[9] == pytest.approx(10, rel=0.01)

    def test_false_answers_follow_the_closed_form(self):
        config = dataclasses.replace(facts.PROFILES["smoke"], doubt=0.3)
        record = facts.run(None, "smoke", chains=4000, block=1000, generations=12, doubt=0.3, progress=False)
        told = facts.told(config)
        for name, (low, high) in facts.BANDS.items():
            copies = told[(told >= low) & (told <= high)]
            if not len(copies):
                continue
            for g in (0, 1, 5, 12):
                expected = expected_false_share(copies, g, 0.3, config.answers).mean()
                row = record.at(f"false_{name}", g)
                assert row["mean"] == pytest.approx(expected, abs=4 * row["sd"] / np.sqrt(4000) + 1e-6), (name, g)

    def test_without_doubt_no_fact_is_ever_forgotten(self):
        record = facts.run(None, "smoke", doubt=0.0, generations=5, progress=False)
        assert record.at("false", 5)["mean"] == 0 and record.at("forgotten", 5)["mean"] == 0

    def test_every_question_is_answered_once(self):
        config = facts.PROFILES["smoke"]
        source, learner = facts.build(config, make_regime("replace"), 3, (0, 0, 0))
        model = learner.fit(pool(source.items), TURN)
        drawn = learner.sample(model, pool(source.items), TURN).counts.reshape(3, config.subjects, config.answers)
        assert (drawn.sum(axis=2) == learner.told).all()

    def test_under_keep_the_rest_of_the_questions_is_answered(self):
        config = dataclasses.replace(facts.PROFILES["smoke"], regime="keep", share=0.25)
        source, learner = facts.build(config, config.make_regime(), 2, (0, 0, 0))
        drawn = learner.sample(learner.fit(pool(source.items), TURN), pool(source.items), TURN)
        asked = drawn.counts.reshape(2, config.subjects, config.answers).sum(axis=2)
        assert drawn.size == source.n - round(0.25 * source.n) == asked[0].sum()
        assert (asked <= learner.told).all()

    def test_what_was_never_heard_of_is_a_guess(self):
        config = dataclasses.replace(facts.PROFILES["smoke"], doubt=0.0)
        _, learner = facts.build(config, make_regime("replace"), 1, (0, 0, 0))
        model = learner.fit(pool(Counts(0, np.zeros((1, config.subjects * config.answers), dtype=int))), TURN)
        assert (model == 1 / config.answers).all()

    def test_no_fresh_facts(self):
        with pytest.raises(ConfigError, match="regime 'fresh' needs facts that nobody has told yet"):
            facts.run(None, "smoke", regime="fresh", n_real=1, n_synthetic=1, progress=False)


class TestPatients:
    def test_the_data_are_those_of_the_source(self):
        found = tumours()
        assert found.x.shape == (569, 31)
        assert [(found.x[:, -1] == kind).sum() for kind in (0, 1)] == [357, 212]  # benign, malignant

    def test_a_fit_has_the_moments_of_each_kind(self):
        rng = np.random.default_rng(0)
        x = np.dstack([rng.standard_normal((2, 60, 3)), rng.integers(0, 2, (2, 60))])
        learner = patients.PatientLearner(patients.Config(d=3), make_regime("replace"), None)
        model = learner.fit(pool(Points(x)), TURN)
        for chain in range(2):
            for kind in (0, 1):
                own = x[chain, x[chain, :, -1] == kind, :-1]
                assert model.shares[chain, kind] == pytest.approx(len(own) / 60)
                assert model.means[chain, kind] == pytest.approx(own.mean(axis=0))
                assert model.covariances[chain, kind] == pytest.approx(np.cov(own.T) + patients.RIDGE * np.eye(3))

    def test_a_kind_of_which_hardly_anyone_is_left_borrows_a_covariance(self):
        x = np.dstack([np.random.default_rng(1).standard_normal((1, 60, 2)), np.zeros((1, 60))])
        x[0, :2, -1] = 1
        model = patients.PatientLearner(patients.Config(d=2), make_regime("replace"), None).fit(pool(Points(x)), TURN)
        assert (model.covariances[0, 1] == model.covariances[0, 0]).all()
        assert model.means[0, 1] == pytest.approx(x[0, :2, :2].mean(axis=0))

    def test_samples_have_the_moments_of_their_model(self):
        means = np.array([[[0.0, 0.0], [4.0, -4.0]]])
        covariances = np.array([[[[1.0, 0.5], [0.5, 1.0]], [[0.2, 0.0], [0.0, 0.1]]]])
        model = patients.Kinds(np.array([[0.7, 0.3]]), means, covariances)
        learner = patients.PatientLearner(patients.Config(n=200_000, d=2), make_regime("replace"), None)
        x = learner.sample(model, None, TURN).x[0]
        assert x[:, -1].mean() == pytest.approx(0.3, abs=0.005)
        for kind in (0, 1):
            own = x[x[:, -1] == kind, :-1]
            assert own.mean(axis=0) == pytest.approx(means[0, kind], abs=0.02)
            assert np.cov(own.T) == pytest.approx(covariances[0, kind], abs=0.02)

    def test_those_who_are_asked_about_were_never_learned_from(self):
        config = patients.PROFILES["smoke"]
        source, learner = patients.build(config, make_regime("replace"), 3, (0, 0, 0), tumours())
        asked, truth = learner.held
        assert source.items.x.shape == (3, 100, 6) and asked.shape == (3, 469, 5)
        assert (source.items.x[:, :, -1].sum(axis=1) == 5).all() and (truth.sum(axis=1) == 207).all()
        for chain in range(3):
            both = np.concatenate([source.items.x[chain, :, :-1], asked[chain]])
            assert len(np.unique(both.round(9), axis=0)) == 569

    def test_the_classifier_by_hand(self):
        config = patients.PROFILES["smoke"]
        source, learner = patients.build(config, make_regime("replace"), 1, (0, 0, 0), tumours())
        found = learner.measure(learner.fit(pool(source.items), TURN), source.items, TURN)
        said = LogisticRegression(max_iter=1000).fit(source.items.x[0, :, :-1], source.items.x[0, :, -1])
        right = said.predict(learner.held[0][0]) == learner.held[1][0]
        ill = learner.held[1][0] == 1
        assert found["recall"][0] == right[ill].mean() and found["specificity"][0] == right[~ill].mean()
        assert found["accuracy"][0] == pytest.approx(0.05 * right[ill].mean() + 0.95 * right[~ill].mean())

    def test_where_a_kind_is_gone_nobody_of_it_is_found(self):
        source, learner = patients.build(patients.PROFILES["smoke"], make_regime("replace"), 1, (0, 0, 0), tumours())
        x = source.items.x.copy()
        x[:, :, -1] = 0
        assert learner._judged(0, Points(x)) == (0.0, 1.0)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"n": 5}, "n must be at least 20"),
            ({"rare": 0.5}, "rare must lie between 0 and 0.5"),
            ({"n": 500}, "takes 475 patients of kind 0; there are 357"),
            ({"n": 20, "rare": 0.01}, "there would be none"),
            ({"d": 31}, "d must lie in 1 to 30"),
            ({"regime": "fresh", "n_real": 1, "n_synthetic": 1}, "there are too few"),
        ],
    )
    def test_what_cannot_be(self, settings, message):
        with pytest.raises((ConfigError, RegimeError), match=message):
            patients.run(None, "smoke", progress=False, **settings)


class TestRecommender:
    def test_all_patterns_are_the_table_itself(self):
        table = np.random.default_rng(0).integers(0, 5, (2, 8, 12))
        table[:, :, 0] += 1
        config = recommender.Config(people=8, articles=12, patterns=8)
        learner = recommender.RecommenderLearner(config, make_regime("replace"), np.ones((2, 8, 12)) / 12, table)
        model = learner.fit(pool(Counts(1, table.reshape(2, -1))), TURN)
        assert model == pytest.approx(table / table.sum(axis=2, keepdims=True))

    def test_measures_by_hand(self):
        table = np.array([[[6, 3, 1, 0], [6, 3, 1, 0]]])
        config = recommender.Config(people=2, articles=4, each=10, patterns=2)
        wanted = np.array([[[0.4, 0.3, 0.2, 0.1]] * 2])
        learner = recommender.RecommenderLearner(config, make_regime("replace"), wanted, table)
        assert learner.tail.tolist() == [[False, False, True, True]]  # two of twenty were taken there
        alike = learner.measure(np.array([[[0.6, 0.3, 0.1, 0.0]] * 2]), None, TURN)
        assert alike["tail"][0] == pytest.approx(0.1) and alike["reached"][0] == 1
        assert alike["alike"][0] == pytest.approx(1)
        assert alike["wanted"][0] == pytest.approx(4 * (0.6 * 0.4 + 0.3 * 0.3 + 0.1 * 0.2))
        apart = learner.measure(np.array([[[1.0, 0, 0, 0], [0, 1.0, 0, 0]]]), None, TURN)
        assert apart["alike"][0] == pytest.approx(0) and apart["reached"][0] == pytest.approx(2 / 3)
        even = learner.measure(np.full((1, 2, 4), 0.25), None, TURN)
        assert even["gini"][0] == pytest.approx(0) and even["wanted"][0] == pytest.approx(1)
        assert learner.measure(np.array([[[1.0, 0, 0, 0]] * 2]), None, TURN)["gini"][0] == pytest.approx(0.75)

    def test_everybody_takes_their_part(self):
        config = recommender.PROFILES["smoke"]
        source, learner = recommender.build(config, make_regime("keep", share=0.1), 2, (0, 0, 0))
        drawn = learner.sample(learner.fit(pool(source.items), TURN), pool(source.items), TURN)
        each = drawn.counts.reshape(2, config.people, config.articles).sum(axis=2)
        assert source.items.counts.sum(axis=1).tolist() == [1000, 1000]
        assert drawn.size == 900 and (each == 45).all()

    def test_who_insists_forgets_the_tail(self):
        scale = {"generations": 8, "progress": False}
        calm, loud = (recommender.run(None, "smoke", insists=power, **scale) for power in (1.0, 2.0))
        assert loud.at("tail", 8)["mean"] < 0.02 < 0.1 < calm.at("tail", 8)["mean"]
        assert loud.at("reached", 8)["mean"] < calm.at("reached", 8)["mean"]

    def test_what_cannot_be(self):
        with pytest.raises(ConfigError, match="patterns must be at most 20, not 21"):
            recommender.run(None, "smoke", patterns=21, progress=False)
        with pytest.raises(ConfigError, match="regime must be one of"):
            recommender.run(None, "smoke", regime="accumulate_subsample", progress=False)


@pytest.mark.parametrize("family", [facts, patients, recommender])
def test_a_run_that_resumes_is_the_run_that_never_stopped(family, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))

    def stop(phase: str, g: int) -> None:
        if phase == "fit" and g == 2:
            raise KeyboardInterrupt

    options = {"profile": "smoke", "progress": False, "checkpoint": 0.0}
    with pytest.raises(KeyboardInterrupt):
        family.run("replace", save=tmp_path / "one", on=stop, **options)
    again = family.run("replace", save=tmp_path / "one", **options)
    whole = family.run("replace", **options)
    assert again.statistics.equals(whole.statistics)


@pytest.mark.parametrize("family", [facts, patients, recommender])
def test_a_person_who_runs_it_is_told_what_happened_and_what_it_does_not_take(family, tmp_path):
    record = family.run("replace", "smoke", progress=False)
    lines = family.FAMILY.report(record)
    assert len(lines) >= 2 and all("->" in line for line in lines)
    (tmp_path / "own.csv").write_text("1,2\n")
    with pytest.raises(ConfigError, match=f"family '{family.FAMILY.name}', variant '.*', takes no data"):
        family.run("replace", "smoke", data=tmp_path / "own.csv", progress=False)

"""Outcomes: what settings cost is counted by hand, what a sweep buys is read from tables made for the purpose."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from model_collapse import gmm, outcomes
from model_collapse.archive import Record
from model_collapse.families import family
from model_collapse.outcomes import Cost, arm_words, cost, time_to_harm
from model_collapse.theory import gaussian

COSTS = {
    "replace": ({}, Cost(0, 0, 100, 100, 1, "")),
    "keep(0.1)": ({"regime": "keep"}, Cost(10, 0, 90, 100, 1, "")),
    "fresh(10, 90)": ({"regime": "fresh", "n_real": 10, "n_synthetic": 90}, Cost(0, 10, 90, 100, 1, "")),
    "augment": ({"regime": "augment"}, Cost(100, 0, 100, 200, 1, "")),
    "accumulate": ({"regime": "accumulate"}, Cost(100, 0, 100, 400, 1, "")),
    "accumulate, subsample": ({"regime": "accumulate_subsample"}, Cost(100, 0, 100, 100, 1, "")),
    "replace, samples grow as g^2": ({"growth": 2.0}, Cost(0, 0, 1600, 1600, 1, "")),
    "replace + best(3)": ({"remedy": "best(3)"}, Cost(0, 0, 300, 100, 1, "a judge")),
    "keep(0.1) + best(2)": ({"regime": "keep", "remedy": "best(2)"}, Cost(10, 0, 180, 100, 1, "a judge")),
    "replace + ensemble(5)": ({"remedy": "ensemble(5)"}, Cost(0, 0, 500, 100, 5, "")),
    "replace + transfer(0.2, 3)": ({"remedy": "transfer(0.2, 3)"}, Cost(0, 0, 100, 120, 1, "a wide base")),
}


@pytest.mark.parametrize("words", COSTS)
def test_what_a_remedy_costs(words):
    settings, expected = COSTS[words]
    config = dataclasses.asdict(dataclasses.replace(gaussian.PROFILES["smoke"], n=100, generations=3, **settings))
    assert cost(config) == expected
    assert arm_words(config) == words


@pytest.mark.parametrize("regime", ["replace", "keep", "augment", "accumulate", "accumulate_subsample"])
def test_the_counts_are_those_of_a_run(monkeypatch, regime):
    seen = []
    fit = gmm.MixtureLearner.fit
    monkeypatch.setattr(gmm.MixtureLearner, "fit", lambda *args: seen.append(args[1].items.size) or fit(*args))
    settings = {"regime": regime, "generations": 3, "n": 40, "chains": 2, "block": 2}
    gmm.run(None, "smoke", progress=False, **settings)
    assert seen[-1] == cost(dataclasses.asdict(gmm.PROFILES["smoke"]) | settings).learned


def sweep(paths: dict[str, list[float]], spread: float) -> Record:
    """A Gaussian record whose arms have these mean distances at g = 0, 5 and 10."""
    swept = [{"n": 100 + number} for number in range(len(paths))]
    named = [f"n={arm['n']}" for arm in swept]
    rows = [
        {"arm": arm, "generation": g, "metric": "w2", "count": 400, "mean": x, "sd": spread, "q50": x}
        for arm, path in zip(named, paths.values(), strict=True)
        for g, x in zip((0, 5, 10), path, strict=True)
    ]
    config = dataclasses.asdict(dataclasses.replace(gaussian.PROFILES["smoke"], variant="theorem"))
    said = [{"label": arm, "settings": settings} for arm, settings in zip(named, swept, strict=True)]
    manifest = {"family": "gaussian", "run": "made-up", "config": config, "arms": said}
    return Record(manifest, pd.DataFrame(columns=["arm", "metric", "generation", "chain", "value"]), pd.DataFrame(rows))


def test_what_a_remedy_buys():
    paths = {"lost": [0.1, 0.7, 1.0], "holds": [0.1, 0.3, 0.3], "delays": [0.1, 0.2, 0.3], "back": [0.1, 0.9, 0.2]}
    found = dict(zip(paths, outcomes.outcomes(sweep(paths, 0.1)), strict=True))
    assert {name: x.lost for name, x in found.items()} == {"lost": 5, "holds": None, "delays": None, "back": 5}
    assert {name: x.grows for name, x in found.items()} == {"lost": True, "holds": False, "delays": True, "back": False}
    assert found["lost"].harm.mean == pytest.approx(0.9)
    assert found["lost"].harm.se == pytest.approx(0.1 / 20 * 2**0.5)


def test_growth_within_the_noise_is_none():
    (found,) = outcomes.outcomes(sweep({"slow": [0.1, 0.2, 0.3]}, 2.0))
    assert not found.grows


SMALL = {"gaussian": {"n": 10}, "gmm": {"n": 20, "variant": "two"}, "discrete": {"n": 20, "variant": "toy"}}


@pytest.mark.parametrize("name", SMALL)
def test_every_family_s_harm_is_one_of_its_metrics_and_grows_under_replace(name):
    scale = {"chains": 50, "block": 50, "generations": 60, "progress": False}
    record = family(name).run(None, "smoke", **scale, **SMALL[name])
    assert outcomes.HARMS[name].metric in set(record.statistics["metric"])
    assert 0 < time_to_harm(record) <= 60

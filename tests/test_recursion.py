"""The loop: its order, its randomness, its index."""

import numpy as np

from model_collapse.archive import History
from model_collapse.recursion import Turn, run, stream
from model_collapse.regimes import HUMAN, Source, make_regime
from model_collapse.theory.normal import Points


class Counter:
    """A learner whose model is the number of synthetic rounds in its pool's past."""

    def __init__(self):
        self.calls = []

    def prepare(self, source, turn):
        self.calls.append("prepare")

    def fit(self, pool, turn):
        self.calls.append(("fit", turn.g, pool.lineage.share(HUMAN)))
        return pool.items.x.max() + (turn.g > 0)

    def sample(self, model, pool, turn):
        self.calls.append(("sample", turn.g))
        return Points(np.full((1, 2, 1), model))

    def measure(self, model, synthetic, turn):
        self.calls.append(("measure", turn.g))
        return {"rounds": np.array([model])}


def go(learner, generations, history=None, **options):
    source = Source(Points(np.zeros((1, 2, 1))), 2)
    history = History("last") if history is None else history
    return list(
        run(learner, source, make_regime("replace"), generations, history=history, seed=(0, 0, 0), **options)
    ), history


def test_model_g_has_seen_g_rounds_of_synthetic_data():
    turns, _ = go(Counter(), 5)
    assert [t.g for t in turns] == [0, 1, 2, 3, 4, 5]
    assert [t.metrics["rounds"][0] for t in turns] == [0, 1, 2, 3, 4, 5]


def test_a_run_of_g_generations_has_one_fit_more_and_only_the_first_is_human():
    learner = Counter()
    go(learner, 3)
    assert learner.calls[0] == "prepare"
    assert [c for c in learner.calls if c[0] == "fit"] == [
        ("fit", 0, 1.0),
        ("fit", 1, 0.0),
        ("fit", 2, 0.0),
        ("fit", 3, 0.0),
    ]


def test_a_run_goes_on_from_the_history_it_finds():
    whole, _ = go(Counter(), 6)
    first, history = go(Counter(), 2)
    rest, _ = go(Counter(), 6, history)
    assert [t.g for t in first + rest] == [t.g for t in whole]
    assert [t.metrics["rounds"][0] for t in first + rest] == [t.metrics["rounds"][0] for t in whole]


def test_only_the_generations_asked_for_are_measured():
    turns, _ = go(Counter(), 4, measured={0, 3})
    assert [t.g for t in turns if t.metrics is not None] == [0, 3]


def test_phases_are_told_in_order():
    heard = []
    go(Counter(), 1, on=lambda phase, g: heard.append((phase, g)))
    assert heard == [(p, g) for g in (0, 1) for p in ("regime", "fit", "sample", "measure")]


def test_randomness_is_a_function_of_seed_arm_block_generation_and_purpose():
    keys = [
        ((s, a, b), g, p)
        for s in (0, 1)
        for a in (0, 1)
        for b in (0, 1)
        for g in (0, 1)
        for p in ("fit", "sample", "source")
    ]
    draws = {key: tuple(stream(*key).integers(0, 2**63, 2)) for key in keys}
    assert len(set(draws.values())) == len(keys)
    assert draws == {key: tuple(stream(*key).integers(0, 2**63, 2)) for key in reversed(keys)}
    turn = Turn(1, (0, 0, 0))
    assert tuple(turn.fit.integers(0, 2**63, 2)) == draws[(0, 0, 0), 1, "fit"]

"""Statements of facts, some of them told often and most of them seldom, and a model that guesses where it knows little.

Each subject has one true answer among several. A model answers by the statements that it learned from, with a doubt:
as if every answer had been given `doubt` / `answers` times more. Its answers are what the next model learns from. So a
fact that was told often stays, and a fact that was told once is soon a guess. Subjects are asked about as often as
people state them, as the prompts of the paper's language models are people's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..archive import Record
from ..counts import Counts, take
from ..recursion import Turn
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, Family, Study, changes

__all__ = ["BANDS", "FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "FactLearner", "run", "told"]

PROTOCOL = 1
VARIANTS = {"zipf": "the k-th subject is told of 1 / k times as often as the first"}
BANDS = {"once": (1, 1), "rare": (2, 4), "some": (5, 9), "often": (10, 99), "common": (100, 10**9)}
"""How often people told a fact, from and to."""


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run.

    Attributes
    ----------
    subjects, answers : int
        Facts, and answers that each could have.
    n : int
        Statements of people, about; each subject is told of at least once.
    doubt : float
        Statements of all answers alike that a model adds to what it was told of a subject.
    """

    subjects: int = 2000
    answers: int = 10
    n: int = 20_000
    doubt: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "subjects", "n")
        self.require_at_least(2, "answers")
        self.require(self.doubt >= 0, f"doubt must not be negative, not {self.doubt:g}")

    def check(self) -> None:
        super().check()
        message = "regime 'fresh' needs facts that nobody has told yet; this family has none"
        self.require(self.regime != "fresh", message)


def told(config: Config) -> np.ndarray:
    """How often people tell of each subject, shape (subjects,)."""
    weights = 1 / np.arange(1, config.subjects + 1)
    return np.maximum(1, np.round(config.n * weights / weights.sum())).astype(np.int64)


class FactLearner:
    """A model is the probability of each answer, shape (chains, subjects, answers); answer 0 is the true one."""

    def __init__(self, config: Config, regime: Regime):
        self.config, self.regime, self.told = config, regime, told(config)
        self.n = int(self.told.sum())

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare: the truth is known."""

    def fit(self, pool: Pool, turn: Turn) -> np.ndarray:
        c = self.config
        heard = pool.items.counts.reshape(-1, c.subjects, c.answers) + c.doubt / c.answers
        total = heard.sum(axis=2, keepdims=True)
        return np.divide(heard, total, out=np.full(heard.shape, 1 / c.answers), where=total > 0)

    def sample(self, model: np.ndarray, pool: Pool, turn: Turn) -> Counts:
        """An answer to every question that people's statements answer; to some of them where people keep a share."""
        wanted = self.regime.needed(self.n)
        asked = np.broadcast_to(self.told, (len(model), len(self.told)))
        if wanted < self.n:
            asked = take(asked, np.full(len(model), wanted), turn.sample)
        answers = turn.sample.multinomial(asked, model)
        return Counts(wanted, answers.reshape(len(model), -1))

    def measure(self, model: np.ndarray, synthetic: Counts, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (chains,).

        ``false``: share of answers that are wrong, subjects asked about as people do; ``false_<band>``: of subjects in
        a band of `BANDS`; ``forgotten``: share of the subjects whose likeliest answer is wrong.
        """
        wrong = 1 - model[:, :, 0]
        found = {
            "false": (wrong * self.told).sum(axis=1) / self.n,
            "forgotten": (model.argmax(axis=2) > 0).mean(axis=1),
        }
        for name, (low, high) in BANDS.items():
            band = (self.told >= low) & (self.told <= high)
            if band.any():
                found[f"false_{name}"] = wrong[:, band].mean(axis=1)
        return found


def build(config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data=None) -> tuple[Source, FactLearner]:
    """The source, whose statements are all true, and the learner of one block of chains."""
    learner = FactLearner(config, regime)
    human = np.zeros((config.subjects, config.answers), dtype=np.int64)
    human[:, 0] = learner.told
    items = Counts(learner.n, np.broadcast_to(human.ravel(), (chains, human.size)))
    return Source(items, learner.n), learner


def restore(arrays: dict[str, np.ndarray]) -> Counts:
    """Counts from the arrays that a resume state keeps."""
    return Counts.from_arrays(arrays)


def report(record: Record) -> list[str]:
    """Wrong answers in all, and about what people told seldom and often."""
    asked = {"false": "wrong answers in all"} | {f"false_{name}": f"  of facts told {name}" for name in BANDS}
    return changes(record, asked, percent=True)


PROFILES = {
    "smoke": Config(chains=4, block=2, generations=3, subjects=50, n=400),
    "quick": Config(chains=20, block=20, generations=20),
    "paper": Config(chains=200, block=25, generations=20),
}

STUDIES = {
    "replace": Study("replace"),
    "keep10": Study("keep"),
    "accumulate": Study("accumulate"),
}

FAMILY = Family(
    "facts", Config, PROFILES, STUDIES, VARIANTS, PROTOCOL, build, restore, default_variant="zipf", report=report
)
run = FAMILY.run

"""A recommender that learns from what people took up of its own recommendations.

People have tastes, and articles are popular to different degrees. A model is what is left of the table of who took what
when only its first few patterns are kept (a truncated singular value decomposition); it recommends in proportion, to a
power that says how much it insists, and what it recommends is what people take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..archive import Record
from ..counts import Counts
from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, Family, Study, changes

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "RecommenderLearner", "run"]

PROTOCOL = 1
VARIANTS = {"svd": "the first patterns of the table of who took what"}
TAIL = 0.2  # of what people took by themselves: the least popular articles that make up so much are the tail


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run.

    Attributes
    ----------
    people, articles, each : int
        Rows and columns of the table, and how much everybody takes a generation.
    patterns : int
        That a model keeps, and that tastes have.
    insists : float
        Power of the recommended shares; 1 is in proportion.
    """

    people: int = 200
    articles: int = 300
    each: int = 50
    patterns: int = 10
    insists: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "people", "each", "patterns")
        self.require_at_least(2, "articles")
        most = min(self.people, self.articles)
        self.require(self.patterns <= most, f"patterns must be at most {most}, not {self.patterns}")
        self.require(self.insists > 0, f"insists must be above 0, not {self.insists:g}")

    def check(self) -> None:
        super().check()
        known = ("replace", "keep", "augment", "accumulate", "fresh")
        self.require(self.regime in known, f"regime must be one of {', '.join(known)}, not {self.regime!r}")


class RecommenderLearner:
    """A model is the share of each article in what each person is recommended, shape (chains, people, articles)."""

    def __init__(self, config: Config, regime: Regime, wanted: np.ndarray, human: np.ndarray):
        self.config, self.regime, self.wanted = config, regime, wanted
        self.n = config.people * config.each
        total = human.sum(axis=1)
        order = np.argsort(total, axis=1, kind="stable")
        rising = np.cumsum(np.take_along_axis(total, order, axis=1), axis=1)
        self.tail = np.zeros(total.shape, dtype=bool)
        np.put_along_axis(self.tail, order, rising <= TAIL * self.n, axis=1)
        self.known = total > 0

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare: what people want is known."""

    def fit(self, pool: Pool, turn: Turn) -> np.ndarray:
        c = self.config
        left, values, right = np.linalg.svd(pool.items.counts.reshape(-1, c.people, c.articles), full_matrices=False)
        kept = (left[:, :, : c.patterns] * values[:, None, : c.patterns]) @ right[:, : c.patterns]
        liked = np.maximum(kept, 0) ** c.insists
        total = liked.sum(axis=2, keepdims=True)
        return np.divide(liked, total, out=np.full(liked.shape, 1 / c.articles), where=total > 0)

    def sample(self, model: np.ndarray, pool: Pool, turn: Turn) -> Counts:
        """What everybody takes of what is recommended, as often as the next pool needs."""
        wanted = self.regime.needed(self.n)
        each = np.full(self.config.people, wanted // self.config.people)
        each[: wanted % self.config.people] += 1
        return Counts(wanted, turn.sample.multinomial(each, model).reshape(len(model), -1))

    def measure(self, model: np.ndarray, synthetic: Counts, turn: Turn) -> dict[str, np.ndarray]:
        """Of what is recommended, each of shape (chains,).

        ``tail``: share of the articles that made up the least popular fifth of what people took by themselves;
        ``reached``: share of the articles that people took by themselves and that at least one in a hundred thousand
        recommendations names; ``gini`` of the articles; ``alike``: mean cosine of two people's recommendations;
        ``wanted``: mean over people of the probability that they would have taken the article by themselves, over that
        of an article at random.
        """
        shares = model.mean(axis=1)
        ranked = np.sort(shares, axis=1)
        m = shares.shape[1]
        unit = model / np.linalg.norm(model, axis=2, keepdims=True)
        people = model.shape[1]
        together = (unit.sum(axis=1) ** 2).sum(axis=1)
        return {
            "tail": (shares * self.tail).sum(axis=1),
            "reached": ((shares > 1e-5) & self.known).sum(axis=1) / self.known.sum(axis=1),
            "gini": (2 * (ranked * np.arange(1, m + 1)).sum(axis=1) - (m + 1)) / m,
            "alike": (together - people) / (people * (people - 1)) if people > 1 else np.ones(len(model)),
            "wanted": (model * self.wanted).sum(axis=2).mean(axis=1) * m,
        }


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data=None
) -> tuple[Source, RecommenderLearner]:
    """The source and the learner of one block of chains; every chain has people and articles of its own."""
    rng = stream(seed, 0, "source")
    tastes = rng.standard_normal((chains, config.people, config.patterns))
    kinds = rng.standard_normal((chains, config.patterns, config.articles)) / np.sqrt(config.patterns)
    popular = -np.log(rng.permuted(np.tile(np.arange(1, config.articles + 1), (chains, 1)), axis=1))
    logits = tastes @ kinds + popular[:, None]
    wanted = np.exp(logits - logits.max(axis=2, keepdims=True))
    wanted /= wanted.sum(axis=2, keepdims=True)

    def taken(n: int, rng: np.random.Generator) -> Counts:
        each = np.full(config.people, n // config.people)
        each[: n % config.people] += 1
        return Counts(n, rng.multinomial(each, wanted).reshape(chains, -1))

    n = config.people * config.each
    human = taken(n, rng)
    learner = RecommenderLearner(config, regime, wanted, human.counts.reshape(chains, config.people, config.articles))
    return Source(human, n, lambda k, g, rng: taken(k, rng)), learner


def restore(arrays: dict[str, np.ndarray]) -> Counts:
    """Counts from the arrays that a resume state keeps."""
    return Counts.from_arrays(arrays)


def report(record: Record) -> list[str]:
    """What becomes of the tail, and how well people are served."""
    shares = {"tail": "share of the tail", "reached": "articles reached"}
    wanted = {"wanted": "how much likelier to be wanted than an article at random"}
    return changes(record, shares, percent=True) + changes(record, wanted)


PROFILES = {
    "smoke": Config(chains=4, block=2, generations=3, people=20, articles=30, patterns=3),
    "quick": Config(chains=10, block=10, generations=20),
    "paper": Config(chains=100, block=10, generations=30),
}

STUDIES = {
    "replace": Study("replace"),
    "insists": Study("replace", settings={"insists": 1.5}),
    "keep10": Study("keep"),
    "accumulate": Study("accumulate"),
}

FAMILY = Family(
    "recommender", Config, PROFILES, STUDIES, VARIANTS, PROTOCOL, build, restore, default_variant="svd", report=report
)
run = FAMILY.run

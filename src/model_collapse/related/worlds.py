"""One loop in three worlds: people who stay as they are, people who change, people who follow the model.

People are points around two humps. What moves is the middle between the humps, along the first axis. In a `drifting`
world it goes its own way (concept drift: Gama et al., 2014). In a `reacting` world it lies at 1 + reaction * m, where m
is the middle of what the last model published (performative prediction: Perdomo et al., 2020), so that retraining on
people comes to rest at 1 / (1 - reaction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..archive import History
from ..gmm import HALF_GAP
from ..gmm.em import Mixtures, fit, sample
from ..gmm.measure import log_likelihood
from ..points import Points
from ..recursion import Turn, run, stream
from ..regimes import Pool, Regime, Source, make_regime

__all__ = ["RULES", "WORLDS", "World", "courses"]

ITEMS = 200  # of a pool, and of what is measured


@dataclass(frozen=True)
class World:
    """Where the middle of people lies: at ``start + speed * g + reaction * m`` in generation g."""

    start: float = 0.0
    speed: float = 0.0
    reaction: float = 0.0

    def middle(self, g: int, published: np.ndarray | float = 0.0) -> np.ndarray:
        """Shape (chains,), given the middle of what was last published, shape (chains,)."""
        return np.asarray(self.start + self.speed * g + self.reaction * np.asarray(published))

    def people(self, middle: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Points of shape (chains, n, 2) around two humps of sd 1 on either side of the middle, shape (chains,)."""
        x = rng.standard_normal((len(middle), n, 2))
        x[..., 0] += middle[:, None] + HALF_GAP * rng.choice([-1.0, 1.0], size=x.shape[:2])
        return x


WORLDS = {"still": World(), "drifting": World(speed=0.1), "reacting": World(start=1.0, reaction=0.5)}


RULES: dict[str, Regime] = {
    "itself": make_regime("replace"),
    "keep": make_regime("keep", share=0.1),
    "people": make_regime("fresh", n_real=ITEMS, n_synthetic=0),
    "frozen": make_regime("keep", share=1.0),
}
"""What a model learns from: the last model's sample; that and a tenth of people of the first day; people of today; the
people of the first day, again and again."""


class Observed:
    """A mixture of two humps that is measured against people of the first day and of today."""

    def __init__(self, world: World, rule: Regime, chains: int):
        self.world, self.rule, self.published = world, rule, np.zeros(chains)

    def today(self, n: int, g: int, rng: np.random.Generator) -> Points:
        return Points(self.world.people(self.world.middle(g, self.published), n, rng))

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing is prepared."""

    def fit(self, pool: Pool, turn: Turn) -> Mixtures:
        return fit(pool.items.x, 2, turn.fit)

    def sample(self, model: Mixtures, pool: Pool, turn: Turn) -> Points:
        self.published = np.einsum("ck,ck->c", model.weights, model.means[..., 0])
        return Points(sample(model, self.rule.needed(ITEMS), turn.sample))

    def measure(self, model: Mixtures, synthetic: Points, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (chains,).

        ``first``, ``today``: log-likelihood of people of the first day, and of today as they are once they have seen
        what this model published, in nats a person; ``middle``: of what it publishes; ``spread``: its sd over both
        axes, as a share of people's.
        """
        first = self.world.people(np.full(len(self.published), self.world.start), ITEMS, turn.measure)
        variance = model_variance(model)
        return {
            "first": log_likelihood(model, first),
            "today": log_likelihood(model, self.today(ITEMS, turn.g, turn.measure).x),
            "middle": self.published,
            "spread": np.sqrt(variance / (2 + HALF_GAP**2)),
        }


def model_variance(model: Mixtures) -> np.ndarray:
    """Total variance of every chain's mixture, shape (chains,)."""
    within = np.einsum("ck,ckii->c", model.weights, model.covariances)
    middle = np.einsum("ck,cki->ci", model.weights, model.means)
    return within + np.einsum("ck,cki->c", model.weights, (model.means - middle[:, None]) ** 2)


def courses(world: World, rule: Regime, generations: int, chains: int, seed: int = 0) -> pd.DataFrame:
    """A world under a rule: columns ``generation, chain, metric, value``; see `Observed.measure` for the metrics."""
    learner = Observed(world, rule, chains)
    first = Points(world.people(np.full(chains, world.start), ITEMS, stream((seed,), 0, "source")))
    source = Source(first, ITEMS, learner.today)
    turns = run(learner, source, rule, generations, history=History(rule.memory), seed=(seed,))
    return pd.concat(
        [
            pd.DataFrame({"generation": turn.g, "chain": np.arange(chains), "metric": metric, "value": values})
            for turn in turns
            for metric, values in turn.metrics.items()
        ],
        ignore_index=True,
    )

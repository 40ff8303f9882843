"""Resampling a categorical distribution: exact fit, so only the finite sample forgets.

Backs chapter *Theory* (Shumailov et al., Nature 2024, section 3, "discrete distributions with exact approximation").
The fitted model is the table of frequencies, the next sample a multinomial draw; a state once lost never returns.
Human data are a small made-up table, or the words of a text: CPython's language reference, or a person's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import datasets
from ..archive import Record
from ..counts import Counts, take
from ..expectations import lost_by
from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..remedies import bench
from ..runs import BaseConfig, ConfigError, Family, Study, arms, coarse

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "Counts", "DiscreteLearner", "run"]

PROTOCOL = 2
TOY_ITEMS = 100
VARIANTS = {"toy": "a made-up distribution over a few states", "words": "the words of a text"}
CLASSES = (1, 2, 5, 10, 20)
"""Original counts whose survival is followed one by one."""


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run.

    Attributes
    ----------
    probabilities : tuple of float
        Variant `toy`: the human distribution over K states; must sum to 1.
    n : int
        Items a pool; 0 means as many as the text has words, or a hundred (toy).
    reserve : float
        Variant `words`: share of the text set aside, at random, as never-used human words for `fresh`.
    """

    probabilities: tuple[float, ...] = (0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01)
    n: int = 0
    reserve: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.n >= 0, f"n must not be negative, not {self.n}")
        self.require(0 <= self.reserve < 1, f"reserve must lie in [0, 1), not {self.reserve:g}")
        good = all(p > 0 for p in self.probabilities) and abs(sum(self.probabilities) - 1) < 1e-9
        self.require(good, "probabilities must be positive and sum to 1")


class DiscreteLearner:
    """Exact fit: the model is the table of frequencies, shape (chains, types)."""

    def __init__(self, config: Config, regime: Regime, original: np.ndarray, n: int):
        self.config, self.regime, self.original, self.n = config, regime, original, n

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare: the original counts are known."""

    def fit(self, pool: Pool, turn: Turn) -> np.ndarray:
        return pool.items.counts / pool.items.size

    def sample(self, model: np.ndarray, pool: Pool, turn: Turn) -> Counts:
        n = self.regime.needed(self.n)
        return Counts(n, turn.sample.multinomial(n, model))

    def measure(self, model: np.ndarray, synthetic: Counts, turn: Turn) -> dict[str, np.ndarray]:
        """What the model still knows, each of shape (chains,).

        ``alive``: share of the original types with a probability above zero; ``absorbed``: 1 where one type is left;
        ``entropy`` in bits; ``total_variation`` to the original distribution; ``frequency_<k>`` of each state (toy);
        ``lost_<c>``: share gone of the types with exactly c original copies, ``lost_5plus``: with five or more
        (words; a class that the text does not have is left out).
        """
        here = model > 0
        logs = np.log2(model, out=np.zeros_like(model), where=here)
        metrics = {
            "alive": here[:, self.original > 0].mean(axis=1),
            "absorbed": (here.sum(axis=1) == 1).astype(float),
            "entropy": -(model * logs).sum(axis=1),
            "total_variation": 0.5 * np.abs(model - self.original / self.original.sum()).sum(axis=1),
        }
        if self.config.variant == "toy":
            return metrics | {f"frequency_{k}": model[:, k] for k in range(model.shape[1])}
        classes = {f"lost_{c}": self.original == c for c in CLASSES} | {"lost_5plus": self.original >= 5}
        return metrics | {name: 1 - here[:, which].mean(axis=1) for name, which in classes.items() if which.any()}


def load(config: Config, path: Path | None) -> datasets.Text | None:
    """A person's own text, or the language reference; None for a made-up table."""
    if config.variant == "toy":
        return None
    return datasets.read_text(path) if path else datasets.language_reference()


def report(record: Record) -> list[str]:
    """Which words are gone at the end, by how often they occurred, beside what the branching recursion says."""
    if record.manifest["variant"] != "words":
        return []
    g, known = record.generations[-1], set(record.statistics["metric"])
    lines = [f"words still known at generation {g}: {100 * record.at('alive', g)['mean']:.1f} %"]
    for copies in CLASSES:
        if f"lost_{copies}" in known:
            expected = f" (replace, exact fit: {100 * lost_by(copies, g):.1f} %)"
            lines.append(
                f"  with {copies:2d} in the text, gone: {100 * record.at(f'lost_{copies}', g)['mean']:.1f} %{expected}"
            )
    return lines


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data: datasets.Text
) -> tuple[Source, DiscreteLearner]:
    """The source and the learner of one block of chains; every chain of a text starts from the same counts."""
    rng = stream(seed, 0, "source")
    if config.variant == "toy":
        truth = np.array(config.probabilities)
        n = config.n or TOY_ITEMS
        human = Counts(n, rng.multinomial(n, truth, size=chains))
        source = Source(human, n, lambda n, g, rng: Counts(n, rng.multinomial(n, truth, size=chains)))
        return source, DiscreteLearner(config, regime, truth, n)
    corpus = np.array(list(datasets.word_counts(data.text).values()))
    aside = take(corpus[None], np.array([round(config.reserve * corpus.sum())]), rng)[0]
    seen = corpus - aside
    n = config.n or int(seen.sum())
    config.require(n <= seen.sum(), f"n = {n} is more than the {seen.sum()} words that generation 0 may see")
    seen = take(seen[None], np.array([n]), rng)[0]
    human = Counts(n, np.broadcast_to(seen, (chains, len(seen))))
    config.require_aside(int(aside.sum()), "words", "set more aside, or take fewer")
    reserve = _Reserve(aside, chains, rng).draw if aside.any() else None
    advice = "set a share of the text aside with --set reserve=0.5"
    return Source(human, n, reserve, advice), DiscreteLearner(config, regime, seen, n)


def restore(arrays: dict[str, np.ndarray]) -> Counts:
    """Counts from the arrays that a resume state keeps."""
    return Counts.from_arrays(arrays)


class _Reserve:
    """Words set aside before generation 0, in an order of each chain's own; generation g gets the g-th helping."""

    def __init__(self, counts: np.ndarray, chains: int, rng: np.random.Generator):
        words = np.repeat(np.arange(len(counts)), counts)
        self.types = len(counts)
        self.order = rng.permuted(np.tile(words, (chains, 1)), axis=1)

    def draw(self, n: int, g: int, rng: np.random.Generator) -> Counts:
        helping = self.order[:, (g - 1) * n : g * n]
        if helping.shape[1] < n:
            raise ConfigError(f"the {self.order.shape[1]} words set aside are used up at generation {g}")
        return Counts(n, np.stack([np.bincount(row, minlength=self.types) for row in helping]))


_TOY = {
    "smoke": {"chains": 40, "block": 20, "generations": 40},
    "quick": {"chains": 1000, "block": 500, "generations": 1500},
    "paper": {"chains": 10_000, "block": 2500, "generations": 3000},
}
_PHASE = {
    "quick": {"chains": 100, "block": 100, "generations": 199},
    "paper": {"chains": 200, "block": 200, "generations": 999},
}
_FEW = {"quick": {"chains": 4, "block": 4, "generations": 10}, "paper": {"chains": 40, "block": 20}}
_COARSE = {"grid": "marks", "marks": coarse(999)}
_RESERVED = {"n": 30_000, "reserve": 0.5, "n_real": 300, "n_synthetic": 29_700}

PROFILES = {
    "smoke": Config(chains=4, block=2, generations=3),
    "quick": Config(chains=20, block=20, generations=30),
    "paper": Config(chains=1000, block=250, generations=100),
}

STUDIES = {
    "absorption": Study("replace", variant="toy", by_profile=_TOY),
    "words-replace": Study("replace"),
    "words-keep10": Study("keep", by_profile=_FEW),
    "words-augment": Study("augment"),
    "words-accumulate": Study("accumulate"),
    "words-subsample": Study("accumulate_subsample", by_profile=_FEW),
    "words-fresh1": Study("fresh", settings=_RESERVED),
    "phase": Study("keep", "toy", _COARSE, _PHASE, arms=arms(n=bench.POOLS, share=bench.SHARES), single_chains=1),
}

FAMILY = Family(
    "discrete",
    Config,
    PROFILES,
    STUDIES,
    VARIANTS,
    PROTOCOL,
    build,
    restore,
    default_variant="words",
    chain_metrics=("alive",),
    load=load,
    report=report,
)
run = FAMILY.run

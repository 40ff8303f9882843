"""Patients of a common and of a rare kind, drawn by a model of patients, and a classifier that learns from them.

The human data are the Wisconsin breast-cancer measurements that scikit-learn carries. A tumour that is malignant is
made as rare as in screening. A model is the share, the mean and the covariance of each kind; the next one is fitted to
patients that it drew. A classifier learns from drawn patients alone and is asked about real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import datasets
from ..archive import Record
from ..points import Points
from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, Family, Study, changes

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "Kinds", "PatientLearner", "run"]

PROTOCOL = 1
VARIANTS = {"gaussians": "a Gaussian for each kind of patient"}
LEAST = 3  # of a kind, of which a covariance is taken; fewer get the other kind's
RIDGE = 1e-3


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run.

    Attributes
    ----------
    n : int
        Patients a pool.
    rare : float
        Share of malignant tumours in the human data.
    d : int
        Principal components of the measurements.
    """

    n: int = 250
    rare: float = 0.05
    d: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.n >= 20, f"n must be at least 20, not {self.n}")
        self.require(0 < self.rare < 0.5, f"rare must lie between 0 and 0.5, not {self.rare:g}")
        self.require(1 <= self.d <= 30, f"d must lie in 1 to 30, not {self.d}")

    def check(self) -> None:
        super().check()
        self.require(self.regime != "fresh", "regime 'fresh' needs patients that nobody has used; there are too few")


@dataclass(frozen=True)
class Kinds:
    """Shares (chains, 2), means (chains, 2, d), covariances (chains, 2, d, d) of the two kinds; 1 is the rare one."""

    shares: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class PatientLearner:
    """Items are points whose last coordinate is the kind, 0 or 1.

    Parameters
    ----------
    held : tuple of numpy.ndarray
        Real patients that no model sees, (chains, patients, d), and their kinds, (chains, patients).
    """

    def __init__(self, config: Config, regime: Regime, held: tuple[np.ndarray, np.ndarray]):
        self.config, self.regime, self.held = config, regime, held

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare."""

    def fit(self, pool: Pool, turn: Turn) -> Kinds:
        x, kind = pool.items.x[:, :, :-1], pool.items.x[:, :, -1]
        d = x.shape[2]
        found = []
        for which in (0, 1):
            member = kind == which
            count = member.sum(axis=1)
            mean = (x * member[:, :, None]).sum(axis=1) / np.maximum(count, 1)[:, None]
            gap = (x - mean[:, None]) * member[:, :, None]
            covariance = np.einsum("cni,cnj->cij", gap, gap) / np.maximum(count - 1, 1)[:, None, None]
            found.append((count, mean, covariance + RIDGE * np.eye(d)))
        counts, means, covariances = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
        few = counts < LEAST
        covariances[few] = covariances[:, ::-1][few]
        return Kinds(counts / counts.sum(axis=1, keepdims=True), means, covariances)

    def sample(self, model: Kinds, pool: Pool, turn: Turn) -> Points:
        n, d = self.regime.needed(self.config.n), model.means.shape[2]
        chains = len(model.shares)
        kind = (turn.sample.random((chains, n)) < model.shares[:, 1:]).astype(int)
        chain = np.arange(chains)[:, None]
        roots = np.linalg.cholesky(model.covariances)[chain, kind]
        z = turn.sample.standard_normal((chains, n, d))
        x = model.means[chain, kind] + np.einsum("cnij,cnj->cni", roots, z)
        return Points(np.concatenate([x, kind[:, :, None]], axis=2))

    def measure(self, model: Kinds, synthetic: Points, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (chains,).

        ``share``: of the rare kind in the model; ``recall``: share of real malignant tumours that a classifier finds
        which learned from the sample alone; ``specificity``: share of the real benign ones that it lets pass;
        ``accuracy``: both by how common they are in the human data.
        """
        rare = self.config.rare
        recall, specificity = np.array([self._judged(chain, synthetic) for chain in range(len(model.shares))]).T
        return {
            "share": model.shares[:, 1],
            "recall": recall,
            "specificity": specificity,
            "accuracy": rare * recall + (1 - rare) * specificity,
        }

    def _judged(self, chain: int, synthetic: Points) -> tuple[float, float]:
        from sklearn.linear_model import LogisticRegression

        x, kind = synthetic.x[chain, :, :-1], synthetic.x[chain, :, -1]
        asked, truth = self.held[0][chain], self.held[1][chain]
        if len(np.unique(kind)) < 2:
            said = np.full(len(truth), kind[0])
        else:
            said = LogisticRegression(max_iter=1000).fit(x, kind).predict(asked)
        return float((said[truth == 1] == 1).mean()), float((said[truth == 0] == 0).mean())


def load(config: Config, path: Path | None) -> datasets.PointSet | None:
    """The measurements with the kind as last column, 1 for malignant; None where a person brings others."""
    return datasets.tumours() if path is None else None


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data: datasets.PointSet
) -> tuple[Source, PatientLearner]:
    """The source and the learner of one block of chains; each has patients of its own."""
    rng = stream(seed, 0, "source")
    kinds = data.x[:, -1].astype(int)
    ill = round(config.rare * config.n)
    config.require(ill >= 1, f"{config.n} patients of whom {config.rare:g} are rare: there would be none")
    for which, wanted in ((1, ill), (0, config.n - ill)):
        there = int((kinds == which).sum())
        config.require(wanted < there, f"n = {config.n} takes {wanted} patients of kind {which}; there are {there}")
    parts = [_divided(data.x, kinds, (config.n - ill, ill), config.d, rng) for _ in range(chains)]
    learned, asked, truth = (np.stack(part) for part in zip(*parts, strict=True))
    return Source(Points(learned), config.n), PatientLearner(config, regime, (asked, truth))


def _divided(
    x: np.ndarray, kinds: np.ndarray, wanted: Sequence[int], d: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients to learn from with their kind as last coordinate; others, and their kinds.

    All in principal components of those to learn from, each in units of its spread.
    """
    orders = [rng.permutation(np.flatnonzero(kinds == which)) for which in (0, 1)]
    seen = np.concatenate([order[:count] for order, count in zip(orders, wanted, strict=True)])
    other = np.concatenate([order[count:] for order, count in zip(orders, wanted, strict=True)])
    values = x[:, :-1]
    values = (values - values[seen].mean(axis=0)) / values[seen].std(axis=0)
    axes = np.linalg.svd(values[seen], full_matrices=False)[2][:d].T
    turned = values @ axes
    turned /= turned[seen].std(axis=0)
    return np.column_stack([turned[seen], kinds[seen]]), turned[other], kinds[other]


def restore(arrays: dict[str, np.ndarray]) -> Points:
    """Points from the arrays that a resume state keeps."""
    return Points.from_arrays(arrays)


def report(record: Record) -> list[str]:
    """What the average says, and who is found."""
    named = {"accuracy": "real patients judged rightly", "recall": "found of the rare kind"}
    return changes(record, named, percent=True)


PROFILES = {
    "smoke": Config(chains=4, block=2, generations=3, n=100),
    "quick": Config(chains=50, block=50, generations=30),
    "paper": Config(chains=500, block=100, generations=50),
}

STUDIES = {
    "replace": Study("replace"),
    "keep10": Study("keep"),
    "accumulate": Study("accumulate"),
}

FAMILY = Family(
    "patients",
    Config,
    PROFILES,
    STUDIES,
    VARIANTS,
    PROTOCOL,
    build,
    restore,
    default_variant="gaussians",
    load=load,
    report=report,
)
run = FAMILY.run

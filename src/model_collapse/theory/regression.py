"""Least squares fitted to its predecessor's labels: the linear model in which errors have closed forms.

Backs chapter *Theory* (Gerstgrasser et al., arXiv 2404.01413, linear regression, replace against accumulate;
Dohmatob et al., arXiv 2410.04840, the floor that a fixed synthetic share leaves).

x ~ N(0, I_d), y = x . w + noise of sd sigma. Model g labels n new points, with noise, for generation g + 1. A
sample enters a fit only through its Gram matrix X^T X (Wishart) and X^T noise (normal, given the Gram matrix), which
are drawn from their exact laws, so accumulating costs no memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, Family, Study, arms
from .normal import wishart_root

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "Gram", "RegressionLearner", "run"]

PROTOCOL = 1
VARIANTS = {
    "fitted": "model 0 is fitted on human labels",
    "shifted": "model 0 is given: its weights are off by a vector of squared length `quality`",
}


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run; the true weights are 0, which loses nothing.

    Attributes
    ----------
    d, n : int
        Dimensions, and labelled points a pool (T in the source); n >= d + 2.
    sigma : float
        Sd of the label noise, of human and synthetic labels alike.
    quality : float
        Variant `shifted`: c^2, the squared distance of model 0 from the truth.
    synthetic_share : float
        With regime `fresh` and no numbers given: the share of synthetic points in every pool.
    """

    d: int = 10
    n: int = 100
    sigma: float = 1.0
    quality: float = 1.0
    synthetic_share: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.d >= 1, f"d must be at least 1, not {self.d}")
        self.require(self.n >= self.d + 2, f"n must be at least d + 2 = {self.d + 2}, not {self.n}")
        self.require(self.quality >= 0, f"quality must not be negative, not {self.quality:g}")
        self.require(self.sigma >= 0, f"sigma must not be negative, not {self.sigma:g}")
        self.require(
            0 <= self.synthetic_share <= 1, f"synthetic_share must lie in [0, 1], not {self.synthetic_share:g}"
        )

    def check(self) -> None:
        super().check()
        regime = self.make_regime()
        picks = regime.name in ("keep", "accumulate_subsample")
        known = "known here: replace, augment, accumulate, fresh"
        self.require(not picks, f"regime {regime.name!r} picks single items, which this family does not keep; {known}")
        pool = regime.n_real + regime.n_synthetic if regime.name == "fresh" else self.n
        self.require(pool >= self.d + 2, f"every pool needs d + 2 = {self.d + 2} points, not {pool}")

    def make_regime(self) -> Regime:
        regime = super().make_regime()
        if regime.name == "fresh" and regime.n_real + regime.n_synthetic == 0:
            synthetic = round(self.synthetic_share * self.n)
            return dataclasses.replace(regime, n_real=self.n - synthetic, n_synthetic=synthetic)
        return regime


@dataclass(frozen=True)
class Gram:
    """A labelled sample known by its normal equations.

    Attributes
    ----------
    size : int
    xx : numpy.ndarray, shape (chains, d, d)
        X^T X.
    xy : numpy.ndarray, shape (chains, d)
        X^T y.
    """

    size: int
    xx: np.ndarray
    xy: np.ndarray

    @classmethod
    def merge(cls, parts: Sequence[Gram]) -> Gram:
        return cls(sum(p.size for p in parts), sum(p.xx for p in parts), sum(p.xy for p in parts))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"size": np.array(self.size), "xx": self.xx, "xy": self.xy}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Gram:
        return cls(int(arrays["size"]), arrays["xx"], arrays["xy"])


def label_points(w: np.ndarray, n: int, sigma: float, rng: np.random.Generator) -> Gram:
    """`n` fresh points labelled by weights `w` (chains, d): X^T X = R R^T, X^T y = R R^T w + sigma R z, exactly."""
    chains, d = w.shape
    if n == 0:
        return Gram(0, np.zeros((chains, d, d)), np.zeros((chains, d)))
    root = wishart_root(n, d, chains, rng)
    noise = sigma * rng.standard_normal((chains, root.shape[2], 1))
    xy = root @ (root.transpose(0, 2, 1) @ w[:, :, None] + noise)
    return Gram(n, root @ root.transpose(0, 2, 1), xy[:, :, 0])


class RegressionLearner:
    """Ordinary least squares; a model is its weights, shape (chains, d)."""

    def __init__(self, config: Config, regime: Regime, given: np.ndarray | None):
        self.config, self.regime, self.given = config, regime, given

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare: the true weights are known."""

    def fit(self, pool: Pool, turn: Turn) -> np.ndarray:
        if turn.g == 0 and self.given is not None:
            return self.given
        return np.linalg.solve(pool.items.xx, pool.items.xy[:, :, None])[:, :, 0]

    def sample(self, model: np.ndarray, pool: Pool, turn: Turn) -> Gram:
        return label_points(model, self.regime.needed(self.config.n), self.config.sigma, turn.sample)

    def measure(self, model: np.ndarray, synthetic: Gram, turn: Turn) -> dict[str, np.ndarray]:
        """``test_error``: excess squared error on fresh human points, ``|w - w*|^2``, shape (chains,)."""
        return {"test_error": (model**2).sum(axis=1)}


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data=None
) -> tuple[Source, RegressionLearner]:
    """The source and the learner of one block of chains."""
    rng = stream(seed, 0, "source")
    truth = np.zeros((chains, config.d))
    given = None
    if config.variant == "shifted":
        away = rng.standard_normal((chains, config.d))
        given = away * np.sqrt(config.quality / (away**2).sum(axis=1, keepdims=True))

    def draw(n: int, g: int, rng: np.random.Generator) -> Gram:
        return label_points(truth, n, config.sigma, rng)

    return Source(draw(config.n, 0, rng), config.n, draw), RegressionLearner(config, regime, given)


def restore(arrays: dict[str, np.ndarray]) -> Gram:
    """Normal equations from the arrays that a resume state keeps."""
    return Gram.from_arrays(arrays)


_MARKS = (9, 99, 499, 999)

PROFILES = {
    "smoke": Config(chains=20, block=10, generations=9, marks=_MARKS),
    "quick": Config(chains=500, block=500, generations=199, marks=_MARKS),
    "paper": Config(chains=10_000, block=1000, generations=999, marks=_MARKS),
}

STUDIES = {
    "replace": Study("replace"),
    "accumulate": Study("accumulate"),
    "augment": Study("augment"),
    "fixed-share": Study(
        "fresh",
        variant="shifted",
        settings={"d": 20, "generations": 1},
        arms=arms(n=[1000, 10_000, 100_000, 1_000_000], synthetic_share=[0.0, 0.01, 0.1]),
    ),
}

FAMILY = Family("regression", Config, PROFILES, STUDIES, VARIANTS, PROTOCOL, build, restore, default_variant="fitted")
run = FAMILY.run

"""A classifier fitted to labels of which some are wrong, after a verifier has looked at them.

Backs chapter *Remedies* (Feng et al., arXiv 2406.07515). Two classes, x ~ N(y m, I_d) with y = -1 or 1 and ``|m|``
known. Human labels are right; a generator's are wrong with probability p. A verifier keeps a right one with probability
phi and a wrong one with probability psi. The classifier is the mean of y x over what is kept, and everything that
enters it (how many right and wrong labels are kept, and the noise of their sum) is drawn from its exact law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, Family, Study, arms

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "Sum", "VerifierLearner", "run"]

PROTOCOL = 1
VARIANTS = {"means": "the classifier is the difference of the two classes' means"}


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run.

    Attributes
    ----------
    d, n : int
        Dimensions, and points that are labelled each generation, before the verifier.
    gap : float
        Half the distance of the two means, in units of the sd.
    p : float
        Probability that a generated label is wrong.
    phi, psi : float
        Probabilities that the verifier keeps a right label, and a wrong one.
    """

    d: int = 100
    n: int = 10_000
    gap: float = 1.0
    p: float = 0.5
    phi: float = 0.9
    psi: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "d", "n")
        self.require(self.gap > 0, f"gap must be above 0, not {self.gap:g}")
        for name in ("p", "phi", "psi"):
            self.require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], not {getattr(self, name):g}")

    def check(self) -> None:
        super().check()
        message = f"regime {self.regime!r} picks or keeps single items, which this family does not; known: replace"
        self.require(self.regime == "replace", message)


@dataclass(frozen=True)
class Sum:
    """Labelled points known by the sum of y x.

    Attributes
    ----------
    size : int
        Points that were labelled, kept or not.
    total : numpy.ndarray, shape (chains, 2)
        The sum along the true direction, and its length across it.
    """

    size: int
    total: np.ndarray

    @classmethod
    def merge(cls, parts: Sequence[Sum]) -> Sum:
        """What a pool of one part is; others have directions across of their own."""
        (only,) = parts
        return only

    def arrays(self) -> dict[str, np.ndarray]:
        return {"size": np.array(self.size), "total": self.total}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Sum:
        return cls(int(arrays["size"]), arrays["total"])


def label_points(config: Config, p: float, phi: float, psi: float, chains: int, rng: np.random.Generator) -> Sum:
    """`n` points with labels that are wrong with probability `p`, as far as the verifier keeps them."""
    wrong = rng.binomial(config.n, p, chains)
    right = rng.binomial(config.n - wrong, phi)
    wrong = rng.binomial(wrong, psi)
    kept = np.sqrt(right + wrong)
    along = config.gap * (right - wrong) + kept * rng.standard_normal(chains)
    across = kept * np.sqrt(rng.chisquare(config.d - 1, chains)) if config.d > 1 else np.zeros(chains)
    return Sum(config.n, np.stack([along, across], axis=1))


class VerifierLearner:
    """Average what is kept; a model is the cosine between its direction and the true one, shape (chains,)."""

    def __init__(self, config: Config):
        self.config = config

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare: the true direction is known."""

    def fit(self, pool: Pool, turn: Turn) -> np.ndarray:
        length = np.hypot(*pool.items.total.T)
        return np.divide(pool.items.total[:, 0], length, out=np.zeros_like(length), where=length > 0)

    def sample(self, model: np.ndarray, pool: Pool, turn: Turn) -> Sum:
        c = self.config
        return label_points(c, c.p, c.phi, c.psi, len(model), turn.sample)

    def measure(self, model: np.ndarray, synthetic: Sum, turn: Turn) -> dict[str, np.ndarray]:
        """``accuracy``: share of human points on the right side of the classifier, shape (chains,)."""
        return {"accuracy": ndtr(self.config.gap * model)}


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data=None
) -> tuple[Source, VerifierLearner]:
    """The source, whose labels are right, and the learner of one block of chains."""
    human = label_points(config, 0.0, 1.0, 1.0, chains, stream(seed, 0, "source"))
    return Source(human, config.n), VerifierLearner(config)


def restore(arrays: dict[str, np.ndarray]) -> Sum:
    """Sums from the arrays that a resume state keeps."""
    return Sum.from_arrays(arrays)


PROFILES = {
    "smoke": Config(chains=50, block=25, generations=1),
    "quick": Config(chains=200, block=200, generations=1),
    "paper": Config(chains=1000, block=1000, generations=1),
}

_PAIRS = ((0.9, 0.3), (0.8, 0.6), (0.5, 0.5), (0.3, 0.6))  # the last verifier is worse than none
_SHARES = tuple(round(k / 40, 3) for k in range(41))
STUDIES = {
    "sweep": Study("replace", arms=arms([{"phi": phi, "psi": psi, "p": p} for phi, psi in _PAIRS for p in _SHARES]))
}

FAMILY = Family("verifier", Config, PROFILES, STUDIES, VARIANTS, PROTOCOL, build, restore, default_variant="means")
run = FAMILY.run

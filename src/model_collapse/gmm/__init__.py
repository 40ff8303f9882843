"""A Gaussian mixture fitted to its predecessor's sample by expectation-maximisation, all chains at once.

Follows the released notebook (Shumailov et al., Nature 2024, supplement section 4 and figures 6 and 8, as released
in ``Normals_GMM_experiments.ipynb``): `GaussianMixture` with two components and full covariances, refitted from scratch
(k-means) to a sample of the last mixture, generation after generation.

Prose and released code differ in the human data: two separated Gaussians (variant `two`) against one Gaussian fitted
with two components (variant `blob`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..points import Points
from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..runs import BaseConfig, Family, Study, arms
from .em import Mixtures, fit, sample
from .measure import component_spread, l2_squared, separation

__all__ = ["FAMILY", "PROFILES", "PROTOCOL", "STUDIES", "Config", "MixtureLearner", "Sample", "run"]

PROTOCOL = 1
VARIANTS = {
    "two": "two separated Gaussians, as in the prose",
    "blob": "one Gaussian fitted with two components, as in the released notebook",
}
HALF_GAP = 2.0  # the two means of variant `two`, in units of the common sd, on either side of 0


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run; the human data are two-dimensional.

    Attributes
    ----------
    n : int
        Items a pool.
    components : int
        Components of the fitted mixture.
    start : {"kmeans", "previous"}
        Where EM begins: k-means on the pool, as released, or the last generation's parameters.
    tol, max_iter, reg_covar
        As in scikit-learn; values of the released notebook.
    """

    n: int = 1000
    components: int = 2
    start: str = "kmeans"
    tol: float = 1e-5
    max_iter: int = 2000
    reg_covar: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.components >= 1, f"components must be at least 1, not {self.components}")
        least = 10 * self.components
        self.require(self.n >= least, f"n must be at least 10 per component, {least} in all, not {self.n}")
        self.require(self.start in ("kmeans", "previous"), f"start must be kmeans or previous, not {self.start!r}")
        self.require(self.tol > 0, f"tol must be above 0, not {self.tol:g}")
        self.require(self.max_iter >= 1, f"max_iter must be at least 1, not {self.max_iter}")
        self.require(self.reg_covar >= 0, f"reg_covar must not be negative, not {self.reg_covar:g}")

    def check(self) -> None:
        super().check()
        regime, least = self.make_regime(), 10 * self.components
        pool = regime.n_real + regime.n_synthetic if regime.name == "fresh" else self.n
        self.require(pool >= least, f"every pool needs 10 items per component, {least} in all, not {pool}")


@dataclass(frozen=True)
class Sample(Points):
    """Points that remember the mixtures they were drawn from, for EM that begins there."""

    made_by: Mixtures | None = field(default=None, compare=False)

    @classmethod
    def merge(cls, parts: list[Points]) -> Sample:
        return cls(np.concatenate([part.x for part in parts], axis=1), getattr(parts[-1], "made_by", None))

    def arrays(self) -> dict[str, np.ndarray]:
        if self.made_by is None:
            return {"x": self.x}
        made = self.made_by
        return {"x": self.x, "weights": made.weights, "means": made.means, "covariances": made.covariances}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Sample:
        made = Mixtures(*(arrays[name] for name in ("weights", "means", "covariances"))) if "means" in arrays else None
        return cls(arrays["x"], made)


class MixtureLearner:
    """Fit by EM, sample, measure against the first model and the truth."""

    def __init__(self, config: Config, regime: Regime, truth: Mixtures):
        self.config, self.regime, self.truth = config, regime, truth

    def prepare(self, source: Source, turn: Turn) -> None:
        """Fit model 0, which the source measures against; generation 0 fits it again, from the same randomness."""
        self.first = self._fit(source.items, Turn(0, turn.seed).fit)

    def fit(self, pool: Pool, turn: Turn) -> Mixtures:
        start = getattr(pool.items, "made_by", None) if self.config.start == "previous" else None
        return self._fit(pool.items, turn.fit, start)

    def sample(self, model: Mixtures, pool: Pool, turn: Turn) -> Sample:
        return Sample(sample(model, self.regime.needed(self.config.n), turn.sample), model)

    def measure(self, model: Mixtures, synthetic: Sample, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (chains,).

        ``l2_squared``: squared L2 distance to model 0, as released; ``l2_null``: that of a fit to fresh human items of
        the same number, the null model of the former; ``l2_truth``: to the human distribution;
        ``component_spread``: mean over components of sqrt(trace / d); ``separation``: largest distance of two means;
        ``weight``: the smallest weight.
        """
        null = self._fit(Points(sample(self.truth, self.config.n, turn.measure)), turn.measure)
        return {
            "l2_squared": l2_squared(model, self.first),
            "l2_null": l2_squared(null, self.first),
            "l2_truth": l2_squared(model, self.truth),
            "component_spread": component_spread(model),
            "separation": separation(model),
            "weight": model.weights.min(axis=1),
        }

    def _fit(self, items: Points, rng: np.random.Generator, start: Mixtures | None = None) -> Mixtures:
        c = self.config
        found, iterations = fit(
            items.x, c.components, rng, start=start, tol=c.tol, max_iter=c.max_iter, reg_covar=c.reg_covar
        )
        late = int((iterations < 0).sum())
        c.require(late == 0, f"EM did not converge in {c.max_iter} iterations in {late} chains: raise max_iter or tol")
        return found


def truth_of(variant: str, chains: int) -> Mixtures:
    """The human distribution of a variant, the same in every chain."""
    means = {"blob": [[0.0, 0.0]], "two": [[-HALF_GAP, 0.0], [HALF_GAP, 0.0]]}[variant]
    k = len(means)
    weights = np.full((chains, k), 1 / k)
    return Mixtures(weights, np.tile(means, (chains, 1, 1)), np.tile(np.eye(2), (chains, k, 1, 1)))


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data=None
) -> tuple[Source, MixtureLearner]:
    """The source and the learner of one block of chains."""
    truth = truth_of(config.variant, chains)
    human = Sample(sample(truth, config.n, stream(seed, 0, "source")))
    source = Source(human, config.n, lambda n, g, rng: Sample(sample(truth, n, rng)))
    return source, MixtureLearner(config, regime, truth)


def restore(arrays: dict[str, np.ndarray]) -> Sample:
    """Items from the arrays that a resume state keeps."""
    return Sample.from_arrays(arrays)


_MARKS = (50, 100, 150, 200, 350, 500, 1000, 2000, 2050)
_SIZES = {"paper": {"chains": 20, "block": 5}, "quick": {"chains": 10, "block": 10, "generations": 30}}
_LONG = {
    "paper": {"chains": 20, "block": 10, "generations": 300},
    "quick": {"chains": 5, "block": 5, "generations": 30},
}

PROFILES = {
    "smoke": Config(chains=6, block=3, generations=4, n=200, marks=_MARKS),
    "quick": Config(chains=50, block=50, generations=100, marks=_MARKS),
    "paper": Config(chains=100, block=25, generations=2050, marks=_MARKS),
}


def _studies(variant: str) -> dict[str, Study]:
    return {
        f"{variant}-replace": Study("replace", variant),
        f"{variant}-replace-warm": Study("replace", variant, settings={"start": "previous"}),
        f"{variant}-keep10": Study("keep", variant, settings={"share": 0.1}),
        f"{variant}-fresh10": Study("fresh", variant, settings={"n_real": 100, "n_synthetic": 900}),
        f"{variant}-subsample": Study("accumulate_subsample", variant),
        f"{variant}-accumulate": Study("accumulate", variant, by_profile=_LONG),
        f"{variant}-sizes": Study(
            "replace", variant, by_profile=_SIZES, arms=arms(n=[500, 1000, 10_000, 50_000, 200_000])
        ),
    }


STUDIES = _studies("blob") | _studies("two")

FAMILY = Family("gmm", Config, PROFILES, STUDIES, VARIANTS, PROTOCOL, build, restore, default_variant="blob")
run = FAMILY.run

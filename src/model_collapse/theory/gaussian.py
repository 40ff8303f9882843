"""A Gaussian fitted to its predecessor's sample, for thousands of chains at once.

Backs chapter *Theory* (Shumailov et al., Nature 2024, Theorem 3.1 and supplement 3.1.1; the released notebook's
single-Gaussian cells; Alemohammad et al., section 2.2 and figures 10 to 12; Kazdan et al., the Gaussian sweep).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..recursion import Turn, stream
from ..regimes import Pool, Regime, Source
from ..remedies import bench
from ..runs import BaseConfig, Family, Study, arms, coarse
from .normal import Model, Moments, Points, restore

__all__ = [
    "FAMILY",
    "PROFILES",
    "PROTOCOL",
    "STUDIES",
    "Config",
    "GaussianLearner",
    "run",
]

PROTOCOL = 2
VANISHED = 0.01  # a hundredth of the human variance
VARIANTS = {"theorem": "unbiased mean and covariance, as in Theorem 3.1", "code": "ddof 0, as in the released notebook"}


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run; the human data are N(0, I) in `d` dimensions.

    Attributes
    ----------
    d : int
        Dimensions.
    n : int
        Items a pool, M in the source.
    growth : float
        Generation g samples ``round(n * (g + 2)**growth)`` items for the next pool (M_i = M_0 i^growth); 0 is constant.
    n_initial : int
        Human items that generation 0 sees; 0 means `n`.
    bias : float
        Sampling bias lambda of Alemohammad et al.: items come from N(mu, lambda Sigma); 1 is unbiased.
    items : {"auto", "moments", "points"}
        Draw sufficient statistics or the items themselves; "auto" takes items where the regime must pick
        some, or a remedy is set.
    """

    d: int = 1
    n: int = 100
    growth: float = 0.0
    n_initial: int = 0
    bias: float = 1.0
    items: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.d >= 1, f"d must be at least 1, not {self.d}")
        self.require(self.n >= 2, f"n must be at least 2, not {self.n}")
        self.require(self.n_initial >= 0, f"n_initial must not be negative, not {self.n_initial}")
        self.require(self.growth >= 0, f"growth must not be negative, not {self.growth:g}")
        self.require(0 < self.bias <= 1, f"the sampling bias must lie in (0, 1], not {self.bias:g}")
        self.require(
            self.items in ("auto", "moments", "points"), f"items must be auto, moments or points, not {self.items!r}"
        )

    def check(self) -> None:
        super().check()
        regime = self.make_regime()
        first, smallest = self.n_initial or self.n, min(self.n, self.n_initial or self.n)
        if regime.name == "fresh":
            smallest = min(first, regime.n_real + regime.n_synthetic)
        self.require(smallest >= 2, f"every pool needs 2 items, not {smallest}")
        enough = regime.name != "keep" or regime.kept(self.n) <= first
        self.require(enough, f"keep: {regime.kept(self.n)} human items a pool are more than the {first} there are")
        grows = regime.name in ("replace", "augment", "accumulate")
        self.require(self.growth == 0 or grows, f"regime {regime.name!r} has pools of one size: growth must be 0")
        single = not self.remedy or self.items != "moments"
        self.require(single, f"remedy {self.remedy!r} takes single items: items must be points or auto, not 'moments'")

    def pool_size(self, g: int) -> int:
        """Items in pool g."""
        return round(self.n * (g + 1) ** self.growth)


class GaussianLearner:
    """Fit by moments, sample with bias lambda, measure against N(0, I)."""

    def __init__(self, config: Config, regime: Regime):
        self.config, self.regime = config, regime
        picks = regime.name == "accumulate_subsample" or config.remedy != ""
        self.points = config.items == "points" or (config.items == "auto" and picks)

    def prepare(self, source: Source, turn: Turn) -> None:
        """Nothing to prepare: the truth is known."""

    def fit(self, pool: Pool, turn: Turn) -> Model:
        moments = pool.items.moments()
        freedom = moments.size - (self.config.variant == "theorem")
        return Model(moments.mean, moments.root / np.sqrt(freedom))

    def sample(self, model: Model, pool: Pool, turn: Turn) -> Moments | Points:
        biased = replace(model, root=model.root * np.sqrt(self.config.bias))
        n = self.regime.needed(self.config.pool_size(turn.g + 1))
        return (biased.draw_points if self.points else biased.draw_moments)(n, turn.sample)

    def measure(self, model: Model, synthetic: Moments | Points, turn: Turn) -> dict[str, np.ndarray]:
        """Distance of the fitted model from the truth, and its parameters, each of shape (chains,).

        ``w2_squared`` and ``w2``: Wasserstein-2 distance to N(0, I); ``mean_error``: squared error of the mean;
        ``variance``: trace of the covariance over d; ``sd``: its square root; ``mean``: first coordinate;
        ``second_moment``: mean^2 + variance of the first coordinate; ``vanished``: 1 where `variance` is below 0.01.
        """
        d = model.mean.shape[1]
        mean_error = (model.mean**2).sum(axis=1)
        trace = (model.root**2).sum(axis=(1, 2))
        singular = model.root[:, 0] if d == 1 else np.linalg.svd(model.root, compute_uv=False)
        w2_squared = mean_error + np.maximum(trace + d - 2 * np.abs(singular).sum(axis=1), 0)
        return {
            "w2_squared": w2_squared,
            "w2": np.sqrt(w2_squared),
            "mean_error": mean_error,
            "variance": trace / d,
            "sd": np.sqrt(trace / d),
            "mean": model.mean[:, 0],
            "second_moment": model.mean[:, 0] ** 2 + (model.root[:, 0] ** 2).sum(axis=1),
            "vanished": (trace / d < VANISHED).astype(float),
        }

    def reward(self, items: Points) -> np.ndarray:
        """Log density of every item under the human distribution, but for a constant; shape (chains, items)."""
        return -0.5 * (items.x**2).sum(axis=2)


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data=None
) -> tuple[Source, GaussianLearner]:
    """The source and the learner of one block of chains."""
    truth = Model(np.zeros((chains, config.d)), np.broadcast_to(np.eye(config.d), (chains, config.d, config.d)))
    learner = GaussianLearner(config, regime)
    rng = stream(seed, 0, "source")
    n = config.n_initial or config.n
    human = (truth.draw_points if learner.points or regime.name == "keep" else truth.draw_moments)(n, rng)
    draw = truth.draw_points if learner.points else truth.draw_moments
    return Source(human, config.n, lambda n, g, rng: draw(n, rng)), learner


_MARKS = (9, 24, 49, 66, 99, 100, 249, 499, 999, 2499)

PROFILES = {
    "smoke": Config(chains=40, block=20, generations=12, marks=_MARKS),
    "quick": Config(chains=2000, block=1000, generations=999, marks=_MARKS),
    "paper": Config(chains=10_000, block=2500, generations=999, marks=_MARKS),
}

_LONG = {"paper": {"chains": 40_000, "block": 10_000, "generations": 9999}, "quick": {"generations": 2499}}
_SHORT = {
    "paper": {"chains": 1000, "block": 500, "generations": 100},
    "quick": {"chains": 200, "block": 100, "generations": 100},
}
_ONCE = {"generations": 0, "marks": ()}
_HIGH = {
    "paper": {"chains": 400, "block": 200, "generations": 99},
    "quick": {"chains": 40, "block": 40, "generations": 29},
    "smoke": {"chains": 4, "block": 2, "generations": 3, "d": 5},
}
# Around the crossings that a look at fewer chains with another seed had shown.
_ADDED = {0.5: (0, 100, 200, 300, 400, 500, 600), 0.7: (0, 200, 400, 600, 800, 1000, 1200, 1600), 1.0: (0, 400, 1600)}
_ADMISSIBLE = [
    {"n_real": real, "n_synthetic": synthetic, "bias": bias}
    for bias, added in _ADDED.items()
    for real in (500, 1000, 2000, 4000, 8000)
    for synthetic in added
]
# One loop, every remedy. A pool is small enough that without any the model is lost long before the end.
_COARSE = {"grid": "marks", "marks": coarse(999)}  # sweeps of many arms are measured at fewer generations
_REMEDIES = {
    "paper": {"chains": 1000, "block": 100},
    "quick": {"chains": 100, "block": 100, "generations": 199},
    "smoke": {"chains": 6, "block": 3, "n": 40},
}
_TREATED = [*bench.alone(100), {"growth": 1.5}, *bench.operators(items="points")]
_PHASE = {
    "paper": {"chains": 500, "block": 250},
    "quick": {"chains": 100, "block": 100, "generations": 199},
}
_SETTLED = _HIGH | {"paper": {"chains": 800, "block": 400, "generations": 20}}

STUDIES = {
    "replace": Study("replace", by_profile=_LONG),
    "replace-code": Study("replace", variant="code"),
    "superlinear": Study("replace", settings={"growth": 1.5}, by_profile=_LONG),
    "one-shot": Study(
        "replace", variant="code", settings=_ONCE, arms=arms(n=[10, 30, 100, 500, 10**3, 10**4, 10**5, 10**6, 10**7])
    ),
    "sizes": Study("replace", variant="code", arms=arms(n=[100, 500, 1000, 10_000])),
    "keep10": Study("keep", settings={"share": 0.1}),
    "augment": Study("augment"),
    "accumulate": Study("accumulate"),
    "subsample": Study("accumulate_subsample", by_profile=_SHORT),
    "fresh10": Study("fresh", settings={"n_real": 10, "n_synthetic": 90}),
    "bias": Study("replace", by_profile=_HIGH, arms=arms(d=[1, 10, 100], bias=[1.0, 0.85, 0.7])),
    "fresh-start": Study(
        "fresh",
        settings={"d": 100, "n_real": 100, "n_synthetic": 900},
        by_profile=_HIGH,
        arms=arms(n_initial=[100, 1000], bias=[1.0, 0.8]),
    ),
    "admissible": Study(
        "fresh", settings={"d": 100, "grid": "ends"}, by_profile=_SETTLED, arms=arms(points=_ADMISSIBLE)
    ),
    "remedies": Study("replace", None, _COARSE, _REMEDIES, arms=arms(points=_TREATED), single_chains=20),
    "phase": Study("keep", None, _COARSE, _PHASE, arms=arms(n=bench.POOLS, share=bench.SHARES), single_chains=1),
}

FAMILY = Family(
    "gaussian",
    Config,
    PROFILES,
    STUDIES,
    VARIANTS,
    PROTOCOL,
    build,
    restore,
    default_variant="theorem",
    chain_metrics=("mean", "variance"),
)
run = FAMILY.run

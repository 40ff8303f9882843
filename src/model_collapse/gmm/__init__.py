"""A Gaussian mixture fitted to its predecessor's sample by expectation-maximisation, all chains at once.

Follows the released notebook (Shumailov et al., Nature 2024, supplement section 4 and figures 6 and 8, as released
in ``Normals_GMM_experiments.ipynb``): `GaussianMixture` with two components and full covariances, refitted from scratch
(k-means) to a sample of the last mixture, generation after generation.

Prose and released code differ in the human data: two separated Gaussians (variant `two`) against one Gaussian fitted
with two components (variant `blob`). A person's own points are variant `own`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import datasets
from ..archive import Record
from ..points import Points
from ..recursion import Generation, Turn, stream
from ..regimes import Pool, Regime, Source
from ..remedies import ALARM_METRICS, bench
from ..runs import BaseConfig, ConfigError, Family, Study, arms, coarse
from .em import Mixtures, fit, sample
from .measure import component_spread, l2_squared, log_density, log_likelihood, separation
from .reference import fit_by_scikit_learn

__all__ = [
    "FAMILY",
    "PROFILES",
    "PROTOCOL",
    "RELEASED_L2",
    "RELEASED_SPREADS",
    "STUDIES",
    "Config",
    "MixtureLearner",
    "Sample",
    "build",
    "run",
]

PROTOCOL = 1
VARIANTS = {
    "two": "two separated Gaussians, as in the prose",
    "blob": "one Gaussian fitted with two components, as in the released notebook",
    "own": "a person's own points, given with --data",
}
RELEASED_SPREADS = {0: (0.9024, 0.8875), 2050: (0.0100, 0.0112)}  # of the two components, saved output of its one run
RELEASED_L2 = 536.28  # squared L2 distance to generation 0 at the end of that run
HALF_GAP = 2.0  # the two means of variant `two`, in units of the common sd, on either side of 0
PER_COMPONENT = 10  # the fewest items a component
SHOWN = (4, 300)  # of how many chains, and how many, points are kept to look at


@dataclass(frozen=True)
class Config(BaseConfig):
    """Settings of a run; the human data are two-dimensional, or a person's own in up to ten dimensions.

    Attributes
    ----------
    n : int
        Items a pool; of own points 0 takes all, and a smaller number sets the rest aside as never-used data.
    components : int
        Components of the fitted mixture.
    start : {"kmeans", "previous"}
        Where EM begins: k-means on the pool, as released, or the last generation's parameters.
    solver : {"batched", "scikit-learn"}
        Who does EM: this package, all chains at once, or `sklearn.mixture.GaussianMixture`, one after the other.
    tol, max_iter, reg_covar
        As in scikit-learn; values of the released notebook.
    """

    n: int = 1000
    components: int = 2
    start: str = "kmeans"
    solver: str = "batched"
    tol: float = 1e-5
    max_iter: int = 2000
    reg_covar: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.components >= 1, f"components must be at least 1, not {self.components}")
        enough = self.n >= self.least or (self.n == 0 and self.variant == "own")
        self.require(enough, f"n must be at least {PER_COMPONENT} per component, {self.least} in all, not {self.n}")
        self.require(self.start in ("kmeans", "previous"), f"start must be kmeans or previous, not {self.start!r}")
        known = ("batched", "scikit-learn")
        self.require(self.solver in known, f"solver must be batched or scikit-learn, not {self.solver!r}")
        both = self.solver == "batched" or self.start == "kmeans"
        self.require(both, "solver scikit-learn starts with kmeans only")
        self.require(self.tol > 0, f"tol must be above 0, not {self.tol:g}")
        self.require(self.max_iter >= 1, f"max_iter must be at least 1, not {self.max_iter}")
        self.require(self.reg_covar >= 0, f"reg_covar must not be negative, not {self.reg_covar:g}")

    @property
    def least(self) -> int:
        """The fewest items that a pool may have."""
        return PER_COMPONENT * self.components

    def check(self) -> None:
        super().check()
        if self.regime == "fresh":
            pool = self.n_real + self.n_synthetic
            message = f"every pool needs {PER_COMPONENT} items per component, {self.least} in all, not {pool}"
            self.require(pool >= self.least, message)


@dataclass(frozen=True)
class Sample(Points):
    """Points that remember the mixtures they were drawn from, for EM that begins there."""

    made_by: Mixtures | None = field(default=None, compare=False)

    @classmethod
    def merge(cls, parts: list[Points]) -> Sample:
        return cls(np.concatenate([part.x for part in parts], axis=1), getattr(parts[-1], "made_by", None))

    @classmethod
    def subsample(cls, parts: list[Points], n: int, rng: np.random.Generator) -> tuple[Sample, np.ndarray]:
        drawn, counts = Points.subsample(parts, n, rng)
        return cls(drawn.x, getattr(parts[-1], "made_by", None)), counts

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
    """Fit by EM, sample, measure against the first model and, where it is known, the truth."""

    def __init__(self, config: Config, regime: Regime, n: int, truth: Mixtures | None):
        self.config, self.regime, self.n, self.truth = config, regime, n, truth

    def prepare(self, source: Source, turn: Turn) -> None:
        """Fit model 0, which the source measures against; generation 0 fits it again, from the same randomness."""
        self.first = self._fit(source.items, 0, Turn(0, turn.seed).fit)

    def fit(self, pool: Pool, turn: Turn) -> Mixtures:
        start = getattr(pool.items, "made_by", None) if self.config.start == "previous" else None
        return self._fit(pool.items, turn.g, turn.fit, start)

    def sample(self, model: Mixtures, pool: Pool, turn: Turn) -> Sample:
        return Sample(sample(model, self.regime.needed(self.n), turn.sample), model)

    def measure(self, model: Mixtures, synthetic: Sample, turn: Turn) -> dict[str, np.ndarray]:
        """Each of shape (chains,).

        ``l2_squared``: squared L2 distance to model 0, as released; ``component_spread``: mean over components of
        sqrt(trace / d); ``separation``: largest distance of two means; ``weight``: the smallest weight;
        ``iterations`` of EM, `max_iter` where it did not converge (as released, the run goes on). Where the
        human distribution is known also ``log_likelihood``: of fresh human items, in nats an item; ``l2_null``: the
        squared L2 distance to model 0 of a fit to those items, the null model of ``l2_squared``; and ``l2_truth``: to
        the human distribution.
        """
        found = measures(model, self.first, self.truth) | {"iterations": model.iterations}
        if self.truth is not None:
            fresh = Points(sample(self.truth, self.n, turn.measure))
            found["l2_null"] = l2_squared(self._fit(fresh, turn.g, turn.measure), self.first)
            found["log_likelihood"] = log_likelihood(model, fresh.x)
        return found

    def reward(self, items: Sample) -> np.ndarray:
        """Log density of every item under model 0, which learned from human items alone; shape (chains, items)."""
        return log_density(self.first, items.x)

    def plain(self, items: Sample) -> list[np.ndarray]:
        """The points of every chain, each of shape (items, dimensions)."""
        return list(items.x)

    def _fit(self, items: Points, g: int, rng: np.random.Generator, start: Mixtures | None = None) -> Mixtures:
        c = self.config
        options = {"tol": c.tol, "max_iter": c.max_iter, "reg_covar": c.reg_covar}
        if c.solver == "scikit-learn":
            found = fit_by_scikit_learn(items.x, c.components, rng, **options)
        else:
            found = fit(items.x, c.components, rng, start=start, **options)
        lost = int((found.iterations == 0).sum())
        where = f"generation {g}, {lost} of {len(items.x)} chains"
        c.require(lost == 0, f"{where}: a component shrank to a point or a line; raise reg_covar")
        return found


def measures(model: Mixtures, first: Mixtures, truth: Mixtures | None) -> dict[str, np.ndarray]:
    """What can be measured of the parameters alone; see `MixtureLearner.measure`."""
    found = {
        "l2_squared": l2_squared(model, first),
        "component_spread": component_spread(model),
        "separation": separation(model),
        "weight": model.weights.min(axis=1),
    }
    return found if truth is None else found | {"l2_truth": l2_squared(model, truth)}


def truth_of(variant: str, chains: int) -> Mixtures | None:
    """The human distribution of a variant, the same in every chain; None for own points."""
    if variant == "own":
        return None
    means = {"blob": [[0.0, 0.0]], "two": [[-HALF_GAP, 0.0], [HALF_GAP, 0.0]]}[variant]
    k = len(means)
    weights = np.full((chains, k), 1 / k)
    return Mixtures(weights, np.tile(means, (chains, 1, 1)), np.tile(np.eye(2), (chains, k, 1, 1)))


def load(config: Config, path: Path | None) -> datasets.PointSet | None:
    """A person's own points; None for made-up data."""
    if config.variant != "own":
        return None
    if path is None:
        raise ConfigError("variant 'own' needs your points: --data points.csv (or .npy, .npz)")
    points = datasets.read_points(path)
    count = len(points.x)
    enough = f"{path.name} has {count} points: too few for {config.components} components of {PER_COMPONENT} each"
    config.require(count >= config.least, enough)
    config.require(config.n <= count, f"n = {config.n} is more than the {count} points of {path.name}")
    narrow = np.linalg.eigvalsh(np.atleast_2d(np.cov(points.x.T)))[0]
    small = f"{path.name}: reg_covar = {config.reg_covar:g} is not small against {max(narrow, 0):.2g}, the variance"
    config.require(config.reg_covar <= 0.01 * narrow, f"{small} along the narrowest direction: scale the points")
    return points


def build(
    config: Config, regime: Regime, chains: int, seed: tuple[int, ...], data: datasets.PointSet | None = None
) -> tuple[Source, MixtureLearner]:
    """The source and the learner of one block of chains."""
    truth, rng = truth_of(config.variant, chains), stream(seed, 0, "source")
    if truth is None:
        source = _own(config, data.x, chains, rng)
    else:
        human = Sample(sample(truth, config.n, rng))
        source = Source(human, config.n, lambda n, g, rng: Sample(sample(truth, n, rng)))
    return source, MixtureLearner(config, regime, source.n, truth)


def _own(config: Config, x: np.ndarray, chains: int, rng: np.random.Generator) -> Source:
    """Own points: all of them in every chain, or n of them and the rest set aside, in an order of each chain's own."""
    n, order = config.n or len(x), np.tile(np.arange(len(x), dtype=np.int32), (chains, 1))
    if n == len(x):
        return Source(Sample(x[order]), n, None, f"set some aside by taking fewer, such as --set n={max(n // 2, 1)}")
    order = rng.permuted(order, axis=1)
    config.require_aside(len(x) - n, "points", "lower n, or take fewer")
    return Source(Sample(x[order[:, :n]]), n, lambda k, g, rng: Sample(x[order[:, n + (g - 1) * k : n + g * k]]))


def restore(arrays: dict[str, np.ndarray]) -> Sample:
    """Items from the arrays that a resume state keeps."""
    return Sample.from_arrays(arrays)


def keep(learner: MixtureLearner, generation: Generation) -> dict[str, np.ndarray]:
    """The mixtures of a block of chains, and some points of the first few for looking at."""
    model, x = generation.model, generation.synthetic.x
    spots = np.linspace(0, x.shape[1] - 1, min(SHOWN[1], x.shape[1])).astype(int)
    shown = x[: SHOWN[0], spots].astype(np.float32)
    return {"weights": model.weights, "means": model.means, "covariances": model.covariances, "points": shown}


def replay(config: Config, kept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The metrics of the kept mixtures, computed again; each of shape (kept generations, chains)."""
    models = [Mixtures(*parts) for parts in zip(kept["weights"], kept["means"], kept["covariances"], strict=True)]
    truth = truth_of(config.variant, len(models[0].weights))
    rows = [measures(model, models[0], truth) for model in models]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def report(record: Record) -> list[str]:
    """How wide the components are, how far the mixture went, and what could not be measured."""
    lines = [line for arm in record.arms for line in _report_of(record, arm)]
    if record.manifest["variant"] == "own":
        lines.append("left out, because the true distribution is not known: l2_truth, l2_null")
    return lines


def _report_of(record: Record, arm: str) -> list[str]:
    g, of = record.generations[-1], f"{arm}: " if arm else ""
    first, last = (record.at("component_spread", at, arm)["q50"] for at in (0, g))
    distance = record.at("l2_squared", g, arm)["q50"]
    lines = [f"{of}median component spread: {first:.4g} at generation 0, {last:.4g} at {g}"]
    lines.append(f"{of}median squared L2 to generation 0: {distance:.4g} at {g}")
    items = record.chains("weight", arm).mul(_pool_sizes(record, arm), axis=0)
    for what, found in (("no point", items < 0.5), ("a single point", (items >= 0.5) & (items < 1.5))):
        if found.any(axis=None):
            when = found.index[found.any(axis=1)][0]
            lines.append(f"{of}a component came down to {what} in {found.any().sum()} chains, first seen at {when}")
    late = int((record.chains("iterations", arm) == record.setting("max_iter", arm)).to_numpy().sum())
    if late:
        lines.append(f"{of}EM did not converge in {late} of the measured fits: raise max_iter or tol")
    return lines


def _pool_sizes(record: Record, arm: str = "") -> np.ndarray:
    """Items of the pool of every measured generation, shape (generations,)."""
    g, regime = np.array(record.generations), record.setting("regime", arm)
    n = record.setting("n", arm) or record.manifest["data"]["points"]
    fresh = np.where(g > 0, record.setting("n_real", arm) + record.setting("n_synthetic", arm), n)
    sizes = {"fresh": fresh, "accumulate": n * (g + 1), "augment": np.where(g > 0, 2 * n, n)}
    return sizes.get(regime, np.full(len(g), n))


def work(config: Config) -> float:
    """Items that all fits see; under accumulate the pools grow. A fit by scikit-learn costs thirty times as much."""
    fits = config.generations + 1
    pools = fits * (fits + 1) / 2 if config.regime == "accumulate" else fits
    return config.chains * pools * config.n * (30 if config.solver == "scikit-learn" else 1)


_MARKS = (50, 100, 150, 200, 350, 500, 1000, 2000, 2050)
_SIZES = {"paper": {"chains": 20, "block": 5}, "quick": {"chains": 10, "block": 10, "generations": 30}}
_LONG = {
    "paper": {"chains": 20, "block": 5, "generations": 300},
    "quick": {"chains": 5, "block": 5, "generations": 30},
}
_SHORT = {
    "paper": {"chains": 500, "block": 50, "generations": 200, "grid": "marks", "marks": (10, 50, 200)},
    "quick": {"chains": 50, "block": 50, "generations": 10},
}

PROFILES = {
    "smoke": Config(chains=6, block=3, generations=4, n=200, marks=_MARKS),
    "quick": Config(chains=50, block=50, generations=100, marks=_MARKS),
    "paper": Config(chains=200, block=25, generations=2050, marks=_MARKS),
}


def _studies(variant: str) -> dict[str, Study]:
    few = {"single_chains": 40}
    return {
        f"{variant}-replace": Study("replace", variant),
        f"{variant}-replace-warm": Study("replace", variant, settings={"start": "previous"}),
        f"{variant}-keep10": Study("keep", variant, settings={"share": 0.1}, **few),
        f"{variant}-fresh10": Study("fresh", variant, settings={"n_real": 100, "n_synthetic": 900}, **few),
        f"{variant}-subsample": Study("accumulate_subsample", variant, **few),
        f"{variant}-accumulate": Study("accumulate", variant, by_profile=_LONG),
    }


_FLOOR = {
    "paper": {"chains": 50, "block": 25, "generations": 5000},
    "quick": {"chains": 10, "block": 10, "generations": 100},
}
_N = arms(n=[500, 1000, 10_000, 50_000, 200_000])
STUDIES = _studies("blob") | _studies("two") | {"blob-sizes": Study("replace", "blob", by_profile=_SIZES, arms=_N)}
STUDIES["blob-floor"] = Study("replace", "blob", by_profile=_FLOOR, arms=arms(reg_covar=[1e-6, 1e-9]))
# Drayson et al. (2502.15654) in miniature, with one point of a ROC curve. Pools are so small and so synthetic that the
# loop without weights collapses; with 1,000 items of which half are human it does not, and nothing could be prevented.
_MIXED = {"share": 0.1, "n": 200}
_HUNDRED = dict.fromkeys(("quick", "paper"), {"generations": 100})
STUDIES |= {
    "detector-human": Study("keep", "two", _MIXED | {"share": 1.0}, by_profile=_HUNDRED),
    "detector-weighted": Study("keep", "two", _MIXED | {"remedy": "weights(0.9, 0.1)"}, by_profile=_HUNDRED),
    "detector-unweighted": Study("keep", "two", _MIXED, by_profile=_HUNDRED),
    "detector-even": Study("keep", "two", _MIXED | {"remedy": "even"}, by_profile=_HUNDRED),
}
# One loop, every remedy that takes items, and the time that a human share gives by the size of the pool.
_REMEDIES = {
    "paper": {"chains": 100, "block": 25, "generations": 100},
    "quick": {"chains": 20, "block": 20, "generations": 50},
}
_TREATED = [*bench.alone(200), *bench.operators()]
_PHASE = {
    "paper": {"chains": 40, "block": 20, "generations": 200},
    "quick": {"chains": 10, "block": 10, "generations": 50},
}
_COARSE = {"grid": "marks", "marks": coarse(200)}
_GRID = arms(n=bench.POOLS, share=bench.SHARES)
STUDIES |= {
    "remedies": Study("replace", "two", {"n": 200} | _COARSE, _REMEDIES, arms(points=_TREATED), single_chains=5),
    "phase": Study("keep", "two", _COARSE, _PHASE, _GRID, single_chains=1),
}
# How soon an alarm rings, where the loop loses the mixture within the run, and where it does not.
_SOON = {
    "paper": {"chains": 100, "block": 25, "generations": 50},
    "quick": {"chains": 5, "block": 5, "generations": 12},
}
_ALARM = {"n": 400, "remedy": "alarm", "grid": "marks", "marks": coarse(50, 16)}
_REGIMES = arms(points=[{}, bench.TENTH, {"regime": "accumulate"}])
STUDIES["alarm"] = Study("replace", "two", _ALARM, _SOON, _REGIMES, single_chains=100, shown=False)
STUDIES |= {  # the same experiment twice, to hold one solver against the other
    "blob-batched": Study("replace", "blob", by_profile=_SHORT, single_chains=500),
    "blob-scikit-learn": Study(
        "replace", "blob", settings={"solver": "scikit-learn"}, by_profile=_SHORT, single_chains=500
    ),
}

FAMILY = Family(
    "gmm",
    Config,
    PROFILES,
    STUDIES,
    VARIANTS,
    PROTOCOL,
    build,
    restore,
    default_variant="blob",
    chain_metrics=("component_spread", "iterations", "l2_null", "l2_squared", "separation", "weight", *ALARM_METRICS),
    load=load,
    report=report,
    data_variant="own",
    by_variant={"own": {"n": 0}},
    keep=keep,
    replay=replay,
    work=work,
    pace=2e-7,
)
run = FAMILY.run

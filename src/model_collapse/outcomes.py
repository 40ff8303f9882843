"""What a remedy costs and what it buys, read from the record of a sweep whose arms are remedies.

Harm is how much farther a model is from the human distribution than model 0 was, in the family's own measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .archive import Record, first_generation
from .claims.intervals import Estimate, estimate, interval, median, minus
from .regimes import Regime, make_regime
from .remedies import REMEDIES, Remedied, make_remedy

__all__ = ["HARMS", "Cost", "Harm", "Outcome", "arm_words", "cost", "outcomes", "time_to_harm"]


@dataclass(frozen=True)
class Harm:
    """The measure that a family is judged by.

    Attributes
    ----------
    metric : str
    worse : int
        +1 where a rise is harm, -1 where a fall is.
    most : float
        Harm above which a model counts as lost; written before the runs that are judged by it.
    words : str
    """

    metric: str
    worse: int
    most: float
    words: str


HARMS = {
    "gaussian": Harm("w2", 1, 0.5, "Wasserstein-2 distance, in human standard deviations"),
    "gmm": Harm("log_likelihood", -1, 0.5, "loss of log-likelihood, in nats a human item"),
    "discrete": Harm("total_variation", 1, 0.5, "total variation"),
}


@dataclass(frozen=True)
class Cost:
    """What one generation takes.

    Attributes
    ----------
    human : int
        Human items that stay at hand.
    fresh : int
        Human items that nobody has used, every time.
    sampled : int
        Items that are sampled, before any are picked; at the last generation where the number grows.
    learned : int
        Items that the last generation learns from.
    models : int
        Models that are fitted.
    tool : str
        What else must be had.
    """

    human: int
    fresh: int
    sampled: int
    learned: int
    models: int
    tool: str


@dataclass(frozen=True)
class Outcome:
    """One arm of a sweep: its harm at the end, when it was lost, and whether harm still grows.

    Attributes
    ----------
    harm : Estimate
        Mean over chains at the last generation.
    lost : int or None
        The first measured generation at which the median chain is past `Harm.most`.
    grows : bool
        Whether the 95 % interval of harm at the end minus harm at half-time lies above 0.
    """

    arm: str
    words: str
    cost: Cost
    harm: Estimate
    lost: int | None
    grows: bool


def outcomes(record: Record) -> Iterator[Outcome]:
    """Every arm of a sweep over remedies, in the record's order."""
    harm, end = HARMS[record.manifest["family"]], record.generations[-1]
    half = min(record.generations, key=lambda g: abs(g - end / 2))
    for arm in record.arms:
        settings = _settings(record, arm)
        first, middle, last = (_harm(record, harm, g, arm) for g in (0, half, end))
        grows = interval(minus(last, middle))[0] > 0
        lost = time_to_harm(record, arm)
        yield Outcome(arm, arm_words(settings), cost(settings), minus(last, first), lost, grows)


def _settings(record: Record, arm: str) -> dict[str, Any]:
    (own,) = (known["settings"] for known in record.manifest["arms"] if known["label"] == arm)
    return record.manifest["config"] | own


def _harm(record: Record, harm: Harm, g: int, arm: str) -> Estimate:
    found = estimate(record, harm.metric, g, arm)
    return found._replace(mean=harm.worse * found.mean)


def time_to_harm(record: Record, arm: str = "") -> int | None:
    """The first measured generation at which the median chain has more than the family's `most` of harm."""
    harm = HARMS[record.manifest["family"]]
    table = record.summary(harm.metric, arm)["q50"]
    past = harm.worse * (table - median(record, harm.metric, 0, arm)[0]) > harm.most
    return first_generation(past)


def cost(settings: Mapping[str, Any]) -> Cost:
    """What a generation takes of a run with these settings (a configuration as a dict), which count single items."""
    regime, remedy, n = _regime(settings), make_remedy(settings.get("remedy", "")), settings["n"]
    fits = settings["generations"] + 1
    end = round(n * fits ** settings.get("growth", 0.0))
    kind = REMEDIES[remedy.name] if remedy else Remedied
    toll = kind.toll(remedy.numbers if remedy else ())
    human = {"keep": regime.kept(n), "augment": n, "accumulate": n, "accumulate_subsample": n}.get(regime.name, 0)
    learned = {"augment": n + end, "accumulate": n * fits}.get(regime.name, end) + round(toll.added * n)
    sampled = end if regime.name in ("replace", "augment", "accumulate") else regime.needed(n)
    return Cost(human, regime.n_real, sampled * toll.candidates, learned, toll.models, kind.tool)


def arm_words(settings: Mapping[str, Any]) -> str:
    """A remedy as one would type it: its regime with its numbers, growth and the operator."""
    regime, growth, remedy = _regime(settings), settings.get("growth", 0.0), settings.get("remedy", "")
    numbers = {"keep": f"({regime.share:g})", "fresh": f"({regime.n_real}, {regime.n_synthetic})"}
    words = regime.name.replace("_", ", ") + numbers.get(regime.name, "")
    words += f", samples grow as g^{growth:g}" if growth else ""
    return words + (f" + {remedy}" if remedy else "")


def _regime(settings: Mapping[str, Any]) -> Regime:
    return make_regime(settings["regime"], **{name: settings[name] for name in ("share", "n_real", "n_synthetic")})

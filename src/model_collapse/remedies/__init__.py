"""What can be done to a pool before a model learns from it, or to what a model samples before it is handed on.

A remedy wraps a learner, so that the loop and every family stay as they are. It takes the items of a chain one by one,
so it wants a family that keeps them (points, pictures of the GAN, blocks of text) and a finite pool. Regimes are
remedies too (a share of human items that is kept, accumulation, fresh items) and have their own room,
`model_collapse.regimes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..regimes import RegimeError, Source, parsed
from .alarm import ALARM_METRICS, Alarmed
from .detector import POWER, REPEATS, detected, flagged, weighted
from .operators import Bagged, Curated, Even, Filtered, Noisy, Remedied, Transferred, Watermarked, Weighted

__all__ = [
    "ALARM_METRICS",
    "POWER",
    "REMEDIES",
    "REPEATS",
    "Remedied",
    "Remedy",
    "detected",
    "flagged",
    "make_remedy",
    "treated",
    "weighted",
]

REMEDIES: dict[str, type[Remedied]] = {
    "filter": Filtered,
    "weights": Weighted,
    "even": Even,
    "noise": Noisy,
    "best": Curated,
    "ensemble": Bagged,
    "transfer": Transferred,
    "watermark": Watermarked,
    "alarm": Alarmed,
}
"""Every remedy by its name; each class says which numbers it takes."""

_LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "caught": (lambda x: 0 <= x <= 1, "lie in [0, 1]"),
    "wronged": (lambda x: 0 <= x <= 1, "lie in [0, 1]"),
    "share": (lambda x: 0 <= x <= 1, "lie in [0, 1]"),
    "scale": (lambda x: x >= 0, "not be negative"),
    "width": (lambda x: x > 0, "be above 0"),
    "bias": (lambda x: x >= 0, "not be negative"),
    "last": (lambda x: x >= 0 and x == int(x), "be a generation"),
    "k": (lambda x: x >= 1 and x == int(x), "be a whole number of at least 1"),
}


@dataclass(frozen=True)
class Remedy:
    """A named operator with its numbers."""

    name: str
    numbers: tuple[float, ...]


def make_remedy(text: str) -> Remedy | None:
    """The remedy of that name and numbers, such as ``filter(0.9, 0.1)``; None of an empty text.

    Raises
    ------
    RegimeError
        For an unknown name (with the nearest known one), other numbers than it takes, or impossible ones.
    """
    if not text:
        return None
    name, numbers = parsed("remedy", text, REMEDIES)
    wanted = REMEDIES[name].takes
    if len(numbers) != len(wanted):
        takes = f"takes {', '.join(wanted)}" if wanted else "takes no numbers"
        raise RegimeError(f"remedy {name!r} {takes}, not {len(numbers)} numbers")
    for what, x in zip(wanted, numbers, strict=True):
        holds, must = _LIMITS.get(what, (None, ""))
        if holds and not holds(x):
            raise RegimeError(f"remedy {name!r}: {what} must {must}, not {x:g}")
    return Remedy(name, numbers)


def treated(learner: Any, source: Source, remedy: Remedy) -> Remedied:
    """The learner, with the remedy on the way of its pools or of its samples.

    Raises
    ------
    RegimeError
        Where this family keeps no single items that the remedy could take, or has not what it asks for.
    """
    kind = REMEDIES[remedy.name]
    if not hasattr(source.items, kind.wants):
        raise RegimeError(f"remedy {remedy.name!r} takes single items, which this family does not keep in such a form")
    attribute, words = kind.asks
    if attribute and not hasattr(learner, attribute):
        raise RegimeError(f"remedy {remedy.name!r} wants {words}, which this family does not have")
    return kind(learner, source, remedy.numbers)

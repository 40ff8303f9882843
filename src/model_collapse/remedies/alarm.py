"""An alarm in the loop: no remedy, but on its way out every sample is held against human items."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..recursion import Turn
from ..regimes import RegimeError, Source
from ..warning import LEAST, MOST, SAYS, ItemSet, levels
from ..warning.leads import SHARES
from ..warning.sets import of_items
from .operators import Remedied

__all__ = ["ALARM_METRICS", "DEALS", "Alarmed"]

DEALS = 199  # random deals of labels in each comparison

ALARM_METRICS = tuple(f"alarm_{share}_{kind}" for share in SHARES for kind in (*SAYS, "frechet"))
"""The names of what is measured."""


class Alarmed(Remedied):
    """At every generation, human items against sets that are the model's to a larger or a smaller share.

    Half of the human items that generation 0 saw are the reference. Candidates are as large: all, a third, a tenth or
    none of their items are of the generation's sample, the rest are of the other human half, so that with none of them
    every alarm is a false one. The halves are dealt anew at every generation; of large sets a part is looked at.

    What comes out are p-values, of shape (chains,): ``alarm_<share>_<kind>``, where the least over the four kinds is
    the one that `model_collapse.warning.watch` goes by, and ``alarm_<share>_frechet`` of the Fréchet distance by the
    same deals.

    Raises
    ------
    RegimeError
        Where there are too few human items to be halved.
    """

    wants: ClassVar[str] = "size"
    asks: ClassVar[tuple[str, str]] = ("plain", "items that can be looked at one by one")

    def __init__(self, learner: Any, source: Source, numbers: tuple[float, ...]):
        super().__init__(learner, source, numbers)
        if source.items.size < 2 * LEAST:
            raise RegimeError(f"remedy 'alarm' wants {2 * LEAST} human items, not {source.items.size}")
        self._human = [of_items(items) for items in learner.plain(source.items)]

    def measure(self, model: Any, synthetic: Any, turn: Turn) -> dict[str, np.ndarray]:
        found = self._learner.measure(model, synthetic, turn)
        sampled = map(of_items, self._learner.plain(synthetic))
        chains = [_held(human, items, turn.remedy) for human, items in zip(self._human, sampled, strict=True)]
        return found | {name: np.array([each[name] for each in chains]) for name in chains[0]}


def _held(human: ItemSet, sampled: ItemSet, rng: np.random.Generator) -> dict[str, float]:
    half = min(len(human) // 2, MOST)
    order = rng.permutation(len(human))
    reference, others = human.pick(order[:half]), human.pick(order[half : 2 * half])
    found = {}
    for name, share in SHARES.items():
        count = round(share * half)
        candidate = others.some(half - count, rng).and_all(sampled.some(count, rng))
        found |= {f"alarm_{name}_{kind}": p for kind, p in levels(reference, candidate, DEALS, rng).items()}
    return found

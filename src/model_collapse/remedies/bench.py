"""The arms of the bench: every remedy and its controls, the same in each family that has the study."""

from __future__ import annotations

from typing import Any

__all__ = ["POOLS", "SHARES", "TENTH", "alone", "operators"]

TENTH = {"regime": "keep", "share": 0.1}
SHARES, POOLS = [0.0, 0.02, 0.05, 0.1, 0.2, 0.5], [50, 100, 200, 400]
"""Of the phase diagram: human shares of every pool, and sizes of pools."""


def alone(n: int) -> list[dict[str, Any]]:
    """The regimes, without an operator; `fresh` has a tenth of n new human items each time."""
    return [
        {},
        {"regime": "keep", "share": 0.01},
        TENTH,
        {"regime": "fresh", "n_real": n // 10, "n_synthetic": n - n // 10},
        {"regime": "augment"},
        {"regime": "accumulate"},
        {"regime": "accumulate_subsample"},
    ]


def operators(**also: Any) -> list[dict[str, Any]]:
    """The operators of `model_collapse.remedies`, each with the settings that a family adds."""
    found = [
        TENTH | {"remedy": "even"},
        TENTH | {"remedy": "filter(0.9, 0.1)"},
        TENTH | {"remedy": "weights(0.9, 0.1)"},
        {"remedy": "noise(0.1)"},
        {"remedy": "ensemble(5)"},
        {"remedy": "transfer(0.1, 3)"},
        {"remedy": "best(2)"},
        TENTH | {"remedy": "best(2)"},
    ]
    return [arm | also for arm in found]

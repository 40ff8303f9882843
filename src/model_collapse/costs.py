"""How a run's time and memory grow with its size: power laws through measured sizes, with intervals.

The measurements lie in ``data/results/costs.json``; ``python -m benchmarks.costs`` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from .archive.files import read_sealed
from .places import results_root

__all__ = ["PowerLaw", "measured", "power_law"]


@dataclass(frozen=True)
class PowerLaw:
    """``y = scale * x**slope``, and the 95 % interval of the slope."""

    scale: float
    slope: float
    low: float
    high: float

    def at(self, x: float) -> float:
        return self.scale * x**self.slope


def power_law(x: np.ndarray, y: np.ndarray) -> PowerLaw:
    """The line of least squares through the logarithms, with Student's interval of its slope.

    Raises
    ------
    ValueError
        For fewer than three sizes, or anything that is not above 0.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(np.unique(x)) < 3 or not (np.minimum(x, y) > 0).all():
        raise ValueError("a power law wants three sizes or more, and nothing that is not above 0")
    line = stats.linregress(np.log(x), np.log(y))
    reach = stats.t.ppf(0.975, len(x) - 2) * line.stderr
    return PowerLaw(float(np.exp(line.intercept)), line.slope, line.slope - reach, line.slope + reach)


def measured(root: Path | None = None) -> tuple[pd.DataFrame, dict]:
    """One row a run (family, axis, size, seconds, megabytes), and what is said of the machine.

    Raises
    ------
    ArchiveError
        Where they are missing or damaged.
    """
    found = read_sealed(Path(root or results_root()) / "costs.json")
    return pd.DataFrame(found["runs"]), found["machine"]

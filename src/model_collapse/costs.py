"""How a run's time and memory grow with its size, and what the scale of the papers would take.

The measurements lie in ``data/results/costs.json``; ``python -m benchmarks.costs`` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from .archive.files import read_sealed
from .families import family
from .places import results_root
from .planning import FULL, NETWORKS, hours, pace, parts, taken

__all__ = ["LEAST_GROWTH", "PowerLaw", "laws", "measured", "paper_scale", "power_law", "records"]

LEAST_GROWTH = 64
"""Megabytes from the smallest run to the largest, before a law is drawn through them."""


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
    return PowerLaw(*map(float, (np.exp(line.intercept), line.slope, line.slope - reach, line.slope + reach)))


def measured(root: Path | None = None) -> tuple[pd.DataFrame, dict]:
    """One row a run (family, axis, size, seconds, megabytes), and what is said of the machine.

    Raises
    ------
    ArchiveError
        Where they are missing or damaged.
    """
    found = read_sealed(Path(root or results_root()) / "costs.json")
    return pd.DataFrame(found["runs"]), found["machine"]


def laws(runs: pd.DataFrame) -> dict[tuple[str, str, str], PowerLaw | None]:
    """By family, axis and measure ("seconds", "megabytes"): the power law.

    It is None for memory that hardly grows along an axis: by less than 64 MB from the smallest run to the largest.
    """
    found = {}
    for (name, axis), part in runs.groupby(["family", "axis"], sort=False):
        for measure in ("seconds", "megabytes"):
            ends = part.sort_values("size")[measure].iloc[[0, -1]].to_numpy()
            flat = measure == "megabytes" and ends[1] - ends[0] < LEAST_GROWTH
            found[name, axis, measure] = None if flat else power_law(part["size"], part[measure])
    return found


def records(root: Path | None = None) -> pd.DataFrame:
    """What the records of the families with networks took: family, run, work (in its units), seconds, threads, and the
    seconds ``expected`` at the pace of the family."""
    tables = {name: taken(root or results_root(), name) for name in NETWORKS}
    told = [t.assign(family=name, expected=t["work"] * pace(name, t)) for name, t in tables.items()]
    return pd.concat(told, ignore_index=True)


def paper_scale(told: pd.DataFrame, nodes: int, faster: float) -> pd.DataFrame:
    """What all studies of the families with networks would take at the scale of the papers, one row a family.

    Columns: runs; jobs, which do not wait for each other; ``cores``, hours on the processors that made the records;
    ``gpu``, hours on a GPU; ``cluster``, hours on `nodes` of them, which no job can be shorter than.

    Parameters
    ----------
    told : pandas.DataFrame
        What records took, from `records`.
    nodes : int
        GPUs of a cluster.
    faster : float
        How many times faster than those processors a GPU is taken to be.
    """
    found = []
    for name in NETWORKS:
        seconds = pace(name, told[told["family"] == name])
        runs = [(hours(name, study, FULL, seconds), parts(name, study, FULL)) for study in family(name).studies]
        cores = sum(whole for whole, _ in runs)
        longest = max(whole / count for whole, count in runs)
        found.append(
            {
                "family": name,
                "runs": len(runs),
                "jobs": sum(count for _, count in runs),
                "cores": cores,
                "gpu": cores / faster,
                "cluster": max(cores / nodes, longest) / faster,
            }
        )
    return pd.DataFrame(found)

"""Lines that a report prints of what changed from the first generation to the last."""

from __future__ import annotations

from collections.abc import Mapping

from ..archive import Record

__all__ = ["changes"]


def changes(record: Record, named: Mapping[str, str], percent: bool = False) -> list[str]:
    """``words: first -> end (g = 0 -> last)`` for every arm and each of the metrics that the record has, in means.

    Parameters
    ----------
    named : mapping of str to str
        Words by the name of a metric.
    percent : bool
        Whether values are shares.
    """
    last, known = record.generations[-1], set(record.statistics["metric"])
    shown = (lambda x: f"{100 * x:.1f} %") if percent else (lambda x: f"{x:.3g}")
    lines = []
    for arm in record.arms:
        for name, words in named.items():
            if name in known:
                first, end = (shown(record.at(name, g, arm)["mean"]) for g in (0, last))
                lines.append(f"{f'{arm}: ' if arm else ''}{words}: {first} -> {end} (g = 0 -> {last})")
    return lines

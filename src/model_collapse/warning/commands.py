"""The command of the alarm: ``model-collapse watch REFERENCE CANDIDATE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..archive.files import write_json
from . import Verdict, read_set, watch

__all__ = ["COMMANDS", "STATUS"]

STATUS = {"none": 0, "collapse": 3, "other": 4}
WORDS = {
    "none": "no alarm",
    "collapse": "ALARM: the candidate has less than the reference of what is rare, or lacks a part of it",
    "other": "ALARM: the candidate differs from the reference, but not as collapse makes it",
}


def watch_command(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The set that is trusted")],
    candidate: Annotated[Path, typer.Argument(metavar="CANDIDATE", help="The set that is held against it")],
    rate: Annotated[float, typer.Option(help="Of false alarms")] = 0.05,
    kind: Annotated[str | None, typer.Option(help="points, images or text \\[default: by the files]")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write what was found, as JSON")] = None,
    seed: Annotated[int, typer.Option(help="A whole number, for the random deals")] = 0,
) -> int:
    """Whether a set of points, images or text has begun to collapse.

    Both sets must be random draws of independent items for the rate of false alarms to hold.

    Exit status 0: no alarm.
    3: tails, coverage or words are lost.
    4: another difference.
    1: the sets cannot be held against each other.
    """
    found = watch(read_set(reference, kind), read_set(candidate, kind), rate, seed=seed)
    if report is not None:
        write_json(report, found.report() | {"reference": reference.name, "candidate": candidate.name, "seed": seed})
    for line in _text(found):
        typer.echo(line)
    return STATUS[found.alarm]


def _text(found: Verdict) -> list[str]:
    sizes = " and ".join(f"{count:,}" for count in found.items)
    lines = [f"{sizes} items ({found.kind}); one rate of false alarms for all measures: {found.rate:g}"]
    lines += [f"{'measure':12s} {'candidate':>10s} {'by chance':>10s} {'p':>8s}"]
    for name, said in found.statistics.items():
        lines.append(f"{name:12s} {said['value']:10.4g} {said['expected']:10.4g} {said['p']:8.4f}")
    return [*lines, WORDS[found.alarm]]


COMMANDS = {"watch": watch_command}
"""The command by name."""

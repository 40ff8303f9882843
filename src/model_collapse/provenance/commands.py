"""The commands of provenance: ``model-collapse new-key | seal | audit | credentials``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..places import results_root
from . import keys, sealing
from .auditing import Report, audit
from .errors import shown

__all__ = ["COMMANDS"]

MOST_NAMED = 20  # items of each kind that the text names; --json names all


def new_key_command(path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes")]) -> None:
    """Make a key pair: FILE, which you keep to yourself, and FILE.pub, which you give away."""
    public = keys.new_pair(path)
    typer.echo(f"{path} is your private key, {public} is for those who audit what it seals")


def seal_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder or a JSONL file")],
    origin: Annotated[str, typer.Option(help="human or synthetic")],
    key: Annotated[Path, typer.Option(metavar="PRIVATE", help="Your private key; model-collapse new-key makes one")],
    generation: Annotated[int | None, typer.Option(help="Number of the model that sampled synthetic items")] = None,
    run: Annotated[str | None, typer.Option(metavar="FAMILY/RUN", help="The record of the run it belongs to")] = None,
    only: Annotated[str | None, typer.Option(metavar="PATTERN", help="Only files of such names, as 'human/*'")] = None,
    ledger: Annotated[Path | None, typer.Option(help="The ledger \\[default: PATH.ledger, beside PATH]")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of results \\[default: MODEL_COLLAPSE_RESULTS or data/results]")
    ] = None,
) -> None:
    """Write down who made the items of a corpus, and sign it. Items that are sealed already keep their entry."""
    said = sealing.statement(origin, generation, run, results or results_root())
    corpus, _ = sealing.corpus_and_ledger(path, ledger)
    sealing.beside(key, corpus, "private key")
    done = sealing.seal(path, said, keys.read_private(key), ledger, only)
    before = f", {done.before:,} had been before" if done.before else ""
    typer.echo(f"{shown(done.ledger.name)}: {done.new:,} items sealed{before}")


def audit_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder or a JSONL file")],
    ledger: Annotated[Path | None, typer.Option(help="The ledger \\[default: PATH.ledger, beside PATH]")] = None,
    key: Annotated[Path | None, typer.Option(metavar="PUBLIC", help="The key that must have signed the ledger")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one object")] = False,
) -> int:
    """Hold a folder or a JSONL file against its ledger: shares of human, synthetic, unknown and tampered items.

    Exit status 0: all items are as they were sealed.
    3: some were changed or are gone.
    4: none was, but some were never sealed.
    5: the ledger cannot be trusted.
    1: the audit could not be made.
    """
    report = audit(path, ledger, keys.read_public(key) if key else None)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        for line in _text(report):
            typer.echo(line)
    return report.status


def credentials_command(
    run: Annotated[str, typer.Argument(metavar="FAMILY/RUN", help="Such as gmm/paper-blob-replace")],
    key: Annotated[Path, typer.Option(metavar="PRIVATE", help="Your private key; model-collapse new-key makes one")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where it goes; made if it is not there")],
    results: Annotated[
        Path | None, typer.Option(help="Folder of results \\[default: MODEL_COLLAPSE_RESULTS or data/results]")
    ] = None,
) -> None:
    """Export what a run was as content credentials (C2PA), signed without a network."""
    from .credentials import export_credentials

    export_credentials(sealing.record_of(run, results or results_root()), keys.read_private(key), out)
    typer.echo(f"{run}: its manifest, signed as content credentials, is in {out}")


def _text(report: Report) -> list[str]:
    lines = [f"{shown(report.corpus)}: {report.items:,} items against {shown(report.ledger)} of {report.sealed}"]
    lines += [f"{name:20s} {count:>10,d} {report.share(count):>8.2%}" for name, count in report.counts()]
    lines += [f"{'missing':20s} {len(report.missing):>10,d}"] if report.missing else []
    for kind in ("tampered", "missing", "unknown"):
        found = getattr(report, kind)
        lines += [f"{kind}: {shown(one.name)} ({one.why})" for one in found[:MOST_NAMED]]
        more = len(found) - MOST_NAMED
        lines += [f"{kind}: {more:,} more, which --json names"] if more > 0 else []
    if report.trusted:
        return [*lines, "the ledger is intact and signed by the key that was given"]
    return [
        *lines,
        f"the ledger is intact; whose key signed it is unknown (--key PUBLIC says whose it must be): {report.key}",
    ]


COMMANDS = {
    "new-key": new_key_command,
    "seal": seal_command,
    "audit": audit_command,
    "credentials": credentials_command,
}
"""The commands by name."""

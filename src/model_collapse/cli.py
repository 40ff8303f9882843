"""The command line: ``model-collapse run | plan | pretrain | export | verify | claims``.

``new-key | seal | audit | credentials`` come from `model_collapse.provenance.commands`, ``watch`` from
`model_collapse.warning.commands`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from . import claims as scorecard
from .archive import ArchiveError, load_record
from .datasets import DataError
from .families import FAMILIES, family
from .places import cache_root, results_root
from .provenance import UNTRUSTED, LedgerError, ProvenanceError
from .provenance.commands import COMMANDS as OF_PROVENANCE
from .regimes import RegimeError, nearest
from .runs import ConfigError, Family
from .warning import WatchError
from .warning.commands import COMMANDS as OF_WARNING

__all__ = ["main"]

INTERRUPTED = 130
Results = Annotated[
    Path | None, typer.Option(help="Folder of results \\[default: MODEL_COLLAPSE_RESULTS or data/results]")
]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Model Collapse, Replicated: run the loop, judge the claims."
)
for command, does in (OF_PROVENANCE | OF_WARNING).items():
    app.command(command)(does)


@app.command("run")
def run_command(
    name: Annotated[str, typer.Argument(metavar="FAMILY", help=", ".join(FAMILIES))],
    study: Annotated[str | None, typer.Option(help="A study of the archive, by name; --list shows them")] = None,
    profile: Annotated[str, typer.Option(help="smoke, quick, paper, or laptop where a family has it")] = "quick",
    regime: Annotated[
        str | None, typer.Option(help="replace, keep(0.1), augment, accumulate, accumulate_subsample, fresh(10,90)")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="A reading of the protocol; --list shows them")] = None,
    chains: Annotated[int | None, typer.Option(help="Independent repetitions")] = None,
    generations: Annotated[int | None, typer.Option(help="Index of the last generation")] = None,
    seed: Annotated[int, typer.Option(help="A whole number; the same seed gives the same record")] = 0,
    data: Annotated[Path | None, typer.Option(help="Your own data")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; may be repeated")
    ] = None,
    results: Results = None,
    run_name: Annotated[str | None, typer.Option("--name", help="Name of the run's folder")] = None,
    checkpoint: Annotated[float, typer.Option(help="Seconds between checkpoints; 0 saves every generation")] = 5.0,
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Run only the K-th of N parts; without it, parts are merged")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a line as each phase begins, for profiling")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show the studies and variants of this family")] = False,
) -> None:
    """Run the loop and leave a record. Stopped half-way, the same command goes on where it was."""
    chosen = family(name)
    if listing:
        return _list(chosen)
    changes = _changes(chosen, regime, variant, chains, generations, setting)
    root = results or results_root()
    with _trace(trace) as on:
        record = chosen.run(
            study, profile, seed=seed, data=data, save=root, rules=scorecard.rules_in_force(name),
            name=run_name, on=on, checkpoint=checkpoint, shard=_shard(shard), **changes,
        )  # fmt: skip
    if record is None:
        if shard:
            typer.echo(f"{name}: part {shard} is done; when all are, the same command without --shard merges them")
        return
    said = record.manifest
    scale = _scale(said["chains"], said["generations"])
    seconds = f"{said['seconds']['total']:.1f} s" if on.heard else "already there, nothing to do"
    typer.echo(f"{name}/{said['run']}: {scale}, {seconds}")
    for line in chosen.report(record) if chosen.report else []:
        typer.echo(line)


@app.command("plan")
def plan_command(
    profile: Annotated[
        str | None, typer.Option(help="Of every family \\[default: the one its archive is made at]")
    ] = None,
    results: Results = None,
) -> None:
    """What the archive lacks: missing and stale runs, most verdicts per hour first."""
    from rich.console import Console
    from rich.table import Table

    from . import planning

    items = planning.plan(results or results_root(), profile)
    table = Table("run", "state", "verdicts", "hours", "cores", "GPU", title="What the archive lacks")
    table.caption = "hours: on so many processor cores, also of a run that wants a GPU"
    table.columns[0].no_wrap, table.columns[1].min_width = True, len(planning.NOT_BUILT)
    for item in items:
        run = "-".join(filter(None, [item.profile, item.study]))
        cost = (
            ["unknown", ""]
            if item.hours is None
            else [f"{item.hours:,.0f}" if item.hours >= 10 else f"{item.hours:.2g}", str(item.cores)]
        )
        gpu = "yes" if item.gpu else ""
        table.add_row(f"{item.family}/{run}", item.state, f"{item.verdicts:.2g}", *cost, gpu)
    Console().print(table if items else "The archive lacks nothing.")


@app.command("pretrain")
def pretrain_command(
    name: Annotated[str, typer.Argument(metavar="BASE", help="laptop or paper")],
    seed: Annotated[int, typer.Option(help="A whole number")] = 0,
    folder: Annotated[Path | None, typer.Option(help="Where \\[default: base/ in MODEL_COLLAPSE_CACHE]")] = None,
) -> None:
    """Make a base of the language model anew from the books. Stopped half-way, the same command goes on."""
    from .llm import base

    known = [name for name, shape in base.SHAPES.items() if shape.pretrained]
    if name not in known:
        raise ConfigError(f"no base {name!r}{nearest(name, known)}")
    target = folder or cache_root() / "base" / name

    def on(step: int, steps: int, loss: float) -> None:
        typer.echo(f"{name}: step {step:,} of {steps:,}, mean loss {loss:.3f}")

    said = base.make_base(name, target, seed=seed, on=on)["held_out"]
    typer.echo(
        f"{name}: perplexity of held-out books {said['perplexity']:.1f}, of a trigram model "
        f"{said['trigram_perplexity']:.1f}, in blocks of 64 tokens"
    )


@app.command("export")
def export_command(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, .csv or .csv.gz")],
    results: Results = None,
) -> None:
    """All records as one table: what was measured, by family, run, arm, generation and metric."""
    from . import planning
    from .archive.exporting import write_summaries

    folders = planning.archived(results or results_root())
    typer.echo(f"{write_summaries(folders, target):,} rows of {len(folders)} records in {target.name}")


@app.command("verify")
def verify_command(
    run: Annotated[
        str | None, typer.Argument(metavar="[FAMILY/RUN[@DIGEST]]", help="Such as gmm/paper-blob-replace, as cited")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every record, and the verdicts")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also make the first generations anew")] = False,
    results: Results = None,
) -> None:
    """Whether records are what they say: intact, replayed (measured again), re-run (made anew)."""
    from . import planning, verification

    root = results or results_root()
    if everything == (run is not None):
        raise ConfigError("verify one run, such as gmm/paper-blob-replace, or --all")
    run, _, digest = (run or "").partition("@")
    folders = planning.archived(root) if everything else [root / run]
    if not folders:
        raise ArchiveError(f"no records at {root}")
    bad = []
    if not everything and not folders[0].is_dir():
        raise ArchiveError(f"no record {run} at {root}")
    if digest and not (there := load_record(folders[0])).manifest["digest"].startswith(digest):
        raise ArchiveError(f"what is there is {there.identifier}, not @{digest}")
    for folder in folders:
        try:
            found = verification.verify(folder, full)
        except ArchiveError as error:
            bad.append(str(error))
            typer.echo(f"{'DAMAGED':9s} {folder.parent.name}/{folder.name}: {error}")
            continue
        typer.echo(f"{found.grade:9s} {found.run}" + "".join(f"; {note}" for note in found.notes))
    if everything and not bad and (root / verification.SCORECARD).exists():
        typer.echo(f"{'intact':9s} verdicts of {verification.check_verdicts(root)} claims")
    elif everything and not bad:
        typer.echo(f"{'':9s} no archived verdicts here ({verification.SCORECARD}) to hold the rules against")
    if bad:
        raise ArchiveError(f"{len(bad)} of {len(folders)} records cannot be trusted: {bad[0]}")


@app.command("claims")
def claims_command(
    as_json: Annotated[bool, typer.Option("--json", help="One object per claim")] = False,
    results: Results = None,
) -> None:
    """The scorecard: every claim, what was measured, and the verdict that its rule gives."""
    root = results or results_root()
    if not root.is_dir():
        raise ArchiveError(f"no folder of results at {root}")
    rows = scorecard.as_rows(scorecard.scorecard(scorecard.find_records(root)))
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "claim", "paper", "measured", "chains", "verdict", title="Scorecard", show_lines=False)
    for row in rows:
        verdict = row["verdict"] + (" (rule changed since)" if row["rule_changed"] else "")
        table.add_row(row["id"], row["statement"], row["paper"], row["measured"], str(row["chains"] or ""), verdict)
    Console().print(table)


def main() -> None:
    """Run the command line; every foreseeable failure is one line on standard error and exit status 1.

    A ledger that cannot be trusted has a status of its own, see `model_collapse.provenance.auditing`.
    """
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        status = app(standalone_mode=False) or 0
    except LedgerError as error:
        typer.echo(f"model-collapse: {error}", err=True)
        sys.exit(UNTRUSTED)
    except (ConfigError, RegimeError, DataError, ArchiveError, ProvenanceError, WatchError) as error:
        sys.exit(f"model-collapse: {error}")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("typer", "click"):
            raise
        error.show() if hasattr(error, "show") else typer.echo(error, err=True)
        sys.exit(getattr(error, "exit_code", 2))
    if status == INTERRUPTED:  # typer turns Ctrl-C into a status
        typer.echo(
            "model-collapse: interrupted; run the same command again to go on from the last checkpoint", err=True
        )
    if status:
        sys.exit(status)


def _scale(chains: int, generations: int) -> str:
    return f"{chains:,} chain{'s' * (chains != 1)} to generation {generations:,}"


def _list(chosen: Family) -> None:
    for name, study in chosen.studies.items():
        swept = f", {len(study.arms)} arms" if len(study.arms) > 1 else ""
        typer.echo(f"study   {name:18s} {study.regime}{swept}")
    for name, meaning in chosen.variants.items():
        typer.echo(f"variant {name:18s} {meaning}")
    for name, config in chosen.profiles.items():
        scale = _scale(config.chains, config.generations)
        typer.echo(f"profile {name:18s} {scale}; a study may have its own")
    options = {"regime", "variant", "chains", "generations"}
    settings = [f.name for f in dataclasses.fields(chosen.config) if f.name not in options]
    typer.echo(f"--set   {', '.join(settings)}")


def _changes(
    chosen: Family,
    regime: str | None,
    variant: str | None,
    chains: int | None,
    generations: int | None,
    settings: list[str] | None,
) -> dict:
    changes = {"regime": regime, "variant": variant, "chains": chains, "generations": generations}
    defaults = chosen.config()
    known = {f.name for f in dataclasses.fields(chosen.config)}
    for text in settings or []:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise ConfigError(
                f"--set {text!r}: "
                + ("write NAME=VALUE" if not equals else f"no setting {name!r}{nearest(name, sorted(known))}")
            )
        changes[name] = _typed(name, value, getattr(defaults, name))
    return changes


def _typed(name: str, value: str, default: object) -> object:
    """`value` as the type that the setting has."""
    try:
        if isinstance(default, tuple):
            kind = type(default[0]) if default else int
            return tuple(kind(part) for part in value.split(","))
        return type(default)(value)
    except ValueError:
        kind = "a whole number" if isinstance(default, int | tuple) else "a number"
        raise ConfigError(f"setting {name}: {value!r} is not {kind}") from None


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard {text!r}: write K/N, such as 1/4, with K from 1 to N")
    return int(match[1]), int(match[2])


class _Listener:
    """Hears the phases of a run; with a stream, writes "seconds phase generation" as each begins, unbuffered."""

    def __init__(self, stream: BinaryIO | None):
        self.stream, self.heard = stream, 0

    def __call__(self, phase: str, g: int) -> None:
        self.heard += 1
        if self.stream:
            self.stream.write(f"{time.perf_counter():.6f} {phase} {g}\n".encode())


@contextlib.contextmanager
def _trace(path: Path | None) -> Iterator[_Listener]:
    if path is None:
        yield _Listener(None)
        return
    try:
        stream = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by the next line; unbuffered to survive a kill
    except OSError as error:
        raise ConfigError(f"--trace {path.name}: {error.strerror}") from None
    with stream:
        yield _Listener(stream)


if __name__ == "__main__":
    main()

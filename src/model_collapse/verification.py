"""Whether archived records still are what they say, in three grades.

``intact``
    the files equal their checksums, the tables are whole and agree with each other;
``replayed``
    beyond that, what the record keeps of some generations was measured again, with equal results;
``re-run``
    beyond that, the first generations of the first block of chains, in the first and in the last arm, were made anew
    from the data, with equal results.

`check_verdicts` holds the archived verdicts against what the rules say of all records.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import archive, claims, device
from .archive import ArchiveError, Record, load_record
from .claims import CLAIMS
from .datasets import DataError
from .families import FAMILIES, family
from .planning import staleness
from .runs import BaseConfig, ConfigError
from .runs.blocks import run_block

__all__ = ["GRADES", "SCORECARD", "Verified", "check_verdicts", "verify"]

GRADES = INTACT, REPLAYED, RERUN = "intact", "replayed", "re-run"
SCORECARD = "scorecard.json"
RERUN_TO = 20  # generations that are made anew: what processors round differently has not grown by then
TOLERANCE = {"rtol": 1e-4, "atol": 1e-7}  # of float32 values, and of sums in another order


@dataclass(frozen=True)
class Verified:
    """A record that is intact, as it is cited; the highest grade it reached, and why it did not reach a higher one."""

    run: str
    grade: str
    notes: list[str] = field(default_factory=list)


def verify(folder: Path, full: bool = False) -> Verified:
    """Verify one record as far as it goes without data that must be fetched; with `full` also by running it anew.

    Raises
    ------
    ArchiveError
        Where anything differs from what the record says; the message names it.
    """
    record = load_record(folder)
    run = f"{folder.parent.name}/{folder.name}"
    cited = f"{run}@{record.digest}"
    if record.manifest["family"] not in FAMILIES:
        return Verified(cited, INTACT, [f"no family {record.manifest['family']!r} here to compute it again"])
    try:
        _whole(record, run)
        stale = staleness(record)
    except ConfigError as error:
        return Verified(cited, INTACT, [f"stale: {error}"])
    if stale:
        return Verified(cited, INTACT, [f"stale ({stale} differs): today's code makes another run"])
    grade, notes = INTACT, []
    if _replayed(record, run):
        grade = REPLAYED
    elif family(record.manifest["family"]).replay is not None:
        notes.append("nothing was kept to measure again")
    if full:
        missing = _rerun(record, run)
        grade = grade if missing else RERUN
        notes += [missing] if missing else []
    return Verified(cited, grade, notes)


def check_verdicts(root: Path) -> int:
    """Hold the archived verdicts (``scorecard.json``) against what the rules give now; the number of claims.

    Raises
    ------
    ArchiveError
        Where there are none, or one differs.
    """
    path = Path(root) / SCORECARD
    try:
        then = {row["id"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "model-collapse claims --json makes them"
        raise ArchiveError(f"no archived verdicts at {path} ({error}); {hint}") from None
    now = {row["id"]: row for row in claims.as_rows(claims.scorecard(claims.find_records(root), CLAIMS))}
    if then.keys() != now.keys():
        raise ArchiveError(f"{path} and the table of claims differ in {', '.join(sorted(then.keys() ^ now.keys()))}")
    for name, row in now.items():
        for key in ("verdict", "chains", "rule_changed"):
            if row[key] != then[name][key]:
                raise ArchiveError(f"claim {name}: {key} is {row[key]!r}, archived as {then[name][key]!r}")
        if not _same(row["value"], then[name]["value"]):
            raise ArchiveError(f"claim {name}: measured {row['value']}, archived as {then[name]['value']}")
    return len(now)


def _same(a: float | None, b: float | None) -> bool:
    return a == b or (None not in (a, b) and math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12))


def _whole(record: Record, run: str) -> None:
    """The tables have every arm and generation that the configuration names, and say the same as each other."""
    expected = family(record.manifest["family"]).recorded(record.manifest)[0].measured().tolist()
    table, singles = record.statistics, record.metrics
    if record.arms != [arm["label"] for arm in record.manifest["arms"]]:
        raise ArchiveError(f"{run}: summary.parquet has other arms than the manifest")
    rows = table.groupby(["arm", "metric"], observed=True)["generation"].apply(list)
    if any(sorted(found) != expected for found in rows):
        raise ArchiveError(f"{run}: summary.parquet lacks generations or has some twice")
    if not (table["count"] == record.manifest["chains"]).all():
        raise ArchiveError(f"{run}: summary.parquet counts other chains than the manifest")
    for frame, columns in ((table, ["mean", *archive.QUANTILE_NAMES]), (singles, ["value"])):
        if not np.isfinite(frame[columns].to_numpy()).all():
            raise ArchiveError(f"{run}: a value is not finite")
    for (arm, metric), part in singles.groupby(["arm", "metric"], observed=True):
        values = part.pivot(index="generation", columns="chain", values="value").sort_index()
        if values.isna().any(axis=None) or values.index.tolist() != expected:
            raise ArchiveError(f"{run}: metrics.parquet lacks values of {metric!r}")
        if values.shape[1] == record.manifest["chains"]:  # all chains are here, so the statistics must be theirs
            mean = record.summary(metric, arm)["mean"].to_numpy()
            if not np.allclose(values.mean(axis=1), mean, rtol=1e-4, atol=1e-6 * float(np.abs(mean).max())):
                raise ArchiveError(f"{run}: the mean of {metric!r} is not that of its chains")


def _replayed(record: Record, run: str) -> bool:
    """Measure again what the record keeps; False where it keeps nothing to measure."""
    chosen = family(record.manifest["family"])
    config, arms = chosen.recorded(record.manifest)
    found = False
    for arm, settings in arms.items():
        name = f"kept-{arm}" if arm else "kept"
        if chosen.replay is None or f"samples/{name}.npz" not in record.manifest["files"]:
            continue
        kept = record.samples(name)
        measured = chosen.replay(dataclasses.replace(config, **settings), kept)
        _compare(record, run, arm, kept["generation"], measured, "measured again")
        found = True
    return found


def _rerun(record: Record, run: str) -> str:
    """Make the first generations of the first block anew, in the first and the last arm; why not, where it was not."""
    said, chosen = record.manifest, family(record.manifest["family"])
    config, arms = chosen.recorded(said)
    ends = {number: arm for number, arm in enumerate(arms) if number in (0, len(arms) - 1)}
    try:
        made = {arm: _as_made(dataclasses.replace(config, **arms[arm]), said["machine"]) for arm in ends.values()}
    except ConfigError as error:
        return str(error)
    data = None
    if said["data"] is not None:
        with contextlib.suppress(DataError):
            data = chosen.load(config, None) if config.variant != chosen.data_variant else None
        if data is None or data.card() != said["data"]:
            return f"its data, {said['data']['name']}, are not at hand"
    for number, arm in ends.items():
        short = dataclasses.replace(made[arm], generations=min(RERUN_TO, config.generations))
        chains, seed = min(config.block, config.chains), (said["seed"], number, 0)
        with device.threads(config.threads):
            metrics = run_block(
                short, chains, seed, chosen.build, chosen.restore, data=data, state=None, checkpoint=math.inf,
                on=lambda phase, g: None, tick=lambda steps: None,
            )  # fmt: skip
        _compare(record, run, arm, short.measured(), metrics, "run again")
    return ""


def _as_made(config: BaseConfig, machine: dict) -> BaseConfig:
    """The configuration as it was computed there, whatever today's rule would choose."""
    made = config.as_made(machine)
    here, there = made.compute(), machine.get("device", "cpu")
    if here and here.name != there:
        raise ConfigError(f"it was made on {there}, and here is {here.name}")
    if here == device.Compute("cpu", "bf16") and not device.has_matrix_units(device.processor()[1]):
        raise ConfigError("it was made in bf16, for which this processor has no units")
    return made


def _compare(
    record: Record, run: str, arm: str, generations: np.ndarray, found: Mapping[str, np.ndarray], how: str
) -> None:
    compared = 0
    for metric in sorted(found.keys() & set(record.metrics["metric"])):
        archived = record.chains(metric, arm)
        both = sorted({int(g) for g in generations} & set(archived.index))
        rows = [list(map(int, generations)).index(g) for g in both]
        chains = min(archived.shape[1], found[metric].shape[1])
        ours, theirs = found[metric][rows, :chains], archived.loc[both].to_numpy()[:, :chains]
        scale = float(np.abs(theirs).max(initial=0.0))
        if not np.allclose(ours, theirs, rtol=TOLERANCE["rtol"], atol=TOLERANCE["atol"] * max(scale, 1e-12)):
            g = both[int(np.argmax(np.abs(ours - theirs).max(axis=1)))]
            raise ArchiveError(f"{run}: {metric!r} {how} differs from the record, most at generation {g}")
        compared += ours.size
    if compared == 0:
        raise ArchiveError(f"{run}: nothing {how} can be compared with the record")

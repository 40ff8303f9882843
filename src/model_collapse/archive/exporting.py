"""All records as one table, for whoever would rather not read them one by one."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from .files import ArchiveError, write_bytes
from .record import load_record

__all__ = ["every_summary", "write_summaries"]

FORMATS = (".csv", ".csv.gz")


def every_summary(folders: Iterable[Path]) -> pd.DataFrame:
    """Statistics over chains of every metric of some records, each held against its checksums.

    Columns: ``family, run, profile, seed``; then those of a record's summary: ``arm, generation, metric, count, mean,
    sd`` and the quantiles.

    Raises
    ------
    ArchiveError
        Where there are none, or one cannot be trusted.
    """
    tables = []
    for folder in folders:
        record = load_record(folder)
        table = record.statistics.astype({"arm": str, "metric": str})
        for at, name in enumerate(("family", "run", "profile", "seed")):
            table.insert(at, name, record.manifest[name])
        tables.append(table)
    if not tables:
        raise ArchiveError("no records to export")
    return pd.concat(tables, ignore_index=True)


def write_summaries(folders: Iterable[Path], target: Path) -> int:
    """Write them as CSV, compressed where the name ends so, in one step; gives the number of rows.

    Raises
    ------
    ArchiveError
        As `every_summary` does, and for a name that ends otherwise, or where nothing can be written.
    """
    if not target.name.endswith(FORMATS):
        raise ArchiveError(f"{target.name}: the file's name must end in {' or '.join(FORMATS)}")
    table = every_summary(folders)
    text = io.StringIO()
    table.to_csv(text, index=False, float_format="%.7g", lineterminator="\n")
    written = text.getvalue().encode()
    write_bytes(target, gzip.compress(written, mtime=0) if target.suffix == ".gz" else written)
    return len(table)

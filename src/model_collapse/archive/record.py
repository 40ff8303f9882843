"""What a run leaves behind: the record, as it lies on the disk and as rules and figures read it.

``data/results/<family>/<run>/`` holds

``manifest.json``
    what was run, with what, on what, how long it took, and the SHA-256 of every other file;
``metrics.parquet``
    one row per (arm, generation, chain, metric) with its value, for the metrics that its family names and at most 200
    chains, unless its study says otherwise; a sweep shares them among its arms, each of which has twenty at least;
``summary.parquet``
    one row per (arm, generation, metric) with count, mean, sd and quantiles over *all* chains;
``samples/``
    a little to look at and to compute again: .npz without pickles, .png, .txt.

An *arm* is one point of a run that sweeps a setting (label such as ``n=100``); a plain run has the one arm ``""``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from .files import ArchiveError, digest, file_digest, one_line, read_arrays, write_folder, write_json

__all__ = [
    "EXAMPLE_CHAINS",
    "QUANTILES",
    "Record",
    "example_chains",
    "first_generation",
    "grid",
    "load_record",
    "save_record",
    "summarise",
]

EXAMPLE_CHAINS = 200
QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
QUANTILE_NAMES = tuple(f"q{round(100 * q):02d}" for q in QUANTILES)
SCHEMA = 1


def grid(generations: int, extra: tuple[int, ...] = (), most: int = 120) -> np.ndarray:
    """Generations at which a record keeps its metrics.

    Every generation to 20, then log-spaced, at most `most` in all, plus the source's own.

    Parameters
    ----------
    generations : int
        Index G of the last generation; a run has G + 1 of them.
    extra : tuple of int
        Generations named by the source of a claim; those beyond G are left out.

    Returns
    -------
    numpy.ndarray of int, ascending, shape (at most `most` + len(extra),)
    """
    early = np.arange(min(20, generations) + 1)
    late = np.geomspace(21, max(generations, 21), most - len(early)).round().astype(int)
    points = np.unique(np.concatenate([early, late, [generations], np.asarray(extra, dtype=int)]))
    return points[(points >= 0) & (points <= generations)]


def example_chains(arms: int) -> int:
    """How many single chains a record keeps in each of its arms, so that a sweep is not larger than a plain run."""
    return max(EXAMPLE_CHAINS // arms, 20)


def summarise(values: np.ndarray) -> dict[str, float]:
    """Count, mean, sd (ddof 1; NaN for one chain) and quantiles of one metric over chains, shape (chains,)."""
    values = np.asarray(values, dtype=np.float64)
    sd = values.std(ddof=1) if values.size > 1 else np.nan
    quantiles = np.quantile(values, QUANTILES)
    return {"count": values.size, "mean": values.mean(), "sd": sd, **dict(zip(QUANTILE_NAMES, quantiles, strict=True))}


@dataclass(frozen=True)
class Record:
    """A run's manifest and metrics.

    Attributes
    ----------
    manifest : dict
        Its keys ``family``, ``run``, ``profile``, ``study``, ``regime``, ``variant``, ``config``, ``seed``,
        ``chains``, ``block``, ``generations``, ``data``, ``rules``, ``machine``, ``seconds`` are what readers use.
    metrics : pandas.DataFrame
        Columns arm, generation, chain, metric, value.
    statistics : pandas.DataFrame
        Columns arm, generation, metric, count, mean, sd, q01, q05, q25, q50, q75, q95, q99.
    path : Path or None
        The record's folder; None for one that was never written.
    arrays : dict
        What the run kept of some generations, by file, for a record that was never written; see `samples`.
    """

    manifest: dict
    metrics: pd.DataFrame
    statistics: pd.DataFrame
    path: Path | None = field(default=None, compare=False)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def arms(self) -> list[str]:
        """Labels of the arms, in the order of the run."""
        return list(dict.fromkeys(self.statistics["arm"]))

    @property
    def generations(self) -> list[int]:
        """The generations that are kept, ascending."""
        return sorted({int(g) for g in self.statistics["generation"]})

    @property
    def name(self) -> str:
        """Family and run, such as ``gmm/paper-blob-replace``."""
        return f"{self.manifest.get('family')}/{self.manifest.get('run')}"

    @property
    def is_of_study(self) -> bool:
        """Whether its run has the name of its study; else it is no study's, or has settings of its own."""
        return self.manifest["run"] == f"{self.manifest['profile']}-{self.manifest['study']}"

    @property
    def identifier(self) -> str:
        """What to cite it by: family, run, and the first twelve digits of the checksum of its manifest.

        The manifest holds the checksums of all that was measured: no number can change without another identifier. A
        record that is made again gets another one, too. `model-collapse verify` computes it anew, and says whether what
        lies there is what an identifier means.
        """
        return f"{self.name}@{self.digest}"

    @property
    def digest(self) -> str:
        """The first twelve digits of the checksum of the manifest."""
        return self.manifest["digest"][:12]

    def setting(self, name: str, arm: str = "") -> object:
        """A field of the configuration, with the arm's own value where it sweeps that field."""
        arms = {a["label"]: a["settings"] for a in self.manifest.get("arms", [])}
        return arms.get(arm, {}).get(name, self.manifest["config"][name])

    def summary(self, metric: str, arm: str = "") -> pd.DataFrame:
        """Statistics over chains of one metric, indexed by generation.

        Raises
        ------
        ArchiveError
            Where the record has no such metric or arm.
        """
        rows = self.statistics
        rows = rows[(rows["metric"] == metric) & (rows["arm"] == arm)]
        if rows.empty:
            self._require(metric, arm)
        return rows.drop(columns=["arm", "metric"]).set_index("generation").sort_index()

    def at(self, metric: str, g: int, arm: str = "") -> pd.Series:
        """Statistics over chains of one metric at generation `g`; raises `ArchiveError` where `g` was not kept."""
        table = self.summary(metric, arm)
        if g not in table.index:
            raise ArchiveError(f"record {self.name} does not keep generation {g}; it ends at {table.index.max()}")
        return table.loc[g]

    def chains(self, metric: str, arm: str = "") -> pd.DataFrame:
        """Values of one metric, a row per generation and a column per kept chain (all, or some examples).

        Raises
        ------
        ArchiveError
            Where the record has no such metric or arm, or keeps no single chains of this metric.
        """
        rows = self.metrics
        rows = rows[(rows["metric"] == metric) & (rows["arm"] == arm)]
        if rows.empty:
            self._require(metric, arm)
            some = ", ".join(sorted(set(self.metrics["metric"]))) or "no metric"
            raise ArchiveError(f"record {self.name} keeps no single chains of {metric!r}; it has those of {some}")
        return rows.pivot(index="generation", columns="chain", values="value").sort_index()

    def _require(self, metric: str, arm: str) -> None:
        def shown(names: list[str]) -> str:
            return ", ".join(map(repr, names))

        if arm not in self.arms:
            raise ArchiveError(f"record {self.name} has no arm {arm!r}; it has {shown(self.arms)}")
        rows = self.statistics
        metrics = sorted(set(rows[rows["arm"] == arm]["metric"]))
        if metric not in metrics:
            raise ArchiveError(f"record {self.name} has no metric {metric!r}; it has {shown(metrics)}")

    def samples(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of ``samples/<name>.npz``; raises `ArchiveError` where the record has none of that name."""
        if self.path is None and name in self.arrays:
            return self.arrays[name]
        if f"samples/{name}.npz" not in self.manifest.get("files", {}):
            raise ArchiveError(f"record {self.name} keeps no samples {name!r}")
        return read_arrays(self.path / "samples" / f"{name}.npz")


def first_generation(found: pd.Series) -> int | None:
    """The first generation for which a series of booleans, indexed by generation, is true; None where it never is."""
    return int(found.idxmax()) if found.any() else None


def save_record(folder: Path, record: Record) -> Record:
    """Write a record to `folder` in one step and return it with its manifest completed by the files' checksums."""
    manifest = dict(record.manifest, schema=SCHEMA)

    def fill(aside: Path) -> None:
        _write_table(aside / "metrics.parquet", record.metrics)
        _write_table(aside / "summary.parquet", record.statistics)
        for name, arrays in record.arrays.items():
            (aside / "samples").mkdir(exist_ok=True)
            np.savez_compressed(aside / "samples" / f"{name}.npz", **arrays)
        files = sorted(p for p in aside.rglob("*") if p.is_file())
        manifest["files"] = {p.relative_to(aside).as_posix(): file_digest(p) for p in files}
        manifest["digest"] = digest(manifest)
        write_json(aside / "manifest.json", manifest)

    write_folder(folder, fill)
    return Record(manifest, record.metrics, record.statistics, folder)


def load_record(folder: Path | str) -> Record:
    """Read a record and hold every file against its checksum.

    Raises
    ------
    ArchiveError
        Where the record is missing, truncated, edited by hand, or of a newer layout.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        claimed = manifest["digest"]
        files = manifest["files"]
    except FileNotFoundError:
        raise ArchiveError(f"no record at {folder}") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ArchiveError(f"record {folder}: manifest.json is damaged ({error})") from None
    if manifest.get("schema") != SCHEMA:
        raise ArchiveError(f"record {folder}: layout {manifest.get('schema')}, this version reads {SCHEMA}")
    if digest({k: v for k, v in manifest.items() if k != "digest"}) != claimed:
        raise ArchiveError(f"record {folder}: manifest.json was edited after it was written")
    for name, checksum in files.items():
        path = folder / name
        with one_line(path, "read"):
            whole = path.is_file() and file_digest(path) == checksum
        if not whole:
            raise ArchiveError(f"record {folder}: {name} is missing, truncated or edited")
    metrics = pd.read_parquet(folder / "metrics.parquet")
    statistics = pd.read_parquet(folder / "summary.parquet")
    return Record(manifest, metrics, statistics, folder)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    small = table.copy()
    for name in ("arm", "metric"):
        small[name] = small[name].astype("category")
    for name in small.columns.difference(["arm", "metric", "generation", "chain", "count"]):
        small[name] = small[name].astype(np.float32)
    small["generation"] = small["generation"].astype(np.int32)
    encoding = {name: "BYTE_STREAM_SPLIT" for name in small.columns if small[name].dtype == np.float32}
    plain = ["arm", "metric", "generation", *small.columns.intersection(["chain", "count"])]
    small.to_parquet(path, compression="zstd", index=False, use_dictionary=plain, column_encoding=encoding)

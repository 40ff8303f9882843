"""The records as an RO-Crate: what every file is, and the run that made it.

RO-Crate, of the version that the library ``rocrate`` writes (the extra ``release`` brings it), with the profile Process
Run Crate 0.5: a run is a ``CreateAction`` whose instrument is this package, whose object is the human data and whose
result is the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .record import Record, load_record

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

__all__ = ["crate_of"]

TITLE = "Model Collapse, Replicated"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
LICENCE = {
    "@id": "https://creativecommons.org/licenses/by/4.0/",
    "@type": "CreativeWork",
    "name": "Creative Commons Attribution 4.0 International",
    "identifier": "CC-BY-4.0",
}
FORMATS = {".parquet": "application/vnd.apache.parquet", ".json": "application/json", ".npz": "application/zip"}


def crate_of(root: Path, folders: Iterable[Path], version: str, published: str) -> ROCrate:
    """Every record below `root`, each held against its checksums, and the other files that lie there.

    Parameters
    ----------
    root : Path
        Folder of results; becomes the crate's own folder.
    version, published : str
        Of the book; ``published`` in the form 2026-01-31.

    Raises
    ------
    ArchiveError
        Where a record cannot be trusted.
    """
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate()

    def entity(properties: dict[str, Any]) -> ContextEntity:
        rest = {name: value for name, value in properties.items() if name != "@id"}
        return crate.get(properties["@id"]) or crate.add(ContextEntity(crate, properties["@id"], rest))

    founders = entity({"@id": "#contributors", "@type": "Organization", "name": f"{TITLE} contributors"})
    crate.name = f"{TITLE}: the records"
    crate.description = "Measurements of generative models trained on their predecessors' output, by generation."
    crate.license, crate.creator, crate.publisher = entity(LICENCE), founders, founders
    crate.datePublished, crate.root_dataset["version"] = published, version
    crate.root_dataset["conformsTo"] = entity(
        {"@id": PROFILE, "@type": ["CreativeWork", "Profile"], "name": "Process Run Crate", "version": "0.5"}
    )
    described = set()
    for folder in folders:
        record = load_record(folder)
        where = folder.relative_to(root).as_posix()
        files = {path: record.manifest["files"].get(path.relative_to(folder).as_posix()) for path in _files(folder)}
        parts = [_add(crate, root, path, checksum) for path, checksum in files.items()]
        result = crate.add_dataset(dest_path=f"{where}/", properties=_about(record))
        result["hasPart"] = parts
        described |= set(files)
        data = record.manifest.get("data")
        made = crate.add_action(
            entity(_software(record)),
            identifier=f"#run-{where.replace('/', '-')}",
            object=[entity(_human(data))] if data else None,
            result=[result],
            properties=_run(record),
        )
        made["agent"] = founders
    for path in _files(root):
        if path not in described:
            _add(crate, root, path, None)
    return crate


def _files(folder: Path) -> list[Path]:
    """All below it but what is hidden, and what a crate says of itself, in one order."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "ro-crate-metadata.json")
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _add(crate: ROCrate, root: Path, path: Path, checksum: str | None) -> Any:
    kind = FORMATS.get(path.suffix.lower(), "application/octet-stream")
    about = {"name": path.name, "encodingFormat": kind, "contentSize": str(path.stat().st_size)}
    if checksum:
        about["sha256"] = checksum
    return crate.add_file(path, dest_path=path.relative_to(root).as_posix(), properties=about)


def _about(record: Record) -> dict[str, Any]:
    said = record.manifest
    return {
        "name": record.name,
        "description": f"{said['chains']} chains of {said['family']} under {said['regime']}, to generation "
        f"{said['generations']}, profile {said['profile']}, seed {said['seed']}",
        "identifier": record.identifier,
        "dateCreated": said["begun"],
    }


def _software(record: Record) -> dict[str, Any]:
    source = record.manifest["source"]
    return {
        "@id": f"#source-{source[:12]}",
        "@type": "SoftwareApplication",
        "name": "model-collapse",
        "softwareVersion": f"source code with the checksum {source}",
    }


def _human(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"#data-{data['sha256'][:12]}",
        "@type": "CreativeWork",
        "name": data["name"],
        "sha256": data["sha256"],
    }


def _run(record: Record) -> dict[str, Any]:
    said, how = record.manifest, f"settings: {json.dumps(record.manifest['config'])}"
    if record.is_of_study:
        how = f"model-collapse run {said['family']} --study {said['study']} --profile {said['profile']} "
        how += f"--seed {said['seed']}"
    return {
        "name": f"the run of {record.name}",
        "description": how,
        "startTime": said["begun"],
        "duration": f"PT{said['seconds']['total']:.0f}S",
    }

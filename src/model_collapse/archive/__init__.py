"""Records on disk: write atomically, read, resume, merge. Nothing is ever pickled."""

from .files import ArchiveError, digest, file_digest, once, probe, tree_digest
from .record import (
    QUANTILE_NAMES,
    QUANTILES,
    Record,
    example_chains,
    first_generation,
    grid,
    load_record,
    save_record,
    summarise,
)
from .state import BlockState, History, held, joined

__all__ = [
    "QUANTILES",
    "QUANTILE_NAMES",
    "ArchiveError",
    "BlockState",
    "History",
    "Record",
    "digest",
    "example_chains",
    "file_digest",
    "first_generation",
    "grid",
    "held",
    "joined",
    "load_record",
    "once",
    "probe",
    "save_record",
    "summarise",
    "tree_digest",
]

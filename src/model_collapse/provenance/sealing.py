"""Sealing: a ledger for a corpus, or more entries for the items that came since."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from ..archive import load_record
from .errors import LedgerError, ProvenanceError, shown
from .items import FOLDER, LINES, Item, form_of, read_items
from .keys import public_bytes
from .ledger import RUN, Entry, Ledger, Statement, read_ledger, write_ledger

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Sealed", "beside", "corpus_and_ledger", "record_of", "seal", "statement"]


@dataclass(frozen=True)
class Sealed:
    """What a sealing did: items that were sealed now and before, and where the ledger is."""

    new: int
    before: int
    ledger: Path


def corpus_and_ledger(path: Path, ledger: Path | None = None) -> tuple[Path, Path]:
    """The places of a corpus and of its ledger, by default ``<corpus>.ledger`` beside it.

    Raises
    ------
    ProvenanceError
        Where the ledger would lie in the corpus and so be an item of it.
    """
    corpus = Path(os.path.abspath(path))  # so that "." has a name; links are followed by who opens it
    if ledger is None and not corpus.name:
        raise ProvenanceError("a whole disk has no place beside it for a ledger: name one with --ledger")
    chosen = Path(os.path.realpath(ledger or corpus.with_name(f"{corpus.name}.ledger")))
    beside(chosen, corpus, "ledger")
    return corpus, chosen


def beside(path: Path, corpus: Path, what: str) -> None:
    """Raise `ProvenanceError` where a file would be an item of the corpus that it serves."""
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(corpus)):
        raise ProvenanceError(f"the {what} {shown(path.name)} must lie beside the corpus, not in it")


def statement(origin: str, generation: int | None, run: str | None, results: Path) -> Statement:
    """What is said of items, with the identity of the record of their run, which must be in the folder of results.

    Raises
    ------
    ProvenanceError
        Where origin, generation and run do not fit together, or the run ends before that generation.
    ArchiveError
        Where there is no such record or it is damaged.
    """
    if run is None:
        return Statement(origin, generation)
    Statement(origin, generation, run, "0" * 64)  # before a record is looked for
    manifest = load_record(record_of(run, results)).manifest
    if generation > manifest["generations"]:
        raise ProvenanceError(f"run {run} ends at generation {manifest['generations']}, before {generation}")
    return Statement(origin, generation, run, manifest["identity"])


def record_of(run: str, results: Path) -> Path:
    """The folder of a run's record; raises `ProvenanceError` where the name is none that a run can have."""
    if not RUN.fullmatch(run):
        raise ProvenanceError(f"a run is named FAMILY/RUN, not {shown(run)}")
    return results / run


def seal(
    path: Path,
    said: Statement,
    key: Ed25519PrivateKey,
    ledger: Path | None = None,
    only: str | None = None,
    today: datetime.date | None = None,
) -> Sealed:
    """Seal the items of a corpus that its ledger does not know yet; what it knows keeps its entry.

    The ledger is signed anew as a whole and replaced in one step. Lines can only be added to the end of a JSONL file:
    a line has no other name than its number.

    Parameters
    ----------
    path : Path
        A folder or a JSONL file.
    only : str or None
        A pattern for the names of files, such as ``human/*``; the others stay unknown.
    today : date or None
        Date of the entries; None takes today's, in UTC.

    Raises
    ------
    ProvenanceError
        Where an item cannot be sealed, nothing is there to be sealed, or sealed items were changed or are gone.
    LedgerError
        Where there is a ledger already that cannot be trusted or is signed by another key.
    ArchiveError
        Where the ledger cannot be written.
    """
    corpus, target = corpus_and_ledger(path, ledger)
    form, date = form_of(corpus), (today or datetime.datetime.now(datetime.UTC).date()).isoformat()
    if only is not None and form != FOLDER:
        raise ProvenanceError("--only chooses files of a folder; the new lines of a JSONL file are sealed together")
    old = Ledger(form, public_bytes(key), date, date, [])
    if os.path.lexists(target):
        old = read_ledger(target, public_bytes(key))
        if old.form != form:
            raise LedgerError(f"ledger {shown(target.name)} is that of {'a file' if form == FOLDER else 'a folder'}")
    found = list(read_items(corpus, strict=True))
    _unchanged(old, found, target)
    known = {entry.name for entry in old.entries}
    new = [item for item in found if item.name not in known and (only is None or fnmatchcase(item.name, only))]
    if not new and not known:
        raise ProvenanceError(f"{shown(corpus.name)} holds no items{f' named {only}' if only else ''} to seal")
    if new:
        entries = old.entries + [Entry(item.name, item.sha256, said, date) for item in new]
        write_ledger(target, Ledger(form, old.key, old.begun, date, entries), key)
    return Sealed(len(new), len(known), target)


def _unchanged(old: Ledger, found: Sequence[Item], target: Path) -> None:
    """A new signature must not stand over entries that the signer can see are wrong."""
    now = {item.name: item.sha256 for item in found}
    differ = [entry.name for entry in old.entries if now.get(entry.name) != entry.sha256]
    if differ:
        which = f"line {differ[0]}" if old.form == LINES else shown(differ[0])
        raise ProvenanceError(
            f"{len(differ)} sealed {'items are' if len(differ) > 1 else 'item is'} not as sealed, first {which}: "
            f"model-collapse audit tells more; delete {shown(target.name)} to begin anew"
        )

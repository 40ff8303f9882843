"""The audit: a corpus held against its ledger, with a status that a pipeline can use.

====== =============================================================================================
status meaning
====== =============================================================================================
0      every item is in the ledger, as it was sealed, and none is missing
3      an item was changed since it was sealed, or is gone
4      none was, but there are items that nobody sealed
5      the ledger cannot be trusted: truncated, edited, signed by another key, of another version
====== =============================================================================================

Status 1 stays what it is everywhere: the audit could not be made, because there is no ledger or no corpus, or because
something cannot be read; 2 is a command that cannot be understood.

A file is known by its name and its content. A name carries meaning, as the folder of a picture is its label, so a file
that was renamed is unknown and its old name missing; the report says where its content was sealed. A line of a JSONL
file is known by its content alone, wherever it stands now, but only as often as it was sealed: copies of human lines
make no corpus more human.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..regimes import HUMAN
from .errors import LedgerError, shown
from .items import FOLDER, Item, form_of, read_items
from .ledger import Entry, Ledger, read_ledger
from .sealing import corpus_and_ledger
from .shares import made_by

__all__ = ["TAMPERED", "UNKNOWN", "UNTRUSTED", "Finding", "Report", "audit"]

TAMPERED, UNKNOWN, UNTRUSTED = 3, 4, 5


@dataclass(frozen=True, slots=True)
class Finding:
    """An item that is not as it was sealed, and how."""

    name: str
    why: str


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes
    ----------
    corpus, ledger : str
        Their names, without folders.
    sealed : str
        Date of the last sealing, as the signer says.
    key : str
        The signer's public key, 64 hexadecimal digits.
    trusted : bool
        Whether the key was given to the audit; else anybody may have written the ledger.
    known : Counter
        Items that are as they were sealed, by maker (`model_collapse.regimes.HUMAN` or a generation).
    unknown, tampered, missing : list of Finding
        Items that nobody sealed, that were changed, and entries whose item is gone.
    """

    corpus: str
    ledger: str
    sealed: str
    key: str
    trusted: bool
    known: Counter[int] = field(default_factory=Counter)
    unknown: list[Finding] = field(default_factory=list, repr=False)
    tampered: list[Finding] = field(default_factory=list, repr=False)
    missing: list[Finding] = field(default_factory=list, repr=False)

    @property
    def items(self) -> int:
        """Items that are there; missing ones are not."""
        return self.known.total() + len(self.unknown) + len(self.tampered)

    @property
    def status(self) -> int:
        """0, `TAMPERED` or `UNKNOWN`."""
        if self.tampered or self.missing:
            return TAMPERED
        return UNKNOWN if self.unknown else 0

    def share(self, count: int) -> float:
        """The share of so many items; 0 where there are none at all."""
        return count / self.items if self.items else 0.0

    def counts(self) -> list[tuple[str, int]]:
        """What the items are and how many: human, synthetic by generation, unknown, tampered."""
        makers = sorted({HUMAN, *self.known})
        known = [(made_by(maker), self.known[maker]) for maker in makers]
        return [*known, ("unknown", len(self.unknown)), ("tampered", len(self.tampered))]

    def as_json(self) -> dict:
        """The report as an object for JSON; names may hold what a terminal obeys, so they want escapes."""

        def counted(count: int) -> dict:
            return {"items": count, "share": self.share(count)}

        def named(found: list[Finding]) -> list[dict]:
            return [{"name": one.name, "why": one.why} for one in found]

        said = {"corpus": self.corpus, "ledger": self.ledger, "sealed": self.sealed, "status": self.status}
        said |= {"key": self.key, "signer": "given" if self.trusted else "unknown", "items": self.items}
        generations = sorted(self.known.keys() - {HUMAN})
        said["human"] = counted(self.known[HUMAN])
        said["synthetic"] = [{"generation": g} | counted(self.known[g]) for g in generations]
        said["unknown"] = counted(len(self.unknown)) | {"named": named(self.unknown)}
        said["tampered"] = counted(len(self.tampered)) | {"named": named(self.tampered)}
        return said | {"missing": {"items": len(self.missing), "named": named(self.missing)}}


def audit(path: Path, ledger: Path | None = None, key: bytes | None = None) -> Report:
    """Hold a folder or a JSONL file against its ledger.

    Parameters
    ----------
    ledger : Path or None
        None takes ``<path>.ledger`` beside it.
    key : bytes or None
        The public key that must have signed the ledger; None tells only whether the ledger is intact.

    Raises
    ------
    LedgerError
        Where the ledger cannot be trusted.
    ProvenanceError
        Where there is none, or the corpus cannot be read as a whole.
    """
    corpus, target = corpus_and_ledger(path, ledger)
    form = form_of(corpus)
    book = read_ledger(target, key)
    if book.form != form:
        raise LedgerError(f"ledger {shown(target.name)} is that of {'a file' if form == FOLDER else 'a folder'}")
    report = Report(corpus.name, target.name, book.sealed, book.key.hex(), key is not None)
    found = read_items(corpus, strict=False)
    return _of_files(report, book, found) if form == FOLDER else _of_lines(report, book, found)


def _of_files(report: Report, book: Ledger, found: Iterable[Item]) -> Report:
    sealed = {entry.name: entry for entry in book.entries}
    strangers = []
    for item in found:
        entry = sealed.get(item.name)
        if entry is None:
            strangers.append(item)
            continue
        del sealed[item.name]
        if item.sha256 == entry.sha256:
            report.known[entry.statement.maker] += 1
        else:
            report.tampered.append(Finding(item.name, item.trouble or "its content is not what was sealed"))
    homes = {entry.sha256: entry.name for entry in sealed.values()}
    for item in strangers:
        moved = f"; its content was sealed as {shown(homes[item.sha256])}" if item.sha256 in homes else ""
        report.unknown.append(Finding(item.name, item.trouble or f"nobody sealed it{moved}"))
    report.missing.extend(Finding(name, "it was sealed and is gone") for name in sealed)
    return report


def _of_lines(report: Report, book: Ledger, found: Iterable[Item]) -> Report:
    """First the lines that stand where they were sealed, then those that stand elsewhere, then what is left."""
    left = {entry.name: entry for entry in book.entries}
    moved, strangers = [], []
    for item in found:
        entry = left.get(item.name)
        if entry is not None and entry.sha256 == item.sha256:
            report.known[left.pop(item.name).statement.maker] += 1
        else:
            moved.append(item)
    homes: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in reversed(left.values()):
        homes[entry.sha256].append(entry)
    for item in moved:
        if homes.get(item.sha256):
            entry = left.pop(homes[item.sha256].pop().name)
            report.known[entry.statement.maker] += 1
        else:
            strangers.append(item)
    for item in strangers:
        if left.pop(item.name, None):
            report.tampered.append(Finding(f"line {item.name}", "it is not the line that was sealed"))
        else:
            report.unknown.append(Finding(f"line {item.name}", "nobody sealed it, or not as often as it is there"))
    report.missing.extend(Finding(f"line {name}", "it was sealed and is gone") for name in left)
    return report

"""The ledger of a corpus: who made each item, chained line by line and signed as a whole.

A ledger is one file of JSON lines in canonical form (keys sorted, no spaces, ASCII):

- the first says its kind, its version, the form of the corpus, the signer's public key and the date of its beginning;
- one for each item says its name, SHA-256, origin, generation, parent run (family/run and the identity of its record)
  and the date on which it was sealed. Its ``chain`` is the SHA-256 of the chain so far and of all else that it says,
  so a line that was edited, removed or moved is found where it stands;
- the last holds the count, the end of the chain, the date and the signature over them.

One signature suffices. The end of the chain depends on every byte before it, the version and the key included, so
whoever wants to change any of them needs another text with the same SHA-256 or the private key. A signature for each
entry would cost 64 bytes and more time, and would not show that an entry is missing.

What a ledger cannot show: that its signer tells the truth, that the dates are right, or that it was not replaced,
together with its corpus, by an earlier state of both that the same key had signed.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..archive.files import write_stream
from ..regimes import HUMAN
from .errors import LedgerError, ProvenanceError, shown
from .items import FOLDER, LINES, MOST_ITEMS, hostile
from .keys import public_bytes, sign, verifies

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Entry", "Ledger", "Statement", "read_ledger", "write_ledger"]

KIND, VERSION = "model-collapse ledger", 1
PURPOSE = b"model-collapse ledger\0"  # before what is signed, so that no signature serves for anything else
LONGEST = 2**16  # bytes of a line
HEX = re.compile("[0-9a-f]{64}")
SIGNATURE = re.compile("[0-9a-f]{128}")
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
RUN = re.compile(r"\w+/\w[\w.,=-]*")  # as runs may be named


@dataclass(frozen=True, slots=True)
class Statement:
    """What the signer says of items.

    Attributes
    ----------
    origin : {"human", "synthetic"}
    generation : int or None
        Number of the model that sampled a synthetic item; None of human ones.
    run, identity : str or None
        The record of the run in which a synthetic item was sampled, ``FAMILY/RUN``, and its identity; or neither.

    Raises
    ------
    ProvenanceError
        Where these do not fit together.
    """

    origin: str
    generation: int | None = None
    run: str | None = None
    identity: str | None = None

    def __post_init__(self):
        if self.origin not in ("human", "synthetic"):
            raise ProvenanceError(f"an origin is human or synthetic, not {shown(str(self.origin))}")
        if self.origin == "human" and (self.generation, self.run) != (None, None):
            raise ProvenanceError("human items come from no run and have no generation")
        if self.origin == "synthetic" and (type(self.generation) is not int or self.generation < 0):
            raise ProvenanceError("synthetic items need the generation that sampled them, a whole number from 0")
        if not _fits(self.run, RUN, optional=True):
            raise ProvenanceError(f"a run is named FAMILY/RUN, not {shown(str(self.run))}")
        if not _fits(self.identity, HEX, optional=True) or (self.run is None) != (self.identity is None):
            raise ProvenanceError("a run is named with the identity of its record")

    @property
    def maker(self) -> int:
        """As in a lineage: `HUMAN` or the generation."""
        return HUMAN if self.generation is None else self.generation


@dataclass(frozen=True, slots=True)
class Entry:
    """An item that was sealed."""

    name: str
    sha256: str
    statement: Statement
    date: str


@dataclass(frozen=True)
class Ledger:
    """A ledger as a whole.

    Attributes
    ----------
    form : str
        `items.FOLDER` or `items.LINES`.
    key : bytes
        The signer's public key, as the ledger names it.
    begun, sealed : str
        Dates of the first and of the last sealing, as YYYY-MM-DD.
    entries : list of Entry
    """

    form: str
    key: bytes
    begun: str
    sealed: str
    entries: list[Entry] = field(repr=False)


def write_ledger(path: Path, ledger: Ledger, key: Ed25519PrivateKey) -> None:
    """Sign a ledger and write it in one step: what was there before stays until the new one is whole.

    Raises
    ------
    ArchiveError
        Where the folder is read-only or full.
    """

    def fill(stream: BinaryIO) -> None:
        head = {"kind": KIND, "version": VERSION, "form": ledger.form, "key": ledger.key.hex(), "date": ledger.begun}
        line = _canonical(head)
        chain = hashlib.sha256(line).hexdigest()
        stream.write(line)
        for entry in ledger.entries:
            said = _said(entry)
            chain = _linked(chain, said)
            stream.write(_canonical(said | {"chain": chain}))
        end = {"count": len(ledger.entries), "chain": chain, "date": ledger.sealed}
        stream.write(_canonical(end | {"signature": sign(key, PURPOSE + _canonical(end)).hex()}))

    if public_bytes(key) != ledger.key:
        raise LedgerError(f"{shown(path.name)} is signed by another key than the one that is to sign it now")
    write_stream(path, fill)


def read_ledger(path: Path, key: bytes | None = None) -> Ledger:
    """Read a ledger; nothing of it is given before its chain and signature were found right.

    Parameters
    ----------
    key : bytes or None
        The public key that must have signed it; None trusts the one that it names, which anybody could have made.

    Raises
    ------
    LedgerError
        Where it is truncated, edited, signed by another key, of another version, or no ledger.
    ProvenanceError
        Where there is none or it cannot be read.
    """
    name = shown(path.name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ProvenanceError(f"{name} is no file, so no ledger")
        with open(path, "rb") as stream:
            return _parsed(_Lines(stream), key)
    except FileNotFoundError:
        raise ProvenanceError(f"no ledger {name}: model-collapse seal makes one") from None
    except OSError as error:
        raise ProvenanceError(f"cannot read {name}: {error.strerror or error}") from None
    except LedgerError as error:
        raise LedgerError(f"ledger {name} {error}") from None


class _Lines:
    """The lines of a ledger as bytes and as objects, with their number; each as it was written, or an error."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.number = stream, 0

    def __iter__(self) -> Iterator[tuple[bytes, dict]]:
        while line := self.stream.readline(LONGEST + 1):
            self.number += 1
            if self.number > MOST_ITEMS + 2:
                raise LedgerError(f"has more than {MOST_ITEMS:,} entries")
            if not line.endswith(b"\n"):
                cut = "is truncated" if len(line) <= LONGEST else "is no ledger or was edited"
                raise LedgerError(f"{cut}: line {self.number} has no end")
            try:
                found = json.loads(line.decode("ascii"))
                written = isinstance(found, dict) and _canonical(found) == line
            except (ValueError, RecursionError):
                written = False
            if not written:
                raise LedgerError(f"is no ledger or was edited: line {self.number} is not in canonical form")
            yield line, found


def _parsed(lines: _Lines, key: bytes | None) -> Ledger:
    walk = iter(lines)
    first, head = next(walk, (b"", {}))
    _check_head(head, key)
    chain, entries, names = hashlib.sha256(first).hexdigest(), [], set()
    for _, found in walk:
        if "signature" in found:
            break
        chain, claimed = _linked(chain, found), found.pop("chain", None)
        if chain != claimed:
            raise LedgerError(
                f"was edited: line {lines.number} does not follow from the one before it (changed, removed or moved)"
            )
        entries.append(_entry(found, head["form"], len(entries) + 1, lines.number))
        names.add(entries[-1].name)
    else:
        raise LedgerError("is truncated: the last line, with the signature, is missing")
    if next(walk, None) is not None:
        raise LedgerError("was edited: it goes on after the signature")
    signature = found.pop("signature")
    if found.keys() != {"chain", "count", "date"} or not _fits(signature, SIGNATURE) or not _fits(found["date"], DATE):
        raise LedgerError("was edited: its last line is none that seals a ledger")
    if (found["chain"], found["count"]) != (chain, len(entries)) or type(found["count"]) is not int:
        raise LedgerError("was edited: its last line seals other entries")
    named = bytes.fromhex(head["key"])
    if not verifies(named, bytes.fromhex(signature), PURPOSE + _canonical(found)):
        raise LedgerError("was edited or signed by another key than it names: the signature is wrong")
    if len(names) != len(entries):
        raise LedgerError("names an item twice")
    return Ledger(head["form"], named, head["date"], found["date"], entries)


def _check_head(head: dict, key: bytes | None) -> None:
    if head.get("kind") != KIND:
        raise LedgerError("is no ledger: its first line does not say that it is one")
    if type(head.get("version")) is not int or head["version"] != VERSION:
        raise LedgerError(f"is of version {shown(str(head.get('version')))}, and version {VERSION} is read here")
    fits = _fits(head.get("key"), HEX) and _fits(head.get("date"), DATE) and head.get("form") in (FOLDER, LINES)
    if not fits or head.keys() != {"kind", "version", "form", "key", "date"}:
        raise LedgerError("was edited: its first line is none that begins a ledger")
    if key is not None and head["key"] != key.hex():
        raise LedgerError("is signed by another key than the one that was given")


def _entry(found: dict, form: str, count: int, number: int) -> Entry:
    """An entry of which the chain is right; what a signer may not say is refused all the same."""
    wrong = LedgerError(f"says in line {number} what no entry can say")
    if found.keys() != {"name", "sha256", "origin", "generation", "run", "identity", "date"}:
        raise wrong
    name, origin, run, identity = (found[key] for key in ("name", "origin", "run", "identity"))
    right = isinstance(name, str) and _fits(found["sha256"], HEX) and _fits(found["date"], DATE)
    right = right and (name == str(count) if form == LINES else not hostile(name))
    if not right or unicodedata.normalize("NFC", name) != name:
        raise wrong
    try:
        said = Statement(_shared(origin), found["generation"], _shared(run), _shared(identity))
    except ProvenanceError:
        raise wrong from None
    return Entry(name, found["sha256"], said, _shared(found["date"]))


def _said(entry: Entry) -> dict:
    said = entry.statement
    made = {"origin": said.origin, "generation": said.generation, "run": said.run, "identity": said.identity}
    return {"name": entry.name, "sha256": entry.sha256, "date": entry.date} | made


def _linked(chain: str, found: dict) -> str:
    """The chain after an entry, from the chain before it and all that the entry says."""
    said = {key: value for key, value in found.items() if key != "chain"}
    return hashlib.sha256(chain.encode() + _canonical(said)).hexdigest()


def _canonical(value: dict) -> bytes:
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode()


def _fits(value: object, pattern: re.Pattern, optional: bool = False) -> bool:
    return (optional and value is None) or (isinstance(value, str) and pattern.fullmatch(value) is not None)


def _shared(value: object) -> object:
    """One copy in memory of what many entries say."""
    return sys.intern(value) if type(value) is str else value

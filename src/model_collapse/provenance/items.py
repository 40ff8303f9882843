"""How a folder or a JSONL file becomes items: one a file, or one a line, each with its SHA-256.

An item of a folder is a file; its name is its place below the folder, with slashes, in Unicode's normal form C, so that
a disk that writes accents in another way changes nothing. Every file is an item, hidden ones too; links and what is no
plain file are none, and nothing is ever read through a link.

An item of a JSONL file is a line; its name is the line's number. Its hash is that of the line's bytes without the line
end, not of some canonical form of its JSON: readers of JSON differ on numbers, repeated keys and lone surrogates, so
two lines that are equal to one reader can be different text to the next. Whoever writes the same JSON in another way
has to seal it again.

Files are hashed in pieces, so memory grows with the number of items and never with their size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import ProvenanceError, shown

__all__ = ["FOLDER", "LINES", "Item", "form_of", "hostile", "read_items"]

FOLDER, LINES, FILE = "folder", "lines", "file"
MOST_ITEMS = 5_000_000
MOST_LINE = 16 * 2**20  # bytes of a line that is sealed: each is looked at as a whole
PIECE = 2**20
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's categories: controls, halves of pairs, line and paragraph separators
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they make a name read as another one


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a corpus, or what stands where one should.

    Attributes
    ----------
    name : str
        Place below the folder, or number of the line.
    sha256 : str or None
        64 hexadecimal digits; None for what is no item.
    trouble : str
        Why it is none.
    """

    name: str
    sha256: str | None
    trouble: str = ""


def form_of(path: Path) -> str:
    """`FOLDER` or `LINES`; raises `ProvenanceError` where `path` is neither a folder nor a plain file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ProvenanceError(f"{shown(path.name)}: {error.strerror or error}") from None
    if stat.S_ISDIR(mode):
        return FOLDER
    if stat.S_ISREG(mode):
        return LINES
    raise ProvenanceError(f"{shown(path.name)} is neither a folder nor a file")


def read_items(path: Path, strict: bool) -> Iterator[Item]:
    """The items of a corpus: of a folder in the order of their names, of a file in the order of its lines.

    Parameters
    ----------
    strict : bool
        For sealing: links, special files, hostile names and lines that are no JSON are errors. Else they are items
        with a trouble or, if they are lines, with a hash that nobody sealed.

    Raises
    ------
    ProvenanceError
        Where something cannot be read or changes meanwhile, there are more than 5,000,000 items and, if `strict`,
        where something is no item.
    """
    found = _files(path) if form_of(path) == FOLDER else _lines(path, strict)
    for count, item in enumerate(found, 1):
        if count > MOST_ITEMS:
            raise ProvenanceError(f"{shown(path.name)} holds more than {MOST_ITEMS:,} items")
        if strict and item.trouble:
            raise ProvenanceError(f"{shown(path.name)}: {shown(item.name)} {item.trouble}")
        yield item


def hostile(name: str) -> str:
    """Why a name is none that a ledger may hold; empty where it is one."""
    if any(unicodedata.category(c) in CONTROLS or unicodedata.bidirectional(c) in DIRECTIONS for c in name):
        return "has a name with control characters or bytes that are not UTF-8"
    if "\\" in name:
        return "has a name with a backslash, which is another place on another system"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "has a name that points outside the folder or to nothing"
    return ""


def _files(root: Path) -> Iterator[Item]:
    """Depth first, without recursion: a folder may be nested deeper than Python's stack."""
    waiting = [("", str(root))]
    while waiting:
        prefix, place = waiting.pop()
        folders = []
        for name, path, kind, trouble in _entries(root, prefix, place):
            if trouble:
                yield Item(name, None, trouble)
            elif kind == FOLDER:
                folders.append((f"{name}/", path))
            else:
                with _opened(path, f"{root.name}: {name}") as stream:
                    found = hashlib.file_digest(stream, "sha256").hexdigest()
                yield Item(name, found)
        waiting += reversed(folders)


def _entries(root: Path, prefix: str, place: str) -> Iterator[tuple[str, str, str, str]]:
    """What lies directly in a folder: name below the root, path, kind, and why it is no item or folder of items."""
    try:
        with os.scandir(place) as entries:
            found = sorted((entry.name, entry.path, _kind(entry)) for entry in entries)
    except OSError as error:
        inside = f": {prefix[:-1]}" if prefix else ""
        raise ProvenanceError(f"cannot read {shown(root.name + inside)}: {error.strerror or error}") from None
    normal = [unicodedata.normalize("NFC", name) for name, _, _ in found]
    uses = Counter(normal)
    for (_, path, kind), name in zip(found, normal, strict=True):
        if kind not in (FOLDER, FILE):
            trouble = f"is {kind}"
        elif uses[name] > 1:
            trouble = "is there twice, in two Unicode forms of one name"
        else:
            trouble = hostile(name)
        yield prefix + name, path, kind, trouble


def _kind(entry: os.DirEntry) -> str:
    if entry.is_symlink() or (hasattr(entry, "is_junction") and entry.is_junction()):  # Python 3.12, on Windows
        return "a link"
    if entry.is_dir(follow_symlinks=False):
        return FOLDER
    return FILE if entry.is_file(follow_symlinks=False) else "neither a folder nor a file"


def _lines(path: Path, strict: bool) -> Iterator[Item]:
    with _opened(path, path.name, follow=True) as stream:
        number, piece = 0, stream.readline(PIECE)
        while piece:
            number += 1
            hashed, line = hashlib.sha256(), bytearray()
            while piece:
                ends = piece.endswith(b"\n")
                content = piece.removesuffix(b"\n")
                hashed.update(content)
                if strict:
                    line += content
                    if len(line) > MOST_LINE:
                        raise ProvenanceError(f"{shown(path.name)}: line {number} is longer than {MOST_LINE:,} bytes")
                piece = stream.readline(PIECE)
                if ends:
                    break
            if strict and not _is_json(line):
                raise ProvenanceError(
                    f"{shown(path.name)}: line {number} is no JSON in UTF-8: one item a line is wanted"
                )
            yield Item(str(number), hashed.hexdigest())


def _is_json(line: bytearray) -> bool:
    try:
        json.loads(line.decode("utf-8"), parse_int=len, parse_float=len)  # numbers of any length are JSON
    except (ValueError, RecursionError):
        return False
    return True


@contextlib.contextmanager
def _opened(path: str | Path, what: str, follow: bool = False) -> Iterator[BinaryIO]:
    """A plain file that is the same when it was read as before; not one behind a link, unless a person named it."""
    flags = getattr(os, "O_NONBLOCK", 0)  # a pipe that took the file's place must not be waited for
    flags |= 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as stream:
            before = os.fstat(stream.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise ProvenanceError(f"{shown(what)} is no plain file")
            yield stream
            after = os.fstat(stream.fileno())
    except OSError as error:
        raise ProvenanceError(f"cannot read {shown(what)}: {error.strerror or error}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ProvenanceError(f"{shown(what)} changed while it was read")

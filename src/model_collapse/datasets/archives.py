"""What an archive says of itself before any of it is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import PurePosixPath

from .errors import DataError

__all__ = ["refuse_bomb", "refuse_bombs", "refuse_places_outside"]

MOST_BYTES, MOST_RATIO = 4 * 2**30, 500  # of an archive, unpacked; and unpacked over packed


def refuse_bombs(where: str, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Raise `DataError` where a zip, or an .npz, which is one, would unpack to more than anyone has in mind."""
    entries = list(entries)
    unpacked, packed = (sum(getattr(entry, kind) for entry in entries) for kind in ("file_size", "compress_size"))
    refuse_bomb(where, packed, unpacked)


def refuse_bomb(where: str, packed: int, unpacked: int) -> None:
    """Raise `DataError` where a file of `packed` bytes would become more of them than anyone has in mind."""
    if unpacked > MOST_BYTES or unpacked > MOST_RATIO * max(packed, 1):
        raise DataError(f"{where} would unpack from {packed:,} to {unpacked:,} bytes; refusing to")


def refuse_places_outside(where: str, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Raise `DataError` where a name leads out of the archive."""
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
            raise DataError(f"{where}: the name {entry.filename!r} points outside the archive")

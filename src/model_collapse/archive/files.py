"""Files that are either whole or not there: atomic writes, checksums, and no pickles.

Every write goes to a neighbour of its target, is flushed to the disk and then renamed over it, so a reader, or
a run that resumes after a kill, sees the old file or the new one and never a part.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = [
    "DAMAGED_ZIP",
    "ArchiveError",
    "digest",
    "file_digest",
    "once",
    "one_line",
    "probe",
    "read_arrays",
    "read_sealed",
    "tree_digest",
    "write_arrays",
    "write_bytes",
    "write_folder",
    "write_json",
    "write_sealed",
    "write_stream",
]

DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, UnicodeDecodeError)
"""Errors of `zipfile` where a file is not what its name says: broken, packed otherwise, encrypted, of no name."""


class ArchiveError(RuntimeError):
    """A record or a resume state that cannot be trusted or cannot be written. The message is one line."""


def digest(value: object) -> str:
    """SHA-256, as 64 hexadecimal digits, of a JSON-able value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256, as 64 hexadecimal digits, of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all Python files below `folder`."""
    files = sorted(folder.rglob("*.py"))
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


def once(path: Path, make: Callable[[], dict]) -> dict:
    """The JSON object at `path`; made and written by `make` where there is none yet."""
    if not path.exists():
        write_sealed(path, make())
    return read_sealed(path, f"delete {path.parent.name}/ to begin again")


def write_sealed(path: Path, value: Mapping) -> None:
    """Write `value` as `write_json` does, with an entry "digest" that covers all others."""
    write_json(path, {**value, "digest": digest(value)})


def read_sealed(path: Path, advice: str = "it has to be made again") -> dict:
    """Read what `write_sealed` wrote, without its digest.

    Raises
    ------
    ArchiveError
        Where it is missing, damaged, or not what was written.
    """
    with one_line(path, "read"):
        content = path.read_bytes()
    try:
        value = json.loads(content)
        whole = value.pop("digest") == digest(value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ArchiveError(f"{path} is damaged, edited, or of an earlier version: {advice}")
    return value


def write_json(path: Path, value: Mapping) -> None:
    """Write `value` as indented JSON, atomically.

    Raises
    ------
    ArchiveError
        Where the folder is read-only or full.
    """
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    _write(path, lambda stream: stream.write(text.encode()))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz, atomically; raises `ArchiveError` as `write_json` does."""
    _write(path, lambda stream: np.savez(stream, **arrays))


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file as it is; `mode` says who may read it, less what the process denies to all its files."""
    _write(path, lambda stream: stream.write(content), mode)


def write_stream(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write what `fill` puts into the stream it is given, atomically; raises `ArchiveError` as `write_json` does."""
    _write(path, fill)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises
    ------
    ArchiveError
        Where the file is truncated, altered, foreign, or holds a pickle.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except (OSError, ValueError, KeyError, *DAMAGED_ZIP) as error:
        raise ArchiveError(
            f"{path.name} is damaged ({error}); delete {path.parent.name}/ to begin that block again"
        ) from None


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `target` in one step: `fill` writes into a neighbour, which then takes its name.

    Raises
    ------
    ArchiveError
        Where `target` is there already and not empty (nothing is ever replaced), or the folder is read-only or full.
    """
    with one_line(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for leftover in target.parent.glob(f".{target.name}.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            aside.mkdir()
            fill(aside)
            for path in sorted(aside.rglob("*")):
                _sync(path)
            if target.exists():
                if not target.is_dir() or any(target.iterdir()):
                    raise ArchiveError(f"{target} is already there; refusing to replace it")
                target.rmdir()  # a workflow makes the folders of its outputs before it runs
            aside.rename(target)
            _sync(target.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def probe(folder: Path) -> None:
    """Raise `ArchiveError` where nothing can be written to `folder`: before a long run, not after it."""
    path = folder / f".probe-{uuid.uuid4().hex[:8]}"  # others may probe at the same time
    _write(path, lambda stream: stream.write(b"probe"))
    path.unlink(missing_ok=True)


def _write(path: Path, fill: Callable[[BinaryIO], object], mode: int = 0o666) -> None:
    with one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with open(aside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
                fill(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(aside, path)
            _sync(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name == "nt":  # no handles on folders there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def one_line(path: Path, what: str = "write") -> Iterator[None]:
    """Turn what the file system refuses into one line that names the place."""
    try:
        yield
    except OSError as error:
        saved = "; what was saved before is untouched" if what == "write" else ""
        raise ArchiveError(f"cannot {what} {path}: {error.strerror or error}{saved}") from None

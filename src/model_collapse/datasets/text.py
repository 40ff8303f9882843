"""Texts: what every Python carries, and a person's own."""

from __future__ import annotations

import hashlib
import platform
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError

__all__ = ["Text", "language_reference", "read_text", "word_counts"]

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True)
class Text:
    """A text and what a manifest says of it."""

    name: str
    text: str

    def card(self) -> dict[str, object]:
        """Name, SHA-256, length, words and different words; never a path."""
        encoded, counts = self.text.encode(), word_counts(self.text)
        checksum = hashlib.sha256(encoded).hexdigest()
        size = {"bytes": len(encoded), "words": sum(counts.values()), "types": len(counts)}
        return {"name": self.name, "sha256": checksum} | size


def language_reference() -> Text:
    """The language reference that every CPython carries (``pydoc_data.topics``), topics in order of their names."""
    from pydoc_data.topics import topics

    version = ".".join(platform.python_version_tuple()[:2])
    return Text(f"CPython {version} language reference", "\n\n".join(topics[name] for name in sorted(topics)))


def read_text(path: Path) -> Text:
    """A person's own text file, UTF-8.

    Raises
    ------
    DataError
        Where the file is missing, empty, binary, not UTF-8, or holds no words.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: {error.strerror or error}") from None
    if not raw.strip():
        raise DataError(f"{path.name} is empty")
    if b"\0" in raw:
        raise DataError(f"{path.name} is binary, not text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 (byte {error.start}); convert it first, e.g. with iconv") from None
    if not _WORD.search(text):
        raise DataError(f"{path.name} holds no words")
    return Text(path.name, text)


def word_counts(text: str) -> dict[str, int]:
    """Count of every word, lower case, commonest first (ties in alphabetical order)."""
    counts = Counter(_WORD.findall(text.lower()))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

"""Human text in its three parts: what models learn, what steers them, what they are tested on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .. import datasets

__all__ = ["Corpus", "load_corpus", "split", "wikitext_2"]


@dataclass(frozen=True)
class Corpus:
    """A name and three texts.

    Attributes
    ----------
    base : str or None
        Checksum of the model that starts from them, whose tokenizer cuts them; None for one made of the text itself.
    """

    name: str
    train: str
    valid: str
    test: str
    base: str | None = None

    def card(self) -> dict[str, object]:
        """What a manifest says: name, SHA-256 of the three texts, their bytes, and the base's; never a path."""
        parts = [part.encode() for part in (self.train, self.valid, self.test)]
        checksum = hashlib.sha256(b"\0".join(parts)).hexdigest()
        return {"name": self.name, "sha256": checksum, "bytes": [len(part) for part in parts], "base": self.base}


def wikitext_2() -> Corpus:
    """WikiText-2 in the splits it comes with."""
    return Corpus("WikiText-2", *(datasets.wikitext(part).text for part in ("train", "valid", "test")))


def split(text: datasets.Text) -> Corpus:
    """Any other text: its lines in their order, the last tenth for testing, the tenth before it for validation."""
    lines = text.text.splitlines(keepends=True)
    if len(lines) < 30:  # a text of a few long lines is cut at spaces instead
        lines = [word + " " for word in text.text.split()]
    last, middle = len(lines) - len(lines) // 10, len(lines) - 2 * (len(lines) // 10)
    parts = (lines[:middle], lines[middle:last], lines[last:])
    return Corpus(text.name, *("".join(part) for part in parts))


def load_corpus(name: str, path: Path | None) -> Corpus:
    """A person's own text, or a corpus by name: ``wikitext`` or ``reference`` (CPython's language reference)."""
    if path is not None:
        return split(datasets.read_text(path))
    return wikitext_2() if name == "wikitext" else split(datasets.language_reference())

"""Human text in its three parts: what models learn, what steers them, what they are tested on."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from .. import datasets

__all__ = ["Corpus", "dialects", "load_corpus", "split", "wikitext_2"]

DIALECT = (20, 20)  # of so many passages one is in the dialect; lines of a passage


@dataclass(frozen=True)
class Corpus:
    """A name and three texts.

    Attributes
    ----------
    base : str or None
        Checksum of the model that starts from them, whose tokenizer cuts them; None for one made of the text itself.
    minor : str
        The test text again, in the dialect of a two-part text; empty for others.
    """

    name: str
    train: str
    valid: str
    test: str
    base: str | None = None
    minor: str = ""

    def card(self) -> dict[str, object]:
        """What a manifest says: name, SHA-256 of the three texts, their bytes, and the base's; never a path."""
        texts = (self.train, self.valid, self.test) + ((self.minor,) if self.minor else ())
        parts = [part.encode() for part in texts]
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


def dialects() -> Corpus:
    """CPython's language reference, of which every twentieth passage is in a dialect of its own.

    The dialect moves every letter by thirteen places. It has the same grammar, the same things to say and hardly a word
    in common with the other part (*be* and *or* change places, numbers stay), so that little tells the two apart but
    how much of each there is, and the tokenizer's longer tokens for what there is more of. Both test texts say the
    same.
    """
    plain = split(datasets.language_reference())
    every, lines = DIALECT
    found = plain.train.splitlines(keepends=True)
    passages = ["".join(found[k : k + lines]) for k in range(0, len(found), lines)]
    mixed = [_moved(text) if number % every == every // 2 else text for number, text in enumerate(passages)]
    name = f"{plain.name}, in two dialects"
    return replace(plain, name=name, train="".join(mixed), minor=_moved(plain.test))


def _moved(text: str) -> str:
    return codecs.encode(text, "rot13")


def load_corpus(name: str, path: Path | None) -> Corpus:
    """A person's own text, or a corpus by name.

    ``wikitext``; ``reference``, which is CPython's language reference; ``dialects``, the same in two dialects.
    """
    if path is not None:
        return split(datasets.read_text(path))
    known = {"wikitext": wikitext_2, "dialects": dialects}
    return known[name]() if name in known else split(datasets.language_reference())

"""What is wrong with a corpus, a key or a ledger, said in one line."""

from __future__ import annotations

__all__ = ["LedgerError", "ProvenanceError", "shown"]

MOST_SHOWN = 100


class ProvenanceError(ValueError):
    """A corpus or a key that cannot be used. The message is one line that names the file and the reason."""


class LedgerError(ProvenanceError):
    """A ledger that cannot be trusted: truncated, edited, signed by another key, of another version, or none."""


def shown(name: str) -> str:
    """A name from a disk as it may be printed: short, on one line, with nothing that a terminal would obey."""
    printable = name if name.isprintable() else ascii(name)
    return printable if len(printable) <= MOST_SHOWN else f"{printable[: MOST_SHOWN // 2]}…{printable[-20:]}"

"""Where the items of a corpus come from: a signed ledger, and the audit that holds a corpus against it.

`seal` writes for each file of a folder, or each line of a JSONL file, who made it; `audit` says which items still are
what was sealed, with their shares, and which are unknown or tampered with. Keys are Ed25519, from the library
``cryptography`` (the extra ``provenance``), which only they need. The module ``credentials`` exports what a run was for
programs that know nothing of ledgers, by way of ``c2pa-python`` (the extra ``credentials``).
"""

from .auditing import TAMPERED, UNKNOWN, UNTRUSTED, Finding, Report, audit
from .errors import LedgerError, ProvenanceError
from .items import Item, read_items
from .keys import new_pair, read_private, read_public
from .ledger import Entry, Ledger, Statement, read_ledger, write_ledger
from .sealing import Sealed, seal, statement
from .shares import made_by, shares_by_maker, trail

__all__ = [
    "TAMPERED",
    "UNKNOWN",
    "UNTRUSTED",
    "Entry",
    "Finding",
    "Item",
    "Ledger",
    "LedgerError",
    "ProvenanceError",
    "Report",
    "Sealed",
    "Statement",
    "audit",
    "made_by",
    "new_pair",
    "read_items",
    "read_ledger",
    "read_private",
    "read_public",
    "seal",
    "shares_by_maker",
    "statement",
    "trail",
    "write_ledger",
]

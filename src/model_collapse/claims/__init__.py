"""The claims, their rules and their verdicts. Reads records only.

>>> results = scorecard(find_records(Path("data/results")))
>>> pandas.DataFrame(as_rows(results))
"""

from .claim import (
    NO_VERDICT,
    NOT_REPLICATED,
    NOT_TESTABLE,
    NOT_YET,
    PARTLY,
    REPLICATED,
    SOURCE_ONLY,
    VERDICTS,
    Claim,
    Finding,
    NoVerdict,
    SourceCheck,
)
from .hashing import rule_hash
from .scorecard import Result, as_rows, by_verdict, evaluate, find_records, rules_in_force, scorecard
from .table import CLAIMS

__all__ = [
    "CLAIMS",
    "NOT_REPLICATED",
    "NOT_TESTABLE",
    "NOT_YET",
    "NO_VERDICT",
    "PARTLY",
    "REPLICATED",
    "SOURCE_ONLY",
    "Claim",
    "Finding",
    "NoVerdict",
    "Result",
    "SourceCheck",
    "VERDICTS",
    "as_rows",
    "by_verdict",
    "evaluate",
    "find_records",
    "rule_hash",
    "rules_in_force",
    "scorecard",
]

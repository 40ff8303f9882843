"""What a claim is, and what a rule finds.

A claim is a statement that records can speak for or against. Its rule is fixed before the run: a pure function from
records to a finding. The rule knows nothing of files, profiles or figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from model_collapse.archive import Record

__all__ = [
    "NOT_REPLICATED",
    "NOT_TESTABLE",
    "NOT_YET",
    "NO_VERDICT",
    "PARTLY",
    "REPLICATED",
    "SOURCE_CHECKS",
    "SOURCE_ONLY",
    "Claim",
    "Finding",
    "NoVerdict",
    "Records",
    "Rule",
    "SourceCheck",
    "VERDICTS",
    "grade",
]

REPLICATED = "replicated"
PARTLY = "partly replicated"
NOT_REPLICATED = "not replicated"
NO_VERDICT = "no verdict"
NOT_YET = "not yet tested"
NOT_TESTABLE = "not testable here"
SOURCE_ONLY = "source check only"
VERDICTS = (REPLICATED, PARTLY, NOT_REPLICATED, NOT_YET, NO_VERDICT, NOT_TESTABLE, SOURCE_ONLY)
"""In the order in which tables show them."""

SOURCE_CHECKS = ("stated", "stated otherwise", "not found", "misattributed")


class NoVerdict(Exception):
    """The records are sound but cannot decide the claim; the message is the reason, in one line."""


@dataclass(frozen=True)
class Finding:
    """What a rule read from the records.

    Attributes
    ----------
    verdict : str
        One of the verdicts of this module, or the label of a claim whose answer is a label.
    measured : str
        The measured numbers as short text.
    value : float
        The primary measure.
    interval : tuple of two floats or None
        95 % interval of `value` over chains, where the primary measure has one.
    chains : int
        The fewest chains behind any number of the finding.
    reason : str
        One sentence: what was compared with what.
    """

    verdict: str
    measured: str
    value: float
    interval: tuple[float, float] | None
    chains: int
    reason: str


Records = Mapping[str, Record]
Rule = Callable[[Records], Finding]


@dataclass(frozen=True)
class SourceCheck:
    """Whether the source that a press statement leans on says it: a verdict, the place, and why.

    Raises
    ------
    ValueError
        Where the verdict is none of `SOURCE_CHECKS`.
    """

    verdict: str
    place: str
    reason: str

    def __post_init__(self):
        if self.verdict not in SOURCE_CHECKS:
            raise ValueError(f"a source check is one of {SOURCE_CHECKS}, not {self.verdict!r}")

    def __str__(self) -> str:
        return f"{self.verdict} ({self.place}): {self.reason}"


@dataclass(frozen=True)
class Claim:
    """A testable statement with its source and its rule.

    Attributes
    ----------
    id, family, group : str
        Name of the row, the family whose records decide it, and the source it belongs to.
    statement : str
        The claim in the project's own words.
    source : str
        Paper and section or figure.
    paper : str
        The number the source gives, as text; second-hand numbers say so.
    needs : mapping of str to (family, study)
        Alias in the rule -> the record it stands for.
    rule : callable or None
        None for a parent row and for a row that has a source check only.
    gives : tuple of str
        Every verdict the rule can reach.
    children : tuple of str
        Rows a parent row sums up.
    source_check : SourceCheck or None
        For press rows.
    test_command : str
        How to test the claim elsewhere; where it is given and no record exists the row reads "not testable here".
    """

    id: str
    family: str
    group: str
    statement: str
    source: str
    paper: str
    needs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rule: Rule | None = None
    gives: tuple[str, ...] = (REPLICATED, PARTLY, NOT_REPLICATED)
    children: tuple[str, ...] = ()
    source_check: SourceCheck | None = None
    test_command: str = ""


def grade(full: bool, part: bool = False) -> str:
    """The verdict for a rule's full condition and, failing that, its partial one."""
    if full:
        return REPLICATED
    return PARTLY if part else NOT_REPLICATED

"""Every claim held against the records at hand: findings in, one row per claim out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_collapse.archive import ArchiveError, Record, load_record

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
)
from .hashing import rule_hash
from .table import CLAIMS

__all__ = ["Find", "Result", "as_rows", "by_verdict", "evaluate", "find_records", "rules_in_force", "scorecard"]

Find = Callable[[str, str], Record | None]

WORST_FIRST = (NOT_REPLICATED, PARTLY, REPLICATED)
_OWN_START = "Each chain has its own generation 0, which runs of one seed share chain by chain on one kind of processor"
# What the chains of a family have in common, to be said wherever an interval over them is shown.
SHARED = {
    "llm": "Chains share the data and, where there is one, the base.",
    "gan": f"{_OWN_START}, and its own part of the data.",
    "vae": f"{_OWN_START}; the released runs probably shared a single one.",
}


@dataclass(frozen=True)
class Result:
    """A claim, what was found, the profiles of the records it was read from, and whether its rule changed since."""

    claim: Claim
    finding: Finding
    profile: str = ""
    rule_changed: bool = False


def scorecard(finds: Sequence[Find], claims: Sequence[Claim] = CLAIMS) -> list[Result]:
    """Evaluate every claim, in the order of the table.

    Parameters
    ----------
    finds : sequence of callable (family, study) -> Record or None
        Where records lie, the most wanted place first; each may raise `ArchiveError` for a damaged one. See
        `find_records`.
    claims : sequence of Claim

    Returns
    -------
    list of Result
        A damaged, missing or insufficient record costs the claims that need it their verdict, and nothing else.
    """
    own = {claim.id: evaluate(claim, finds) for claim in claims if not claim.children}
    return [own.get(claim.id) or _sum_up(claim, [own[child] for child in claim.children]) for claim in claims]


def evaluate(claim: Claim, finds: Sequence[Find]) -> Result:
    """One claim that has no children, by the first place that has all of the records it needs."""
    if claim.rule is None:
        return Result(claim, _without_numbers(SOURCE_ONLY, "No experiment bears on it; the source was looked up."))
    records: dict[str, Record] = {}
    try:
        records = _together(claim, finds)
        if None in records.values():
            return Result(claim, _missing(claim, records))
        finding = claim.rule(records)
    except (NoVerdict, ArchiveError) as error:
        finding = _without_numbers(NO_VERDICT, f"{error}.")
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError) as error:
        finding = _without_numbers(NO_VERDICT, f"The record cannot be read ({type(error).__name__}: {error}).")
    profiles = sorted({str(record.manifest.get("profile")) for record in records.values()})
    change = _rule_change(claim, records)
    reason = " ".join(filter(None, [finding.reason, SHARED.get(claim.family) if finding.interval else "", change]))
    return Result(claim, _with_reason(finding, reason), " + ".join(profiles), bool(change))


def _together(claim: Claim, finds: Sequence[Find]) -> dict[str, Record | None]:
    """What a claim needs from the first place that has all of it, or else from the one that lacks least."""
    best: dict[str, Record | None] = dict.fromkeys(claim.needs)
    for find in finds:
        found = {alias: find(*need) for alias, need in claim.needs.items()}
        if None not in found.values():
            return found
        if list(found.values()).count(None) < list(best.values()).count(None):
            best = found
    return best


def _rule_change(claim: Claim, records: dict[str, Record]) -> str:
    """A sentence where the rule is not the one in force when a record was made, else an empty text."""
    now = rule_hash(claim.rule)
    then = [(record.manifest.get("rules") or {}).get(claim.id) for record in records.values()]
    if any(past not in (None, now) for past in then):
        return "The rule was changed after the run."
    return "The rule was written after the run." if None in then else ""


def _missing(claim: Claim, found: dict[str, Record | None]) -> Finding:
    if claim.test_command:
        return _without_numbers(NOT_TESTABLE, f"To test it: {claim.test_command}")
    missing = sorted({"/".join(claim.needs[alias]) for alias, record in found.items() if record is None})
    return _without_numbers(NOT_YET, f"No record of {', '.join(missing)}.")


def _sum_up(claim: Claim, children: list[Result]) -> Result:
    """A parent row: the worst verdict among its children that have one, and the spread of all of them."""
    verdicts = {result.claim.id: result.finding.verdict for result in children}
    judged = [verdict for verdict in WORST_FIRST if verdict in verdicts.values()]
    verdict = judged[0] if judged else NO_VERDICT if NO_VERDICT in verdicts.values() else NOT_YET
    spread = "; ".join(f"{name}: {text}" for name, text in verdicts.items())
    finding = Finding(
        verdict,
        spread,
        float("nan"),
        None,
        min((r.finding.chains for r in children if r.finding.verdict in WORST_FIRST), default=0),
        "The worst of the families' verdicts; the measured column has all of them.",
    )
    profiles = sorted({part for result in children for part in result.profile.split(" + ") if part})
    return Result(claim, finding, " + ".join(profiles), any(result.rule_changed for result in children))


def _without_numbers(verdict: str, reason: str) -> Finding:
    return Finding(verdict, "", float("nan"), None, 0, reason)


def _with_reason(finding: Finding, reason: str) -> Finding:
    return Finding(finding.verdict, finding.measured, finding.value, finding.interval, finding.chains, reason)


def rules_in_force(family: str) -> dict[str, str]:
    """Fingerprints of the rules that read a family's records, by claim, for ``manifest["rules"]``."""
    return {c.id: rule_hash(c.rule) for c in CLAIMS if c.rule and any(need[0] == family for need in c.needs.values())}


def by_verdict(rows: Mapping[str, dict]) -> dict[str, list[str]]:
    """Claims by verdict, from `as_rows` by claim: those of `VERDICTS` in their order, then words of a rule's own.

    Claims that sum up others are left out: their parts are there.
    """
    found = {verdict: [] for verdict in VERDICTS}
    for claim in CLAIMS:
        if claim.id in rows and not claim.children:
            found.setdefault(rows[claim.id]["verdict"], []).append(claim.id)
    return {verdict: names for verdict, names in found.items() if names}


def as_rows(results: Iterable[Result]) -> list[dict]:
    """One flat dict per claim, for tables, pages and JSON (a value that is no number or not finite becomes None)."""
    return [_row(result) for result in results]


def _row(result: Result) -> dict:
    claim, finding = result.claim, result.finding
    return {
        "id": claim.id,
        "family": claim.family,
        "group": claim.group,
        "statement": claim.statement,
        "source": claim.source,
        "paper": claim.paper,
        "measured": finding.measured,
        "value": finding.value if math.isfinite(finding.value) else None,
        "interval": finding.interval,
        "chains": finding.chains,
        "profile": result.profile,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "source_check": str(claim.source_check) if claim.source_check else "",
        "rule_changed": result.rule_changed,
    }


def find_records(root: Path, profiles: Sequence[str] = ("paper", "laptop")) -> list[Find]:
    """A `find` for each profile, the most wanted first; each reads ``<root>/<family>/<profile>-<study>/``, once.

    Records of different profiles are of different scales, so no claim compares one with another. A damaged record
    raises `ArchiveError` and is not replaced in silence by that of a lesser profile.
    """
    return [_find_at(Path(root), profile) for profile in profiles]


def _find_at(root: Path, profile: str) -> Find:
    @functools.cache
    def find(family: str, study: str) -> Record | None:
        folder = root / family / f"{profile}-{study}"
        if not folder.is_dir():
            return None
        record = load_record(folder)
        if (record.manifest.get("profile"), record.manifest.get("study")) != (profile, study):
            raise ArchiveError(f"record {folder} is of another study or profile than its name says")
        return record

    return find

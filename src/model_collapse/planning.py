"""Which archived runs are missing or stale, what they would cost, and how many verdicts wait for them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .archive import ArchiveError, Record, load_record
from .claims import CLAIMS, Claim
from .families import FAMILIES, family

__all__ = ["Item", "archived", "plan", "staleness"]

PROFILE = "paper"
NETWORKS = ("vae", "llm", "gan")  # at paper scale they want a GPU
MISSING, DAMAGED, NOT_BUILT = "missing", "damaged", "not built yet"


@dataclass(frozen=True)
class Item:
    """A run that the archive lacks.

    Attributes
    ----------
    state : str
        "missing", "damaged", "not built yet" (no code for it), or "stale" and why.
    verdicts : float
        Verdicts that wait for it; one that waits for several runs counts in equal parts for each.
    hours : float or None
        Estimated time on one core; None where nothing is known.
    gpu : bool
        Whether it wants a GPU.
    """

    family: str
    study: str
    state: str
    verdicts: float
    hours: float | None
    gpu: bool

    @property
    def verdicts_per_hour(self) -> float:
        return self.verdicts / self.hours if self.hours else 0.0


def plan(root: Path, profile: str = PROFILE, table: Sequence[Claim] = CLAIMS) -> list[Item]:
    """What the archive under `root` lacks, most verdicts per hour first, then what has no estimate."""
    wanted = {(name, study) for name in FAMILIES for study in family(name).studies}
    wanted |= {need for claim in table for need in claim.needs.values()}
    states = {need: _state(root, *need, profile) for need in wanted}
    lacking = {need: state for need, state in states.items() if state}
    gains = dict.fromkeys(lacking, 0.0)
    for claim in table:
        waits = {need for need in claim.needs.values() if need in lacking}
        for need in waits:
            gains[need] += 1 / len(waits)
    paces = {name: _pace(root, name) for name in FAMILIES}
    items = [Item(*need, state, gains[need], *_cost(*need, state, profile, paces)) for need, state in lacking.items()]
    return sorted(items, key=lambda item: (-item.verdicts_per_hour, -item.verdicts, item.family, item.study))


def archived(root: Path) -> list[Path]:
    """Folders of all records under `root`, by name."""
    return sorted(path.parent for path in Path(root).glob("*/*/manifest.json"))


def staleness(record: Record) -> str:
    """What differs between a record and the run that its study would be today; empty where nothing does.

    A commit makes no record stale: only the family's protocol number, the configuration, the arms, or another checksum
    of the data of that name.
    """
    said = record.manifest
    if said["family"] not in FAMILIES:
        return "family"
    chosen = family(said["family"])
    if said["study"] not in chosen.studies:
        return "" if said["study"] is None else "study"
    config, arms = chosen.configure(said["study"], said["profile"])
    today = chosen.identity(config, arms, said["seed"], None)
    plain = lambda value: json.loads(json.dumps(value))  # noqa: E731 - as a manifest on the disk has it
    differ = [key for key in ("protocol", "config", "arms") if plain(said[key]) != plain(today[key])]
    if said["data"] is not None and chosen.load:
        at_hand = chosen.load(config, None)
        card = at_hand.card() if at_hand else None
        if card and card["name"] == said["data"]["name"] and card["sha256"] != said["data"]["sha256"]:
            differ.append("data")
    return ", ".join(differ)


def _state(root: Path, name: str, study: str, profile: str) -> str:
    if name not in FAMILIES or study not in family(name).studies:
        return NOT_BUILT
    folder = Path(root) / name / f"{profile}-{study}"
    if not folder.is_dir():
        return MISSING
    try:
        record = load_record(folder)
        of_another = record.manifest["profile"] != profile or record.manifest["study"] != study
        differs = "profile or study" if of_another else staleness(record)
    except ArchiveError:
        return DAMAGED
    return f"stale: {differs} differs" if differs else ""


def _pace(root: Path, name: str) -> float:
    """Seconds for one unit of the family's work: the median over its records here, else what its module says."""
    chosen, found = family(name), []
    for folder in archived(Path(root)):
        if folder.parent.name != name:
            continue
        try:
            said = load_record(folder).manifest
            config, arms = chosen.configure(said["study"], said["profile"])
            found.append(said["seconds"]["total"] / chosen.amount(config, arms))
        except (ArchiveError, ValueError):
            continue
    return statistics.median(found) if found else chosen.pace


def _cost(name: str, study: str, state: str, profile: str, paces: dict[str, float]) -> tuple[float | None, bool]:
    if state == NOT_BUILT:
        return None, name in NETWORKS
    chosen = family(name)
    return chosen.amount(*chosen.configure(study, profile)) * paces[name] / 3600, profile in chosen.gpu

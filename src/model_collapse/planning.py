"""Which archived runs are missing or stale, what they would cost, and how many verdicts wait for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from .archive import ArchiveError, Record, load_record
from .claims import CLAIMS, Claim
from .datasets import DataError
from .datasets.fetching import at_hand_only
from .families import FAMILIES, family
from .runs import BaseConfig, ConfigError, Family

__all__ = ["FULL", "NETWORKS", "Item", "archived", "hours", "pace", "parts", "plan", "staleness", "taken"]

FULL = "paper"
NETWORKS = ("vae", "llm", "gan")
"""Families that train networks; at the scale of the papers they want a GPU."""
MISSING, DAMAGED, NOT_BUILT = "missing", "damaged", "not built yet"


@dataclass(frozen=True)
class Item:
    """A run that the archive lacks.

    Attributes
    ----------
    profile : str
        Empty where there is no code for it.
    state : str
        "missing", "damaged", "not built yet" (no code for it), or "stale" and why.
    verdicts : float
        Verdicts that wait for it; one that waits for several runs counts in equal parts for each.
    hours : float or None
        Estimated time on the run's cores; None where nothing is known.
    cores : int
    gpu : bool
        Whether it wants a GPU.
    """

    family: str
    study: str
    profile: str
    state: str
    verdicts: float
    hours: float | None
    cores: int
    gpu: bool

    @property
    def verdicts_per_hour(self) -> float:
        return self.verdicts / self.hours if self.hours else 0.0


def plan(root: Path, profile: str | None = None, table: Sequence[Claim] = CLAIMS) -> list[Item]:
    """What the archive under `root` lacks, most verdicts per hour first, then what has no estimate.

    Without `profile`, each family at the profile that its archive is made at; a record at the scale of the papers
    serves as well where all others are there that it is compared with.
    """
    wanted = {(name, study) for name in FAMILIES for study in family(name).studies}
    wanted |= {need for claim in table for need in claim.needs.values()}
    scales = {name: profile or family(name).archive for name in FAMILIES}
    states = {need: _state(root, *need, scales.get(need[0], "")) for need in wanted}
    served = _served(root, {need for need, state in states.items() if state}, table) if profile is None else set()
    lacking = {need: state for need, state in states.items() if state and need not in served}
    gains = dict.fromkeys(lacking, 0.0)
    for claim in table:
        waits = {need for need in claim.needs.values() if need in lacking}
        for need in waits:
            gains[need] += 1 / len(waits)
    paces = {name: pace(name, taken(root, name)) for name in FAMILIES}
    items = [
        Item(*need, scale, state, gains[need], *_cost(*need, state, scale, paces.get(need[0])))
        for need, state in lacking.items()
        for scale in [scales.get(need[0], "")]
    ]
    return sorted(items, key=lambda item: (-item.verdicts_per_hour, -item.verdicts, item.family, item.study))


def hours(name: str, study: str, profile: str, seconds: float) -> float:
    """Estimated hours of one run on its own cores, at so many seconds for a unit of its work (see `pace`)."""
    config, arms = family(name).configure(study, profile)
    return family(name).amount(config, arms) * seconds / 3600


def pace(name: str, records: pd.DataFrame) -> float:
    """Seconds for a unit of the family's work: the median over its records (see `taken`), else what its module says."""
    return float((records["seconds"] / records["work"]).median()) if len(records) else family(name).pace


def parts(name: str, study: str, profile: str, most: int = 16) -> int:
    """Into how many jobs a run can be cut: as many as it has blocks of chains, up to a limit."""
    config, arms = family(name).configure(study, profile)
    return min(len(arms) * math.ceil(config.chains / config.block), most)


def taken(root: Path, name: str) -> pd.DataFrame:
    """What the family's records under `root` took: run, work (in the family's units), seconds, threads."""
    chosen, found = family(name), []
    for folder in archived(Path(root)):
        if folder.parent.name != name:
            continue
        try:
            said = load_record(folder).manifest
            config, arms = chosen.recorded(said)
            amount = chosen.amount(config, arms.values())
        except (ArchiveError, ConfigError):
            continue
        if amount:
            found.append((folder.name, amount, said["seconds"]["total"], config.threads))
    return pd.DataFrame(found, columns=["run", "work", "seconds", "threads"])


def archived(root: Path) -> list[Path]:
    """Folders of all records under `root`, by name, those without a manifest included."""
    folders = (path for path in Path(root).glob("*/*") if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if any(path.iterdir()))


def staleness(record: Record) -> str:
    """What differs between a record and the run that the same words would make today; empty where nothing does.

    A commit makes no record stale, nor another number of threads: only the family's protocol number, its study's
    configuration or arms, or another checksum of the data of that name, or of the model that all start from.
    """
    said = record.manifest
    if said["family"] not in FAMILIES:
        return "family"
    chosen = family(said["family"])
    config, arms = chosen.recorded(said)
    differ = [] if said["protocol"] == chosen.protocol else ["protocol"]
    if record.is_of_study:
        if said["study"] not in chosen.studies or said["profile"] not in chosen.profiles:
            return "study"
        today, swept = chosen.configure(said["study"], said["profile"])
        differ += [] if config == replace(today, threads=config.threads) else ["config"]
        differ += [] if list(arms.values()) == list(swept) else ["arms"]
    if said["data"] is not None and chosen.load and config.variant != chosen.data_variant:
        card = _card_at_hand(chosen, config)
        if card["name"] == said["data"]["name"]:
            differ += ["data"] if card["sha256"] != said["data"]["sha256"] else []
            differ += ["base"] if card.get("base") != said["data"].get("base") else []
    return ", ".join(differ)


def _card_at_hand(chosen: Family, config: BaseConfig) -> dict:
    """What a manifest would say today of the data of a configuration; of no name where they are not here."""
    try:
        with at_hand_only():
            return chosen.load(config, None).card()
    except DataError:
        return {"name": None}


def _served(root: Path, lacking: set[tuple[str, str]], table: Sequence[Claim]) -> set[tuple[str, str]]:
    """Those of the missing records that nobody misses, because there are better ones at the scale of the papers.

    A claim compares records of one scale only, so there must be better ones of all that it needs.
    """
    full = {need for need in lacking if not _state(root, *need, FULL)}
    for claim in table:
        needs = set(claim.needs.values())
        if needs & full and any(_state(root, *need, FULL) for need in needs):
            full -= needs
    return full


def _state(root: Path, name: str, study: str, profile: str) -> str:
    if name not in FAMILIES or study not in family(name).studies:
        return NOT_BUILT
    folder = Path(root) / name / f"{profile}-{study}"
    if not folder.is_dir() or not any(folder.iterdir()):
        return MISSING
    try:
        record = load_record(folder)
        of_another = record.manifest["profile"] != profile or record.manifest["study"] != study
        differs = "profile or study" if of_another else staleness(record)
    except ArchiveError:
        return DAMAGED
    except ConfigError as error:
        return f"stale: {error}"
    return f"stale: {differs} differs" if differs else ""


def _cost(name: str, study: str, state: str, profile: str, seconds: float | None) -> tuple[float | None, int, bool]:
    """Hours, cores, and whether it wants a GPU."""
    if state == NOT_BUILT:
        return None, 1, name in NETWORKS
    config, _ = family(name).configure(study, profile)
    return hours(name, study, profile, seconds), config.threads, profile in family(name).gpu

"""A family of models, and the way from its settings to a record."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import archive, device
from ..archive import ArchiveError, BlockState, Record
from ..recursion import Generation
from ..regimes import NUMBERS, make_regime, nearest
from .blocks import Block, kept_samples, merge_blocks, run_block
from .plan import Plan
from .progress import progress_bar
from .settings import BaseConfig, ConfigError, Study, label

__all__ = ["MANY", "Family"]

MANY = 8  # arms of a sweep, from which on nothing is kept to look at: a record stays small


@dataclass(frozen=True)
class Family:
    """A kind of generative model, as `run` sees it.

    Attributes
    ----------
    build : callable
        ``build(config, regime, chains, seed, data)`` gives the source and the learner of one block.
    restore : callable
        Items from the arrays of a resume state.
    chain_metrics : tuple of str
        Metrics of which a record keeps single chains, beside the statistics that it keeps of all; empty: of all.
    load : callable or None
        ``load(config, path or None)`` gives the data, an object with ``card()``, or None where this configuration
        takes none; None for families without data.
    report : callable or None
        ``report(record)`` gives lines that answer what a person who ran it will ask first.
    data_variant : str
        The variant that reads a person's own data, taken where data are given and no variant is named.
    own : dict of str to dict
        Settings that a profile takes where a person brings data.
    by_variant : dict of str to dict
        Settings that a variant brings with it; a study's and a person's own go before them.
    keep : callable or None
        ``keep(learner, generation)`` gives arrays of equal shape for every generation, to look at and to compute
        again; a record has those of the first block of every arm at the generations of ``config.kept()``, unless its
        study says no or it has more than `MANY` arms.
    replay : callable or None
        ``replay(config, kept)`` computes metrics again from what was kept, each of shape (kept generations, chains).
    work : callable or None
        ``work(config)`` is how much there is to compute in one arm, in units that make its time comparable between
        settings; without it, chains times fits.
    pace : float
        Seconds for one unit of work on a run's cores, for an estimate where no record of the family says better.
    gpu : tuple of str
        Profiles that want a GPU.
    archive : str
        The profile that the archive is made at where there is none.
    """

    name: str
    config: type[BaseConfig]
    profiles: dict[str, BaseConfig]
    studies: dict[str, Study]
    variants: dict[str, str]
    protocol: int
    build: Callable
    restore: Callable
    default_variant: str
    chain_metrics: tuple[str, ...] = ()
    load: Callable[[BaseConfig, Path | None], Any] | None = None
    report: Callable[[Record], list[str]] | None = None
    data_variant: str = ""
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_variant: dict[str, dict[str, Any]] = field(default_factory=dict)
    keep: Callable[[Any, Generation], dict[str, Any]] | None = None
    replay: Callable[[BaseConfig, dict[str, Any]], dict[str, Any]] | None = None
    work: Callable[[BaseConfig], float] | None = None
    pace: float = 1e-6
    gpu: tuple[str, ...] = ()
    archive: str = "paper"

    def configure(
        self, study: str | None, profile: str, **changes: Any
    ) -> tuple[BaseConfig, tuple[dict[str, Any], ...]]:
        """The configuration and arms of a study (None: the profile as it is) at a profile, with `changes` on top.

        Raises
        ------
        ConfigError
            For an unknown profile, study, variant or setting (with the nearest known one) or an impossible value.
        """
        self._known("profile", profile, self.profiles)
        swept: tuple[dict[str, Any], ...] = ({},)
        settings: dict[str, Any] = {}
        if study is not None:
            self._known("study", study, self.studies)
            plan = self.studies[study]
            settings = _spelled_out({"regime": plan.regime, **plan.settings, **plan.by_profile.get(profile, {})})
            settings["variant"] = plan.variant or self.default_variant
            swept = plan.arms if profile != "smoke" else tuple(plan.arms[i] for i in sorted({0, len(plan.arms) - 1}))
        settings |= _spelled_out(changes)
        settings.setdefault("variant", self.default_variant)
        self._known("variant", settings["variant"], self.variants)
        settings = self.by_variant.get(settings["variant"], {}) | settings
        known = {f.name for f in dataclasses.fields(self.config)}
        for name in settings:
            self._known("setting", name, known)
        config = dataclasses.replace(self.profiles[profile], **settings)
        rest = [{name: value for name, value in arm.items() if name not in changes} for arm in swept]
        swept = tuple(arm for number, arm in enumerate(rest) if arm not in rest[:number])
        for arm in swept:
            dataclasses.replace(config, **arm).check()
        return config, swept

    def run(
        self,
        study: str | None = None,
        profile: str = "quick",
        *,
        seed: int = 0,
        data: str | Path | None = None,
        save: str | Path | None = None,
        rules: dict[str, str] | None = None,
        name: str | None = None,
        on: Callable[[str, int], None] = lambda phase, g: None,
        progress: bool = True,
        checkpoint: float = 5.0,
        shard: tuple[int, int] | None = None,
        **changes: Any,
    ) -> Record | None:
        """Run a study at a profile and return its record; None in a process that was launched to help another.

        Parameters
        ----------
        data : path-like or None
            A person's own data, in the forms that the family reads; none where it is empty.
        save : path-like or None
            Folder of results; the record goes to ``save/<family>/<name>`` and the run can be resumed by calling it
            again. None keeps everything in memory.
        rules : dict or None
            Hashes of the rules that will judge this run, stored as they stand when it begins.
        on : callable
            Hears ("fit", g) and the like as each phase begins.
        checkpoint : float
            Seconds between two checkpoints.
        shard : (k, n) or None
            Run only the k-th of n parts of the blocks of chains and return None. Parts may run at the same time, on
            machines that share the folder of resume states, in any order; a call without `shard` merges them, and
            runs what is missing.
        **changes
            Settings that differ from the study's.

        Raises
        ------
        ConfigError, RegimeError, DataError, ArchiveError
            Each with a message of one line.
        """
        plan = self.plan(study, profile, seed=seed, data=data, name=name, **changes)
        options = {"checkpoint": checkpoint, "on": on}
        if save is None:
            started = self._started(rules, plan.config)
            return self._merged(plan, started, self._blocks(plan, plan.blocks(), None, progress, options))
        target = self._target(Path(save), plan)
        if (target / "manifest.json").exists():
            return self._finished(target, plan)
        archive.probe(target.parent)  # what cannot be saved is not begun
        started = archive.once(plan.folder / "started.json", lambda: self._started(rules, plan.config))
        plan = dataclasses.replace(plan, config=plan.config.as_made(started["machine"]))
        if shard:
            self._blocks(plan, plan.blocks()[shard[0] - 1 :: shard[1]], plan.folder, progress, options)
            return None
        with archive.held(plan.folder):
            record = self._merged(plan, started, self._blocks(plan, plan.blocks(), plan.folder, progress, options))
            if not device.leads():
                return None
            on("write", -1)
            record = archive.save_record(target, record)
        shutil.rmtree(plan.folder, ignore_errors=True)
        return record

    def plan(
        self,
        study: str | None = None,
        profile: str = "quick",
        *,
        seed: int = 0,
        data: str | Path | None = None,
        name: str | None = None,
        **changes: Any,
    ) -> Plan:
        """The run that `run` would make: its configuration, data, name and identity. Nothing is computed or written."""
        changes = _spelled_out({name: value for name, value in changes.items() if value is not None})
        data = Path(data) if data else None
        if data is not None:
            brought = {"variant": self.data_variant} if self.data_variant else {}
            changes = brought | self.own.get(profile, {}) | changes
        config, swept = self.configure(study, profile, **changes)
        loaded = self.load(config, data) if self.load else None
        if data is not None and loaded is None:
            raise ConfigError(f"family {self.name!r}, variant {config.variant!r}, takes no data")
        if seed < 0:
            raise ConfigError(f"seed must not be negative, not {seed}")
        identity = self.identity(config, swept, seed, loaded)
        hashed = archive.digest(identity)
        name = name or self._name(study, profile, config, hashed, changes.keys(), seed > 0 or data is not None)
        if not re.fullmatch(r"\w[\w.,=-]*", name):
            raise ConfigError(f"{name!r} cannot name a run: letters, digits and . , = - _ only, and no folder")
        facts = {"family": self.name, "run": name, "profile": profile, "study": study}
        facts |= {"regime": config.regime, "variant": config.variant, "identity": hashed} | identity
        known = self.studies[study] if study else Study(config.regime)
        shown = known.shown and len(swept) <= MANY
        return Plan(name, config, swept, loaded, facts, known.single_chains, shown)

    def recorded(self, manifest: dict[str, Any]) -> tuple[BaseConfig, dict[str, dict[str, Any]]]:
        """The configuration that a manifest holds, and the settings of its arms by label.

        Raises
        ------
        ConfigError
            Where today's family cannot have such a configuration.
        """
        known = {f.name for f in dataclasses.fields(self.config)}
        settings = {name: _tuples(value) for name, value in manifest["config"].items() if name in known}
        arms = {arm["label"]: {k: _tuples(v) for k, v in arm["settings"].items()} for arm in manifest["arms"]}
        return self.config(**settings), arms

    def amount(self, config: BaseConfig, swept: Iterable[dict[str, Any]]) -> float:
        """Units of work in all arms of a run."""
        arms = [dataclasses.replace(config, **settings) for settings in swept]
        return sum(self.work(arm) if self.work else arm.chains * (arm.generations + 1) for arm in arms)

    def _target(self, save: Path, plan: Plan) -> Path:
        return save / self.name / plan.name

    def _name(
        self, study: str | None, profile: str, config: BaseConfig, hashed: str, changed: Set[str], own: bool
    ) -> str:
        """``<profile>-<study>``, or ``<profile>-<regime>-<variant>`` where there is none.

        A mark stands for what the name does not say, so that no run passes for another one, nor for a study.
        """
        stem = study or f"{config.regime}-{config.variant}".replace("_", "-")
        plain = not changed if study else not own and changed <= {"regime", "variant"} and stem not in self.studies
        return f"{profile}-{stem}" + ("" if plain else f"-{hashed[:8]}")

    def _known(self, kind: str, name: str, known: Any) -> None:
        if name not in known:
            raise ConfigError(f"family {self.name!r} has no {kind} {name!r}{nearest(name, sorted(known))}")

    def identity(self, config: BaseConfig, swept: tuple[dict[str, Any], ...], seed: int, data: Any) -> dict[str, Any]:
        """What makes two runs the same; a remedy where there is one."""
        settings = dataclasses.asdict(config)
        return {
            "protocol": self.protocol,
            "config": settings if config.remedy else {k: x for k, x in settings.items() if k != "remedy"},
            "arms": [{"label": label(arm), "settings": arm} for arm in swept],
            "seed": seed,
            "chains": config.chains,
            "block": config.block,
            "generations": config.generations,
            "data": data.card() if data is not None else None,
        }

    def _started(self, rules: dict[str, str] | None, config: BaseConfig) -> dict[str, Any]:
        return {
            "rules": rules or {},
            "source": archive.tree_digest(Path(__file__).parents[1]),
            "begun": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": device.machine(config.threads, config.compute()),
        }

    def _finished(self, target: Path, plan: Plan) -> Record:
        record = archive.load_record(target)
        if record.manifest.get("identity") != plan.facts["identity"]:
            raise ArchiveError(
                f"{self.name}/{plan.name} already holds a record of another configuration; refusing to mix: "
                "name this run with --name, or remove the old record"
            )
        return record

    def _blocks(
        self,
        plan: Plan,
        which: list[tuple[int, int]],
        folder: Path | None,
        progress: bool,
        options: dict[str, Any],
    ) -> list[Block]:
        """Run some blocks, or read them back where they have run; each is held for this process alone meanwhile."""
        config, found = plan.config, []
        steps = len(which) * (config.generations + 1)
        with device.threads(config.threads), progress_bar(self.name, steps, progress) as tick:
            for arm, index in which:
                first = index * config.block
                chains, seed = min(config.block, config.chains - first), (plan.facts["seed"], arm, index)
                settings = dataclasses.replace(config, **plan.arms[arm])
                shown = self.keep if index == 0 and plan.shown else None
                options |= {"data": plan.data, "tick": tick, "keep": shown}
                with self._state(plan, folder, arm, index) as state:
                    metrics = run_block(settings, chains, seed, self.build, self.restore, state=state, **options)
                found.append(Block(label(plan.arms[arm]), first, metrics))
        return found

    @contextlib.contextmanager
    def _state(self, plan: Plan, folder: Path | None, arm: int, index: int) -> Iterator[BlockState | None]:
        if folder is None:
            yield None
            return
        place = folder / f"arm{arm:03d}-block{index:04d}"
        with archive.held(place):
            yield BlockState(place, {"run": folder.name, "arm": arm, "block": index})

    def _merged(self, plan: Plan, started: dict[str, Any], blocks: list[Block]) -> Record:
        singles, statistics, seconds = merge_blocks(
            plan.config, plan.arms, blocks, self.chain_metrics, plan.single_chains
        )
        times = {"total": round(seconds, 3), "per_generation_of_a_block": seconds / plan.steps}
        manifest = plan.facts | started | {"seconds": times}
        return Record(manifest, singles, statistics, arrays=kept_samples(blocks))


def _spelled_out(changes: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a regime such as ``keep(0.1)`` as the settings that they are."""
    if "regime" not in changes:
        return changes
    made, numbers = make_regime(changes["regime"]), {}
    if "(" in changes["regime"]:
        numbers = {name: getattr(made, name) for name in NUMBERS.get(made.name, ())}
    return numbers | changes | {"regime": made.name}


def _tuples(value: Any) -> Any:
    """What JSON gave back as lists, as the tuples that it was."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

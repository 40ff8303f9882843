"""From a family's settings to a record: profiles, studies, arms, blocks of chains, resume.

A *study* is an experiment (which regime, which variant, what is swept), a *profile* its scale. Both are data, so
``run`` below is the same for every family, and a chapter says ``gaussian.run("accumulate", profile="quick")``.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import archive, device
from .archive import ArchiveError, History, Record
from .recursion import run as loop
from .regimes import Regime, make_regime, nearest

__all__ = ["BaseConfig", "ConfigError", "Family", "Study", "arms", "cache_root", "results_root"]


class ConfigError(ValueError):
    """Settings that cannot be. The message is one line that names the setting."""


@dataclass(frozen=True)
class BaseConfig:
    """What every family's configuration has.

    Attributes
    ----------
    chains, block : int
        Independent repetitions, and how many of them share one stream of randomness and one array.
    generations : int
        Index of the last generation; a run has one fit more.
    regime, variant : str
    share : float
        `keep`: the human share of every pool.
    n_real, n_synthetic : int
        `fresh`: never-used human and synthetic items in every pool.
    grid : {"full", "ends"}
        Generations to measure: the usual grid, or the first and the last.
    marks : tuple of int
        Generations that a source names, measured too.
    threads : int
        Threads of BLAS; equal bits are promised at equal count.
    """

    chains: int = 1
    block: int = 1
    generations: int = 10
    regime: str = "replace"
    variant: str = ""
    share: float = 0.1
    n_real: int = 0
    n_synthetic: int = 0
    grid: str = "full"
    marks: tuple[int, ...] = ()
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("chains", "block", "threads"):
            self.require(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        self.require(self.generations >= 0, f"generations must not be negative, not {self.generations}")
        self.require(0 <= self.share <= 1, f"share must lie in [0, 1], not {self.share:g}")
        self.require(self.grid in ("full", "ends"), f"grid must be full or ends, not {self.grid!r}")

    @staticmethod
    def require(condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(message)

    def measured(self) -> np.ndarray:
        """The generations that are measured, ascending."""
        if self.grid == "ends":
            return np.unique([0, self.generations])
        return archive.grid(self.generations, self.marks)

    def make_regime(self) -> Regime:
        return make_regime(self.regime, share=self.share, n_real=self.n_real, n_synthetic=self.n_synthetic)


@dataclass(frozen=True)
class Study:
    """An experiment: a regime, a variant, settings that hold in every profile or in one, and swept arms."""

    regime: str
    variant: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    by_profile: dict[str, dict[str, Any]] = field(default_factory=dict)
    arms: tuple[dict[str, Any], ...] = ({},)


def arms(points: Sequence[dict[str, Any]] | None = None, **axes: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """The arms of a sweep: the product of the axes, or the points as given."""
    if points is not None:
        return tuple(points)
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def label(settings: dict[str, Any]) -> str:
    """An arm's name in a record, such as ``n=100`` or ``d=10,bias=0.7``."""
    return ",".join(f"{name}={value}" for name, value in settings.items())


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
        ``load(path or None)`` gives the data, an object with ``card()``; None for families without data.
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
    load: Callable[[Path | None], Any] | None = None

    def configure(self, study: str | None, profile: str, **changes: Any) -> tuple[BaseConfig, tuple[dict[str, Any], ...]]:
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
            settings = {"regime": plan.regime, **plan.settings, **plan.by_profile.get(profile, {})}
            settings["variant"] = plan.variant or self.default_variant
            swept = plan.arms if profile != "smoke" else tuple(plan.arms[i] for i in sorted({0, len(plan.arms) - 1}))
        settings |= {name: value for name, value in changes.items() if value is not None}
        settings.setdefault("variant", self.default_variant)
        self._known("variant", settings["variant"], self.variants)
        known = {f.name for f in dataclasses.fields(self.config)}
        for name in settings:
            self._known("setting", name, known)
        config = dataclasses.replace(self.profiles[profile], **settings)
        for arm in swept:
            dataclasses.replace(config, **arm).make_regime()
        return config, tuple(arm for arm in swept if not set(arm) & {n for n, v in changes.items() if v is not None}) or ({},)

    def run(
        self,
        study: str | None = None,
        profile: str = "quick",
        *,
        seed: int = 0,
        data: Path | None = None,
        save: Path | None = None,
        rules: dict[str, str] | None = None,
        name: str | None = None,
        on: Callable[[str, int], None] = lambda phase, g: None,
        progress: bool = True,
        checkpoint: float = 5.0,
        **changes: Any,
    ) -> Record:
        """Run a study at a profile and return its record.

        Parameters
        ----------
        save : Path or None
            Folder of results; the record goes to ``save/<family>/<name>`` and the run can be resumed by calling it
            again. None keeps everything in memory.
        rules : dict or None
            Hashes of the rules that will judge this run, stored as they stand when it begins.
        on : callable
            Hears ("fit", g) and the like as each phase begins.
        checkpoint : float
            Seconds between two checkpoints.
        **changes
            Settings that differ from the study's.

        Raises
        ------
        ConfigError, RegimeError, DataError, ArchiveError
            Each with a message of one line.
        """
        config, swept = self.configure(study, profile, **changes)
        if data is not None and self.load is None:
            raise ConfigError(f"family {self.name!r} takes no data")
        loaded = self.load(data) if self.load else None
        name = name or "-".join(filter(None, [profile, study or f"{config.regime}-{config.variant}".replace("_", "-")]))
        identity = self._identity(config, swept, seed, loaded)
        plan = {"family": self.name, "run": name, "profile": profile, "study": study}
        plan |= {"regime": config.regime, "variant": config.variant, "identity": archive.digest(identity)} | identity
        if save is None:
            started = self._started(rules)
            return self._assemble(plan | started, swept, self._blocks(config, swept, seed, loaded, None, on, progress, checkpoint))
        target = save / self.name / name
        if (target / "manifest.json").exists():
            return self._finished(target, plan)
        folder = cache_root() / "runs" / self.name / f"{name}-{plan['identity'][:16]}"
        with archive.held(folder):
            started = archive.once(folder / "started.json", lambda: self._started(rules))
            blocks = self._blocks(config, swept, seed, loaded, folder, on, progress, checkpoint)
            on("write", -1)
            return archive.save_record(target, self._assemble(plan | started, swept, blocks))

    def _known(self, kind: str, name: str, known: Any) -> None:
        if name not in known:
            raise ConfigError(f"family {self.name!r} has no {kind} {name!r}{nearest(name, sorted(known))}")

    def _identity(self, config: BaseConfig, swept: tuple[dict[str, Any], ...], seed: int, data: Any) -> dict[str, Any]:
        return {
            "protocol": self.protocol,
            "config": dataclasses.asdict(config),
            "arms": [{"label": label(arm), "settings": arm} for arm in swept],
            "seed": seed,
            "chains": config.chains,
            "block": config.block,
            "generations": config.generations,
            "data": data.card() if data is not None else None,
        }

    def _started(self, rules: dict[str, str] | None) -> dict[str, Any]:
        return {"rules": rules or {}, "source": archive.tree_digest(Path(__file__).parent), "begun": time.strftime("%Y-%m-%d", time.gmtime())}

    def _finished(self, target: Path, plan: dict[str, Any]) -> Record:
        record = archive.load_record(target)
        if record.manifest.get("identity") != plan["identity"]:
            raise ArchiveError(
                f"{self.name}/{plan['run']} already holds a record of another configuration; refusing to mix: "
                "name this run with --name, or remove the old record"
            )
        return record

    def _blocks(self, config, swept, seed, data, folder, on, progress, checkpoint) -> list[tuple[str, int, dict[str, np.ndarray]]]:
        """Run (or read back) every block of every arm: (label, first chain, metrics by name)."""
        done = []
        starts = range(0, config.chains, config.block)
        with device.threads(config.threads), _bar(self.name, len(swept) * len(starts) * (config.generations + 1), progress) as tick:
            for number, arm in enumerate(swept):
                settings = dataclasses.replace(config, **arm)
                for index, first in enumerate(starts):
                    chains = min(config.block, config.chains - first)
                    state = None
                    if folder is not None:
                        identity = {"run": folder.name, "arm": number, "block": index}
                        state = archive.BlockState(folder / f"arm{number:03d}-block{index:04d}", identity)
                    seeds = (seed, number, index)
                    done.append((label(arm), first, self._block(settings, chains, seeds, data, state, on, tick, checkpoint)))
        return done

    def _block(self, config, chains, seeds, data, state, on, tick, checkpoint) -> dict[str, np.ndarray]:
        regime = config.make_regime()
        history = History(regime.memory)
        metrics = state.load(history, self.restore) if state else {}
        measured = config.measured()
        tick(len(history))
        if len(history) > config.generations:
            return metrics
        source, learner = self.build(config, regime, chains, seeds, data)
        fresh: dict[str, list[np.ndarray]] = {}
        clock = saved = time.perf_counter()
        scratch = state.folder if state else None
        for generation in loop(learner, source, regime, config.generations, history=history, seed=seeds, measured=set(measured.tolist()), scratch=scratch, on=on):
            tick(1)
            for name, values in (generation.metrics or {}).items():
                fresh.setdefault(name, []).append(values)
            now = time.perf_counter()
            last = generation.g == config.generations
            if last or (state and now - saved >= checkpoint):
                fresh["_seconds"] = [np.array([now - clock])]
                chunk = {name: np.stack(values) for name, values in fresh.items()}
                if state:
                    on("write", generation.g)
                    state.save(history, chunk)
                metrics = {name: np.concatenate([metrics[name], x]) if name in metrics else x for name, x in chunk.items()}
                fresh, clock, saved = {}, time.perf_counter(), time.perf_counter()
        return metrics

    def _assemble(self, plan: dict[str, Any], swept, blocks) -> Record:
        """Merge the blocks of every arm into one record; their order does not matter."""
        config = dataclasses.replace(self.config(), **plan["config"])
        measured = config.measured()
        rows, statistics, seconds = [], [], 0.0
        for arm in swept:
            parts = sorted((first, metrics) for name, first, metrics in blocks if name == label(arm))
            seconds += sum(float(metrics["_seconds"].sum()) for _, metrics in parts)
            for metric in parts[0][1]:
                if metric.startswith("_"):
                    continue
                values = np.concatenate([metrics[metric] for _, metrics in parts], axis=1)
                if not self.chain_metrics or metric in self.chain_metrics:
                    some = values[:, : archive.EXAMPLE_CHAINS]
                    frame = pd.DataFrame({"generation": np.repeat(measured, some.shape[1]), "chain": np.tile(np.arange(some.shape[1]), len(measured))})
                    rows.append(frame.assign(arm=label(arm), metric=metric, value=some.ravel()))
                statistics += [
                    {"arm": label(arm), "generation": int(g), "metric": metric, **archive.summarise(x)}
                    for g, x in zip(measured, values, strict=True)
                ]
        fits = len(swept) * -(-plan["chains"] // plan["block"]) * (plan["generations"] + 1)
        times = {"total": round(seconds, 3), "per_generation_of_a_block": seconds / fits}
        manifest = plan | {"seconds": times, "machine": device.machine(config.threads)}
        return Record(manifest, pd.concat(rows, ignore_index=True), pd.DataFrame(statistics))


def cache_root() -> Path:
    """Where resume states live: ``MODEL_COLLAPSE_CACHE``, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-collapse"
    return Path(os.environ.get("MODEL_COLLAPSE_CACHE") or default)


def results_root() -> Path:
    """Where records live: ``MODEL_COLLAPSE_RESULTS``, or ``data/results`` of the checkout, or ``results`` here."""
    if named := os.environ.get("MODEL_COLLAPSE_RESULTS"):
        return Path(named)
    checkout = Path(__file__).resolve().parents[2]
    return checkout / "data" / "results" if (checkout / "_toc.yml").exists() else Path("results")


class _bar:
    """A progress bar on standard error where that is a terminal; silent elsewhere, notebooks included."""

    def __init__(self, title: str, total: int, wanted: bool):
        self.progress = None
        if wanted and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn())
            self.progress = Progress(*columns, console=Console(stderr=True))
            self.task = self.progress.add_task(title, total=total)

    def __enter__(self) -> Callable[[int], None]:
        if self.progress is None:
            return lambda steps: None
        self.progress.start()
        return lambda steps: self.progress.advance(self.task, steps)

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.stop()

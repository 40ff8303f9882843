"""One block of chains through the loop, and all blocks into one record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import archive
from ..archive import BlockState, History
from ..recursion import Generation
from ..recursion import run as loop
from ..remedies import make_remedy, treated
from .settings import BaseConfig, ConfigError, label

__all__ = ["Block", "kept_samples", "merge_blocks", "run_block"]

STATISTICS = ["mean", "sd", *archive.QUANTILE_NAMES]
# Kept beside the metrics of a block: its time, one value a checkpoint, and what is kept of some generations.
SECONDS, KEPT = "_seconds", "kept/"


@dataclass(frozen=True)
class Block:
    """What a block of chains measured: the arm's label, its first chain, metrics of shape (generations, chains).

    `metrics` also holds what was kept of some generations, under names that begin with `KEPT`, each with a leading axis
    of those generations.
    """

    arm: str
    first: int
    metrics: dict[str, np.ndarray]


def run_block(
    config: BaseConfig,
    chains: int,
    seed: tuple[int, ...],
    build: Callable,
    restore: Callable,
    *,
    data: Any,
    state: BlockState | None,
    checkpoint: float,
    on: Callable[[str, int], None],
    tick: Callable[[int], None],
    keep: Callable[[Any, Generation], dict[str, np.ndarray]] | None = None,
) -> dict[str, np.ndarray]:
    """Run a block to its last generation, from where its state ends, and return its metrics.

    The state is saved at the last generation and whenever `checkpoint` seconds have passed since the last time. What
    `keep` gives of the generations of ``config.kept()`` is returned beside the metrics.
    """
    regime, measured = config.make_regime(), config.measured()
    history = History(regime.memory)
    metrics = state.load(history, restore) if state else {}
    tick(len(history))
    if len(history) > config.generations:
        return metrics
    source, learner = build(config, regime, chains, seed, data)
    if regime.n_real:
        source.require_reserve()
    if remedy := make_remedy(config.remedy):
        learner = treated(learner, source, remedy)
    options = {"measured": set(measured.tolist()), "scratch": state.folder if state else None, "on": on}
    chunk: dict[str, list[np.ndarray]] = {}
    since = time.perf_counter()
    for generation in loop(learner, source, regime, config.generations, history=history, seed=seed, **options):
        tick(1)
        for name, values in (generation.metrics or {}).items():
            chunk.setdefault(name, []).append(values)
        if keep and generation.metrics is not None and generation.g in config.kept():
            for name, values in ({"generation": np.array(generation.g)} | keep(learner, generation)).items():
                chunk.setdefault(KEPT + name, []).append(values)
        seconds = time.perf_counter() - since
        if generation.g == config.generations or (state and seconds >= checkpoint):
            saved = {name: np.stack(values) for name, values in chunk.items()} | {SECONDS: np.array([[seconds]])}
            if state:
                on("write", generation.g)
                state.save(history, saved)
                if generation.g == config.generations:
                    state.finish(history)
            metrics = archive.joined([metrics, saved])
            chunk, since = {}, time.perf_counter()
    return metrics


def merge_blocks(
    config: BaseConfig,
    arms: Sequence[dict[str, Any]],
    blocks: Sequence[Block],
    chain_metrics: Sequence[str],
    singles: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Metrics of single chains, statistics over all chains, and seconds; the order of the blocks does not matter.

    `singles` is how many single chains are kept in each arm.
    """
    measured, singles = config.measured(), singles or archive.example_chains(len(arms))
    rows, statistics, seconds = [], [], 0.0
    for name in map(label, arms):
        parts = [block.metrics for block in sorted(blocks, key=lambda block: block.first) if block.arm == name]
        seconds += sum(float(metrics[SECONDS].sum()) for metrics in parts)
        for metric in (name for name in parts[0] if name != SECONDS and not name.startswith(KEPT)):
            values = np.concatenate([metrics[metric] for metrics in parts], axis=1)
            if not np.isfinite(values).all():
                raise ConfigError(
                    f"metric {metric!r} is not finite{f' in arm {name}' if name else ''}: no record is made"
                )
            if not chain_metrics or metric in chain_metrics:
                rows.append(_single_chains(values[:, :singles], measured, arm=name, metric=metric))
            for g, x in zip(measured.tolist(), values, strict=True):
                statistics.append({"arm": name, "generation": g, "metric": metric, **archive.summarise(x)})
    order = ["arm", "metric", "generation"]
    numbered = {label(arm): number for number, arm in enumerate(arms)}
    key: Mapping = {"key": lambda column: column.map(numbered) if column.name == "arm" else column}
    table = pd.DataFrame(statistics).sort_values(order, ignore_index=True, **key)
    table[STATISTICS] = table[STATISTICS].astype(np.float32)  # as a record keeps them: the first reader sees no more
    return pd.concat(rows).sort_values([*order, "chain"], ignore_index=True, **key), table, seconds


def kept_samples(blocks: Sequence[Block]) -> dict[str, dict[str, np.ndarray]]:
    """What the first block of every arm kept, as ``kept`` (plain run) or ``kept-<arm>``; nothing where nothing was."""
    found = {}
    for block in blocks:
        arrays = {name.removeprefix(KEPT): x for name, x in block.metrics.items() if name.startswith(KEPT)}
        if arrays and block.first == 0:
            found[f"kept-{block.arm}" if block.arm else "kept"] = arrays
    return found


def _single_chains(values: np.ndarray, measured: np.ndarray, **names: str) -> pd.DataFrame:
    generations, chains = values.shape
    frame = {"generation": np.repeat(measured, chains), "chain": np.tile(np.arange(chains), generations)}
    return pd.DataFrame(frame).assign(**names, value=values.ravel().astype(np.float32))

"""What lets a run go on after a kill: the history of a block of chains, and its metrics so far, on the disk.

A block's folder holds ``identity.json`` and, for every checkpoint at generation g,

``metrics-<from>-<g>.npz``, ``parts-<from>-<g>.npz``
    the metrics (and, for regimes that need every past sample, the samples) of the generations since the last one;
``history-<g>.npz``
    the last sample and, where needed, the union of all; its appearance commits the checkpoint, and the previous
    one is then deleted.

A block that has run to its end keeps its metrics alone: some kilobytes, which may be carried to another machine.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..device import leads
from .files import ArchiveError, once, one_line, read_arrays, write_arrays

try:
    import fcntl
except ImportError:  # Windows: no advisory locks, so two processes on one run are the person's to avoid
    fcntl = None

__all__ = ["BlockState", "History", "held", "joined"]

Restore = Callable[[dict[str, np.ndarray]], Any]


class History:
    """All samples so far, as the regime needs them: the last one, their union, or each.

    Memory does not grow with the generations under "last" (a list of sizes aside), nor under "total" where a union is
    as small as its parts, as moments and counts are; of points, images and text the union holds every item.

    Parameters
    ----------
    memory : {"last", "total", "all"}
    """

    def __init__(self, memory: str):
        self.memory = memory
        self.sizes: list[int] = []
        self.last: Any = None
        self.total: Any = None
        self.parts: list[Any] = []

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, g: int) -> Any:
        if g not in (-1, len(self) - 1):
            raise IndexError("a history gives its last sample; earlier ones through .total or .parts")
        return self.last

    def append(self, items: Any) -> None:
        self.sizes.append(items.size)
        self.last = items
        if self.memory == "total":
            self.total = items if self.total is None else type(items).merge([self.total, items])
        if self.memory == "all":
            self.parts.append(items)


class BlockState:
    """The resume state of one block of chains.

    Parameters
    ----------
    folder : Path
        Outside the checkout; made if missing.
    identity : dict
        What the block is a run of; a folder of another identity is refused.
    """

    def __init__(self, folder: Path, identity: dict):
        self.folder = folder
        self._saved = 0
        self._parts = 0
        with one_line(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.*.*") if leads() else ():  # others would delete what that one is writing
                leftover.unlink(missing_ok=True)
        found = once(folder / "identity.json", lambda: identity)
        if found != json.loads(json.dumps(identity)):
            raise ArchiveError(f"resume state {folder} belongs to another configuration: refusing to mix")

    def load(self, history: History, restore: Restore) -> dict[str, np.ndarray]:
        """Fill `history` with what was committed and return the metrics so far, each (kept generations, chains)."""
        commits = sorted(self._numbered("history"))
        if not commits:  # what lies here was written for a checkpoint that was never committed
            for _, _, path in [*self._numbered("metrics"), *self._numbered("parts")] if leads() else ():
                path.unlink()
            return {}
        _, g, path = commits[-1]
        saved = read_arrays(path)
        history.sizes = [int(n) for n in saved.pop("sizes")]
        if saved:  # there is nothing to go on from in a block that has run to its end
            history.last = restore(_under(saved, "last"))
            if history.memory == "total":
                history.total = restore(_under(saved, "total"))
            if history.memory == "all":
                history.parts = [restore(_under(chunk, str(k))) for k, chunk in self._chunks("parts", g)]
        self._saved, self._parts = g + 1, len(history.parts)
        return joined([chunk for _, chunk in self._chunks("metrics", g)])

    def save(self, history: History, metrics: dict[str, np.ndarray]) -> None:
        """Commit a checkpoint, in the process that leads: `metrics` are those measured since the last one."""
        if not leads():
            return
        g = len(history) - 1
        if history.memory == "all":
            fresh = range(self._parts, len(history.parts))
            arrays = {f"{k}/{name}": x for k in fresh for name, x in history.parts[k].arrays().items()}
            write_arrays(self.folder / f"parts-{self._saved}-{g}.npz", arrays)
        write_arrays(self.folder / f"metrics-{self._saved}-{g}.npz", metrics)
        arrays = {f"last/{name}": x for name, x in history.last.arrays().items()}
        if history.memory == "total":
            arrays |= {f"total/{name}": x for name, x in history.total.arrays().items()}
        write_arrays(self.folder / f"history-{g}-{g}.npz", arrays | {"sizes": np.array(history.sizes)})
        with one_line(self.folder):
            for _, old, path in list(self._numbered("history")):
                if old < g:
                    path.unlink()
        self._saved, self._parts = g + 1, len(history.parts)

    def finish(self, history: History) -> None:
        """Delete what only going on needs, in the process that leads; for a block that was saved at its end."""
        if not leads():
            return
        g = len(history) - 1
        write_arrays(self.folder / f"history-{g}-{g}.npz", {"sizes": np.array(history.sizes)})
        with one_line(self.folder):
            for path in [*self.folder.glob("parts-*.npz"), *self.folder.glob("*.state")]:
                path.unlink()

    def _numbered(self, kind: str) -> Iterator[tuple[int, int, Path]]:
        for path in self.folder.glob(f"{kind}-*.npz"):
            if match := re.fullmatch(rf"{kind}-(\d+)-(\d+)", path.stem):
                yield int(match[1]), int(match[2]), path

    def _chunks(self, kind: str, last: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Chunks up to generation `last` in order (one per generation for parts); uncommitted ones are dropped."""
        expected = 0
        for begin, end, path in sorted(self._numbered(kind)):
            if end > last:
                path.unlink()
                continue
            if begin != expected:
                raise ArchiveError(
                    f"resume state {self.folder} lacks generations {expected} to {begin - 1}: delete it to begin again"
                )
            expected = end + 1
            arrays = read_arrays(path)
            if kind == "parts":
                yield from ((k, arrays) for k in range(begin, end + 1))
            else:
                yield begin, arrays
        if expected != last + 1:
            raise ArchiveError(
                f"resume state {self.folder} lacks generations {expected} to {last}: delete it to begin again"
            )


def joined(chunks: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Metrics of consecutive stretches of generations as one; a stretch in which nothing was measured has none."""
    names = dict.fromkeys(name for chunk in chunks for name in chunk)
    return {name: np.concatenate([chunk[name] for chunk in chunks if name in chunk]) for name in names}


def _under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{prefix}/"): x for name, x in arrays.items() if name.startswith(f"{prefix}/")}


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's state for this process, and those that were launched together with it, alone.

    Raises
    ------
    ArchiveError
        Where another process holds it, or the folder cannot be written.
    """
    if not leads():
        yield
        return
    with one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / "lock", "w")  # noqa: SIM115 - held open for as long as the run lasts
    with handle:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ArchiveError(
                    f"another process is running this very run (it holds {folder}); wait for it or stop it"
                ) from None
        yield
